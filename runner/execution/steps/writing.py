"""A result → `result.csv`: UTF-8, a header always, lines end in LF, and its preview.

There are two writers of the same bytes: DuckDB takes a large table, in a fraction of the time of
`DataFrame.to_csv`; a small one is written by `cells`, in less time than DuckDB takes to be asked.

What has no form of its own in CSV is written the same way always. A gap is nothing. A column of several types has
the text of each cell. A time with a zone has its offset behind it (`2025-01-31 11:00:00+01:00`; SQL writes `+01`).
Lists, dicts and other objects are as Python shows them, and in SQL lists and structs as DuckDB does
(`{'a': 1}`, `[1, 2]`). Columns of several levels are joined by `_`; two columns of one name are refused.
"""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pandas as pd

from runner.core.csv_cells import allow_long_cells
from runner.core.preview import Preview
from runner.core.run import FailureKind
from runner.execution.orders import PREVIEW_COLUMNS, cut
from runner.execution.steps.cells import (
    FORMULA_STARTS,
    PLAIN_NUMBER,
    CellKind,
    Guard,
    defuse,
    kind_of,
    texts_of,
    time_unit,
    write_cells,
)
from runner.execution.steps.faults import NO_COLUMNS_HINT, StepError, disk_error
from runner.execution.steps.quoting import quote_name, quote_text

# So many cells take either writer some 10 ms. DuckDB plans a column of texts for more than a millisecond and in
# much memory, however few its rows are: so many columns it has planned by then.
SMALL = 20_000
_PLANNED = 40
_CELL_WIDTH = 200
_FRAME = "the result"
_COPY_OPTIONS = "FORMAT csv, HEADER, DELIMITER ',', QUOTE '\"', ESCAPE '\"', USE_TMP_FILE false"
_TIME_FORMATS = {
    "D": "%Y-%m-%d",
    "s": "%Y-%m-%d %H:%M:%S",
    "ms": "%Y-%m-%d %H:%M:%S.%g",
    "us": "%Y-%m-%d %H:%M:%S.%f",
    "ns": "%Y-%m-%d %H:%M:%S.%n",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """One column of what is written: its name, the SQL that gives its cells, and whether they are numbers."""

    name: str
    cells: str
    numeric: bool


def text_cells(expression: str, *, guard: Guard) -> str:
    """SQL for the cells of a text column: guarded, empty texts as nothing."""
    if guard is not defuse:
        return f"nullif({expression}, '')"
    # One by one: DuckDB makes a join of a long IN, and a join loses the order of the rows.
    starts = " OR ".join(f"ascii({expression}) = {ord(letter)}" for letter in FORMULA_STARTS)
    plain = f"regexp_full_match({expression}, {quote_text(PLAIN_NUMBER)})"
    # A CASE of its own: only the few texts that start so are matched.
    defused = f"CASE WHEN {plain} THEN {expression} ELSE '''' || {expression} END"
    # Most begin with a letter or a digit, which a comparison tells in less time than the code of the sign.
    letter, digit = f"{expression} >= 'A'", f"{expression} >= '0' AND {expression} < ':'"
    common = f"WHEN {letter} THEN {expression} WHEN {digit} THEN {expression}"
    return f"CASE {common} WHEN {starts} THEN {defused} ELSE nullif({expression}, '') END"


def copy_statement(columns: Sequence[Column], source: str, path: str, *, guard: Guard) -> str:
    """The COPY that writes `source`, a table expression, to `path`."""
    cells = [column.cells for column in columns]
    if len(cells) == 1:
        # A line with nothing on it is no row to many readers: the one cell is written as "".
        cells = [f"coalesce(CAST({cells[0]} AS VARCHAR), '')"]
    named = (f"{cell} AS {quote_name(guard(column.name))}" for cell, column in zip(cells, columns, strict=True))
    query = f"SELECT {', '.join(named)} FROM {source}"  # noqa: S608 - quoted
    return f"COPY ({query}) TO {quote_text(path)} ({_COPY_OPTIONS})"


def write_frame(
    connect: Callable[[], duckdb.DuckDBPyConnection],
    frame: pd.DataFrame,
    path: str,
    *,
    guard: Guard,
    small: int = SMALL,
) -> tuple[bool, ...]:
    """Write a DataFrame to a file, without its index; says which columns are numbers.

    Args:
        connect: gives the connection with which a table of more than `small` cells is written, in as many rows
            as make that worth it.

    Raises:
        StepError: kind RESULT, two columns have one name, or there is no column; DISK, the file is too large, or
            the disk full.
    """
    names = column_names(frame)
    if len(frame) * min(len(names), _PLANNED) <= small or not _write_fast(connect(), frame, names, path, guard):
        write_cells(frame, names, path, guard=guard)
    return tuple(map(_is_number, frame.dtypes))


def _write_fast(
    connection: duckdb.DuckDBPyConnection, frame: pd.DataFrame, names: list[str], path: str, guard: Guard
) -> bool:
    """Let DuckDB write; False where it cannot."""
    folded = {name.casefold() for name in names}
    if len(folded) < len(names) or "" in folded:
        # Names that DuckDB does not keep apart, or does not know.
        return False
    prepared, columns = _prepare(frame, names, guard)
    try:
        connection.register(_FRAME, prepared)
        connection.execute(copy_statement(columns, quote_name(_FRAME), path, guard=guard))
    except duckdb.Error as error:
        full = disk_error(error)
        if full is not None:
            raise full from error
        # A column that it cannot take, such as one of an extension type; or more of them than it has memory for.
        return False
    finally:
        connection.unregister(_FRAME)
    return True


def names_as_text(frame: pd.DataFrame) -> list[str]:
    """The names as text; those of several levels are joined with `_`: (amount, sum) is `amount_sum`."""
    labels: list[object] = list(frame.columns)
    return [
        "_".join(str(part) for part in label if part != "")
        if isinstance(label, tuple)
        else ("" if label is None else str(label))
        for label in labels
    ]


def column_names(frame: pd.DataFrame) -> list[str]:
    """The names as text, as a result has them.

    Raises:
        StepError: kind RESULT, two columns have one name, or there is no column.
    """
    names = names_as_text(frame)
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
            hint=NO_COLUMNS_HINT,
        )
    return names


