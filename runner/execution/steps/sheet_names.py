"""The sheets of a workbook that may have rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class SheetNames(NamedTuple):
    """The sheets of cells, which may be empty, and those without, such as a chart that is a sheet of its own; both
    in their order. `hidden` are those of cells that nobody sees who opens the workbook."""

    tables: Sequence[str]
    others: Sequence[str]
    hidden: Sequence[str]


def sheet_names(path: str | Path) -> SheetNames:
    """The names of the sheets of a workbook.

    Raises:
        CalamineError: it is none.
        OSError: it cannot be read.
    """
    # Here, as few steps need it.
    from python_calamine import SheetTypeEnum, SheetVisibleEnum, load_workbook

    with load_workbook(path) as book:
        sheets = book.sheets_metadata
    tables = [sheet for sheet in sheets if sheet.typ == SheetTypeEnum.WorkSheet]
    names = [sheet.name for sheet in tables]
    return SheetNames(
        tables=names,
        others=[sheet.name for sheet in sheets if sheet.name not in names],
        hidden=[sheet.name for sheet in tables if sheet.visible != SheetVisibleEnum.Visible],
    )
