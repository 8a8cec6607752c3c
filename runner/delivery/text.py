"""The plain text part of a mail: at most 100 columns, code excepted."""

import textwrap
from collections.abc import Iterator

from runner.core.preview import Preview
from runner.delivery.checks import CheckPart
from runner.delivery.content import AttemptLine, Content
from runner.delivery.table import failing_note, table_note
from runner.delivery.words import pad, shorten, width

COLUMNS = 100
_CELL_COLUMNS = 32
_GAP = "  "


def render_text(content: Content) -> str:
    """The text part of a mail, with a line end at its end."""
    return "\n\n".join(_sections(content)) + "\n"


def _sections(content: Content) -> Iterator[str]:
    yield _wrap(content.lead)
    if content.details:
        yield "\n".join(_wrap(sentence) for sentence in content.details)
    if content.hint:
        yield _wrap(content.hint)
    if content.attempts:
        yield "Attempts\n\n" + "\n".join(_attempt(line) for line in content.attempts)
    if content.checks:
        yield "\n\n".join(_checks(content))
    if content.picture is not None:
        yield _wrap(
            f"Chart: {content.picture.words}. The HTML part of this mail shows it ({content.picture.name})."
        )
    if content.table is not None:
        lines, shown = _table(content.table)
        yield f"{lines}\n\n{table_note(content.table, shown)}"
    if content.traceback:
        yield f"Stack trace\n\n{textwrap.indent(content.traceback, '  ', lambda _: True)}"
    if content.output:
        yield f"Printed by the script\n\n{textwrap.indent(content.output, '  ', lambda _: True)}"
    yield "-" * 60 + "\n" + _facts(content.facts)


def _checks(content: Content) -> Iterator[str]:
    yield "Checks"
    for check in content.checks:
        yield _check(check)
    if content.checks_note:
        yield _wrap(content.checks_note)


def _check(check: CheckPart) -> str:
    """What was expected, what was found, and the rows that break it."""
    text = _wrap(f"Failed: {check.words}")
    if check.found:
        text += "\n" + _wrap(check.found)
    if check.table is None:
        return text
    lines, shown = _table(check.table)
    return f"{text}\n\n{lines}\n\n{failing_note(check.table, shown)}"


def _table(table: Preview) -> tuple[str, int]:
    """The lines of a table, and how many of its columns fit."""
    cells = [[shorten(cell, _CELL_COLUMNS) for cell in row] for row in (table.columns, *table.rows)]
    widths = [max(width(cell) for cell in column) for column in zip(*cells, strict=True)]
    shown = _columns_that_fit(widths)
    lines = [
        _GAP.join(
            pad(cell, columns, right=numeric)
            for cell, columns, numeric in zip(row[:shown], widths, table.numeric, strict=False)
        ).rstrip()
        for row in cells
    ]
    rule = _GAP.join("-" * columns for columns in widths[:shown])
    return "\n".join((lines[0], rule, *lines[1:])), shown


def _columns_that_fit(widths: list[int]) -> int:
    used = -len(_GAP)
    for index, columns in enumerate(widths):
        used += columns + len(_GAP)
        if used > COLUMNS:
            return max(1, index)
    return len(widths)


def _facts(facts: tuple[tuple[str, str], ...]) -> str:
    label_columns = max(width(label) for label, _ in facts) + 2
    return "\n".join(
        textwrap.fill(
            value,
            COLUMNS,
            initial_indent=pad(label, label_columns),
            subsequent_indent=" " * label_columns,
            break_on_hyphens=False,
        )
        for label, value in facts
    )


def _attempt(line: AttemptLine) -> str:
    number = f"{line.number:>3}  "
    return textwrap.fill(
        f"{line.end}: {line.error}",
        COLUMNS,
        initial_indent=number,
        subsequent_indent=" " * len(number),
        break_on_hyphens=False,
        break_long_words=False,
    )


def _wrap(text: str) -> str:
    return textwrap.fill(text, COLUMNS, break_on_hyphens=False, break_long_words=False)
