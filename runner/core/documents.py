"""The stable JSON documents of the command line and of HTTP, as plain data: one place for the contract.

snake_case keys; times ISO 8601 in UTC with `Z`; unknown values are null, never left out.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from runner.core.bookmark import CursorValue
from runner.core.catalog import CatalogEntry
from runner.core.check import CheckResult
from runner.core.delivery import Delivery
from runner.core.diagnostic import Diagnostic, Severity
from runner.core.effective import EffectiveValue
from runner.core.job import Chart, Incremental, Job
from runner.core.ledger import LedgerChange, LedgerEntry
from runner.core.plan import Comparison, InvalidFile, JobChange, RecipientChange, Side
from runner.core.plan_values import KeyChange, Value, masked_nested, masked_text
from runner.core.run import Attempt, Run
from runner.core.source import DataSource

Document = dict[str, Any]


def utc_text(moment: datetime | None) -> str | None:
    """`2025-11-09T13:00:00Z`, with a fraction only where there is one."""
    if moment is None:
        return None
    text = moment.astimezone(UTC).isoformat()
    return text.removesuffix("+00:00") + "Z"


def diagnostic_document(found: Diagnostic) -> Document:
    """One finding."""
    return {
        "path": found.path,
        "line": found.line,
        "column": found.column,
        "end_line": found.end_line,
        "end_column": found.end_column,
        "severity": str(found.severity),
        "rule": found.rule,
        "message": found.message,
        "hint": found.hint,
    }


def validation_document(files: int, diagnostics: Iterable[Diagnostic]) -> Document:
    """The answer of `validate --format json`."""
    found = tuple(diagnostics)
    errors = sum(one.severity is Severity.ERROR for one in found)
    return {
        "files": files,
        "errors": errors,
        "warnings": len(found) - errors,
        "diagnostics": [diagnostic_document(one) for one in found],
    }


def effective_document(
    job: Job, values: Iterable[EffectiveValue], *, cursor: CursorValue | None = None
) -> Document:
    """The answer of `show --json`. Literal credentials are masked in it; `cursor` is how far an incremental load
    has got."""
    return {
        "job_name": job.job_name,
        "path": job.path,
        "digest": job.digest,
        "revision": job.revision or None,
        "cursor": cursor,
        "values": [
            {
                "key": value.name,
                "value": masked_nested(value.name, value.value),
                "origin": str(value.origin),
                "source": value.source or None,
                "line": value.line,
            }
            for value in values
        ],
    }


def delivery_document(delivery: Delivery) -> Document:
    """One mail to one recipient."""
    return {
        "delivery_id": delivery.delivery_id,
        "recipient": delivery.recipient,
        "kind": str(delivery.kind),
        "state": str(delivery.state),
        "message_id": delivery.message_id,
        "attempts": delivery.attempts,
        "next_attempt_at": utc_text(delivery.next_attempt_at),
        "sent_at": utc_text(delivery.sent_at),
        "error": delivery.error or None,
        "kept_as": delivery.kept_as or None,
    }


def run_document(run: Run, *, details: bool = False) -> Document:
    """One run; with `details` also what was found of its data and printed by its script, and how it failed."""
    document: Document = {
        "run_id": run.run_id,
        "job_name": run.job_name,
        "trigger": str(run.trigger),
        "scheduled_time": utc_text(run.scheduled_time),
        "state": str(run.state),
        "attempt": run.attempt,
        "next_attempt_at": utc_text(run.next_attempt_at),
        "attempts": [_attempt_document(attempt) for attempt in run.attempts],
        "queued_at": utc_text(run.queued_at),
        "started_at": utc_text(run.started_at),
        "finished_at": utc_text(run.finished_at),
        "duration_seconds": run.duration_seconds,
        "rows_in": run.rows_in,
        "rows_out": run.rows_out,
        "error": run.failure.message if run.failure else None,
        "error_kind": str(run.failure.kind) if run.failure else None,
        "note": run.note or None,
        "revision": run.revision or None,
        "digest": run.digest or None,
        "sandbox": run.sandbox or None,
        "deliveries": [delivery_document(delivery) for delivery in run.deliveries],
    }
    if details:
        document["hint"] = (run.failure.hint or None) if run.failure else None
        document["traceback"] = (run.failure.traceback or None) if run.failure else None
        document["output"] = run.output or None
        document["checks"] = [_check_document(check) for check in run.checks]
        document["chart"] = run.chart_file is not None
        document["cursor"] = run.bookmark.cursor if run.bookmark else None
    return document


def _check_document(check: CheckResult) -> Document:
    """What was found of one check, with the first rows that break it."""
    return {
        "check": check.words,
        "blocking": check.blocking,
        "passed": check.passed,
        "found": check.found or None,
        "failed_rows": check.failed_rows,
        "columns": list(check.rows.columns),
        "rows": [list(row) for row in check.rows.rows],
    }


def _attempt_document(attempt: Attempt) -> Document:
    return {
        "attempt": attempt.number,
        "state": str(attempt.state),
        "started_at": utc_text(attempt.started_at),
        "finished_at": utc_text(attempt.finished_at),
        "error": attempt.failure.message,
        "error_kind": str(attempt.failure.kind),
    }


def runs_document(runs: Iterable[Run]) -> Document:
    """The answer of `history --json` and `GET /jobs/{job_name}/runs`."""
    return {"runs": [run_document(run) for run in runs]}


def job_document(
    entry: CatalogEntry,
    *,
    next_fire: datetime | None,
    last_run: Run | None,
    details: bool = False,
    cursor: CursorValue | None = None,
) -> Document:
    """One job; with `details` also where its data comes from and how it is processed.

    Locations are shown as written: references stand unresolved in them, literal credentials are masked. `cursor`
    is how far an incremental load has got.
    """
    job = entry.job
    document: Document = {
        "job_name": entry.job_name,
        "path": entry.path,
        "description": (job.description or None) if job else None,
        "owner": job.owner if job else None,
        "tags": list(job.tags) if job else [],
        "schedule_time": job.schedule_time if job else None,
        "after": list(job.after) if job else [],
        "timezone": job.timezone if job else None,
        "suspended": job.suspend if job else False,
        "sync": str(entry.sync),
        "next_fire": utc_text(next_fire),
        "last_run": run_document(last_run) if last_run else None,
        "consumer_emails": list(job.consumer_emails) if job else [],
        "digest": job.digest if job else None,
        "file_digest": entry.digest,
        "revision": (job.revision or None) if job else None,
        "diagnostics": [diagnostic_document(found) for found in entry.diagnostics],
    }
    if details and job is not None:
        document["data_source"] = _source_document(job.data_source)
        document["data_sources"] = [_source_document(source) for source in job.data_sources]
        document["step"] = {"kind": str(job.step.kind), "text": job.step.text}
        document["checks"] = [{"check": check.words, "blocking": check.blocking} for check in job.checks]
        document["chart"] = _chart_document(job.chart) if job.chart else None
        document["incremental"] = _incremental_document(job.incremental, cursor) if job.incremental else None
        document["timeout_seconds"] = job.timeout_seconds
        document["memory_mb"] = job.resources.memory_mb
        document["on_missed"] = str(job.on_missed)
        document["concurrency_policy"] = str(job.concurrency_policy)
        document["retry"] = {
            "limit": job.retry.limit,
            "backoff_seconds": job.retry.backoff_seconds,
            "max_delay_seconds": job.retry.max_delay_seconds,
        }
    return document


def _source_document(source: DataSource) -> Document:
    return {
        "name": source.name,
        "source_type": str(source.source_type),
        "location": masked_text(source.location),
        "format": str(source.format),
    }


def _chart_document(chart: Chart) -> Document:
    return {"kind": str(chart.kind), "x": chart.x, "y": list(chart.y), "title": chart.title or None}


def _incremental_document(incremental: Incremental, cursor: CursorValue | None) -> Document:
    return {"cursor": incremental.cursor, "initial_value": incremental.initial_value, "value": cursor}


def fires_document(job_name: str, timezone: str, fires: Iterable[datetime]) -> Document:
    """One job's coming fires, as `next --json` lists them."""
    return {"job_name": job_name, "timezone": timezone, "fires": [utc_text(fire) for fire in fires]}


