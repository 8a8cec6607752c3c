"""What `validate` is given → verdicts: any files and folders, once, with no memory and without git."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runner.core.diagnostic import Diagnostic, sort_diagnostics
from runner.core.job_defaults import JobDefaults
from runner.errors import UsageError
from runner.jobfiles.document import Document
from runner.jobfiles.files import WorkingFiles
from runner.jobfiles.inspection import CheckContext
from runner.jobfiles.layers import DEFAULTS_FILE, POLICY_FILE, LayerReader, Layers
from runner.jobfiles.look import Looked, Target, look_at
from runner.jobfiles.read import JobFile, read_job_file
from runner.jobfiles.tree_findings import with_clashes, with_links
from runner.jobfiles.verdict import Verdict
from runner.jobfiles.walk import (
    NO_JOB,
    is_misnamed,
    list_job_files,
    passed_over,
    require_answer,
    shown_path,
    unlisted,
)

if TYPE_CHECKING:
    from runner.jobfiles.verdict_cache import VerdictCache

# Below these, starting a worker, or reading the cache, costs more than it saves.
_WORTH_A_FORK = 400
_WORTH_A_CACHE = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """Verdicts by path; the paths of each `_defaults.yaml` and `_policy.yaml` that was given by its name; every
    finding, also those in such files, sorted and each once; the texts that they point into, by path."""

    files: tuple[Verdict, ...] = ()
    layer_files: tuple[str, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)


def check_paths(
    paths: Sequence[Path],
    *,
    jobs_dir: Path,
    folder: Path,
    defaults: JobDefaults,
    now: datetime,
    workers: int = 1,
    open_cache: "Callable[[], VerdictCache | None] | None" = None,
) -> Validation:
    """Check files and folders; none given: all of `jobs_dir`.

    Paths are shown relative to `folder`, the working directory, where they are in it. The project of a file is the
    folder that holds its nearest ancestor named like `jobs_dir`, which is the top of its tree; a file without such
    an ancestor is of the project `folder`, and the top of its tree is the folder that was given.
    Names must be unique within a tree. Files whose names start with `_` or `.` are no jobs. Where a job comes
    after others, these are looked for in its whole tree, whatever was given; of a file on its own no tree is
    known. What is wrong with a `_defaults.yaml` or `_policy.yaml` is told where a file near it is given, or it
    itself. With `workers` above 1 many files are checked in that many processes; a cache spares those that have
    not changed, and is opened only for a folder of some size.

    Raises:
        UsageError: a path that does not exist.
        FolderGoneError: a folder of `paths` that cannot be listed, or no `paths` and no `jobs_dir`.
        SilentFolderError: a path that does not answer.
    """
    require_answer(*(paths or [jobs_dir]))
    trees = _Trees(jobs_dir.name, os.fspath(folder), defaults, now)
    groups = trees.targets(paths) if paths else trees.targets_in(jobs_dir)
    # Of the files that were asked for: others are looked at for their names alone.
    layers_around = tuple(trees.layers())
    checker = _Checker(workers, open_cache)
    verdicts = _verdicts(trees, groups, checker, now)
    checker.save()
    diagnostics, texts = _findings(trees, layers_around, verdicts, folder)
    return Validation(
        files=tuple(sorted(verdicts, key=lambda verdict: verdict.path)),
        layer_files=tuple(sorted(trees.layer_files)),
        diagnostics=diagnostics,
        texts=texts,
    )


def _verdicts(
    trees: "_Trees", groups: Mapping[str, Sequence[Target]], checker: "_Checker", now: datetime
) -> list[Verdict]:
    """The verdicts on the files of each tree, with what only a look at the others of it shows."""
    checker.expect(sum(map(len, groups.values())))
    verdicts: list[Verdict] = []
    for top, targets in groups.items():
        found = with_clashes(checker.verdicts(targets))
        rest = trees.rest_of(top) if any(verdict.after for verdict in found) else None
        if rest is not None:
            checker.expect(len(rest))
            found = with_links(found, checker.verdicts(rest), now)
        verdicts.extend(found)
    return verdicts


def _findings(
    trees: "_Trees", layers_around: Iterable[Layers], verdicts: Iterable[Verdict], folder: Path
) -> tuple[tuple[Diagnostic, ...], Mapping[str, str]]:
    """Every finding once, sorted, and the texts that they point into, by path."""
    texts: dict[str, str] = {}
    diagnostics = {*trees.passed_over, *(finding for findings in trees.unlisted.values() for finding in findings)}
    for verdict in verdicts:
        if verdict.diagnostics:
            diagnostics.update(verdict.diagnostics)
            texts.update(verdict.texts or _text_of(verdict, folder))
    for layers in layers_around:
        diagnostics.update(layers.diagnostics)
        texts.update(layers.texts)
    return sort_diagnostics(diagnostics), texts


class _Checker:
    """Checks files, each by itself, as many at a time and with as much memory as is worth it."""

    def __init__(self, workers: int, open_cache: "Callable[[], VerdictCache | None] | None") -> None:
        self._workers = workers
        self._open_cache = open_cache
        self._cache: VerdictCache | None = None

    def expect(self, count: int) -> None:
        """So many files are to come."""
        if self._open_cache is not None and count >= _WORTH_A_CACHE:
            self._cache, self._open_cache = self._open_cache(), None

    def verdicts(self, targets: Sequence[Target]) -> list[Verdict]:
        """The verdicts on some files, in their order."""
        cache = self._cache
        if cache is None:
            return [looked.verdict for looked in self._look_at_all(targets)]
        cache.look_ahead(targets)
        known = [cache.find(target) for target in targets]
        new = [target for target, verdict in zip(targets, known, strict=True) if verdict is None]
        looked = self._look_at_all(new)
        for target, found in zip(new, looked, strict=True):
            cache.keep(target, found)
        fresh = iter(looked)
        return [verdict or next(fresh).verdict for verdict in known]

    def save(self) -> None:
        """Remember what is new."""
        if self._cache is not None:
            self._cache.save()

    def _look_at_all(self, targets: Sequence[Target]) -> list[Looked]:
        if self._workers < 2 or len(targets) < _WORTH_A_FORK:
            return look_at(targets)
        from runner.jobfiles.workers import look_in_parallel

        return look_in_parallel(targets, workers=self._workers)


def _text_of(verdict: Verdict, folder: Path) -> Mapping[str, str]:
    """The text of a file that is well by itself, for the findings that only a look at all files shows."""
    answer = read_job_file(folder / verdict.path, verdict.path) if verdict.job_name is not None else None
    return {verdict.path: answer.text} if isinstance(answer, JobFile) else {}


class _Trees:
    """The trees of jobs that files belong to: texts instead of Paths, for there may be 10,000."""

    def __init__(self, jobs_dir_name: str, folder: str, defaults: JobDefaults, now: datetime) -> None:
        self._jobs_dir_name = jobs_dir_name
        self._folder = folder
        self._defaults = defaults
        self._now = now
        self._seen: set[str] = set()
        self._whole: set[str] = set()
        self.unlisted: dict[str, list[Diagnostic]] = {}
        self.passed_over: set[Diagnostic] = set()
        self.layer_files: set[str] = set()
        self._groups: dict[str, list[Target]] = defaultdict(list)
        self._trees: dict[str, tuple[CheckContext, LayerReader]] = {}
        self._contexts: dict[str, tuple[str, CheckContext]] = {}

    def targets(self, paths: Sequence[Path]) -> Mapping[str, Sequence[Target]]:
        """Every file once, by tree; links are kept, so that a file has the name it was given by."""
        for path in paths:
            place = os.path.abspath(path)  # noqa: PTH100 - resolve() would lose the name of a link
            if not os.path.lexists(place):
                raise UsageError(f"there is no {path}", hint="Name files or folders that exist.")
            if os.path.isdir(place):  # noqa: PTH112 - a text
                self._take_folder(place)
            else:
                self._take_file(*os.path.split(place))
        return self._groups

    def targets_in(self, jobs_dir: Path) -> Mapping[str, Sequence[Target]]:
        """Every file of the folder of jobs."""
        place = os.path.abspath(jobs_dir)  # noqa: PTH100 - as above
        self._take_folder(place)
        return self._groups

    def rest_of(self, top: str) -> list[Target] | None:
        """The files of a tree that were not given; None where it is not known how far the tree goes."""
        if top in self._whole:
            return None if self.unlisted.get(top) else []
        if top.rpartition("/")[2] != self._jobs_dir_name:
            return None
        listing = list_job_files(top)
        if listing.unreadable:
            return None
        files = ((f"{top}/{relative}".rpartition("/")[0], f"{top}/{relative}") for relative in listing.files)
        return [
            Target(file, self._shown(file), self._context(folder, top)[1])
            for folder, file in files
            if file not in self._seen and self._context(folder, top)[0] == top
        ]

    def _take_folder(self, place: str) -> None:
        listing = list_job_files(place)
        self._whole.add(place)
        self.unlisted[place] = [
            unlisted(self._shown(f"{place}/{folder}"), error) for folder, error in listing.unreadable
        ]
        self.passed_over.update(passed_over(self._shown(f"{place}/{relative}")) for relative in listing.misnamed)
        parts = (f"{place}/{relative}".rpartition("/") for relative in listing.files)
        self._take(((folder, name) for folder, _, name in parts), given=place)

    def _take_file(self, folder: str, name: str) -> None:
        if name in {DEFAULTS_FILE, POLICY_FILE}:
            # No job, but what is wrong with it is wrong with the jobs around.
            self._context(folder, folder)
            self.layer_files.add(self._shown(f"{folder}/{name}"))
        elif not name.startswith(NO_JOB):
            if is_misnamed(name):
                self.passed_over.add(passed_over(self._shown(f"{folder}/{name}")))
            self._take([(folder, name)], given=folder)

    def _take(self, files: Iterable[tuple[str, str]], *, given: str) -> None:
        for folder, name in files:
            file = f"{folder}/{name}"
            if file not in self._seen:
                self._seen.add(file)
                top, context = self._context(folder, given)
                self._groups[top].append(Target(file, self._shown(file), context))

    def layers(self) -> Iterator[Layers]:
        """What holds for the folders that were looked at."""
        return (context.layers for _, context in self._contexts.values())

    def _context(self, folder: str, given: str) -> tuple[str, CheckContext]:
        """The top of the tree that a folder belongs to, and how its files are checked."""
        known = self._contexts.get(folder)
        if known is None:
            parts = folder.split("/")
            depth = next((n for n in range(len(parts), 1, -1) if parts[n - 1] == self._jobs_dir_name), None)
            top = given if depth is None else "/".join(parts[:depth])
            project = self._folder if depth is None else "/".join(parts[: depth - 1]) or "/"
            if top not in self._trees:
                self._trees[top] = self._make_tree(top, project)
            context, reader = self._trees[top]
            layers = reader.layers(folder[len(top) :].strip("/"))
            known = self._contexts[folder] = (top, replace(context, layers=layers))
        return known

    def _make_tree(self, top: str, project: str) -> tuple[CheckContext, LayerReader]:
        context = CheckContext(
            files=WorkingFiles(Path(project)),
            defaults=self._defaults,
            now=self._now,
            prefix=self._prefix(project),
        )
        prefix = self._prefix(top)

        def check_defaults(path: str, document: Document) -> tuple[Diagnostic, ...]:
            from runner.jobfiles.lint.checks import (
                checker_of_defaults,  # where there are defaults: spares its imports
            )

            return checker_of_defaults(context)(path, document)

        return context, LayerReader(context.files, top, prefix, check_defaults)

    def _prefix(self, folder: str) -> str:
        return "" if folder == self._folder else f"{self._shown(folder).rstrip('/')}/"

    def _shown(self, place: str) -> str:
        inside = place.startswith(f"{self._folder}/")
        return shown_path(place[len(self._folder) + 1 :] if inside else place)
