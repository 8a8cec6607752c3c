"""The zygote, as the service sees it: started, asked for children, started again where it has died."""

import json
import logging
import os
import socket
import subprocess
import threading
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from runner.children import end_child
from runner.core.run import FailureKind, RunFailure
from runner.errors import ExecutionError, RunnerError, SandboxError
from runner.execution.child import Child
from runner.execution.orders import FrameError, FrameReader, Hello, StepOrder, StepOutcome, decode
from runner.execution.protocol import CHILD_REQUEST, NO_CHILD, TAKE_CHILD, ZygoteConfig
from runner.execution.sandbox import NO_LEVEL, SandboxMode
from runner.interpreter import python_command
from runner.scratch import open_scratch

log = logging.getLogger(__name__)

# Seconds; on a small board, or from a cold disk, the libraries take a while.
_START_SECONDS = 60.0
_ANSWER_SECONDS = 10.0
_TURN_SECONDS = 0.25
_STOP_SECONDS = 5.0
_LARGEST_MESSAGE = 1 << 16
_PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0)
# What a bare chroot, or a root folder put together by hand, may lack.
_NEEDED = (
    ("/proc/self", "Mount it: mount -t proc proc /proc, before a chroot in the new root folder."),
    (
        os.devnull,
        "Let the chroot or container have the usual devices in /dev, such as null, zero and urandom.",
    ),
)

# Nothing of the service's own environment: no secret, no search path.
ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "random",
    # Each of these would leave a second thread, which fork does not carry over.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    # What DuckDB gives back is unmapped: kept for later, it would count against the memory of a step.
    "DUCKDB_JE_MALLOC_CONF": "retain:false",
    # Address space is bounded: pools that reserve much and use little of it do not fit.
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "MALLOC_ARENA_MAX": "2",
}


class _NoChildError(ExecutionError):
    """The zygote lives, but could not fork."""


