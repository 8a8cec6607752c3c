"""Which runs are past their retention, and their removal."""

import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import TypeVar

from sqlalchemy import Connection, RowMapping, bindparam, delete, exists, func, or_, select, text

from runner.core.dependencies import partners
from runner.core.job import Job
from runner.core.run import RunState
from runner.store import tables
from runner.store.database import Database
from runner.store.listing import failures_in_a_row, job_names, last_nominal
from runner.store.rows import micros
from runner.store.statements import Statement

_T = TypeVar("_T")
_BATCH = 200

_RUNS = tables.runs
# A held delivery waits for a person's word: it is not for a clean-up to decide.
_IS_AWAITED = (
    exists()
    .where(
        tables.mails.c.run_id == _RUNS.c.run_id,
        tables.deliveries.c.mail_id == tables.mails.c.mail_id,
        text("deliveries.state IN ('pending', 'deferred', 'held')"),
    )
    .correlate(_RUNS)
)
_REMOVE = Statement(
    delete(_RUNS).where(_RUNS.c.run_id == bindparam("this_run"), tables.finished_run, ~_IS_AWAITED)
)


def batches_to_remove(
    reading: Database, jobs: Mapping[str, Job], *, before: datetime, keep_per_job: int, awaited_since: datetime
) -> Iterator[Sequence[str]]:
    """The ids of the runs that may go, as `Store.remove_old` says which. A batch is to be removed before the next
    is asked for; each look is a transaction of its own, so that none lasts."""
    shared = partners(jobs)
    stay: dict[str, frozenset[str]] = {}

    def may_go(job_name: str, run_id: str) -> bool:
        if job_name not in stay:
            job = jobs.get(job_name)
            others = shared.get(job_name, ())
            stay[job_name] = _needed(reading, job, others, awaited_since) if job else frozenset()
        return run_id not in stay[job_name]

    candidates = chain(_ended_before(reading, before), _beyond_newest(reading, keep_per_job))
    unneeded = (run_id for job_name, run_id in candidates if may_go(job_name, run_id))
    while batch := list(islice(unneeded, _BATCH)):
        yield batch


def remove(connection: sqlite3.Connection, run_ids: Sequence[str]) -> tuple[str, ...]:
    """Remove runs with their attempts and mails; answers which: not those that have got unfinished business."""
    return tuple(run_id for run_id in run_ids if _REMOVE.run(connection, {"this_run": run_id}).rowcount == 1)


def _ended_before(reading: Database, before: datetime) -> Iterator[tuple[str, str]]:
    """Job and id of the finished runs that ended before a moment and wait for no delivery."""
    after = (0, "")
    while some := _read(reading, partial(_next_ended, before=before, after=after)):
        yield from ((row["job_name"], row["run_id"]) for row in some)
        after = (some[-1]["queued_at"], some[-1]["run_id"])


def _beyond_newest(reading: Database, keep: int) -> Iterator[tuple[str, str]]:
    """Job and id of the finished runs beyond the newest `keep` ones of each job that wait for no delivery."""
    for name in _read(reading, partial(_jobs_with_more, keep=keep)):
        after = ""
        while some := _read(reading, partial(_next_beyond, job_name=name, keep=keep, after=after)):
            yield from ((name, run_id) for run_id in some)
            after = some[-1]


def _read(reading: Database, find: Callable[[Connection], _T]) -> _T:
    with reading.transaction() as connection:
        return find(connection)


def _next_ended(connection: Connection, before: datetime, after: tuple[int, str]) -> Sequence[RowMapping]:
    """The next finished runs, after a time and an id, that ended before a moment and wait for no delivery: when
    each was queued, its id and its job's name."""
    limit, queued_at = micros(before), _RUNS.c.queued_at
    passed, last = after
    query = (
        select(queued_at, _RUNS.c.run_id, _RUNS.c.job_name)
        .where(queued_at < limit, func.coalesce(_RUNS.c.finished_at, queued_at) < limit)
        .where(tables.finished_run, ~_IS_AWAITED)
        .where(queued_at >= passed, or_(queued_at > passed, _RUNS.c.run_id > last))
        .order_by(queued_at, _RUNS.c.run_id)
        .limit(_BATCH)
    )
    return connection.execute(query).mappings().all()


def _jobs_with_more(connection: Connection, keep: int) -> Sequence[str]:
    """The names of the jobs that have more than `keep` runs; an index alone tells."""
    names = job_names()
    of_job = _RUNS.c.job_name == names.c.job_name
    one_more = select(_RUNS.c.run_id).where(of_job).order_by(_RUNS.c.run_id.desc()).limit(1).offset(keep)
    return connection.scalars(select(names.c.job_name).where(one_more.scalar_subquery().is_not(None))).all()


def _next_beyond(connection: Connection, job_name: str, keep: int, after: str) -> Sequence[str]:
    """The next finished runs of a job after an id, beyond its newest `keep` ones, that wait for no delivery."""
    of_job = _RUNS.c.job_name == job_name
    newest = select(_RUNS.c.run_id).where(of_job).order_by(_RUNS.c.run_id.desc()).limit(1).offset(keep - 1)
    # The name is hidden in an expression: by its index all rows of the job would be read, not the few unfinished.
    unfinished = select(exists().where(tables.unfinished_run, _RUNS.c.job_name.concat("") == job_name))
    if connection.scalar(unfinished):
        # Only then are the rows read: the index alone tells where the newest end.
        newest = newest.where(tables.finished_run)
    query = (
        select(_RUNS.c.run_id)
        .where(of_job, _RUNS.c.run_id < newest.scalar_subquery(), tables.finished_run, ~_IS_AWAITED)
        .where(_RUNS.c.run_id > after)
        .order_by(_RUNS.c.run_id)
        .limit(_BATCH)
    )
    return connection.scalars(query).all()


def _needed(reading: Database, job: Job, others: Collection[str], since: datetime) -> frozenset[str]:
    """The runs of a job that stay, however many and old they are: by which its next run is judged, and which a job
    after it may still need.

    Args:
        others: the jobs that another one comes after together with this one.
        since: successes of a job with such others that ended from then on stay.
    """
    with reading.transaction() as connection:
        awaited = _awaited(connection, job.job_name, others, since) if others else ()
        return frozenset((*_judged_by(connection, job), *awaited))


def _judged_by(connection: Connection, job: Job) -> Iterator[str]:
    """Without its last failures nobody would hear of a job that runs seldom, or that it works again; one that
    comes after others would load everything anew."""
    yield from islice(failures_in_a_row(connection, job.job_name), job.delivery.notify_after)
    if job.after:
        yield from connection.scalars(last_nominal(job.job_name))


def _awaited(connection: Connection, job_name: str, others: Collection[str], since: datetime) -> Iterator[str]:
    """A partner may be slower, and a person mend one that failed: then it is asked whether this job succeeded."""
    partner = _RUNS.alias("partner")
    under_way = text("partner.state IN ('queued', 'running')")
    not_ended = select(partner.c.scheduled_time).where(under_way, partner.c.job_name.in_(others))
    query = select(_RUNS.c.run_id).where(
        _RUNS.c.job_name == job_name,
        _RUNS.c.state == RunState.SUCCEEDED.value,
        or_(_RUNS.c.finished_at >= micros(since), _RUNS.c.scheduled_time.in_(not_ended)),
    )
    yield from connection.scalars(query)
