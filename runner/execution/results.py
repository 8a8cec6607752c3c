"""The result of a step: files that untrusted code wrote, opened with care."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from runner.core.job import AttachmentFormat
from runner.errors import ExecutionError

RESULT_FILE = "result.csv"
CHART_FILE = "chart.png"
# The other forms are the CSV itself, or made of it.
ATTACHMENT_FILES = {AttachmentFormat.XLSX: "result.xlsx", AttachmentFormat.PARQUET: "result.parquet"}

# How open(2) answers to a symbolic link, and to a pipe or a socket that nobody listens to.
_NO_PLAIN_FILE = {errno.ELOOP, errno.ENXIO}


def open_result(run_dir: Path, name: str = RESULT_FILE) -> BinaryIO:
    """The result of a run, or the file of its attachment or its chart, opened for reading.

    Only a regular file that lies in the folder itself: no link, no pipe, no device in its place.

    Raises:
        ExecutionError: there is none, or something else stands in its place.
    """
    path = run_dir / name
    try:
        # O_NONBLOCK: a pipe in its place would wait for a writer for ever.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in _NO_PLAIN_FILE:
            raise _no_plain_file(path) from error
        raise ExecutionError(
            f"{path} cannot be read: {error.strerror}", hint="The next run of the job makes it anew."
        ) from error
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        raise _no_plain_file(path)
    return os.fdopen(descriptor, "rb")


def _no_plain_file(path: Path) -> ExecutionError:
    return ExecutionError(
        f"{path} is no plain file",
        hint=f"Let the script leave the name {path.name} to the runner, which writes the result there.",
    )


def result_size(run_dir: Path, name: str) -> int:
    """The size in bytes of what `open_result` opens.

    Raises:
        ExecutionError: as `open_result`.
    """
    with open_result(run_dir, name) as file:
        return os.fstat(file.fileno()).st_size


def read_result(run_dir: Path, name: str = RESULT_FILE, *, max_bytes: int) -> bytes:
    """The bytes of a run's result, or of the file of its attachment.

    Raises:
        ExecutionError: there is none, or it is larger than `max_bytes`.
    """
    with open_result(run_dir, name) as file:
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ExecutionError(
            f"{run_dir / name} is larger than {max_bytes:,} bytes",
            hint="Let the step return less; the file is kept with the run.",
        )
    return content
