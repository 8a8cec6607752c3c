"""The one module that opens the database file: it makes, checks and refuses; it never repairs."""

import logging
import os
import shlex
import sqlite3
import time
from pathlib import Path

from runner.errors import StoreError
from runner.store.faults import ELSEWHERE, damaged, not_writable, storage_errors

_BUSY_SECONDS = 5.0
_CHECK_SECONDS = 5.0
_SQLITE_MAGIC = b"SQLite format 3\x00"

logger = logging.getLogger(__name__)


def make_folder(folder: Path) -> None:
    """The folder of the database; only its owner may enter one that is made here.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(folder, error) from error


def connect_writer(path: Path) -> sqlite3.Connection:
    """The writing connection. The file is made where there is none and checked where there is one; never changed.

    Raises:
        StoreError: the file is no database, is damaged, or cannot be written.
    """
    try:
        refuse_other_formats(path)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise not_writable(path, error) from error
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
            hint=f"Set JOB_STORAGE_PATH=./data/runner.db. runner import {shlex.quote(str(path))} makes job "
            "files of its jobs, and leaves it as it is.",
        )
    raise StoreError(
        f"{path} is not a run history: its content is something else",
        hint=f"Move the file away, {ELSEWHERE}.",
    )


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    # isolation_level None: the driver begins no transaction by itself; `Database` does, explicitly.
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
    )


def integrity(connection: sqlite3.Connection, seconds: float) -> str:
    """What a look at every page says: `ok`, or what is wrong; empty where it is not done in this time.

    Raises:
        sqlite3.Error: the file cannot be read.
    """
    deadline = time.monotonic() + seconds
    connection.set_progress_handler(lambda: time.monotonic() > deadline, 100_000)
    try:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") != "SQLITE_INTERRUPT":
            raise
        return ""
    finally:
        connection.set_progress_handler(None, 0)
    return str(verdict).splitlines()[-1]


def _check_integrity(path: Path, connection: sqlite3.Connection) -> None:
    """Given up after a few seconds: gigabytes must not keep the service down."""
    verdict = integrity(connection, _CHECK_SECONDS)
    if not verdict:
        logger.info("%s is large: its integrity check was stopped after %g s", path, _CHECK_SECONDS)
    elif verdict != "ok":
        raise damaged(path, verdict)
