"""What is written of runs, as statements inside a transaction of the store."""

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, exists, insert, literal_column, null, select, text, update
from sqlalchemy.dialects.sqlite import insert as upsert

from runner.core.delivery import Mail, MailKind
from runner.core.run import Attempt, FollowingRun, Run, RunState, Trigger
from runner.errors import RunStateError
from runner.store import bookmarks, outbox, tables
from runner.store.rows import NOT_BEGUN, attempt_row, micros, new_run_row, progress_row
from runner.store.statements import Statement

_RUNS = tables.runs
_THIS_RUN = _RUNS.c.run_id == bindparam("this_run")
_IDENTITY = {"run_id", "job_name", "trigger", "scheduled_time", "fire_key", "queued_at", "mailing", "requested"}

# What is the same in every new run is part of the text: ten thousand of them are recorded in half the time.
_INSERT = Statement(
    upsert(_RUNS)
    .values(
        {name: literal_column(repr(value)) if value is not None else null() for name, value in NOT_BEGUN.items()}
    )
    .on_conflict_do_nothing(index_elements=[_RUNS.c.job_name, _RUNS.c.fire_key], index_where=tables.has_fire_key),
    columns=[column.name for column in _RUNS.c],
)
_IS_KNOWN = Statement(select(exists().where(_THIS_RUN)))
_STATE = Statement(select(_RUNS.c.state).where(_THIS_RUN))
_START = Statement(
    update(_RUNS)
    .where(_THIS_RUN, _RUNS.c.state == text("'queued'"))
    .values(
        state=RunState.RUNNING.value,
        started_at=bindparam("started_at"),
        next_attempt_at=null(),
        requested=text("0"),
    )
)
_HAND_BACK = Statement(
    update(_RUNS).where(_THIS_RUN, tables.unfinished_run).values(state=RunState.QUEUED.value, started_at=null())
)
_PROGRESS = Statement(
    update(_RUNS)
    .where(_THIS_RUN, tables.unfinished_run)
    .values({column.name: bindparam(column.name) for column in _RUNS.c if column.name not in _IDENTITY})
    .values(requested=text("0"))
)
_ADD_ATTEMPT = Statement(insert(tables.attempts))
_TAKE_REQUEST = Statement(update(_RUNS).where(_THIS_RUN, tables.requested_run).values(requested=0))
# A run by hand is nobody's fire, and one that nobody is mailed about is no report: neither sets off another job.
_HAS_SUCCEEDED = Statement(
    select(
        exists().where(
            _RUNS.c.job_name == bindparam("needed"),
            _RUNS.c.scheduled_time == bindparam("nominal"),
            _RUNS.c.state == text("'succeeded'"),
            _RUNS.c.trigger != text(f"'{Trigger.MANUAL}'"),
            _RUNS.c.mailing == text("1"),
        )
    )
)


def add_new(connection: sqlite3.Connection, runs: Sequence[Run], *, requested: bool = False) -> tuple[Run, ...]:
    """Those of `runs` whose job and fire key are not known already, in order; they have a row each now."""
    rows = (new_run_row(run, requested=requested) for run in runs)
    if _INSERT.run_many(connection, rows) == len(runs):
        return tuple(runs)
    return tuple(run for run in runs if _IS_KNOWN.first(connection, {"this_run": run.run_id}))


def take_requests(connection: sqlite3.Connection, run_ids: Sequence[str]) -> set[str]:
    """Clear the mark of requests; answers those that had it."""
    return {run_id for run_id in run_ids if _TAKE_REQUEST.run(connection, {"this_run": run_id}).rowcount == 1}


def start(connection: sqlite3.Connection, run_id: str, started_at: datetime) -> None:
    """A queued run runs now."""
    values = {"this_run": run_id, "started_at": micros(started_at)}
    if _START.run(connection, values).rowcount != 1:
        raise _not_in_state(connection, run_id, "queued")


def hand_back(connection: sqlite3.Connection, run_id: str) -> None:
    """An unfinished run is queued again."""
    if _HAND_BACK.run(connection, {"this_run": run_id}).rowcount != 1:
        raise _not_in_state(connection, run_id, "unfinished")


def retry(connection: sqlite3.Connection, run: Run, attempt: Attempt) -> None:
    """An unfinished run is queued for its next attempt, and the failed one is kept."""
    _write_progress(connection, run)
    _ADD_ATTEMPT.run(connection, attempt_row(run.run_id, attempt))


def finish(
    connection: sqlite3.Connection, run: Run, mails: Sequence[Mail], following: Sequence[FollowingRun]
) -> tuple[Run, tuple[Run, ...]]:
    """An unfinished run has ended: its mails, and the runs that follow it now. Both with their deliveries."""
    assert run.finished_at is not None
    _write_progress(connection, run)
    done = _with_mails(connection, run, mails, run.finished_at)
    if not any(one.kind is MailKind.RESULTS for one in done.deliveries):
        # There is nothing to deliver: it has done its work.
        bookmarks.move(connection, run.run_id, run.finished_at)
    recorded = tuple(
        _with_mails(connection, one.run, one.mails, run.finished_at)
        for one in following
        if _needs_are_met(connection, one) and add_new(connection, [one.run])
    )
    return done, recorded


def _needs_are_met(connection: sqlite3.Connection, following: FollowingRun) -> bool:
    nominal = micros(following.run.scheduled_time)
    return all(_HAS_SUCCEEDED.first(connection, {"needed": name, "nominal": nominal}) for name in following.needs)


def _with_mails(connection: sqlite3.Connection, run: Run, mails: Sequence[Mail], at: datetime) -> Run:
    deliveries = [
        one
        for mail in mails
        for one in outbox.add_mail(
            connection, mail, run_id=run.run_id, job_name=run.job_name, scheduled_time=run.scheduled_time, at=at
        )
    ]
    return replace(run, deliveries=tuple(deliveries))


def _write_progress(connection: sqlite3.Connection, run: Run) -> None:
    values: Mapping[str, Any] = {"this_run": run.run_id, **progress_row(run)}
    if _PROGRESS.run(connection, values).rowcount != 1:
        raise _not_in_state(connection, run.run_id, "unfinished")


def _not_in_state(connection: sqlite3.Connection, run_id: str, wanted: str) -> RunStateError:
    state = _STATE.first(connection, {"this_run": run_id})
    if state is None:
        return RunStateError(f"There is no run {run_id}", hint="It was never recorded, or is past its retention.")
    return RunStateError(f"Run {run_id} is {state}, not {wanted}", hint="Its record is left as it is.")
