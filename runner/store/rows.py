"""Values to rows and back."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping

from runner.core.delivery import Delivery, DeliveryState, MailKind
from runner.core.run import FailureKind, Run, RunFailure, RunState, Trigger

_NO_FAILURE = {"failure_kind": None, "failure_message": "", "failure_hint": "", "failure_traceback": ""}


def run_row(run: Run) -> dict[str, Any]:
    """The columns of `runs`; the deliveries have tables of their own."""
    failure: Mapping[str, str | None] = _NO_FAILURE
    if run.failure is not None:
        failure = {
            "failure_kind": str(run.failure.kind),
            "failure_message": run.failure.message,
            "failure_hint": run.failure.hint,
            "failure_traceback": run.failure.traceback,
        }
    return {
        "run_id": run.run_id,
        "job_name": run.job_name,
        "trigger": str(run.trigger),
        "scheduled_time": run.scheduled_time,
        "state": str(run.state),
        "attempt": run.attempt,
        "fire_key": run.fire_key,
        "queued_at": run.queued_at,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "rows_in": run.rows_in,
        "rows_out": run.rows_out,
        **failure,
        "note": run.note,
        "output": run.output,
        "revision": run.revision,
        "digest": run.digest,
        "sandbox": run.sandbox,
    }


def read_run(columns: RowMapping, deliveries: tuple[Delivery, ...]) -> Run:
    """The run of a row of `runs`; where the query left out `output` and `failure_traceback` they are empty."""
    failure = None
    if columns["failure_kind"] is not None:
        failure = RunFailure(
            kind=FailureKind(columns["failure_kind"]),
            message=columns["failure_message"],
            hint=columns["failure_hint"],
            traceback=columns.get("failure_traceback", ""),
        )
    return Run(
        run_id=columns["run_id"],
        job_name=columns["job_name"],
        trigger=Trigger(columns["trigger"]),
        scheduled_time=columns["scheduled_time"],
        state=RunState(columns["state"]),
        attempt=columns["attempt"],
        fire_key=columns["fire_key"],
        queued_at=columns["queued_at"],
        started_at=columns["started_at"],
        finished_at=columns["finished_at"],
        rows_in=columns["rows_in"],
        rows_out=columns["rows_out"],
        failure=failure,
        note=columns["note"],
        output=columns.get("output", ""),
        revision=columns["revision"],
        digest=columns["digest"],
        sandbox=columns["sandbox"],
        deliveries=deliveries,
    )


def read_delivery(columns: RowMapping) -> Delivery:
    """The delivery of a row that joins `deliveries`, `mails` and the job name of `runs`."""
    return Delivery(
        delivery_id=columns["delivery_id"],
        run_id=columns["run_id"],
        job_name=columns["job_name"],
        kind=MailKind(columns["kind"]),
        recipient=columns["recipient"],
        message_id=columns["message_id"],
        state=DeliveryState(columns["state"]),
        attempts=columns["attempts"],
        created_at=columns["created_at"],
        next_attempt_at=columns["next_attempt_at"],
        sent_at=columns["sent_at"],
        error=columns["error"],
    )
