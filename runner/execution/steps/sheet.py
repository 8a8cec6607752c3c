"""A table → `result.xlsx`: one sheet with a bold header that stays in place, dates as dates, texts as texts.

Rows go to the file as they come, so that its size is no matter of memory. What a cell of the format cannot hold is
a text (a whole number beyond 2^53, which would be rounded; a time finer than milliseconds; infinity) or a failure
(a very long text): nothing is cut or changed.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from itertools import chain, islice
from math import isfinite, isnan
from typing import Any, NamedTuple

from runner.core.report import count_words
from runner.core.run import FailureKind
from runner.core.words import counted
from runner.execution.steps.cells import number_text
from runner.execution.steps.faults import StepError
from runner.execution.steps.file_marks import own_files_unmarked

ROW_LIMIT, COLUMN_LIMIT = 1_048_576, 16_384
SHEET_NAME = "Result"
_TEXT_LIMIT = 32_767
_EXACT = 1 << 53
_OTHER_FORMS = "Set `attachment: csv` or `attachment: parquet` under `delivery` in the job file"
_ROWS_MEASURED = 100
_NARROWEST, _WIDEST, _NUMBER_WIDTH = 8, 50, 12


class CellStyle(StrEnum):
    """How the number of a moment is shown: its format in a sheet."""

    DAY = "yyyy-mm-dd"
    SECOND = "yyyy-mm-dd hh:mm:ss"
    FRACTION = "yyyy-mm-dd hh:mm:ss.000"
    CLOCK = "hh:mm:ss"
    CLOCK_FRACTION = "hh:mm:ss.000"


class Moment(NamedTuple):
    """A date or a time: days since 1899-12-30, as sheets count them from March 1900 on."""

    serial: float
    style: CellStyle


SheetCell = str | float | int | bool | Decimal | Moment | None


class SheetColumn(NamedTuple):
    """One column: its name, and the style of its numbers where these are moments."""

    name: str
    style: CellStyle | None = None


def write_sheet(
    path: str, columns: Sequence[SheetColumn], rows: Iterable[Sequence[SheetCell]], *, total_rows: int, folder: str
) -> None:
    """Write a workbook. `folder` takes what it needs in between.

    Raises:
        StepError: kind ATTACHMENT, the table does not fit on a sheet.
    """
    _require_room(total_rows, len(columns))
    # Here, as few steps need it.
    from xlsxwriter import Workbook  # type: ignore[import-untyped]

    book = Workbook(path, {"constant_memory": True, "tmpdir": folder})
    sheet = book.add_worksheet(SHEET_NAME, _sheet_class())
    bold = book.add_format({"bold": True})
    formats = {style: book.add_format({"num_format": str(style)}) for style in CellStyle}
    styles = [formats[column.style] if column.style else None for column in columns]
    for place, column in enumerate(columns):
        _write_text(sheet, 0, place, column.name, bold)
    sheet.freeze_panes(1, 0)
    remaining = iter(rows)
    first = list(islice(remaining, _ROWS_MEASURED))
    for place, column in enumerate(columns):
        sheet.set_column(place, place, _width(column, [row[place] for row in first]))
    for number, row in enumerate(chain(first, remaining), start=1):
        for place, cell in enumerate(row):
            if isinstance(cell, str):
                _write_text(sheet, number, place, cell)
            elif isinstance(cell, Moment):
                sheet.write_number(number, place, cell.serial, formats[cell.style])
            elif isinstance(cell, bool):
                sheet.write_boolean(number, place, cell)
            elif cell is not None:
                _write_number(sheet, number, place, cell, styles[place])
    with own_files_unmarked():
        book.close()


def _require_room(rows: int, columns: int) -> None:
    if rows + 1 > ROW_LIMIT or columns > COLUMN_LIMIT:
        raise StepError(
            FailureKind.ATTACHMENT,
            f"the result has {counted(rows, 'row')} and {counted(columns, 'column')}, and an xlsx sheet holds "
            f"{count_words(ROW_LIMIT - 1)} rows below its header and {count_words(COLUMN_LIMIT)} columns",
            hint=f"{_OTHER_FORMS}, or let the step return less.",
        )


def _sheet_class() -> type[Any]:
    from xlsxwriter.worksheet import Worksheet  # type: ignore[import-untyped]

    class PlainSheet(Worksheet):  # type: ignore[misc]
        """A sheet on which `<r>…</r>` is a text like any other: the library takes it for its own mark-up.

        Numbers have all of their digits; of the library they have sixteen, and a float may need one more.
        """

        def _xml_rich_inline_string(self, string: str, attributes: Any = ()) -> None:
            self._xml_inline_string(string, True, attributes)

        def _xml_number_element(self, number: Any, attributes: Any = ()) -> None:
            written = "".join(f' {key}="{self._escape_attributes(value)}"' for key, value in attributes)
            digits = repr(number if isinstance(number, int) else float(number))
            self.fh.write(f"<c{written}><v>{digits}</v></c>")

    return PlainSheet


def _write_text(sheet: Any, row: int, place: int, text: str, style: Any = None) -> None:
    # A sheet counts an emoji twice.
    length = len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2
    if length > _TEXT_LIMIT or sheet.write_string(row, place, text, style):
        where = f"row {count_words(row)}" if row else "the header"
        raise StepError(
            FailureKind.ATTACHMENT,
            f"the result has a text of {count_words(length)} characters in {where}, column {place + 1}, "
            f"and a cell of an xlsx sheet holds {count_words(_TEXT_LIMIT)}",
            hint=f"{_OTHER_FORMS}, or let the step return shorter texts.",
        )


def _write_number(sheet: Any, row: int, place: int, number: Any, style: Any) -> None:
    """A number that a sheet would round, or does not know, is written as a text; a NaN is nothing."""
    if isinstance(number, Decimal):
        exact = not number.is_finite() or Decimal(repr(float(number))) == number
    else:
        exact = isinstance(number, float) or -_EXACT <= number <= _EXACT
    if exact and isfinite(number):
        sheet.write_number(row, place, number, style)
    elif isinstance(number, int) or not isnan(number):
        sheet.write_string(row, place, number_text(number))


def _width(column: SheetColumn, cells: Iterable[SheetCell]) -> int:
    """Wide enough for its name and its first cells, within reason."""
    longest = max(chain([len(column.name)], map(_length, cells), [len(column.style or "")]))
    return min(max(longest + 2, _NARROWEST), _WIDEST)


def _length(cell: SheetCell) -> int:
    if isinstance(cell, Moment):
        return len(cell.style)
    if isinstance(cell, str):
        return max(map(len, cell.splitlines()), default=0)
    return 0 if cell is None else min(len(str(cell)), _NUMBER_WIDTH)
