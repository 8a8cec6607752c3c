"""A plain child: started anew for one step, with what bounds there are without a sandbox."""

import os
import resource
import select
import signal
import threading
from contextlib import suppress

from runner.execution.child_main import serve
from runner.execution.limits import LARGEST_FILE
from runner.execution.sandbox import NO_LEVEL
from runner.execution.steps.database import open_database

_DATA = 3


class _Bounds:
    """The limits that every system has."""

    level = NO_LEVEL
    missing = ()
    scratch = None

    def prepare(self) -> None:
        """No core files, and an end to each file."""
        _limit(resource.RLIMIT_CORE, 0)
        _limit(resource.RLIMIT_FSIZE, LARGEST_FILE)

    def close(
        self,
        *,
        input_paths: tuple[str, ...],  # noqa: ARG002 - all files can be read
        open_inputs: int,  # noqa: ARG002 - as many as the system allows
        run_dir: str,  # noqa: ARG002 - and written
        memory_mb: int,  # noqa: ARG002 - not bounded: other systems take RLIMIT_AS and do not hold it
        cpu_seconds: int | None,
    ) -> None:
        """CPU time."""
        if cpu_seconds is not None:
            _limit(resource.RLIMIT_CPU, cpu_seconds)


def main() -> None:
    """Carry out the order on standard input; standard output, as it was given, takes the answer."""
    os.dup2(0, _DATA)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    threading.Thread(target=_end_with_the_service, daemon=True).start()
    os._exit(serve(_Bounds(), open_database()))


def _end_with_the_service() -> None:
    """A closed socket is the end of the service, and then of the whole group."""
    poll = select.poll()
    # No events but that the other side has gone.
    poll.register(_DATA, 0)
    poll.poll()
    os.killpg(0, signal.SIGKILL)


def _limit(kind: int, limit: int) -> None:
    with suppress(ValueError, OSError):
        resource.setrlimit(kind, (limit, limit))
