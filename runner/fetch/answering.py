"""Waits for a file system, which may be on a network whose server is away; not for ever."""

import threading
from collections.abc import Callable
from typing import TypeVar

from runner.errors import FetchError
from runner.fetch.deadline import Deadline, DeadlinePassedError, FetchCancelledError

_T = TypeVar("_T")

# A look at one file of a network may take a while; past this nothing answers.
SILENCE_SECONDS = 5.0
# How long a cancelled run may go unnoticed.
_POLL_SECONDS = 0.1
# What was looked at in vain → the end of that look, which its thread still waits for.
_unanswered: dict[str, threading.Event] = {}


def wait_for_answer(
    where: str,
    look: Callable[[Deadline], _T],
    *,
    cancelled: threading.Event,
    seconds: float | None = None,
    place: str = "",
) -> _T:
    """What `look` returns, or raises. Where a file system gives no answer at all, a thread is left behind that
    waits for it, and not the run; the next run waits for the same one: however many there are, it is one thread.

    Args:
        where: what is looked at, for the message; not masked.
        look: may `renew` the deadline, where one answer follows the other.
        cancelled: ends the wait.
        seconds: how long it may take; left out: as long as one answer.
        place: what tells it from anything else, where `where` does not.

    Raises:
        FetchError: there is no answer, or the run was cancelled first.
        ThreadError: no thread can be started for it.
    """
    deadline = Deadline(SILENCE_SECONDS if seconds is None else seconds, cancelled)
    ended = threading.Event()
    place = place or where

    def answer() -> _T:
        try:
            return look(deadline)
        finally:
            ended.set()

    try:
        _await_earlier(place, deadline, cancelled)
        try:
            return deadline.run(answer)
        except (DeadlinePassedError, FetchCancelledError):
            _unanswered[place] = ended
            raise
    except FetchCancelledError:
        raise FetchError(f"the run was cancelled while {where} was looked for") from None
    except DeadlinePassedError:
        raise FetchError(
            f"where {where} lies gives no answer: it was waited for {deadline.seconds:g} s",
            hint="Look at its file system: the server of a network mount may be away.",
        ) from None


def _await_earlier(place: str, deadline: Deadline, cancelled: threading.Event) -> None:
    """Wait for the look that an earlier run has left behind, if there is one.

    Raises:
        DeadlinePassedError: it has not ended in time.
        FetchCancelledError: the run was cancelled first.
    """
    earlier = _unanswered.get(place)
    while earlier is not None and not earlier.wait(min(_POLL_SECONDS, max(0.0, deadline.remaining()))):
        if cancelled.is_set():
            raise FetchCancelledError
        deadline.check()
    _unanswered.pop(place, None)
