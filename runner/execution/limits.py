"""What a child gives up before it runs a step: privileges, and the right to take more than its share."""

import ctypes
import os
import resource
import select
import signal
import struct
from contextlib import suppress

from runner.execution.syscalls import call, prctl

MIB = 1 << 20
LARGEST_FILE = 4 << 30
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CAPABILITY_VERSION_3 = 0x20080522
# The one capability that is kept where the service runs as root: to read an input that another user owns. Which
# files can be read at all is Landlock's to say.
_CAP_DAC_READ_SEARCH = 1 << 2
OPEN_FILES = 256
# DuckDB has all CSVs of a source open at once, for each place where a query names it.
_READERS_OF_AN_INPUT = 16
# A timer of the kernel takes one of the signals that may wait for all processes of a user.
_WAITING_SIGNALS = 512
_TASKS = 4096
_STACK = 8 * MIB
# Address space that libraries reserve and never touch: allocator arenas, a guard page per thread. It is no memory.
_RESERVED = 1024 * MIB


def die_with(process: int) -> None:
    """Be killed when the parent, a single-threaded process, ends; `process` is a pidfd of it.

    Exits at once where it has ended already: by its number, a child in a pid namespace could not tell.
    """
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    poll = select.poll()
    poll.register(process, select.POLLIN)
    if poll.poll(0):
        os._exit(0)


def die_first() -> None:
    """Where the machine runs out of memory, a step is ended before the service is."""
    with suppress(OSError):
        score = os.open("/proc/self/oom_score_adj", os.O_WRONLY)
        try:
            os.write(score, b"500")
        finally:
            os.close(score)


def give_up_privileges() -> None:
    """no_new_privs, and no capability but, for root, reading. Needs no privilege itself.

    Whoever is not root has capabilities too where the zygote has made a user namespace.
    """
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    kept = _CAP_DAC_READ_SEARCH if os.geteuid() == 0 else 0
    # effective, permitted, inheritable of the first 32 capabilities, then of the others.
    wanted = struct.pack("=6I", kept, kept, 0, 0, 0, 0)
    try:
        call("capset", _pointer(header), _pointer(wanted))
    except PermissionError:
        # A root that has been stripped of that capability already, as in some containers: then of all.
        call("capset", _pointer(header), _pointer(bytes(24)))


def limit_early(*, fork_is_refused: bool) -> None:
    """The limits that are the same for every step.

    NPROC counts all tasks of the user, not only the child's: it is set, high, only where nothing else stops a
    fork bomb. Threads are bounded by memory.
    """
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_FSIZE, LARGEST_FILE)
    _set(resource.RLIMIT_SIGPENDING, _WAITING_SIGNALS)
    if not fork_is_refused:
        _set(resource.RLIMIT_NPROC, _TASKS)


def limit_late(*, memory_mb: int, cpu_seconds: int | None, open_inputs: int) -> None:
    """The limits of this step, above what the child has mapped so far.

    NOFILE leaves room for the inputs that are open at a time, which may be thousands: never for those of a script,
    which could have as many pipes in their place, whose contents no limit counts. DATA counts what can be written
    and is private: heap, arrays, stacks. AS counts everything, shared memory too, and needs room for address space
    that is reserved and never used.
    """
    mapped, data = _mapped()
    stacks = 2 * (os.cpu_count() or 1) * _STACK
    _set(resource.RLIMIT_DATA, data + memory_mb * MIB + stacks)
    _set(resource.RLIMIT_AS, mapped + memory_mb * MIB + stacks + _RESERVED)
    _set(resource.RLIMIT_NOFILE, OPEN_FILES + _READERS_OF_AN_INPUT * open_inputs)
    if cpu_seconds is not None:
        # SIGKILL at once, without SIGXCPU before it: the first process of a pid namespace would not die of that.
        _set(resource.RLIMIT_CPU, cpu_seconds)


def _mapped() -> tuple[int, int]:
    """Bytes of address space, and of private writable memory, that this process has now."""
    # Not by `open`: its layers would be the first things of their kind that a child touches.
    statm = os.open("/proc/self/statm", os.O_RDONLY)
    try:
        pages = os.read(statm, 200).split()
    finally:
        os.close(statm)
    size = os.sysconf("SC_PAGE_SIZE")
    return int(pages[0]) * size, int(pages[5]) * size


def _set(kind: int, limit: int) -> None:
    """Lower a limit for good; one that is lower already stays."""
    _, ceiling = resource.getrlimit(kind)
    if ceiling != resource.RLIM_INFINITY:
        limit = min(limit, ceiling)
    resource.setrlimit(kind, (limit, limit))


def _pointer(data: bytes) -> ctypes.c_void_p:
    return ctypes.cast(ctypes.create_string_buffer(data, len(data)), ctypes.c_void_p)


def open_files_limit() -> int:
    """One more than the largest descriptor there can be."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 20 if soft == resource.RLIM_INFINITY else soft