def read_preview(path: str, *, rows: int, numeric: Sequence[bool], total_rows: int) -> Preview:
    """The first rows of the result, as it was written."""
    allow_long_cells()
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


def _is_number(dtype: Any) -> bool:
    return pd.api.types.is_numeric_dtype(dtype) and not pd.api.types.is_bool_dtype(dtype)


def _prepare(frame: pd.DataFrame, names: list[str], guard: Guard) -> tuple[pd.DataFrame, list[Column]]:
    """The columns in a form that DuckDB reads exactly, and how to write each."""
    prepared: dict[str, pd.Series] = {}
    columns = []
    for place, name in enumerate(names):
        key = f"c{place}"
        prepared[key], cells = _column(frame.iloc[:, place].reset_index(drop=True), key, guard)
        columns.append(Column(name=name, cells=cells, numeric=_is_number(frame.dtypes.iloc[place])))
    return pd.DataFrame(prepared, copy=False), columns


def _column(series: pd.Series, key: str, guard: Guard) -> tuple[pd.Series, str]:
    kind = kind_of(series.dtype)
    if kind is CellKind.TRUTH:
        return series, f"CASE {key} WHEN true THEN 'True' WHEN false THEN 'False' END"
    if kind is CellKind.NUMBER:
        return series, key
    if kind is CellKind.TIME:
        return series, f"strftime({key}, {quote_text(_TIME_FORMATS[time_unit(series)])})"
    if isinstance(series.dtype, pd.StringDtype):
        return series, text_cells(key, guard=guard)
    return pd.Series(texts_of(series, guard=guard), dtype="str"), f"nullif({key}, '')"
