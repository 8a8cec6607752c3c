"""The result of a step: a file that untrusted code wrote, opened with care."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

from runner.errors import ExecutionError

RESULT_FILE = "result.csv"


def open_result(run_dir: Path) -> BinaryIO:
    """The result of a run, opened for reading.

    Only a regular file that lies in the folder itself: no link, no pipe, no device in its place.

    Raises:
        ExecutionError: there is none, or something else stands in its place.
    """
    path = run_dir / RESULT_FILE
    try:
        # O_NONBLOCK: a pipe in its place would wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ExecutionError(
            f"{path} cannot be read: {error.strerror}", hint="Run the job again: runner run JOB"
        ) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        raise ExecutionError(f"{path} is no plain file", hint="The script must leave result.csv alone.")
    return os.fdopen(descriptor, "rb")


def read_result(run_dir: Path, *, max_bytes: int) -> bytes:
    """The bytes of a run's result.

    Raises:
        ExecutionError: there is none, or it is larger than `max_bytes`.
    """
    with open_result(run_dir) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ExecutionError(
            f"{run_dir / RESULT_FILE} is larger than {max_bytes:,} bytes",
            hint="Let the step return less; the file is kept with the run.",
        )
    return content
