"""JSON as DuckDB reads it for a query: the type of each column is decided by all of its values.

Left to itself DuckDB decides by the first 20,000 records or so, and rounds a fraction that comes later to a whole
number. It also takes `01-02-2025` for the first of February: here only what ISO 8601 writes is a date or a time,
and a time whose text has an offset is a moment. A column of several types is one of texts.

Records that are no objects it takes too, which are refused here as for a script. The columns tell of them, but not
of a null among objects: that is found where the records are counted, and stays a row of gaps where the files are
too large for that.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import duckdb

from runner.core.source import FileType
from runner.execution.steps.documents import no_name, no_object
from runner.execution.steps.places import of_input
from runner.execution.steps.quoting import quote_name, quote_text
from runner.execution.steps.staged import Relation, files_of
from runner.execution.steps.twin_names import may_be_renamed
from runner.execution.steps.typed import has_offset

_ALL = "sample_size = -1, dateformat = '%Y-%m-%d'"
_TIMES = frozenset({"TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"})
_ISO_YEAR = 4
_FIRST_RECORDS = 2_000
_TOO_FINE = r"\.[0-9]{6}[0-9]*[1-9]"
# What DuckDB calls the one column of records that are no objects, or of none, or whose members it takes for keys
# of a map, where they are many, or most records lack them. Inside a record a map stays one: there it may be right.
_UNNAMED = ["json"]
_MAP = "MAP("
_NO_MAPS = "map_inference_threshold = -1, field_appearance_threshold = 0"
# Of the text of a record, which has no space around it.
_IS_OBJECT = "starts_with(json, '{')"
_UNDECLARED: Mapping[str, str] = MappingProxyType({})
# A type that is anything, as it stands in the name of a type; the names of members may be quoted.
_ANYTHING = re.compile(r'"(?:[^"]|"")*"|\bJSON(?=[],)[]|\Z)')


def json_reader(
    connection: duckdb.DuckDBPyConnection, relation: Relation, declared: Mapping[str, str] = _UNDECLARED
) -> str:
    """The call that reads records of JSON. Looks at all of them once, so that whoever uses it need not.

    Args:
        declared: the types of columns that need not be found, where none has the name of another with a number.

    Raises:
        StepError: kind FETCH, a record is no object, as the columns tell, or has a key of no letters.
        duckdb.Error: they are no such JSON.
    """
    records = _records(relation)
    found = f"read_json({records}, {_ALL})"
    types = _types_of(connection, found)
    if list(types) == _UNNAMED and types[_UNNAMED[0]].startswith(_MAP):
        found = f"read_json({records}, {_ALL}, {_NO_MAPS})"
        types = _types_of(connection, found)
    if list(types) == _UNNAMED:
        count_objects(connection, relation)
        _require_names(connection, relation)
    if list(types) == _UNNAMED or (may_be_renamed(types) and _is_renamed(connection, records, types)):
        return found
    texts = _reader(records, dict.fromkeys(types, "VARCHAR"))
    types |= {name: kind for name, kind in declared.items() if name in types}
    for name in [name for name, kind in types.items() if kind in _TIMES]:
        types[name] = _time_type(connection, name, texts)
    for name in [name for name, kind in types.items() if kind == "TIME" and _is_too_fine(connection, name, texts)]:
        types[name] = "VARCHAR"
    floats = [name for name, kind in types.items() if kind == "DOUBLE" and name not in declared]
    types |= dict.fromkeys(_whole_columns(connection, floats, texts), "HUGEINT")
    return _reader(records, {name: _with_texts(kind) for name, kind in types.items()})


def json_texts(relation: Relation, name: str) -> str:
    """SQL for the cells of one column as the texts that stand in the records, in a column of that name."""
    return _reader(_records(relation), {name: "VARCHAR"})


def count_objects(connection: duckdb.DuckDBPyConnection, relation: Relation) -> int:
    """How many records there are, each of them an object.

    Raises:
        StepError: kind FETCH, one is none.
        duckdb.Error: they are no such JSON.
    """
    query = f"SELECT count(*), count_if(NOT {_IS_OBJECT}) FROM read_json_objects({_records(relation)})"  # noqa: S608
    ((count, others),) = connection.execute(query).fetchall()
    if others:
        for file, path in zip(relation.files, relation.source.paths, strict=True):
            with of_input(path=path):
                _require_objects(connection, replace(relation, files=(file,)))
    return int(count)


def _require_objects(connection: duckdb.DuckDBPyConnection, relation: Relation) -> None:
    """Refuse the first record of a file that is no object.

    Raises:
        StepError: kind FETCH.
    """
    numbered = f"SELECT row_number() OVER () AS place, json FROM read_json_objects({_records(relation)})"  # noqa: S608
    query = f"SELECT place, json FROM ({numbered}) WHERE NOT {_IS_OBJECT} ORDER BY place LIMIT 1"  # noqa: S608
    for place, text in connection.execute(query).fetchall():
        raise no_object(place, json.loads(text))


def _require_names(connection: duckdb.DuckDBPyConnection, relation: Relation) -> None:
    """Refuse the first record with a key of no letters: DuckDB has no such column, and gives none of the others.

    Raises:
        StepError: kind FETCH.
    """
    for file, path in zip(relation.files, relation.source.paths, strict=True):
        one = _records(replace(relation, files=(file,)))
        numbered = f"SELECT row_number() OVER () AS place, json FROM read_json_objects({one})"  # noqa: S608 - quoted
        query = f"SELECT min(place) FROM ({numbered}) WHERE list_contains(json_keys(json), '')"  # noqa: S608 - quoted
        ((place,),) = connection.execute(query).fetchall()
        if place is not None:
            with of_input(path=path):
                raise no_name(place)


def _records(relation: Relation) -> str:
    """The files, and how records lie in them, as the first arguments of a reader."""
    layout = "array" if relation.source.format is FileType.JSON else "newline_delimited"
    return f"{files_of(relation)}, format = '{layout}'"


def _types_of(connection: duckdb.DuckDBPyConnection, reader: str) -> dict[str, str]:
    return {name: kind for name, kind, *_ in connection.execute(f"DESCRIBE FROM {reader}").fetchall()}


def _with_texts(kind: str) -> str:
    """A type with texts for what may be anything: a text has quotes around it there."""
    return _ANYTHING.sub(lambda found: "VARCHAR" if found[0] == "JSON" else found[0], kind)


def _is_renamed(connection: duckdb.DuckDBPyConnection, records: str, names: Iterable[str]) -> bool:
    """Whether a key is not among the names of the columns. As often `phone_1` is the name that it has itself."""
    known = ", ".join(map(quote_text, names))
    unknown = f"NOT list_has_all([{known}], json_keys(json))"
    query = f"SELECT 1 FROM read_json_objects({records}) WHERE {unknown} LIMIT 1"  # noqa: S608 - quoted
    return bool(connection.execute(query).fetchall())


def _reader(records: str, types: dict[str, str]) -> str:
    columns = ", ".join(f"{quote_name(name)}: {quote_text(kind)}" for name, kind in types.items())
    # Told: in a file of `{}` alone it would take each record for the value of a table's one column.
    return f"read_json({records}, records = 'true', columns = {{{columns}}})"


def _time_type(connection: duckdb.DuckDBPyConnection, name: str, texts: str) -> str:
    """The type of a column that DuckDB takes for times. One form fits all its texts: the first tells."""
    column = quote_name(name)
    query = f"SELECT {column} FROM {texts} WHERE {column} IS NOT NULL LIMIT 1"  # noqa: S608 - quoted
    ((text,),) = connection.execute(query).fetchall()
    if not text[:_ISO_YEAR].isdigit():
        return "VARCHAR"
    return "TIMESTAMP WITH TIME ZONE" if has_offset(text) else "TIMESTAMP"


def _is_too_fine(connection: duckdb.DuckDBPyConnection, name: str, texts: str) -> bool:
    """Whether a time of a day is finer than the microseconds that DuckDB keeps."""
    query = f"SELECT 1 FROM {texts} WHERE regexp_matches({quote_name(name)}, '{_TOO_FINE}') LIMIT 1"  # noqa: S608
    return bool(connection.execute(query).fetchall())


def _whole_columns(connection: duckdb.DuckDBPyConnection, names: list[str], texts: str) -> list[str]:
    """Those of the columns that DuckDB takes for floats whose numbers are all whole ones, of at most 128 bits: it
    does so too where one is larger than a type that it tries. Where there are fractions, the first records mostly
    tell; for the columns that are left all records are looked at, once."""
    for records in (f"(FROM {texts} LIMIT {_FIRST_RECORDS})", texts):
        if not names:
            break
        query = f"SELECT {', '.join(map(_are_whole, names))} FROM {records}"  # noqa: S608 - quoted
        (found,) = connection.execute(query).fetchall()
        names = [name for name, whole in zip(names, found, strict=True) if whole is not False]
    return names


def _are_whole(name: str) -> str:
    """SQL over all texts of a column, of which gaps tell nothing."""
    column = quote_name(name)
    fits = f"({column} IS NULL OR TRY_CAST({column} AS HUGEINT) IS NOT NULL)"
    return f"bool_and(regexp_full_match({column}, '-?[0-9]+') AND {fits})"
