"""The columns of a DataFrame as DuckDB takes them exactly.

What has a type there keeps it: numbers are numbers whatever holds them (Float64, Arrow, categories, objects such
as `Decimal` and `int`), dates are dates. All else is the texts of its cells, as a CSV has them.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from runner.execution.steps.cells import leave, long_float, texts_of, values_of

_MASKED = (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray)
_WHOLE = (int, np.integer)
_NUMBERS = (*_WHOLE, float, np.floating, Decimal)
_TRUTHS = (bool, np.bool_)
# Their texts are in order, letter by letter.
_IN_ORDER = (str, pd.Period, date, time, *_NUMBERS)
# DuckDB has decimals of so many digits.
_DIGITS = 38
_UNFIT = (ValueError, TypeError, ArithmeticError, pa.ArrowNotImplementedError)


class FrameColumn(NamedTuple):
    """One column: its cells, and what they are where that is more than DuckDB sees.

    `kind` is set for texts that stand for values without an order, such as `dict`; else it is empty.
    """

    cells: pd.Series
    kind: str = ""


def frame_column(series: pd.Series) -> FrameColumn:
    """A column as DuckDB takes it."""
    if isinstance(series.dtype, pd.SparseDtype):
        series = pd.Series(np.asarray(series))
    if isinstance(series.dtype, pd.CategoricalDtype):
        return _of_categories(series)
    if _is_known(series):
        return FrameColumn(series.reset_index(drop=True))
    gaps = series.isna().tolist()
    values = [None if gap else value for value, gap in zip(values_of(series), gaps, strict=True)]
    kinds = {type(value) for value in values if value is not None}
    cells = _typed(values, kinds)
    if cells is not None:
        return FrameColumn(cells)
    texts = [None if gap else text for text, gap in zip(texts_of(series, guard=leave), gaps, strict=True)]
    return FrameColumn(pd.Series(texts, dtype="str"), _without_order(kinds))


def _is_known(series: pd.Series) -> bool:
    """Whether DuckDB reads a column right as it is."""
    dtype = series.dtype
    if isinstance(dtype, pd.ArrowDtype):
        return _is_known_arrow(dtype.pyarrow_dtype)
    if isinstance(dtype, np.dtype):
        return dtype.kind in "biuM" or dtype in {np.dtype("float32"), np.dtype("float64")}
    return isinstance(dtype, pd.StringDtype | pd.DatetimeTZDtype) or isinstance(series.array, _MASKED)


def _is_known_arrow(kind: pa.DataType) -> bool:
    if pa.types.is_decimal(kind):
        # Of a negative scale DuckDB makes a fault of its own, after which it answers nothing any more.
        return bool(kind.precision <= _DIGITS and kind.scale >= 0)
    known = ("boolean", "integer", "float32", "float64", "string", "large_string", "date", "time", "timestamp")
    return any(getattr(pa.types, f"is_{name}")(kind) for name in known)


def _of_categories(series: pd.Series) -> FrameColumn:
    """By the type of the categories that are used."""
    series = series.cat.remove_unused_categories()
    known = frame_column(pd.Series(series.cat.categories))
    codes = series.cat.codes.to_numpy()
    # The code of a gap is -1.
    cells = pa.array(known.cells, from_pandas=True).take(pa.array(codes, mask=codes < 0))
    return FrameColumn(_series(cells), known.kind)


def _typed(values: Sequence[Any], kinds: set[type]) -> pd.Series | None:
    """Objects as a column of the type that they share; None where they share none that DuckDB knows."""
    if kinds <= {str}:
        return pd.Series(values, dtype="str")
    if all(issubclass(kind, _NUMBERS) and kind not in _TRUTHS for kind in kinds):
        return _numbers(values, kinds)
    with suppress(*_UNFIT):
        if kinds == {date}:
            return _series(pa.array(values, pa.date32()))
        zones = {getattr(value, "tzinfo", None) is not None for value in values if value is not None}
        if kinds == {time} and zones == {False}:
            return _series(pa.array(values, pa.time64("us")))
        if kinds <= {datetime, pd.Timestamp} and len(zones) == 1:
            return pd.to_datetime(pd.Series(values, dtype="object"), utc=zones == {True})
    return None


def _numbers(values: Sequence[Any], kinds: set[type]) -> pd.Series | None:
    """Numbers in the first type that has all of them exactly; None where none has."""
    if any(issubclass(kind, Decimal) for kind in kinds):
        makers: tuple[Callable[[Sequence[Any]], pa.Array], ...] = (_decimals, _doubles)
    elif all(issubclass(kind, _WHOLE) for kind in kinds):
        makers = (_wholes, _decimals, _doubles)
    else:
        makers = (_doubles, _decimals)
    for make in makers:
        with suppress(*_UNFIT):
            return _series(make(values))
    return None


def _wholes(values: Sequence[Any]) -> pa.Array:
    return pa.array([None if value is None else int(value) for value in values], pa.int64())


def _decimals(values: Sequence[Any]) -> pa.Array:
    given = (type(None), Decimal)
    cells = pa.array([value if isinstance(value, given) else Decimal(str(value)) for value in values])
    if cells.type.precision > _DIGITS:
        raise ValueError("too many digits")
    return cells


def _doubles(values: Sequence[Any]) -> pa.Array:
    return pa.array([None if value is None else _double(value) for value in values], pa.float64())


def _double(value: Any) -> float:
    """A number as a long float: a short one as what is meant by it.

    Raises:
        ValueError: there is no such float.
    """
    double = long_float(value) if isinstance(value, np.floating) else float(value)
    if double != value and not isinstance(value, np.floating):
        raise ValueError("not exactly")
    return double


def _series(cells: Any) -> pd.Series:
    """A column that keeps the type of its Arrow cells."""
    return pd.Series(pd.arrays.ArrowExtensionArray(cells))


def _without_order(kinds: set[type]) -> str:
    """The names of the types of cells whose texts say nothing about their order; empty where there are others."""
    if any(issubclass(kind, _IN_ORDER) and kind not in _TRUTHS for kind in kinds):
        return ""
    # In small letters: no type of DuckDB is called so.
    return " or ".join(sorted({kind.__name__.lower() for kind in kinds}))
