"""All that is looked at from outside while a step runs: what no limit of the kernel bounds."""

import time
from collections.abc import Callable

from runner.core.run import RunFailure
from runner.execution.disk import DiskWatch
from runner.execution.orders import StepOrder
from runner.execution.processes import breach_of, pid_of, standing_of

_LOOK_SECONDS = 0.1


class StepWatch:
    """Looks at the threads, the shared memory and the disk of a step. `failure` says which bound was met; None as
    long as none was.

    Args:
        order: the step.
        pidfd: of its child.
        clock: seconds that never go back.
    """

    def __init__(self, order: StepOrder, *, pidfd: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.failure: RunFailure | None = None
        self._order = order
        self._pidfd = pidfd
        self._clock = clock
        self._disk = DiskWatch(order, pidfd=pidfd, clock=clock)
        self._next_look = clock() + _LOOK_SECONDS

    def met(self) -> bool:
        """Whether a bound was met. Looks only now and then, so it can be asked often."""
        now = self._clock()
        if self.failure is None and now >= self._next_look:
            self._next_look = now + _LOOK_SECONDS
            self.failure = self._look()
        return self.failure is not None

    def _look(self) -> RunFailure | None:
        pid = pid_of(self._pidfd)
        failure = breach_of(self._order, standing_of(pid)) if pid else None
        return failure or (self._disk.failure if self._disk.met() else None)
