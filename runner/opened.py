"""To open a file that a job names; where it really lies, and whether a job may have it."""

import os
from pathlib import Path

from runner.core.source import is_never_read
from runner.state_files import is_kept_by_runner

# O_NONBLOCK: opening a FIFO or a terminal must not wait for its other end.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_PLACE: int | None = getattr(os, "O_PATH", None)
_DESCRIPTORS = "/proc/self/fd"
_OF_THE_RUNNER = "belongs to the runner itself"
# What this process has open as databases: the same one as often as it is.
_databases: list[str] = []


class NeverReadError(Exception):
    """It is none of the files that may be read for a job; its text is `why_none_for_a_job`."""


def mark_database(files: list[str]) -> None:
    """Have these files, links resolved, never opened for a job while this process has them open itself."""
    _databases.extend(files)


def unmark_database(files: list[str]) -> None:
    """The opposite, of the same files, once."""
    for file in files:
        _databases.remove(file)


def open_for_a_job(path: Path | str) -> int:
    """A descriptor to read a file that a job names. The caller closes it.

    A database that this process has open is not opened for it, whatever leads there: with any descriptor of a
    file that is closed, POSIX takes all locks on it from the process. SQLite's would be lost, and who leaves the
    database next would take its log for nobody's, and remove it.

    Raises:
        NeverReadError: it is such a database.
        OSError, ValueError: it cannot be opened.
    """
    if not _databases:
        return os.open(path, _FLAGS)
    if _PLACE is None or not os.access(_DESCRIPTORS, os.X_OK):
        _require_no_database(os.stat(path))  # noqa: PTH116 - as for a descriptor
        return os.open(path, _FLAGS)
    # It leads to the file without being one of those that take the locks away.
    place = os.open(path, _PLACE | os.O_CLOEXEC)
    try:
        _require_no_database(os.fstat(place))
        return os.open(f"{_DESCRIPTORS}/{place}", _FLAGS)
    except OSError as error:
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    finally:
        os.close(place)


def _require_no_database(found: os.stat_result) -> None:
    for file in tuple(_databases):
        try:
            ours = os.stat(file)  # noqa: PTH116 - a Path for each of ten thousand files takes time
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino):
            raise NeverReadError(_OF_THE_RUNNER)


def real_path(path: Path | str, descriptor: int) -> str:
    """The path of what was opened as `path`: a link that is changed meanwhile makes no difference."""
    try:
        real = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - no Path of a descriptor
    except OSError:
        return os.path.realpath(path)
    # A pipe has no path there.
    return real if real.startswith("/") else os.path.realpath(path)


def why_none_for_a_job(path: Path | str, real: str) -> str:
    """What a file does that a job may not have; empty where it may: as it is named, and where links lead."""
    if is_never_read(os.fspath(path)) or is_never_read(real):
        return "holds more secrets than one"
    return _OF_THE_RUNNER if is_kept_by_runner(real) else ""


def require_for_a_job(path: Path | str, descriptor: int) -> None:
    """Let pass what was opened as `path` for a job.

    Raises:
        NeverReadError: that name, or the file that it leads to, is none to read.
    """
    why = why_none_for_a_job(path, real_path(path, descriptor))
    if why:
        raise NeverReadError(why)
