"""Findings into a file."""

import os
import stat
from pathlib import Path

from runner.errors import RunnerError
from runner.jobfiles.walk import shown_path


def write_output(path: Path, text: str) -> None:
    """Write a report, UTF-8, aside and then in place: nobody ever reads half of it.

    A link is followed. What is no regular file, such as a pipe or /dev/stdout, is written to as it is.

    Raises:
        RunnerError: the file cannot be written.
    """
    content = text.encode("utf-8", "replace")
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            path.write_bytes(content)
            return
        target = Path(os.path.realpath(path))
        aside = target.with_name(f".{target.name[:200]}.{os.getpid()}")
        try:
            aside.write_bytes(content)
            aside.replace(target)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RunnerError(
            f"{shown_path(os.fspath(path))} cannot be written: {reason}",
            hint="Name a file in a folder that exists and can be written to.",
        ) from error
