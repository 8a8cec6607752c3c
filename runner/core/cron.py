"""The fires of a cron expression in a time zone.

The rule is that of Debian's cron. An expression whose minute or hour field starts with `*` is *wildcard*: it fires
at every real minute whose wall clock matches, so twice in a repeated hour and not at all in a skipped one. Any
other is *fixed-time*: each matching wall-clock time fires once, the first time where the hour is repeated, and at
the first instant after the gap where it is skipped. Where day-of-month or day-of-week starts with `*` a day must
match both, otherwise either is enough.

croniter answers which days match; the times of a day are the minutes and hours of the expression.
"""

import copy
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from croniter import CroniterBadDateError, croniter

from runner.core.cron_grammar import CronSchedule, CronSyntaxError, parse_cron
from runner.core.run import require_aware

__all__ = [
    "CronSchedule",
    "CronSyntaxError",
    "fire_days",
    "fire_key",
    "fires_between",
    "never_fires",
    "next_fire",
    "parse_cron",
    "previous_fire",
]

_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
# No zone has ever moved its clock by more than 25 hours (Apia, in 2011, crossed the date line).
_REACH = timedelta(hours=26)
# 29 February falls on one given weekday at most 40 years apart (around a year such as 2100).
_MAX_YEARS = 41

_Chunk = tuple[datetime, tuple[int, ...]]


def next_fire(schedule: CronSchedule, timezone: str, after: datetime) -> datetime | None:
    """The first fire strictly after `after`, aware UTC; None when there is none.

    Args:
        timezone: an IANA name that is known to exist.
        after: aware, to the microsecond.
    """
    require_aware(after, "after")
    search = _next_fixed if schedule.fixed_time else _next_wildcard
    try:
        # Fires lie on whole seconds.
        return search(schedule, _zone(timezone), after.astimezone(UTC).replace(microsecond=0))
    except OverflowError:
        return None  # past the year 9999


def previous_fire(schedule: CronSchedule, timezone: str, before: datetime) -> datetime | None:
    """The last fire strictly before `before`, aware UTC; None when there is none since the year 1.

    Args:
        timezone: an IANA name that is known to exist.
        before: aware, to the microsecond.
    """
    require_aware(before, "before")
    try:
        # `fire_days` includes the whole second of its end.
        end = before.astimezone(UTC) - _MICROSECOND
        day = _last_day(schedule.days, (end + 2 * _REACH).date())
        while day is not None:
            # Its fires, wherever on Earth, and however its clock was moved.
            midnight = datetime.combine(day, time.min, tzinfo=UTC)
            chunks = fire_days(schedule, timezone, midnight - 2 * _REACH, min(end, midnight + _DAY + 2 * _REACH))
            if chunks:
                origin, minutes = chunks[-1]
                return origin + timedelta(minutes=minutes[-1])
            day = _last_day(schedule.days, day - _DAY)
    except OverflowError:
        pass  # before the year 1
    return None


def fires_between(
    schedule: CronSchedule, timezone: str, after: datetime, until: datetime, *, limit: int
) -> tuple[tuple[datetime, ...], int]:
    """The latest `limit` fires in (after, until], in order, and how many earlier ones there are.

    Costs about 2 ms for each year between, whatever the number of fires.
    """
    chunks = fire_days(schedule, timezone, after, until)
    fires: list[datetime] = []
    for origin, minutes in reversed(chunks):
        room = limit - len(fires)
        if room <= 0:
            break
        fires.extend(origin + timedelta(minutes=minute) for minute in reversed(minutes[-room:]))
    fires.reverse()
    return tuple(fires), sum(len(minutes) for _, minutes in chunks) - len(fires)


def fire_days(schedule: CronSchedule, timezone: str, after: datetime, until: datetime) -> list[_Chunk]:
    """The fires in (after, until], in order and day by day: an aware moment, and the minutes from it to each fire.

    Costs about 2 ms for each year between, whatever the number of fires.
    """
    require_aware(after, "after")
    require_aware(until, "until")
    start = after.astimezone(UTC).replace(microsecond=0) + _SECOND
    end = until.astimezone(UTC).replace(microsecond=0) + _SECOND
    if start >= end:
        return []
    chunks_of = _fixed_chunks if schedule.fixed_time else _wildcard_chunks
    return list(chunks_of(schedule, _zone(timezone), start, end))


def in_zone(moment: datetime, timezone: str) -> datetime:
    """A time as a person gave it, as a moment in UTC. Without an offset it is one of this zone, by the rule of
    fires: the first where the clock reads it twice, the transition where it never does."""
    return moment.astimezone(UTC) if moment.tzinfo else _instant(moment, ZoneInfo(timezone))


def never_fires(schedule: CronSchedule) -> bool:
    """True for an expression that names no day of any year, such as `0 0 31 2 *`."""
    return _next_day(schedule.days, date(2000, 1, 1)) is None


def fire_key(schedule: CronSchedule, timezone: str, instant: datetime) -> str:
    """What makes two fires of one job the same: local time of a fixed-time expression, UTC (`Z`) of a wildcard.

    A local time says its zone: in another zone it is another fire.
    """
    require_aware(instant, "instant")
    if schedule.fixed_time:
        return f"{_wall(instant, _zone(timezone)).isoformat(timespec='minutes')} {timezone}"
    return _naive(instant.astimezone(UTC), timedelta()).isoformat(timespec="minutes") + "Z"


# ZoneInfo itself keeps only the eight zones used last.
_zone = lru_cache(maxsize=None)(ZoneInfo)


