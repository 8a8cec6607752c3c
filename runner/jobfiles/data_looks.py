"""Looks at data files, which may lie where nothing answers: on a network mount whose server is away.

A call of the system that hangs there cannot be broken off. It is left to a thread of its own, and that the thread
still waits is what is remembered of the place: nobody waits there a second time, until it answers again.
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from runner.core.mounts import Mount, mount_of
from runner.mounts import read_mounts
from runner.threads import begin

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# How long one look may take; and all of them together, where each takes its time, before the others are not made.
SILENCE_SECONDS = 5.0
_ALL_SECONDS = 15.0
# How often within the first of them it is seen whether there are answers.
_PEEKS = 20
# Each keeps a thread, and is waited for once: with more, a first scan would be as long as one of a folder of jobs
# that does not answer. With so many, nothing is looked at until one of them answers.
_MOST_SILENT = 5


class _Order(Generic[_T]):
    """Paths to be looked at, one after the other, and what was found so far. `ended` once nothing is under way."""

    def __init__(self, look: Callable[[str], _T], paths: Sequence[str]) -> None:
        self.paths = paths
        self.answers: list[_T] = []
        self.error: Exception | None = None
        self.given_up = False
        self.ended = False
        self._look = look
        self._end: SimpleQueue[None] = SimpleQueue()

    def carry_out(self) -> None:
        """Look at the paths, until nobody waits for it any more."""
        try:
            for path in self.paths:
                self.answers.append(self._look(path))
                if self.given_up:
                    break
        except Exception as error:  # noqa: BLE001 - raised where it is waited for
            self.error = error
        self.ended = True
        self._end.put(None)

    def has_ended_within(self, seconds: float) -> bool:
        """Wait for the end."""
        try:
            self._end.get(timeout=seconds)
        except Empty:
            return False
        return True


class _Looker:
    """A thread that carries out orders, until one of them is given up."""

    def __init__(self) -> None:
        self._orders: SimpleQueue[_Order[Any] | None] = SimpleQueue()
        # A daemon: a file system that never answers must not keep the process from ending.
        self._thread = threading.Thread(target=self._work, name="data-looks", daemon=True)
        begin(self._thread)

    @property
    def alive(self) -> bool:
        """False in a forked child too, to which no thread comes along."""
        return self._thread.is_alive()

    def take(self, order: _Order[Any]) -> None:
        """Carry out an order next."""
        self._orders.put(order)

    def end(self) -> None:
        """End the thread once it has nothing to do."""
        self._orders.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (order := self._orders.get()) is not None:
            order.carry_out()
            if order.given_up:
                return


class DataLooks:
    """Looks at paths on behalf of one caller at a time, and tells where nothing answers.

    Args:
        home: a path whose mount is that of the project. What hangs on another mount hangs on all of it; what
            hangs on this one does so behind a link, and only its folder is silent.
    """

    def __init__(self, home: str) -> None:
        self._home = home
        self._looker: _Looker | None = None
        # The place → the order that waits there.
        self._silent: dict[str, _Order[Any]] = {}

    def ask(self, look: Callable[[str], _T], *paths: str) -> dict[str, _T]:
        """What `look` finds at each path, absolute ones; those that give no answer are left out.

        Raises:
            ThreadError: no thread can be started for it.
            Exception: what `look` raises.
        """
        self._let_answered_go()
        found: dict[str, _T] = {}
        left = [path for path in paths if not self._is_silent(path)]
        while left:
            order = _Order(look, left)
            self._carry_out(order)
            if order.error is not None:
                raise order.error
            count = len(order.answers)
            found.update(zip(left, order.answers[:count], strict=False))
            if count == len(left):
                break
            self._fall_silent(left[count], order)
            left = [path for path in left[count + 1 :] if not self._is_silent(path)]
        return found

    def close(self) -> None:
        """End the thread, but for those that wait; the next look starts one."""
        if self._looker is not None and self._looker.alive:
            self._looker.end()
        self._looker = None

    def _carry_out(self, order: _Order[Any]) -> None:
        """Have an order carried out, as far as there are answers."""
        if self._looker is None or not self._looker.alive:
            self._looker = _Looker()
        self._looker.take(order)
        began = heard = time.monotonic()
        answered = 0
        while not order.has_ended_within(SILENCE_SECONDS / _PEEKS):
            now, before, answered = time.monotonic(), answered, len(order.answers)
            heard = now if answered > before else heard
            if now - heard >= SILENCE_SECONDS or now - began >= _ALL_SECONDS:
                order.given_up = True
                self._looker = None
                return

    def _fall_silent(self, path: str, order: _Order[Any]) -> None:
        place = _place_of(path, self._home)
        self._silent[place] = order
        _log.warning(
            "Where %s lies gives no answer: %s is not looked at until it does. Look at its file system: the "
            "server of a network mount may be away",
            path,
            place,
        )

    def _let_answered_go(self) -> None:
        for place, order in list(self._silent.items()):
            if order.ended:
                del self._silent[place]
                _log.info("%s answers again", place)

    def _is_silent(self, path: str) -> bool:
        if len(self._silent) >= _MOST_SILENT:
            return True
        path = os.path.normpath(path) if self._silent else path
        return any(f"{path}/".startswith(f"{place}/") for place in self._silent)


def _place_of(path: str, home: str) -> str:
    """The widest folder that is as silent as a path: its mount; behind a link from home, its folder."""
    path = os.path.normpath(path)
    mounts = read_mounts()
    mount = _point_of(path, mounts)
    if mount not in {"/", _point_of(os.path.normpath(home), mounts)}:
        return mount
    return os.path.dirname(path).rstrip("/") or path  # noqa: PTH120 - as texts: no Path is looked at


def _point_of(path: str, mounts: Sequence[Mount]) -> str:
    """The nearest mount point that holds a path, as it is written: to resolve links would hang."""
    mount = mount_of(path, mounts)
    return mount.point if mount is not None else "/"
