"""What is told of a process from outside, read from real ones."""

import os
import subprocess
import sys
import threading
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
