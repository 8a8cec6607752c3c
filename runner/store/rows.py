"""Values to rows and back."""

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import msgspec

from runner.core.bookmark import Bookmark
from runner.core.check import CheckResult
from runner.core.delivery import Delivery, DeliveryState, Mail, MailKind
from runner.core.run import Attempt, FailureKind, Run, RunFailure, RunState, Trigger

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_NO_FAILURE = {"failure_kind": None, "failure_message": "", "failure_hint": "", "failure_traceback": ""}
NOT_BEGUN: Mapping[str, int | str | None] = {
    "attempt": 1,
    "next_attempt_at": None,
    "started_at": None,
    "rows_in": None,
    "rows_out": None,
    **_NO_FAILURE,
    "output": "",
    "sandbox": "",
    "checks": None,
    "chart_file": None,
    "bookmark": None,
}
_CHECKS = msgspec.json.Decoder(tuple[CheckResult, ...])
_BOOKMARK = msgspec.json.Decoder(Bookmark)

Row = Mapping[Any, Any]
T = TypeVar("T")

logger = logging.getLogger(__name__)


def micros(moment: datetime) -> int:
    """Whole microseconds since 1970. Refuses a naive datetime: subtracting the epoch raises TypeError."""
    return (moment - _EPOCH) // _MICROSECOND


def micros_or_none(moment: datetime | None) -> int | None:
    """The same, where there may be no moment."""
    return None if moment is None else (moment - _EPOCH) // _MICROSECOND


def moment(value: int) -> datetime:
    """The moment in UTC."""
    return _EPOCH + timedelta(microseconds=value)


def moment_or_none(value: int | None) -> datetime | None:
    """The same, where there may be none."""
    return None if value is None else _EPOCH + timedelta(microseconds=value)


def json_text(value: object) -> str:
    """A value of the core as JSON."""
    return msgspec.json.encode(value).decode()


def read_bookmark(text: str, owner: str) -> Bookmark | None:
    """The bookmark of a run or a job; None, with a warning, where this version cannot read it."""
    return _value(_BOOKMARK, text, owner)


def _value(decoder: msgspec.json.Decoder[T], text: str, owner: str) -> T | None:
    try:
        return decoder.decode(text)
    except (msgspec.DecodeError, ValueError) as error:
        logger.warning("What is on record of %s cannot be read and counts as nothing: %s", owner, error)
        return None


def new_run_row(run: Run, *, requested: bool = False) -> dict[str, Any]:
    """The columns of `runs` for a run that has not begun; the others are `NOT_BEGUN`."""
    if run.started_at is not None or run.failure is not None or run.output or run.attempt != 1:
        raise ValueError(f"run {run.run_id} has begun: it is not a new one")
    return {
        "run_id": run.run_id,
        "job_name": run.job_name,
        "trigger": run.trigger.value,
        "scheduled_time": micros(run.scheduled_time),
        "fire_key": run.fire_key,
        "queued_at": micros(run.queued_at),
        "mailing": int(run.mailing),
        "requested": int(requested),
        "state": run.state.value,
        "finished_at": micros_or_none(run.finished_at),
        "note": run.note,
        "revision": run.revision,
        "digest": run.digest,
    }


def progress_row(run: Run) -> dict[str, Any]:
    """The columns that change in the life of a run; the others are in indexes and cost more to write."""
    return {
        "state": run.state.value,
        "attempt": run.attempt,
        "next_attempt_at": micros_or_none(run.next_attempt_at),
        "started_at": micros_or_none(run.started_at),
        "finished_at": micros_or_none(run.finished_at),
        "rows_in": run.rows_in,
        "rows_out": run.rows_out,
        **(_NO_FAILURE if run.failure is None else _failure_row(run.failure)),
        "note": run.note,
        "output": run.output,
        "revision": run.revision,
        "digest": run.digest,
        "sandbox": run.sandbox,
        "checks": json_text(run.checks) if run.checks else None,
        "chart_file": run.chart_file,
        "bookmark": json_text(run.bookmark) if run.bookmark else None,
    }


def attempt_row(run_id: str, attempt: Attempt) -> dict[str, Any]:
    """The columns of `attempts`."""
    return {
        "run_id": run_id,
        "number": attempt.number,
        "state": attempt.state.value,
        "started_at": micros_or_none(attempt.started_at),
        "finished_at": micros(attempt.finished_at),
        **_failure_row(attempt.failure),
    }


