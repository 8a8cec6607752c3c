"""A folder → the job files in it and below."""

import os
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from runner.core.diagnostic import Diagnostic, Severity
from runner.errors import RunnerError
from runner.jobfiles.data_looks import SILENCE_SECONDS, DataLooks

SUFFIXES = (".yaml", ".yml")
NO_JOB = ("_", ".")


class FolderGoneError(RunnerError):
    """A folder is not there, or cannot be listed. A service keeps all jobs and looks again."""

    def __init__(self, folder: Path | str, error: OSError) -> None:
        closed = isinstance(error, PermissionError)
        super().__init__(
            f"the folder {shown_path(os.fspath(folder))} cannot be listed: {error.strerror or error}",
            hint="Let the user of this process read it."
            if closed
            else "Make it, set JOBS_DIR, or start in the folder that holds jobs.d.",
        )


class SilentFolderError(RunnerError):
    """A folder gives no answer, as where the server of a network mount is away.

    Args:
        seconds: how long it was waited for.
    """

    def __init__(self, folder: Path | str, seconds: float) -> None:
        super().__init__(
            f"the folder {shown_path(os.fspath(folder))} does not answer: it was waited for {seconds:g} s",
            hint="Look at its file system: the server of a network mount may be away.",
        )


def require_answer(*paths: Path | str) -> None:
    """See that what is about to be read answers, whatever it says.

    Raises:
        SilentFolderError: one does not.
        ThreadError: no thread can be started to look at it.
    """
    looks = DataLooks("/")
    places = {os.path.abspath(path): path for path in paths}  # noqa: PTH100 - no link is followed
    answers = looks.ask(_listed, *places)
    looks.close()
    for place, path in places.items():
        if place not in answers:
            raise SilentFolderError(path, SILENCE_SECONDS)


def _listed(path: str) -> None:
    """Ask for what a folder holds, or of a file whether it is there."""
    with suppress(OSError), os.scandir(path) as entries:
        next(entries, None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What a folder holds: paths relative to it, with `/`, sorted; `unreadable` are folders, and why. `misnamed`
    are files that would be those of jobs without the capitals in `.YAML`."""

    files: tuple[str, ...]
    unreadable: tuple[tuple[str, OSError], ...] = ()
    misnamed: tuple[str, ...] = ()

    def require_readable(self, root: Path | str) -> None:
        """See that every folder below `root`, whose listing this is, could be listed.

        Raises:
            FolderGoneError: one could not.
        """
        for folder, error in self.unreadable:
            raise FolderGoneError(f"{os.fspath(root)}/{folder}", error) from error


def unlisted(folder: str, error: OSError) -> Diagnostic:
    """The finding for a folder below that cannot be listed. `folder` is as it is shown."""
    return Diagnostic(
        path=folder,
        rule="unreadable",
        message=f"the folder cannot be listed: {error.strerror or error}",
        hint="Let the user of this process read it.",
    )


def passed_over(path: str) -> Diagnostic:
    """The finding for a file that is no job's only by the case of its name. `path` is as it is shown."""
    stem, dot, ending = path.rpartition("/")[2].rpartition(".")
    return Diagnostic(
        path=path,
        severity=Severity.WARNING,
        rule="job-file-name",
        message=f"{stem}{dot}{ending} is not read as a job: its name ends in capitals",
        hint=f"Rename it to {stem}{dot}{ending.lower()}, or give it a _ in front if it is none.",
    )


def is_job_name(name: str) -> bool:
    """True for the name of a job file: `*.yaml` or `*.yml` that starts with neither `_` nor `.`."""
    return name.endswith(SUFFIXES) and not name.startswith(NO_JOB)


def is_misnamed(name: str) -> bool:
    """True for a name that would be that of a job file without its capitals."""
    return is_job_name(name.lower()) and not is_job_name(name)


def list_job_files(root: Path | str) -> Listing:
    """Every job file below a folder. Hidden folders are passed over; links are followed, each folder is read once.

    Raises:
        FolderGoneError: the folder itself cannot be listed.
    """
    files: list[str] = []
    misnamed: list[str] = []
    unreadable: list[tuple[str, OSError]] = []
    seen: set[tuple[int, int]] = set()
    real = deque([""])
    # Links come last, so that a folder is known by its own path where it has one below the root.
    linked: deque[str] = deque()
    while real or linked:
        folder = real.popleft() if real else linked.popleft()
        try:
            status = os.stat(os.path.join(root, folder))  # noqa: PTH116, PTH118 - texts, not Paths: 10,000 files in 30 ms
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            for name, is_folder, is_link in _entries(os.path.join(root, folder)):  # noqa: PTH118
                path = f"{folder}/{name}" if folder else name
                if is_folder:
                    (linked if is_link else real).append(path)
                else:
                    (files if is_job_name(name) else misnamed).append(path)
        except OSError as error:
            if not folder:
                raise FolderGoneError(root, error) from error
            if not isinstance(error, FileNotFoundError):
                unreadable.append((folder, error))
    return Listing(
        files=tuple(sorted(files)),
        unreadable=tuple(sorted(unreadable, key=itemgetter(0))),
        misnamed=tuple(sorted(misnamed)),
    )


def _entries(folder: str) -> Iterator[tuple[str, bool, bool]]:
    """Name, whether it is a folder, whether it is a link; of folders that are not hidden, and of files whose names
    are those of jobs but for capitals."""
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if name.startswith("."):
                continue
            try:
                is_folder = entry.is_dir()
            except OSError:  # a link that leads in a circle: reading the file will say so
                is_folder = False
            if is_folder or is_job_name(name) or is_misnamed(name):
                yield name, is_folder, entry.is_symlink()


def shown_path(path: str) -> str:
    """A path as text that can be printed: bytes that are no UTF-8 are replaced."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
