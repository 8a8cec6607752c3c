"""The turns of the service's loop: the same steps again and again, until a stop is asked for."""

import logging
import time
from collections.abc import Callable, Sequence

from runner.errors import RunnerError

log = logging.getLogger(__name__)

# Before the next turn, where a step of this one could not be carried out.
_TROUBLED_SECONDS = 1.0


class Turns:
    """Goes through the steps, each on its own: the trouble of one keeps no other from its work.

    Args:
        steps: what every turn does.
        take: waits until the next turn is due; answers the call that was asked for, if one was.
        stopping: whether a stop was asked for.
    """

    def __init__(
        self,
        steps: Sequence[Callable[[], object]],
        *,
        take: Callable[[], Callable[[], None] | None],
        stopping: Callable[[], bool],
    ) -> None:
        self._steps = tuple(steps)
        self._take = take
        self._stopping = stopping

    def run(self) -> None:
        """Until a stop is asked for."""
        while not self._stopping():
            troubled = [step for step in self._steps if not _carries_out(step)]
            if troubled:
                time.sleep(_TROUBLED_SECONDS)
            call = self._take()
            if call is not None:
                _carries_out(call)


def _carries_out(step: Callable[[], object]) -> bool:
    try:
        step()
    except RunnerError as error:
        log.error("%s %s", error.message, error.hint)
        return False
    except Exception:
        # One bad step must not end the service; the next turn is a second away.
        log.exception("The loop met something unforeseen")
        return False
    return True
