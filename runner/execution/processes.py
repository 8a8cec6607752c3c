"""What the kernel tells of a child from outside. Everything is 0 where it tells nothing, as off Linux."""

import os
import re
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from runner.core.run import FailureKind, RunFailure
from runner.execution.orders import StepOrder

_LEAST_THREADS, _PER_CORE = 512, 4
_BYTES_PER_KIB = _KIB_PER_MIB = 1024
# What is private memory and not counted for the limit on it: the stack of the leading thread, and what the loader
# writes into libraries.
_UNCOUNTED_KIB = 64 * _KIB_PER_MIB
_ENDED = b"\nState:\tZ"
_KILLED = 1 << (signal.SIGKILL - 1)
# PF_EXITING of the kernel, and the place of the flags.
_EXITING, _FLAGS = 0x4, 6
_MOMENT_SECONDS = 0.005
_MEMORY_HINT = "Raise `resources.memory_mb` in the job file, or let the step keep less."


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """A process at one moment: its threads, and the MiB of memory that it could share, which no limit counts.

    `beyond_mb` is what it has of private memory beyond its limit: the kernel counts what may be written, and
    memory that only was, or only will be, passes it by. It is `headless` when its leading thread has ended and
    another one works on: its memory cannot be told then.
    """

    threads: int = 0
    shared_mb: int = 0
    beyond_mb: int = 0
    headless: bool = False


def pid_of(pidfd: int) -> int:
    """The number of a process, in the caller's view; 0 where it has none any more, or the descriptor is another
    kind."""
    return _number(_content(f"/proc/self/fdinfo/{pidfd}"), b"Pid:")


def standing_of(pid: int) -> Standing:
    """How a process stands."""
    content = _content(f"/proc/{pid}/status")
    threads = _number(content, b"Threads:")
    return Standing(
        threads=threads,
        shared_mb=_number(content, b"RssShmem:") // _KIB_PER_MIB,
        beyond_mb=_beyond_limit(pid, _number(content, b"RssAnon:") + _number(content, b"VmSwap:")),
        # One that waits to be reaped has no other thread; one that is ending may have, for a moment.
        headless=_ENDED in content and threads > 1 and _works_on(pid),
    )


def written_bytes(pid: int) -> int:
    """Bytes that a process has written to disks so far, what it has written twice counted twice."""
    return _number(_content(f"/proc/{pid}/io"), b"write_bytes:")


def breach_of(order: StepOrder, standing: Standing) -> RunFailure | None:
    """The bound that a step has met by its threads, its shared memory, or private memory that the limits of the
    kernel do not see. Or that they cannot be told any more."""
    most = max(_LEAST_THREADS, _PER_CORE * (os.cpu_count() or 1))
    if standing.threads > most:
        return RunFailure(
            kind=FailureKind.MEMORY,
            message=f"the step had more than {most} threads and was ended",
            hint="Let it start fewer threads: more than the machine has cores make nothing faster.",
        )
    if standing.headless:
        return RunFailure(
            kind=FailureKind.CRASH,
            message="the step ended its main thread while others worked on, so it was ended",
            hint="A script must not end its main thread by itself: let it wait there for its other threads.",
        )
    if standing.shared_mb > order.memory_mb:
        return RunFailure(
            kind=FailureKind.MEMORY,
            message=f"the step had {standing.shared_mb} MiB of shared memory and was ended "
            f"(it may have {order.memory_mb} MiB)",
            hint=_MEMORY_HINT,
        )
    if standing.beyond_mb:
        return RunFailure(
            kind=FailureKind.MEMORY,
            message=f"the step took more memory than the {order.memory_mb} MiB that it may have, and was ended",
            hint=_MEMORY_HINT,
        )
    return None


def _beyond_limit(pid: int, private_kib: int) -> int:
    """MiB of private memory above the limit of a process on what it may write; 0 without one."""
    limit = _number(_content(f"/proc/{pid}/limits"), b"Max data size")
    return max(private_kib - _UNCOUNTED_KIB - limit // _BYTES_PER_KIB, 0) // _KIB_PER_MIB if limit else 0


def _works_on(pid: int) -> bool:
    """Whether a thread of a process is at work, and still is a moment later: one that has just taken notice that
    it was killed shows nothing of it until it begins to end."""
    with suppress(OSError):
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208 - names are all that is needed
        working = [thread for thread in threads if _is_at_work(f"/proc/{pid}/task/{thread}")]
        if working:
            time.sleep(_MOMENT_SECONDS)
            return any(_is_at_work(f"/proc/{pid}/task/{thread}") for thread in working)
    return False


def _is_at_work(thread: str) -> bool:
    """Whether a thread has not been killed, and does not end. In this order: it ends after it has taken notice."""
    pending = _number(_content(f"{thread}/status"), b"SigPnd:", base=16)
    # https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: the flags are the seventh behind the name.
    behind_name = _content(f"{thread}/stat").rpartition(b")")[2].split()
    return not pending & _KILLED and len(behind_name) > _FLAGS and not int(behind_name[_FLAGS]) & _EXITING


def _content(path: str) -> bytes:
    """What a file of the kernel says; nothing where it cannot be read."""
    with suppress(OSError):
        return Path(path).read_bytes()
    return b""


def _number(content: bytes, key: bytes, *, base: int = 10) -> int:
    """The number behind a key; 0 where there is none."""
    found = re.search(rb"^%s[\t ]+([0-9a-f]+)" % key, content, re.MULTILINE)
    return int(found[1], base) if found else 0
