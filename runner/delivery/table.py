"""The first rows of a table as a mail shows them."""

from dataclasses import replace

from runner.core.preview import Preview
from runner.core.report import count_words
from runner.core.words import counted
from runner.delivery.words import one_line, shorten

COLUMN_LIMIT = 12
_CELL_CHARACTERS = 200


def tidy(table: Preview, limit: int) -> Preview:
    """At most `limit` rows and 12 columns, each row as long as the header, each cell one short line.

    The preview was made beside a stranger's script: its shape is not taken on trust.
    """
    columns = _cells(table.columns, min(len(table.columns), COLUMN_LIMIT))
    return replace(
        table,
        columns=columns,
        numeric=(*table.numeric, *(False for _ in columns))[: len(columns)],
        rows=tuple(_cells(row, len(columns)) for row in table.rows[:limit]),
        total_rows=max(table.total_rows, len(table.rows)),
        total_columns=max(table.total_columns, len(table.columns)),
    )


def table_note(table: Preview, columns_shown: int) -> str:
    """`20 of 18,204 rows, and 3 more columns in the file`: what the table under it leaves out."""
    shown, total = len(table.rows), table.total_rows
    rows = counted(total, "row")
    note = f"All {rows}" if shown >= total > 1 else f"{count_words(shown)} of {rows}"
    more = table.total_columns - columns_shown
    return f"{note}, and {counted(more, 'more column')} in the file" if more > 0 else note


def failing_note(table: Preview, columns_shown: int) -> str:
    """`20 of 341 failing rows, without 3 columns`: the same for rows that break a check."""
    shown, total = len(table.rows), table.total_rows
    rows = counted(total, "failing row")
    amount = rows if shown >= total else f"{count_words(shown)} of {rows}"
    more = table.total_columns - columns_shown
    without = f", without {counted(more, 'column')}" if more > 0 else ""
    return f"{amount}{without}"


def _cells(texts: tuple[str, ...], count: int) -> tuple[str, ...]:
    shown = (shorten(one_line(text), _CELL_CHARACTERS) for text in texts[:count])
    return (*shown, *("" for _ in range(count - len(texts))))
