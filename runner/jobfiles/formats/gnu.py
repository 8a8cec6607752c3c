"""Findings in one line each, as compilers write them and editors read them.

Source of the form: GNU Coding Standards, "Formatting Error Messages". Columns are those of a screen: a tab goes on
to the next multiple of eight, a wide character takes two. The last column belongs to the range.
"""

from collections.abc import Iterator, Mapping

from runner.core.diagnostic import Diagnostic
from runner.jobfiles.formats.findings import Findings, line_at
from runner.jobfiles.formats.shown import clean, width

_TAB = 8


def gnu_lines(findings: Findings) -> Iterator[str]:
    """`file:line.column-line.column: severity: message [rule]`, and nothing where there is no finding."""
    lines = findings.lines()
    for found in findings.diagnostics:
        message = f"{found.message.removesuffix('.')}. {found.hint}" if found.hint else found.message
        yield f"{clean(found.path)}:{_range(found, lines)}: {found.severity}: {clean(message)} [{found.rule}]"


def _range(found: Diagnostic, lines: Mapping[str, list[str]]) -> str:
    start = _column(line_at(lines, found.path, found.line), found.column)
    end_line, end_column = found.end_line, found.end_column
    if end_column == 1:
        # Up to the start of a line: the range ends with the line before it.
        end_line -= 1
        end_column = len(line_at(lines, found.path, end_line)) + 1
    end = _column(line_at(lines, found.path, end_line), end_column) - 1
    return f"{found.line}.{start}-{end_line}.{max(end, start if end_line == found.line else 1)}"


def _column(line: str, column: int) -> int:
    """The screen column, from 1, of a character by its number from 1."""
    before = line[: column - 1]
    if before.isascii() and "\t" not in before:
        return column
    reached = 0
    for character in before:
        reached += _TAB - reached % _TAB if character == "\t" else width(clean(character))
    return reached + 1 + (column - 1 - len(before))
