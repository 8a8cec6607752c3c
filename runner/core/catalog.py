"""The Catalog: all jobs in force, and how it moves when the folder changes."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from runner.core.dependencies import find_after_faults
from runner.core.diagnostic import Diagnostic, has_errors, sort_diagnostics
from runner.core.job import Job
from runner.core.job_policy import RunBounds
from runner.core.names import LinkedJob, NamePlace, claimed_name, name_clash


class SyncState(StrEnum):
    """How what runs compares with what is in the folder."""

    IN_FORCE = "in_force"
    INVALID = "invalid"
    REMOVED_PENDING = "removed_pending"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedFile:
    """One job file after reading and checking. `job` is None when a finding is an error.

    `job_name` is the name as far as it could be read, `digest` that of the file as it is now; `job_name_line` and
    `job_name_column` are where the name stands, and `after` where the names stand that the job comes after: for
    findings that compare files. `bounds` are those of the policy as it is now, None where that is not known.
    """

    path: str
    digest: str
    job: Job | None
    job_name: str | None = None
    job_name_line: int = 1
    job_name_column: int = 1
    after: tuple[NamePlace, ...] = ()
    bounds: RunBounds | None = None
    diagnostics: tuple[Diagnostic, ...] = ()

    def name_place(self, job_name: str) -> NamePlace:
        """Where the name stands."""
        return NamePlace(job_name, self.path, self.job_name_line, self.job_name_column)


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogEntry:
    """One job file and the job in force for it: its last good version, None where it never had one."""

    path: str
    job: Job | None
    sync: SyncState
    digest: str
    job_name: str | None
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Catalog:
    """All jobs in force. `entries` are sorted by path; `jobs` maps names to the jobs in force. `bounds` are
    those of the policy of the folder, which hold for the mails of jobs that are gone too; None where nobody could
    read it yet, or there was no file."""

    generation: int = 0
    entries: tuple[CatalogEntry, ...] = ()
    jobs: Mapping[str, Job] = field(default_factory=lambda: MappingProxyType({}))
    bounds: RunBounds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogChange:
    """What a rescan changed: job names, sorted; `broken` and `mended` are paths of files."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    suspended: tuple[str, ...] = ()
    resumed: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    mended: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(
            (self.added, self.changed, self.removed, self.suspended, self.resumed, self.broken, self.mended)
        )


def find_duplicates(
    files: Iterable[CheckedFile], in_force: Mapping[str, str] = MappingProxyType({})
) -> tuple[CheckedFile, ...]:
    """The files with every clash of names turned into an error that names the other place.

    `in_force` maps job names to the path whose job runs now: that file stays good, so that a second file of the
    same name never stops it. Where none is known, no file of the name is good.
    """
    files = tuple(files)
    places: dict[str, list[CheckedFile]] = defaultdict(list)
    for file in files:
        if file.job is not None:
            places[file.job.job_name].append(file)
    clashing = {name: group for name, group in places.items() if len(group) > 1}
    if not clashing:
        return files
    return tuple(_without_clash(file, clashing, in_force) for file in files)


def _without_clash(
    file: CheckedFile, clashing: Mapping[str, list[CheckedFile]], in_force: Mapping[str, str]
) -> CheckedFile:
    if file.job is None or file.job.job_name not in clashing:
        return file
    name = file.job.job_name
    group = clashing[name]
    holder = in_force.get(name)
    if holder == file.path:
        return file
    other = next(
        (place for place in group if place.path == holder),
        next(place for place in group if place is not file),
    )
    finding = name_clash(file.name_place(name), other.name_place(name))
    return replace(file, job=None, diagnostics=sort_diagnostics((*file.diagnostics, finding)))


def find_broken_links(
    files: Iterable[CheckedFile],
    *,
    others: Iterable[LinkedJob] = (),
    now: datetime | None = None,
) -> tuple[CheckedFile, ...]:
    """The files with what is wrong with their `after` added: see `find_after_faults`. Names must be unique by now.

    Args:
        others: jobs beside those of the files; one of a name that a file has does not count.
        now: aware; without it nobody looks whether schedules ever meet.
    """
    files = tuple(files)
    others = tuple(others)
    if not any(file.after for file in files if file.job is not None):
        return files
    jobs = (*others, *(link_of(file.job, file.after) for file in files if file.job is not None))
    claimed = {claimed_name(file.job_name, file.path) for file in files}
    found = find_after_faults(jobs, known=claimed, now=now)
    return tuple(
        with_findings(file, found[file.path]) if file.job is not None and file.path in found else file
        for file in files
    )


