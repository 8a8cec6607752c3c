"""The folder of jobs → the jobs whose tests are asked for, and the files that are in the way."""

import difflib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.core.catalog import CheckedFile, find_broken_links, find_duplicates
from runner.core.diagnostic import Diagnostic, Severity
from runner.core.names import claimed_name, unnamed_words
from runner.errors import RunnerError, UsageError
from runner.jobfiles.defaults import job_defaults
from runner.jobfiles.load import JobFolder
from runner.jobfiles.parse import parse
from runner.jobfiles.read import ReadFault, read_job_file
from runner.jobfiles.walk import require_answer
from runner.jobtests.build import build_tests
from runner.jobtests.values import JobTestOutcome, JobTestResult, JobWithTests
from runner.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """The jobs that were asked for, in the order of their paths, and an error for each file that is no job."""

    jobs: tuple[JobWithTests, ...]
    broken: tuple[JobTestResult, ...]


def select_jobs(settings: Settings, names: Sequence[str], *, folder: Path) -> Selection:
    """The jobs of these names or paths; of none given, all.

    A path may be that of a folder. It is relative to the project folder, or to `folder`, the working folder.

    Raises:
        UsageError: there is no such job; the hint names the nearest.
        FolderGoneError: there is no folder of jobs.
    """
    files = check_folder(settings.jobs_dir, settings.project_dir, settings)
    wanted = files if not names else _named(files, names, settings, folder)
    jobs: list[JobWithTests] = []
    broken: list[JobTestResult] = []
    for file in wanted:
        found = load_tests(file, settings.project_dir)
        if isinstance(found, JobWithTests):
            jobs.append(found)
        else:
            broken.append(_broken(file, found))
    return Selection(jobs=tuple(jobs), broken=tuple(broken))


def find_job(settings: Settings, name: str, *, folder: Path) -> JobWithTests:
    """The one job of a name or path, with its tests.

    Raises:
        UsageError: there is no such job, or there are several.
        RunnerError: its file is not valid.
    """
    selection = select_jobs(settings, (name,), folder=folder)
    if len(selection.jobs) + len(selection.broken) > 1:
        raise UsageError(f"{name!r} is more than one job", hint="runner list shows the jobs.")
    for result in selection.broken:
        place = f"{result.path}:{result.line}"
        raise RunnerError(f"{place}: {result.message}", hint=result.hint or "runner validate shows every finding.")
    return selection.jobs[0]


def check_folder(jobs_dir: Path, project_dir: Path, settings: Settings) -> tuple[CheckedFile, ...]:
    """Every file of a folder of jobs, checked, sorted by path.

    Raises:
        FolderGoneError: the folder is gone.
        SilentFolderError: it does not answer.
    """
    defaults = job_defaults(settings)
    require_answer(jobs_dir)
    return find_broken_links(find_duplicates(JobFolder(jobs_dir, project_dir, defaults).scan()))


def load_tests(file: CheckedFile, project_dir: Path) -> JobWithTests | Diagnostic:
    """A job with its tests, or the finding that is in the way."""
    if file.job is None:
        return next(one for one in file.diagnostics if one.severity is Severity.ERROR)
    answer = read_job_file(project_dir / file.path, file.path)
    if isinstance(answer, ReadFault):
        return answer.finding
    # Parsing takes most of the time, and few files have tests. In an escape the word cannot be seen.
    if "tests" not in answer.text and "\\" not in answer.text:
        return JobWithTests(job=file.job, tests=(), text=answer.text)
    document, _ = parse(file.path, answer.text)
    return JobWithTests(job=file.job, tests=build_tests(document), text=answer.text)


def _named(
    files: Sequence[CheckedFile], names: Iterable[str], settings: Settings, folder: Path
) -> tuple[CheckedFile, ...]:
    chosen: dict[str, CheckedFile] = {}
    for name in names:
        found = [file for file in files if name == file.job_name] or _at_path(files, name, settings, folder)
        found = found or [file for file in files if name == claimed_name(file.job_name, file.path)]
        if not found:
            known = [file.job_name for file in files if file.job_name]
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}? " if near else ""
            unnamed = unnamed_words((file.job_name, file.path) for file in files)
            raise UsageError(
                f"there is no job {name!r} in {settings.jobs_dir}",
                hint=f"{hint}runner list shows the jobs. {unnamed}".rstrip(),
            )
        chosen.update((file.path, file) for file in found)
    return tuple(file for file in files if file.path in chosen)


def _at_path(files: Iterable[CheckedFile], name: str, settings: Settings, folder: Path) -> list[CheckedFile]:
    places = {os.path.normpath(start / name) for start in (folder, settings.project_dir)}

    def is_at(path: str) -> bool:
        file = os.path.normpath(settings.project_dir / path)
        return any(file == place or file.startswith(f"{place}/") for place in places)

    return [file for file in files if is_at(file.path)]


def _broken(file: CheckedFile, found: Diagnostic) -> JobTestResult:
    return JobTestResult(
        job_name=file.job_name or "",
        path=found.path,
        line=found.line,
        name="",
        outcome=JobTestOutcome.ERROR,
        message=f"the job file is not valid: {found.message}",
        hint=found.hint or "runner validate shows every finding.",
    )
