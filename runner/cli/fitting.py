"""A table that a narrow terminal can show too."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

# A column that folds its texts is of use from so many characters on.
_FOLDED = 12
# What rich sets between two columns, and around all of them.
_BETWEEN = 3
_EDGES = 2


class FittingTable(Table):
    """A table where the terminal is wide enough for it; else row by row: the first cell, and below it the others.

    Cells are texts. No column is left out, and none so narrow that short words break.
    """

    def __init__(self) -> None:
        super().__init__(box=box.SIMPLE_HEAD, pad_edge=False)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if _least_width(self.columns) <= options.max_width:
            yield from super().__rich_console__(console, options)
            return
        labels = [_text(column.header).plain for column in self.columns[1:]]
        for row in zip(*(column.cells for column in self.columns), strict=True):
            first, *others = map(_text, row)
            yield Padding(first, (0, 1))
            yield Padding(_flow(zip(labels, others, strict=True)), (0, 1, 0, 3))


def _least_width(columns: Sequence[Column]) -> int:
    """Columns that fold lose width until all of them are equally narrow: this is where the first word breaks."""
    texts = {id(column): [_text(cell).plain for cell in (column.header, *column.cells)] for column in columns}
    folding = [texts[id(column)] for column in columns if not column.no_wrap]
    word = max((_longest(part for text in found for part in text.split()) for found in folding), default=0)
    widths = (_longest(line for text in found for line in text.splitlines()) for found in texts.values())
    least = (
        width if column.no_wrap else min(width, word, _FOLDED)
        for column, width in zip(columns, widths, strict=True)
    )
    return sum(least) + _BETWEEN * (len(columns) - 1) + _EDGES


def _longest(parts: Iterable[str]) -> int:
    return max(map(cell_len, parts), default=0)


def _flow(cells: Iterable[tuple[str, Text]]) -> Text:
    """The cells that are not empty, each behind its label; one of many lines has them to itself."""
    shown = Text()
    for label, cell in cells:
        if not cell.plain:
            continue
        many = cell.plain.count("\n") > 1
        if shown.plain and not shown.plain.endswith("\n"):
            shown.append("\n" if many else " · ", "dim")
        shown.append(label, "dim").append("\n" if many else " ")
        if many:
            shown.append_text(cell).append("\n")
        else:
            shown.append_text(Text(" ").join(cell.split("\n")))
    shown.rstrip()
    return shown


def _text(cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else Text(str(cell))
