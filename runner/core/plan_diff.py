"""Two sets of checked files → a Plan."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from runner.core.catalog import CheckedFile, find_duplicates, without_broken_links
from runner.core.cron import next_fire, parse_cron
from runner.core.diagnostic import Diagnostic, Severity, sort_diagnostics
from runner.core.job import Job, Step
from runner.core.names import LinkedJob
from runner.core.plan import (
    Action,
    FireChange,
    InvalidFile,
    InvalidState,
    JobChange,
    Plan,
    PlanFile,
    RecipientChange,
)
from runner.core.plan_values import KeyChange, changed_keys, masked_text
from runner.core.run import require_aware

FIRES_SHOWN = 3
# Data files are seldom in git, so that every job would be warned of; and where they lie on disk is no change.
_NO_NEWS = frozenset({"missing-file", "no-answer"})
_TOLD_BY_ACTIONS = frozenset({"job_name", "suspend"})

_Files = Mapping[str, PlanFile]


def make_plan(
    base: Iterable[PlanFile], head: Iterable[PlanFile], *, alike: Iterable[LinkedJob] = (), now: datetime
) -> Plan:
    """Compare two sets of job files, each with one file a path. Fires are those after `now`, aware.

    A job is known by its name. Where a name is gone and another is new, they are one renamed job when they stand
    in one file, or when nothing but the name differs and no other job is like them. A name that two files of the
    new side claim belongs to the file that had it.

    Args:
        alike: jobs that both sides have alike, of no other file's name, beside those of the files.
    """
    require_aware(now, "now")
    others = tuple(alike)
    old = _in_force(base, {}, others, now)
    new = _in_force(head, _jobs(old), others, now)
    before, after = _jobs(old), _jobs(new)
    kept = _keep(new, old, {name: one for name, one in before.items() if name not in after})
    # First: a job that goes on as it was is not renamed, however like a new one it is.
    going_on = {job.job_name for job in kept.values()}
    pairs, gone, come = _pair({name: one for name, one in before.items() if name not in going_on}, after)
    moments = _Moments(now)
    lone = [*((one, None) for one in gone.values()), *((None, one) for one in come.values())]
    found = (_job_change(one, other, old, moments) for one, other in (*pairs, *lone))
    changes = sorted(
        (one for one in found if one is not None), key=lambda change: (change.job.job_name, change.job.path)
    )
    return Plan(
        jobs=tuple(changes),
        invalid=_invalid(old, new, kept),
        warnings=_new_warnings(old, new),
        recipients_gained=_by_address((one, one.recipients_gained) for one in changes),
        recipients_lost=_by_address((one, one.recipients_lost) for one in changes),
    )


def _in_force(
    files: Iterable[PlanFile], before: Mapping[str, PlanFile], others: tuple[LinkedJob, ...], now: datetime
) -> _Files:
    """The files by path, sorted; those that claim a name that belongs to another, or come after a job that is not
    there or after themselves, make no job. `before` are the jobs that were in force, by name: with the last good
    version of one whose file is invalid a service goes on, and other jobs may come after it."""
    by_path = {one.file.path: one for one in sorted(files, key=lambda one: one.file.path)}
    last_good = {job.path: job for one in before.values() if (job := one.file.job) is not None}
    present = {job.job_name: path for path, job in last_good.items() if path in by_path}
    checked = without_broken_links(
        find_duplicates((one.file for one in by_path.values()), present),
        last_good=last_good,
        moved={job.job_name: job for path, job in last_good.items() if path not in by_path},
        others=others,
        now=now,
    )
    return {
        file.path: one if one.file is file else replace(one, file=file)
        for one, file in zip(by_path.values(), checked, strict=True)
    }


def _jobs(files: _Files) -> dict[str, PlanFile]:
    return {one.file.job.job_name: one for one in files.values() if one.file.job is not None}


def _pair(
    old: Mapping[str, PlanFile], new: Mapping[str, PlanFile]
) -> tuple[list[tuple[PlanFile, PlanFile]], dict[str, PlanFile], dict[str, PlanFile]]:
    """Jobs of both sides that are the same one, and by name those that are gone and that have come."""
    pairs = [(one, new[name]) for name, one in old.items() if name in new and one is not new[name]]
    gone = {name: one for name, one in old.items() if name not in new}
    come = {name: one for name, one in new.items() if name not in old}
    for key_of in (_path, _body):
        alike: dict[object, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
        for side, jobs in enumerate((gone, come)):
            for name, one in jobs.items():
                alike[key_of(one)][side].append(name)
        for before, after in alike.values():
            if len(before) == len(after) == 1:
                pairs.append((gone.pop(before[0]), come.pop(after[0])))
    return pairs, gone, come


def _path(one: PlanFile) -> object:
    return one.file.path


def _body(one: PlanFile) -> object:
    """All of a job but its name and place."""
    job = one.file.job
    assert job is not None
    step = Step(kind=job.step.kind, text=job.step.text)
    return replace(job, job_name="", path="", digest="", revision="", step=step)


def _keep(new: _Files, old: _Files, gone: dict[str, PlanFile]) -> Mapping[str, Job]:
    """The last good jobs of files that are invalid now, by path; taken out of `gone`: the jobs whose names no file
    has any more.

    A file goes on with its own job, or with the one of its name whose file is there no more: renamed and broken.
    """
    kept: dict[str, Job] = {}
    for path, one in new.items():
        if one.file.job is not None:
            continue
        before = old.get(path)
        named = gone.get(one.file.job_name or "")
        if before is not None and before.file.job is not None and before.file.job.job_name in gone:
            name = before.file.job.job_name
        elif named is not None and named.file.path not in new:
            name = one.file.job_name or ""
        else:
            continue
        job = gone.pop(name).file.job
        assert job is not None
        kept[path] = job
    return kept


class _Moments:
    """The next fires of schedules; each is asked for once."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._known: dict[tuple[str, str], tuple[datetime, ...]] = {}

    def of(self, job: Job | None) -> tuple[datetime, ...]:
        """At most three; none of a job that does not fire."""
        if job is None or job.suspend or job.schedule_time is None:
            return ()
        key = (job.schedule_time, job.timezone)
        if key not in self._known:
            schedule, after = parse_cron(job.schedule_time), self._now
            found: list[datetime] = []
            while len(found) < FIRES_SHOWN and (moment := next_fire(schedule, job.timezone, after)) is not None:
                found.append(moment)
                after = moment
            self._known[key] = tuple(found)
        return self._known[key]


