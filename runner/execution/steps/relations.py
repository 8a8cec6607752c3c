"""The inputs of a query: a view for each source, which DuckDB reads where the files lie.

What DuckDB cannot read as it is gets ready before: records inside a JSON document and texts in another encoding
are files in the run's folder then, a workbook is a table in memory. Several files are one table, as for a script.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest

import duckdb
import numpy as np
import pandas as pd

from runner.core.source import THE_SOURCE, FileType
from runner.execution.orders import StepInput, StepOrder
from runner.execution.steps.csv_tables import csv_rows, csv_texts, is_aware, line_end_of, no_table, stage_csv
from runner.execution.steps.documents import load_json, select_records
from runner.execution.steps.faults import StepError, memory_error, unreadable
from runner.execution.steps.json_tables import count_objects, json_reader, json_texts
from runner.execution.steps.packed import UNREADABLE, is_packed, read_through, starts_with
from runner.execution.steps.places import each_file, of_input
from runner.execution.steps.query_columns import describe
from runner.execution.steps.quoting import quote_name, quote_text
from runner.execution.steps.reading import read_data
from runner.execution.steps.slices import cut_records
from runner.execution.steps.staged import Relation, files_of, weight_of
from runner.execution.steps.twin_names import may_be_renamed, require_one_order
from runner.execution.steps.typed import (
    DATE,
    STRING,
    is_moment,
    no_number_in,
    refusal_in,
    sql_cell,
    sql_types,
    types_of,
)
from runner.execution.steps.wide_decimals import refused_cells

_STAGED = "input"
_CHEAP_TO_COUNT = 64 << 20
_MUCH_MEMORY_MB = 1024
_FEW_CELLS = 1_000
# What of a message of DuckDB is about the data: the rest is about its own settings.
_TELLING = ("Error when converting", "Expected Number of Columns", "Invalid unicode", "Maximum line size")
_NO_TABLE = "Error when sniffing file"
_JSON_ERROR = "JSON transform error"
_TWICE = "has duplicate key"
_TWICE_HINT = "Have it written once in each object. A script takes the last value of such a key."
_ADVICE = re.compile(r"\s*Try (increasing|setting|specifying) .*")
_STATEMENT = "\nLINE "
_PATH = re.compile(r'file "(?:[^"\n]*/)?([^"/\n]*)"')


def stage(order: StepOrder, connection: duckdb.DuckDBPyConnection) -> tuple[Relation, ...]:
    """The inputs of an order, ready to be opened. The connection is not confined yet.

    Raises:
        StepError: kind FETCH, an input is not what the job says it is.
    """
    relations = []
    for place, source in enumerate(order.inputs):
        with of_input(source.name):
            relations.append(_stage(order, connection, source, place))
    frames = [relation.frame for relation in relations if relation.frame is not None]
    if frames:
        # Left to itself DuckDB looks at a thousand cells of a column, and takes all others for what these are.
        # What is set counts when the query runs, and for all inputs.
        cells = max(_FEW_CELLS, *map(len, frames))
        connection.execute(f"SET pandas_analyze_sample = {cells}")
    return tuple(relations)


def open_relations(connection: duckdb.DuckDBPyConnection, relations: Sequence[Relation]) -> tuple[int | None, ...]:
    """Make the views; the first is `data` too, unless another one is called so. Answers with the number of rows of
    each, None where counting them costs too much.

    Raises:
        StepError: kind FETCH, an input is not what the job says it is; MEMORY.
    """
    counts = []
    for relation in relations:
        with of_input(relation.source.name):
            counts.append(_open(connection, relation))
    if all(relation.view.casefold() != THE_SOURCE for relation in relations):
        first = quote_name(relations[0].view)
        connection.execute(f"CREATE VIEW {THE_SOURCE} AS FROM {first}")
    return tuple(counts)


def texts_of(relation: Relation, name: str) -> str | None:
    """SQL for the cells of one column as the source has written them, in a column of that name; None where they
    are no texts, or the job names their type."""
    if name in types_of(relation.source.table):
        return None
    if relation.source.format is FileType.CSV:
        return csv_texts(relation)
    return json_texts(relation, name) if not relation.source.format.names_columns_always else None


def input_failure(error: Exception, kind: FileType, among: Sequence[Relation] = ()) -> StepError:
    """What DuckDB says of an input, as the failure of the step; `among` has the inputs that it may be about."""
    text = str(error)
    source, path = _place_in(text, among)
    tables = [relation.source.table for relation in among if source in {"", relation.source.name}]
    failure = refusal_in(text) or no_number_in(text, tables) or _unreadable(error, kind)
    failure.source, failure.path = source, path
    return failure


def _unreadable(error: Exception, kind: FileType) -> StepError:
    text = _PATH.sub(r'file "\1"', str(error))
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [_ADVICE.sub("", lines[0]) if lines else type(error).__name__]
    told += [line for line in lines[1:] if line.startswith(_TELLING)]
    hint = _TWICE_HINT if _JSON_ERROR in text and _TWICE in text else ""
    # A query does not know which of its inputs it was.
    called = "Parquet" if kind is FileType.PARQUET else kind.upper()
    return unreadable("JSON" if _JSON_ERROR in text else called, ". ".join(told), hint=hint)


def _place_in(text: str, among: Sequence[Relation]) -> tuple[str, str]:
    """The name of the input that a message of DuckDB is about, and the path of its file as the order has it; each
    is empty where that is not known."""
    # Behind it stands the statement, which has the names of other files.
    told = text.partition(_STATEMENT)[0]
    named = [(file, relation.source.name, path) for relation, file, path in _files_among(among) if file in told]
    if named:
        # One path may be the beginning of another one.
        _, name, path = max(named, key=lambda one: len(one[0]))
        return name, path
    return (among[0].source.name if len(among) == 1 else ""), ""


def is_input_failure(error: Exception) -> bool:
    """Whether an error while a query runs is about the file of an input, and not about the query."""
    text = str(error)
    return "CSV Error on Line" in text or _JSON_ERROR in text or refusal_in(text) is not None


def parquet_failure(
    connection: duckdb.DuckDBPyConnection, error: duckdb.Error, relations: Sequence[Relation]
) -> StepError | None:
    """The failure of a step that has met a damaged part of a Parquet file, whose end, which tells of the columns,
    may be whole; None where the error is not about one."""
    told = str(error).partition(_STATEMENT)[0]
    # What the reader meets within a page DuckDB passes on without a kind of its own, and mostly without the file.
    bare = type(error) is duckdb.Error
    for relation, file, path in _files_among(relations):
        if relation.source.format is FileType.PARQUET and (
            file in told or (bare and _is_damaged(connection, file))
        ):
            failure = _unreadable(error, FileType.PARQUET)
            failure.source, failure.path = relation.source.name, path
            return failure
    return None


def _files_among(relations: Sequence[Relation]) -> Iterator[tuple[Relation, str, str]]:
    """Each file that DuckDB reads, and its path as the order has it."""
    for relation in relations:
        # A workbook is a table in memory, and no file of DuckDB's.
        for file, path in zip(relation.files, relation.source.paths, strict=relation.frame is None):
            yield relation, file, path


def _is_damaged(connection: duckdb.DuckDBPyConnection, path: str) -> bool:
    try:
        rows = f"read_parquet({quote_text(path)})"
        connection.execute(f"SELECT max(hash(cells)) FROM {rows} AS cells").fetchall()  # noqa: S608 - quoted
    except duckdb.Error:
        return True
    return False


def _stage(order: StepOrder, connection: duckdb.DuckDBPyConnection, source: StepInput, place: int) -> Relation:
    if source.format is FileType.XLSX:
        frame = _of_one_type_each(read_data(source, timezone=order.timezone, exact=True))
        return Relation(source=source, view=source.name, frame=frame)
    targets = (os.path.join(order.run_dir, f"{_STAGED}-{place}-{number}") for number in range(len(source.paths)))  # noqa: PTH118
    files = each_file(source.paths, lambda path: _staged_file(connection, source, path, next(targets)))
    sparing = order.memory_mb < _MUCH_MEMORY_MB
    line_end = line_end_of(source, files[0]) if source.format is FileType.CSV else ""
    return Relation(source=source, view=source.name, files=tuple(files), sparing=sparing, line_end=line_end)


def _of_one_type_each(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table, whose columns of several types are texts. DuckDB would make one type of them that not all of
    their cells have: of 1.5 among whole numbers a 2, of the text 007 a 7."""
    several = [
        place
        for place, kind in enumerate(frame.dtypes)
        if kind == np.dtype(object) and frame.iloc[:, place].dropna().map(type).nunique() > 1
    ]
    for place in several:
        frame.isetitem(place, frame.iloc[:, place].map(str, na_action="ignore").array)
    return frame


