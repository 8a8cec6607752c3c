"""Locks beside the database: who works on its folder, and on a single run."""

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from runner.errors import StoreBusyError
from runner.state_files import LOCK_NAME, SINGLE_RUNS
from runner.store.faults import ELSEWHERE, not_writable

A_SERVICE = "a service"
A_SINGLE_RUN = "a single run"
# Two short lines.
_MOST_BYTES = 400
_TRIES = 10
_PAUSE_SECONDS = 0.005


def lock_folder(path: Path) -> Path:
    """Where the locks of the database at `path` lie: beside the file itself, whichever links lead there."""
    return Path(os.path.realpath(path)).parent


class StateLock:
    """A lock on the folder of the database: held by one process at a time, freed by the kernel if that one dies.

    The descriptor is not inherited by programs that are exec'd; a bare fork would share the lock.
    """

    def __init__(self, folder: Path, *, holder: str = A_SERVICE) -> None:
        """Take the lock. `holder` is what others are told of this process.

        Raises:
            StoreBusyError: another process holds it.
            StoreError: the lock file cannot be written.
        """
        path = folder / LOCK_NAME
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise not_writable(path, error) from error
        try:
            _lock(self._descriptor)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{holder}, process {os.getpid()}\n".encode(), 0)
        except BlockingIOError as error:
            other = _holder(self._descriptor)
            os.close(self._descriptor)
            raise StoreBusyError(
                f"{folder} is in use by another runner ({other or 'an unknown process'})",
                hint=f"Stop that process or wait until it ends, {ELSEWHERE} in a folder of its own.",
            ) from error
        except OSError as error:
            os.close(self._descriptor)
            raise not_writable(path, error) from error

    def announce(self, address: str) -> None:
        """Write beside what this process is where it can be asked, for `announced_address`."""
        # Others can do without, on a full disk say.
        with suppress(OSError):
            os.pwrite(self._descriptor, f"{address}\n".encode(), os.fstat(self._descriptor).st_size)

    def release(self) -> None:
        """Free the lock; a second call does nothing. The file stays: removing it would let two processes in."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def is_service_there(folder: Path) -> bool:
    """Whether a service works on the folder."""
    try:
        descriptor = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(descriptor).startswith(A_SERVICE)
    finally:
        os.close(descriptor)
    return False


def lock_holder(folder: Path) -> str:
    """What the process that holds the folder has written of itself; empty where that cannot be read."""
    return _lines(folder)[0]


def announced_address(folder: Path) -> str:
    """Where the process that holds the folder says that it can be asked; empty where it does not say."""
    return _lines(folder)[1]


def _lines(folder: Path) -> tuple[str, str]:
    try:
        with (folder / LOCK_NAME).open("rb") as file:
            holder, _, rest = file.read(_MOST_BYTES).decode("ascii", "replace").partition("\n")
    except OSError:
        return "", ""
    return holder.strip(), rest.partition("\n")[0].strip()


def _lock(descriptor: int) -> None:
    """`is_service_there` of another process holds the lock for an instant: that must not refuse a service."""
    for _ in range(_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_PAUSE_SECONDS)
        else:
            return
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _holder(descriptor: int) -> str:
    """What the holder has written of itself; it writes right after it has taken the lock."""
    for _ in range(_TRIES):
        if text := os.pread(descriptor, _MOST_BYTES, 0).decode("ascii", "replace").strip():
            return text.partition("\n")[0]
        time.sleep(_PAUSE_SECONDS)
    return ""


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
            raise not_writable(self._path, error) from error

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
    return folder / SINGLE_RUNS / f"{run_id}.lock"
