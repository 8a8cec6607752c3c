"""An input → the DataFrame that a script gets, by the kind of file.

Several files are one table: columns are joined by their names, in the order in which they first appear, and a file
that lacks one has gaps there.
"""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress

import duckdb
import pandas as pd
import pyarrow as pa

from runner.core.source import FileType
from runner.execution.orders import StepInput
from runner.execution.steps.documents import frame_of, load_json, load_ndjson, select_records
from runner.execution.steps.faults import unreadable
from runner.execution.steps.packed import starts_with
from runner.execution.steps.quoting import quote_name, quote_text
from runner.execution.steps.slices import cut_records
from runner.execution.steps.table_files import read_csv_files, read_workbooks

# What pandas makes of JSON by itself: everything else DuckDB reads differently, and pandas is asked instead.
_PLAIN_TYPES = frozenset({"BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR"})
# DuckDB sees dates in strings; to a script they stay the strings that they are.
_TEXT_TYPES = frozenset(
    {"DATE", "TIME", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "TIME WITH TIME ZONE", "UUID"}
)
_UNNAMED = "json"
# In the working folder, which is the run's.
_RECORDS = "records.json"

Connect = Callable[[], duckdb.DuckDBPyConnection]
"""Gives a connection; it may be called more than once."""


def read_data(connect: Connect, source: StepInput, *, timezone: str = "UTC") -> pd.DataFrame:
    """The input as a script gets it. `connect` gives the connection with which JSON is read, `timezone` is the
    zone of times whose offset is known.

    Raises:
        StepError: kind FETCH, a file is not what the job says it is.
    """
    readers: Mapping[FileType, Callable[[], list[pd.DataFrame]]] = {
        FileType.CSV: lambda: read_csv_files(source, timezone=timezone),
        FileType.XLSX: lambda: read_workbooks(source, timezone=timezone),
        FileType.PARQUET: lambda: [_read_parquet(path) for path in source.paths],
        FileType.JSON: lambda: [_read_json(connect, path, source.records_path) for path in source.paths],
        FileType.NDJSON: lambda: [_read_ndjson(connect(), path) for path in source.paths],
    }
    frames = readers[source.format]()
    frame = frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)
    columns = list(source.table.columns)
    return frame if not columns or list(frame.columns) == columns else frame[columns]


def _read_parquet(path: str) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise unreadable("Parquet", str(error)) from error


def _read_json(connect: Connect, path: str, records_path: str | None) -> pd.DataFrame:
    if records_path is None and starts_with(path, b"["):
        frame = _fast_json(connect(), path, "array")
        if frame is not None:
            return frame
    frame = _records_frame(connect, path, records_path)
    if frame is not None:
        return frame
    return frame_of(select_records(load_json(path), records_path))


def _records_frame(connect: Connect, path: str, records_path: str | None) -> pd.DataFrame | None:
    """The records of a large document, by DuckDB; None where it cannot, or they were cut wrong."""
    target = os.path.abspath(_RECORDS)  # noqa: PTH100 - text in, text out
    try:
        return _fast_json(connect(), target, "array") if cut_records(path, records_path, target) else None
    finally:
        with suppress(FileNotFoundError):
            os.unlink(target)  # noqa: PTH108


def _read_ndjson(connection: duckdb.DuckDBPyConnection, path: str) -> pd.DataFrame:
    frame = _fast_json(connection, path, "newline_delimited")
    return frame if frame is not None else frame_of(load_ndjson(path))


def _fast_json(connection: duckdb.DuckDBPyConnection, path: str, layout: str) -> pd.DataFrame | None:
    """What DuckDB reads where it reads the same as pandas; None where it would not."""
    source = quote_text(path)
    # sample_size=-1: types from every record, for a type that is guessed from a part may round the rest.
    options = f"format='{layout}', sample_size=-1, map_inference_threshold=-1, maximum_depth=2"
    try:
        described = connection.execute(
            f"DESCRIBE SELECT * FROM read_json({source}, {options})"  # noqa: S608 - quoted
        ).fetchall()
        types = {name: "VARCHAR" if kind in _TEXT_TYPES else kind for name, kind, *_ in described}
        if not _reads_alike(types):
            return None
        columns = ", ".join(f"{quote_name(name)}: '{kind}'" for name, kind in types.items())
        query = f"SELECT * FROM read_json({source}, format='{layout}', columns={{{columns}}})"  # noqa: S608 - quoted
        # By Arrow: half the memory of DuckDB's own way, and a third of its time.
        table = connection.sql(query).to_arrow_table()
        # A gap may be a null or a missing member: of booleans pandas tells them apart, DuckDB does not.
        if any(pa.types.is_boolean(column.type) and column.null_count for column in table.columns):
            return None
        # Gaps in whole numbers make floats: what pandas makes of the same records.
        frame: pd.DataFrame = table.to_pandas(split_blocks=True, self_destruct=True)
        return frame
    except duckdb.OutOfMemoryException as error:
        raise MemoryError from error
    except duckdb.Error:
        return None


def _reads_alike(types: Mapping[str, str]) -> bool:
    if set(types) == {_UNNAMED} or not set(types.values()) <= _PLAIN_TYPES:
        return False
    # Names that differ in case only are one name to DuckDB, and get a number behind them.
    folded = {name.lower() for name in types}
    return not any(
        stem.lower() in folded and number.isdigit()
        for stem, bar, number in (name.rpartition("_") for name in types)
        if bar
    )
