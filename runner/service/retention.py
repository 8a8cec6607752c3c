"""What is past its retention is removed: runs, their mails, and their folders."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from runner.core.documents import utc_text
from runner.core.job import Job
from runner.core.report import size_words
from runner.errors import StoreError
from runner.service.run_folders import sweep
from runner.settings import Settings
from runner.store.store import Store
from runner.threads import begin

log = logging.getLogger(__name__)

PERIOD_SECONDS = 3600.0
# A wall clock that moved so much against the other one was set, or the machine slept.
_STEP = timedelta(minutes=30)
# So long a time without a run is more than the pause between two services: the clock may be ahead.
_LONG_PAUSE = timedelta(days=1)
# For so long a job that comes after several can still meet: one of them may be slow, or fail and be mended.
_MEETING_TIME = timedelta(days=1)
_NEVER = datetime.fromtimestamp(0, UTC)


def _in_thread(work: Callable[[], None]) -> None:
    begin(threading.Thread(target=work, name="retention", daemon=True))


class Retention:
    """Tidies at once, and every hour after that.

    After a step of the wall clock one round is left out. At a start where nothing has run for a day, nothing goes
    by its age for an hour. A clock that is wrong for a while must not cost the history.

    Args:
        clock: the wall clock, aware.
        jobs: the jobs in force, by name: what their next runs are judged by, or may come after, stays.
        monotonic: seconds of a clock that only goes forward.
        spawn: begins a round, in a thread of its own.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        clock: Callable[[], datetime],
        jobs: Callable[[], Mapping[str, Job]],
        monotonic: Callable[[], float] = time.monotonic,
        spawn: Callable[[Callable[[], None]], object] = _in_thread,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._jobs = jobs
        self._monotonic = monotonic
        self._spawn = spawn
        self._next_round = monotonic()
        self._first = True
        self._offset = self._wall_offset()

    def tidy_if_due(self) -> None:
        """Remove what is old, where an hour has passed; in a thread of its own: due runs do not wait for it."""
        if self._monotonic() < self._next_round:
            return
        self._next_round = self._monotonic() + PERIOD_SECONDS
        before, self._offset = self._offset, self._wall_offset()
        if abs(self._offset - before) > _STEP:
            log.warning("The clock was set, or the machine slept: what is old is removed in an hour")
            return
        self._spawn(self._tidy)

    def _tidy(self) -> None:
        try:
            self._remove()
        except StoreError as error:
            log.error("What is old cannot be removed: %s %s; tried again in an hour", error.message, error.hint)
        except Exception:
            # Nobody waits for this thread: what it meets is told here or nowhere.
            log.exception("Removing what is old met something unforeseen; tried again in an hour")

    def _remove(self) -> None:
        days, count = self._settings.run_retention_days, self._settings.run_retention_count
        now, first, self._first = self._clock(), self._first, False
        before = _NEVER if first and self._may_be_ahead(now) else now - timedelta(days=days)
        removed = self._store.remove_old(
            before, keep_per_job=count, jobs=self._jobs(), awaited_since=now - _MEETING_TIME
        )
        if removed:
            log.info(
                "Removed %d runs: older than %d days, or beyond the newest %d of their job",
                len(removed),
                days,
                count,
            )
        sweep(self._settings.runs_dir, self._store.known)
        self._give_room_back()

    def _give_room_back(self) -> None:
        try:
            given = self._store.compact()
        except StoreError as error:
            log.warning(
                "The database keeps room that it does not need: %s %s; tried again in an hour",
                error.message,
                error.hint,
            )
            return
        if given:
            log.info("The database gave %s back to the disk", size_words(given))

    def _may_be_ahead(self, now: datetime) -> bool:
        """Whether nothing ran for a day before the last hour: in that one, an earlier start may have caught up by
        the same clock."""
        newest = self._store.newest_before(now - timedelta(seconds=PERIOD_SECONDS))
        if newest is None or newest > now - _LONG_PAUSE:
            return False
        log.warning(
            "Nothing has run since %s, or the clock is ahead: what is old is removed in an hour", utc_text(newest)
        )
        return True

    def _wall_offset(self) -> timedelta:
        """How far the wall clock is from the other one."""
        return timedelta(seconds=self._clock().timestamp() - self._monotonic())
