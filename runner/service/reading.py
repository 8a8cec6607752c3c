"""Something is read in a thread of its own: where its file system is slow or away, nobody else waits for it."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from runner.errors import ThreadError
from runner.threads import begin

_T = TypeVar("_T")


class Reading(Generic[_T]):
    """One reading, under way from when it is made. `outcome` is what it gave, once it has `ended`; one that
    no thread can be started for has ended at once.

    Args:
        on_end: called from the thread when it has ended.
    """

    def __init__(self, read: Callable[[], _T], *, on_end: Callable[[], None] = lambda: None) -> None:
        self.ended = False
        self._read = read
        self._on_end = on_end
        self._found: _T
        self._error: Exception | None = None
        # A daemon: a file system that never answers must not keep the process from ending.
        self._thread = threading.Thread(target=self._carry_out, name="folder", daemon=True)
        try:
            begin(self._thread)
        except ThreadError as error:
            self._error, self.ended = error, True

    def outcome(self) -> _T:
        """What was read.

        Raises:
            Exception: what the reading raised.
        """
        if self._error is not None:
            raise self._error
        return self._found

    def wait(self, seconds: float) -> None:
        """Wait for its end, not longer than that."""
        if not self.ended:
            self._thread.join(seconds)

    def _carry_out(self) -> None:
        try:
            self._found = self._read()
        except Exception as error:  # noqa: BLE001 - told by whoever asks for the outcome
            self._error = error
        self.ended = True
        self._on_end()
