"""What became of tests, on a terminal."""

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from runner.cli.render import foreign
from runner.core.words import counted
from runner.jobtests.documents import quoted
from runner.jobtests.values import Difference, DifferenceKind, JobTestOutcome, JobTestReport, JobTestResult

_STYLES = {JobTestOutcome.FAILED: "bold red", JobTestOutcome.ERROR: "bold magenta"}
_OUTPUT_LINES = 40


def report_lines(report: JobTestReport, *, named: bool) -> RenderableType:
    """Every test that did not pass, the files that were written, and the counts.

    `named`: the jobs were asked for by name, and those without tests are told by name too.
    """
    parts: list[RenderableType] = []
    for result in report.results:
        if result.outcome is not JobTestOutcome.PASSED:
            parts.extend(_result_parts(result))
    parts.extend(foreign(f"wrote {path}") for path in updated_files(report))
    if named:
        parts.extend(foreign(f"{name} has no tests") for name in report.untested)
    style = "bold green" if report.clean else "bold red"
    parts.append(Text(summary(report), style=style))
    return Group(*parts)


def updated_files(report: JobTestReport) -> tuple[str, ...]:
    """The expected files that were written."""
    return tuple(dict.fromkeys(result.updated for result in report.results if result.updated))


def summary(report: JobTestReport) -> str:
    """One line: counts and time."""
    counts = [
        f"{count:,} {words}"
        for outcome, words in (
            (JobTestOutcome.PASSED, "passed"),
            (JobTestOutcome.FAILED, "failed"),
            (JobTestOutcome.ERROR, "could not be judged"),
        )
        if (count := report.count(outcome))
    ]
    tests = counted(len(report.results), "test")
    untested = len(report.untested)
    without = f"; {untested:,} job{' has' if untested == 1 else 's have'} no tests" if untested else ""
    return f"{tests} in {report.seconds:.2f} s: {', '.join(counts) or 'nothing to run'}{without}"


def _result_parts(result: JobTestResult) -> Iterator[RenderableType]:
    head = Text(str(result.outcome).upper(), style=_STYLES[result.outcome]).append(" ")
    called = f"{result.job_name}: {result.name}" if result.name else result.job_name
    head.append_text(foreign(f"{called}  " if called else "", "bold"))
    yield head.append_text(foreign(f"{result.path}:{result.line}", "dim"))
    yield _indented(result.message)
    if result.differences:
        yield Padding(_table(result.differences), (0, 0, 0, 2), expand=False)
    if result.traceback:
        yield _indented(result.traceback)
    if result.output:
        yield Text("  printed by the step:", style="dim")
        yield _indented(_shortened(result.output), 4)
    if result.hint:
        yield Text("  hint: ", style="cyan").append_text(foreign(result.hint, "default"))
    yield Text()


def _indented(text: str, columns: int = 2) -> Text:
    """A text of any number of lines; no blanks after them, as padding would put there."""
    return foreign("\n".join(f"{' ' * columns}{line}" for line in text.rstrip().split("\n")))


def _table(differences: tuple[Difference, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("row", justify="right")
    table.add_column("column", overflow="fold")
    table.add_column("expected", overflow="fold")
    table.add_column("got", overflow="fold")
    for one in differences:
        table.add_row(*_cells(one))
    return table


def _cells(one: Difference) -> tuple[RenderableType, ...]:
    row = str(one.row) if one.row else ""
    match one.kind:
        case DifferenceKind.MISSING_ROW:
            return row, "", foreign(one.expected or ""), Text("missing", style="red")
        case DifferenceKind.SURPLUS_ROW:
            return row, "", Text("not expected", style="red"), foreign(one.got or "")
        case DifferenceKind.MISSING_COLUMN:
            return row, foreign(quoted(one.column)), "", Text("missing", style="red")
        case DifferenceKind.SURPLUS_COLUMN:
            return row, foreign(quoted(one.column)), Text("not expected", style="red"), ""
        case DifferenceKind.COLUMN_ORDER:
            column = Text(f"in place {one.column}", style="dim")
        case DifferenceKind.ROW_COUNT:
            column = Text("number of rows", style="dim")
        case _:
            column = foreign(quoted(one.column))
    return row, column, foreign(quoted(one.expected)), foreign(quoted(one.got))


def _shortened(output: str) -> str:
    lines = output.rstrip().splitlines()
    if len(lines) > _OUTPUT_LINES:
        left_out = len(lines) - _OUTPUT_LINES
        lines = [f"… {left_out:,} lines are left out here", *lines[-_OUTPUT_LINES:]]
    return "\n".join(line if len(line) <= 400 else line[:399] + "…" for line in lines)
