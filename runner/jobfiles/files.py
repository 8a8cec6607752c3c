"""Where job files and the files they name are read from: the working tree here, a commit in `git_tree`."""

import os
import stat
from pathlib import Path
from typing import Protocol

from runner.jobfiles.read import FileKey, JobFile, ReadFault, file_key, read_job_file

NO_FILE: FileKey = (0, 0, -1, 0)


class FileSource(Protocol):
    """The files of one project. Locations are relative to the project folder, or absolute."""

    def read(self, location: str, shown: str) -> JobFile | ReadFault:
        """A file that people know as `shown`; see `read_job_file`."""

    def probe(self, location: str, *, by_content: bool) -> FileKey | None:
        """The state of a file, None where there is nothing. Where only its being there counts: zeros, or `NO_FILE`
        of what is there and is no regular file."""

    def real_path(self, location: str) -> str:
        """The path of a location, relative to the project folder where it is in it, links followed where there
        are any."""


class WorkingFiles:
    """The files as they are now on disk."""

    def __init__(self, project_dir: Path) -> None:
        self._project_dir = os.fspath(project_dir)

    def read(self, location: str, shown: str) -> JobFile | ReadFault:
        """See `FileSource.read`."""
        return read_job_file(os.path.join(self._project_dir, location), shown)  # noqa: PTH118 - as below

    def probe(self, location: str, *, by_content: bool) -> FileKey | None:
        """See `FileSource.probe`."""
        try:
            # Called for every job at every scan: Path costs as much as the call.
            status = os.stat(location if location[:1] == "/" else f"{self._project_dir}/{location}")  # noqa: PTH116
        except (OSError, ValueError):
            return None
        if by_content:
            return file_key(status)
        return (0, 0, 0, 0) if stat.S_ISREG(status.st_mode) else NO_FILE

    def real_path(self, location: str) -> str:
        """See `FileSource.real_path`."""
        root = os.path.realpath(self._project_dir)
        return os.path.relpath(os.path.realpath(os.path.join(root, location)), root)  # noqa: PTH118 - realpath of what is not there
