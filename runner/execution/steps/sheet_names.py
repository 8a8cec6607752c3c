"""The sheets of a workbook that may have rows."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple


class SheetNames(NamedTuple):
    """The sheets of cells, which may be empty, and those without, such as a chart that is a sheet of its own; both
    in their order."""

    tables: Sequence[str]
    others: Sequence[str]


def sheet_names(path: str | Path) -> SheetNames:
    """The names of the sheets of a workbook.

    Raises:
        CalamineError: it is none.
        OSError: it cannot be read.
    """
    # Here, as few steps need it.
    from python_calamine import SheetTypeEnum, load_workbook

    with load_workbook(path) as book:
        sheets = book.sheets_metadata
    tables = [sheet.name for sheet in sheets if sheet.typ == SheetTypeEnum.WorkSheet]
    return SheetNames(tables=tables, others=[sheet.name for sheet in sheets if sheet.name not in tables])
