"""What gives a process to each step: the zygote on Linux, plain children elsewhere."""

import platform
import threading
from typing import Protocol

from runner.execution.orders import StepOrder, StepOutcome
from runner.execution.plain import PlainChildren
from runner.execution.zygote import Zygote


class StepRunner(Protocol):
    """Carries out steps, each in a process of its own. Thread-safe."""

    @property
    def level(self) -> str:
        """The layers of the sandbox that hold, once it is started: `landlock+seccomp+namespaces`, or `none`."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Why other layers cannot be had, a sentence for each."""

    def launch(self) -> None:
        """Begin to start, without waiting."""

    def start(self) -> None:
        """Be ready for steps.

        Raises:
            SandboxError: the sandbox that is asked for cannot be had.
            ExecutionError: it does not come up.
        """

    def close(self) -> None:
        """End every child, and give no others."""

    def run_step(self, order: StepOrder, *, cancelled: threading.Event) -> StepOutcome:
        """Carry out one step. Whatever goes wrong is in the outcome, never raised."""


def make_step_runner(*, sandbox_mode: str, waiting: int = 2) -> StepRunner:
    """The one for this system; `waiting` is how many children are kept ready, where they can be."""
    if platform.system() == "Linux":
        return Zygote(sandbox_mode=sandbox_mode, waiting=waiting)
    return PlainChildren(sandbox_mode=sandbox_mode)