def _job_change(
    before: PlanFile | None, after: PlanFile | None, old: _Files, moments: _Moments
) -> JobChange | None:
    """What happens to one job; None where nothing does."""
    job_before = before.file.job if before else None
    job_after = after.file.job if after else None
    keys = changed_keys(
        before.values if before else (), after.values if after else (), given_only=before is None or after is None
    )
    replaced = old.get(job_after.path) if job_after else None
    mended = replaced is not None and replaced.file.job is None
    actions = _actions(job_before, job_after, keys, mended=mended)
    if not actions:
        return None
    people_before, people_after = _recipients(job_before), _recipients(job_after)
    return JobChange(
        actions=actions,
        before=job_before,
        after=job_after,
        keys=keys,
        fires=_fires(job_before, job_after, moments),
        recipients_gained=tuple(sorted(people_after - people_before)),
        recipients_lost=tuple(sorted(people_before - people_after)),
    )


def _actions(
    before: Job | None, after: Job | None, keys: tuple[KeyChange, ...], *, mended: bool
) -> tuple[Action, ...]:
    if after is None:
        return (Action.REMOVED,)
    if before is None:
        return (Action.MENDED if mended else Action.ADDED,)
    toggled = before.suspend != after.suspend
    found = {
        Action.RENAMED: before.job_name != after.job_name,
        Action.MOVED: before.path != after.path,
        Action.CHANGED: any(one.key not in _TOLD_BY_ACTIONS for one in keys),
        Action.SUSPENDED: toggled and after.suspend,
        Action.RESUMED: toggled and before.suspend,
        Action.MENDED: mended,
    }
    actions = tuple(action for action, applies in found.items() if applies)
    if set(actions) <= {Action.MOVED, Action.MENDED} and before.digest != after.digest:
        return (*actions, Action.EDITED)
    return actions


def _recipients(job: Job | None) -> set[str]:
    if job is None:
        return set()
    return {*job.consumer_emails, *((job.owner,) if job.owner else ())}


def _fires(before: Job | None, after: Job | None, moments: _Moments) -> FireChange | None:
    if after is None:
        return None
    if before is not None and all(
        getattr(before, name) == getattr(after, name) for name in ("schedule_time", "after", "timezone", "suspend")
    ):
        return None
    return FireChange(before=moments.of(before), after=moments.of(after))


def _invalid(old: _Files, new: _Files, kept: Mapping[str, Job]) -> tuple[InvalidFile, ...]:
    found = []
    for path in sorted({*old, *new}):
        before, after = old.get(path), new.get(path)
        was_invalid = before is not None and before.file.job is None
        if after is None and before is not None and was_invalid:
            found.append(_invalid_file(before.file, InvalidState.GONE, changed=True))
        elif after is not None and after.file.job is None:
            state = InvalidState.STILL_INVALID if was_invalid else InvalidState.NEWLY_INVALID
            same = before is not None and was_invalid and _faults(before.file) == _faults(after.file)
            found.append(_invalid_file(after.file, state, changed=not same or path in kept, kept=kept.get(path)))
    return tuple(found)


def _faults(file: CheckedFile) -> object:
    return file.digest, _errors(file)


def _errors(file: CheckedFile) -> tuple[Diagnostic, ...]:
    return tuple(one for one in file.diagnostics if one.severity is Severity.ERROR)


def _invalid_file(
    file: CheckedFile, state: InvalidState, *, changed: bool, kept: Job | None = None
) -> InvalidFile:
    return InvalidFile(
        path=file.path,
        state=state,
        changed=changed,
        job_name=file.job_name,
        kept=kept,
        diagnostics=sort_diagnostics(_masked(one) for one in _errors(file)),
    )


def _new_warnings(old: _Files, new: _Files) -> tuple[Diagnostic, ...]:
    """The warnings of the new side that the old one does not have, wherever they stand in the file."""
    known = {(one.path, one.rule, one.message) for file in old.values() for one in file.file.diagnostics}
    return sort_diagnostics(
        _masked(one)
        for file in new.values()
        for one in file.file.diagnostics
        if one.severity is Severity.WARNING
        and one.rule not in _NO_NEWS
        and (one.path, one.rule, one.message) not in known
    )


def _masked(found: Diagnostic) -> Diagnostic:
    return replace(found, message=masked_text(found.message), hint=masked_text(found.hint))


def _by_address(changes: Iterable[tuple[JobChange, tuple[str, ...]]]) -> tuple[RecipientChange, ...]:
    jobs: dict[str, list[str]] = defaultdict(list)
    for change, addresses in changes:
        for address in addresses:
            jobs[address].append(change.job.job_name)
    return tuple(
        RecipientChange(address=address, job_names=tuple(sorted(names))) for address, names in sorted(jobs.items())
    )
