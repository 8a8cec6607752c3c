"""A parsed SQL query → the tables and functions it reads from, and which of them a job does not have.

DuckDB writes its own syntax tree as JSON, with the offset of every table. Nothing is bound and nothing is run. A
PIVOT without its values cannot be written so, and the tree of a query of more than 2,000 words takes too long (the
run refuses all that it would tell): there tables are found by their place in the text.

What DuckDB knows of itself (`information_schema`, `duckdb_tables()` and the like) may be read: it holds nothing
but the sandbox. So may every function that makes rows from its arguments, such as `range` and `unnest`.
"""

import difflib
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from runner.jobfiles.lint.query_bounds import is_large
from runner.jobfiles.lint.step_fault import StepFault, characters, fault_between

_ONE_TABLE = ("data",)
# Functions that read files, addresses or other databases.
_READERS = re.compile(
    r"(read|sniff|parquet|sqlite|postgres|mysql|iceberg|delta|st_read|st_drivers|ducklake|odbc)(_.*)?|glob|.*_scan"
)
_FILE_NAME = re.compile(
    r"(?i).*[/\\*?].*|.*://.*|.*\.(csv|tsv|txt|parquet|pq|json|ndjson|jsonl|xlsx|db|duckdb|gz|zst)"
)
_SYSTEM_SCHEMAS = frozenset({"information_schema", "pg_catalog"})
# Of a node without a place of its own DuckDB tells the largest number of 64 bits.
_NOWHERE = 1 << 62
_NAME = r'"(?:[^"]|"")++"|(?<![\w$])[^\W\d][\w$]*+'
# How far before a name the words stand that tell what it is.
_NEAR = 200
_MOST_TOKENS = 2_000
_AFTER_FROM = re.compile(
    rf"(?i)\b(?:FROM|JOIN|PIVOT|UNPIVOT)\s+(?P<name>'[^']*'|{_NAME})(?P<call>\s*\()?(?P<more>\s*\.)?"
)
# FROM within a call, and in IS DISTINCT FROM, names no table.
_NO_TABLE = re.compile(r"(?i)\b(?:distinct\s+|(?:extract|substring|trim|overlay)\s*\([^()]*)\Z")
_CTE = re.compile(
    rf"(?i)(?P<name>{_NAME})\s*(?:\([^()]*\)\s*)?(?:USING\s+KEY\s*\([^()]*\)\s*)?AS\s+(?:NOT\s+|MATERIALIZED\s+)*\("
)
_HIDDEN = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)


class _Read(NamedTuple):
    """Something that a query reads from: its parts, whether it is a function, and its offset; -1 where unknown."""

    parts: tuple[str, ...]
    is_function: bool
    start: int


def find_table_faults(connection: Any, query: str, shown: str, tables: tuple[str, ...]) -> Iterator[StepFault]:
    """Rules `query-unknown-table` and `query-reads-outside`.

    Args:
        connection: to DuckDB.
        query: one statement that parses. shown: the same text as it stands in the file, of the same length.
        tables: the names of the sources.
    """
    reads, named_inside = _reads_of(connection, query)
    known = {name.lower() for name in tables} | named_inside
    for read in sorted(reads, key=lambda one: one.start):
        fault = _judge(read, known, tables, connection)
        if fault is not None:
            start, end = _place(query, read)
            yield fault_between(shown, start, end, rule=fault[0], message=fault[1], hint=fault[2])


def _judge(read: _Read, known: set[str], tables: tuple[str, ...], connection: Any) -> tuple[str, str, str] | None:
    """Rule, message and hint of what is wrong with reading from somewhere."""
    name = read.parts[-1]
    key = "data_source" if tables == _ONE_TABLE else "data_sources"
    outside = f"Read from {_listed(tables)}: what a query reads is declared in {key}."
    if read.is_function:
        if _READERS.fullmatch(name.lower()):
            return "query-reads-outside", f"{name} reads from outside the job", outside
        return None
    schema = read.parts[-2].lower() if len(read.parts) > 1 else "main"
    # `recurring` is where a recursive query finds all its rows so far.
    if name.lower() in known and schema in {"main", "recurring"}:
        return None
    if schema in _SYSTEM_SCHEMAS or (schema == "main" and name.lower() in _system_views(connection)):
        return None
    shown = ".".join(read.parts)
    if _FILE_NAME.fullmatch(shown):
        return "query-reads-outside", f"the query reads {shown} by itself", outside
    return "query-unknown-table", f"there is no table {shown}", _hint(name, tables)


