"""Which jobs come after which: what is wrong with the names in `after`, and who follows whom.

Only a look at all jobs of a folder shows it, so these findings are made anew whenever one of the files changes.
"""

import difflib
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import TYPE_CHECKING

from runner.core.diagnostic import Diagnostic, Severity
from runner.core.names import LinkedJob, finding_at

if TYPE_CHECKING:
    from runner.core.job import Job

# A circle of more jobs is told by its number: its names would not fit in a message.
_MOST_FOLLOWED = 50
_LONGEST_SHOWN = 150
# How many names are compared with unknown ones, to find which was meant: about 10 µs each.
_MOST_COMPARED = 50_000

_NO_SUCH_JOB = "It is misspelt, or was renamed or removed: name the job that is meant, or take the name out."
# Schedules that one job waits for, by way of others too; of more nothing is said.
_MOST_TIMES = 50

_Jobs = Mapping[str, LinkedJob]
_Times = frozenset[tuple[str, str]]


def followers(jobs: "Mapping[str, Job]") -> Mapping[str, tuple[str, ...]]:
    """The name of each job that others come after → the names of these, sorted, suspended ones included."""
    found: dict[str, list[str]] = defaultdict(list)
    for name in sorted(jobs):
        for before in dict.fromkeys(jobs[name].after):
            found[before].append(name)
    return {name: tuple(names) for name, names in found.items()}


def partners(jobs: "Mapping[str, Job]") -> Mapping[str, frozenset[str]]:
    """The name of each job that others come after together with further jobs → the names of those further ones."""
    found: dict[str, set[str]] = defaultdict(set)
    for job in jobs.values():
        for name in job.after:
            found[name].update(job.after)
    return {name: frozenset(names - {name}) for name, names in found.items() if len(names) > 1}


def find_after_faults(
    jobs: Iterable[LinkedJob], *, known: AbstractSet[str] = frozenset(), now: datetime | None = None
) -> Mapping[str, tuple[Diagnostic, ...]]:
    """The findings about names in `after`, by the path of the file: rules `after-unknown-job`, `after-cycle`,
    `after-suspended-job` and, given `now` (aware), `after-never-meets`.

    Args:
        jobs: of several of one name the last one counts.
        known: further names that are no unknown ones: those of files that are not valid, and make no job.
    """
    by_name = {job.job_name: job for job in jobs}
    after = [job for job in by_name.values() if job.after]
    if not after:
        return {}
    circles = [circle for circle in _circles(by_name, after) if _turns(circle, by_name)]
    findings = [
        *_unknown_names(after, by_name.keys() | known),
        *_cycles(by_name, circles),
        *_suspended(by_name, after),
    ]
    if now is not None:
        turning = {name for circle in circles for name in circle}
        findings.extend(_never_met(by_name, after, turning, now))
    found: dict[str, list[Diagnostic]] = defaultdict(list)
    for finding in findings:
        found[finding.path].append(finding)
    return {path: tuple(some) for path, some in found.items()}


def _unknown_names(after: Iterable[LinkedJob], names: AbstractSet[str]) -> Iterator[Diagnostic]:
    left = _MOST_COMPARED
    known = sorted(names)
    for job in after:
        for place in job.after:
            if place.job_name in names:
                continue
            near: list[str] = []
            if left > 0:
                left -= len(known)
                likely = difflib.get_close_matches(place.job_name, known, n=2)
                near = [name for name in likely if name != job.job_name]
            yield finding_at(
                place,
                rule="after-unknown-job",
                message=f"{job.job_name} comes after {place.job_name}, and there is no such job",
                hint=f"Did you mean {near[0]}?" if near else _NO_SUCH_JOB,
            )


def _suspended(jobs: _Jobs, after: Iterable[LinkedJob]) -> Iterator[Diagnostic]:
    for job in after:
        for place in job.after:
            before = jobs.get(place.job_name)
            if before is not None and before.suspend and not job.suspend:
                yield finding_at(
                    place,
                    rule="after-suspended-job",
                    message=f"{before.job_name} is suspended: {job.job_name} does not run until it is resumed",
                    hint=f"Resume {before.job_name} in {before.path}, suspend this job too, or remove the name.",
                    severity=Severity.WARNING,
                )


