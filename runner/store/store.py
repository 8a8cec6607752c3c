"""The Store: everything the service must not forget."""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import msgspec
from sqlalchemy import Connection, Select, bindparam, delete, exists, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from runner.core.delivery import Delivery, DeliveryState, Mail, SendResult
from runner.core.job import Job
from runner.core.run import FailureKind, Run, RunFailure, RunState
from runner.errors import StoreBusyError, StoreError
from runner.store import outbox, tables
from runner.store.connection import (
    Database,
    RunLock,
    StateLock,
    connect_reader,
    connect_writer,
    is_run_locked,
    make_folder,
)
from runner.store.cursor import Cursor
from runner.store.migrations import migrate
from runner.store.reader import StoreReader, read_runs, schema_of
from runner.store.rows import run_row

_BATCH = 500

logger = logging.getLogger(__name__)


class Store(StoreReader):
    """The database of one service: run history, schedule cursors, outbox, jobs in force.

    Safe to use from several threads. Every method that changes something does so in one transaction, and either
    all of it is on the disk when the method returns or none of it. Every method may raise StoreError.
    """

    def __init__(self, *, writing: Database, reading: Database, lock: StateLock | None) -> None:
        super().__init__(reading)
        self._writing = writing
        self._state_lock = lock
        self._run_locks: list[RunLock] = []

    @classmethod
    def open(cls, path: Path, *, beside_service: bool = False) -> Self:
        """The store at `path`, made where there is none and brought to the newest schema.

        The folder of `path` is this process's alone until `close`.

        Args:
            beside_service: for a single run: do not mind that a service has the folder. Then `alone` is False,
                and mails are the service's to send. SQLite keeps the two writers apart.

        Raises:
            StoreBusyError: another process has it.
            StoreError: the file is damaged, newer, or something else; it is left as it is.
        """
        make_folder(path.parent)
        with ExitStack() as undo:
            lock = _take_lock(path.parent, beside_service=beside_service)
            if lock is not None:
                undo.callback(lock.release)
            connection = connect_writer(path)
            undo.callback(connection.close)
            writing = Database(path, connection, begin="BEGIN IMMEDIATE")
            undo.callback(writing.close)
            number = schema_of(writing)
            writing.use_write_ahead_log()
            with writing.transaction() as changes:
                migrate(changes, number)
            reading = Database(path, connect_reader(path), begin="BEGIN")
            undo.pop_all()
        return cls(writing=writing, reading=reading, lock=lock)

    def close(self) -> None:
        """Close the database and free the folder; a second call does nothing."""
        super().close()
        self._writing.close()
        for run_lock in self._run_locks:
            run_lock.release()
        self._run_locks = []
        if self._state_lock is not None:
            self._state_lock.release()

    def hold_run(self, run_id: str) -> None:
        """Until `close`, no service that starts takes this run for one that its predecessor left behind."""
        self._run_locks.append(RunLock(self._writing.path.parent, run_id))

    def try_alone(self) -> bool:
        """Take the folder if no other process has it any more; answers whether this one has it now."""
        if self._state_lock is None:
            self._state_lock = _take_lock(self._writing.path.parent, beside_service=True)
        return self.alone

    @property
    def alone(self) -> bool:
        """True when no service works on the same folder."""
        return self._state_lock is not None

    # Schedule

    def cursors(self) -> Mapping[str, Cursor]:
        """Job name → how far its schedule has been worked off."""
        with self._reading.transaction() as connection:
            rows = connection.execute(select(tables.cursors)).all()
        return {row.job_name: Cursor(job_name=row.job_name, schedule=row.schedule, time=row.time) for row in rows}

    def set_cursors(self, cursors: Iterable[Cursor]) -> None:
        """Put these cursors in place of those of their jobs."""
        with self._writing.transaction() as connection:
            _write_cursors(connection, cursors)

    def drop_cursors(self, job_names: Iterable[str]) -> None:
        """Forget the cursors of these jobs."""
        rows = [{"name": name} for name in job_names]
        if not rows:
            return
        with self._writing.transaction() as connection:
            connection.execute(delete(tables.cursors).where(tables.cursors.c.job_name == bindparam("name")), rows)

    def record_fires(self, runs: Sequence[Run], cursors: Sequence[Cursor]) -> tuple[Run, ...]:
        """Record runs, queued or skipped, and advance cursors, before anything is started.

        Returns:
            Those of `runs` that are new, in order: a run whose job and fire key are known already is left out.
        """
        new: set[str] = set()
        statement = (
            upsert(tables.runs)
            .on_conflict_do_nothing(
                index_elements=[tables.runs.c.job_name, tables.runs.c.fire_key], index_where=tables.has_fire_key
            )
            .returning(tables.runs.c.run_id)
        )
        with self._writing.transaction() as connection:
            if runs:
                new.update(connection.scalars(statement, [run_row(run) for run in runs]))
            _write_cursors(connection, cursors)
        return tuple(run for run in runs if run.run_id in new)

    def add_run(self, run: Run) -> None:
        """Record one run, such as a manual one."""
        with self._writing.transaction() as connection:
            connection.execute(insert(tables.runs).values(run_row(run)))

    def mark_running(self, run_id: str, started_at: datetime) -> None:
        """Record that a queued run has started.

        Raises:
            StoreError: there is no queued run of that id.
        """
        statement = (
            update(tables.runs)
            .where(tables.runs.c.run_id == run_id, tables.runs.c.state == str(RunState.QUEUED))
            .values(state=str(RunState.RUNNING), started_at=started_at)
        )
        with self._writing.transaction() as connection:
            if connection.execute(statement).rowcount != 1:
                raise _not_in_state(connection, run_id, "queued")

    def finish_run(self, run: Run, mails: Sequence[Mail]) -> Run:
        """Record the outcome of a run and a pending delivery for each recipient of each mail.

        Args:
            run: finished, with `finished_at`.

        Returns:
            The run with its deliveries.

        Raises:
            StoreError: the run is unknown or finished already; nothing is changed.
        """
        with self._writing.transaction() as connection:
            return _finish(connection, run, mails)

    def mark_queued(self, run_id: str) -> None:
        """Put a run that has started back among the queued ones, for the next service to start again.

        Raises:
            StoreError: there is no unfinished run of that id.
        """
        statement = (
            update(tables.runs)
            .where(tables.runs.c.run_id == run_id, tables.unfinished_run)
            .values(state=str(RunState.QUEUED), started_at=None)
        )
        with self._writing.transaction() as connection:
            if connection.execute(statement).rowcount != 1:
                raise _not_in_state(connection, run_id, "unfinished")

    def queued_runs(self) -> tuple[Run, ...]:
        """The runs that were recorded and never started, in the order they were made."""
        query = _unfinished(RunState.QUEUED)
        with self._reading.transaction() as connection:
            return tuple(run for run in read_runs(connection, query) if not self._is_elsewhere(run))

    def mark_lost(self, at: datetime, compose: Callable[[Run], Sequence[Mail]] = lambda _: ()) -> tuple[Run, ...]:
        """Record, when a service starts, that the runs its predecessor left running are lost.

        A queued run never started, so it is not lost: `queued_runs` gives it to be started now.

        Args:
            compose: the mails that tell of a lost run.

        Returns:
            The lost runs in the order they were made, with their deliveries.
        """
        query = _unfinished(RunState.RUNNING)
        with self._writing.transaction() as connection:
            lost = [_lost(run, at) for run in read_runs(connection, query) if not self._is_elsewhere(run)]
            return tuple(_finish(connection, run, compose(run)) for run in lost)

    def _is_elsewhere(self, run: Run) -> bool:
        return is_run_locked(self._writing.path.parent, run.run_id)

    # Outbox

    def due_deliveries(self, now: datetime, limit: int) -> Sequence[tuple[Delivery, Mail]]:
        """At most `limit` open deliveries whose time has come, the longest waiting first, with their mails."""
        with self._reading.transaction() as connection:
            return outbox.due_deliveries(connection, now, limit)

    def next_delivery_time(self) -> datetime | None:
        """When the next delivery is due; None where nothing is open."""
        with self._reading.transaction() as connection:
            return outbox.next_delivery_time(connection)

    def record_attempt(
        self, delivery_id: int, result: SendResult, *, at: datetime, next_attempt_at: datetime | None
    ) -> None:
        """Record what became of one attempt.

        A mail's bytes are let go when the last of its deliveries is sent; those of a dead one are kept as long as
        its run.

        Args:
            next_attempt_at: when to try again; given exactly where `result` is deferred.

        Raises:
            StoreError: the delivery is unknown, or sent or dead already.
        """
        if (result.state is DeliveryState.DEFERRED) != (next_attempt_at is not None):
            raise ValueError(f"a {result.state} delivery with next_attempt_at={next_attempt_at!r}")
        with self._writing.transaction() as connection:
            if not outbox.record_attempt(connection, delivery_id, result, at=at, next_attempt_at=next_attempt_at):
                raise StoreError(
                    f"{self._writing.path}: delivery {delivery_id} is not open",
                    hint="It was sent or given up before; nothing is to be done.",
                )

    # Jobs in force

    def save_jobs(self, jobs: Mapping[str, Job]) -> None:
        """Remember path → job of all jobs in force, in place of what was remembered; writes what differs."""
        wanted = {path: msgspec.json.encode(job) for path, job in jobs.items()}
        with self._writing.transaction() as connection:
            known = {row.path: row.job for row in connection.execute(select(tables.jobs))}
            gone = [{"gone": path} for path in known.keys() - wanted.keys()]
            changed = [{"path": path, "job": job} for path, job in wanted.items() if known.get(path) != job]
            if gone:
                connection.execute(delete(tables.jobs).where(tables.jobs.c.path == bindparam("gone")), gone)
            if changed:
                statement = upsert(tables.jobs)
                connection.execute(
                    statement.on_conflict_do_update(
                        index_elements=[tables.jobs.c.path], set_={"job": statement.excluded.job}
                    ),
                    changed,
                )

    def load_jobs(self) -> Mapping[str, Job]:
        """Path → job as last remembered. One that this version cannot read is left out, with a warning."""
        with self._reading.transaction() as connection:
            rows = connection.execute(select(tables.jobs).order_by(tables.jobs.c.path)).all()
        decoder = msgspec.json.Decoder(Job)
        jobs: dict[str, Job] = {}
        for row in rows:
            try:
                jobs[row.path] = decoder.decode(row.job)
            except (msgspec.DecodeError, ValueError) as error:
                logger.warning("The last good version of %s cannot be read and is forgotten: %s", row.path, error)
        return jobs

    # Retention

    def remove_old(self, before: datetime) -> tuple[str, ...]:
        """Remove the runs that finished before a moment and have no open delivery, and their mails.

        Works in batches, so that a long clean-up does not hold up a run. Answers the ids of the removed runs.
        """
        runs, deliveries, mails = tables.runs, tables.deliveries, tables.mails
        is_open = (
            exists()
            .where(mails.c.run_id == runs.c.run_id, deliveries.c.mail_id == mails.c.mail_id)
            .where(tables.open_delivery)
        )
        old = (
            select(runs.c.run_id)
            .where(runs.c.queued_at < before, func.coalesce(runs.c.finished_at, runs.c.queued_at) < before)
            .where(tables.finished_run, ~is_open)
            .limit(_BATCH)
        )
        removed: list[str] = []
        while True:
            with self._writing.transaction() as connection:
                batch = connection.scalars(old).all()
                connection.execute(delete(runs).where(runs.c.run_id.in_(batch)))
            removed.extend(batch)
            if len(batch) < _BATCH:
                return tuple(removed)


