"""Queries over the run history, and the runs that they find."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select, text

from runner.core.delivery import Delivery
from runner.core.run import Attempt, Run, RunState, Trigger
from runner.store import tables
from runner.store.ledger import DELIVERIES
from runner.store.rows import micros, read_attempt, read_delivery, read_run

# So many runs are looked up by their ids at a time: the driver keeps every statement of another length.
_MANY = 1_000
_LONGEST_STREAK = 10_000
# A listing of thousands of runs must not load what each of them printed, and what was wrong with its data.
_LEFT_OUT = {"output", "failure_traceback", "checks", "bookmark"}
_LISTED = [column for column in tables.runs.c if column.name not in _LEFT_OUT]
_RUNS = tables.runs


def newest_first(job_name: str | None, limit: int, before: str | None) -> Select[Any]:
    """The newest runs, of one job or of all, made before a run or until now."""
    query = select(*_LISTED).order_by(_RUNS.c.run_id.desc()).limit(limit)
    if job_name is not None:
        query = query.where(_RUNS.c.job_name == job_name)
    if before is not None:
        query = query.where(_RUNS.c.run_id < before)
    return query


def one(run_id: str) -> Select[Any]:
    """A run with everything."""
    return select(_RUNS).where(_RUNS.c.run_id == run_id)


def some(run_ids: Sequence[str]) -> Select[Any]:
    """The runs of these ids, in the order they were made."""
    return select(*_LISTED).where(_RUNS.c.run_id.in_(run_ids)).order_by(_RUNS.c.run_id)


def known(run_ids: Collection[str]) -> Select[Any]:
    """Those of these ids that are on record."""
    return select(_RUNS.c.run_id).where(_RUNS.c.run_id.in_(list(run_ids)))


def between(job_name: str, since: datetime, until: datetime) -> Select[Any]:
    """The runs of a job for a span of nominal time, oldest first."""
    return (
        select(*_LISTED)
        .where(_RUNS.c.job_name == job_name, _RUNS.c.scheduled_time.between(micros(since), micros(until)))
        .order_by(_RUNS.c.scheduled_time, _RUNS.c.run_id)
    )


def time_before(job_name: str, scheduled_time: datetime) -> Select[Any]:
    """The last nominal time of a job before one, of runs that stand for a fire."""
    when = _RUNS.c.scheduled_time
    return (
        select(when)
        .where(
            _RUNS.c.job_name == job_name, when < micros(scheduled_time), _RUNS.c.trigger != Trigger.MANUAL.value
        )
        .order_by(when.desc())
        .limit(1)
    )


def newest_before(moment: datetime) -> Select[Any]:
    """When the newest run was queued, of those before a moment."""
    return select(func.max(_RUNS.c.queued_at)).where(_RUNS.c.queued_at < micros(moment))


def running() -> Select[Any]:
    """The runs at work, in the order they were made."""
    return _unfinished(RunState.RUNNING)


def queued() -> Select[Any]:
    """The runs that wait, in the order they were made, but for the requested ones."""
    return _unfinished(RunState.QUEUED).where(_RUNS.c.requested == 0)


def requested() -> Select[Any]:
    """The queued runs that were asked for and that no service has taken up yet, in the order they were made."""
    return (
        select(_RUNS).where(tables.requested_run, _RUNS.c.state == RunState.QUEUED.value).order_by(_RUNS.c.run_id)
    )


def newest_of_each_job(before: str | None = None) -> Select[Any]:
    """Two or three index look-ups per job, however long the history is; GROUP BY would read the whole index."""
    names = job_names()
    newest = select(func.max(_RUNS.c.run_id)).where(_RUNS.c.job_name == names.c.job_name)
    one: Any = newest.scalar_subquery()
    if before is not None:
        one = func.coalesce(newest.where(_RUNS.c.run_id < before).scalar_subquery(), one)
    return select(*_LISTED).where(_RUNS.c.run_id.in_(select(one).select_from(names)))


def job_names() -> Any:
    """The name of every job that has a run, and one NULL after them: one index look-up per job."""
    names = select(func.min(_RUNS.c.job_name).label("job_name")).cte("names", recursive=True)
    following = select(func.min(_RUNS.c.job_name)).where(_RUNS.c.job_name > names.c.job_name).scalar_subquery()
    return names.union_all(select(following).where(names.c.job_name.is_not(None)))


def failures_in_a_row(connection: Connection, job_name: str, before: str | None = None) -> Iterator[str]:
    """The last runs of a job by schedule as long as they failed, newest first: what people ask for is another
    matter."""
    judged = text(
        "runs.state IN ('succeeded', 'failed', 'timed_out', 'lost') AND runs.mailing = 1 "
        "AND runs.trigger NOT IN ('manual', 'backfill')"
    )
    query = (
        select(_RUNS.c.run_id, _RUNS.c.state)
        .where(_RUNS.c.job_name == job_name, judged)
        .order_by(_RUNS.c.run_id.desc())
        .limit(_LONGEST_STREAK)
    )
    if before is not None:
        query = query.where(_RUNS.c.run_id < before)
    # Closed early, the query reads no further than the last success.
    with connection.execute(query) as runs:
        for run_id, state in runs:
            if state == RunState.SUCCEEDED.value:
                break
            yield run_id


def last_nominal(job_name: str) -> Select[Any]:
    """The run of a job, of those that stand for a fire, with the last nominal time."""
    return (
        select(_RUNS.c.run_id)
        .where(_RUNS.c.job_name == job_name, _RUNS.c.trigger != Trigger.MANUAL.value)
        .order_by(_RUNS.c.scheduled_time.desc())
        .limit(1)
    )


def unfinished() -> Select[Any]:
    """The runs that have not ended, in the order they were made."""
    return select(_RUNS).where(tables.unfinished_run).order_by(_RUNS.c.run_id)


def _unfinished(state: RunState) -> Select[Any]:
    """The first condition seems idle, but is what lets SQLite use the index of unfinished runs."""
    return select(_RUNS).where(tables.unfinished_run, _RUNS.c.state == state.value).order_by(_RUNS.c.run_id)


def read_runs(connection: Connection, query: Select[Any]) -> tuple[Run, ...]:
    """The runs of a query over `runs`, with their attempts and deliveries."""
    rows = connection.execute(query).mappings().all()
    deliveries = _deliveries_by_run(connection, [row["run_id"] for row in rows])
    attempts = _attempts_by_run(connection, rows)
    return tuple(
        read_run(row, tuple(attempts.get(row["run_id"], ())), tuple(deliveries.get(row["run_id"], ())))
        for row in rows
    )


def _deliveries_by_run(connection: Connection, run_ids: Sequence[str]) -> Mapping[str, Iterable[Delivery]]:
    found: dict[str, list[Delivery]] = {}
    for some in in_batches(run_ids):
        query = DELIVERIES.where(tables.mails.c.run_id.in_(some)).order_by(tables.deliveries.c.delivery_id)
        for row in connection.execute(query).mappings():
            found.setdefault(row["run_id"], []).append(read_delivery(row))
    return found


def _attempts_by_run(connection: Connection, rows: Sequence[RowMapping]) -> Mapping[str, Iterable[Attempt]]:
    """Of the few runs that were tried again; with tracebacks only where the runs have theirs."""
    tried_again = [row["run_id"] for row in rows if row["attempt"] > 1]
    if not tried_again:
        return {}
    whole = "failure_traceback" in rows[0]
    columns = [column for column in tables.attempts.c if whole or column.name not in _LEFT_OUT]
    found: dict[str, list[Attempt]] = {}
    for some in in_batches(tried_again):
        query = select(*columns).where(tables.attempts.c.run_id.in_(some)).order_by(tables.attempts.c.number)
        for row in connection.execute(query).mappings():
            found.setdefault(row["run_id"], []).append(read_attempt(row))
    return found


def in_batches(run_ids: Sequence[str]) -> Iterable[Sequence[str]]:
    """The ids, as many at a time as one statement looks up."""
    return (run_ids[start : start + _MANY] for start in range(0, len(run_ids), _MANY))