def link_of(job: Job, after: tuple[NamePlace, ...] = ()) -> LinkedJob:
    """A job as others see it; the places of the names it comes after are those given, where they are known."""
    places = after or tuple(NamePlace(name, job.path) for name in job.after)
    return LinkedJob(job.path, job.job_name, job.schedule_time, job.timezone, job.suspend, places)


def with_findings(file: CheckedFile, findings: tuple[Diagnostic, ...]) -> CheckedFile:
    """The file with more findings: without its job, where one of them is an error."""
    return replace(
        file,
        job=None if has_errors(findings) else file.job,
        diagnostics=sort_diagnostics((*file.diagnostics, *findings)),
    )


def restore(jobs: Mapping[str, Job]) -> Catalog:
    """The catalog that an earlier service left: path → the job that was in force. A rescan goes on from it."""
    entries = tuple(
        CatalogEntry(path=path, job=job, sync=SyncState.IN_FORCE, digest=job.digest, job_name=job.job_name)
        for path, job in sorted(jobs.items())
    )
    return Catalog(
        entries=entries,
        jobs=MappingProxyType({job.job_name: job for job in jobs.values()}),
        bounds=next((job.bounds for job in jobs.values()), None),
    )


def advance(catalog: Catalog, files: Iterable[CheckedFile]) -> tuple[Catalog, CatalogChange]:
    """The next catalog, and what changed, after a rescan found `files`.

    A file that turned bad keeps its last good job. A file that is gone is kept as removed_pending by the first
    rescan that misses it and dropped by the second, unless another file has taken its job over (a rename).
    """
    before = {entry.path: entry for entry in catalog.entries}
    last_good = {path: entry.job for path, entry in before.items() if entry.job is not None}
    # Only a file that is still there can hold a name against another one: that is how a rename works. One that
    # goes on with the job of a file that is gone holds nothing by that: it may be any of those that clash.
    present = {file.path: file for file in files}
    holders = {
        job.job_name: path
        for path, job in last_good.items()
        if job.path == path and path in present and present[path].job is not None
    }
    unique = find_duplicates(present.values(), holders)
    # Renamed and broken at once: the new path goes on with the job of the old one.
    moved = {job.job_name: job for path, job in last_good.items() if path not in present}
    pending = {
        entry.job.job_name: entry.job
        for path, entry in before.items()
        if path not in present and entry.job is not None and entry.sync is not SyncState.REMOVED_PENDING
    }
    linked = without_broken_links(unique, last_good=last_good, moved=moved, pending=pending)
    checked = {file.path: file for file in linked}
    taken = {file.job.job_name for file in checked.values() if file.job is not None}

    entries = [_entry(file, last_good, moved, taken) for file in checked.values()]
    taken |= {entry.job.job_name for entry in entries if entry.job is not None}
    # Two bad files may claim one job that moved: the first path gets it.
    entries.extend(
        replace(entry, sync=SyncState.REMOVED_PENDING)
        for path, entry in before.items()
        if path not in checked
        and entry.sync is not SyncState.REMOVED_PENDING
        and not (entry.job is not None and entry.job.job_name in taken)
    )
    after = tuple(sorted(_each_name_once(entries), key=lambda entry: entry.path))
    jobs = {entry.job.job_name: entry.job for entry in after if entry.job is not None}
    change = compare(catalog.jobs, jobs, before, after)
    unchanged = after == catalog.entries
    generation = catalog.generation + (0 if unchanged else 1)
    # One policy bounds all files; where it cannot be read now, or there is no file, it holds as it was.
    bounds = next((file.bounds for file in present.values() if file.bounds is not None), catalog.bounds)
    return Catalog(generation=generation, entries=after, jobs=MappingProxyType(jobs), bounds=bounds), change