def _staged_file(connection: duckdb.DuckDBPyConnection, source: StepInput, path: str, target: str) -> str:
    """The file that DuckDB reads: the input, or a new one beside `target`."""
    staged = _readable_file(connection, source, path, target)
    if staged == path and source.format is not FileType.PARQUET and is_packed(path):
        _require_whole(source.format, path)
    return staged


def _require_whole(kind: FileType, path: str) -> None:
    """Refuse a compressed file that is damaged: DuckDB takes a zstd stream that is cut off for one that has ended,
    and does not look at the checksums of gzip."""
    try:
        read_through(path)
    except UNREADABLE as error:
        raise unreadable(kind.upper(), str(error)) from error


def _readable_file(connection: duckdb.DuckDBPyConnection, source: StepInput, path: str, target: str) -> str:
    if source.format is FileType.CSV:
        return stage_csv(source, path, f"{target}.csv")
    if source.format is not FileType.JSON or (source.records_path is None and starts_with(path, b"[")):
        return path
    if cut_records(path, source.records_path, f"{target}.json") and _is_array(connection, f"{target}.json"):
        return f"{target}.json"
    records = select_records(load_json(path), source.records_path)
    if isinstance(records, dict):
        # Not by way of a DataFrame, which has NaN for nulls and makes floats of whole numbers beside them.
        columns = [cells.values() if isinstance(cells, dict) else cells for cells in records.values()]
        records = [dict(zip(records, row, strict=True)) for row in zip_longest(*columns)]
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
            cells = [f"CAST({quote_name(day)} AS DATE) AS {quote_name(day)}" for day in days]
            connection.execute(f"CREATE VIEW {view} AS {_replacing(cells)} FROM {quote_name(name)}")
            return len(relation.frame)
        connection.execute(f"CREATE VIEW {view} AS {_rows(connection, relation)}")
        if relation.source.format is not FileType.PARQUET and weight_of(relation.files) > _CHEAP_TO_COUNT:
            return None
        if not relation.source.format.names_columns_always:
            return count_objects(connection, relation)
        counted = connection.execute(f"SELECT count(*) FROM {view}").fetchall()  # noqa: S608 - quoted
    except duckdb.OutOfMemoryException as error:
        raise memory_error() from error
    except duckdb.Error as error:
        if _NO_TABLE in str(error):
            raise no_table(relation) from error
        raise input_failure(error, relation.source.format, [relation]) from error
    except (OSError, ValueError) as error:
        raise unreadable("Parquet", str(error)) from error
    return int(counted[0][0])


