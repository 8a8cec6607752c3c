"""The zygote: a process with the libraries loaded and nothing else, that forks a child for each step.

It is started by `runner.execution.zygote` with a clean environment and speaks with the service over one socket
(SOCK_SEQPACKET): first it sends a `Hello`, then it answers each request `child` with a child's descriptors: its
socket, a pidfd, the pipe on which its end is told, the pipe of what it prints. End of file on that socket means
that the service is gone: everything ends. It has one thread, always: only so is fork safe.
"""

import fcntl
import gc
import os
import select
import selectors
import signal
import socket
from collections import deque
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa

import runner
from runner.execution.child_main import Descriptors, run_child
from runner.execution.hang_ups import leave_hang_ups
from runner.execution.immortal import make_immortal
from runner.execution.namespaces import Namespaces
from runner.execution.orders import OUTPUT_LIMIT, FrameError, FrameReader, Hello, decode, encode
from runner.execution.pipes import open_pipe
from runner.execution.protocol import CHILD_REQUEST, NO_CHILD, STATUS, TAKE_CHILD, ZygoteConfig
from runner.execution.sandbox import Sandbox, SandboxMode, library_roots
from runner.execution.steps.database import open_database
from runner.execution.steps.rehearsal import rehearse

_FIRST_CHILD_SECONDS = 40.0
# A fork at the moment of a hand-over would take the processor, and locks on the memory that is shared, from the
# child that begins its work: those that wait are made up for when it has ended, or has taken longer.
_REFILL_SECONDS = 0.02
_SEED_BYTES = 32


@dataclass(kw_only=True, slots=True, eq=False)
class _Born:
    """A child as the zygote holds it. `handed_over` children belong to a run; the others wait for one."""

    pid: int
    pidfd: int
    status: int
    data: socket.socket | None
    status_reader: int = -1
    output_reader: int = -1

    def descriptors(self) -> list[int]:
        """What is handed over, in the order of the protocol."""
        data = -1 if self.data is None else self.data.fileno()
        return [data, self.pidfd, self.status_reader, self.output_reader]

    def let_go(self) -> None:
        """Close what the service has now, or nobody needs any more."""
        if self.data is not None:
            self.data.close()
            self.data = None
            os.close(self.status_reader)
            os.close(self.output_reader)


class _Nursery:
    """The children, waiting and at work, and the loop that serves the service."""

    def __init__(
        self,
        control: socket.socket,
        config: ZygoteConfig,
        database: duckdb.DuckDBPyConnection,
        namespaces: Namespaces,
    ) -> None:
        self._control = control
        self._config = config
        self._own_pidfd = os.pidfd_open(os.getpid())
        self._database = database
        self._sandbox = Sandbox(
            mode=SandboxMode(config.sandbox_mode),
            read_roots=(*library_roots(duckdb, np, pd, pa, runner), *config.read_roots),
            namespaces=namespaces,
        )
        self._waiting: deque[_Born] = deque()
        self._is_full = False
        self._children: dict[int, _Born] = {}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)

    def run(self) -> None:
        """Serve until the service goes away."""
        hello = self._first_child()
        # /proc is the service's still, whatever namespaces this process is in.
        self._control.send(encode(replace(hello, zygote=int(Path("/proc/self").readlink().name))))
        if hello.error:
            return
        self._fill_up()
        while True:
            ready = [descriptor for descriptor, _ in self._poll.poll(self._patience())]
            ended = [descriptor for descriptor in ready if descriptor != self._control.fileno()]
            for descriptor in ended:
                self._reap(self._children[descriptor])
            if len(ended) < len(ready) and not self._answer():
                return
            if ended or not ready:
                self._fill_up()

    def end_all(self) -> None:
        """Kill and reap every child, without a word of how it ended: that was not its own doing."""
        for child in list(self._children.values()):
            _kill_session(child.pid)
            signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
        for child in list(self._children.values()):
            self._reap(child, telling=False)

    def _first_child(self) -> Hello:
        """What the first child says of itself; it stays to be used.

        One that is killed, as where memory is short for a moment, is followed by another; a silent one is not: the
        service waits no longer.
        """
        for is_last in (False, True):
            child = self._bear()
            self._waiting.append(child)
            try:
                return _peek_hello(child)
            except (FrameError, OSError) as error:
                fault = f"the first child did not come up: {error}"
                if is_last or isinstance(error, TimeoutError):
                    break
            signal.pidfd_send_signal(child.pidfd, signal.SIGKILL)
            self._reap(child)
        return Hello(error=fault)

    def _patience(self) -> float | None:
        """Milliseconds to wait for something to happen before children are forked ahead; None: for ever."""
        return 1000 * _REFILL_SECONDS if self._lacks_children and not self._is_full else None

    @property
    def _lacks_children(self) -> bool:
        return len(self._waiting) < self._config.waiting

    def _fill_up(self) -> None:
        self._is_full = False
        while self._lacks_children:
            try:
                self._waiting.append(self._bear())
            except OSError:
                # No room for another one until one ends; a request tries again, and tells.
                self._is_full = True
                return

    def _answer(self) -> bool:
        """Serve one request; False when the service is gone."""
        if self._control.recv(len(CHILD_REQUEST)) != CHILD_REQUEST:
            return False
        try:
            child = self._waiting.popleft() if self._waiting else self._bear()
        except OSError as error:
            self._control.send(NO_CHILD + str(error).encode()[:1000])
            return True
        socket.send_fds(self._control, [TAKE_CHILD], child.descriptors())
        child.let_go()
        return True

    def _bear(self) -> _Born:
        """Fork a child.

        Raises:
            OSError: there is no room for another process, or no descriptor left.
        """
        with ExitStack() as ours, ExitStack() as theirs:
            data, other = socket.socketpair()
            ours.callback(data.close)
            theirs.callback(other.close)
            status_reader, status = open_pipe(ours, ours)
            output_reader, output = open_pipe(ours, theirs)
            os.set_blocking(output, False)
            with suppress(OSError):
                # Room for all that is kept and the byte that says that more was printed, however late it is read.
                fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, 2 * OUTPUT_LIMIT)
            self._sandbox.before_fork()
            _seed_numpy()
            pid = os.fork()
            if pid == 0:
                run_child(
                    Descriptors(data=other.fileno(), output=output),
                    zygote=self._own_pidfd,
                    sandbox=self._sandbox,
                    database=self._database,
                )
            child = _Born(
                pid=pid,
                pidfd=_pidfd_of(pid),
                status=status,
                data=data,
                status_reader=status_reader,
                output_reader=output_reader,
            )
            self._children[child.pidfd] = child
            self._poll.register(child.pidfd, select.POLLIN)
            ours.pop_all()
            return child

    def _reap(self, child: _Born, *, telling: bool = True) -> None:
        """Tell how a child ended, and end what is left of its session."""
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        # Before it is reaped: until then its number is no other process's.
        _kill_session(child.pid)
        _, status, usage = os.wait4(child.pid, 0)
        with suppress(BrokenPipeError):
            if telling:
                os.write(child.status, STATUS.pack(status, usage.ru_maxrss, usage.ru_utime + usage.ru_stime))
        self._poll.unregister(child.pidfd)
        del self._children[child.pidfd]
        if child in self._waiting:
            self._waiting.remove(child)
        child.let_go()
        os.close(child.pidfd)
        os.close(child.status)


