"""What a mail says, before it is laid out as text or as HTML."""

from dataclasses import dataclass, replace
from datetime import datetime

from runner.core.documents import utc_text
from runner.core.job import OnEmpty
from runner.core.preview import Preview
from runner.core.report import (
    Report,
    attempt_words,
    checks_words,
    count_words,
    duration_words,
    facts,
    local_time,
    state_words,
)
from runner.core.run import Attempt, FailureKind, RunFailure, RunState
from runner.core.words import counted
from runner.delivery.attachment import Attached
from runner.delivery.checks import CheckPart, failed_parts, passed_note
from runner.delivery.picture import Picture, picture_of
from runner.delivery.table import tidy
from runner.delivery.words import one_line, shorten, squeezed, visible

OUTPUT_LINES = 40
TRACEBACK_LINES = 120
_LINE_CHARACTERS = 500
_LEAD_CHARACTERS = 1000
_VERBS = {
    RunState.TIMED_OUT: "timed out",
    RunState.LOST: "was lost",
    RunState.CANCELLED: "was cancelled",
}
_NO_REASON = RunFailure(kind=FailureKind.INTERNAL, message="no reason was recorded")


@dataclass(frozen=True, kw_only=True, slots=True)
class AttemptLine:
    """One attempt of a run in words: its number, when and how it ended, its error."""

    number: int
    end: str
    error: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """One mail in words. Empty texts are left out of it.

    `label` is the kind of mail in two or three words, `lead` the one sentence that tells everything, `details` are
    the sentences under it, `hint` says what to do now. `checks` are those that failed, `checks_note` tells of the
    others. `picture` is the chart. `table` shows the first rows. `output` and `traceback` are blocks of code,
    capped.
    """

    good: bool
    label: str
    title: str
    lead: str
    details: tuple[str, ...] = ()
    hint: str = ""
    attempts: tuple[AttemptLine, ...] = ()
    checks: tuple[CheckPart, ...] = ()
    checks_note: str = ""
    picture: Picture | None = None
    table: Preview | None = None
    traceback: str = ""
    output: str = ""
    facts: tuple[tuple[str, str], ...] = ()


def results_content(report: Report, attached: Attached) -> Content:
    """What the mail with the result of a run says."""
    rows, checks = _row_count(report), report.run.checks
    empty = ("The run went well; its result is an empty table.",) if rows == 0 else ()
    before = report.failures_before
    recovered = (
        f"The {before} runs before it failed; this one went well."
        if before > 1
        else "The run before it failed; this one went well."
    )
    picture, left_out = picture_of(report, attached)
    return Content(
        good=True,
        label="Job results",
        title=one_line(report.run.job_name),
        lead=f"The result of {_moment(report)} has {_rows_words(rows)}.",
        details=_sentences(recovered if before else "", *empty, attached.sentence, left_out, checks_words(checks)),
        checks=failed_parts(checks, with_rows=False),
        checks_note=passed_note(checks, named=False),
        picture=picture,
        table=_table(report),
        facts=_facts(report),
    )


def failure_content(report: Report) -> Content:
    """What the mail on a run without a result says: it failed, it was not run, or its result is not attached."""
    run = report.run
    failure = run.failure or _NO_REASON
    streak = report.failures_before + 1 if run.state.failed else 0
    row = (f"{streak} runs in a row have failed.",) if streak > 1 else ()
    content = Content(
        good=False,
        label="Job failed",
        title=one_line(run.job_name),
        lead=_failure_lead(report, failure),
        details=row,
        hint=one_line(failure.hint),
        attempts=_attempts(report),
        traceback=last_lines(failure.traceback, TRACEBACK_LINES),
        output=last_lines(run.output, OUTPUT_LINES),
        checks=failed_parts(run.checks, with_rows=False),
        facts=_facts(report),
    )
    if run.state in {RunState.SKIPPED, RunState.CANCELLED} and run.started_at is None:
        reason = (run.failure.message if run.failure else run.note) or _NO_REASON.message
        lead = f"For {_moment(report)} the job was not run: {_clause(reason)}."
        hint = _gone_hint(report) if run.state is RunState.CANCELLED else content.hint
        return replace(content, label="Job not run", lead=lead, hint=hint)
    if failure.kind is FailureKind.ATTACHMENT:
        amount = _rows_words(_row_count(report))
        return replace(
            content,
            label="Result not attached",
            lead=f"The run of {_moment(report)} went well and made {amount}, but the result is not attached.",
            details=_sentences(_capital(one_line(failure.message)), *row),
            table=_table(report),
        )
    if failure.kind is FailureKind.CHECK:
        return _blocked_content(report, content, row)
    return content


def checks_content(report: Report) -> Content:
    """What the mail says that tells those who look after a job of checks that failed and kept nothing back."""
    run, job = report.run, report.job
    sent = (
        f"Nothing is kept back: the result goes to {_consumers(report)} all the same."
        if run.state is RunState.SUCCEEDED and (_row_count(report) or job.delivery.on_empty is not OnEmpty.SKIP)
        else ""
    )
    return Content(
        good=False,
        label="Checks failed",
        title=one_line(run.job_name),
        lead=f"{checks_words(run.checks)} in the run of {_moment(report)}.",
        details=_sentences(sent, _kept(report)),
        hint=f"Mend the data, or the check in {one_line(job.path) or 'the job file'}; the next run checks again.",
        checks=failed_parts(run.checks, with_rows=True),
        checks_note=passed_note(run.checks, named=True),
        facts=_facts(report),
    )


