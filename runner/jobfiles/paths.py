"""What `validate` is given → verdicts: any files and folders, once, with no memory and without git."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from runner.core.diagnostic import Diagnostic, sort_diagnostics
from runner.core.job_defaults import JobDefaults
from runner.core.names import name_clash
from runner.errors import UsageError
from runner.jobfiles.document import Document
from runner.jobfiles.files import WorkingFiles
from runner.jobfiles.inspection import CheckContext
from runner.jobfiles.layers import LayerReader, Layers
from runner.jobfiles.look import Looked, Target, look_at
from runner.jobfiles.verdict import Verdict
from runner.jobfiles.walk import NO_JOB, FolderGoneError, list_job_files, shown_path

if TYPE_CHECKING:
    from runner.jobfiles.verdict_cache import VerdictCache

# Below these, starting a worker, or reading the cache, costs more than it saves.
_WORTH_A_FORK = 400
_WORTH_A_CACHE = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class Validation:
    """Verdicts by path; every finding, also those in `_defaults.yaml` and `_policy.yaml`, sorted and each once;
    the texts that they point into, by path."""

    files: tuple[Verdict, ...] = ()
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
    Names must be unique within a tree. Files whose names start with `_` or `.` are no jobs. With `workers` above 1
    many files are checked in that many processes; a cache spares those that have not changed, and is opened only
    for a folder of some size.

    Raises:
        UsageError: a path that does not exist.
        FolderGoneError: a folder that cannot be listed, or no `paths` and no `jobs_dir`.
    """
    trees = _Trees(jobs_dir.name, os.fspath(folder), defaults, now)
    groups = list(trees.targets(paths) if paths else trees.targets_in(jobs_dir))
    many = sum(map(len, groups)) >= _WORTH_A_CACHE
    cache = open_cache() if open_cache is not None and many else None
    verdicts: list[Verdict] = []
    for targets in groups:
        verdicts.extend(with_clashes(_verdicts(targets, workers, cache)))
    if cache is not None:
        cache.save()
    texts: dict[str, str] = {}
    diagnostics: set[Diagnostic] = set()
    for verdict in verdicts:
        if verdict.diagnostics:
            diagnostics.update(verdict.diagnostics)
            texts.update(verdict.texts)
    for layers in trees.layers():
        diagnostics.update(layers.diagnostics)
        texts.update(layers.texts)
    return Validation(
        files=tuple(sorted(verdicts, key=lambda verdict: verdict.path)),
        diagnostics=sort_diagnostics(diagnostics),
        texts=texts,
    )


def _verdicts(targets: Sequence[Target], workers: int, cache: "VerdictCache | None") -> list[Verdict]:
    """The verdicts on the files of one tree, in their order."""
    if cache is None:
        return [looked.verdict for looked in _look_at_all(targets, workers)]
    known = [cache.find(target) for target in targets]
    new = [target for target, verdict in zip(targets, known, strict=True) if verdict is None]
    looked = _look_at_all(new, workers)
    for target, found in zip(new, looked, strict=True):
        cache.keep(target, found)
    fresh = iter(looked)
    return [verdict or next(fresh).verdict for verdict in known]


def _look_at_all(targets: Sequence[Target], workers: int) -> list[Looked]:
    if workers < 2 or len(targets) < _WORTH_A_FORK:
        return look_at(targets)
    from runner.jobfiles.workers import look_in_parallel

    return look_in_parallel(targets, workers=workers)


def with_clashes(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """The verdicts of one tree, with what only a look at all files shows: names of jobs that two good files have,
    and paths that differ only in case."""
    verdicts = tuple(verdicts)
    names: dict[str, list[Verdict]] = defaultdict(list)
    paths: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.good and verdict.job_name is not None:
            names[verdict.job_name].append(verdict)
        paths[verdict.path.casefold()].append(verdict)
    findings: dict[str, list[Diagnostic]] = defaultdict(list)
    for groups, finding in ((names, _same_name), (paths, _same_path)):
        for group in groups.values():
            for verdict in group if len(group) > 1 else ():
                other = next(one for one in group if one is not verdict)
                findings[verdict.path].append(finding(verdict, other))
    return tuple(_with_more(verdict, findings.get(verdict.path, [])) for verdict in verdicts)


def _with_more(verdict: Verdict, findings: list[Diagnostic]) -> Verdict:
    if not findings:
        return verdict
    diagnostics = sort_diagnostics((*verdict.diagnostics, *findings))
    return msgspec.structs.replace(verdict, diagnostics=diagnostics)


def _same_name(verdict: Verdict, other: Verdict) -> Diagnostic:
    return name_clash(verdict.place, other.place)


def _same_path(verdict: Verdict, other: Verdict) -> Diagnostic:
    return Diagnostic(
        path=verdict.path,
        rule="same-but-for-case",
        message=f"the path differs from {other.path} only in the case of its letters",
        hint="Rename one of the two: a checkout on macOS or Windows keeps only one of them.",
    )


class _Trees:
    """The trees of jobs that files belong to: texts instead of Paths, for there may be 10,000."""

    def __init__(self, jobs_dir_name: str, folder: str, defaults: JobDefaults, now: datetime) -> None:
        self._jobs_dir_name = jobs_dir_name
        self._folder = folder
        self._defaults = defaults
        self._now = now
        self._seen: set[str] = set()
        self._groups: dict[str, list[Target]] = defaultdict(list)
        self._trees: dict[str, tuple[CheckContext, LayerReader]] = {}
        self._contexts: dict[str, tuple[str, CheckContext]] = {}

    def targets(self, paths: Sequence[Path]) -> Iterable[Sequence[Target]]:
        """Every file once, by tree; links are kept, so that a file has the name it was given by."""
        for path in paths:
            place = os.path.abspath(path)  # noqa: PTH100 - resolve() would lose the name of a link
            if not os.path.lexists(place):
                raise UsageError(f"there is no {path}", hint="Name files or folders that exist.")
            if os.path.isdir(place):  # noqa: PTH112 - a text
                self._take(_folder_files(place), given=place)
            else:
                self._take(_given_file(place), given=os.path.dirname(place))  # noqa: PTH120
        return self._groups.values()

    def targets_in(self, jobs_dir: Path) -> Iterable[Sequence[Target]]:
        """Every file of the folder of jobs."""
        place = os.path.abspath(jobs_dir)  # noqa: PTH100 - as above
        self._take(_folder_files(place), given=place)
        return self._groups.values()

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


def _given_file(place: str) -> Iterator[tuple[str, str]]:
    folder, _, name = place.rpartition("/")
    if not name.startswith(NO_JOB):
        yield folder, name


def _folder_files(place: str) -> Iterator[tuple[str, str]]:
    listing = list_job_files(place)
    for folder, reason in listing.unreadable:
        raise FolderGoneError(f"{place}/{folder}", OSError(reason))
    for relative in listing.files:
        below, _, name = relative.rpartition("/")
        yield (f"{place}/{below}" if below else place), name