def _seed_numpy() -> None:
    """Python's own generator is seeded anew after a fork; numpy's would draw the same numbers in every run.

    Here, where all that it takes is warm; from bytes of our own: without them, numpy takes ten times as long.
    """
    np.random.seed(np.frombuffer(os.urandom(_SEED_BYTES), dtype=np.uint32))


def _pidfd_of(pid: int) -> int:
    """That of a child. Without one nobody could follow it: it is ended.

    Raises:
        OSError: there is no descriptor left.
    """
    try:
        return os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _kill_session(pid: int) -> None:
    """A child leads its session: whatever it has started there goes with it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _peek_hello(child: _Born) -> Hello:
    """A child's first frame, left in its socket for who takes it over.

    Raises:
        OSError: it sends none in time.
        FrameError: it sends something else.
    """
    data = child.data
    if data is None:
        raise FrameError("it is gone")
    data.settimeout(_FIRST_CHILD_SECONDS)
    seen = -1
    while True:
        piece = data.recv(1 << 16, socket.MSG_PEEK)
        if len(piece) == seen:
            raise FrameError("it ended")
        seen = len(piece)
        reader = FrameReader()
        reader.feed(piece)
        body = reader.next_frame()
        if body is not None:
            data.settimeout(None)
            return decode(body, Hello)


def main(config: ZygoteConfig, namespaces: Namespaces) -> None:
    """Run the zygote, whose namespaces are entered already."""
    control = socket.socket(fileno=config.control_fd)
    # Chosen when it was imported, where nothing was refused yet: no step may have a watch of `epoll`.
    vars(selectors)["DefaultSelector"] = selectors.PollSelector
    database = open_database()
    rehearse(database)
    # No child may end by it; what happens there from now on the nursery sees.
    leave_hang_ups(config.control_fd)
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names are all that is needed
    if threads != 1:
        control.send(encode(Hello(error=f"the zygote has {threads} threads, so it cannot fork safely")))
        os._exit(1)
    nursery = _Nursery(control, config, database, namespaces)
    # What is here now is shared by all children: a collection would write into every page of it, and each use into
    # the count of what is used.
    gc.collect()
    make_immortal()
    gc.freeze()
    try:
        nursery.run()
    finally:
        nursery.end_all()
        # No clean-up by the libraries: DuckDB's bindings complain of it.
        os._exit(0)