def _listed(tables: tuple[str, ...]) -> str:
    return " or ".join(tables)


def _hint(name: str, tables: tuple[str, ...]) -> str:
    if tables == _ONE_TABLE:
        return "The one table is data."
    near = difflib.get_close_matches(name.lower(), tables, n=1, cutoff=0.6)
    return f"Did you mean {near[0]}?" if near else f"The tables are {', '.join(tables)}."


@lru_cache(maxsize=4)
def _system_views(connection: Any) -> frozenset[str]:
    rows = connection.execute("SELECT view_name FROM duckdb_views() WHERE internal").fetchall()
    return frozenset(name.lower() for (name,) in rows)


def _reads_of(connection: Any, query: str) -> tuple[list[_Read], set[str]]:
    """What a query reads from, and the names that it gives to parts of itself."""
    if is_large(query, _MOST_TOKENS):
        return _reads_in_text(query)
    (answer,) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [query]).fetchone()
    try:
        tree = json.loads(answer)
    except (ValueError, RecursionError):
        return [], set()
    if tree.get("error"):
        return _reads_in_text(query)
    reads: list[_Read] = []
    inside: set[str] = set()
    todo: list[Any] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, list):
            todo.extend(node)
        elif isinstance(node, dict):
            todo.extend(node.values())
            inside.update(_given_names(node))
            read = _read_of(node, query)
            if read is not None:
                reads.append(read)
    return reads, inside


def _given_names(node: dict[str, Any]) -> Iterator[str]:
    """The names of WITH, and the one of a recursive query within itself."""
    entries = node.get("cte_map")
    if isinstance(entries, dict):
        yield from (entry["key"].lower() for entry in entries.get("map", ()) if isinstance(entry.get("key"), str))
    name = node.get("cte_name") or node.get("ctename")
    if isinstance(name, str):
        yield name.lower()


def _read_of(node: dict[str, Any], query: str) -> _Read | None:
    kind = node.get("type")
    if kind == "BASE_TABLE":
        # DuckDB 2 tells the whole path; before it, the parts one by one.
        path = (node.get("qualified_name") or {}).get("path") or [
            node.get("catalog_name"), node.get("schema_name"), node.get("table_name")
        ]  # fmt: skip
        parts = tuple(part for part in path if part)
        return _Read(parts, False, _offset(node, query)) if parts else None
    if kind == "TABLE_FUNCTION":
        name = (node.get("function") or {}).get("function_name")
        return _Read((name,), True, _offset(node, query)) if name else None
    return None


def _offset(node: dict[str, Any], query: str) -> int:
    location = node.get("query_location")
    return characters(query, location) if isinstance(location, int) and location < _NOWHERE else -1


def _reads_in_text(query: str) -> tuple[list[_Read], set[str]]:
    """The same from the words of the text alone: only what follows FROM, JOIN, PIVOT and UNPIVOT."""
    # Texts stand for themselves after FROM; elsewhere, and in comments, nothing is a table.
    bare = _HIDDEN.sub(_blank, query)
    inside = {_unquoted(match["name"]).lower() for match in _CTE.finditer(bare)}
    reads: list[_Read] = []
    for match in _AFTER_FROM.finditer(bare):
        if match["more"] or _NO_TABLE.search(bare, max(0, match.start() - _NEAR), match.start()):
            continue
        reads.append(_Read((_unquoted(match["name"]),), match["call"] is not None, match.start("name")))
    return reads, inside


def _blank(match: "re.Match[str]") -> str:
    """A comment, or a text that is no name of a file, as blanks."""
    before = match.string[max(0, match.start() - _NEAR) : match.start()].rstrip().upper()
    if match[0].startswith("'") and before.endswith(("FROM", "JOIN", "PIVOT")):
        return match[0]
    return re.sub(r"[^\n]", " ", match[0])


def _unquoted(name: str) -> str:
    return name[1:-1].replace(name[0] * 2, name[0]) if name[0] in "'\"" else name


def _place(query: str, read: _Read) -> tuple[int, int]:
    """The offsets of what is read, as it is written."""
    written = r"\s*\.\s*".join(rf"""["']?{re.escape(part).replace('"', '""')}["']?""" for part in read.parts)
    here = re.compile(written, re.IGNORECASE)
    # The offset of a qualified name may be that of its last part.
    match = here.match(query, read.start) if read.start >= 0 else None
    match = match or re.compile(rf"(?i)(?<![\w.]){written}(?!\w)").search(query) or here.search(query)
    return match.span() if match else (0, max(len(query), 1))
