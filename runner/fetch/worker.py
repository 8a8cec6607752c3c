"""The fetch worker, as the service sees it: a process of its own for one source.

Drivers of databases and object stores are large, and wait in C, where no thread can be interrupted: a process can
be killed. Its order holds secrets and goes over standard input, never into its arguments or its environment. That
input stays open: its end tells the worker that the service is gone.
"""

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from runner.children import end_child
from runner.errors import FetchError
from runner.fetch.deadline import DeadlinePassedError, FetchCancelledError
from runner.fetch.worker_orders import FaultKind, WorkerFault, WorkerOrder, WorkerOutcome, decode, encode
from runner.interpreter import python_command

_POLL_SECONDS = 0.1
_LARGEST_ANSWER = 8 << 20
_LAST_WORDS = 4096
_PIECE = 1 << 16
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    # One row after the other needs one thread; on a large machine, more would reserve much of the memory's bound.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
    # Credentials that no job has asked for: those lying in the home folder.
    "PGPASSFILE": os.devnull,
    "PGSERVICEFILE": os.devnull,
}


def run_worker(
    order: WorkerOrder,
    *,
    environ: Mapping[str, str],
    seconds: float,
    cancelled: threading.Event,
    what: str = "the data",
    hint: str = "",
) -> WorkerOutcome:
    """Carry out one order in a new process, which has ended when this returns or raises, or is held by the kernel.

    Args:
        environ: what the process gets beside the least that it needs.
        seconds: how long it may take in all, its start included.
        what: what a message calls that which is read.
        hint: what to do where it takes too long.

    Raises:
        FetchError: it was not done in time; or the run was cancelled first, and the process is gone within a
            quarter of a second. Not masked yet.
    """
    try:
        process = _start(environ)
    except OSError as error:
        message = f"no process could be started: {error.strerror}"
        return WorkerOutcome(fault=WorkerFault(kind=FaultKind.INTERNAL, message=message))
    try:
        talk = _Talk(process=process, unsent=encode(order))
        talk.hold(end=time.monotonic() + seconds, cancelled=cancelled)
    except FetchCancelledError:
        raise FetchError(f"the run was cancelled while {what} was read") from None
    except DeadlinePassedError:
        raise FetchError(f"{what} was not read within {seconds:g} s", hint=hint) from None
    finally:
        # Not reaped yet, so the number is no other process's; whatever it has started goes with it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        status = end_child(process, "A fetch worker")
    return _outcome(talk, status)


def _start(environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        python_command("runner.fetch.worker_main"),
        env={**_ENVIRONMENT, **environ},
        cwd="/",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


@dataclass(kw_only=True, slots=True)
class _Talk:
    """The order on its way, and what came back so far."""

    process: "subprocess.Popen[bytes]"
    unsent: bytes
    answer: bytearray = field(default_factory=bytearray)
    words: bytearray = field(default_factory=bytearray)

    def hold(self, *, end: float, cancelled: threading.Event) -> None:
        """Send the order and read until the process has closed both its outputs, or says too much."""
        with selectors.DefaultSelector() as selector:
            for pipe, events in (
                (self.process.stdin, selectors.EVENT_WRITE),
                (self.process.stdout, selectors.EVENT_READ),
                (self.process.stderr, selectors.EVENT_READ),
            ):
                if pipe is not None:
                    os.set_blocking(pipe.fileno(), False)
                    selector.register(pipe.fileno(), events, pipe)
            while any(key.events == selectors.EVENT_READ for key in selector.get_map().values()):
                if cancelled.is_set():
                    raise FetchCancelledError
                remaining = end - time.monotonic()
                if remaining <= 0:
                    raise DeadlinePassedError
                for key, _ in selector.select(min(_POLL_SECONDS, remaining)):
                    goes_on = self._send(key.fd) if key.fileobj == self._stdin else self._read(key.fd)
                    if not goes_on:
                        selector.unregister(key.fileobj)
                if len(self.answer) > _LARGEST_ANSWER:
                    return

    @property
    def _stdin(self) -> int:
        return -1 if self.process.stdin is None else self.process.stdin.fileno()

    @property
    def _stdout(self) -> int:
        return -1 if self.process.stdout is None else self.process.stdout.fileno()

    def _send(self, descriptor: int) -> bool:
        """Send the next piece; False when all is sent, or nobody listens."""
        try:
            self.unsent = self.unsent[os.write(descriptor, self.unsent[:_PIECE]) :]
        except BrokenPipeError:
            return False
        return bool(self.unsent)

    def _read(self, descriptor: int) -> bool:
        """Take the next piece; False at the end."""
        piece = os.read(descriptor, _PIECE)
        if descriptor == self._stdout:
            self.answer += piece
        else:
            self.words += piece
            del self.words[:-_LAST_WORDS]
        return bool(piece)


def _outcome(talk: _Talk, status: int | None) -> WorkerOutcome:
    """What the process answered; how it ended where that is nothing of use."""
    with suppress(ValueError):
        return decode(bytes(talk.answer), WorkerOutcome)
    lines = talk.words.decode("utf-8", "replace").strip().splitlines()
    # The first line may have been cut, in the middle of a secret: it is not used.
    last = lines[-1] if lines and (len(lines) > 1 or len(talk.words) < _LAST_WORDS) else ""
    message = f"the fetch worker {_ending(status)}" + (f": {last}" if last else "")
    return WorkerOutcome(fault=WorkerFault(kind=FaultKind.INTERNAL, message=message))


def _ending(status: int | None) -> str:
    if status is None:
        return "does not end, though it was killed"
    return f"ended with signal {-status}" if status < 0 else f"ended with status {status}"