def _take_lock(folder: Path, *, beside_service: bool) -> StateLock | None:
    try:
        return StateLock(folder, holder="a single run" if beside_service else "a service")
    except StoreBusyError:
        if not beside_service:
            raise
        return None


def _write_cursors(connection: Connection, cursors: Iterable[Cursor]) -> None:
    rows = [{"job_name": one.job_name, "schedule": one.schedule, "time": one.time} for one in cursors]
    if not rows:
        return
    statement = upsert(tables.cursors)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[tables.cursors.c.job_name],
            set_={"schedule": statement.excluded.schedule, "time": statement.excluded.time},
        ),
        rows,
    )


def _finish(connection: Connection, run: Run, mails: Sequence[Mail]) -> Run:
    if not run.state.finished or run.finished_at is None:
        raise ValueError(f"run {run.run_id} is {run.state}, finished at {run.finished_at}: not an outcome")
    runs = tables.runs
    statement = update(runs).where(runs.c.run_id == run.run_id, tables.unfinished_run).values(run_row(run))
    if connection.execute(statement).rowcount != 1:
        raise _not_in_state(connection, run.run_id, "unfinished")
    for mail in mails:
        outbox.add_mail(connection, run.run_id, mail, run.finished_at)
    return replace(run, deliveries=outbox.deliveries_of(connection, run.run_id))


def _unfinished(state: RunState) -> Select[Any]:
    """The runs of one unfinished state, in the order they were made.

    The first condition seems idle, but is what lets SQLite use the index of unfinished runs.
    """
    return (
        select(tables.runs)
        .where(tables.unfinished_run, tables.runs.c.state == str(state))
        .order_by(tables.runs.c.run_id)
    )


def _lost(run: Run, at: datetime) -> Run:
    failure = RunFailure(
        kind=FailureKind.LOST,
        message="The service stopped while it was running",
        hint=f"Look at the service's log for why it stopped; run it again with: runner run {run.job_name}",
    )
    return replace(run, state=RunState.LOST, finished_at=at, failure=failure)


def _not_in_state(connection: Connection, run_id: str, wanted: str) -> StoreError:
    state = connection.scalar(select(tables.runs.c.state).where(tables.runs.c.run_id == run_id))
    if state is None:
        return StoreError(f"There is no run {run_id}", hint="It was never recorded, or is past its retention.")
    return StoreError(f"Run {run_id} is {state}, not {wanted}", hint="Its record is left as it is.")
