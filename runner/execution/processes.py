"""What the kernel tells of a child from outside. Everything is 0 where it tells nothing, as off Linux."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.core.run import FailureKind, RunFailure
from runner.execution.orders import StepOrder

_LEAST_THREADS, _PER_CORE = 512, 4
_KIB_PER_MIB = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A process at one moment: its threads, and the MiB of memory that it could share, which no limit counts."""

    threads: int = 0
    shared_mb: int = 0


def pid_of(pidfd: int) -> int:
    """The number of a process, in the caller's view; 0 where it has none any more, or the descriptor is another
    kind."""
    return _numbers(Path(f"/proc/self/fdinfo/{pidfd}"), "Pid:")[0]


def standing_of(pid: int) -> Standing:
    """How a process stands."""
    threads, shared = _numbers(Path(f"/proc/{pid}/status"), "Threads:", "RssShmem:")
    return Standing(threads=threads, shared_mb=shared // _KIB_PER_MIB)


def breach_of(order: StepOrder, standing: Standing) -> RunFailure | None:
    """The bound that a step has met by its threads or its shared memory: the limits of the kernel bound private
    memory alone, and the threads of a user."""
    most = max(_LEAST_THREADS, _PER_CORE * (os.cpu_count() or 1))
    if standing.threads > most:
        return RunFailure(
            kind=FailureKind.MEMORY,
            message=f"the step had more than {most} threads and was ended",
            hint="Let it start fewer threads: more than the machine has cores make nothing faster.",
        )
    if standing.shared_mb > order.memory_mb:
        return RunFailure(
            kind=FailureKind.MEMORY,
            message=f"the step had {standing.shared_mb} MiB of shared memory and was ended "
            f"(it may have {order.memory_mb} MiB)",
            hint="Raise `resources.memory_mb` in the job file, or let the step keep less.",
        )
    return None


def _numbers(path: Path, *keys: str) -> list[int]:
    """The numbers behind some keys of a file, read once; 0 for each that is not there."""
    content = b""
    with suppress(OSError):
        content = path.read_bytes()
    found = (re.search(rb"^%s\t *([0-9]+)" % key.encode(), content, re.MULTILINE) for key in keys)
    return [int(match[1]) if match else 0 for match in found]
