"""The columns of a DataFrame as cells of a sheet."""

from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd

from runner.execution.steps.cells import (
    NO_TEXTS,
    CellKind,
    Guard,
    kind_of,
    long_float,
    text_of,
    texts_of,
    time_unit,
    values_of,
)
from runner.execution.steps.sheet import CellStyle, Moment, SheetCell, SheetColumn

_ROWS_AT_ONCE = 10_000
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a sheet knows no zones
# Sheets count days that were not before it: 1900 is a leap year to them.
_FIRST = datetime(1900, 3, 1)  # noqa: DTZ001
_LAST_YEAR = 9999
_MS_PER_DAY = 86_400_000
# By the precision of a column. A sheet knows milliseconds: finer times are texts.
_STYLES = {"D": CellStyle.DAY, "s": CellStyle.SECOND, "ms": CellStyle.FRACTION}
_NATIVE = (type(None), bool, int, float, Decimal)


def sheet_columns(frame: pd.DataFrame, names: list[str], *, guard: Guard) -> list[SheetColumn]:
    """The columns of the sheet."""
    return [SheetColumn(guard(name), _column_style(frame.iloc[:, place])) for place, name in enumerate(names)]


def sheet_rows(frame: pd.DataFrame, *, guard: Guard) -> Iterator[tuple[SheetCell, ...]]:
    """The rows, a piece of the table at a time."""
    units = [_unit(frame.iloc[:, place]) for place in range(frame.shape[1])]
    for start in range(0, len(frame), _ROWS_AT_ONCE):
        piece = frame.iloc[start : start + _ROWS_AT_ONCE]
        cells = (_cells(piece.iloc[:, place], unit, guard) for place, unit in enumerate(units))
        yield from zip(*cells, strict=True)


def sheet_cell(value: Any, guard: Guard) -> SheetCell:
    """One value of any type, which is no gap: number, truth or moment where it is one, else its text."""
    if type(value) in _NATIVE:
        return value  # type: ignore[no-any-return]
    if isinstance(value, str):
        return guard(value) or None
    if isinstance(value, date | time):
        return _moment(value) or guard(str(value))
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, np.floating):
        return long_float(value)
    if isinstance(value, Real):
        return float(value)
    return str(value) if isinstance(value, NO_TEXTS) else guard(text_of(value)) or None


def _column_style(series: pd.Series) -> CellStyle | None:
    return _STYLES.get(_unit(series))


def _unit(series: pd.Series) -> str:
    """The precision of a column of times; empty for any other."""
    return time_unit(series) if kind_of(series.dtype) is CellKind.TIME else ""


def _cells(series: pd.Series, unit: str, guard: Guard) -> list[SheetCell]:
    dtype = series.dtype
    kind = kind_of(dtype)
    if isinstance(dtype, pd.CategoricalDtype):
        # The code of a gap is -1.
        known = [*(sheet_cell(value, guard) for value in values_of(pd.Series(series.cat.categories))), None]
        return [known[code] for code in series.cat.codes]
    if kind is CellKind.TIME:
        return _times(series, guard) if unit in _STYLES else _texts(series, unit, guard)
    if isinstance(dtype, np.dtype) and kind is CellKind.NUMBER:
        return series.tolist()
    plain = kind is CellKind.TRUTH or isinstance(dtype, pd.StringDtype)
    values: Iterable[Any] = series.tolist() if plain else values_of(series)
    gaps = series.isna().tolist()
    return [None if gap else sheet_cell(value, guard) for value, gap in zip(values, gaps, strict=True)]


def _texts(series: pd.Series, unit: str, guard: Guard) -> list[SheetCell]:
    return [text or None for text in texts_of(series, unit, guard=guard)]


def _times(series: pd.Series, guard: Guard) -> list[SheetCell]:
    """Moments of a column that has a style; those outside what a sheet knows as texts."""
    values = series.to_numpy()
    first = np.datetime64(_FIRST).astype(values.dtype)
    years = values.astype("M8[Y]").astype("int64") + 1970
    known = (values >= first) & (years <= _LAST_YEAR)
    serials = (values.astype("M8[ms]") - np.datetime64(_EPOCH, "ms")).astype("int64") / _MS_PER_DAY
    cells: list[SheetCell] = serials.tolist()
    for place in np.flatnonzero(~known).tolist():
        cells[place] = texts_of(series.iloc[[place]], guard=guard)[0] or None
    return cells


def _moment(value: date | time) -> Moment | None:
    """A date or time as a sheet has it; None for one with a zone, finer than milliseconds, or long ago."""
    fine = getattr(value, "microsecond", 0) % 1000 or getattr(value, "nanosecond", 0)
    if fine or getattr(value, "tzinfo", None) is not None:
        return None
    if isinstance(value, time):
        passed = timedelta(
            hours=value.hour, minutes=value.minute, seconds=value.second, microseconds=value.microsecond
        )
        return Moment(
            passed / timedelta(days=1), CellStyle.CLOCK_FRACTION if value.microsecond else CellStyle.CLOCK
        )
    if not isinstance(value, datetime):
        value, style = datetime(value.year, value.month, value.day), CellStyle.DAY  # noqa: DTZ001
    else:
        style = CellStyle.FRACTION if value.microsecond else CellStyle.SECOND
    return Moment((value - _EPOCH) / timedelta(days=1), style) if value >= _FIRST else None