def recovery_content(report: Report) -> Content:
    """What the mail says that tells those who heard of failures, and get no results, that the job works again."""
    before = report.failures_before
    after = f", after {before} runs in a row had failed" if before > 1 else ", after the one before it had failed"
    return Content(
        good=True,
        label="Job recovered",
        title=one_line(report.run.job_name),
        lead=f"The run of {_moment(report)} went well{after if before else ''}.",
        details=(f"Its result has {_rows_words(_row_count(report))}.",),
        facts=_facts(report),
    )


def last_lines(text: str, limit: int) -> str:
    """The last lines of a text, each at most 500 characters; a first line says how many are left out."""
    lines = [
        line if len(line) <= _LINE_CHARACTERS else line[:_LINE_CHARACTERS] + "…"
        for line in visible(text.rstrip()).expandtabs(8).split("\n")
    ]
    if len(lines) <= limit:
        return "\n".join(lines)
    return "\n".join((f"… {count_words(len(lines) - limit)} earlier lines left out", *lines[-limit:]))


def _blocked_content(report: Report, content: Content, row: tuple[str, ...]) -> Content:
    """What the mail on a run says whose result is kept back, as a check that blocks does not hold."""
    run = report.run
    blocking = sum(one.blocking and not one.passed for one in run.checks)
    held = "its result is kept back" if run.rows_out is not None else "it has no result"
    checks = "A check" if blocking == 1 else f"{blocking} checks"
    file, again = one_line(report.job.path) or "the job file", f"runner run {one_line(run.job_name)}"
    if run.trigger.nominal:
        again += f" --at {utc_text(run.scheduled_time)}"
    return replace(
        content,
        label="Checks failed",
        lead=f"{checks} of the run of {_moment(report)} failed, so {held}." if blocking else content.lead,
        details=_sentences(f"Nothing was sent to {_consumers(report)}.", *row, _kept(report)),
        hint=f"Mend the data, or the check in {file}; then run it again: {again}",
        checks=failed_parts(run.checks, with_rows=True),
        checks_note=passed_note(run.checks, named=True),
    )


def _gone_hint(report: Report) -> str:
    """What to do for a report that does not come, as its job was removed or suspended after it was due."""
    again = f"runner run {one_line(report.run.job_name)} --at {utc_text(report.run.scheduled_time)}"
    return f"To have it all the same: {again}; where the job has another name now, with that"


def _consumers(report: Report) -> str:
    count = len(report.job.consumer_emails)
    return f"the {count} consumers" if count != 1 else "the one consumer"


def _kept(report: Report) -> str:
    return f"The result is kept at {one_line(report.kept_at)}." if report.kept_at else ""


def _sentences(*texts: str) -> tuple[str, ...]:
    """Those that say something, with a full stop each."""
    return tuple(text if text.endswith(".") else f"{text}." for text in texts if text)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _failure_lead(report: Report, failure: RunFailure) -> str:
    run = report.run
    attempt = attempt_words(report)
    tried = f" in attempt {attempt}" if attempt else ""
    took = f" after {duration_words(run.duration_seconds)}" if run.duration_seconds is not None else ""
    verb = _VERBS.get(run.state, "failed")
    comma = "," if tried and took else ""
    reason = squeezed(_clause(failure.message), _LEAD_CHARACTERS)
    return f"The run of {_moment(report)} {verb}{tried}{comma}{took}: {reason}."


def _attempts(report: Report) -> tuple[AttemptLine, ...]:
    """Every attempt with its error, the last one too; none where there was one alone."""
    run = report.run
    if not run.attempts:
        return ()
    last = Attempt(
        number=run.attempt,
        state=run.state,
        started_at=run.started_at,
        finished_at=run.finished_at or run.queued_at,
        failure=run.failure or _NO_REASON,
    )
    return tuple(_attempt_line(attempt, report.job.timezone) for attempt in (*run.attempts, last))


def _attempt_line(attempt: Attempt, timezone: str) -> AttemptLine:
    ended: datetime = attempt.finished_at.replace(microsecond=0)
    return AttemptLine(
        number=attempt.number,
        end=f"{local_time(ended, timezone)}, {state_words(attempt.state)}",
        error=shorten(one_line(attempt.failure.message), _LINE_CHARACTERS),
    )


def _moment(report: Report) -> str:
    return local_time(report.run.scheduled_time, report.job.timezone)


def _row_count(report: Report) -> int:
    return report.run.rows_out if report.run.rows_out is not None else report.preview.total_rows


def _rows_words(rows: int) -> str:
    return "no rows" if rows == 0 else counted(rows, "row")


def _clause(text: str) -> str:
    """The text as the end of a sentence that brings its own full stop."""
    return one_line(text).rstrip(".")


def _table(report: Report) -> Preview | None:
    preview, limit = report.preview, report.job.delivery.preview_rows
    return tidy(preview, limit) if preview.rows and preview.columns and limit else None


def _facts(report: Report) -> tuple[tuple[str, str], ...]:
    return tuple((label, one_line(value)) for label, value in facts(report))