def plan_document(comparison: Comparison) -> Document:
    """The answer of `plan --format json`. Literal credentials are masked in it."""
    plan = comparison.plan
    return {
        "base": _side_document(comparison.base),
        "head": _side_document(comparison.head),
        "notes": list(comparison.notes),
        "changed": plan.changed,
        "jobs": [_job_change_document(change) for change in plan.jobs],
        "invalid": [_invalid_document(file) for file in plan.invalid],
        "warnings": [diagnostic_document(found) for found in plan.warnings],
        "recipients_gained": [_recipient_document(change) for change in plan.recipients_gained],
        "recipients_lost": [_recipient_document(change) for change in plan.recipients_lost],
    }


def _side_document(side: Side) -> Document:
    return {
        "name": side.name,
        "commit": side.commit,
        "merge_base": side.merge_base,
        "working_tree": side.working_tree,
    }


def _job_change_document(change: JobChange) -> Document:
    before, after, fires = change.before, change.after, change.fires
    return {
        "job_name": change.job.job_name,
        "path": change.job.path,
        "actions": [str(action) for action in change.actions],
        "suspended": change.job.suspend,
        "after": list(change.job.after),
        "timezone": change.job.timezone,
        "job_name_before": before.job_name if before else None,
        "path_before": before.path if before else None,
        "digest_before": before.digest if before else None,
        "digest_after": after.digest if after else None,
        "keys": [_key_document(key) for key in change.keys],
        "loads_anew": change.loads_anew,
        "fires_before": [utc_text(fire) for fire in fires.before] if fires else None,
        "fires_after": [utc_text(fire) for fire in fires.after] if fires else None,
        "recipients_gained": list(change.recipients_gained),
        "recipients_lost": list(change.recipients_lost),
    }


