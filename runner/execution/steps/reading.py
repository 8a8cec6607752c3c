"""An input → the DataFrame that a script gets, by the kind of file.

Several files are one table: columns are joined by their names, in the order in which they first appear, and a file
that lacks one has gaps there.
"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from pyarrow.types import is_integer, is_nested

from runner.core.source import FileType
from runner.execution.orders import StepInput
from runner.execution.steps.documents import frame_of, load_json, load_ndjson, select_records
from runner.execution.steps.faults import StepError, unreadable
from runner.execution.steps.packed import UNREADABLE, open_bytes
from runner.execution.steps.places import each_file, of_input
from runner.execution.steps.records import read_array, read_lines
from runner.execution.steps.slices import find_records
from runner.execution.steps.table_files import read_csv_files, read_workbooks
from runner.execution.steps.typed import convert, types_of
from runner.execution.steps.whole_numbers import joined, whole_numbers_of

# What Arrow says of a time of a day that Python has no object for, and the type of such times.
_TOO_FINE = "non-zero nanoseconds"
_FINE_TIME = "time64[ns]"


def read_data(source: StepInput, *, timezone: str = "UTC", exact: bool = False) -> pd.DataFrame:
    """The input as a script gets it.

    Args:
        timezone: the zone of times whose offset is known.
        exact: whether whole numbers beside gaps stay what they are, small ones too.

    Raises:
        StepError: kind FETCH, a file is not what the job says it is.
    """
    # Of several files none tells what a column is in all of them.
    several = len(source.paths) > 1
    exact_each = exact or several
    readers: Mapping[FileType, Callable[[], list[pd.DataFrame]]] = {
        FileType.CSV: lambda: read_csv_files(source, timezone=timezone),
        FileType.XLSX: lambda: read_workbooks(source, timezone=timezone, exact=exact_each),
        FileType.PARQUET: lambda: each_file(source.paths, lambda path: _read_parquet(path, exact=exact_each)),
        FileType.JSON: lambda: each_file(
            source.paths, lambda path: _read_json(path, source.records_path, exact=exact_each)
        ),
        FileType.NDJSON: lambda: each_file(source.paths, lambda path: _read_ndjson(path, exact=exact_each)),
    }
    with of_input(source.name):
        frames = readers[source.format]()
    frame = joined(frames, exact=exact, declared=types_of(source.table)) if several else frames[0]
    if source.format is FileType.JSON:
        # The rows of a test: a file of JSON has no options of a table.
        frame = convert(frame, types_of(source.table), timezone=timezone)
    columns = list(source.table.columns)
    return frame if not columns or list(frame.columns) == columns else frame[columns]


def _read_parquet(path: str, *, exact: bool) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path)
        gaps = {name for name in frame.columns if frame[name].dtype == np.float64 and frame[name].hasnans}
        inner = {name for name in frame.columns if frame[name].dtype == np.dtype(object)}
        if gaps or inner:
            # Here, as few steps need it.
            import pyarrow.parquet as pq

            names = [
                field.name
                for field in pq.read_schema(path)
                if (field.name in gaps and is_integer(field.type))
                or (field.name in inner and is_nested(field.type))
            ]
            columns = dict(zip(names, pq.read_table(path, columns=names).columns, strict=True))
            for name, series in whole_numbers_of(columns, exact=exact).items():
                # By place: a frame may have an index that pandas has kept in the file.
                frame[name] = series.array
        return frame
    except (ValueError, OSError) as error:
        if _TOO_FINE in str(error):
            raise _too_fine(path) from error
        raise _twice_named(path) or unreadable("Parquet", str(error)) from error


def _too_fine(path: str) -> StepError:
    """The failure where a time of a day has nanoseconds, which Python's times have not."""
    # Here, as few steps need it.
    import pyarrow.parquet as pq

    kinds = {field.name: str(field.type) for field in pq.read_schema(path)}
    names = ", ".join(repr(name) for name, kind in kinds.items() if _FINE_TIME in kind)
    hint = "Let a query read them, which has nanoseconds, or have them written in microseconds (`time64[us]`)."
    return unreadable(
        "Parquet", f"it has times of a day with nanoseconds, which a script lacks, in {names}", hint=hint
    )


def _twice_named(path: str) -> StepError | None:
    """The failure where a file has two columns of one name, of which Arrow tells in words of its own."""
    # Here, as few steps need it.
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
    except (ValueError, OSError):
        return None
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is None:
        return None
    hint = f'Have each written under a name of its own; to a query the second one is "{twice}_1".'
    return unreadable("Parquet", f"it has more than one column named '{twice}'", hint=hint)


def _read_json(path: str, records_path: str | None, *, exact: bool) -> pd.DataFrame:
    frame = _read_records(path, records_path, exact=exact)
    return frame if frame is not None else frame_of(select_records(load_json(path), records_path), exact=exact)


def _read_records(path: str, records_path: str | None, *, exact: bool) -> pd.DataFrame | None:
    """The array of records that a file is, or that can be found in it at once; None where it is not so plain."""
    try:
        found = find_records(path, records_path)
        if records_path is not None and found is None:
            return None
        with open_bytes(path) as file:
            if found is None:
                return read_array(file, exact=exact)
            begin, end = found
            file.seek(begin)
            return read_array(file, size=end - begin, exact=exact)
    except UNREADABLE:
        # Whoever reads it the other way says why.
        return None


def _read_ndjson(path: str, *, exact: bool) -> pd.DataFrame:
    try:
        with open_bytes(path) as file:
            frame = read_lines(file, exact=exact)
    except UNREADABLE:
        # As above.
        frame = None
    return frame if frame is not None else frame_of(load_ndjson(path), exact=exact)
