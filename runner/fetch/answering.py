"""Waits for a file system, which may be on a network whose server is away; not for ever."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from runner.core.mounts import Mount, mount_of
from runner.errors import FetchError
from runner.fetch.deadline import Deadline, DeadlinePassedError, FetchCancelledError
from runner.mounts import read_mounts

_T = TypeVar("_T")

# A look at one file of a network may take a while; past this nothing answers.
SILENCE_SECONDS = 5.0
# How long a cancelled run may go unnoticed.
_POLL_SECONDS = 0.1
# How many threads wait for files of one folder or one network mount: a file, and the folder that it lies in, can
# have another name for each run.
_MOST_BESIDE = 4
# What was looked at in vain → the end of that look, which its thread still waits for.
_unanswered: dict[Path, threading.Event] = {}
_lock = threading.Lock()


def wait_for_answer(
    path: Path,
    look: Callable[[Deadline], _T],
    *,
    cancelled: threading.Event,
    seconds: float | None = None,
    where: str = "",
) -> _T:
    """What `look` returns, or raises. Where a file system gives no answer at all, a thread is left behind that
    waits for it, and not the run; later runs wait for the same one, so that there are few, however many runs fail.

    Args:
        path: what is looked at; of several, one of them.
        look: may `renew` the deadline, where one answer follows the other.
        cancelled: ends the wait.
        seconds: how long it may take; left out: as long as one answer.
        where: what is looked at, for the message, if that is not the path; not masked.

    Raises:
        FetchError: there is no answer, or the run was cancelled first.
        ThreadError: no thread can be started for it.
    """
    deadline = Deadline(SILENCE_SECONDS if seconds is None else seconds, cancelled)
    ended = threading.Event()
    where = where or str(path)

    def answer() -> _T:
        try:
            return look(deadline)
        finally:
            ended.set()

    try:
        _await_earlier(path, deadline, cancelled)
        try:
            return deadline.run(answer)
        except (DeadlinePassedError, FetchCancelledError):
            with _lock:
                _unanswered[path] = ended
            raise
    except FetchCancelledError:
        raise FetchError(f"the run was cancelled while {where} was looked for") from None
    except DeadlinePassedError:
        raise FetchError(
            f"where {where} lies gives no answer: it was waited for {deadline.seconds:g} s",
            hint="Look at its file system: the server of a network mount may be away.",
        ) from None


def _await_earlier(path: Path, deadline: Deadline, cancelled: threading.Event) -> None:
    """Wait for the look that an earlier run has left behind, if there is one.

    Raises:
        DeadlinePassedError: it has not ended in time.
        FetchCancelledError: the run was cancelled first.
    """
    earlier = _earlier_look(path)
    while earlier is not None and not earlier.wait(min(_POLL_SECONDS, max(0.0, deadline.remaining()))):
        if cancelled.is_set():
            raise FetchCancelledError
        deadline.check()


def _earlier_look(path: Path) -> threading.Event | None:
    """The end of a look that is still under way: at this path, or, where there are enough, beside it."""
    mounts = read_mounts() if _unanswered else ()
    with _lock:
        for place, ended in list(_unanswered.items()):
            if ended.is_set():
                del _unanswered[place]
        beside = [ended for place, ended in _unanswered.items() if _together(place, path, mounts)]
        return _unanswered.get(path) or (beside[0] if len(beside) >= _MOST_BESIDE else None)


def _together(one: Path, other: Path, mounts: Sequence[Mount]) -> bool:
    """Whether two files are in one folder, or on one network mount, as their paths are written: to follow links is
    to ask."""
    if one.parent == other.parent:
        return True
    mount = mount_of(str(one), mounts)
    return mount is not None and mount.may_be_shared and mount_of(str(other), mounts) == mount
