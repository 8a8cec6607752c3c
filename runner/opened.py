"""Where an opened file really lies, and whether a job may have it."""

import os
from pathlib import Path

from runner.core.source import is_never_read
from runner.state_files import is_kept_by_runner


class NeverReadError(Exception):
    """It is none of the files that may be read for a job; its text says what the file does instead."""


def real_path(path: Path | str, descriptor: int) -> str:
    """The path of what was opened as `path`: a link that is changed meanwhile makes no difference."""
    try:
        real = os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - no Path of a descriptor
    except OSError:
        return os.path.realpath(path)
    # A pipe has no path there.
    return real if real.startswith("/") else os.path.realpath(path)


def require_for_a_job(path: Path | str, descriptor: int) -> None:
    """Let pass what was opened as `path` for a job.

    Raises:
        NeverReadError: that name, or the file that it leads to, is none to read.
    """
    real = real_path(path, descriptor)
    if is_never_read(os.fspath(path)) or is_never_read(real):
        raise NeverReadError("holds more secrets than one")
    if is_kept_by_runner(real):
        raise NeverReadError("belongs to the runner itself")
