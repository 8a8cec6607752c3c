"""A folder → its checked files, again and again: what has not changed is not looked at twice."""

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import is_
from pathlib import Path

from runner.core.catalog import CheckedFile
from runner.core.effective import EffectiveValue
from runner.core.job_defaults import JobDefaults
from runner.jobfiles.check import build_checked
from runner.jobfiles.effective import effective_values
from runner.jobfiles.emptiness import is_empty_on_purpose
from runner.jobfiles.files import FileSource, WorkingFiles
from runner.jobfiles.git.repository import Repository
from runner.jobfiles.inspection import CheckContext
from runner.jobfiles.judge import BATCH, inspect_files
from runner.jobfiles.layers import NO_LAYERS, LayerReader, Layers
from runner.jobfiles.lint.checks import checker_of_defaults
from runner.jobfiles.lint.query import find_query_faults
from runner.jobfiles.lint.step_fault import FindFault
from runner.jobfiles.parse import parse
from runner.jobfiles.read import FileKey, JobFile, ReadFault, ReadProblem, file_key, read_job_file
from runner.jobfiles.verdict import Dependency, is_settled
from runner.jobfiles.walk import Listing, list_job_files, shown_path, unlisted


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """What is remembered of one file: its state when it was read, and what was found."""

    key: FileKey
    text_digest: str
    settled: bool
    file: CheckedFile
    dependencies: tuple[Dependency, ...]
    layers: Layers

    def is_current(self, key: FileKey, layers: Layers, files: FileSource) -> bool:
        return self.settled and self.key == key and self._alone_unchanged(layers, files)

    def still_holds(self, text_digest: str, layers: Layers, files: FileSource) -> bool:
        """Whether a file that was read again is as it was. A fresh step file is not compared: checked again."""
        same = bool(text_digest) and self.text_digest == text_digest
        unsure = not self.settled and any(one.by_content for one in self.dependencies)
        return same and not unsure and self._alone_unchanged(layers, files)

    def _alone_unchanged(self, layers: Layers, files: FileSource) -> bool:
        return self.layers.digest == layers.digest and all(one.is_current(files) for one in self.dependencies)


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
        query_fault: FindFault = find_query_faults,
    ) -> None:
        self._jobs_dir = jobs_dir
        self._files = WorkingFiles(project_dir)
        self._defaults = defaults
        self._clock = clock
        self._query_fault = query_fault
        self._layers: LayerReader | None = None
        self.unsettled = False
        self.empty_on_purpose = False
        # How many seconds before the end of the last scan the newest of the files was written that it has found
        # new or changed, as their file system tells the time; None where it has found none.
        self.newest_change: float | None = None
        self._known: dict[str, _Known] = {}
        self._scanned: tuple[CheckedFile, ...] = ()
        self._repository = Repository(project_dir)
        prefix = Path(os.path.relpath(jobs_dir, project_dir)).as_posix()
        self._prefix = "" if prefix == "." else f"{prefix}/"

    def scan(self) -> tuple[CheckedFile, ...]:
        """Every job file as it is now, sorted by path: the very same tuple as before where nothing has changed.

        A file that is being written is left as it was. Where defaults or the policy may be gone, all files are:
        a version that is good under those alone is not to be the last good one. Then `unsettled` asks for another
        scan soon. Where there is no job file, `empty_on_purpose` tells whether that is meant.

        Raises:
            FolderGoneError: the folder is gone; nothing that is remembered is lost.
            ThreadError: no thread can be started to look at data files; neither is anything lost.
        """
        root = os.path.realpath(self._jobs_dir)
        listing = list_job_files(root)
        self.empty_on_purpose = not listing.files and is_empty_on_purpose(self._files, root)
        context = CheckContext(
            files=self._files,
            defaults=self._defaults,
            now=datetime.fromtimestamp(self._clock() / 1e9, tz=UTC),
            query_fault=self._query_fault,
        )
        reader = self._read_layers(root, listing, context)
        if reader is None:
            return self._scanned
        dependencies = (one for known in self._known.values() for one in known.dependencies)
        self._files.look_ahead(one.location for one in dependencies if not one.by_content)
        known: dict[str, _Known] = {}
        unchecked: list[tuple[JobFile, CheckContext]] = []
        for relative in listing.files:
            path = self._prefix + shown_path(relative)
            layers = reader.layers(relative.rpartition("/")[0])
            entry = self._look(path, f"{root}/{relative}", layers)
            if isinstance(entry, JobFile):
                unchecked.append((entry, replace(context, layers=layers)))
            elif entry is not None:
                known[path] = entry
        known.update(self._check(unchecked))
        for folder, error in listing.unreadable:
            known.update(self._unreadable(self._prefix + shown_path(folder), error))
        before = {path: entry.file for path, entry in self._known.items()}
        newest = _newest_change(self._known, known)
        self.newest_change = (self._clock() - newest) / 1e9 if newest else None
        self._known = known
        self._stamp(files_changed={path: entry.file for path, entry in known.items()} != before)
        return self._same_or(tuple(entry.file for _, entry in sorted(self._known.items())))

    def _same_or(self, files: tuple[CheckedFile, ...]) -> tuple[CheckedFile, ...]:
        """The tuple of the scan before where no file differs: who compares thousands of files sees it at once."""
        same = len(files) == len(self._scanned) and all(map(is_, files, self._scanned))
        self._scanned = self._scanned if same else files
        return self._scanned

    def effective(self, path: str) -> tuple[EffectiveValue, ...] | None:
        """The values of a job file and where each comes from, by a path that `scan` gave; None where it cannot be
        read now."""
        root = os.path.realpath(self._jobs_dir)
        relative = path.removeprefix(self._prefix)
        answer = read_job_file(f"{root}/{relative}", path)
        if isinstance(answer, ReadFault):
            return None
        document, _ = parse(path, answer.text)
        reader = LayerReader(self._files, root, self._prefix, lambda _path, _document: ())
        layers = reader.layers(relative.rpartition("/")[0])
        return effective_values(document, path=path, layers=layers, defaults=self._defaults)

    def _read_layers(self, root: str, listing: Listing, context: CheckContext) -> LayerReader | None:
        """The layers as they are now. One that is gone must be seen gone twice: a checkout may be under way, and
        no job is to lose its time zone for a moment. None at the first sight of that."""
        fresh = LayerReader(self._files, root, self._prefix, checker_of_defaults(context))
        for folder in {relative.rpartition("/")[0] for relative in listing.files}:
            fresh.layers(folder)
        before = self._layers
        gone = before is not None and not self.unsettled and before.texts().keys() - fresh.texts().keys()
        if gone:
            self.unsettled = True
            return None
        self.unsettled = False
        self._layers = fresh
        return fresh

    def _look(self, path: str, file: str, layers: Layers) -> _Known | JobFile | None:
        """What is known of a file; the file itself where it is to be checked; None where it is gone."""
        before = self._known.get(path)
        try:
            key = file_key(os.stat(file))  # noqa: PTH116 - called for every file at every scan
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                return None
            key = (0, 0, 0, 0)
        if before is not None and before.is_current(key, layers, self._files):
            return before
        answer = read_job_file(file, path)
        if isinstance(answer, ReadFault):
            if answer.problem is ReadProblem.GONE:
                return None
            if answer.problem is ReadProblem.UNSETTLED:
                return before
            failed = CheckedFile(path=path, digest=answer.digest, job=None, diagnostics=(answer.finding,))
            return self._remember(failed, (), answer.key, answer.digest, layers)
        if before is not None and before.still_holds(answer.digest, layers, self._files):
            return replace(
                before, key=answer.key, settled=is_settled(answer.key, before.dependencies, self._clock())
            )
        return answer

    def _check(self, files: Sequence[tuple[JobFile, CheckContext]]) -> Iterator[tuple[str, _Known]]:
        for start in range(0, len(files), BATCH):
            batch = files[start : start + BATCH]
            for (file, context), inspected in zip(batch, inspect_files(batch), strict=True):
                checked = build_checked(inspected, context)
                dependencies = inspected.verdict.dependencies
                # Without a digest it is checked again by the next scan.
                digest = "" if inspected.verdict.passing else file.digest
                yield file.path, self._remember(checked, dependencies, file.key, digest, context.layers)

    def _remember(
        self,
        file: CheckedFile,
        dependencies: tuple[Dependency, ...],
        key: FileKey,
        text_digest: str,
        layers: Layers,
    ) -> _Known:
        return _Known(
            key=key,
            text_digest=text_digest,
            settled=bool(text_digest) and is_settled(key, dependencies, self._clock()),
            file=file,
            dependencies=dependencies,
            layers=layers,
        )

    def _unreadable(self, folder: str, error: OSError) -> dict[str, _Known]:
        """A finding for a folder that cannot be listed; what was known below it stays as it was."""
        failed = CheckedFile(path=folder, digest="", job=None, diagnostics=(unlisted(folder, error),))
        kept = {path: entry for path, entry in self._known.items() if path.startswith(f"{folder}/")}
        return {folder: self._remember(failed, (), (0, 0, 0, 0), "", NO_LAYERS), **kept}

    def _stamp(self, *, files_changed: bool) -> None:
        """Write the git revision into every job."""
        revisions = self._repository.revisions(files_changed=files_changed)
        for path, entry in self._known.items():
            job = entry.file.job
            if job is None:
                continue
            revision = revisions.of(*{path, job.step.path or path, *entry.layers.texts})
            if revision != job.revision:
                stamped = replace(entry.file, job=replace(job, revision=revision))
                self._known[path] = replace(entry, file=stamped)


def _newest_change(before: Mapping[str, _Known], now: Mapping[str, _Known]) -> int:
    """When the newest of what has changed was written, in nanoseconds since 1970; 0 where nothing has."""
    changed = (one.key for path, one in now.items() if path not in before or before[path].key != one.key)
    return max((ctime for _, ctime, _, _ in changed), default=0)
