"""The Timetable: which jobs are due, and when the next one is."""

from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple

from runner.core.cron import CronSchedule, fire_key, fires_between, next_fire
from runner.core.policy import RUN_ALL_LIMIT
from runner.core.run import Fire, require_aware

# More of them than the policies ever run are only counted.
DUE_LIMIT = RUN_ALL_LIMIT
_BEFORE = timedelta(seconds=1)


class DueFires(NamedTuple):
    """The fires that have come due of jobs that share their schedule, zone and next fire.

    `times` are the latest of them, at least one and at most `DUE_LIMIT`, in order and aware UTC, with the `keys`
    of their fires beside them; `earlier` counts those before. One value for all the jobs: a hundred thousand that
    are due at one instant are handed over in a few milliseconds.
    """

    job_names: tuple[str, ...]
    times: tuple[datetime, ...]
    keys: tuple[str, ...]
    earlier: int = 0

    def of(self, job_name: str) -> tuple[Fire, ...]:
        """The fires of one of the jobs, made when asked for: after a long stop there may be a million."""
        return tuple(
            Fire(scheduled_time=moment, job_name=job_name, key=key)
            for moment, key in zip(self.times, self.keys, strict=True)
        )


_GroupKey = tuple[str, str, datetime | None]


class _Group:
    """Jobs of one schedule and zone whose next fire is the same: they are looked up, and moved on, as one.

    `jobs` is a dict for its order. A group without jobs is dead: the heap drops it when it meets it.
    """

    __slots__ = ("jobs", "schedule", "timezone", "when")

    def __init__(self, schedule: CronSchedule, timezone: str, when: datetime | None) -> None:
        self.schedule = schedule
        self.timezone = timezone
        self.when = when
        self.jobs: dict[str, None] = {}

    @property
    def key(self) -> _GroupKey:
        return self.schedule.canonical, self.timezone, self.when


class Timetable:
    """The next fire of every job. Not safe for threads: one loop owns it.

    Time is an argument. A fire is given once: what `pop_due` has given it never gives again, wherever the clock
    jumps, unless the job is put anew.
    """

    def __init__(self) -> None:
        self._groups: dict[_GroupKey, _Group] = {}
        self._group_of: dict[str, _Group] = {}
        self._heap: list[tuple[datetime, int, _Group]] = []
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._group_of)

    def __contains__(self, job_name: object) -> bool:
        return job_name in self._group_of

    def put(self, job_name: str, *, schedule: CronSchedule, timezone: str, after: datetime) -> None:
        """Add a job, or change it: its fires strictly after `after`, which may be long past, come due."""
        require_aware(after, "after")
        when = next_fire(schedule, timezone, after)
        self.discard(job_name)
        known = self._groups.get((schedule.canonical, timezone, when))
        group = known or _Group(schedule, timezone, when)
        group.jobs[job_name] = None
        self._group_of[job_name] = group
        if known is None:
            self._add(group)

    def discard(self, job_name: str) -> None:
        """Take a job out; one that is not there is no error."""
        group = self._group_of.pop(job_name, None)
        if group is None:
            return
        del group.jobs[job_name]
        if not group.jobs:
            del self._groups[group.key]

    def next_time(self) -> datetime | None:
        """When the next fire of all is due, aware UTC; None when none ever is."""
        while self._heap and not self._heap[0][2].jobs:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def next_fire(self, job_name: str) -> datetime | None:
        """When the next fire of one job is due; None for a job that never fires or is not there."""
        group = self._group_of.get(job_name)
        return group.when if group is not None else None

    def pop_due(self, now: datetime) -> tuple[DueFires, ...]:
        """What has come due up to and including `now`, by the time of the first fire; each fire once.

        A job stands in the answer once, with all its due fires.
        """
        require_aware(now, "now")
        now = now.astimezone(UTC)
        due: list[DueFires] = []
        while (when := self.next_time()) is not None and when <= now:
            group = heappop(self._heap)[2]
            due.append(_due_fires(group, when, now))
            self._move_on(group, now)
        return tuple(due)

    def _move_on(self, group: _Group, now: datetime) -> None:
        """Set a group, just popped, to its next fire after `now`."""
        del self._groups[group.key]
        group.when = next_fire(group.schedule, group.timezone, now)
        other = self._groups.get(group.key)
        if other is None:
            self._add(group)
            return
        small, large = sorted((group, other), key=lambda one: len(one.jobs))
        large.jobs.update(small.jobs)
        self._group_of.update(dict.fromkeys(small.jobs, large))
        small.jobs = {}
        if large is group:
            self._add(large)

    def _add(self, group: _Group) -> None:
        self._groups[group.key] = group
        if group.when is None:
            return
        heappush(self._heap, (group.when, next(self._numbers), group))
        # Dead groups far in the future would stay for years: no more than one for each that lives.
        if len(self._heap) > 2 * len(self._groups) + 64:
            self._heap = [entry for entry in self._heap if entry[2].jobs]
            heapify(self._heap)


def _due_fires(group: _Group, when: datetime, now: datetime) -> DueFires:
    times, earlier = fires_between(group.schedule, group.timezone, when - _BEFORE, now, limit=DUE_LIMIT)
    keys = tuple(fire_key(group.schedule, group.timezone, moment) for moment in times)
    return DueFires(tuple(group.jobs), times, keys, earlier)
