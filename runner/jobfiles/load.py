"""A folder → its checked files, again and again: what has not changed is not looked at twice."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from runner.core.catalog import CheckedFile
from runner.core.diagnostic import Diagnostic
from runner.core.job import JobDefaults
from runner.jobfiles.check import Check, check_file, failed_check
from runner.jobfiles.git import Repository
from runner.jobfiles.inspection import Dependency
from runner.jobfiles.lint_query import find_query_fault
from runner.jobfiles.lint_script import FindFault
from runner.jobfiles.read import FileKey, ReadFault, ReadProblem, file_key, read_job_file
from runner.jobfiles.walk import list_job_files, shown_path

# A file written within the clock tick of its last reading keeps its times: its content is compared once more.
_SETTLED_NS = 2_000_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """What is remembered of one file: its state when it was read, and what was found."""

    key: FileKey
    text_digest: str
    settled: bool
    file: CheckedFile
    dependencies: tuple[Dependency, ...]

    def is_current(self, key: FileKey) -> bool:
        return self.settled and self.key == key and self._alone_unchanged()

    def still_holds(self, text_digest: str) -> bool:
        """Whether a file that was read again is as it was. A fresh step file is not compared: checked again."""
        same = bool(text_digest) and self.text_digest == text_digest
        unsure = not self.settled and any(one.by_content for one in self.dependencies)
        return same and not unsure and self._alone_unchanged()

    def _alone_unchanged(self) -> bool:
        return all(one.is_current() for one in self.dependencies)


class JobFolder:
    """The folder of jobs of one project. Not for several threads at a time.

    Args:
        jobs_dir: the folder; may be a link, and is resolved anew by every scan.
        project_dir: what relative locations are resolved against.
        clock: nanoseconds since 1970, as `time.time_ns`.
        query_fault: how queries are looked at.
    """

    def __init__(
        self,
        jobs_dir: Path,
        project_dir: Path,
        defaults: JobDefaults,
        *,
        clock: Callable[[], int] = time.time_ns,
        query_fault: FindFault = find_query_fault,
    ) -> None:
        self._jobs_dir = jobs_dir
        self._project_dir = project_dir
        self._defaults = defaults
        self._clock = clock
        self._query_fault = query_fault
        self._known: dict[str, _Known] = {}
        self._repository = Repository(project_dir)
        prefix = Path(os.path.relpath(jobs_dir, project_dir)).as_posix()
        self._prefix = "" if prefix == "." else f"{prefix}/"

    def scan(self) -> tuple[CheckedFile, ...]:
        """Every job file as it is now, sorted by path. A file that is being written is left as it was.

        Raises:
            FolderGoneError: the folder is gone; nothing that is remembered is lost.
        """
        root = os.path.realpath(self._jobs_dir)
        listing = list_job_files(root)
        known: dict[str, _Known] = {}
        for relative in listing.files:
            path = self._prefix + shown_path(relative)
            entry = self._look(path, f"{root}/{relative}")
            if entry is not None:
                known[path] = entry
        for folder, reason in listing.unreadable:
            known.update(self._unreadable(self._prefix + shown_path(folder), reason))
        before = {path: entry.file for path, entry in self._known.items()}
        self._known = known
        self._stamp(files_changed={path: entry.file for path, entry in known.items()} != before)
        return tuple(entry.file for _, entry in sorted(self._known.items()))

    def _look(self, path: str, file: str) -> _Known | None:
        before = self._known.get(path)
        try:
            key = file_key(os.stat(file))  # noqa: PTH116 - called for every file at every scan
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                return None
            key = (0, 0, 0, 0)
        if before is not None and before.is_current(key):
            return before
        answer = read_job_file(file, path)
        if isinstance(answer, ReadFault):
            if answer.problem is ReadProblem.GONE:
                return None
            if answer.problem is ReadProblem.UNSETTLED:
                return before
            return self._remember(failed_check(path, answer), answer.key, answer.digest)
        if before is not None and before.still_holds(answer.digest):
            return replace(before, key=answer.key, settled=self._is_settled(answer.key, before.dependencies))
        check = check_file(
            answer, project_dir=self._project_dir, defaults=self._defaults, query_fault=self._query_fault
        )
        return self._remember(check, answer.key, answer.digest)

    def _remember(self, check: Check, key: FileKey, text_digest: str) -> _Known:
        return _Known(
            key=key,
            text_digest=text_digest,
            settled=bool(text_digest) and self._is_settled(key, check.dependencies),
            file=check.file,
            dependencies=check.dependencies,
        )

    def _is_settled(self, key: FileKey, dependencies: tuple[Dependency, ...]) -> bool:
        keys = (key, *(one.key for one in dependencies if one.key is not None))
        latest = max(max(one[0], one[1]) for one in keys)
        return latest < self._clock() - _SETTLED_NS

    def _unreadable(self, folder: str, reason: str) -> dict[str, _Known]:
        """A finding for a folder that cannot be listed; what was known below it stays as it was."""
        finding = Diagnostic(
            path=folder,
            rule="unreadable",
            message=f"the folder cannot be listed: {reason}",
            hint="Check its permissions.",
        )
        check = Check(file=CheckedFile(path=folder, digest="", job=None, diagnostics=(finding,)))
        kept = {path: entry for path, entry in self._known.items() if path.startswith(f"{folder}/")}
        return {folder: self._remember(check, (0, 0, 0, 0), ""), **kept}

    def _stamp(self, *, files_changed: bool) -> None:
        """Write the git revision into every job."""
        revisions = self._repository.revisions(files_changed=files_changed)
        for path, entry in self._known.items():
            job = entry.file.job
            if job is None:
                continue
            revision = revisions.of(*{path, job.step.path or path})
            if revision != job.revision:
                stamped = replace(entry.file, job=replace(job, revision=revision))
                self._known[path] = replace(entry, file=stamped)
