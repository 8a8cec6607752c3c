"""Reading the run history: the same queries for the service and, while it writes, for the command line."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Self

from runner.core.bookmark import Bookmark
from runner.core.delivery import Delivery, DeliveryState, Mail
from runner.core.job import Job
from runner.core.run import Run
from runner.errors import StoreError
from runner.store import bookmarks, jobs_in_force, ledger, listing
from runner.store.connection import connect_memory, connect_reader
from runner.store.database import Database
from runner.store.migrations import NEWEST, migrate, schema_number
from runner.store.rows import moment_or_none, read_delivery


class StoreReader:
    """The run history, read only. Safe to use from several threads."""

    def __init__(self, database: Database) -> None:
        self._reading = database

    @classmethod
    def open_reader(cls, path: Path) -> "StoreReader":
        """A reader of the database at `path`, whether or not a service writes to it.

        Where there is no database yet, the reader is an empty one.

        Raises:
            StoreError: the file cannot be read, is no database, or is of another version of the runner.
        """
        try:
            empty = not path.exists() or not path.stat().st_size
        except OSError as error:
            raise StoreError(
                f"{path} cannot be read: {error.strerror}",
                hint="Run this as the user of the service, or set JOB_STORAGE_PATH.",
            ) from error
        if empty:
            return StoreReader(_empty_database(path))
        database = Database(path, connect_reader(path), begin="BEGIN")
        try:
            number = schema_of(database)
            if 0 < number < NEWEST:
                raise StoreError(
                    f"{path} was made by an older runner",
                    hint="Start the service once: it brings the database up to date.",
                )
        except BaseException:
            database.close()
            raise
        if number == 0:
            database.close()
            database = _empty_database(path)
        return StoreReader(database)

    def runs(self, *, job_name: str | None = None, limit: int = 50, before: str | None = None) -> tuple[Run, ...]:
        """At most `limit` runs, newest first, with their deliveries but without output, traceback and checks.

        Args:
            before: a run id; only runs made before that one are listed.

        Raises:
            StoreError: the database cannot be read.
        """
        query = listing.newest_first(job_name, limit, before)
        with self._reading.transaction() as connection:
            return listing.read_runs(connection, query)

    def run(self, run_id: str) -> Run | None:
        """One run with everything that is known of it; None where there is none of that id.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading.transaction() as connection:
            found = listing.read_runs(connection, listing.one(run_id))
        return found[0] if found else None

    def runs_of(self, run_ids: Sequence[str]) -> tuple[Run, ...]:
        """The runs of these ids, in the order they were made; as `runs` lists.

        Raises:
            StoreError: the database cannot be read.
        """
        # Identifiers rise.
        batches = listing.in_batches(sorted(run_ids))
        with self._reading.transaction() as connection:
            return tuple(run for some in batches for run in listing.read_runs(connection, listing.some(some)))

    def known(self, run_ids: Collection[str]) -> frozenset[str]:
        """Those of some identifiers that a run on record has.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading.transaction() as connection:
            return frozenset(connection.scalars(listing.known(run_ids)))

    def runs_between(self, job_name: str, since: datetime, until: datetime) -> tuple[Run, ...]:
        """The runs of a job whose scheduled time is in between, both ends included, oldest first; as `runs` lists.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading.transaction() as connection:
            return listing.read_runs(connection, listing.between(job_name, since, until))

    def last_runs(self, before: str | None = None) -> Mapping[str, Run]:
        """The newest run of every job; as `runs` lists.

        Args:
            before: a run id; a run made before that one goes before any made later.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading.transaction() as connection:
            runs = listing.read_runs(connection, listing.newest_of_each_job(before))
        return {run.job_name: run for run in runs}

    def unfinished_runs(self) -> tuple[Run, ...]:
        """The runs that are queued or running, in the order they were made, whoever has them at work.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading.transaction() as connection:
            return listing.read_runs(connection, listing.unfinished())

    def requested_runs(self) -> tuple[Run, ...]:
        """The queued runs that were asked for and that no service has taken up yet, in the order they were made.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading.transaction() as connection:
            return listing.read_runs(connection, listing.requested())

    def failure_streak(self, job_name: str, before: str | None = None) -> int:
        """How many runs of a job have failed in a row, up to now or to a run; at most 10,000 are counted.

        Skipped, cancelled and unfinished runs, and those that nobody is mailed about, neither count nor end it.

        Args:
            before: a run id; only runs made before that one count.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading.transaction() as connection:
            return sum(1 for _ in listing.failures_in_a_row(connection, job_name, before))

    def deliveries(
        self, job_name: str | None = None, states: Collection[DeliveryState] = (), limit: int = 50
    ) -> tuple[Delivery, ...]:
        """At most `limit` deliveries, newest first.

        Args:
            job_name: only those of this job.
            states: only those in one of these states; in any where there are none.

        Raises:
            StoreError: the database cannot be read.
        """
        query = ledger.deliveries_query(job_name, states, limit)
        with self._reading.transaction() as connection:
            return tuple(read_delivery(row) for row in connection.execute(query).mappings())

    def delivery_mail(self, delivery_id: int) -> tuple[Delivery, Mail] | None:
        """One delivery with its mail, None where there is none of that id. A mail that all have got is empty.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading.transaction() as connection:
            return ledger.delivery_mail(connection, delivery_id)

    def bookmark(self, job_name: str) -> Bookmark:
        """How far a job has got with what was delivered; an empty bookmark where nothing was.

        It outlives the runs that it comes from.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading.transaction() as connection:
            return bookmarks.read(connection, job_name)

    def time_before(self, job_name: str, scheduled_time: datetime) -> datetime | None:
        """The last nominal time before one for which a job has a run on record, skipped ones included.

        Runs by hand do not count.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading.transaction() as connection:
            return moment_or_none(connection.scalar(listing.time_before(job_name, scheduled_time)))

    def newest_before(self, moment: datetime) -> datetime | None:
        """When the newest run was queued, of those before a moment.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading.transaction() as connection:
            return moment_or_none(connection.scalar(listing.newest_before(moment)))

    def load_jobs(self) -> Mapping[str, Job]:
        """Path → job as a service last remembered. One that this version cannot read is left out, with a warning.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading.transaction() as connection:
            return jobs_in_force.load(connection)

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        self._reading.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def schema_of(database: Database) -> int:
    """The last migration the database has taken, 0 for an empty one.

    Raises:
        StoreError: it belongs to another program, or to a newer version of this one.
    """
    with database.transaction() as connection:
        number = schema_number(connection)
    if number is None:
        raise StoreError(
            f"{database.path} is the database of another program",
            hint="Set JOB_STORAGE_PATH to a file that does not exist yet; this one is left as it is.",
        )
    if number > NEWEST:
        raise StoreError(
            f"{database.path} was made by a newer runner (schema {number}, this one knows {NEWEST})",
            hint="Install that version again, or set JOB_STORAGE_PATH to another file; this one is left as it is.",
        )
    return number


def _empty_database(path: Path) -> Database:
    database = Database(path, connect_memory(), begin="BEGIN")
    with database.transaction() as connection:
        migrate(connection)
    return database
