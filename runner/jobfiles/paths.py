"""What `validate` is given → checked files: any files and folders, once, with no memory and without git."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runner.core.catalog import CheckedFile, find_duplicates
from runner.core.diagnostic import Diagnostic, sort_diagnostics
from runner.core.job import JobDefaults
from runner.errors import UsageError
from runner.jobfiles.check import Check, check_file, failed_check
from runner.jobfiles.read import ReadFault, read_job_file
from runner.jobfiles.walk import NO_JOB, FolderGoneError, list_job_files, shown_path


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """Checked files, sorted by path, and the texts that their findings point into, by path."""

    files: tuple[CheckedFile, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """Every finding, sorted, each once."""
        return sort_diagnostics(found for file in self.files for found in file.diagnostics)


def check_paths(paths: Sequence[Path], *, jobs_dir: Path, folder: Path, defaults: JobDefaults) -> Validation:
    """Check files and folders; none given: all of `jobs_dir`.

    Paths are shown relative to `folder`, the working directory, where they are in it. The project of a file is
    the folder that holds its nearest ancestor named like `jobs_dir`, else `folder`.
    Names must be unique within a project. Files whose names start with `_` or `.` are no jobs.

    Raises:
        UsageError: a path that does not exist.
        FolderGoneError: a folder that cannot be listed, or no `paths` and no `jobs_dir`.
    """
    projects: dict[Path, list[Check]] = {}
    for file in _files(paths) if paths else _folder_files(jobs_dir):
        project = _project(file, jobs_dir.name, folder)
        projects.setdefault(project, []).append(_check(file, project, folder, defaults))
    files = tuple(
        checked for checks in projects.values() for checked in find_duplicates(check.file for check in checks)
    )
    texts: dict[str, str] = {}
    for checks in projects.values():
        for check in checks:
            texts.update(check.texts)
    return Validation(files=tuple(sorted(files, key=lambda file: file.path)), texts=texts)


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """Each file once, as absolute paths; links are kept, so that a file has the name it was given by."""
    seen: set[Path] = set()
    for path in paths:
        place = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would lose the name of a link
        if not os.path.lexists(place):
            raise UsageError(f"there is no {path}", hint="Name files or folders that exist.")
        for file in _folder_files(place) if place.is_dir() else _given_file(place):
            if file not in seen:
                seen.add(file)
                yield file


def _given_file(place: Path) -> Iterator[Path]:
    if not place.name.startswith(NO_JOB):
        yield place


def _folder_files(place: Path) -> Iterator[Path]:
    listing = list_job_files(place)
    for folder, reason in listing.unreadable:
        raise FolderGoneError(place / folder, OSError(reason))
    yield from (place / relative for relative in listing.files)


def _project(file: Path, jobs_dir_name: str, folder: Path) -> Path:
    return next((place.parent for place in file.parents if place.name == jobs_dir_name), folder)


def _check(file: Path, project: Path, folder: Path, defaults: JobDefaults) -> Check:
    shown = shown_path(os.fspath(file.relative_to(folder) if file.is_relative_to(folder) else file))
    answer = read_job_file(file, shown)
    if isinstance(answer, ReadFault):
        return failed_check(shown, answer)
    return check_file(answer, project_dir=project, defaults=defaults)
