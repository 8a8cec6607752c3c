"""For all tests."""

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings

# Enough for every change; HYPOTHESIS_PROFILE=thorough looks longer, and few is for measuring coverage. None is timed:
# on a busy machine everything takes long now and then.
settings.register_profile("few", max_examples=5, deadline=None)
settings.register_profile("usual", max_examples=40, deadline=None)
settings.register_profile("thorough", max_examples=1000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "usual"))


def pytest_xdist_auto_num_workers():
    """Two for each core: many tests wait, some of them for real minutes, and leave theirs idle."""
    return 2 * len(os.sched_getaffinity(0))


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """What is collected stays: to look through it for cycles again and again takes a quarter of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


def pytest_collection_modifyitems(items):
    """Those that wait first, on one worker: the others share out what it has no time for."""
    items.sort(key=lambda item: item.path.name not in {"test_service.py", "test_pre_commit.py"})


@pytest.fixture
def no_collection():
    """For what goes as deep as Python lets it: an object that is cleaned up at the deepest point, such as the
    connections of an earlier test, has no room there to do so, which is told as an error."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def lines_run():
    """`lines_run(function, *arguments)` → what it returns, and how many lines of Python that took: the same number on
    each machine, whatever else it does, which no time is."""

    def call(function, *arguments):
        count = 0

        def trace(_frame, event, _argument):
            nonlocal count
            count += event == "line"
            return trace

        with _traced_by(trace):
            result = function(*arguments)
        return result, count

    return call


@pytest.fixture
def cpu_seconds():
    """`cpu_seconds(function, *arguments)` → what it returns, and what this thread took of a processor. For what one
    line may do without end, such as the match of a pattern: where it is found, it takes minutes, not a second."""

    def call(function, *arguments):
        with _traced_by(None):
            started = time.thread_time()
            result = function(*arguments)
            return result, time.thread_time() - started

    return call


@contextlib.contextmanager
def _traced_by(trace):
    """In place of what measures the coverage."""
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


class Commands:
    """Processes that carry out `runner`, forked by one that has the libraries loaded already: `commands.py`."""

    def __init__(self):
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._pool = ThreadPoolExecutor(2)
        with theirs:
            self._process = subprocess.Popen(
                # -P: the folder of the script is none to import from.
                [sys.executable, "-P", Path(__file__).with_name("commands.py"), str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def __call__(self, *arguments, cwd, env, timeout=60.0):
        """Run one to its end: a CompletedProcess with texts, as of `subprocess.run`."""
        output, error = os.pipe(), os.pipe()
        request = {"arguments": [str(one) for one in arguments], "cwd": str(cwd), "env": env}
        socket.send_fds(self._control, [json.dumps(request).encode()], [output[1], error[1]])
        os.close(output[1])
        os.close(error[1])
        readers = [self._pool.submit(_read_all, end[0]) for end in (output, error)]
        self._control.settimeout(timeout)
        pid = int(self._control.recv(20))
        try:
            code = int(self._control.recv(20))
        except TimeoutError:
            os.kill(pid, signal.SIGKILL)
            self._control.recv(20)
            raise
        stdout, stderr = (reader.result(timeout) for reader in readers)
        return subprocess.CompletedProcess(arguments, code, stdout, stderr)

    def close(self):
        self._control.close()
        self._process.wait(10)
        self._pool.shutdown()


def _read_all(descriptor):
    with os.fdopen(descriptor, encoding="utf-8") as stream:
        return stream.read()


@pytest.fixture(scope="session")
def commands():
    """`commands(*arguments, cwd=…, env=…)` → the finished process of `runner`, in a tenth of the time of a start."""
    opened = Commands()
    yield opened
    opened.close()


@pytest.fixture
def use_up_threads(monkeypatch):
    """`use_up_threads(patch=…)`: from now on no other thread can be started, as at the bound on a user's processes."""

    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    return lambda patch=monkeypatch: patch.setattr(threading.Thread, "start", refuse)


class SilentMount:
    """A folder that answers nobody while its server is away, as a network mount: no signal wakes who waits there."""

    def __init__(self, path):
        self.path = path
        # The threads that have waited here.
        self.held = []
        self._there = threading.Event()
        self._there.set()

    def goes(self):
        self._there.clear()

    def comes_back(self):
        """Let go of all who wait: they are at their end after it."""
        self._there.set()
        for thread in self.held:
            thread.join(10)

    def hold(self, call):
        """The call of the system, which waits where it asks for what is on the mount."""

        def held(path, *arguments, **options):
            if isinstance(path, str | os.PathLike) and f"{os.fspath(path)}/".startswith(f"{self.path}/"):
                if not self._there.is_set():
                    self.held.append(threading.current_thread())
                assert self._there.wait(60)
            return call(path, *arguments, **options)

        return held


@pytest.fixture
def mount(tmp_path, monkeypatch):
    """A SilentMount in the folder of the test, there at first."""
    mount = SilentMount(tmp_path / "mount")
    mount.path.mkdir()
    for name in ("stat", "lstat", "open", "readlink", "scandir"):
        monkeypatch.setattr(os, name, mount.hold(getattr(os, name)))
    for module in ("runner.jobfiles.data_looks", "runner.fetch.answering"):
        monkeypatch.setattr(f"{module}.SILENCE_SECONDS", 0.3)
    yield mount
    mount.comes_back()


@pytest.fixture
def silent():
    """Host and port where nothing answers, not even with a refusal, as behind a firewall: on Linux no more connections
    come about with a listener whose queue is full."""
    with contextlib.ExitStack() as opened:
        listening = opened.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(3):
            caller = opened.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(listening.getsockname())
        yield listening.getsockname()


@pytest.fixture(scope="session")
def zygote():
    """What runs the steps of all tests that need none of their own: to start one takes a second."""
    # Here, as most tests need none.
    from runner.execution.zygote import Zygote

    zygote = Zygote(sandbox_mode="best-effort")
    zygote.start()
    yield zygote
    zygote.close()


@pytest.fixture(scope="session")
def smtp_controller():
    """A class of real SMTP servers: of aiosmtpd, with its arguments, `port=0` for one that is free."""
    import asyncio

    from aiosmtpd.controller import Controller

    class SmtpController(Controller):
        """Lets the system choose the port, and breaks off what is connected still when it stops, or is about to be:
        the connection of a process that was killed would be complained of in some later test."""

        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self._connected = []

        def factory(self):
            self._connected.append(super().factory())
            return self._connected[-1]

        def cancel_tasks(self, stop_loop=True):
            self._ending = self.loop.create_task(self._end(stop_loop))

        async def _end(self, stop_loop):
            # Not closed: what is accepted already would fail half-way.
            for one in self.server.sockets:
                self.loop.remove_reader(one)
            # A task of asyncio's own makes a connection of it; a handshake may take its time.
            others = asyncio.all_tasks() - {asyncio.current_task()}
            accepting = [task for task in others if "accept" in task.get_coro().__qualname__]
            if accepting:
                await asyncio.wait(accepting, timeout=1)
            for one in self._connected:
                if one.transport is not None:
                    one.transport.abort()
            # One turn later: until then the connections know that they are lost.
            self.loop.call_soon(super().cancel_tasks, stop_loop)

        def _trigger_server(self):
            # Known before aiosmtpd dials it to see that it answers.
            self.port = self.server.sockets[0].getsockname()[1]
            super()._trigger_server()

    return SmtpController
