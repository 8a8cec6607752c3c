"""A Report: a finished Run as people see it. Mail, page and terminal render this same value."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from runner.core.check import CheckResult
from runner.core.delivery import MailKind
from runner.core.job import Job
from runner.core.preview import Preview
from runner.core.run import Run, RunState
from runner.core.words import counted, joined

_STATE_WORDS = {
    RunState.QUEUED: "queued",
    RunState.RUNNING: "running",
    RunState.SUCCEEDED: "succeeded",
    RunState.FAILED: "failed",
    RunState.TIMED_OUT: "timed out",
    RunState.LOST: "lost",
    RunState.SKIPPED: "skipped",
    RunState.CANCELLED: "cancelled",
}
_SUBJECT_WORDS = {
    MailKind.RESULTS: "Job Results",
    MailKind.FAILURE: "Job Failed",
    MailKind.CHECKS: "Job Checks Failed",
    MailKind.RECOVERY: "Job Recovered",
    MailKind.UNDELIVERED: "Mail Undelivered",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """A finished run with its job.

    `result` is what is attached: the CSV, or the file in the form that the job names (for `csv.gz` the CSV that is
    still to be compressed); None where there is none or it was too large to read. `result_bytes` is its size.
    `packed` is a CSV that was too large to read, compressed; None where no mail can carry it even so.
    `kept_at` is the path of the CSV, as people can find it, where it is kept. `chart` is a PNG.
    `failures_before` counts the failed runs of the job right before this one.
    """

    run: Run
    job: Job
    preview: Preview = field(default_factory=Preview)
    result: bytes | None = None
    result_bytes: int = 0
    packed: bytes | None = None
    kept_at: str | None = None
    chart: bytes | None = None
    failures_before: int = 0


def state_words(state: RunState) -> str:
    """The state as people read it."""
    return _STATE_WORDS[state]


def local_time(moment: datetime, timezone: str) -> str:
    """`2025-11-09 14:00 CET (+01:00)`: wall clock, abbreviation and offset; seconds only where there are any.

    Many zones have no letters for an abbreviation: `2025-11-09 10:00 -03:00`.
    """
    local = moment.astimezone(ZoneInfo(timezone))
    clock = f"{local:%Y-%m-%d %H:%M:%S}" if local.second else f"{local:%Y-%m-%d %H:%M}"
    offset, zone = local.isoformat(timespec="minutes")[-6:], _zone(local)
    return f"{clock} {zone}" if zone in {"UTC", offset} else f"{clock} {zone} ({offset})"


def duration_words(seconds: float | None) -> str:
    """`12 ms`, `3.4 s`, `2 min 5 s`, `1 h 3 min`; a dash where there is none."""
    if seconds is None:
        return "–"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def count_words(count: int | None) -> str:
    """`18,204`; a dash where it is not known."""
    return "–" if count is None else f"{count:,}"


def rows_in_words(count: int | None) -> str:
    """`18,204 rows in`; not every step counts them."""
    return "rows in not counted" if count is None else f"{count:,} rows in"


def size_words(size: int) -> str:
    """`512 bytes`, `18.2 kB`, `3.4 MB`; decimal units."""
    if size < 1000:
        return counted(size, "byte")
    amount = size / 1000
    for unit in ("kB", "MB"):
        if amount < 999.95:
            return f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def checks_words(checks: Sequence[CheckResult]) -> str:
    """`All 3 checks passed`, `2 of 3 checks failed`; empty where there are none."""
    if not checks:
        return ""
    total, failed = len(checks), sum(not one.passed for one in checks)
    if total == 1:
        return f"1 check {'failed' if failed else 'passed'}"
    return f"{failed} of {total} checks failed" if failed else f"All {total} checks passed"


def note_words(run: Run) -> str:
    """What a list says of a run: its error, or else its note, and that checks failed.

    Lists do not load what was found: that somebody was told of it is enough to know.
    """
    if run.failure is not None:
        return run.failure.message
    failed = any(not one.passed for one in run.checks) or any(
        one.kind is MailKind.CHECKS for one in run.deliveries
    )
    return joined(run.note, "checks failed" if failed else "")


def subject(report: Report) -> str:
    """The subject of the mail: the two forms that users of the REST service filter by."""
    return mail_subject(mail_kind(report), report.run.job_name, report.run.scheduled_time, report.job.timezone)


def mail_subject(kind: MailKind, job_name: str, moment: datetime, timezone: str) -> str:
    """`Job Recovered: {job_name} - {timestamp}`: what it is, of which job, and the local time it is about.

    In the hour that comes twice as clocks go back the time has its zone, `02:30:00 CEST`: it would be of two runs.
    """
    local = moment.astimezone(ZoneInfo(timezone))
    twice = local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()
    return f"{_SUBJECT_WORDS[kind]}: {job_name} - {local:%Y-%m-%d %H:%M:%S}{f' {_zone(local)}' if twice else ''}"


def _zone(local: datetime) -> str:
    """`CET`; many zones have no letters for an abbreviation: `-03:00`."""
    name = local.tzname() or ""
    return name if name.isalpha() else local.isoformat(timespec="minutes")[-6:]


def mail_kind(report: Report) -> MailKind:
    """Which kind of mail tells of this run."""
    return MailKind.RESULTS if report.run.state is RunState.SUCCEEDED else MailKind.FAILURE


def attempt_words(report: Report) -> str:
    """`3 of 3`: which attempt ended the run, and how many it could have; empty where it was the first."""
    run = report.run
    if run.attempt == 1:
        return ""
    # The job may have been changed in between.
    return f"{run.attempt} of {max(run.attempt, report.job.retry.limit + 1)}"


def facts(report: Report) -> tuple[tuple[str, str], ...]:
    """What everybody wants to know of a run: (label, value), in order, empty ones left out."""
    run, job = report.run, report.job
    pairs = (
        ("Job", run.job_name),
        ("Description", job.description),
        ("Owner", job.owner or ""),
        ("State", state_words(run.state)),
        ("Scheduled", local_time(run.scheduled_time, job.timezone)),
        ("Started", local_time(run.started_at, job.timezone) if run.started_at else ""),
        ("Duration", duration_words(run.duration_seconds) if run.duration_seconds is not None else ""),
        ("Attempt", attempt_words(report)),
        ("Rows in", count_words(run.rows_in) if run.rows_in is not None else ""),
        ("Rows out", count_words(run.rows_out) if run.rows_out is not None else ""),
        ("Trigger", str(run.trigger)),
        ("Note", run.note),
        ("Job file", job.path),
        ("Revision", short_revision(run.revision)),
        ("Run", run.run_id),
    )
    return tuple((label, value) for label, value in pairs if value)


def short_revision(revision: str) -> str:
    """`1a2b3c4d5e6f`, with `+dirty` kept."""
    commit, plus, dirty = revision.partition("+")
    return commit[:12] + plus + dirty


def result_file_name(report: Report) -> str:
    """`{job_name}_{scheduled date}.{csv|csv.gz|xlsx|parquet}`, in the job's zone."""
    local = report.run.scheduled_time.astimezone(ZoneInfo(report.job.timezone))
    return f"{report.run.job_name}_{local:%Y-%m-%d}.{report.job.delivery.attachment}"
