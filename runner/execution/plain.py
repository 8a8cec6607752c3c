"""Plain children: a fresh Python for each step, where there is no sandbox because the system is not Linux.

A time-out, a bound on CPU time and on one file's size, a process group that is ended as a whole, an environment
without secrets: no more than that. A script can do there what the user of the service can.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress

from runner.children import end_child
from runner.core.run import FailureKind, RunFailure
from runner.errors import ExecutionError, RunnerError, SandboxError, ThreadError
from runner.execution.child import Child
from runner.execution.orders import StepOrder, StepOutcome
from runner.execution.pipes import open_pipe
from runner.execution.protocol import STATUS
from runner.execution.sandbox import NO_LEVEL, SandboxMode
from runner.execution.zygote import ENVIRONMENT
from runner.interpreter import python_command
from runner.threads import begin

log = logging.getLogger(__name__)

# ru_maxrss is in bytes there.
_RSS_UNITS = 1024 if sys.platform == "darwin" else 1


class PlainChildren:
    """Gives a plain process to each step. Thread-safe.

    Args:
        sandbox_mode: `best-effort` or `off`; `strict` cannot be had.
    """

    def __init__(self, *, sandbox_mode: str) -> None:
        self._mode = SandboxMode(sandbox_mode)
        self._lock = threading.Lock()
        self._children: set[_PlainChild] = set()
        self._closed = False
        self.level = NO_LEVEL
        self.missing = (f"no sandbox: {sys.platform} has none, steps run as plain processes with a time-out",)

    def launch(self) -> None:
        """Nothing is kept ready."""

    def start(self) -> None:
        """Take steps.

        Raises:
            SandboxError: `strict` is asked for.
        """
        if self._mode is SandboxMode.STRICT:
            raise SandboxError(
                f"SANDBOX=strict needs Linux, and this is {sys.platform}",
                hint="Run the service on Linux; or set SANDBOX=best-effort to run scripts that you trust.",
            )
        with self._lock:
            self._closed = False

    def close(self) -> None:
        """End every child. A step under way fails; steps asked for later fail too."""
        with self._lock:
            self._closed = True
            for child in self._children:
                child.kill()

    def run_step(self, order: StepOrder, *, cancelled: threading.Event) -> StepOutcome:
        """Carry out one step in a process of its own. Whatever goes wrong is in the outcome, never raised."""
        try:
            child = self._spawn()
        except RunnerError as error:
            hint, message = error.hint, error.message
        except OSError as error:
            log.exception("A step could not be run")
            hint, message = "Look at the service's log.", f"a step could not be run: {error}"
        else:
            try:
                return child.run(order, cancelled=cancelled)
            finally:
                with self._lock:
                    self._children.discard(child)
        return StepOutcome(failure=RunFailure(kind=FailureKind.INTERNAL, message=message, hint=hint))

    def _spawn(self) -> "_PlainChild":
        with self._lock:
            if self._closed:
                raise ExecutionError("no more steps are taken", hint="Start the service again.")
            child = _spawn()
            self._children.add(child)
            return child


class _PlainChild(Child):
    """A child that is known by its process group. A pipe that closes as it is reaped stands for its pidfd."""

    def __init__(self, process: int, *, data: socket.socket, life: int, status: int, output: int) -> None:
        super().__init__(data=data, pidfd=life, status=status, output=output)
        self._process = process

    def kill(self) -> None:
        """End it, and all that stayed in its group."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process, signal.SIGKILL)


def _spawn() -> _PlainChild:
    """Start a process that takes its order from standard input and answers on standard output.

    Raises:
        OSError: there is no room for another process, or no descriptor left.
        ThreadError: there is no thread to see its end.
    """
    with ExitStack() as ours, ExitStack() as theirs, ExitStack() as reaping:
        data, other = socket.socketpair()
        ours.callback(data.close)
        theirs.callback(other.close)
        output_reader, output = open_pipe(ours, theirs)
        life_reader, life = open_pipe(ours, reaping)
        status_reader, status = open_pipe(ours, reaping)
        os.set_blocking(output, False)
        process = subprocess.Popen(
            python_command("runner.execution.plain_main"),
            env=ENVIRONMENT,
            cwd="/",
            stdin=other.fileno(),
            stdout=other.fileno(),
            stderr=output,
            start_new_session=True,
        )
        try:
            begin(threading.Thread(target=_reap, args=(process, life, status), name="reaper", daemon=True))
        except ThreadError:
            end_child(process, "A child")
            raise
        # From here on they are the thread's, and the child's.
        reaping.pop_all()
        ours.pop_all()
        return _PlainChild(process.pid, data=data, life=life_reader, status=status_reader, output=output_reader)


def _reap(process: "subprocess.Popen[bytes]", life: int, status: int) -> None:
    """Wait for the end of a child, end what is left of its group, and tell how it ended."""
    _, word, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(word)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(BrokenPipeError):
        os.write(status, STATUS.pack(word, usage.ru_maxrss // _RSS_UNITS, usage.ru_utime + usage.ru_stime))
    os.close(status)
    os.close(life)
