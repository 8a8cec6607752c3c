"""What `runner doctor` and `runner status` show."""

from collections.abc import Iterable
from datetime import datetime

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from runner.cli.render import foreign, state_text
from runner.cli.render_mail import delivery_text
from runner.core.health import DiskSpace, FailingJob, Finding, Health, ServiceStanding, Standing
from runner.core.report import duration_words, local_time, size_words
from runner.core.run import Run
from runner.core.words import counted, one_line

_HEALTH_STYLES = {Health.OK: "green", Health.WARNING: "yellow", Health.PROBLEM: "bold red"}
# One screen: more of a kind are counted.
_SHOWN = 8
_SUBJECT_WIDTH = len("spreadsheets")


def findings_table(findings: Iterable[Finding]) -> Table:
    """One line for each part, with a hint below where it is not well."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, min_width=max(map(len, Health)))
    # As wide as the longest subject: findings are shown one by one, as they come.
    table.add_column(no_wrap=True, min_width=_SUBJECT_WIDTH)
    table.add_column(overflow="fold")
    for found in findings:
        words = foreign(found.message)
        if found.hint:
            words.append("\n→ ", style="dim").append_text(foreign(found.hint, "dim"))
        table.add_row(Text(str(found.health), style=_HEALTH_STYLES[found.health]), found.subject, words)
    return table


def findings_words(findings: Iterable[Finding]) -> str:
    """`2 problems, 1 warning.`"""
    found = list(findings)
    counts = [
        counted(count, health)
        for health in (Health.PROBLEM, Health.WARNING)
        if (count := sum(one.health is health for one in found))
    ]
    return f"{', '.join(counts)}." if counts else "All is well."


def standing_screen(standing: Standing, timezone: str) -> RenderableType:
    """Everything on one screen: a label, and what stands behind it."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("Service", _service(standing.service))
    table.add_row("Jobs", _jobs(standing))
    table.add_row("Running", _runs(standing.running, standing.at, timezone))
    table.add_row("Queued", _runs(standing.queued, standing.at, timezone))
    table.add_row("Failing", _lines([_failing(one, timezone) for one in standing.failing], style="green"))
    table.add_row("Mails", _mails(standing))
    table.add_row("Next", _lines([_fire(standing, place) for place in range(len(standing.next_fires))]))
    if standing.disk is not None:
        table.add_row("Disk", _disk(standing.disk))
    return Group(table)


def _service(service: ServiceStanding) -> Text:
    if not service.running:
        return Text("not running", style="red").append(": runner start starts it", style="dim")
    process = service.holder.rpartition(", ")[2]
    if service.silent:
        words = Text("running, does not answer", style="red").append(f" ({process}), {service.address}/")
        words.append("\nIt hangs, is just starting, or has another STATUS_TOKEN: its log says more", style="dim")
    elif service.ready is None:
        words = Text("running", style="green").append(f" ({process}), at a port that its log names")
    elif service.ready:
        words = Text("running and ready", style="green").append(f" ({process}), {service.address}/")
    else:
        words = Text("running, not ready", style="red").append(f" ({process}), {service.address}/")
    for reason in service.reasons:
        words.append("\n").append_text(foreign(reason, "red"))
    return words


def _jobs(standing: Standing) -> Text:
    if standing.folder_error:
        return foreign(standing.folder_error, "red")
    words = Text(f"{standing.in_force} in force")
    if standing.suspended:
        words.append(", ").append(f"{standing.suspended} of them suspended", style="yellow")
    if standing.invalid:
        words.append(", ").append(f"{len(standing.invalid)} invalid", style="red")
        words.append(": ").append_text(foreign(_some(standing.invalid)))
        words.append("\nrunner validate shows why", style="dim")
        if standing.kept:
            words.append(f"; {counted(standing.kept, 'last good version')} in force", style="dim")
    return words


def _runs(runs: tuple[Run, ...], at: datetime, timezone: str) -> Text:
    return _lines([_run(run, at, timezone) for run in runs])


def _run(run: Run, at: datetime, timezone: str) -> Text:
    words = foreign(run.job_name)
    if run.started_at is not None:
        return words.append(f" for {duration_words(max(0.0, (at - run.started_at).total_seconds()))}")
    if run.next_attempt_at is not None:
        return words.append(f", attempt {run.attempt} at {_time(run.next_attempt_at, timezone)}")
    return words.append(f", due {_time(run.scheduled_time, timezone)}")


def _failing(one: FailingJob, timezone: str) -> Text:
    words = foreign(one.job_name, "red").append(" ").append_text(state_text(one.run.state))
    if one.failures > 1:
        words.append(f" {one.failures} times in a row")
    if one.run.finished_at is not None:
        words.append(f", last {_time(one.run.finished_at, timezone)}")
    if one.run.failure is not None:
        words.append("\n").append_text(foreign(_short(one_line(one.run.failure.message)), "dim"))
    return words


def _mails(standing: Standing) -> Text:
    if not standing.deliveries:
        return Text("none waits", style="green")
    words = Text()
    for state, count in standing.deliveries:
        words.append(", " if words else "").append(f"{count} ").append_text(delivery_text(state))
    if standing.waiting_since is not None and standing.mails_wait_long:
        seconds = (standing.at - standing.waiting_since).total_seconds()
        words.append(f"; one waits for {duration_words(seconds)}", style="red")
    chosen = " ".join(f"--state {state}" for state, _ in standing.deliveries)
    return words.append(f"\nrunner mail list {chosen} shows them", style="dim")


def _fire(standing: Standing, place: int) -> Text:
    fire = standing.next_fires[place]
    return Text(f"{local_time(fire.scheduled_time, fire.timezone)}  ").append_text(foreign(fire.job_name))


def _disk(disk: DiskSpace) -> Text:
    words = f"{size_words(disk.free_bytes)} of {size_words(disk.total_bytes)} free at {disk.path}"
    return foreign(words, "red" if disk.short else "")


def _lines(lines: list[Text], style: str = "") -> Text:
    if not lines:
        return Text("none", style=style)
    shown = lines[:_SHOWN]
    if len(lines) > _SHOWN:
        shown.append(Text(f"and {len(lines) - _SHOWN} more", style="dim"))
    return Text("\n").join(shown)


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more


def _short(text: str) -> str:
    return text if len(text) <= 200 else text[:199] + "…"


def _time(moment: datetime, timezone: str) -> str:
    return local_time(moment.replace(microsecond=0), timezone)
