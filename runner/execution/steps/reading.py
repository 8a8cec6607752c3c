"""A file → the DataFrame `data`, by the kind of file."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import duckdb
import jmespath
import pandas as pd

from runner.core.run import FailureKind
from runner.core.source import FileType
from runner.execution.steps.faults import StepError
from runner.execution.steps.quoting import quote_name, quote_text

# What pandas makes of JSON by itself: everything else DuckDB reads differently, and pandas is asked instead.
_PLAIN_TYPES = frozenset({"BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR"})
# DuckDB sees dates in strings; to a script they stay the strings that they are.
_TEXT_TYPES = frozenset(
    {"DATE", "TIME", "TIMESTAMP", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE", "TIME WITH TIME ZONE", "UUID"}
)
_UNNAMED = "json"
_JSON_HINT = "Look at the file, or ask the API with curl: this job's `data_source` says that it is JSON."


def read_data(
    connect: Callable[[], duckdb.DuckDBPyConnection],
    path: str,
    kind: FileType,
    records_path: str | None,
) -> pd.DataFrame:
    """The input as a script gets it. `connect` gives the connection with which JSON is read.

    Raises:
        StepError: kind FETCH, the file is not what the job says it is.
    """
    readers: Mapping[FileType, Callable[[], pd.DataFrame]] = {
        FileType.CSV: lambda: _read_csv(path),
        FileType.PARQUET: lambda: _read_parquet(path),
        FileType.JSON: lambda: _read_json(connect, path, records_path),
        FileType.NDJSON: lambda: _read_ndjson(connect(), path),
    }
    return readers[kind]()


def _read_csv(path: str) -> pd.DataFrame:
    try:
        return pd.read_csv(path)
    except pd.errors.EmptyDataError as error:
        raise _unreadable("CSV", "it is empty", hint="A CSV file starts with a line of column names.") from error
    except (pd.errors.ParserError, ValueError, OSError) as error:
        raise _unreadable("CSV", str(error)) from error


def _read_parquet(path: str) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise _unreadable("Parquet", str(error)) from error


def _read_json(
    connect: Callable[[], duckdb.DuckDBPyConnection], path: str, records_path: str | None
) -> pd.DataFrame:
    if records_path is None and starts_with(path, b"["):
        frame = _fast_json(connect(), path, "array")
        if frame is not None:
            return frame
    return frame_of(select_records(load_json(path), records_path))


def _read_ndjson(connection: duckdb.DuckDBPyConnection, path: str) -> pd.DataFrame:
    frame = _fast_json(connection, path, "newline_delimited")
    return frame if frame is not None else frame_of(load_ndjson(path))


def load_json(path: str) -> Any:
    """The document in a file.

    Raises:
        StepError: kind FETCH, it is no JSON.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123 - `path` is text
            return json.load(file)
    except json.JSONDecodeError as error:
        raise _unreadable("JSON", f"{error.msg} at line {error.lineno}, column {error.colno}") from error
    except (ValueError, RecursionError, OSError) as error:
        raise _unreadable("JSON", str(error)) from error


def load_ndjson(path: str) -> list[Any]:
    """The documents in a file that has one on each line; empty lines are passed over.

    Raises:
        StepError: kind FETCH, a line is no JSON.
    """
    records = []
    try:
        with open(path, encoding="utf-8-sig") as file:  # noqa: PTH123 - `path` is text
            for number, line in enumerate(file, start=1):
                if line.strip():
                    try:
                        records.append(json.loads(line))
                    except json.JSONDecodeError as error:
                        raise _unreadable("NDJSON", f"line {number}: {error.msg}") from error
    except (UnicodeDecodeError, RecursionError, OSError) as error:
        raise _unreadable("NDJSON", str(error)) from error
    return records


