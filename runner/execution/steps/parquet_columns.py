"""The columns of a DataFrame as Arrow keeps them in Parquet: with a type where all cells are of one kind, else as
the texts of a CSV.

Arrow takes the type of the first cells and makes the others fit: of a time among dates it leaves the date, of
`True` among floats 1.0, and of a time with an offset among those without one another time. So the kinds are looked
at first.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from itertools import chain
from math import isnan
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from runner.execution.steps.cells import leave, texts_of

# Arrow keeps these as bare numbers, which nobody else understands.
_AS_TEXT = (pd.PeriodDtype, pd.IntervalDtype)
_KINDS: Mapping[object, tuple[type, ...]] = {
    # Without a form. To numpy a span of time is a number.
    None: (timedelta, np.timedelta64),
    bool: (bool, np.bool_),
    float: (int, float, Decimal, np.number),
    str: (str,),
    bytes: (bytes, bytearray, memoryview),
    # A datetime is a date as well.
    datetime: (datetime,),
    date: (date,),
    time: (time,),
    list: (list, tuple, set, frozenset, np.ndarray),
    Mapping: (Mapping,),
}
_GAPS = {type(None), type(pd.NA), type(pd.NaT)}
# No table is so deep, but a list that holds itself is.
_DEEPEST = 100
_UNFIT = (ValueError, TypeError, OverflowError, pa.ArrowNotImplementedError)


def parquet_column(series: pd.Series) -> pa.Array:
    """A column of a DataFrame, as it is written to Parquet."""
    dtype = series.dtype
    if isinstance(dtype, pd.SparseDtype):
        series = pd.Series(np.asarray(series))
    cells = pd.Series(dtype.categories) if isinstance(dtype, pd.CategoricalDtype) else series
    if _may_have_type(cells):
        try:
            array = pa.array(series, from_pandas=True)
        except _UNFIT:
            # Cells that no type of Arrow has, or larger than any.
            array = None
        if array is not None and _has_form(array.type):
            return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    texts = texts_of(series, guard=leave)
    return pa.array([None if gap else text for text, gap in zip(texts, series.isna(), strict=True)], pa.string())


def _may_have_type(series: pd.Series) -> bool:
    """Whether Arrow changes no cell of a column that it has a type for."""
    dtype = series.dtype
    if isinstance(dtype, _AS_TEXT) or dtype.kind in "mc":
        return False
    if dtype != np.dtype(object):
        return True
    return _are_alike(list(series.array))


def _are_alike(values: Sequence[Any], depth: int = 0) -> bool:
    """Whether values, and what stands at one place within each, are of one kind."""
    values = [value for value in values if not _is_gap(value)]
    classes = set(map(type, values))
    kinds = {_kind_of(one) for one in classes}
    if len(kinds) != 1:
        return not kinds
    (kind,) = kinds
    if kind in {list, Mapping} and depth > _DEEPEST:
        return False
    if kind is list:
        return _are_alike(list(chain.from_iterable(map(_items, values))), depth + 1)
    if kind is Mapping:
        places: dict[object, list[Any]] = {}
        for key, inner in chain.from_iterable(value.items() for value in values):
            places.setdefault(key, []).append(inner)
        return all(_are_alike(inner, depth + 1) for inner in places.values())
    if kind is float:
        return not _are_confused(classes)
    return kind is not None and (kind not in {datetime, time} or _have_one_clock(values))


def _kind_of(cell: type) -> object:
    """What cells must have in common to be of one type of Arrow, by their class."""
    return next((kind for kind, classes in _KINDS.items() if issubclass(cell, classes)), cell)


def _are_confused(numbers: AbstractSet[type]) -> bool:
    """Whether Arrow mistakes some of these numbers, by their classes: among floats a large `uint64` is negative to
    it, and beside whole numbers a short float is a whole one."""
    whole = any(issubclass(one, int | np.integer) for one in numbers)
    floats = any(issubclass(one, float | np.floating) for one in numbers)
    return whole and floats and not numbers.isdisjoint({np.uint64, np.float16})


def _items(value: Any) -> Iterable[Any]:
    """What a list holds; of an array of one type an item tells of all."""
    items: Iterable[Any] = value
    if isinstance(value, np.ndarray):
        items = value.ravel()[: None if value.dtype == np.dtype(object) else 1]
    return items


def _is_gap(value: Any) -> bool:
    return type(value) in _GAPS or (isinstance(value, float) and isnan(value))


def _have_one_clock(times: Iterable[Any]) -> bool:
    """Whether all of some times have an offset, or none has. A time of a day has no form with one, and of times
    that are single Arrow leaves out the nanoseconds."""
    zones = {value.tzinfo is None for value in times}
    if any(isinstance(value, time) for value in times):
        return zones == {True}
    return len(zones) == 1 and not any(getattr(value, "nanosecond", 0) for value in times)


@cache
def _has_form(kind: pa.DataType) -> bool:
    """Whether Parquet has a form for a type of Arrow: it has none for an empty `dict`, and none for a category of
    tuples. Arrow alone knows, so it is asked to write a gap."""
    # Here, as few steps need it.
    from pyarrow.parquet import write_table

    try:
        write_table(pa.Table.from_arrays([pa.nulls(1, kind)], names=["gap"]), pa.BufferOutputStream())
    except (pa.ArrowException, OSError):
        return False
    return True
