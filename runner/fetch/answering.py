"""Waits for a file system, which may be on a network whose server is away; not for ever."""

import threading
from collections.abc import Callable
from typing import TypeVar

from runner.errors import FetchError
from runner.fetch.deadline import Deadline, DeadlinePassedError, FetchCancelledError

_T = TypeVar("_T")

# A look at one file of a network may take a while; past this nothing answers.
SILENCE_SECONDS = 5.0


def wait_for_answer(
    where: str,
    look: Callable[[Deadline], _T],
    *,
    cancelled: threading.Event,
    seconds: float | None = None,
) -> _T:
    """What `look` returns, or raises. Where a file system gives no answer at all, a thread is left behind that
    waits for it, and not the run.

    Args:
        where: what is looked at, for the message; not masked.
        look: may `renew` the deadline, where one answer follows the other.
        cancelled: ends the wait.
        seconds: how long it may take; left out: as long as one answer.

    Raises:
        FetchError: there is no answer, or the run was cancelled first.
        ThreadError: no thread can be started for it.
    """
    deadline = Deadline(SILENCE_SECONDS if seconds is None else seconds, cancelled)
    try:
        return deadline.run(lambda: look(deadline))
    except FetchCancelledError:
        raise FetchError(f"the run was cancelled while {where} was looked for") from None
    except DeadlinePassedError:
        raise FetchError(
            f"where {where} lies gives no answer: it was waited for {deadline.seconds:g} s",
            hint="Look at its file system: the server of a network mount may be away.",
        ) from None
