"""Both sides → the checked files that matter; what is alike on both is checked once."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from runner.core.catalog import CheckedFile, link_of
from runner.core.dependencies import find_after_faults
from runner.core.diagnostic import has_errors
from runner.core.effective import Origin
from runner.core.job_defaults import JobDefaults
from runner.core.job_policy import JobPolicy
from runner.core.names import LinkedJob, claimed_name
from runner.core.plan import PlanFile
from runner.core.plan_values import JobValue, Value
from runner.jobfiles.check import Inspected, build_checked, inspect_file
from runner.jobfiles.effective import effective_values
from runner.jobfiles.inspection import CheckContext
from runner.jobfiles.judge import judge_files
from runner.jobfiles.layers import LayerReader, Layers
from runner.jobfiles.lint.checks import checker_of_defaults
from runner.jobfiles.read import JobFile, ReadFault
from runner.jobfiles.verdict import Verdict, failed_verdict
from runner.jobfiles.walk import shown_path
from runner.planning.sides import SideFiles

# Read together: enough to wait for git seldom, few enough to hold.
_AT_ONCE = 500
_STEP_FILES = frozenset({"processing_script_file", "processing_query_file"})


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadedSides:
    """The files that a plan can be about; and which sides have a folder of jobs at all, and job files in it.

    Left out are the good files that are alike on both sides, whose names no other file has, and with whose `after`
    nothing is wrong on either: nothing becomes of them. `alike` are their jobs as others see them.
    `policy_keys` are what the policy says otherwise on the two sides, where it is good on both.
    """

    base: tuple[PlanFile, ...]
    head: tuple[PlanFile, ...]
    alike: tuple[LinkedJob, ...]
    base_exists: bool
    head_exists: bool
    base_empty: bool
    head_empty: bool
    policy_keys: tuple[str, ...]


def load_sides(
    base: SideFiles, head: SideFiles, *, jobs_dir: str, defaults: JobDefaults, now: datetime
) -> LoadedSides:
    """Check the job files of both sides. `jobs_dir` is the name of the folder of jobs in the project folder."""
    loader = _Loader(_Side(base, jobs_dir, defaults, now), _Side(head, jobs_dir, defaults, now), now)
    return loader.load()


class _Side:
    """One side: what it is read from, its layers by folder, and its files as far as they are checked."""

    def __init__(self, source: SideFiles, jobs_dir: str, defaults: JobDefaults, now: datetime) -> None:
        self.source = source
        self.files: dict[str, PlanFile] = {}
        listing = source.list_job_files()
        self.exists = listing is not None
        self.paths = frozenset(listing.files if listing is not None else ())
        self.prefix = f"{jobs_dir}/"
        self._context = CheckContext(files=source.files, defaults=defaults, now=now)
        self._contexts: dict[str, CheckContext] = {}
        check_defaults = checker_of_defaults(self._context)
        self._layers = LayerReader(source.files, jobs_dir, self.prefix, check_defaults)

    def fetch(self, paths: Iterable[str]) -> None:
        """Make ready those of the files that this side has."""
        self.source.fetch([self._location(path) for path in paths if path in self.paths])

    def object_id(self, path: str) -> str | None:
        """What tells the content of a job file without reading it, where something does."""
        return self.source.object_id(self._location(path)) if path in self.paths else None

    def layers(self, path: str) -> Layers:
        """What holds for a job file."""
        return self._layers.layers(path.rpartition("/")[0])

    def policy(self) -> JobPolicy | None:
        """What bounds every job; None where a fault in it, or beside it, keeps it from being in force."""
        layers = self._layers.layers("")
        return None if has_errors(layers.diagnostics) else layers.policy

    def read(self, path: str, shown: str) -> JobFile | ReadFault | None:
        """The file; None where this side has none."""
        return self.source.files.read(self._location(path), shown) if path in self.paths else None

    def check(self, path: str, answer: JobFile | ReadFault) -> None:
        """Check a file, and keep it with its values."""
        if isinstance(answer, ReadFault):
            self.keep(path, failed_verdict(answer.finding.path, answer))
            return
        context = self._context_of(path)
        inspected = inspect_file(answer, context)
        checked = build_checked(inspected, context)
        values = tuple(_job_values(inspected, context)) if checked.job is not None else ()
        self.files[path] = PlanFile(file=checked, values=values)

    def judge(self, path: str, answer: JobFile) -> Verdict:
        """What is to be said of a file."""
        return judge_files([(answer, self._context_of(path))])[0]

    def keep(self, path: str, verdict: Verdict) -> None:
        """Keep a file that makes no job."""
        checked = CheckedFile(
            path=verdict.path,
            digest=verdict.digest,
            job=None,
            job_name=verdict.job_name,
            job_name_line=verdict.line,
            job_name_column=verdict.column,
            diagnostics=verdict.diagnostics,
        )
        self.files[path] = PlanFile(file=checked)

    def _context_of(self, path: str) -> CheckContext:
        folder = path.rpartition("/")[0]
        known = self._contexts.get(folder)
        if known is None:
            known = self._contexts[folder] = replace(self._context, layers=self.layers(path))
        return known

    def _location(self, path: str) -> str:
        return self.prefix + path


class _Loader:
    """Goes through the files of both sides together."""

    def __init__(self, base: _Side, head: _Side, now: datetime) -> None:
        self._base = base
        self._head = head
        self._now = now
        self._shown = _shown_paths(sorted(base.paths | head.paths), base.prefix)
        links = base.source.links()
        self._same_links = links is not None and links == head.source.links()
        self._same_layers: dict[str, bool] = {}
        # The good files that are alike, by path.
        self._alike: dict[str, LinkedJob] = {}

    def load(self) -> LoadedSides:
        paths = list(self._shown)
        for start in range(0, len(paths), _AT_ONCE):
            some = paths[start : start + _AT_ONCE]
            self._base.fetch(some)
            self._head.fetch(path for path in some if not self._is_same_object(path))
            for path in some:
                self._load(path)
        self._take_in(self._clashing())
        self._take_in(self._badly_linked())
        return LoadedSides(
            base=tuple(self._base.files.values()),
            head=tuple(self._head.files.values()),
            alike=tuple(self._alike.values()),
            base_exists=self._base.exists,
            head_exists=self._head.exists,
            base_empty=not self._base.paths,
            head_empty=not self._head.paths,
            policy_keys=_different_keys(self._base.policy(), self._head.policy()),
        )

    def _load(self, path: str) -> None:
        shown = self._shown[path]
        before = self._base.read(path, shown)
        after = before if self._is_same_object(path) else self._head.read(path, shown)
        if isinstance(before, JobFile) and _is_same_text(before, after) and self._has_same_surroundings(path):
            verdict = self._base.judge(path, before)
            if all(one.has_same_content(self._head.source.files) for one in verdict.dependencies):
                self._keep_alike(path, verdict)
                return
        self._check(self._base, path, before)
        self._check(self._head, path, after)

    def _keep_alike(self, path: str, verdict: Verdict) -> None:
        if verdict.good:
            self._alike[path] = verdict.linked
        else:
            for side in (self._base, self._head):
                side.keep(path, verdict)

    def _take_in(self, paths: Iterable[str]) -> None:
        """Take in files that are alike on both sides: the job may be there on one of them alone."""
        for path in paths:
            del self._alike[path]
            for side in (self._base, self._head):
                self._check(side, path, side.read(path, self._shown[path]))

    def _clashing(self) -> list[str]:
        """The files that share their name with another file on one of the sides."""
        names = Counter(link.job_name for link in self._alike.values())
        for side in (self._base, self._head):
            names.update({one.file.job.job_name for one in side.files.values() if one.file.job is not None})
        return [path for path, link in self._alike.items() if names[link.job_name] > 1]

    def _badly_linked(self) -> list[str]:
        """The files in whose `after` something is wrong on one of the sides."""
        if not any(link.after for link in self._alike.values()):
            return []
        found: set[str] = set()
        for side in (self._base, self._head):
            files = [one.file for one in side.files.values()]
            own = (link_of(file.job, file.after) for file in files if file.job is not None)
            names = {claimed_name(file.job_name, file.path) for file in files}
            found.update(find_after_faults((*self._alike.values(), *own), known=names, now=self._now))
        return [path for path, link in self._alike.items() if link.path in found]

    @staticmethod
    def _check(side: _Side, path: str, answer: JobFile | ReadFault | None) -> None:
        if answer is not None:
            side.check(path, answer)

    def _is_same_object(self, path: str) -> bool:
        known = self._base.object_id(path)
        return known is not None and known == self._head.object_id(path)

    def _has_same_surroundings(self, path: str) -> bool:
        """Whether defaults and policy of a file are the same; and, where these bound paths, what leads to them."""
        folder = path.rpartition("/")[0]
        if folder not in self._same_layers:
            one, other = self._base.layers(path), self._head.layers(path)
            self._same_layers[folder] = (
                (one.digest, one.texts, one.diagnostics) == (other.digest, other.texts, other.diagnostics)
            ) and (self._same_links or one.policy.data_roots is None)
        return self._same_layers[folder]


def _different_keys(before: JobPolicy | None, after: JobPolicy | None) -> tuple[str, ...]:
    if before is None or after is None:
        return ()
    names = (field.name for field in fields(JobPolicy))
    return tuple(name for name in names if _bound(before, name) != _bound(after, name))


def _bound(policy: JobPolicy, name: str) -> object:
    """What a policy says under a key; of a list the order means nothing."""
    value = getattr(policy, name)
    return frozenset(value) if isinstance(value, tuple) else value


def _shown_paths(paths: Iterable[str], prefix: str) -> dict[str, str]:
    """How each file is known: as everywhere, or where two would be known alike, with its bytes written out."""
    known: dict[str, str] = {}
    taken: set[str] = set()
    for path in paths:
        shown = shown_path(path)
        if shown in taken:
            shown = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        taken.add(shown)
        known[path] = prefix + shown
    return known


def _is_same_text(before: JobFile, after: JobFile | ReadFault | None) -> bool:
    return isinstance(after, JobFile) and before.digest == after.digest


def _job_values(inspected: Inspected, context: CheckContext) -> Iterator[JobValue]:
    """The effective values of a good job, and the text of its script or query where it is in a file of its own."""
    document, step_file = inspected.document, inspected.step_file
    assert document is not None
    found = effective_values(
        document, path=inspected.verdict.path, layers=context.layers, defaults=context.defaults
    )
    for one in found:
        origin = one.source if one.origin in {Origin.DEFAULTS, Origin.POLICY} else ""
        given = one.origin not in {Origin.BUILT_IN, Origin.SETTING}
        for key, value in _flat(one.name, one.value):
            yield JobValue(key=key, value=value, origin=origin, given=given)
        if step_file is not None and one.name in _STEP_FILES:
            yield JobValue(key=one.name.removesuffix("_file"), value=step_file.text, origin=step_file.path)


def _flat(key: str, value: Any) -> Iterator[tuple[str, Value]]:
    """A value by its key; a mapping of scalars and of lists of them key by key; what is deeper as JSON text."""
    if _is_flat(value):
        yield key, tuple(value) if isinstance(value, list) else value
    elif isinstance(value, dict) and all(_is_flat(one) for one in value.values()):
        for name, one in value.items():
            yield from _flat(f"{key}.{name}", one)
    else:
        yield key, json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _is_flat(value: Any) -> bool:
    if isinstance(value, list):
        return not any(isinstance(one, (list, dict)) for one in value)
    return not isinstance(value, dict)
