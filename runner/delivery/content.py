"""What a mail says, before it is laid out as text or as HTML."""

from dataclasses import dataclass, replace

from runner.core.delivery import MailKind
from runner.core.report import Report, count_words, duration_words, facts, local_time, mail_kind
from runner.core.run import FailureKind, Preview, RunFailure, RunState
from runner.delivery.attachment import Attached
from runner.delivery.words import one_line, shorten, visible

OUTPUT_LINES = 40
TRACEBACK_LINES = 120
COLUMN_LIMIT = 12
_LINE_CHARACTERS = 500
_CELL_CHARACTERS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Content:
    """One mail in words. Empty texts are left out of it.

    `lead` is the one sentence that tells everything; `details` are the sentences under it. `table`
    shows the first rows. `output` and `traceback` are blocks of code, capped.
    """

    good: bool
    title: str
    lead: str
    details: tuple[str, ...] = ()
    hint: str = ""
    table: Preview | None = None
    traceback: str = ""
    output: str = ""
    facts: tuple[tuple[str, str], ...] = ()


def content_of(report: Report, attached: Attached | None) -> Content:
    """What the mail on a finished run says.

    Args:
        attached: the attachment of a run that succeeded; None for a failure.
    """
    if mail_kind(report) is MailKind.RESULTS and attached is not None:
        return _results(report, attached)
    return _failure(report)


def _results(report: Report, attached: Attached) -> Content:
    run, preview = report.run, report.preview
    moment = local_time(run.scheduled_time, report.job.timezone)
    rows = run.rows_out if run.rows_out is not None else preview.total_rows
    amount = "no rows" if rows == 0 else f"{count_words(rows)} row{'s' if rows != 1 else ''}"
    empty = ("The run went well; its result is an empty table.",) if rows == 0 else ()
    return Content(
        good=True,
        title=one_line(run.job_name),
        lead=f"The result of {moment} has {amount}.",
        details=(*empty, attached.sentence),
        table=_tidy(preview, report.job.delivery.preview_rows) if preview.rows and preview.columns else None,
        facts=_facts(report),
    )


def _failure(report: Report) -> Content:
    run = report.run
    moment = local_time(run.scheduled_time, report.job.timezone)
    failure = run.failure or RunFailure(kind=FailureKind.INTERNAL, message="no reason was recorded")
    took = f" after {duration_words(run.duration_seconds)}" if run.duration_seconds is not None else ""
    verb = {RunState.TIMED_OUT: "timed out", RunState.LOST: "was lost"}.get(run.state, "failed")
    return Content(
        good=False,
        title=one_line(run.job_name),
        lead=f"The run of {moment} {verb}{took}: {one_line(failure.message).rstrip('.')}.",
        hint=one_line(failure.hint),
        traceback=last_lines(failure.traceback, TRACEBACK_LINES),
        output=last_lines(run.output, OUTPUT_LINES),
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
