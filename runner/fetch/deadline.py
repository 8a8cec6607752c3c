"""Bounds network work by a total time. Time-outs of sockets are per read: a server that dribbles defeats them."""

import contextlib
import contextvars
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from runner.threads import begin

T = TypeVar("T")

# How long a cancelled fetch may go unnoticed, and how long a stopped worker may take to let go of its file.
_POLL_SECONDS = 0.1
_GRACE_SECONDS = 0.3


class DeadlinePassedError(Exception):
    """The total time is over."""


class FetchCancelledError(Exception):
    """The run was cancelled."""


class Deadline:
    """A total time for work that blocks on sockets.

    The work runs in a thread of its own; at the deadline its sockets are shut down, which wakes every read and
    handshake, and the caller goes on at once. A thread that sits in a name lookup, which nothing can interrupt, is
    left behind and ends at its next step; `looked_up` is the host whose name it wants to know, else empty.

    Args:
        seconds: how long the work may take in all.
        cancelled: ends the work within a tenth of a second.
    """

    def __init__(self, seconds: float, cancelled: threading.Event) -> None:
        self.seconds = seconds
        self.looked_up = ""
        self._end = time.monotonic() + seconds
        self._cancelled = cancelled
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._sockets: list[tuple[socket.socket, Callable[[], bool]]] = []

    def run(self, work: Callable[[], T]) -> T:
        """What `work` returns, or raises.

        Raises:
            DeadlinePassedError: it was not done in time.
            FetchCancelledError: the run was cancelled first.
            ThreadError: no thread can be started for it.
        """
        future: Future[T] = Future()

        def call() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - handed to the caller's thread, whatever it is
                future.set_exception(error)

        context = contextvars.copy_context()
        begin(threading.Thread(target=context.run, args=(call,), name="fetch", daemon=True))
        try:
            while not wait((future,), timeout=max(0.0, min(_POLL_SECONDS, self.remaining()))).done:
                if self._cancelled.is_set():
                    raise FetchCancelledError
                if self.remaining() <= 0:
                    raise DeadlinePassedError
            return future.result()
        finally:
            self._stop()
            wait((future,), timeout=_GRACE_SECONDS)

    def remaining(self) -> float:
        """Seconds until the deadline; 0 or less when it has passed."""
        return self._end - time.monotonic()

    def check(self) -> None:
        """Called by the work between its steps.

        Raises:
            DeadlinePassedError: nobody waits for this work any more.
        """
        if self._stopped.is_set() or self.remaining() <= 0:
            raise DeadlinePassedError

    def renew(self) -> None:
        """Called by the work before a step that may take the whole time again.

        Raises:
            DeadlinePassedError: as `check`.
        """
        self.check()
        self._end = time.monotonic() + self.seconds

    def wait(self, seconds: float) -> None:
        """Called by the work that has nothing to do for a while; ends when nobody waits for it any more.

        Raises:
            DeadlinePassedError: as `check`.
        """
        self._stopped.wait(min(seconds, max(0.0, self.remaining())))
        self.check()

    def watch(self, connected: socket.socket, is_closed: Callable[[], bool]) -> None:
        """Shut this socket down when the time is over.

        A duplicate is kept: TLS takes the descriptor out of the socket it wraps, and a closed descriptor's number
        may by then belong to something else. `is_closed` says whether the connection is done with; see `forget`.
        """
        with self._lock:
            if self._stopped.is_set():
                raise DeadlinePassedError
            self._sockets.append((connected.dup(), is_closed))

    def forget(self) -> None:
        """Let go of closed connections. Called between answers: one that is being read counts as closed."""
        with self._lock:
            for duplicate, is_closed in self._sockets:
                if is_closed():
                    duplicate.close()
            self._sockets = [entry for entry in self._sockets if entry[0].fileno() >= 0]

    def _stop(self) -> None:
        with self._lock:
            self._stopped.set()
            for duplicate, _ in self._sockets:
                # The other side may have been faster.
                with contextlib.suppress(OSError):
                    duplicate.shutdown(socket.SHUT_RDWR)
                duplicate.close()
            self._sockets.clear()
