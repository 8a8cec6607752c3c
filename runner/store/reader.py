"""Reading the run history: the same queries for the service and, while it writes, for the command line."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from sqlalchemy import Connection, Select, func, select

from runner.core.delivery import Delivery
from runner.core.run import Run
from runner.errors import StoreError
from runner.store import tables
from runner.store.connection import Database, connect_memory, connect_reader
from runner.store.migrations import NEWEST, migrate, schema_number
from runner.store.outbox import DELIVERIES
from runner.store.rows import read_delivery, read_run

_MANY = 10_000
# A listing of thousands of runs must not load what each of them printed.
_LISTED = [column for column in tables.runs.c if column.name not in {"output", "failure_traceback"}]


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
        """At most `limit` runs, newest first, with their deliveries but without output and traceback.

        Args:
            before: a run id; only runs made before that one are listed.

        Raises:
            StoreError: the database cannot be read.
        """
        query = select(*_LISTED).order_by(tables.runs.c.run_id.desc()).limit(limit)
        if job_name is not None:
            query = query.where(tables.runs.c.job_name == job_name)
        if before is not None:
            query = query.where(tables.runs.c.run_id < before)
        with self._reading.transaction() as connection:
            return read_runs(connection, query)

    def run(self, run_id: str) -> Run | None:
        """One run with everything that is known of it; None where there is none of that id.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading.transaction() as connection:
            found = read_runs(connection, select(tables.runs).where(tables.runs.c.run_id == run_id))
        return found[0] if found else None

    def last_runs(self) -> Mapping[str, Run]:
        """The newest run of every job, without output and traceback.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._reading.transaction() as connection:
            return {run.job_name: run for run in read_runs(connection, _newest_of_each_job())}

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        self._reading.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_runs(connection: Connection, query: Select[Any]) -> tuple[Run, ...]:
    """The runs of a query over `runs`, with their deliveries."""
    rows = connection.execute(query).mappings().all()
    deliveries = _deliveries_by_run(connection, [row["run_id"] for row in rows])
    return tuple(read_run(row, tuple(deliveries.get(row["run_id"], ()))) for row in rows)


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
        migrate(connection, 0)
    return database


def _deliveries_by_run(connection: Connection, run_ids: list[str]) -> Mapping[str, Iterable[Delivery]]:
    found: dict[str, list[Delivery]] = {}
    for start in range(0, len(run_ids), _MANY):
        wanted = tables.mails.c.run_id.in_(run_ids[start : start + _MANY])
        for row in connection.execute(DELIVERIES.where(wanted)).mappings():
            found.setdefault(row["run_id"], []).append(read_delivery(row))
    return found


def _newest_of_each_job() -> Select[Any]:
    """Two index look-ups per job, however long the history is; GROUP BY would read the whole index."""
    runs = tables.runs
    names = select(func.min(runs.c.job_name).label("job_name")).cte("names", recursive=True)
    following = select(func.min(runs.c.job_name)).where(runs.c.job_name > names.c.job_name).scalar_subquery()
    names = names.union_all(select(following).where(names.c.job_name.is_not(None)))
    newest = select(func.max(runs.c.run_id)).where(runs.c.job_name == names.c.job_name).scalar_subquery()
    return select(*_LISTED).where(runs.c.run_id.in_(select(newest).select_from(names)))
