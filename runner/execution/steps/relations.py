"""The inputs of a query: a view for each source, which DuckDB reads where the files lie.

What DuckDB cannot read as it is gets ready before: records inside a JSON document and texts in another encoding
are files in the run's folder then, a workbook is a table in memory. Several files are one table, as for a script.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import pandas as pd

from runner.core.source import THE_SOURCE, FileType
from runner.execution.orders import StepInput, StepOrder
from runner.execution.steps.documents import frame_of, load_json, select_records
from runner.execution.steps.faults import StepError, memory_error, unreadable
from runner.execution.steps.json_tables import json_reader
from runner.execution.steps.packed import UNREADABLE, duckdb_packing, is_packed, size_of, starts_with, write_utf8
from runner.execution.steps.quoting import quote_name, quote_text
from runner.execution.steps.reading import read_data
from runner.execution.steps.slices import cut_records
from runner.execution.steps.table_files import require_columns
from runner.execution.steps.typed import DATE, has_offset, is_moment, refusal_in, sql_cell, sql_types, types_of

_STAGED = "input"
_CSV = "header = true, quote = '\"', escape = '\"'"
_CHEAP_TO_COUNT = 64 << 20
# So much smaller a text is when it is compressed, about.
_PACKING = 8
# Each thread reads into buffers of 32 MB otherwise, which no setting of DuckDB counts.
_MUCH_MEMORY_MB, _SMALL_BUFFER = 1024, 8_000_000
_CELL_ERROR = "Error when converting"
_UTF8 = frozenset({"utf8", "utf8sig"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Relation:
    """One input as DuckDB reads it: files, or a table in memory.

    `view` is what a query calls it; `sparing` says that there is little memory for it.
    """

    source: StepInput
    view: str
    files: tuple[str, ...] = ()
    frame: pd.DataFrame | None = None
    sparing: bool = False


def stage(order: StepOrder, connection: duckdb.DuckDBPyConnection) -> tuple[Relation, ...]:
    """The inputs of an order, ready to be opened. The connection is not confined yet.

    Raises:
        StepError: kind FETCH, an input is not what the job says it is.
    """
    return tuple(_stage(order, connection, source, place) for place, source in enumerate(order.inputs))


def open_relations(connection: duckdb.DuckDBPyConnection, relations: Sequence[Relation]) -> int | None:
    """Make the views; the first is `data` too, unless another one is called so. Answers with the number of all
    rows, None where counting them costs too much.

    Raises:
        StepError: kind FETCH, an input is not what the job says it is; MEMORY.
    """
    counts = [_open(connection, relation) for relation in relations]
    if all(relation.view.casefold() != THE_SOURCE for relation in relations):
        first = quote_name(relations[0].view)
        connection.execute(f"CREATE TEMP VIEW {THE_SOURCE} AS FROM {first}")
    return None if None in counts else sum(count or 0 for count in counts)


def csv_texts(relation: Relation) -> str:
    """SQL for the rows of a CSV with each cell as its very text."""
    return _csv_reader(relation, "all_varchar = true")


def input_failure(error: Exception, kind: FileType) -> StepError:
    """What DuckDB says of an input, as the failure of the step."""
    refused = refusal_in(str(error))
    if refused is not None:
        return refused
    text = str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [lines[0] if lines else type(error).__name__]
    told += [line for line in lines[1:] if line.startswith(_CELL_ERROR)]
    return unreadable(kind.upper(), ". ".join(told))


def is_input_failure(error: Exception) -> bool:
    """Whether an error while a query runs is about the file of an input, and not about the query."""
    return "CSV Error on Line" in str(error) or refusal_in(str(error)) is not None


def _stage(order: StepOrder, connection: duckdb.DuckDBPyConnection, source: StepInput, place: int) -> Relation:
    if source.format is FileType.XLSX:
        frame = read_data(source, timezone=order.timezone)
        return Relation(source=source, view=source.name, frame=frame)
    targets = (os.path.join(order.run_dir, f"{_STAGED}-{place}-{number}") for number in range(len(source.paths)))  # noqa: PTH118
    files = tuple(
        _staged_file(connection, source, path, target) for path, target in zip(source.paths, targets, strict=True)
    )
    sparing = order.memory_mb < _MUCH_MEMORY_MB
    return Relation(source=source, view=source.name, files=files, sparing=sparing)


def _staged_file(connection: duckdb.DuckDBPyConnection, source: StepInput, path: str, target: str) -> str:
    """The file that DuckDB reads: the input, or a new one beside `target`."""
    if (
        source.format is FileType.CSV
        and source.table.encoding.lower().replace("-", "").replace("_", "") not in _UTF8
    ):
        try:
            write_utf8(path, source.table.encoding, f"{target}.csv")
        except UNREADABLE as error:
            raise unreadable("CSV", str(error)) from error
        return f"{target}.csv"
    if source.format is not FileType.JSON or (source.records_path is None and starts_with(path, b"[")):
        return path
    if cut_records(path, source.records_path, f"{target}.json") and _is_array(connection, f"{target}.json"):
        return f"{target}.json"
    records = select_records(load_json(path), source.records_path)
    if isinstance(records, dict):
        records = frame_of(records).to_dict("records")
    with open(f"{target}.json", "w", encoding="utf-8") as file:  # noqa: PTH123 - text in, text out
        json.dump(records, file)
    return f"{target}.json"


def _is_array(connection: duckdb.DuckDBPyConnection, path: str) -> bool:
    try:
        connection.execute(f"SELECT count(*) FROM read_json_objects({quote_text(path)}, format = 'array')")  # noqa: S608
    except duckdb.Error:
        return False
    return True


def _open(connection: duckdb.DuckDBPyConnection, relation: Relation) -> int | None:
    view = quote_name(relation.view)
    try:
        if relation.frame is not None:
            # No source can be called so: its name has no space.
            name = f"{_STAGED} {relation.view}"
            connection.register(name, relation.frame)
            days = [column for column, kind in types_of(relation.source.table).items() if kind == DATE]
            # What is a date in SQL is a time at midnight in a DataFrame.
            cells = ", ".join(f"CAST({quote_name(day)} AS DATE) AS {quote_name(day)}" for day in days)
            rows = f"SELECT * REPLACE ({cells}) FROM {quote_name(name)}" if days else f"FROM {quote_name(name)}"  # noqa: S608
            connection.execute(f"CREATE TEMP VIEW {view} AS {rows}")
            return len(relation.frame)
        connection.execute(f"CREATE TEMP VIEW {view} AS {_rows(connection, relation)}")
        if relation.source.format is not FileType.PARQUET and _weight(relation.files) > _CHEAP_TO_COUNT:
            return None
        counted = connection.execute(f"SELECT count(*) FROM {view}").fetchall()  # noqa: S608 - quoted
    except duckdb.OutOfMemoryException as error:
        raise memory_error() from error
    except duckdb.Error as error:
        raise input_failure(error, relation.source.format) from error
    return int(counted[0][0])


def _rows(connection: duckdb.DuckDBPyConnection, relation: Relation) -> str:
    source = relation.source
    files = _files(relation)
    if source.format is FileType.PARQUET:
        return f"FROM read_parquet({files})"
    if source.format is not FileType.CSV:
        layout = "array" if source.format is FileType.JSON else "newline_delimited"
        return f"FROM {json_reader(connection, files, layout)}"
    types = types_of(source.table)
    if not types and not source.table.columns:
        return f"FROM {_csv_reader(relation)}"
    described = connection.execute(f"DESCRIBE FROM {csv_texts(relation)}").fetchall()
    known = [name for name, *_ in described]
    require_columns(source.table, known)
    read_as = ", ".join(f"{quote_text(name)}: '{kind}'" for name, kind in sql_types(types).items())
    kept = source.table.columns or known
    aware = {name: _is_aware(connection, relation, name) for name in kept if is_moment(types.get(name, ""))}
    cells = ", ".join(sql_cell(name, types.get(name), aware=aware.get(name, False)) for name in kept)
    reader = _csv_reader(relation, *([f"types = {{{read_as}}}"] if read_as else []))
    return f"SELECT {cells} FROM {reader}"  # noqa: S608 - quoted


def _csv_reader(relation: Relation, *more: str) -> str:
    table = relation.source.table
    options = [_CSV, f"delim = {quote_text(table.delimiter)}", *more]
    if table.decimal != ".":
        options.append(f"decimal_separator = {quote_text(table.decimal)}")
    if relation.sparing:
        options.append(f"buffer_size = {_SMALL_BUFFER}")
    return f"read_csv({_files(relation)}, {', '.join(options)})"


def _files(relation: Relation) -> str:
    """The files as the first arguments of a reader. For a name with a `?` DuckDB does not see its end."""
    if relation.source.format is FileType.PARQUET:
        packing = ""
    else:
        packing = f", compression = '{duckdb_packing(relation.files)}'"
    if len(relation.files) == 1:
        return quote_text(relation.files[0]) + packing
    return f"[{', '.join(map(quote_text, relation.files))}], union_by_name = true{packing}"


def _is_aware(connection: duckdb.DuckDBPyConnection, relation: Relation, name: str) -> bool:
    """Whether the times of a column have an offset: as the first one has."""
    column = quote_name(name)
    query = f"SELECT {column} FROM {csv_texts(relation)} WHERE {column} IS NOT NULL LIMIT 1"  # noqa: S608 - quoted
    return any(has_offset(text) for (text,) in connection.execute(query).fetchall())


def _weight(files: Sequence[str]) -> int:
    return sum(size_of(path) * (_PACKING if is_packed(path) else 1) for path in files)