def _next_fixed(schedule: CronSchedule, zone: ZoneInfo, after: datetime) -> datetime | None:
    """The first fire after `after`, a whole second.

    The instant of a wall-clock time never falls as that time rises, so looking on from the wall clock of `after`
    misses nothing: at most the times of a repeated hour come out early, and are passed over.
    """
    wall = _next_wall(schedule, _wall(after, zone) + _SECOND)
    while wall is not None:
        instant = _instant(wall, zone)
        if instant > after:
            return instant
        wall = _next_wall(schedule, wall + _SECOND)
    return None


def _next_wildcard(schedule: CronSchedule, zone: ZoneInfo, after: datetime) -> datetime | None:
    """The first fire after `after`, a whole second: the next match at one offset, anew from each transition."""
    start = after + _SECOND
    while True:
        offset = _offset(start, zone)
        wall = _next_wall(schedule, (start + offset).replace(tzinfo=None))
        if wall is None:
            return None
        found = wall.replace(tzinfo=UTC) - offset
        near = min(found, start + _REACH)
        if _offset(near, zone) != offset:
            start = _transition(start, near, zone)
        elif near == found:
            return found
        else:
            # In between the clock reads times after `start` and before `wall`, whatever the offset: none matches.
            start = max(near, found - _REACH)


def _wildcard_chunks(schedule: CronSchedule, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[_Chunk]:
    for low, high, offset in _segments(zone, start, end):
        yield from _matches(schedule, low, high, offset)


def _fixed_chunks(schedule: CronSchedule, zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[_Chunk]:
    # `shown`: the wall clock has shown every time before it, for no segment is shorter than the shift before it.
    # Begun early: `start` may lie in a repeated hour.
    shown: datetime | None = None
    for begin, high, offset in _segments(zone, start - _REACH, end):
        first = _naive(begin, offset)
        low = begin
        if shown is not None and first > shown:
            skipped = _next_wall(schedule, shown)
            if skipped is not None and skipped < first:
                if begin >= start:
                    yield begin, (0,)
                low = begin + _SECOND
        elif shown is not None:
            low = shown.replace(tzinfo=UTC) - offset
        yield from _matches(schedule, max(low, start), high, offset)
        shown = _naive(high, offset)


def _matches(schedule: CronSchedule, low: datetime, high: datetime, offset: timedelta) -> Iterator[_Chunk]:
    """The matching minutes in [low, high) at one offset: each day as its midnight and the minutes from it."""
    if low >= high:
        return
    first, last = _naive(low, offset), _naive(high, offset)
    day = _next_day(schedule.days, first.date())
    while day is not None and day <= last.date():
        midnight = datetime.combine(day, time.min)
        begin = bisect_left(schedule.minutes, (first - midnight) / timedelta(minutes=1))
        stop = bisect_left(schedule.minutes, (last - midnight) / timedelta(minutes=1))
        if begin < stop:
            yield midnight.replace(tzinfo=UTC) - offset, schedule.minutes[begin:stop]
        day = _next_day(schedule.days, day + _DAY)


def _segments(zone: ZoneInfo, low: datetime, high: datetime) -> Iterator[tuple[datetime, datetime, timedelta]]:
    """[low, high) cut at each transition: start, end and the offset between."""
    offset = _offset(low, zone)
    probe = low
    while probe < high:
        following = min(probe + _DAY, high)
        if _offset(following, zone) != offset:
            following = _transition(probe, following, zone)
            yield low, following, offset
            low, offset = following, _offset(following, zone)
        probe = following
    if low < high:
        yield low, high, offset


def _next_wall(schedule: CronSchedule, wall: datetime) -> datetime | None:
    """The first matching naive time at or after `wall`."""
    day = wall.date()
    midnight = datetime.combine(day, time.min)
    index = bisect_left(schedule.minutes, (wall - midnight) / timedelta(minutes=1))
    if index == len(schedule.minutes):
        day, index = day + _DAY, 0
    found = _next_day(schedule.days, day)
    if found is None:
        return None
    minute = schedule.minutes[index if found == day else 0]
    return datetime.combine(found, time.min) + timedelta(minutes=minute)


@lru_cache(maxsize=16384)
def _next_day(days: str, day: date) -> date | None:
    """The first matching day at or after `day`; `days` are the three day fields of an expression."""
    # A croniter keeps where it stands: a copy, so that threads may ask at the same time.
    search = copy.copy(_calendar(days))
    try:
        found = search.get_next(datetime, start_time=datetime.combine(day, time.min) - _SECOND)
    except (CroniterBadDateError, OverflowError):
        return None
    return found.date()


@lru_cache(maxsize=16384)
def _last_day(days: str, day: date) -> date | None:
    """The last matching day at or before `day`."""
    search = copy.copy(_calendar(days))
    try:
        found = search.get_prev(datetime, start_time=datetime.combine(day, time.min) + _SECOND)
    except (CroniterBadDateError, OverflowError):
        return None
    return found.date()


@lru_cache(maxsize=4096)
def _calendar(days: str) -> croniter:
    return croniter(f"0 0 {days}", 0.0, max_years_between_matches=_MAX_YEARS, implement_cron_bug=True)


def _wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None, fold=0)


def _naive(instant: datetime, offset: timedelta) -> datetime:
    return (instant + offset).replace(tzinfo=None)


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    return offset if offset is not None else timedelta()


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """When the clock first reads `wall`; for a time in a gap, the transition."""
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    # PEP 495: fold 0 takes the offset before the transition, fold 1 the one after; in a gap they change places.
    return first if first <= second else _transition(second, first, zone)


def _transition(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """The instant in (low, high] at which the offset of `low` ends."""
    before = _offset(low, zone)
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        middle = middle.replace(microsecond=0)
        if _offset(middle, zone) == before:
            low = middle
        else:
            high = middle
    return high