def select_records(document: Any, records_path: str | None) -> Any:
    """The array of records in a document, or, where it is written by columns, the columns.

    `records_path` is JMESPath. Without it the document must be an array, an object of columns that are equally
    long arrays, or what `DataFrame.to_json` writes: an object of objects with the same members.

    Raises:
        StepError: kind FETCH, there are none there.
    """
    if records_path is not None:
        return _follow(document, records_path)
    if isinstance(document, list) or (isinstance(document, dict) and _is_by_columns(document)):
        return document
    if not isinstance(document, dict):
        raise _unreadable("JSON", f"it holds {_describe(document)}, no array of records")
    arrays = [f"`records_path: {name}`" for name, value in document.items() if isinstance(value, list)]
    raise _unreadable(
        "JSON",
        "it holds an object, and the job does not say where in it the records are",
        hint=f"Add {' or '.join(arrays[:3])} to `data_source`."
        if arrays
        else "Add `records_path:` to `data_source`: a JMESPath to the array of records.",
    )


def frame_of(records: Any) -> pd.DataFrame:
    """A DataFrame of records, or of columns, as `select_records` gives them.

    Raises:
        StepError: kind FETCH, they are no objects.
    """
    if isinstance(records, dict):
        frame = pd.DataFrame(records)
        return frame if _has_lists(records) else frame.set_axis(range(len(frame)), axis=0)
    wrong = next((place for place, record in enumerate(records) if not isinstance(record, dict)), None)
    if wrong is not None:
        raise _unreadable(
            "JSON",
            f"record {wrong + 1} is {_describe(records[wrong])}, not an object",
            hint='Records are objects: [{"name": "a", "amount": 1}, …].',
        )
    return pd.DataFrame(records)


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
        frame = connection.execute(query).df()
        # A gap may be a null or a missing member: of booleans pandas tells them apart, DuckDB does not.
        return None if pd.BooleanDtype() in set(frame.dtypes) else _as_pandas_would(frame)
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


def _as_pandas_would(frame: pd.DataFrame) -> pd.DataFrame:
    """Gaps in whole numbers make floats: what pandas makes of the same records."""
    for name, kind in frame.dtypes.items():
        if isinstance(kind, pd.Int64Dtype):
            frame[name] = frame[name].astype("float64")
    return frame


def _follow(document: Any, records_path: str) -> list[Any]:
    try:
        found = jmespath.search(records_path, document)
    except jmespath.exceptions.JMESPathError as error:
        raise StepError(
            FailureKind.FETCH,
            f"`records_path: {records_path}` cannot be followed: {error}",
            hint="It is a JMESPath such as `items` or `response.rows`.",
        ) from error
    if isinstance(found, list):
        return found
    members = f"; the object has {', '.join(map(str, list(document)[:10]))}" if isinstance(document, dict) else ""
    raise StepError(
        FailureKind.FETCH,
        f"`records_path: {records_path}` finds {_describe(found)}, no array of records{members}",
        hint=_JSON_HINT,
    )


def _is_by_columns(document: dict[str, Any]) -> bool:
    if _has_lists(document):
        return len({len(column) for column in document.values()}) == 1 and not any(
            isinstance(cell, dict) for column in document.values() for cell in column
        )
    columns = list(document.values())
    return bool(columns) and all(
        isinstance(column, dict) and column and list(column) == [str(place) for place in range(len(column))]
        for column in columns
    )


def _has_lists(document: dict[str, Any]) -> bool:
    return bool(document) and all(isinstance(column, list) for column in document.values())


def starts_with(path: str, first: bytes) -> bool:
    """Whether `first` is the first byte of a file that is no space and no byte order mark."""
    with open(path, "rb") as file:  # noqa: PTH123 - `path` is text
        return file.read(4096).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == first


def _describe(value: object) -> str:
    names = {type(None): "nothing", bool: "a boolean", int: "a number", float: "a number", str: "a text"}
    return names.get(type(value), "an array" if isinstance(value, list) else "an object")


def _unreadable(kind: str, reason: str, *, hint: str = "") -> StepError:
    return StepError(
        FailureKind.FETCH,
        f"the data cannot be read as {kind}: {reason}",
        hint=hint or (_JSON_HINT if "JSON" in kind else "Look at the file: is it what `data_source` says it is?"),
    )
