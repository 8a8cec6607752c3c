"""Where job files and the files they name are read from: the working tree here, a commit in `git_tree`."""

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from runner.jobfiles.data_looks import DataLooks
from runner.jobfiles.read import FileKey, JobFile, ReadFault, file_key, read_job_file

NO_FILE: FileKey = (0, 0, -1, 0)
# Of a data file that may be there or not: where it lies gives no answer.
SILENT: FileKey = (0, 0, -2, 0)
# Of one that may be there or not, and of a folder: this user may not look.
CLOSED: FileKey = (0, 0, -3, 0)


class FileSource(Protocol):
    """The files of one project. Locations are relative to the project folder, or absolute."""

    def read(self, location: str, shown: str) -> JobFile | ReadFault:
        """A file that people know as `shown`; see `read_job_file`."""

    def probe(self, location: str, *, by_content: bool) -> FileKey | None:
        """The state of a file, None where there is nothing. Where only its being there counts: zeros, or `NO_FILE`
        of what is there and is no regular file."""

    def look(self, location: str) -> FileKey | None:
        """As `probe` where only its being there counts, for a data file: `SILENT` where there is no answer,
        `CLOSED` where it may not be looked at, or as a folder not be listed.

        Raises:
            ThreadError: no thread can be started for it.
        """

    def look_ahead(self, locations: Iterable[str], *, resolved: Iterable[str] = ()) -> None:
        """Look at data files at once, for `look` to answer from until the next call of this, and at where some
        lead, for `real_path`: by the thousand that is much sooner.

        Raises:
            ThreadError: as by `look`.
        """

    def real_path(self, location: str) -> str | None:
        """The path of a location, relative to the project folder where it is in it, links followed where there
        are any; None where there is no answer.

        Raises:
            ThreadError: as by `look`.
        """


class WorkingFiles:
    """The files as they are now on disk. Not for several threads at a time."""

    def __init__(self, project_dir: Path) -> None:
        self._project_dir = os.fspath(project_dir)
        self._looks = DataLooks(self._project_dir)
        self._looked: dict[str, FileKey | None] = {}
        self._resolved: dict[str, str | None] = {}

    def read(self, location: str, shown: str) -> JobFile | ReadFault:
        """See `FileSource.read`."""
        return read_job_file(os.path.join(self._project_dir, location), shown)  # noqa: PTH118 - as below

    def probe(self, location: str, *, by_content: bool) -> FileKey | None:
        """See `FileSource.probe`."""
        status = _status(self._path(location))
        if by_content and status is not None:
            return file_key(status)
        return _presence(status)

    def look(self, location: str) -> FileKey | None:
        """See `FileSource.look`."""
        if location not in self._looked:
            return self._look(location)[location]
        return self._looked[location]

    def look_ahead(self, locations: Iterable[str], *, resolved: Iterable[str] = ()) -> None:
        """See `FileSource.look_ahead`. Where all answer, no thread is left: a fork may follow."""
        self._looked = self._look(*dict.fromkeys(locations))
        self._resolved = self._resolve(*dict.fromkeys(resolved))
        self._looks.close()

    def real_path(self, location: str) -> str | None:
        """See `FileSource.real_path`."""
        if location not in self._resolved:
            return self._resolve(location)[location]
        return self._resolved[location]

    def _resolve(self, *locations: str) -> dict[str, str | None]:
        root = os.path.realpath(self._project_dir)
        paths = {location: os.path.join(root, location) for location in locations}  # noqa: PTH118 - of what is not there
        found = self._looks.ask(_real, *paths.values())
        return {
            location: os.path.relpath(found[path], root) if path in found else None
            for location, path in paths.items()
        }

    def _look(self, *locations: str) -> dict[str, FileKey | None]:
        paths = {location: self._path(location) for location in locations}
        found = self._looks.ask(_look_at, *paths.values())
        return {location: found.get(path, SILENT) for location, path in paths.items()}

    def _path(self, location: str) -> str:
        # Called for every job at every scan: Path costs as much as the call.
        return location if location[:1] == "/" else f"{self._project_dir}/{location}"


def _real(path: str) -> str:
    try:
        return os.path.realpath(path)
    except ValueError:
        # No path that the system can have, as with letters that its encoding lacks: no link is on it.
        return os.path.normpath(path)


def _look_at(path: str) -> FileKey | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - as above
    except PermissionError:
        return CLOSED
    except (OSError, ValueError):
        return None
    if stat.S_ISDIR(status.st_mode) and not os.access(path, os.R_OK | os.X_OK):
        return CLOSED
    return _presence(status)


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - as above
    except (OSError, ValueError):
        return None


def _presence(status: os.stat_result | None) -> FileKey | None:
    """The state of a file of which only its being there counts."""
    if status is None:
        return None
    return (0, 0, 0, 0) if stat.S_ISREG(status.st_mode) else NO_FILE
