"""Where an opened file really lies, and whether a job may have it."""

import os
from pathlib import Path

from runner.core.source import is_never_read
from runner.state_files import is_kept_by_runner


class NeverReadError(Exception):
    """It is none of the files that may be read for a job; its text is `why_none_for_a_job`."""


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
    return "belongs to the runner itself" if is_kept_by_runner(real) else ""


def require_for_a_job(path: Path | str, descriptor: int) -> None:
    """Let pass what was opened as `path` for a job.

    Raises:
        NeverReadError: that name, or the file that it leads to, is none to read.
    """
    why = why_none_for_a_job(path, real_path(path, descriptor))
    if why:
        raise NeverReadError(why)
