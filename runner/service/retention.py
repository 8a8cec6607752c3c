"""What is past its retention is removed: runs, their mails, and their folders."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from runner.core.job import Job
from runner.errors import StoreError
from runner.service.run_folders import sweep
from runner.settings import Settings
from runner.store.store import Store

log = logging.getLogger(__name__)

PERIOD_SECONDS = 3600.0
# A wall clock that moved so much against the other one was set, or the machine slept.
_STEP = timedelta(minutes=30)


def _in_thread(work: Callable[[], None]) -> None:
    threading.Thread(target=work, name="retention", daemon=True).start()


class Retention:
    """Tidies at once, and every hour after that.

    After a step of the wall clock one round is left out: a clock that is wrong for a while must not cost the
    history.

    Args:
        clock: the wall clock, aware.
        jobs: the jobs in force, by name: what their next runs are judged by stays.
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
        before = self._clock() - timedelta(days=days)
        removed = self._store.remove_old(before, keep_per_job=count, jobs=self._jobs())
        if removed:
            log.info(
                "Removed %d runs: older than %d days, or beyond the newest %d of their job",
                len(removed),
                days,
                count,
            )
        sweep(self._settings.runs_dir, self._store.known)

    def _wall_offset(self) -> timedelta:
        """How far the wall clock is from the other one."""
        return timedelta(seconds=self._clock().timestamp() - self._monotonic())