def _circles(jobs: _Jobs, after: Iterable[LinkedJob]) -> Iterator[list[str]]:
    """The names of jobs that all come after one another, directly or not; most are alone.

    Gabow's algorithm (https://en.wikipedia.org/wiki/Path-based_strong_component_algorithm), without recursion.
    """
    numbers: dict[str, int] = {}
    closed: set[str] = set()
    path: list[str] = []
    bounds: list[str] = []
    for job in after:
        first = job.job_name
        work = [] if first in numbers else [(first, _enter(first, jobs, numbers, path, bounds))]
        while work:
            name, rest = work[-1]
            for other in rest:
                if other not in numbers:
                    work.append((other, _enter(other, jobs, numbers, path, bounds)))
                    break
                while other not in closed and numbers[bounds[-1]] > numbers[other]:
                    bounds.pop()
            else:
                work.pop()
                if bounds[-1] == name:
                    bounds.pop()
                    circle = [path.pop()]
                    while circle[-1] != name:
                        circle.append(path.pop())
                    closed.update(circle)
                    yield circle


def _enter(name: str, jobs: _Jobs, numbers: dict[str, int], path: list[str], bounds: list[str]) -> Iterator[str]:
    """Set foot on a job; the names of those it comes after."""
    numbers[name] = len(numbers)
    path.append(name)
    bounds.append(name)
    return iter(_names_before(name, jobs))


def _names_before(name: str, jobs: _Jobs) -> list[str]:
    job = jobs.get(name)
    return [place.job_name for place in job.after] if job is not None else []


def _turns(circle: Sequence[str], jobs: _Jobs) -> bool:
    return len(circle) > 1 or circle[0] in _names_before(circle[0], jobs)


def _cycles(jobs: _Jobs, circles: Iterable[Sequence[str]]) -> Iterator[Diagnostic]:
    for circle in circles:
        members = frozenset(circle)
        for name in circle:
            way = _shortest_way(name, jobs, members) if len(circle) <= _MOST_FOLLOWED else []
            following = way[1] if way else next(one for one in _names_before(name, jobs) if one in members)
            place = next(one for one in jobs[name].after if one.job_name == following)
            shown = " → ".join(way)
            if not way or len(shown) > _LONGEST_SHOWN:
                others = (len(way) or len(circle) + 1) - 2
                shown = f"{name} → {following} → … → {name}, by way of {others} other jobs"
            yield finding_at(
                place,
                rule="after-cycle",
                message=f"the job waits for itself: {shown}",
                hint="A job on such a way never runs: remove one of the names from after.",
            )


def _shortest_way(name: str, jobs: _Jobs, members: AbstractSet[str]) -> list[str]:
    """From a job by way of those it comes after back to itself."""
    came_from: dict[str, str] = {}
    waiting = deque([name])
    while name not in came_from:
        here = waiting.popleft()
        for other in _names_before(here, jobs):
            if other in members and other not in came_from:
                came_from[other] = here
                waiting.append(other)
    way = [name]
    while len(way) == 1 or way[-1] != name:
        way.append(came_from[way[-1]])
    return way[::-1]


def _never_met(
    jobs: _Jobs, after: Iterable[LinkedJob], turning: AbstractSet[str], now: datetime
) -> Iterator[Diagnostic]:
    """Warnings for jobs whose runs are never due, for those they come after have no moment in common.

    The first of several such jobs in a row is told. What a job that is not known comes after is not known either.
    """
    from runner.core.meetings import MeetingFinder  # where jobs come after others: spares the import of croniter

    finder = MeetingFinder(now)
    known: dict[str, _Times | None] = dict.fromkeys(turning, None)
    for name in _in_order(jobs, after, turning):
        job = jobs.get(name)
        if job is None or job.schedule_time is not None:
            known[name] = frozenset({(job.schedule_time, job.timezone)}) if job and job.schedule_time else None
            continue
        times = _joined([known[place.job_name] for place in job.after])
        known[name] = times if times is not None and finder.meet(times) else None
        if times is not None and known[name] is None:
            before = " and ".join(place.job_name for place in job.after)
            yield finding_at(
                job.after[-1],
                rule="after-never-meets",
                message=f"{before} never run for the same time: within a year there is no run of {job.job_name}",
                hint="Give these jobs a moment that they are all due at, or come after fewer of them.",
                severity=Severity.WARNING,
            )


def _joined(parts: Iterable[_Times | None]) -> _Times | None:
    """All schedules that have a part in a run; None where one is not known, or there are too many."""
    times: set[tuple[str, str]] = set()
    for part in parts:
        if part is None or len(times) > _MOST_TIMES:
            return None
        times |= part
    return frozenset(times)


def _in_order(jobs: _Jobs, after: Iterable[LinkedJob], turning: AbstractSet[str]) -> Iterator[str]:
    """Every job that comes after others, and those others before it; without those of circles."""
    done = set(turning)
    for job in after:
        waiting = [job.job_name]
        while waiting:
            name = waiting[-1]
            missing = [] if name in done else [one for one in _names_before(name, jobs) if one not in done]
            waiting.extend(missing)
            if not missing:
                waiting.pop()
                if name not in done:
                    done.add(name)
                    yield name
