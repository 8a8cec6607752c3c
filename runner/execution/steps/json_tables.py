"""JSON as DuckDB reads it for a query: the type of each column is decided by all of its values.

Left to itself DuckDB decides by the first 20,000 records or so, and rounds a fraction that comes later to a whole
number. It also takes `01-02-2025` for the first of February: here only what ISO 8601 writes is a date or a time,
and a time whose text has an offset is a moment. A column of several types is one of texts.
"""

import re
from collections.abc import Iterable

import duckdb

from runner.execution.steps.quoting import quote_name, quote_text
from runner.execution.steps.typed import has_offset

_ALL = "sample_size = -1, dateformat = '%Y-%m-%d'"
_TIMES = frozenset({"TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"})
_ISO_YEAR = 4
# What DuckDB calls the one column of records that are no objects, or of none, or whose members it takes for keys
# of a map, where they are many, or most records lack them. Inside a record a map stays one: there it may be right.
_UNNAMED = ["json"]
_MAP = "MAP("
_NO_MAPS = "map_inference_threshold = -1, field_appearance_threshold = 0"
# A type that is anything, as it stands in the name of a type; the names of members may be quoted.
_ANYTHING = re.compile(r'"(?:[^"]|"")*"|\bJSON(?=[],)[]|\Z)')


def json_reader(connection: duckdb.DuckDBPyConnection, files: str, layout: str) -> str:
    """The call that reads records of JSON. Looks at all of them once, so that whoever uses it need not.

    Args:
        files: the files as the first arguments of a reader in SQL.
        layout: `array` or `newline_delimited`.

    Raises:
        duckdb.Error: they are no such JSON.
    """
    found = f"read_json({files}, format = '{layout}', {_ALL})"
    types = _types_of(connection, found)
    if list(types) == _UNNAMED and types[_UNNAMED[0]].startswith(_MAP):
        found = f"read_json({files}, format = '{layout}', {_ALL}, {_NO_MAPS})"
        types = _types_of(connection, found)
    if list(types) == _UNNAMED or _may_be_renamed(types):
        return found
    texts = _reader(files, layout, dict.fromkeys(types, "VARCHAR"))
    for name in [name for name, kind in types.items() if kind in _TIMES]:
        types[name] = _time_type(connection, name, texts)
    return _reader(files, layout, {name: _with_texts(kind) for name, kind in types.items()})


def _types_of(connection: duckdb.DuckDBPyConnection, reader: str) -> dict[str, str]:
    return {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE FROM {reader}").fetchall()}


def _with_texts(kind: str) -> str:
    """A type with texts for what may be anything: a text has quotes around it there."""
    return _ANYTHING.sub(lambda found: "VARCHAR" if found[0] == "JSON" else found[0], kind)


def _may_be_renamed(names: Iterable[str]) -> bool:
    """Whether one of these may be a name that DuckDB gave: of keys that differ in case only, the second one gets a
    number behind it."""
    names = list(names)
    folded = {name.lower() for name in names}
    return any(
        stem.lower() in folded and number.isdigit()
        for stem, bar, number in (name.rpartition("_") for name in names)
        if bar
    )


def _reader(files: str, layout: str, types: dict[str, str]) -> str:
    columns = ", ".join(f"{quote_name(name)}: {quote_text(kind)}" for name, kind in types.items())
    return f"read_json({files}, format = '{layout}', columns = {{{columns}}})"


def _time_type(connection: duckdb.DuckDBPyConnection, name: str, texts: str) -> str:
    """The type of a column that DuckDB takes for times. One form fits all its texts: the first tells."""
    column = quote_name(name)
    query = f"SELECT {column} FROM {texts} WHERE {column} IS NOT NULL LIMIT 1"  # noqa: S608 - quoted
    ((text,),) = connection.execute(query).fetchall()
    if not text[:_ISO_YEAR].isdigit():
        return "VARCHAR"
    return "TIMESTAMP WITH TIME ZONE" if has_offset(text) else "TIMESTAMP"
