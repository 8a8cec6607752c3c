"""What a mail says, before it is laid out as text or as HTML."""

from dataclasses import dataclass, replace
from datetime import datetime

from runner.core.preview import Preview
from runner.core.report import (
    Report,
    attempt_words,
    count_words,
    duration_words,
    facts,
    local_time,
    state_words,
)
from runner.core.run import Attempt, FailureKind, RunFailure, RunState
from runner.delivery.attachment import Attached
from runner.delivery.words import one_line, shorten, visible

OUTPUT_LINES = 40
TRACEBACK_LINES = 120
COLUMN_LIMIT = 12
_LINE_CHARACTERS = 500
_CELL_CHARACTERS = 200
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
    the sentences under it, `hint` says what to do now. `table` shows the first rows. `output` and `traceback` are
    blocks of code, capped.
    """

    good: bool
    label: str
    title: str
    lead: str
    details: tuple[str, ...] = ()
    hint: str = ""
    attempts: tuple[AttemptLine, ...] = ()
    table: Preview | None = None
    traceback: str = ""
    output: str = ""
    facts: tuple[tuple[str, str], ...] = ()


def results_content(report: Report, attached: Attached) -> Content:
    """What the mail with the result of a run says."""
    rows = _row_count(report)
    empty = ("The run went well; its result is an empty table.",) if rows == 0 else ()
    before = report.failures_before
    recovered = (
        f"The {before} runs before it failed; this one went well."
        if before > 1
        else "The run before it failed; this one went well."
    )
    return Content(
        good=True,
        label="Job results",
        title=one_line(report.run.job_name),
        lead=f"The result of {_moment(report)} has {_rows_words(rows)}.",
        details=(*((recovered,) if before else ()), *empty, attached.sentence),
        table=_table(report),
        facts=_facts(report),
    )


def failure_content(report: Report) -> Content:
    """What the mail on a run without a result says: it failed, it was not run, or its result fits into no mail."""
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
        facts=_facts(report),
    )
    if run.state is RunState.SKIPPED:
        reason = (run.failure.message if run.failure else run.note) or _NO_REASON.message
        lead = f"For {_moment(report)} the job was not run: {_clause(reason)}."
        return replace(content, label="Job not run", lead=lead)
    if failure.kind is FailureKind.ATTACHMENT:
        amount = _rows_words(_row_count(report))
        return replace(
            content,
            label="Result not attached",
            lead=f"The run of {_moment(report)} went well and made {amount}, but the result fits into no mail.",
            details=(one_line(failure.message), *row),
            table=_table(report),
        )
    return content


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


def table_note(table: Preview, columns_shown: int) -> str:
    """`20 of 18,204 rows, and 3 more columns in the file`: what the table under it leaves out."""
    shown, total = len(table.rows), table.total_rows
    rows = f"row{'s' if total != 1 else ''}"
    note = (
        f"All {count_words(total)} {rows}"
        if shown >= total > 1
        else f"{count_words(shown)} of {count_words(total)} {rows}"
    )
    more = table.total_columns - columns_shown
    return f"{note}, and {more} more column{'s' if more != 1 else ''} in the file" if more > 0 else note


def last_lines(text: str, limit: int) -> str:
    """The last lines of a text, each at most 500 characters; a first line says how many are left out."""
    lines = [
        line if len(line) <= _LINE_CHARACTERS else line[:_LINE_CHARACTERS] + "…"
        for line in visible(text.rstrip()).expandtabs(8).split("\n")
    ]
    if len(lines) <= limit:
        return "\n".join(lines)
    return "\n".join((f"… {count_words(len(lines) - limit)} earlier lines left out", *lines[-limit:]))


def _failure_lead(report: Report, failure: RunFailure) -> str:
    run = report.run
    attempt = attempt_words(report)
    tried = f" in attempt {attempt}" if attempt else ""
    took = f" after {duration_words(run.duration_seconds)}" if run.duration_seconds is not None else ""
    verb = _VERBS.get(run.state, "failed")
    comma = "," if tried and took else ""
    return f"The run of {_moment(report)} {verb}{tried}{comma}{took}: {_clause(failure.message)}."


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
    return "no rows" if rows == 0 else f"{count_words(rows)} row{'s' if rows != 1 else ''}"


def _clause(text: str) -> str:
    """The text as the end of a sentence that brings its own full stop."""
    return one_line(text).rstrip(".")


def _table(report: Report) -> Preview | None:
    preview, limit = report.preview, report.job.delivery.preview_rows
    return _tidy(preview, limit) if preview.rows and preview.columns and limit else None


def _tidy(table: Preview, limit: int) -> Preview:
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


def _cells(texts: tuple[str, ...], count: int) -> tuple[str, ...]:
    shown = (shorten(one_line(text), _CELL_CHARACTERS) for text in texts[:count])
    return (*shown, *("" for _ in range(count - len(texts))))


def _facts(report: Report) -> tuple[tuple[str, str], ...]:
    return tuple((label, one_line(value)) for label, value in facts(report))
