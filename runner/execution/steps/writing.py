"""A result → `result.csv`: UTF-8, a header always, lines end in LF, and its preview.

DuckDB writes, in a fraction of the time that `DataFrame.to_csv` takes; the values are those of
`to_csv(index=False)`: floats in their shortest form, booleans as True and False, gaps as nothing, a column of
dates without its midnights, lists and other objects as `str` shows them. A cell of a text column that a
spreadsheet would run as a formula gets a `'` before it, and so does such a column name.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb
import numpy as np
import pandas as pd

from runner.core.run import FailureKind, Preview
from runner.execution.orders import PREVIEW_COLUMNS, cut
from runner.execution.steps.faults import StepError
from runner.execution.steps.quoting import quote_name, quote_text

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_CELL_WIDTH = 200
_FRAME = "runner_result"
_COPY_OPTIONS = "FORMAT csv, HEADER, DELIMITER ',', QUOTE '\"', ESCAPE '\"', USE_TMP_FILE false"
_DAY = "%Y-%m-%d"
_NANOSECONDS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of what is written: its name, the SQL that gives its cells, and whether they are numbers."""

    name: str
    cells: str
    numeric: bool


def text_cells(expression: str) -> str:
    """SQL for the cells of a text column: formulas defused, empty texts as nothing."""
    starts = ", ".join(f"chr({ord(letter)})" for letter in FORMULA_STARTS)
    first = f"left({expression}, 1)"
    return f"CASE WHEN {first} IN ({starts}) THEN '''' || {expression} ELSE nullif({expression}, '') END"


