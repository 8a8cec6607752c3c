"""The cells of a DataFrame as text, and a small table of them as CSV.

The texts are those of `to_csv(index=False)`: floats in their shortest form, booleans as True and False, gaps as
nothing, a column of times as fine as its finest value, lists and other objects as `str` shows them, but arrays as
lists. Floats of 16 and 32 bits are as long ones are: 65504.0 for what `str` shows as 6.55e+04. Small decimals are
plain digits, as those of a query are: 0.0000000000 for what `str` shows as 0E-10. Each text goes through a guard:
`defuse` puts a `'` before one that a spreadsheet would run as a formula.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

Guard = Callable[[str], str]
"""What is done to each text, and each column name, before it is written."""

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
# `-5.3`, `+49`, `-5,3`, `-1e5`: a number to every spreadsheet; or `-00:30:00`, a span of time as databases write
# it. In RE2's terms as well as in Python's.
PLAIN_NUMBER = (
    "[+-](([0-9]+([.,][0-9]*)?|[.,][0-9]+)([eE][+-]?[0-9]+)?|[0-9]+:[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?)"
)
_PLAIN_NUMBER = re.compile(PLAIN_NUMBER)
# What DuckDB quotes: some readers take what follows a # for a comment.
_SPECIAL = re.compile('[",\n\r#]')
_ROWS_AT_ONCE = 10_000
_SHORT = (np.float16, np.float32)
# From here on a float is not known to be the one number that is meant.
_WHOLE_END = 1 << 53
_ARRAYS = (np.ndarray, pd.api.extensions.ExtensionArray, pd.Index)
_NESTED = (*_ARRAYS, list, tuple, dict)
_TICKS_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
# What begins with a minus and is no formula: a number, and a span of time such as `-1 days +23:00:00`.
NO_TEXTS = (Number, timedelta)


class CellKind(StrEnum):
    """How the cells of a column are written."""

    TRUTH = "truth"
    NUMBER = "number"
    TIME = "time"
    TEXT = "text"


def kind_of(dtype: Any) -> CellKind:
    """The kind of a column. NUMBER and TRUTH are those whose values have one text only; TIME has no zone."""
    if isinstance(dtype, pd.CategoricalDtype | pd.SparseDtype):
        return CellKind.TEXT
    if pd.api.types.is_bool_dtype(dtype):
        return CellKind.TRUTH
    if isinstance(dtype, np.dtype):
        if dtype.kind in "iu" or dtype == np.float64:
            return CellKind.NUMBER
        return CellKind.TIME if dtype.kind == "M" else CellKind.TEXT
    nullable = isinstance(dtype, pd.Int64Dtype | pd.Int32Dtype | pd.Int16Dtype | pd.Int8Dtype)
    return CellKind.NUMBER if nullable else CellKind.TEXT


def time_unit(times: pd.Series) -> str:
    """The one precision that `to_csv` gives a whole column of times: `D`, `s`, `ms`, `us` or `ns`."""
    values = times.to_numpy()
    ticks = values[~np.isnat(values)].astype("int64")
    per_second = _TICKS_PER_SECOND[np.datetime_data(values.dtype)[0]]
    if not (ticks % (86_400 * per_second)).any():
        return "D"
    for unit, parts in _TICKS_PER_SECOND.items():
        if parts >= per_second or not (ticks % (per_second // parts)).any():
            return unit
    return "ns"


def texts_of(series: pd.Series, unit: str = "", *, guard: Guard) -> list[str]:
    """The cells of one column; a gap is empty. `unit` is that of a column of times."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        series = series.cat.remove_unused_categories()
        texts = [*texts_of(pd.Series(series.cat.categories), guard=guard), ""]
        # The code of a gap is -1.
        return [texts[code] for code in series.cat.codes]
    kind = kind_of(dtype)
    if kind is CellKind.TIME:
        shown = np.datetime_as_string(series.to_numpy().astype(f"M8[{unit or time_unit(series)}]"))
        return ["" if text == "NaT" else text.replace("T", " ") for text in shown.tolist()]
    plain = kind is not CellKind.TEXT or isinstance(dtype, pd.StringDtype)
    values = series.tolist() if plain else values_of(series)
    cells = zip(values, series.isna().tolist(), strict=True)
    if kind is CellKind.TEXT:
        return [
            "" if gap else number_text(cell) if isinstance(cell, NO_TEXTS) else guard(text_of(cell))
            for cell, gap in cells
        ]
    return ["" if gap else str(cell) for cell, gap in cells]