class Zygote:
    """Gives a sandboxed child to each step. Thread-safe.

    Args:
        sandbox_mode: `strict`, `best-effort` or `off`.
        waiting: how many children are kept forked ahead.
        read_roots: folders that every step may read, beside Python's libraries and its own input.
    """

    def __init__(self, *, sandbox_mode: str, waiting: int = 2, read_roots: tuple[str, ...] = ()) -> None:
        self._mode = SandboxMode(sandbox_mode)
        self._waiting = waiting
        self._read_roots = read_roots
        self._lock = threading.Lock()
        self._process: _Process | None = None
        self._launched: _Process | None = None
        self._closed = False
        self.level = NO_LEVEL
        self.missing: tuple[str, ...] = ()

    def launch(self) -> None:
        """Begin to start, without waiting: `start` waits for what is launched.

        Raises:
            ExecutionError: there can be no other process.
        """
        with self._lock:
            self._launched = self._launched or self._new_process()

    def start(self) -> None:
        """Start the zygote and learn what sandbox it can give.

        Raises:
            SandboxError: `strict`, and Landlock or seccomp is missing.
            ExecutionError: it does not come up within 60 s.
        """
        with self._lock:
            self._closed = False
            self._start()

    def close(self) -> None:
        """End the zygote and every child. A step under way fails; steps asked for later fail too."""
        with self._lock:
            self._closed = True
            for process in (self._process, self._launched):
                if process is not None:
                    process.close()
            self._process = self._launched = None

    @property
    def pid(self) -> int | None:
        """The process id of the zygote, None while there is none."""
        process = self._process
        return None if process is None else process.zygote

    def run_step(self, order: StepOrder, *, cancelled: threading.Event) -> StepOutcome:
        """Carry out one step in a child of its own. Whatever goes wrong is in the outcome, never raised."""
        try:
            child = self._take_child(cancelled, end=time.monotonic() + order.timeout_seconds)
            if child is None:
                failure = RunFailure(kind=FailureKind.CANCELLED, message="the run was cancelled")
                return StepOutcome(failure=failure)
            return child.run(order, cancelled=cancelled)
        except RunnerError as error:
            hint, message = error.hint, error.message
        except (OSError, FrameError) as error:
            log.exception("A step could not be run")
            hint, message = "Look at the service's log.", f"a step could not be run: {error}"
        return StepOutcome(failure=RunFailure(kind=FailureKind.INTERNAL, message=message, hint=hint))

    def _take_child(self, cancelled: threading.Event, *, end: float) -> Child | None:
        """A child from the zygote, which is started again where it has died; None when cancelled.

        Raises:
            RunnerError: there is none to be had, or not until `end`.
        """
        for attempt, pause in enumerate(_PAUSES, start=1):
            if cancelled.wait(pause) or not self._take_turn(cancelled, end):
                return None
            try:
                if self._closed:
                    raise ExecutionError("the zygote is closed", hint="Start the service again.")
                try:
                    if self._process is None:
                        log.warning("The zygote is started again")
                        self._start()
                    if self._process is not None:
                        return self._process.ask_for_child()
                except _NoChildError as error:
                    # It lives and has children at work; there may be room for another one in a moment.
                    log.warning("The zygote gave no child: %s", error)
                    if attempt == len(_PAUSES):
                        raise
                except (ExecutionError, OSError) as error:
                    log.error("The zygote gave no child: %s", error)
                    self._drop()
                    if attempt == len(_PAUSES):
                        raise
            finally:
                self._lock.release()
        raise ExecutionError("the zygote gives no children", hint="Look at the service's log.")

    def _take_turn(self, cancelled: threading.Event, end: float) -> bool:
        """Hold the lock, which somebody may hold who waits for a zygote that is silent; False when cancelled.

        Raises:
            ExecutionError: it is not to be had until `end`.
        """
        while not self._lock.acquire(timeout=_TURN_SECONDS):
            if cancelled.is_set():
                return False
            if time.monotonic() > end:
                raise ExecutionError("the zygote is silent", hint="Look at the service's log.")
        return True

    def _new_process(self) -> "_Process":
        for place, remedy in _NEEDED:
            if not Path(place).exists():
                raise ExecutionError(f"the zygote cannot be started: there is no {place} here", hint=remedy)
        try:
            return _Process(mode=self._mode, waiting=self._waiting, read_roots=self._read_roots)
        except OSError as error:
            raise ExecutionError(
                f"the zygote cannot be started: {error}",
                hint="Let this user have more processes (ulimit -u) and files (ulimit -n), or free some memory.",
            ) from error

    def _start(self) -> None:
        process, self._launched = self._launched or self._new_process(), None
        try:
            hello = process.hello()
        except BaseException:
            process.close()
            raise
        if hello.error:
            process.close()
            kind = SandboxError if hello.hint else ExecutionError
            raise kind(hello.error, hint=hello.hint)
        self._process = process
        self.level, self.missing = hello.level, hello.missing

    def _drop(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None


class _Process:
    """One zygote process and the socket to it.

    Raises:
        OSError: there is no room for another process, or no descriptor left.
    """

    def __init__(self, *, mode: SandboxMode, waiting: int, read_roots: tuple[str, ...]) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        config = ZygoteConfig(
            control_fd=theirs.fileno(), sandbox_mode=mode, waiting=waiting, read_roots=list(read_roots)
        )
        self.zygote = 0
        with theirs, ExitStack() as opened:
            opened.callback(self._control.close)
            self._complaints = open_scratch()
            opened.callback(self._complaints.close)
            self._process = subprocess.Popen(
                python_command("runner.execution.zygote_boot", json.dumps(asdict(config))),
                env=ENVIRONMENT,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._complaints,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
            opened.pop_all()

    def hello(self) -> Hello:
        """What the zygote says when it is up.

        Raises:
            ExecutionError: it ends, or stays silent.
        """
        self._control.settimeout(_START_SECONDS)
        reader = FrameReader()
        try:
            reader.feed(self._control.recv(_LARGEST_MESSAGE))
            body = reader.next_frame()
            if body is None:
                raise FrameError("it ended while it started")
            hello = decode(body, Hello)
        except (OSError, FrameError) as error:
            raise ExecutionError(
                f"the zygote did not come up: {error}{self._last_words()}",
                hint="Can this Python import numpy, pandas, pyarrow and duckdb? Is there memory for it, and "
                "may this user have more processes (ulimit -u)?",
            ) from error
        # Not that of the process started here, which only stands by where there are namespaces.
        self.zygote = hello.zygote
        return hello

    def ask_for_child(self) -> Child:
        """One child.

        Raises:
            _NoChildError: it cannot fork one.
            OSError: the zygote is gone or silent.
        """
        self._control.settimeout(_ANSWER_SECONDS)
        self._control.send(CHILD_REQUEST)
        message, descriptors, _, _ = socket.recv_fds(self._control, _LARGEST_MESSAGE, 4)
        if message == TAKE_CHILD and len(descriptors) == 4:
            data, pidfd, status, output = descriptors
            return Child(data=socket.socket(fileno=data), pidfd=pidfd, status=status, output=output)
        for descriptor in descriptors:
            os.close(descriptor)
        if message == TAKE_CHILD:
            # The child ends by itself: nobody holds the other end of its socket.
            raise _NoChildError(
                "the service has no descriptor left for a child", hint="Raise its limit (ulimit -n)."
            )
        if message.startswith(NO_CHILD):
            raise _NoChildError(
                f"no child could be forked: {message.removeprefix(NO_CHILD).decode(errors='replace')}",
                hint="The machine has no room for another process.",
            )
        raise ConnectionError(f"the zygote is gone{self._last_words()}")

    def close(self) -> None:
        """End it: its end of the socket tells it to kill its children and go."""
        self._control.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            end_child(self._process, "The zygote")
        self._complaints.close()

    def _last_words(self) -> str:
        """The last line of what it wrote to standard error."""
        self._complaints.seek(0)
        lines = self._complaints.read()[-4000:].decode(errors="replace").strip().splitlines()
        return f" ({lines[-1]})" if lines else ""