def _key_document(change: KeyChange) -> Document:
    return {
        "key": change.key,
        "before": _plain(change.before),
        "after": _plain(change.after),
        "masked": change.masked,
        "diff": "\n".join(change.diff) or None,
        "from_before": change.before_origin or None,
        "from_after": change.after_origin or None,
    }


def _plain(value: Value) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _invalid_document(file: InvalidFile) -> Document:
    return {
        "path": file.path,
        "job_name": file.job_name,
        "state": str(file.state),
        "changed": file.changed,
        "job_kept": file.kept.job_name if file.kept else None,
        "diagnostics": [diagnostic_document(found) for found in file.diagnostics],
    }


def _recipient_document(change: RecipientChange) -> Document:
    return {"address": change.address, "jobs": list(change.job_names)}


def ledger_document(delivery: Delivery) -> Document:
    """One line of `mail list --json`: a delivery with what its mail is about."""
    return {
        **delivery_document(delivery),
        "subject": delivery.subject,
        "job_name": delivery.job_name,
        "run_id": delivery.run_id,
        "scheduled_time": utc_text(delivery.scheduled_time),
        "created_at": utc_text(delivery.created_at),
    }


def ledger_entry_document(entry: LedgerEntry) -> Document:
    """The answer of `mail show --json`. `kept` is false where the mail's bytes are let go."""
    return {
        **ledger_document(entry.delivery),
        "kept": bool(entry.mail.message),
        "sender": entry.mail.sender,
        "recipients": list(entry.mail.recipients),
        "text": entry.text or None,
        "attachments": [
            {"name": part.name, "content_type": part.content_type, "size": part.size} for part in entry.attachments
        ],
    }


def ledger_change_document(change: LedgerChange) -> Document:
    """The answer of `mail retry --json` and `mail hold --json`."""
    return {
        "changed": [ledger_document(delivery) for delivery in change.changed],
        "left_out": [
            {"delivery_id": delivery.delivery_id, "reason": reason} for delivery, reason in change.left_out
        ],
        "sent_by": str(change.sent_by),
    }