def defuse(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return "'" + text if text.startswith(FORMULA_STARTS) else text


def copy_statement(columns: Sequence[Column], source: str, path: str) -> str:
    """The COPY that writes `source`, a table expression, to `path`."""
    cells = [column.cells for column in columns]
    if len(cells) == 1:
        # A line with nothing on it is no row to many readers: the one cell is written as "".
        cells = [f"coalesce(CAST({cells[0]} AS VARCHAR), '')"]
    named = (f"{cell} AS {quote_name(defuse(column.name))}" for cell, column in zip(cells, columns, strict=True))
    query = f"SELECT {', '.join(named)} FROM {source}"  # noqa: S608 - quoted
    return f"COPY ({query}) TO {quote_text(path)} ({_COPY_OPTIONS})"


def write_frame(connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame, path: str) -> tuple[bool, ...]:
    """Write a DataFrame to a file, without its index; says which columns are numbers.

    Raises:
        StepError: kind RESULT, two columns have one name, or there is no column.
    """
    names = column_names(frame)
    prepared, columns = _prepare(frame, names)
    numeric = tuple(column.numeric for column in columns)
    folded = {name.casefold() for name in names}
    if len(folded) < len(names) or "" in folded:
        # Names that DuckDB does not keep apart, or does not know.
        _write_slowly(frame.set_axis(names, axis=1), path)
        return numeric
    connection.register(_FRAME, prepared)
    try:
        connection.execute(copy_statement(columns, _FRAME, path))
    except duckdb.OutOfMemoryException as error:
        raise MemoryError from error
    except duckdb.Error:
        # A column that DuckDB cannot take, such as one of an extension type.
        _write_slowly(frame.set_axis(names, axis=1), path)
    finally:
        connection.unregister(_FRAME)
    return numeric


def column_names(frame: pd.DataFrame) -> list[str]:
    """The names as text; those of several levels are joined with `_`: (amount, sum) is `amount_sum`.

    Raises:
        StepError: kind RESULT, two columns have one name, or there is no column.
    """
    labels: list[object] = list(frame.columns)
    names = [
        "_".join(str(part) for part in label if part != "")
        if isinstance(label, tuple)
        else ("" if label is None else str(label))
        for label in labels
    ]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise StepError(
            FailureKind.RESULT,
            f"`result` has more than one column named {', '.join(map(repr, twice))}",
            hint='Give each its own name, as in result = result.set_axis(["a", "b"], axis=1).',
        )
    if not names:
        raise StepError(
            FailureKind.RESULT,
            "`result` has no columns",
            hint="Look at `data` with print(data.columns): the input may have been empty.",
        )
    return names


def read_preview(path: str, *, rows: int, numeric: Sequence[bool], total_rows: int) -> Preview:
    """The first rows of the result, as it was written."""
    csv.field_size_limit(1 << 30)
    with open(path, encoding="utf-8", newline="") as file:  # noqa: PTH123 - `path` is text
        lines = csv.reader(file)
        header = next(lines, [])
        shown = [line for line, _ in zip(lines, range(rows), strict=False)]
    return Preview(
        columns=tuple(cut(name, _CELL_WIDTH) for name in header[:PREVIEW_COLUMNS]),
        numeric=tuple(numeric[:PREVIEW_COLUMNS]),
        rows=tuple(tuple(cut(cell, _CELL_WIDTH) for cell in line[:PREVIEW_COLUMNS]) for line in shown),
        total_rows=total_rows,
        total_columns=len(header),
    )


def _prepare(frame: pd.DataFrame, names: list[str]) -> tuple[pd.DataFrame, list[Column]]:
    """The columns in a form that DuckDB reads exactly, and how to write each."""
    prepared: dict[str, pd.Series] = {}
    columns = []
    for place, name in enumerate(names):
        key = f"c{place}"
        series, cells, numeric = _column(frame.iloc[:, place], key)
        prepared[key] = series
        columns.append(Column(name=name, cells=cells, numeric=numeric))
    return pd.DataFrame(prepared, copy=False), columns


def _column(series: pd.Series, key: str) -> tuple[pd.Series, str, bool]:
    kind = series.dtype
    series = series.reset_index(drop=True)
    if pd.api.types.is_bool_dtype(kind):
        return series, f"CASE {key} WHEN true THEN 'True' WHEN false THEN 'False' END", False
    if isinstance(kind, np.dtype) and (kind.kind in "iu" or kind == np.float64):
        return series, key, True
    if isinstance(kind, pd.Int64Dtype | pd.Int32Dtype | pd.Int16Dtype | pd.Int8Dtype):
        return series, key, True
    if isinstance(kind, np.dtype) and kind.kind == "M":
        return series, f"strftime({key}, {quote_text(_time_format(series))})", False
    return _as_text(series), text_cells(key), pd.api.types.is_numeric_dtype(kind)


def _time_format(series: pd.Series) -> str:
    """The one format that `to_csv` gives a whole column: as fine as its finest value."""
    values = series.dropna().to_numpy(dtype=series.to_numpy().dtype)
    unit = np.datetime_data(values.dtype)[0]
    ticks = values.astype("int64")
    factor = _NANOSECONDS.get(unit, 1)
    if not (ticks % (86_400 * 10**9 // factor)).any():
        return _DAY
    second, milli, micro = 10**9 // factor, 10**6 // factor, 10**3 // factor
    if not (ticks % second).any():
        return f"{_DAY} %H:%M:%S"
    if not milli or not (ticks % milli).any():
        return f"{_DAY} %H:%M:%S.%g"
    return f"{_DAY} %H:%M:%S.%f" if not micro or not (ticks % micro).any() else f"{_DAY} %H:%M:%S.%n"


def _as_text(series: pd.Series) -> pd.Series:
    if isinstance(series.dtype, pd.StringDtype):
        return series
    if isinstance(series.dtype, pd.CategoricalDtype):
        series = series.astype(series.cat.categories.dtype)
        return _as_text(series)
    # Each cell by itself: a short float keeps its own shortest form, which its conversion to a long one has not.
    cells = [None if gap else str(cell) for cell, gap in zip(series.array, series.isna(), strict=True)]
    return pd.Series(cells, dtype="str")


def _write_slowly(frame: pd.DataFrame, path: str) -> None:
    """What `to_csv` writes, defused."""
    safe = frame.rename(columns=defuse)
    for place, kind in enumerate(frame.dtypes):
        if not pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_datetime64_any_dtype(kind):
            cells = frame.iloc[:, place].astype(object)
            safe.isetitem(place, list(cells.map(lambda cell: defuse(str(cell)), na_action="ignore")))
    # All cells quoted: the csv module leaves a carriage return bare that readers take for the end of a line.
    safe.to_csv(path, index=False, lineterminator="\n", encoding="utf-8", quoting=csv.QUOTE_ALL)