def without_broken_links(
    files: tuple[CheckedFile, ...],
    *,
    last_good: Mapping[str, Job],
    moved: Mapping[str, Job],
    pending: Mapping[str, Job] = MappingProxyType({}),
    others: Iterable[LinkedJob] = (),
    now: datetime | None = None,
) -> tuple[CheckedFile, ...]:
    """The files whose jobs come after jobs that are there, and never after themselves, as they will be in force.

    A file that turns bad by this goes on with its last good job, which may come after others: so it is looked at
    again until nothing changes.

    Jobs that may be gone count for the jobs in force that come after them. A new version waits until it is known:
    it would be the last good one once they are gone, and never run.

    Args:
        last_good: the jobs in force by the paths of their files.
        moved: those whose files are gone, by name. pending: those of them that may come back.
        others, now: as for `find_broken_links`.
    """
    if not any(file.after for file in files):
        return files
    others = tuple(others)
    while True:
        taken = {file.job.job_name for file in files if file.job is not None}
        found = (_kept_job(file, last_good, moved, taken) for file in files)
        kept = {job.job_name: job for job in found if job is not None}
        checked = find_broken_links(files, others=(*others, *map(link_of, {**pending, **kept}.values())), now=now)
        if pending:
            sure = find_broken_links(files, others=(*others, *map(link_of, kept.values())), now=now)
            checked = tuple(
                other if one.job is not None and _is_new(one.job, last_good) else one
                for one, other in zip(checked, sure, strict=True)
            )
        before = sum(file.job is not None for file in files)
        if sum(file.job is not None for file in checked) == before:
            return checked
        # Warnings are found anew at the last.
        files = tuple(
            one if one.job is None and file.job is not None else file
            for file, one in zip(files, checked, strict=True)
        )


def _is_new(job: Job, last_good: Mapping[str, Job]) -> bool:
    before = last_good.get(job.path)
    return before is None or _differs(before, job)


def _kept_job(
    file: CheckedFile, last_good: Mapping[str, Job], moved: Mapping[str, Job], taken: AbstractSet[str]
) -> Job | None:
    """The job that a bad file goes on with."""
    if file.job is not None:
        return None
    kept = last_good.get(file.path) or moved.get(file.job_name or "")
    if kept is None or kept.job_name in taken:
        return None
    # The last good version of a job, under the policy of today: a bound that is tightened holds at once.
    return kept if file.bounds in {None, kept.bounds} else replace(kept, bounds=file.bounds)


def _entry(
    file: CheckedFile, last_good: Mapping[str, Job], moved: Mapping[str, Job], taken: set[str]
) -> CatalogEntry:
    job = file.job or _kept_job(file, last_good, moved, taken)
    return CatalogEntry(
        path=file.path,
        job=job,
        sync=SyncState.IN_FORCE if file.job is not None else SyncState.INVALID,
        digest=file.digest,
        job_name=job.job_name if job is not None else file.job_name,
        diagnostics=file.diagnostics,
    )


def _each_name_once(entries: Iterable[CatalogEntry]) -> Iterable[CatalogEntry]:
    seen: set[str] = set()
    good_first = sorted(entries, key=lambda entry: (entry.sync is not SyncState.IN_FORCE, entry.path))
    for entry in good_first:
        if entry.job is not None and entry.job.job_name in seen:
            yield replace(entry, job=None)
            continue
        if entry.job is not None:
            seen.add(entry.job.job_name)
        yield entry


def compare(
    before_jobs: Mapping[str, Job],
    after_jobs: Mapping[str, Job],
    before: Mapping[str, CatalogEntry],
    after: Iterable[CatalogEntry],
) -> CatalogChange:
    """What changed between two states of the catalog. A new git revision of an unchanged file is no change."""
    both = sorted(before_jobs.keys() & after_jobs.keys())
    invalid = {entry.path for entry in after if entry.sync is SyncState.INVALID}
    was_invalid = {path for path, entry in before.items() if entry.sync is SyncState.INVALID}
    good = {entry.path for entry in after if entry.sync is SyncState.IN_FORCE}
    digests = {entry.path: entry.digest for entry in after}
    newly_broken = {path for path in invalid if path not in was_invalid or before[path].digest != digests[path]}
    return CatalogChange(
        added=tuple(sorted(after_jobs.keys() - before_jobs.keys())),
        removed=tuple(sorted(before_jobs.keys() - after_jobs.keys())),
        changed=tuple(name for name in both if _differs(before_jobs[name], after_jobs[name])),
        suspended=tuple(name for name in both if after_jobs[name].suspend and not before_jobs[name].suspend),
        resumed=tuple(name for name in both if before_jobs[name].suspend and not after_jobs[name].suspend),
        broken=tuple(sorted(newly_broken)),
        mended=tuple(sorted(was_invalid & good)),
    )


def _differs(one: Job, other: Job) -> bool:
    # Quickest first: after a restart ten thousand jobs are compared that are equal.
    return one is not other and one != other and replace(one, revision=other.revision) != other
