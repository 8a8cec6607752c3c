"""How long the loop of the service sleeps between its turns."""

import logging
import time
from collections.abc import Callable
from datetime import datetime

from runner.service.clock import utc_now
from runner.service.events import Events
from runner.service.open_runs import OpenRuns

log = logging.getLogger(__name__)

# The longest sleep: after it the wall clock is read again, so that a jump or a suspended machine is noticed, and
# runs that the command line has asked for are taken up.
_LONGEST_SECONDS = 1.0
# Later than it wanted to, by so much, the loop wakes where the process was suspended, or the clock set. What has
# ended meanwhile is taken in within this time, before it is judged whether a due fire overlaps.
_SUSPENDED_SECONDS = 1.0
_SETTLING_SECONDS = 3.0


class Waiting:
    """Waits until something is due or asked for.

    Args:
        seconds_to_rescan, next_time: when the folder is read again, and the next fire is due; None: none is.
        stopping: whether a stop was asked for; nothing is waited for then.
    """

    def __init__(
        self,
        events: Events,
        open_runs: OpenRuns,
        *,
        seconds_to_rescan: Callable[[], float],
        next_time: Callable[[], datetime | None],
        stopping: Callable[[], bool],
    ) -> None:
        self._events = events
        self._open_runs = open_runs
        self._seconds_to_rescan = seconds_to_rescan
        self._next_time = next_time
        self._stopping = stopping

    def take(self) -> Callable[[], None] | None:
        """The call that was asked for; None where a turn is due without one."""
        now = utc_now()
        timeout = max(0.0, self._seconds_from(now))
        event = self._events.take(timeout)
        late = (utc_now() - now).total_seconds() - timeout
        if late > _SUSPENDED_SECONDS:
            log.info("%.0f s have passed unseen: the process was suspended, or the clock set", late)
            self._settle()
        return event

    def _seconds_from(self, now: datetime) -> float:
        timeout = min(_LONGEST_SECONDS, self._seconds_to_rescan())
        next_time = self._next_time()
        if next_time is not None:
            timeout = min(timeout, (next_time - now).total_seconds())
        next_attempt = self._open_runs.seconds_to_next()
        return timeout if next_attempt is None else min(timeout, next_attempt)

    def _settle(self) -> None:
        """Leave other threads the time to take in the ends of runs that are under way."""
        until = time.monotonic() + _SETTLING_SECONDS
        while self._open_runs.begun_count() and time.monotonic() < until and not self._stopping():
            time.sleep(0.05)
