"""File events as a hint for the next rescan; never the truth, which is what the rescan reads."""

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)

_log = logging.getLogger(__name__)

QUIET_SECONDS = 0.3
LIMIT_SECONDS = 2.0
INTERVAL_SECONDS = 10.0
# A large folder is read less often where nothing hints at a change: for a thousandth of one core at most, and
# every two minutes at least.
LONGEST_INTERVAL_SECONDS = 120.0
_REST = 1000
# Not opened, nor closed without writing: our own rescan makes those, and would call for the next one.
_EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirModifiedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]


class Observer(Protocol):
    """What is used of a watchdog observer."""

    def schedule(
        self,
        event_handler: FileSystemEventHandler,
        path: str,
        *,
        recursive: bool,
        event_filter: list[type[FileSystemEvent]] | None,
    ) -> object: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def join(self, timeout: float | None = None) -> None: ...
    def is_alive(self) -> bool: ...


def _make_observer() -> Observer:
    from watchdog.observers import Observer as PlatformObserver

    return PlatformObserver()


class FolderWatcher:
    """Calls `on_hint`, from a thread of its own, when something below the folder may have changed.

    Where the system gives no watch (inotify limits, a folder that is gone) it says so once and stays silent: the
    rescan at intervals sees everything, a little later.
    """

    def __init__(
        self,
        jobs_dir: Path,
        on_hint: Callable[[], None],
        *,
        make_observer: Callable[[], Observer] = _make_observer,
    ) -> None:
        self._jobs_dir = jobs_dir
        self._handler = _HintHandler(on_hint)
        self._make_observer = make_observer
        self._observer: Observer | None = None
        self._watched: tuple[str, int, int] | None = None
        self._next_try = 0.0
        self._warned = False

    @property
    def alive(self) -> bool:
        """True while events arrive."""
        return self._observer is not None and self._observer.is_alive()

    def ensure(self, now: float) -> None:
        """Begin to watch; replace an observer that has died, or whose folder is another one now (a link that was
        turned). `now` is a monotonic time in seconds."""
        root = self._root()
        if self.alive and root == self._watched:
            return
        if not self.alive and now < self._next_try:
            return
        self.stop()
        if root is not None:
            self._watch(root)
        self._next_try = now + INTERVAL_SECONDS

    def stop(self) -> None:
        """End the thread, if there is one."""
        observer, self._observer, self._watched = self._observer, None, None
        if observer is not None and observer.is_alive():
            observer.stop()
            observer.join(5.0)

    def _root(self) -> tuple[str, int, int] | None:
        path = os.path.realpath(self._jobs_dir)
        try:
            status = Path(path).stat()
        except OSError:
            return None
        return (path, status.st_dev, status.st_ino)

    def _watch(self, root: tuple[str, int, int]) -> None:
        observer = self._make_observer()
        try:
            observer.schedule(self._handler, root[0], recursive=True, event_filter=_EVENTS)
            observer.start()
        except (OSError, RuntimeError) as error:  # RuntimeError: no thread can be started
            if not self._warned:
                self._warned = True
                _log.warning(
                    "the folder %s cannot be watched (%s): it is read every %.0f s instead",
                    self._jobs_dir,
                    error,
                    INTERVAL_SECONDS,
                )
            return
        self._observer, self._watched, self._warned = observer, root, False


class _HintHandler(FileSystemEventHandler):
    def __init__(self, on_hint: Callable[[], None]) -> None:
        self._on_hint = on_hint

    def on_any_event(self, event: FileSystemEvent) -> None:  # noqa: ARG002 - what has happened is for the rescan to find
        self._on_hint()


class RescanClock:
    """When the folder is to be read: 300 ms after the last hint, 2 s after the first at most, else every 10 s.

    Where one reading costs more than 10 ms, the regular ones are further apart, up to two minutes.

    Times are monotonic seconds, given by the caller. Before the first `done` a rescan is due at once.
    """

    def __init__(
        self, *, quiet: float = QUIET_SECONDS, limit: float = LIMIT_SECONDS, interval: float = INTERVAL_SECONDS
    ) -> None:
        self._quiet = quiet
        self._limit = limit
        self._interval = interval
        self._regular = interval
        self._first_hint: float | None = None
        self._last_hint = 0.0
        self._last_done: float | None = None

    def hint(self, now: float) -> None:
        """Something may have changed."""
        if self._first_hint is None:
            self._first_hint = now
        self._last_hint = now

    def next_time(self, now: float) -> float:
        """When the next rescan is due; `now` or earlier: at once."""
        if self._last_done is None:
            return now
        regular = self._last_done + self._regular
        if self._first_hint is None:
            return regular
        return min(regular, self._last_hint + self._quiet, self._first_hint + self._limit)

    def due(self, now: float) -> bool:
        """True when the folder is to be read now."""
        return now >= self.next_time(now)

    def done(self, now: float, *, cost: float = 0.0) -> None:
        """A rescan that began at `now` has ended; a hint that came after its beginning still counts.

        Args:
            cost: seconds that it took.
        """
        self._regular = max(self._interval, min(cost * _REST, LONGEST_INTERVAL_SECONDS))
        self._last_done = now
        if self._first_hint is not None and self._last_hint <= now:
            self._first_hint = None
        elif self._first_hint is not None:
            self._first_hint = self._last_hint
