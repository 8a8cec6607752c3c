"""Whether schedules ever come due at one and the same moment.

Jobs of several schedules, in several zones, whose runs another job waits for. Where a few steps from one fire to
the next do not find a common one, the fires of the whole time are compared, day by day, as sets of minutes.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from functools import lru_cache

from runner.core.cron import CronSchedule, fire_days, next_fire, parse_cron

AHEAD = timedelta(days=366)
_MINUTES_OF_DAY = 1440
_SECOND = timedelta(seconds=1)
# Most schedules that meet do so within some of their next fires.
_STEPS = 40
# What finding all fires of a schedule costs, in fires that are asked for one by one.
_COST_OF_ALL = 200

Times = tuple[str, str]


class MeetingFinder:
    """Tells of sets of schedules whether they meet within 366 days after `now`, aware.

    Args:
        budget: how many fires may be asked for, at about 25 µs each. Once they are used up nothing is known.
    """

    def __init__(self, now: datetime, *, budget: int = 40_000) -> None:
        self._now = now
        self._left = budget
        self._fires: dict[Times, dict[int, int]] = {}
        self._known: dict[frozenset[Times], bool] = {}

    def meet(self, times: Collection[Times]) -> bool:
        """Whether these schedules (expression and zone) come due together at some moment; True where that is not
        known."""
        wanted = frozenset(times)
        if len(wanted) < 2:
            return True
        if wanted not in self._known:
            self._known[wanted] = self._left <= 0 or self._soon(wanted) or self._ever(wanted)
        return self._known[wanted]

    def _soon(self, wanted: frozenset[Times]) -> bool:
        """Go on from the latest of the next fires, as long as they differ."""
        schedules = [(parse_cron(expression), timezone) for expression, timezone in wanted]
        moment = self._now
        for _ in range(_STEPS):
            self._left -= len(schedules)
            fires = [next_fire(schedule, timezone, moment) for schedule, timezone in schedules]
            latest = max((fire for fire in fires if fire is not None), default=None)
            if latest is None or None in fires:
                return False
            if all(fire == latest for fire in fires):
                return latest <= self._now + AHEAD
            moment = latest - _SECOND
        return False

    def _ever(self, wanted: frozenset[Times]) -> bool:
        new = [one for one in wanted if one not in self._fires]
        self._left -= _COST_OF_ALL * len(new) + len(wanted)
        if self._left <= 0:
            return True
        for one in new:
            self._fires[one] = self._fires_of(*one)
        first, *others = sorted((self._fires[one] for one in wanted), key=len)
        return any(self._share(day, minutes, others) for day, minutes in first.items())

    @staticmethod
    def _share(day: int, minutes: int, others: list[dict[int, int]]) -> bool:
        for other in others:
            minutes &= other.get(day, 0)
        return minutes != 0

    def _fires_of(self, expression: str, timezone: str) -> dict[int, int]:
        """The fires to come: the number of each day in UTC, and its minutes as the bits of a number."""
        schedule: CronSchedule = parse_cron(expression)
        found: dict[int, int] = {}
        for origin, minutes in fire_days(schedule, timezone, self._now, self._now + AHEAD):
            day, minute = origin.toordinal(), origin.hour * 60 + origin.minute
            bits = _bits(minutes) << minute
            while bits:
                found[day] = found.get(day, 0) | bits & _WHOLE_DAY
                day, bits = day + 1, bits >> _MINUTES_OF_DAY
        return found


_WHOLE_DAY = (1 << _MINUTES_OF_DAY) - 1


@lru_cache(maxsize=4096)
def _bits(minutes: tuple[int, ...]) -> int:
    return sum(1 << minute for minute in minutes)