def _rows(connection: duckdb.DuckDBPyConnection, relation: Relation) -> str:
    source = relation.source
    if source.format is FileType.PARQUET:
        if len(relation.files) > 1:
            _require_one_order(connection, relation)
        cells = refused_cells(connection, relation.files)
        # The least and the largest value that a file tells of a column leave NaN out: without the option DuckDB
        # takes it that there is none where these are numbers, and `WHERE NOT isnan(x)` then has NaN in it.
        return f"{_replacing(cells)} FROM read_parquet({files_of(relation)}, can_have_nan => true)"
    if source.format is FileType.CSV:
        return csv_rows(connection, relation)
    if source.format is FileType.JSON:
        return _json_rows(connection, relation)
    return f"FROM {json_reader(connection, relation)}"


def _require_one_order(connection: duckdb.DuckDBPyConnection, relation: Relation) -> None:
    described = connection.execute(f"DESCRIBE FROM read_parquet({files_of(relation)})").fetchall()
    if may_be_renamed(name for name, *_ in described):
        # Here, as few files have such names.
        import pyarrow.parquet as pq

        require_one_order([pq.read_schema(path).names for path in relation.files])


def _json_rows(connection: duckdb.DuckDBPyConnection, relation: Relation) -> str:
    """The rows of JSON; those of a test have texts where the source declares the types of its columns."""
    types = types_of(relation.source.table)
    reader = json_reader(connection, relation, sql_types(types))
    known = describe(connection, f"FROM {reader}", {}) if types else ()
    cells = [
        sql_cell(name, types[name], aware=is_moment(types[name]) and is_aware(connection, reader, name))
        for _, name, kind in known
        if kind == "VARCHAR" and types.get(name, STRING) != STRING
    ]
    return f"{_replacing(cells)} FROM {reader}"


def _replacing(cells: Sequence[str]) -> str:
    """All columns of a table, with the cells of some worked out by SQL of their own."""
    return f"SELECT * REPLACE ({', '.join(cells)})" if cells else "SELECT *"
