"""The room on disk that a step takes: its folder as a whole, looked at from outside while it runs.

RLIMIT_FSIZE bounds one file in the kernel; this bounds all of them, and keeps the disk from filling up.
"""

import errno
import itertools
import os
import stat
import time
from collections.abc import Callable, Container, Iterator
from contextlib import suppress

from runner.core.report import size_words
from runner.core.run import FailureKind, RunFailure
from runner.execution.orders import StepOrder
from runner.execution.processes import pid_of, written_bytes

MOST_FILES = 50_000
_LEAST_BOUND = 4 << 30
_PER_MEMORY = 4
# A look at the room that is left costs nothing; one at all files does.
_LOOK_SECONDS, _SCAN_SECONDS = 0.1, 0.5
# A look at many files may take this part of the time.
_SCAN_SHARE = 20
# The disk is never filled further than this by steps: the records of the service need room too.
_RESERVE, _RESERVE_SHARE = 1 << 30, 20
# What a run may take from a disk that was nearly full before it.
_LITTLE = 64 << 20
_BLOCK = 512
_SMALLER = "let the step keep less on disk"


class DiskWatch:
    """Looks at the disk while a step runs. `failure` says which bound was met; None as long as none was.

    The bound is four times the memory of the step, at least 4 GiB; inputs that were there before do not count.

    Args:
        order: the step.
        pidfd: of the child, whose open files may have no name any more.
        clock: seconds that never go back.
    """

    def __init__(self, order: StepOrder, *, pidfd: int = -1, clock: Callable[[], float] = time.monotonic) -> None:
        self.failure: RunFailure | None = None
        self._folder = order.run_dir
        self._bound = max(_LEAST_BOUND, _PER_MEMORY * order.memory_mb << 20)
        self._inputs = [path for source in order.inputs for path in source.paths]
        self._pidfd = pidfd
        self._clock = clock
        self._next_look, self._next_scan = clock() + _LOOK_SECONDS, clock() + _SCAN_SECONDS
        self._free = _free_space(self._folder)[0]

    def met(self) -> bool:
        """Whether a bound was met. Looks only now and then, so it can be asked often."""
        now = self._clock()
        if self.failure is not None or now < self._next_look:
            return self.failure is not None
        self._next_look = now + _LOOK_SECONDS
        self.failure = self._short_of_space()
        if self.failure is None and now >= self._next_scan:
            self.failure = self._too_much()
            took = self._clock() - now
            self._next_scan = now + max(_SCAN_SECONDS, _SCAN_SHARE * took)
        return self.failure is not None

    def _short_of_space(self) -> RunFailure | None:
        free, reserve = _free_space(self._folder)
        if free >= reserve or self._free - free < _LITTLE:
            return None
        return _failure(
            f"the disk has only {size_words(free)} left, so the step was ended",
            f"Free some space where the state of the service lies, or {_SMALLER}.",
        )

    def _too_much(self) -> RunFailure | None:
        before = sum(_size(path) for path in self._inputs if path.startswith(f"{self._folder}/"))
        taken, files = -before, 0
        try:
            for size in self._sizes():
                taken += size
                files += 1
                if taken > self._bound or files > MOST_FILES:
                    break
        except _TooDeepError:
            return _failure(
                "the step made folders that are nested too deep and was ended",
                "Let it use fewer levels of folders.",
            )
        except _ClosedError:
            return _failure(
                "the step made a folder that cannot be looked into and was ended",
                "Let it leave the permissions of its folders as they are.",
            )
        if files > MOST_FILES:
            return _failure(
                f"the step made more than {MOST_FILES:,} files and was ended", "Let it make fewer files."
            )
        if taken > self._bound:
            return _failure(
                f"the step has taken more than {size_words(self._bound)} of disk in its folder and was ended",
                f"Raise `resources.memory_mb` in the job file, four times of which is the bound, or {_SMALLER}.",
            )
        return None

    def _sizes(self) -> Iterator[int]:
        counted = 0
        pid = pid_of(self._pidfd)
        opened: set[int] = set()
        nameless = _nameless_sizes(pid, self._folder, opened) if pid else ()
        for size in itertools.chain(_sizes_below(self._folder), nameless):
            counted += size
            yield size
        mapped = sum(_mapped_sizes(pid, self._folder, opened)) if pid else 0
        if mapped:
            # A file may be larger than what is mapped of it, and nobody tells its size: it is what was written.
            yield max(mapped, written_bytes(pid) - counted)


class _TooDeepError(Exception):
    """A path is longer than the system takes."""


class _ClosedError(Exception):
    """A folder lets nobody look."""


def _sizes_below(top: str) -> Iterator[int]:
    """Bytes on disk of each name below `top`; a file that has several takes them at the first. Links are counted,
    not followed; what vanishes is not. What cannot be looked into, as without a descriptor, is left to the next
    look."""
    shared: set[int] = set()
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise _TooDeepError from error
            if error.errno == errno.EACCES:
                raise _ClosedError from error
            continue
        try:
            with suppress(OSError), os.scandir(descriptor) as entries:
                for entry in entries:
                    with suppress(OSError):
                        found = entry.stat(follow_symlinks=False)
                        if stat.S_ISDIR(found.st_mode):
                            waiting.append(f"{folder}/{entry.name}")
                        elif found.st_nlink > 1:
                            if found.st_ino in shared:
                                # No room, but a name more to look at, and to remove in the end.
                                yield 0
                                continue
                            shared.add(found.st_ino)
                        yield found.st_blocks * _BLOCK
        finally:
            os.close(descriptor)


def _nameless_sizes(pid: int, folder: str, seen: set[int]) -> Iterator[int]:
    """Bytes on disk of the files that a process holds open without a name, on the disk of `folder`; their inodes
    are noted in `seen`. A thread may have a table of its own."""
    with suppress(OSError):
        device = os.stat(folder).st_dev  # noqa: PTH116 - `folder` is text
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - names are all that is needed
            with suppress(OSError), os.scandir(f"/proc/{pid}/task/{thread}/fd") as entries:
                for entry in entries:
                    with suppress(OSError):
                        found = entry.stat()
                        if found.st_nlink == 0 and found.st_dev == device and found.st_ino not in seen:
                            seen.add(found.st_ino)
                            yield found.st_blocks * _BLOCK


def _mapped_sizes(pid: int, folder: str, opened: Container[int]) -> Iterator[int]:
    """Bytes that are mapped into the memory of a process of the files below `folder` that have no name any more,
    and are none of the inodes in `opened`."""
    real = os.path.realpath(folder)
    # A name may hold any other end of a line.
    with (
        suppress(OSError),
        open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace", newline="\n") as lines,  # noqa: PTH123
    ):
        for line in lines:
            place, _, _, _, inode, name = (*line.rstrip("\n").split(maxsplit=5), "")[:6]
            if name.startswith(f"{real}/") and name.endswith(" (deleted)") and int(inode) not in opened:
                begin, _, end = place.partition("-")
                yield int(end, 16) - int(begin, 16)


def _free_space(folder: str) -> tuple[int, int]:
    """Bytes that are free for this user, and bytes that are to stay free; both 0 where it cannot be told."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return 0, 0
    reserve = min(_RESERVE, found.f_blocks * found.f_frsize // _RESERVE_SHARE)
    return found.f_bavail * found.f_frsize, reserve


def _size(path: str) -> int:
    try:
        return os.lstat(path).st_blocks * _BLOCK
    except OSError:
        return 0


def _failure(message: str, hint: str) -> RunFailure:
    return RunFailure(kind=FailureKind.DISK, message=message, hint=hint)
