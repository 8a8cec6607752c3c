"""What the errors of SQLite and of its files mean, and what to do about them."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError, StatementError

from runner.errors import StoreError

ELSEWHERE = "or set JOB_STORAGE_PATH to another file"
LOCAL_DISK = "Set JOB_STORAGE_PATH to a file on a disk of this machine."
# The second: a page of what processes share is written before it is mapped, and the disk has no room for it.
_NO_ROOM = ("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE")
# The log of SQLite needs memory that its processes share, and all of it needs locks: some mounts give neither.
_NO_SHARING = tuple(f"SQLITE_{name}" for name in ("IOERR_SHM", "IOERR_LOCK", "IOERR_RDLOCK", "PROTOCOL"))
_NO_LOCKS = frozenset({errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS})


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turns what SQLite raises into StoreError with a remedy."""
    try:
        yield
    except StatementError as error:
        raise _translate(error.orig or error, path) from error
    except (SQLAlchemyError, sqlite3.Error) as error:
        raise _translate(error, path) from error


def damaged(path: Path, detail: str) -> StoreError:
    return StoreError(
        f"{path} is damaged: {detail}",
        hint="Restore it from a backup, or move it and its -wal and -shm files away to start a new history.",
    )


def shared_words(kind: str) -> str:
    """What it means where the state lies on a file system of this kind."""
    return (
        f"lies on a mount of type {kind}, which other machines, or the host of this one, may use: neither locks "
        "nor the database's log hold between them, so a second service there is not refused, runs every job again "
        "and damages the history"
    )


def not_writable(path: Path, error: OSError) -> StoreError:
    if error.errno in _NO_LOCKS:
        return _no_sharing(path, f"takes no locks ({error.strerror})")
    return StoreError(
        f"{path} cannot be opened for writing: {error.strerror}",
        hint=f"Let the user of this process write there, {ELSEWHERE}.",
    )


def identity(path: Path) -> tuple[int, int] | None:
    """Which file is at a path; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def moved_away(path: Path) -> StoreError:
    return StoreError(
        f"{path} was removed or replaced while it was in use",
        hint="Put the same file back and work goes on; to work with what is there now, restart the service.",
    )


def _no_sharing(path: Path, detail: str) -> StoreError:
    return StoreError(f"the file system of {path} {detail}", hint=LOCAL_DISK)


def _translate(error: BaseException, path: Path) -> StoreError:
    name = getattr(error, "sqlite_errorname", None) or ""
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return damaged(path, str(error))
    if name.startswith(_NO_ROOM):
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
            hint=f"Let the user of this process read and write it and its folder, {ELSEWHERE}.",
        )
    if name.startswith(_NO_SHARING):
        return _no_sharing(path, f"has no locks or no shared memory ({error})")
    if name.startswith("SQLITE_IOERR"):
        return StoreError(
            f"{path} cannot be read or written: {error}", hint="Look at the disk and the system log."
        )
    return StoreError(f"{path}: {error}", hint="Please report this: it is a fault of the runner.")
