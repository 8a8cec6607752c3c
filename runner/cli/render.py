"""Reports, runs and jobs as rich tables."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from runner.cli.fitting import FittingTable
from runner.core.catalog import SyncState
from runner.core.check import CheckResult
from runner.core.delivery import DeliveryState
from runner.core.preview import Preview
from runner.core.report import (
    Report,
    checks_words,
    count_words,
    duration_words,
    facts,
    local_time,
    note_words,
    state_words,
)
from runner.core.run import Run, RunState
from runner.core.words import counted, squeezed
from runner.delivery.words import one_line, visible
from runner.status.snapshot import JobStatus

if TYPE_CHECKING:
    from runner.service.coming import ComingFires

# Rows that break one check on the terminal; the mail and the page show more.
_FAILING_ROWS = 10
# What a list says of a run; its page and --json say all.
_NOTE_CHARACTERS = 300
_PLACE = re.compile(r" \([^()]*, line [0-9]+\)\Z")
STATE_STYLES = {
    RunState.SUCCEEDED: "green",
    RunState.FAILED: "red",
    RunState.TIMED_OUT: "red",
    RunState.LOST: "red",
    RunState.SKIPPED: "yellow",
    RunState.CANCELLED: "yellow",
}


def foreign(text: str, style: str = "") -> Text:
    """A text from files, scripts or servers: no markup in it, and nothing that a terminal would obey."""
    return Text(visible(text), style=style)


def state_text(state: RunState) -> Text:
    """The state in its colour."""
    return Text(state_words(state), style=STATE_STYLES.get(state, ""))


def report_panel(report: Report) -> RenderableType:
    """A finished run: its facts, then the result's first rows or the failure."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for label, value in facts(report):
        table.add_row(label, state_text(report.run.state) if label == "State" else foreign(value))
    for delivery in report.run.deliveries:
        detail = (
            f" as {delivery.kept_as}" if delivery.kept_as else f" – {delivery.error}" if delivery.error else ""
        )
        table.add_row("Mail", foreign(f"{delivery.recipient}: {delivery.word}{detail}"))
    parts: list[RenderableType] = [table]
    if report.run.chart_file:
        table.add_row("Chart", foreign(_chart_place(report)))
    if report.run.checks:
        parts.append(check_table(report.run.checks))
        parts.extend(_failing_rows(check) for check in report.run.checks if check.rows.rows)
    if report.run.output:
        output = foreign(report.run.output.rstrip())
        parts.append(Panel(output, title="printed by the script", title_align="left"))
    if report.run.failure is None:
        parts.append(preview_table(report.preview))
    else:
        parts.append(_failure(report.run))
    return Group(*parts)


def _failure(run: Run) -> RenderableType:
    failure = run.failure
    assert failure is not None
    traceback = failure.traceback.rstrip()
    # A script's own traceback ends with the error; that of a query is only the place of it.
    told = traceback and _PLACE.sub("", failure.message) in traceback
    lines = foreign(traceback if told else "\n\n".join(filter(None, (failure.message, traceback))))
    if failure.hint:
        lines.append("\n\n").append_text(foreign(failure.hint, "dim"))
    return Panel(lines, title=str(failure.kind), title_align="left", border_style="red")


def _chart_place(report: Report) -> str:
    """The chart beside the kept result, where that is known."""
    name = report.run.chart_file or ""
    return str(Path(report.kept_at).with_name(name)) if report.kept_at else name


