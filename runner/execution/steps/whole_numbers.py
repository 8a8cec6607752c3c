"""Whole numbers beside gaps: pandas makes floats of them, which are not exact from 2^53 on.

A script gets them as pandas has them, as long as nothing is lost by it; else, and where a table is only passed on,
they stay whole numbers (`Int64`).
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

_LARGEST_FLOAT = 1 << 53
# Without zeros in front, which would be lost: they belong to a key, such as a number of a parcel.
_WHOLE = re.compile(r"[+-]?(0|[1-9][0-9]{0,37})", re.ASCII)
_NUMBERS = {np.dtype("int64"), np.dtype("float64"), pd.Int64Dtype()}
_UNSIGNED = {np.dtype("uint64"), pd.UInt64Dtype()}
_NULLABLE = {pa.int64(): pd.Int64Dtype(), pa.uint64(): pd.UInt64Dtype()}


def whole_numbers_of(columns: Mapping[str, pa.ChunkedArray], *, exact: bool) -> dict[str, pd.Series]:
    """Those of some columns that must not become floats, by name. Lists, structs and maps that would lose digits
    are lists and `dict` of Python.

    Args:
        exact: whether small ones must not either; those within others become floats.
    """
    found = {
        name: pd.Series(column.to_pandas(types_mapper=_NULLABLE.get))
        for name, column in columns.items()
        if column.type in _NULLABLE and column.null_count and (exact or _is_large(column))
    }
    inner = {name: column for name, column in columns.items() if pa.types.is_nested(column.type)}
    return found | {
        name: pd.Series(column.to_pylist(), dtype="object")
        for name, column in inner.items()
        if _loses_digits(column)
    }


def table_frame(table: pa.Table) -> pd.DataFrame:
    """A table of Arrow as pandas has it, whose large whole numbers beside gaps stay what they are."""
    frame: pd.DataFrame = table.to_pandas()
    if frame.columns.is_unique and len(set(table.column_names)) == table.num_columns:
        columns = {name: table.column(name) for name in table.column_names if name in frame.columns}
        for name, series in whole_numbers_of(columns, exact=False).items():
            # By place: a frame may have an index that pandas has kept in the table.
            frame[name] = series.array
    return frame


def keep_whole_numbers(frame: pd.DataFrame, cells: Callable[[str], list[Any]], *, exact: bool) -> None:
    """Put back what became floats in a frame of Python objects: `cells` gives those of a column, as they came."""
    if not frame.columns.is_unique:
        return
    for name in [name for name, kind in frame.dtypes.items() if kind == np.float64 and frame[name].hasnans]:
        values = cells(str(name))
        # A column may be a name in some rows of an index only: there are gaps without a cell then.
        if len(values) != len(frame) or {type(value) for value in values} != {int, type(None)}:
            continue
        try:
            column = pa.chunked_array([pa.array(values, pa.int64())])
        except OverflowError:
            frame[name] = pd.Series(values, dtype="object", index=frame.index)
            continue
        for series in whole_numbers_of({str(name): column}, exact=exact).values():
            frame[name] = series.array


def read_whole_texts(frame: pd.DataFrame, *, declared: Collection[str], gaps: Collection[str]) -> None:
    """Make Python's numbers of the columns of a CSV that pandas has left texts, gaps too, as no type of 64 bits
    holds them: whole numbers from 2^63 on beside gaps or numbers below 0.

    Args:
        declared: columns whose types the job says.
        gaps: the texts that are gaps.
    """
    if not frame.columns.is_unique:
        return
    for name in [name for name in frame.columns if name not in declared]:
        column = frame[name]
        if isinstance(column.dtype, pd.StringDtype) and (values := _whole_values(column, gaps)):
            frame[name] = pd.Series(values, dtype="object", index=frame.index)


def _whole_values(texts: pd.Series, gaps: Collection[str]) -> list[int | None]:
    """The whole numbers that texts are; nothing where one is another text."""
    values: list[int | None] = []
    for text in texts.array:
        if not isinstance(text, str) or text in gaps:
            values.append(None)
        elif _WHOLE.fullmatch(text):
            values.append(int(text))
        else:
            return []
    return values


def floats_that_lost_digits(frames: Sequence[pd.DataFrame], *, declared: Collection[str]) -> list[list[str]]:
    """For each of the tables that are one, the columns of floats beside gaps whose numbers may have been whole and
    more exact: they reach 2^53, there or in another table, and none has a fraction.

    Args:
        declared: columns whose types the job says.
    """
    gaps = [
        [str(name) for name, kind in frame.dtypes.items() if kind == np.float64 and frame[name].hasnans]
        for frame in frames
    ]
    large = {
        name
        for name in {name for names in gaps for name in names if name not in declared}
        if _may_have_lost_digits([frame[name] for frame in frames if name in frame.columns])
    }
    return [[name for name in names if name in large] for names in gaps]


def joined(frames: Sequence[pd.DataFrame], *, exact: bool, declared: Collection[str]) -> pd.DataFrame:
    """Several tables, each read with its whole numbers exact, as one.

    Args:
        exact: whether whole numbers beside gaps stay what they are, small ones too.
        declared: columns whose types the job says.
    """
    if not all(frame.columns.is_unique for frame in frames):
        return pd.concat(frames, ignore_index=True)
    order = list(dict.fromkeys(name for frame in frames for name in frame.columns))
    # Of a table without rows nothing is known but its names: pandas would make objects of the columns of all.
    filled = [frame for frame in frames if len(frame)] or frames
    frame = _filled_joined(filled, exact=exact, declared=declared)
    for empty in frames:
        for name in [name for name in empty.columns if name not in frame.columns]:
            frame[name] = empty[name].reindex(frame.index)
    return frame if list(frame.columns) == order else frame[order]


def _filled_joined(frames: Sequence[pd.DataFrame], *, exact: bool, declared: Collection[str]) -> pd.DataFrame:
    names = dict.fromkeys(name for frame in frames for name in frame.columns if name not in declared)
    found = {name: [frame[name] for frame in frames if name in frame.columns] for name in names}
    whole = [name for name, columns in found.items() if _is_whole(columns)]
    types = dict.fromkeys((name for name, columns in found.items() if _is_mixed(columns)), "float64")
    types |= dict.fromkeys(whole, "Int64")
    types |= dict.fromkeys((name for name, columns in found.items() if _has_truth_apart(columns)), "object")
    past = [name for name, columns in found.items() if _passes_64_bits(columns, len(frames))]
    types |= dict.fromkeys(past, "object")
    frame = pd.concat(
        [frame.astype({name: kind for name, kind in types.items() if name in frame.columns}) for frame in frames],
        ignore_index=True,
    )
    for name in whole:
        column = frame[name]
        if not column.hasnans:
            frame[name] = column.astype("int64")
        elif not exact and not _is_large(pa.chunked_array([pa.array(column)])):
            frame[name] = column.astype("float64")
    for name in past:
        frame[name] = _past_64_bits(frame[name], exact=exact)
    return frame


def _past_64_bits(cells: pd.Series, *, exact: bool) -> pd.Series:
    """Whole numbers and gaps, of which some may be 2^63 or more, in the type that a single file would have."""
    values = [None if pd.isna(value) else int(value) for value in cells.array]
    found = [value for value in values if value is not None]
    if len(found) < len(values):
        kind = "object" if exact or max(map(abs, found)) > _LARGEST_FLOAT else "float64"
    else:
        kind = "uint64" if min(found) >= 0 else "object"
    return pd.Series(values, dtype=kind, index=cells.index)


def _is_whole(columns: Sequence[pd.Series]) -> bool:
    """Whether the cells of a column are whole numbers in each file where there are any."""
    kinds = {column.dtype for column in columns if not column.isna().all()}
    return (
        bool(kinds)
        and kinds <= {np.dtype("int64"), pd.Int64Dtype()}
        and all(column.dtype.kind in "iuf" for column in columns)
    )


def _is_mixed(columns: Sequence[pd.Series]) -> bool:
    """Whether the cells of a column are whole numbers in one file and floats in another: pandas would make floats
    of them that are nullable, and are so nowhere else."""
    kinds = {column.dtype for column in columns}
    return {np.dtype("float64"), pd.Int64Dtype()} <= kinds <= _NUMBERS


def _passes_64_bits(columns: Sequence[pd.Series], files: int) -> bool:
    """Whether a column has whole numbers from 2^63 on in one file, and others or gaps in another one: pandas would
    make floats of them all. Of a single file they are Python's numbers, unless none is below 0 and none a gap."""
    kinds = {column.dtype for column in columns if not column.isna().all()}
    is_alike = len({column.dtype for column in columns}) == 1 and len(columns) == files
    return bool(kinds & _UNSIGNED) and all(map(pd.api.types.is_integer_dtype, kinds)) and not is_alike


