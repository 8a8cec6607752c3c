"""The changes of a zone's clock, and the fires of a cron expression that they move, skip or repeat.

The rule is that of `runner.core.cron`: a fixed-time fire in a gap comes at the first instant after it, and in a
repeated hour once; a wildcard expression skips what the gap skips, and fires twice in a repeated hour. Nothing is
lost where the expression fires in every hour. Works on sets of numbers: 1,440 expressions take about 10 ms.
"""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from runner.core.cron_grammar import CronSchedule

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
# No zone keeps a time for less than this.
_STEP = timedelta(days=7)
_AHEAD = timedelta(days=366)
_HOURS_OF_DAY = 24
_WITHOUT_CHANGES = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT"})


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockChange:
    """A gap or a repetition: the wall clock goes from `left` to `reached` at one instant. Both are naive.

    Wall-clock times from the earlier of the two to the later, exclusive, are missing or come twice.
    """

    left: datetime
    reached: datetime

    @property
    def is_gap(self) -> bool:
        """True where times are missing; else they come twice."""
        return self.reached > self.left


@dataclass(frozen=True, kw_only=True, slots=True)
class TouchedFires:
    """The fires of one expression that one change touches: their wall-clock times, at least one, in order."""

    change: ClockChange
    times: tuple[datetime, ...]


@lru_cache(maxsize=1024)
def clock_changes(timezone: str, day: date) -> tuple[ClockChange, ...]:
    """The changes of a zone's clock in the 366 days from the start of a day in UTC.

    Args:
        timezone: an IANA name that is known to exist.
    """
    if timezone in _WITHOUT_CHANGES:
        return ()
    zone = ZoneInfo(timezone)
    low = datetime.combine(day, time.min, tzinfo=UTC)
    end = low + _AHEAD
    changes = []
    offset = _offset(low, zone)
    while low < end:
        high = min(low + _STEP, end)
        if _offset(high, zone) != offset:
            high = _transition(low, high, zone)
            following = _offset(high, zone)
            instant = high.replace(tzinfo=None)
            changes.append(ClockChange(left=instant + offset, reached=instant + following))
            offset = following
        low = high
    return tuple(changes)


def touched_fires(schedule: CronSchedule, timezone: str, day: date) -> tuple[TouchedFires, ...]:
    """The fires of the 366 days from a day on that a change of the clock moves, skips or repeats."""
    changes = clock_changes(timezone, day)
    if not changes:
        return ()
    touched = []
    for change in changes:
        if change.is_gap or not schedule.fixed_time:
            low, high = sorted((change.left, change.reached))
            times = tuple(_times_between(schedule, low, high))
            if times and not _fires_every_hour(schedule):
                touched.append(TouchedFires(change=change, times=times))
    return tuple(touched)


def most_fires_an_hour(schedule: CronSchedule) -> int:
    """The most fires of an expression in any 60 minutes: the same minutes fire in each of its hours."""
    minutes = schedule.minutes
    return bisect_left(minutes, (minutes[0] // 60 + 1) * 60)


def sets_day_and_weekday(schedule: CronSchedule) -> bool:
    """True where day of month and day of week are both set, so that either is enough."""
    _, _, day, _, weekday = schedule.canonical.split(" ")
    return not day.startswith("*") and not weekday.startswith("*")


def matching_days(schedule: CronSchedule, start: date, count: int) -> tuple[date, ...]:
    """The first days from `start` on that an expression matches, as far as they come within ten years."""
    days: list[date] = []
    for ahead in range(3660):
        if len(days) == count:
            break
        if _matches(schedule.canonical, start + ahead * _DAY):
            days.append(start + ahead * _DAY)
    return tuple(days)


def _times_between(schedule: CronSchedule, low: datetime, high: datetime) -> Iterator[datetime]:
    """The wall-clock times in [low, high) that an expression matches."""
    day = low.date()
    while day <= high.date():
        midnight = datetime.combine(day, time.min)
        first = bisect_left(schedule.minutes, (low - midnight) / timedelta(minutes=1))
        last = bisect_left(schedule.minutes, (high - midnight) / timedelta(minutes=1))
        if first < last and _matches(schedule.canonical, day):
            yield from (midnight + timedelta(minutes=minute) for minute in schedule.minutes[first:last])
        day += _DAY


def _fires_every_hour(schedule: CronSchedule) -> bool:
    return len({minute // 60 for minute in schedule.minutes}) == _HOURS_OF_DAY


def _matches(canonical: str, day: date) -> bool:
    """Whether an expression fires on a day. Where day or weekday starts with `*` both must match, else either."""
    _, _, days, months, weekdays = canonical.split(" ")
    if day.month not in _values(months, 1, 12):
        return False
    on_day = day.day in _values(days, 1, 31)
    # 7 is Sunday as well as 0.
    on_weekday = not _values(weekdays, 0, 7).isdisjoint({day.isoweekday(), day.isoweekday() % 7})
    if days.startswith("*") or weekdays.startswith("*"):
        return on_day and on_weekday
    return on_day or on_weekday


@lru_cache(maxsize=4096)
def _values(canonical: str, low: int, high: int) -> frozenset[int]:
    """The numbers that one canonical field stands for."""
    values: set[int] = set()
    for part in canonical.split(","):
        body, _, step = part.partition("/")
        first, _, last = body.partition("-")
        if body == "*":
            start, stop = low, high
        elif last:
            start, stop = int(first), int(last)
        else:
            start, stop = int(first), high if step else int(first)
        values.update(range(start, stop + 1, int(step or 1)))
    return frozenset(values)


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    return instant.astimezone(zone).utcoffset() or timedelta()


def _transition(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The instant in (low, high] at which the offset of `low` ends."""
    before = _offset(low, zone)
    while high - low > _SECOND:
        middle = (low + (high - low) // 2).replace(microsecond=0)
        if _offset(middle, zone) == before:
            low = middle
        else:
            high = middle
    return high
