"""The one module that opens the database: connections, the lock on its folder, and what their errors mean."""

import fcntl
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, StaticPool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError, StatementError

from runner.errors import StoreBusyError, StoreError

LOCK_NAME = "runner.lock"
_BUSY_SECONDS = 5.0
_CHECK_SECONDS = 5.0
_SQLITE_MAGIC = b"SQLite format 3\x00"
_ELSEWHERE = "or set JOB_STORAGE_PATH to another file"

logger = logging.getLogger(__name__)


class Database:
    """One connection in explicit transactions, used by one thread at a time.

    Args:
        begin: the statement that opens a transaction: `BEGIN IMMEDIATE` to write, `BEGIN` to read.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, begin: str) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._raw = connection
        # The parameters of a failed statement are mails and script output: not for a log.
        self._engine = create_engine(
            "sqlite://", creator=lambda: connection, poolclass=StaticPool, hide_parameters=True
        )
        event.listen(self._engine, "begin", lambda started: started.exec_driver_sql(begin))
        self._connection = self._engine.connect()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All or nothing: committed at the end of the block, rolled back where it raises.

        Raises:
            StoreError: the database could not do it.
        """
        with self._lock, storage_errors(self.path), self._connection.begin():
            yield self._connection

    def use_write_ahead_log(self) -> None:
        """Let others read while this connection writes. Stays set in the file.

        Raises:
            StoreError: the mode cannot be changed.
        """
        with self._lock, storage_errors(self.path):
            (mode,) = self._raw.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            logger.warning("%s lies on a file system without shared memory: reading waits for writing", self.path)

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        with self._lock:
            self._connection.close()
            self._engine.dispose()


class StateLock:
    """A lock on the folder of the database: held by one process at a time, freed by the kernel if that one dies.

    The descriptor is not inherited by programs that are exec'd; a bare fork would share the lock.
    """

    def __init__(self, folder: Path, *, holder: str = "a service") -> None:
        """Take the lock. `holder` is what others are told of this process.

        Raises:
            StoreBusyError: another process holds it.
            StoreError: the lock file cannot be written.
        """
        path = folder / LOCK_NAME
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise _not_writable(path, error) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{holder}, process {os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            other = os.pread(self._descriptor, 80, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise StoreBusyError(
                f"{folder} is in use by another runner ({other or 'an unknown process'})",
                hint=f"Stop that process or wait until it ends, {_ELSEWHERE} in a folder of its own.",
            ) from error
        except OSError as error:
            os.close(self._descriptor)
            raise _not_writable(path, error) from error

    def release(self) -> None:
        """Free the lock; a second call does nothing. The file stays: removing it would let two processes in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class RunLock:
    """Says that a process of its own, not the service, has a run at work; freed by the kernel if that one dies."""

    def __init__(self, folder: Path, run_id: str) -> None:
        """Take the lock; it is for this process alone, as only it knows the identifier.

        Raises:
            StoreError: the lock file cannot be written.
        """
        self._path = _run_lock_path(folder, run_id)
        try:
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise _not_writable(self._path, error) from error

    def release(self) -> None:
        """Free the lock."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def is_run_locked(folder: Path, run_id: str) -> bool:
    """Whether a process of its own has this run at work."""
    try:
        descriptor = os.open(_run_lock_path(folder, run_id), os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _run_lock_path(folder: Path, run_id: str) -> Path:
    return folder / "single-runs" / f"{run_id}.lock"


def make_folder(folder: Path) -> None:
    """The folder of the database; only its owner may enter one that is made here.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(folder, error) from error


def connect_writer(path: Path) -> sqlite3.Connection:
    """The writing connection. The file is made where there is none and checked where there is one; never changed.

    Raises:
        StoreError: the file is no database, is damaged, or cannot be written.
    """
    try:
        refuse_other_formats(path)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise _not_writable(path, error) from error
    with storage_errors(path):
        connection = _connect(path, "rw")
        try:
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            _check_integrity(path, connection)
        except BaseException:
            connection.close()
            raise
        return connection


def connect_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write, to a database that may be written meanwhile.

    Raises:
        StoreError: the file cannot be opened, or is no database.
    """
    with storage_errors(path):
        connection = _connect(path, "ro")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master")
        except BaseException:
            connection.close()
            # Only now: closing a descriptor of the file drops every lock this process holds on it.
            refuse_other_formats(path)
            raise
        return connection


def connect_memory() -> sqlite3.Connection:
    """A connection to an empty database of its own, in memory."""
    return sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)


def refuse_other_formats(path: Path) -> None:
    """Raise StoreError where the file holds something else than an SQLite database; a missing file is fine.

    Raises:
        StoreError: it does; the message says what to do with the job storage of the REST service.
        OSError: the file cannot be read.
    """
    if not path.exists():
        return
    with path.open("rb") as file:
        start = file.read(64)
    if not start or start.startswith(_SQLITE_MAGIC):
        return
    if start.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in {b"{", b"["}:
        raise StoreError(
            f"{path} is a JSON file: the job storage of the REST service, not a run history",
            hint="Set JOB_STORAGE_PATH=./data/runner.db and write its jobs as YAML files in jobs.d; "
            "the JSON file is left as it is.",
        )
    raise StoreError(
        f"{path} is not a run history: its content is something else",
        hint=f"Move the file away, {_ELSEWHERE}.",
    )


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns what SQLite raises into StoreError with a remedy."""
    try:
        yield
    except StatementError as error:
        raise _translate(error.orig or error, path) from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise _translate(error, path) from error


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # isolation_level None: the driver begins no transaction by itself; `Database` does, explicitly.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def _check_integrity(path: Path, connection: sqlite3.Connection) -> None:
    """A look at every page, given up after a few seconds: gigabytes must not keep the service down."""
    deadline = time.monotonic() + _CHECK_SECONDS
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") != "SQLITE_INTERRUPT":
            raise
        logger.info("%s is large: its integrity check was stopped after %g s", path, _CHECK_SECONDS)
        verdict = "ok"
    finally:
        connection.set_progress_handler(None, 0)
    if verdict != "ok":
        raise _damaged(path, str(verdict).splitlines()[-1])


def _damaged(path: Path, detail: str) -> StoreError:
    return StoreError(
        f"{path} is damaged: {detail}",
        hint="Restore it from a backup, or move it and its -wal and -shm files away to start a new history.",
    )


def _not_writable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be opened for writing: {error.strerror}",
        hint=f"Let the user of this process write there, {_ELSEWHERE}.",
    )


def _translate(error: BaseException, path: Path) -> StoreError:
    name = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return _damaged(path, str(error))
    if name.startswith("SQLITE_FULL"):
        return StoreError(
            f"{path} cannot grow: the disk is full",
            hint="Free some space; RUN_RETENTION_DAYS bounds how much history is kept.",
        )
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return StoreError(
            f"{path} is locked by another program",
            hint="Close the program that writes to it; only one runner may use a state folder.",
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return StoreError(
            f"{path} cannot be opened: {error}",
            hint=f"Let the user of this process read and write it and its folder, {_ELSEWHERE}.",
        )
    if name.startswith("SQLITE_IOERR"):
        return StoreError(
            f"{path} cannot be read or written: {error}", hint="Look at the disk and the system log."
        )
    return StoreError(f"{path}: {error}", hint="Please report this: it is a fault of the runner.")