def _has_truth_apart(columns: Sequence[pd.Series]) -> bool:
    """Whether a column has truth values in one file, and none in another: pandas would make 1 and 0 of them beside
    numbers, of which a column without a value is one."""
    return len({column.dtype == np.dtype(bool) for column in columns}) > 1


def _is_large(column: pa.ChunkedArray) -> bool:
    bounds = pc.min_max(column).as_py()
    return bounds["min"] is not None and max(-bounds["min"], bounds["max"]) > _LARGEST_FLOAT


def _loses_digits(column: pa.ChunkedArray | pa.Array) -> bool:
    """Whether pandas makes floats of large whole numbers: where there are gaps beside them."""
    if column.type in _NULLABLE:
        return bool(column.null_count) and _is_large(column)
    chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
    found: dict[int, list[pa.Array]] = {}
    for chunk in chunks if pa.types.is_nested(column.type) else []:
        for place, part in enumerate(_parts(chunk)):
            found.setdefault(place, []).append(part)
    return any(_loses_digits(pa.chunked_array(parts)) for parts in found.values())


def _parts(column: pa.Array) -> list[pa.Array]:
    """What lists, structs and maps hold, each as one column."""
    if pa.types.is_map(column.type):
        return [column.keys, column.items]
    if pa.types.is_struct(column.type):
        return list(column.flatten())
    return [column.flatten()] if hasattr(column, "flatten") else []


def _may_have_lost_digits(columns: Sequence[pd.Series]) -> bool:
    return any(map(_reaches_limit, columns)) and not any(map(_has_fraction, columns))


def _reaches_limit(column: pd.Series) -> bool:
    return column.dtype.kind in "iuf" and max(-float(column.min()), float(column.max())) >= _LARGEST_FLOAT


def _has_fraction(column: pd.Series) -> bool:
    return column.dtype.kind == "f" and bool((column.dropna() % 1 != 0).any())
