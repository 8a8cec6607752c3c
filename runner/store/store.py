"""The Store: everything the service must not forget."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import msgspec
from sqlalchemy import Select

from runner.core.delivery import Delivery, DeliveryAttempt, DeliveryState, Mail
from runner.core.job import Job
from runner.core.run import Attempt, FollowingRun, Run, RunState
from runner.errors import StoreBusyError, StoreError
from runner.store import history, jobs_in_force, ledger, listing, outbox, retention, schedule
from runner.store.connection import connect_reader, connect_writer, make_folder
from runner.store.cursor import Cursor
from runner.store.database import Database
from runner.store.locks import (
    A_SERVICE,
    A_SINGLE_RUN,
    RunLock,
    StateLock,
    is_run_locked,
    is_service_there,
    lock_folder,
)
from runner.store.migrations import NEWEST, migrate
from runner.store.reader import StoreReader, schema_of

_NEVER = datetime.fromtimestamp(0, UTC)


class Store(StoreReader):
    """The database of one service: run history, schedule cursors, outbox, jobs in force.

    Safe to use from several threads. Of every method that changes something either all is on the disk when it
    returns, or nothing. Threads that write at the same time share a transaction. Every method may raise
    StoreError.
    """

    def __init__(self, *, writing: Database, reading: Database, lock: StateLock | None) -> None:
        super().__init__(reading)
        self._writing = writing
        self._state_lock = lock
        # Of the database when requests were looked for last.
        self._seen_version = -1
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
            StoreError: the file is damaged, newer, or something else; or an older service works on it. It is left
                as it is.
        """
        make_folder(path.parent)
        with ExitStack() as undo:
            lock = _take_lock(lock_folder(path), beside_service=beside_service)
            if lock is not None:
                undo.callback(lock.release)
            connection = connect_writer(path)
            undo.callback(connection.close)
            writing = Database(path, connection, begin="BEGIN IMMEDIATE")
            undo.callback(writing.close)
            if 0 < schema_of(writing) < NEWEST and lock is None:
                raise StoreError(
                    f"{path} was made by an older runner, which works on it now",
                    hint="Restart the service: it brings the database up to date.",
                )
            writing.use_write_ahead_log()
            with writing.transaction() as changes:
                migrate(changes)
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
        self._run_locks.append(RunLock(lock_folder(self._writing.path), run_id))

    def try_alone(self) -> bool:
        """Take the folder if no other process has it any more; answers whether this one has it now."""
        if self._state_lock is None:
            self._state_lock = _take_lock(lock_folder(self._writing.path), beside_service=True)
        return self.alone

    @property
    def alone(self) -> bool:
        """True when no service works on the same folder."""
        return self._state_lock is not None

    # Schedule

    def cursors(self) -> Mapping[str, Cursor]:
        """Job name → how far its schedule has been worked off."""
        with self._reading.transaction() as connection:
            return schedule.read_cursors(connection)

    def set_cursors(self, cursors: Iterable[Cursor]) -> None:
        """Put these cursors in place of those of their jobs."""
        wanted = tuple(cursors)
        self._writing.write(lambda changes: schedule.write_cursors(changes, wanted))

    def drop_cursors(self, job_names: Iterable[str]) -> None:
        """Forget the cursors of these jobs."""
        gone = tuple(job_names)
        if gone:
            self._writing.write(lambda changes: schedule.drop_cursors(changes, gone))

    def record_fires(self, runs: Sequence[Run], cursors: Sequence[Cursor]) -> tuple[Run, ...]:
        """Record runs, queued or skipped, and advance cursors, before anything is started.

        Returns:
            Those of `runs` that are new, in order: a run whose job and fire key are known already is left out.
        """

        def record(changes: sqlite3.Connection) -> tuple[Run, ...]:
            new = history.add_new(changes, runs)
            schedule.write_cursors(changes, cursors)
            return new

        return self._writing.write(record)

    # Runs

    def announce(self, address: str) -> None:
        """Tell other processes where this one, which has the state folder, can be asked."""
        if self._state_lock is not None:
            self._state_lock.announce(address)

    def add_requests(self, runs: Sequence[Run]) -> tuple[Run, ...]:
        """Record queued runs for the service to take up, though another process asks for them.

        Returns:
            Those of `runs` that are new, in order: a run whose job and fire key are known already is left out.
        """
        return self._writing.write(lambda changes: history.add_new(changes, runs, requested=True))

    def take_requests(self) -> tuple[Run, ...]:
        """The queued runs that were asked for since the last call; from now on they are queued like all others.

        In the order they were made. Costs some microseconds where nothing was committed since.
        """
        version = self._reading.version()
        if version == self._seen_version:
            return ()
        asked = self.requested_runs()
        if not asked:
            self._seen_version = version
            return ()
        taken = self._writing.write(lambda changes: history.take_requests(changes, [run.run_id for run in asked]))
        return tuple(run for run in asked if run.run_id in taken)

    def mark_running(self, run_id: str, started_at: datetime) -> None:
        """Record that a queued run has started.

        Raises:
            RunStateError: there is no queued run of that id.
        """
        self._writing.write(lambda changes: history.start(changes, run_id, started_at))

    def finish_run(
        self, run: Run, mails: Sequence[Mail], following: Sequence[FollowingRun] = ()
    ) -> tuple[Run, tuple[Run, ...]]:
        """Record the outcome of a run, a delivery for each recipient of each mail, and the runs that follow.

        Args:
            run: finished, with `finished_at`.
            following: each is recorded where all its needs have succeeded for its nominal time, this run included,
                unless its job and fire key are known already. Runs by hand and those without mails meet no need.

        Returns:
            The run with its deliveries, and those of `following` that were recorded, with theirs.

        Raises:
            RunStateError: the run is unknown or finished already; nothing is changed.
        """
        if not run.state.finished or run.finished_at is None:
            raise ValueError(f"run {run.run_id} is {run.state}, finished at {run.finished_at}: not an outcome")
        return self._writing.write(lambda changes: history.finish(changes, run, mails, following))

    def retry_run(self, run: Run, attempt: Attempt) -> None:
        """Record that an attempt has failed and that the run waits for the next one.

        Args:
            run: queued, its `attempt` counted up and `next_attempt_at` set.
            attempt: the one that failed; it is kept.

        Raises:
            RunStateError: the run is unknown or finished already; nothing is changed.
        """
        if run.state is not RunState.QUEUED or run.next_attempt_at is None or run.attempt <= attempt.number:
            raise ValueError(f"run {run.run_id} is {run.state}, attempt {run.attempt}: not to be tried again")
        self._writing.write(lambda changes: history.retry(changes, run, attempt))

    def mark_queued(self, run_id: str) -> None:
        """Put a run that has started back among the queued ones, for the next service to start again.

        Raises:
            RunStateError: there is no unfinished run of that id.
        """
        self._writing.write(lambda changes: history.hand_back(changes, run_id))

    def queued_runs(self) -> tuple[Run, ...]:
        """The runs that wait for a start, in the order they were made; not those that `take_requests` gives."""
        return self._unfinished(listing.queued())

    def running_runs(self) -> tuple[Run, ...]:
        """When a service starts: the runs that its predecessor left running, in the order they were made."""
        return self._unfinished(listing.running())

    def _unfinished(self, query: Select[Any]) -> tuple[Run, ...]:
        """Without those that a process of its own has at work."""
        with self._reading.transaction() as connection:
            runs = listing.read_runs(connection, query)
        folder = lock_folder(self._writing.path)
        return tuple(run for run in runs if not is_run_locked(folder, run.run_id))

    # Outbox

    def due_deliveries(
        self, now: datetime, limit: int, run_ids: Collection[str] | None = None
    ) -> Sequence[tuple[Delivery, Mail]]:
        """At most `limit` open deliveries whose time has come, the longest waiting first, with their mails: of
        these runs, or of all.

        Others of the last mail come with them, up to 100 recipients of it; those of one mail have the very same
        `Mail`.
        """
        with self._reading.transaction() as connection:
            return ledger.due_deliveries(connection, now, limit, run_ids)

    def next_delivery_time(self) -> datetime | None:
        """When the next delivery is due; None where nothing is open."""
        with self._reading.transaction() as connection:
            return ledger.next_delivery_time(connection)

    def open_deliveries(self) -> int:
        """How many deliveries are open."""
        with self._reading.transaction() as connection:
            return ledger.open_deliveries(connection)

    def begin_attempt(self, delivery_ids: Iterable[int], at: datetime) -> None:
        """Record that a mail is handed over now: should nobody learn how that ends, it is not sent again unasked.

        Raises:
            StoreError: one of them is not open; nothing is changed.
        """
        begun = tuple(delivery_ids)
        self._writing.write(lambda changes: outbox.begin(changes, begun, at))

    def record_attempts(self, attempts: Sequence[DeliveryAttempt]) -> tuple[Delivery, ...]:
        """Record what became of attempts, and a pending delivery for each recipient of each notice.

        A mail's bytes are let go when the last of its deliveries is sent; those of a dead one are kept as long as
        its run. A delivery that was put on hold meanwhile stays so where it is deferred.

        Returns:
            The deliveries as they are now, in order.

        Raises:
            StoreError: one of them is unknown, or sent or dead already; nothing is changed.
        """
        for one in attempts:
            if (one.result.state is DeliveryState.DEFERRED) != (one.next_attempt_at is not None):
                raise ValueError(f"a {one.result.state} delivery with next_attempt_at={one.next_attempt_at!r}")
        return self._writing.write(lambda changes: outbox.record(changes, attempts))

    def hasten_deliveries(self, at: datetime) -> int:
        """Make deferred deliveries due at a moment, where they are later; answers how many."""
        return self._writing.write(lambda changes: outbox.hasten(changes, at))

    def retry_deliveries(self, delivery_ids: Iterable[int], at: datetime) -> tuple[Delivery, ...]:
        """Make deliveries due at a moment, whatever they were, but for sent ones; answers those that are.

        They are given up, where they are deferred again, as if they were made at that moment; attempts count on.
        """
        wanted = tuple(delivery_ids)
        return self._writing.write(lambda changes: outbox.retry(changes, wanted, at))

    def hold_deliveries(self, delivery_ids: Iterable[int], at: datetime) -> tuple[Delivery, ...]:
        """Hold the open ones of some deliveries until they are retried; answers those that are.

        Their errors say that a person holds them, since when, and what the server answered last.
        """
        wanted = tuple(delivery_ids)
        return self._writing.write(lambda changes: outbox.hold(changes, wanted, at))

    # Jobs in force

    def save_jobs(self, jobs: Mapping[str, Job]) -> None:
        """Remember path → job of all jobs in force, in place of what was remembered; writes what differs."""
        wanted = {path: msgspec.json.encode(job) for path, job in jobs.items()}
        self._writing.write(lambda changes: jobs_in_force.save(changes, wanted))

    # Retention

    def remove_old(
        self,
        before: datetime,
        keep_per_job: int,
        jobs: Mapping[str, Job] = MappingProxyType({}),
        *,
        awaited_since: datetime = _NEVER,
    ) -> tuple[str, ...]:
        """Remove the runs that finished before a moment, and those beyond the newest finished ones of each job.

        Runs with a delivery that is open or held stay, and of `jobs` (name → job) those by which their next run is
        judged, and the successes that a job after several of them may still need: those that ended since
        `awaited_since`, and those whose nominal time another of them is still at. Works in batches, so that a long
        clean-up does not hold up a run. Answers the ids of the removed runs.
        """
        batches = retention.batches_to_remove(
            self._reading, jobs, before=before, keep_per_job=keep_per_job, awaited_since=awaited_since
        )
        return tuple(run_id for batch in batches for run_id in self._remove(batch))

    def compact(self) -> int:
        """Give the disk back what mails and runs have taken that are gone, where it is much: how many bytes.

        Raises:
            StoreError: the database cannot be written now.
        """
        return self._writing.compact()

    def _remove(self, run_ids: Sequence[str]) -> tuple[str, ...]:
        return self._writing.write(lambda changes: retention.remove(changes, run_ids))


def service_running(path: Path) -> bool:
    """Whether a service works on the database at `path`."""
    return is_service_there(lock_folder(path))


def _take_lock(folder: Path, *, beside_service: bool) -> StateLock | None:
    try:
        return StateLock(folder, holder=A_SINGLE_RUN if beside_service else A_SERVICE)
    except StoreBusyError:
        if not beside_service:
            raise
        return None