def values_of(series: pd.Series) -> Any:
    """The cells of a column as they are: a short float keeps its own shortest text, which a long one has not.
    Arrow gives its short ones as long ones, 0.10000000149011612, in whose place are those of numpy."""
    dtype = series.dtype
    if not isinstance(dtype, pd.ArrowDtype) or dtype.kind != "f":
        return series.array
    kind = dtype.pyarrow_dtype.to_pandas_dtype()
    return series.to_numpy(dtype=kind, na_value=np.nan) if kind in _SHORT else series.array


def number_text(number: Any) -> str:
    """A number as text; a small decimal without an exponent. A large one that was rounded keeps it: 1E+2."""
    if isinstance(number, _SHORT):
        return str(long_float(number))
    return format(number, "f") if isinstance(number, Decimal) and number.adjusted() < 0 else str(number)


def long_float(number: Any) -> float:
    """What a float of numpy is as one of 64 bits. A short one is what its text says, as 0.1 is none of them; but a
    whole number is itself, of which that text may lack the last digits."""
    exact = float(number)
    return exact if exact.is_integer() and abs(exact) < _WHOLE_END else float(str(number))


def text_of(value: Any) -> str:
    """An object as text. An array, as of `groupby(…).unique()`, is a list: `str` says what it is, and leaves out
    the middle of a long one."""
    if isinstance(value, _NESTED):
        with suppress(RecursionError):
            return str(_plain(value))
    return str(value)


def _plain(value: Any) -> Any:
    """Arrays, and what is numpy's own within them or within others, as Python has it."""
    if isinstance(value, _ARRAYS):
        return _plain(list(value)) if value.ndim else value
    if type(value) is dict:
        return {key: _plain(inner) for key, inner in value.items()}
    if type(value) in {list, tuple}:
        return type(value)(map(_plain, value))
    if isinstance(value, np.datetime64 | np.timedelta64):
        return str(value)
    if isinstance(value, np.floating):
        return long_float(value)
    return value.item() if isinstance(value, np.generic) else value


def defuse(text: str) -> str:
    """A text that no spreadsheet takes for a formula; a plain number is none."""
    return "'" + text if text.startswith(FORMULA_STARTS) and not _PLAIN_NUMBER.fullmatch(text) else text


def leave(text: str) -> str:
    """The text itself."""
    return text


def guard_of(defuse_formulas: bool) -> Guard:
    """The guard that an order asks for."""
    return defuse if defuse_formulas else leave


def write_cells(frame: pd.DataFrame, names: list[str], path: str, *, guard: Guard) -> None:
    """Write a DataFrame as CSV, without its index and with these column names."""
    columns = [frame.iloc[:, place] for place in range(len(names))]
    units = [time_unit(column) if kind_of(column.dtype) is CellKind.TIME else "" for column in columns]
    with open(path, "wb") as file:  # noqa: PTH123 - `path` is text
        file.write(_line(tuple(map(_quote, map(guard, names)))).encode())
        for start in range(0, len(frame), _ROWS_AT_ONCE):
            pieces = (column.iloc[start : start + _ROWS_AT_ONCE] for column in columns)
            cells = [_quoted(piece, unit, guard) for piece, unit in zip(pieces, units, strict=True)]
            file.write("".join(map(_line, zip(*cells, strict=True))).encode())


def _quoted(series: pd.Series, unit: str, guard: Guard) -> list[str]:
    texts = texts_of(series, unit, guard=guard)
    return [_quote(text) for text in texts] if kind_of(series.dtype) is CellKind.TEXT else texts


def _quote(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if _SPECIAL.search(text) else text


def _line(cells: tuple[str, ...]) -> str:
    # A line with nothing on it is no row to many readers: the one cell is written as "".
    return '""\n' if cells == ("",) else ",".join(cells) + "\n"
