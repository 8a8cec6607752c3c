"""What wakes the loop of the service: calls that other threads and signal handlers ask for."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable


class Events:
    """Calls in the order they were asked for, taken by one thread.

    In place of `queue.SimpleQueue`: its `get` never ends where the time is over when it looks again, which happens
    after a signal (seen with CPython 3.11, 3.12 and 3.13) and with a time of microseconds (3.11). A fire that is
    due would wait for the next event.
    """

    def __init__(self) -> None:
        self._calls: deque[Callable[[], None]] = deque()
        # Open where there may be a call that was not looked at. A plain lock: to open it takes no other one, so a
        # signal handler may do that in the thread that waits.
        self._bell = threading.Lock()
        self._bell.acquire()

    def put(self, call: Callable[[], None]) -> None:
        """Ask for a call. Safe in threads and signal handlers."""
        self._calls.append(call)
        # It is open already: whoever waits there will find this call too.
        with contextlib.suppress(RuntimeError):
            self._bell.release()

    def take(self, timeout: float) -> Callable[[], None] | None:
        """The next call; None where there is none within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while not self._calls:
            if not self._bell.acquire(timeout=max(0.0, deadline - time.monotonic())):
                return None
        return self._calls.popleft()
