"""What is told of a process from outside, read from real ones."""

import os
import select
import subprocess
import sys
import threading
import time
from subprocess import PIPE

import pytest

from runner.execution.processes import Standing, pid_of, standing_of

SHARED = """
import mmap, sys
kept = mmap.mmap(-1, 3 << 20)
kept.write(b"x" * (3 << 20))
print("ready", flush=True)
sys.stdin.read()
"""


# Its first thread ends, as no thread of Python does by itself, and another one works on.
HEADLESS = """
import ctypes, os, sys, threading
threading.Thread(target=sys.stdin.read).start()
print("ready", flush=True)
ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
"""
# They take turns so often that the last one has its first in no time.
MANY = """
import sys, threading
sys.setswitchinterval(1e-5)
def spin():
    while True: pass
kept = b"x" * (200 << 20)
for _ in range(20): threading.Thread(target=spin, daemon=True).start()
print("ready", flush=True)
spin()
"""


@pytest.fixture
def child():
    """A process that holds 3 MiB of shared memory until its input ends."""
    with subprocess.Popen([sys.executable, "-c", SHARED], stdin=PIPE, stdout=PIPE) as process:
        process.stdout.readline()
        yield process


def test_a_child(child):
    descriptor = os.pidfd_open(child.pid)
    try:
        assert pid_of(descriptor) == child.pid
        assert standing_of(child.pid) == Standing(threads=1, shared_mb=3)
        child.communicate()
        assert pid_of(descriptor) == 0
        assert standing_of(child.pid) == Standing()
    finally:
        os.close(descriptor)


def test_threads_are_counted():
    before = standing_of(os.getpid()).threads
    go_on = threading.Event()
    threads = [threading.Thread(target=go_on.wait) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        assert standing_of(os.getpid()).threads == before + 3
    finally:
        go_on.set()
        for thread in threads:
            thread.join()


def test_what_is_no_process(tmp_path):
    assert pid_of(10**6) == 0
    assert standing_of(0) == Standing()
    with (tmp_path / "file").open("w") as file:
        assert pid_of(file.fileno()) == 0


def test_a_process_whose_first_thread_has_ended():
    with subprocess.Popen([sys.executable, "-c", HEADLESS], stdin=PIPE, stdout=PIPE) as process:
        process.stdout.readline()
        deadline = time.monotonic() + 10
        while not standing_of(process.pid).headless and time.monotonic() < deadline:
            time.sleep(0.01)
        assert standing_of(process.pid) == Standing(threads=2, headless=True)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert standing_of(process.pid) == Standing(threads=1), "it waits to be reaped"


@pytest.mark.long
def test_a_process_that_ends_is_never_taken_for_one():
    """However far its end has got: its first thread may be gone while the others have not noticed yet."""
    for _ in range(15):
        with subprocess.Popen([sys.executable, "-c", MANY], stdout=PIPE) as process:
            process.stdout.readline()
            descriptor = os.pidfd_open(process.pid)
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            process.kill()
            while not poll.poll(0):
                assert not standing_of(process.pid).headless
            assert not standing_of(process.pid).headless
            os.close(descriptor)
