"""Findings for people: each with the line it points at and a caret below it, then a summary."""

from collections.abc import Callable, Iterator

from runner.core.diagnostic import Diagnostic, Severity
from runner.jobfiles.formats.excerpts import excerpts
from runner.jobfiles.formats.findings import Findings, line_at, summary
from runner.jobfiles.formats.shown import clean, width

_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33"}
_NARROWEST = 20
_CUT = "…"

Paint = Callable[[str, str], str]


def text_lines(findings: Findings, *, colour: bool, columns: int) -> Iterator[str]:
    """The findings in lines; snippets are at most `columns` wide."""

    def paint(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    lines = excerpts(findings)
    for found in findings.diagnostics:
        place = paint(f"{clean(found.path)}:{found.line}:{found.column}:", "1")
        severity = paint(f"{found.severity}:", f"1;{_COLOURS[found.severity]}")
        yield f"{place} {severity} {clean(found.message)} {paint(f'[{found.rule}]', '2')}"
        yield from _snippet(found, line_at(lines, found.path, found.line), columns, paint)
        if found.hint:
            yield f"  {paint('hint:', '36')} {clean(found.hint)}"
        yield ""
    if not findings.files and not findings.diagnostics:
        yield "0 files: there is no job file here (*.yaml or *.yml, not starting with _ or .)"
        yield f"  {paint('hint:', '36')} Name the folder of jobs, or set JOBS_DIR."
        return
    worst = "31" if findings.failed else "33" if findings.warnings else "32"
    yield paint(summary(findings), f"1;{worst}")


def _snippet(found: Diagnostic, line: str, columns: int, paint: Paint) -> Iterator[str]:
    """The line and a caret below the range; of a range over several lines, its part on the first."""
    if not line.strip():
        return
    start = min(found.column - 1, len(line))
    end = min(found.end_column - 1, len(line)) if found.end_line == found.line else len(line)
    number = str(found.line)
    room = max(columns - len(number) - len("   | "), _NARROWEST)
    first, last = _window(line, start, room)
    before = (_CUT if first else "") + clean(line[first:start])
    shown = before + clean(line[start:last]) + (_CUT if last < len(line) else "")
    marked = max(1, width(clean(line[start : min(end, last)])))
    bar = paint("|", "2")
    yield f"  {paint(number, '2')} {bar} {shown}"
    caret = paint("^" * marked, f"1;{_COLOURS[found.severity]}")
    yield f"  {' ' * len(number)} {bar} {' ' * width(before)}{caret}"


def _window(line: str, start: int, room: int) -> tuple[int, int]:
    """The part of a line that is shown, as offsets: the whole where it fits, else what surrounds `start`."""
    if width(clean(line)) <= room:
        return 0, len(line)
    room -= 2 * len(_CUT)
    first, left = start, room // 2
    while first and (left := left - width(clean(line[first - 1]))) >= 0:
        first -= 1
    last, left = first, room
    while last < len(line) and (left := left - width(clean(line[last]))) >= 0:
        last += 1
    return first, last