def check_table(checks: Sequence[CheckResult]) -> Table:
    """What was expected of the data, and what was found."""
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title=checks_words(checks), title_justify="left", title_style=""
    )
    table.add_column("check", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("found", overflow="fold")
    for check in checks:
        table.add_row(foreign(check.words), _check_text(check), foreign(check.found))
    return table


def _check_text(check: CheckResult) -> Text:
    if check.passed:
        return Text("passed", style="green")
    return Text("failed", style="red") if check.blocking else Text("failed, not blocking", style="yellow")


def _failing_rows(check: CheckResult) -> RenderableType:
    """The first rows that break a check, under its words."""
    few = check.rows.rows[:_FAILING_ROWS]
    total = max(check.failed_rows, len(check.rows.rows))
    return Group(foreign(check.words), preview_table(replace(check.rows, rows=few, total_rows=total)))


def preview_table(preview: Preview) -> RenderableType:
    """The first rows of a result, with true counts below."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, numeric in zip(preview.columns, preview.numeric, strict=True):
        table.add_column(foreign(name), justify="right" if numeric else "left")
    for row in preview.rows:
        table.add_row(*(foreign(cell) for cell in row))
    shown = len(preview.rows)
    if shown >= preview.total_rows and len(preview.columns) >= preview.total_columns:
        return table
    # Not a caption of the table, which would be no wider than that.
    counts = f"{shown} of {preview.total_rows:,} rows, {len(preview.columns)} of {preview.total_columns} columns"
    return Group(table, Text(f" {counts}", style="dim"))


def job_table(jobs: Iterable[JobStatus]) -> Table:
    """Jobs with their files, schedule, next fire, last run and sync state."""
    table = FittingTable()
    for name in ("job", "schedule", "next fire", "last run", "sync"):
        table.add_column(name, overflow="fold")
    for status in jobs:
        table.add_row(*_job_cells(status))
    return table


def _job_cells(status: JobStatus) -> tuple[RenderableType, ...]:
    entry, job = status.entry, status.entry.job
    name = _two_lines(entry.job_name or "?", entry.path)
    sync = Text(str(entry.sync).replace("_", " "), style="" if entry.sync is SyncState.IN_FORCE else "red")
    if job is None:
        return (name, "", "", "", sync)
    due = local_time(status.next_fire, job.timezone) if status.next_fire else "–"
    return (
        name,
        _two_lines(job.schedule_words, job.timezone),
        Text("suspended", style="yellow") if job.suspend else due,
        state_text(status.last_run.state) if status.last_run else "–",
        sync,
    )


def run_table(runs: Iterable[Run], timezone: str) -> Table:
    """Past runs with their identifiers, in the order given."""
    table = FittingTable()
    table.add_column("job", no_wrap=True)
    table.add_column("scheduled", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("took", justify="right", no_wrap=True)
    table.add_column("rows", justify="right", no_wrap=True)
    table.add_column("mails")
    table.add_column("error", overflow="fold")
    for run in runs:
        table.add_row(
            _two_lines(run.job_name, run.run_id),
            local_time(run.scheduled_time.replace(microsecond=0), timezone),
            state_text(run.state),
            duration_words(run.duration_seconds),
            count_words(run.rows_out),
            _mail_words(run),
            foreign(squeezed(note_words(run), _NOTE_CHARACTERS)),
        )
    return table


def unsent_words(runs: Iterable[Run]) -> str:
    """`2 of 3 mails not sent: 1 dead, 1 deferred.`, and what becomes of them; empty where all are sent."""
    deliveries = [delivery for run in runs for delivery in run.deliveries]
    unsent = Counter(str(one.state) for one in deliveries if one.state is not DeliveryState.SENT)
    if not unsent:
        return ""
    states = ", ".join(f"{count} {state}" for state, count in sorted(unsent.items()))
    waits = any(one.state.open for one in deliveries)
    later = " What waits is tried again by the service, or with the next runner run." if waits else ""
    mails = counted(len(deliveries), "mail")
    return f"{unsent.total()} of {mails} not sent: {states}.{later} runner mail list says why."


def _two_lines(first: str, second: str) -> Text:
    """What a row is called, and below it, dim, what tells it from others."""
    return foreign(one_line(first)).append("\n").append_text(foreign(one_line(second), "dim"))


def _mail_words(run: Run) -> str:
    counts: dict[str, int] = {}
    for delivery in run.deliveries:
        counts[delivery.word] = counts.get(delivery.word, 0) + 1
    return ", ".join(f"{count} {word}" for word, count in counts.items())


def fire_table(rows: "Iterable[ComingFires]") -> Table:
    """Coming fires in the zone of each job, or why there are none."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("job", "fires"):
        table.add_column(name)
    for row in rows:
        times = [local_time(fire, row.timezone) for fire in row.fires]
        table.add_row(foreign(row.job_name), Text("\n".join(times) or _why_never(row)))
    return table


def _why_never(row: "ComingFires") -> str:
    if row.suspended:
        return "never: the job is suspended"
    return f"when these have succeeded: {', '.join(row.comes_after)}" if row.comes_after else "never again"