def _failure_row(failure: RunFailure) -> dict[str, Any]:
    return {
        "failure_kind": failure.kind.value,
        "failure_message": failure.message,
        "failure_hint": failure.hint,
        "failure_traceback": failure.traceback,
    }


def read_run(columns: Row, attempts: tuple[Attempt, ...] = (), deliveries: tuple[Delivery, ...] = ()) -> Run:
    """The run of a row of `runs`; what the query left out, as listings do, is empty."""
    checks, bookmark = columns.get("checks"), columns.get("bookmark")
    return Run(
        run_id=columns["run_id"],
        job_name=columns["job_name"],
        trigger=Trigger(columns["trigger"]),
        scheduled_time=moment(columns["scheduled_time"]),
        state=RunState(columns["state"]),
        attempt=columns["attempt"],
        attempts=attempts,
        next_attempt_at=moment_or_none(columns["next_attempt_at"]),
        mailing=bool(columns["mailing"]),
        fire_key=columns["fire_key"],
        queued_at=moment(columns["queued_at"]),
        started_at=moment_or_none(columns["started_at"]),
        finished_at=moment_or_none(columns["finished_at"]),
        rows_in=columns["rows_in"],
        rows_out=columns["rows_out"],
        failure=None if columns["failure_kind"] is None else _read_failure(columns),
        note=columns["note"],
        output=columns.get("output", ""),
        revision=columns["revision"],
        digest=columns["digest"],
        sandbox=columns["sandbox"],
        checks=(_value(_CHECKS, checks, columns["run_id"]) if checks else None) or (),
        chart_file=columns["chart_file"],
        bookmark=read_bookmark(bookmark, columns["run_id"]) if bookmark else None,
        deliveries=deliveries,
    )


def read_attempt(columns: Row) -> Attempt:
    """The attempt of a row of `attempts`; where the query left out `failure_traceback` it is empty."""
    return Attempt(
        number=columns["number"],
        state=RunState(columns["state"]),
        started_at=moment_or_none(columns["started_at"]),
        finished_at=moment(columns["finished_at"]),
        failure=_read_failure(columns),
    )


def _read_failure(columns: Row) -> RunFailure:
    return RunFailure(
        kind=FailureKind(columns["failure_kind"]),
        message=columns["failure_message"],
        hint=columns["failure_hint"],
        traceback=columns.get("failure_traceback", ""),
    )


def read_delivery(columns: Row) -> Delivery:
    """The delivery of a row that joins `deliveries`, `mails`, and job name and time of `runs`."""
    return Delivery(
        delivery_id=columns["delivery_id"],
        run_id=columns["run_id"],
        job_name=columns["job_name"],
        kind=MailKind(columns["kind"]),
        recipient=columns["recipient"],
        message_id=columns["message_id"],
        subject=columns["subject"],
        scheduled_time=moment(columns["scheduled_time"]),
        state=DeliveryState(columns["state"]),
        attempts=columns["attempts"],
        created_at=moment(columns["created_at"]),
        next_attempt_at=moment_or_none(columns["next_attempt_at"]),
        began_at=moment_or_none(columns["began_at"]),
        sent_at=moment_or_none(columns["sent_at"]),
        error=columns["error"],
        kept_as=columns["kept_as"],
    )


def delivery_progress(delivery: Delivery) -> dict[str, Any]:
    """The columns that change in the life of a delivery."""
    return {
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "next_attempt_at": micros_or_none(delivery.next_attempt_at),
        "began_at": micros_or_none(delivery.began_at),
        "sent_at": micros_or_none(delivery.sent_at),
        "error": delivery.error,
        "kept_as": delivery.kept_as,
    }


def mail_row(run_id: str, mail: Mail) -> dict[str, Any]:
    """The columns of `mails`; the recipients are its deliveries."""
    return {
        "run_id": run_id,
        "kind": mail.kind.value,
        "message_id": mail.message_id,
        "sender": mail.sender,
        "subject": mail.subject,
        "message": mail.message,
        "hold_ambiguous": int(mail.hold_ambiguous),
        "notify": json.dumps(mail.notify),
    }


def read_mail(columns: Row, recipients: tuple[str, ...]) -> Mail:
    """The mail of a row that joins `mails`; its message is empty where the bytes are let go."""
    return Mail(
        run_id=columns["run_id"],
        kind=MailKind(columns["kind"]),
        message_id=columns["message_id"],
        sender=columns["sender"],
        recipients=recipients,
        subject=columns["subject"],
        message=columns["message"] or b"",
        hold_ambiguous=bool(columns["hold_ambiguous"]),
        notify=tuple(json.loads(columns["notify"])),
    )
