import logging
import os
import signal
import subprocess
import sys

import pytest

from runner import children
from runner.children import end_child, run_child

SLEEP = [sys.executable, "-I", "-c", "import time; print('up', flush=True); time.sleep(60)"]


@pytest.fixture
def held_by_the_kernel(monkeypatch):
    """As a process in uninterruptible sleep: it takes no signal, until it is let go."""
    monkeypatch.setattr(children, "_END_SECONDS", 0.05)
    monkeypatch.setattr(subprocess.Popen, "kill", lambda _process: None)
    yield
    for process in children._held:
        os.kill(process.pid, signal.SIGKILL)
        process.wait(20)
    children._held.clear()


def start():
    process = subprocess.Popen(SLEEP, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    return process


def test_a_child_is_ended_with_its_pipes_closed(caplog):
    process = start()
    process.stdin.write(b"never sent")
    assert end_child(process, "A child") == -signal.SIGKILL
    assert process.stdin.closed
    assert process.stdout.closed
    assert end_child(process, "A child") == -signal.SIGKILL
    assert not caplog.records


def test_a_child_that_the_kernel_holds_is_waited_for_no_longer_and_leaves_no_zombie(held_by_the_kernel, caplog):
    held, other = start(), start()
    assert end_child(held, "A child") is None
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert f"A child (process {held.pid}) was killed and does not end" in record.getMessage()
    os.kill(held.pid, signal.SIGKILL)
    os.waitid(os.P_PID, held.pid, os.WEXITED | os.WNOWAIT)
    assert end_child(other, "Another") is None
    with pytest.raises(ChildProcessError):
        os.waitpid(held.pid, os.WNOHANG)


def test_what_a_held_child_was_not_sent_yet_is_waited_for_no_longer(held_by_the_kernel):
    process = start()
    os.set_blocking(process.stdin.fileno(), False)
    while process.stdin.raw.write(b"x" * 4096):
        pass
    os.set_blocking(process.stdin.fileno(), True)
    process.stdin.write(b"never sent")
    assert end_child(process, "A child") is None
    assert process.stdin.closed


def test_a_command_runs_to_its_end():
    done = run_child(["sh", "-c", "echo $X; echo no >&2; exit 3"], environ={"X": "a"}, seconds=20)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"a\n", b"no\n")
    with pytest.raises(FileNotFoundError):
        run_child(["no-such-command"], environ={}, seconds=20)


def test_a_command_that_takes_too_long_is_killed(monkeypatch):
    ended = []
    monkeypatch.setattr(children, "end_child", lambda process, _name: ended.append(end_child(process, "sleep")))
    with pytest.raises(subprocess.TimeoutExpired):
        run_child(["sleep", "60"], environ=dict(os.environ), seconds=0.01)
    assert ended == [-signal.SIGKILL]


def test_a_command_that_the_kernel_holds_is_waited_for_no_longer(held_by_the_kernel, caplog):
    with pytest.raises(subprocess.TimeoutExpired):
        run_child(["sleep", "60"], environ=dict(os.environ), seconds=0.01)
    assert "does not end" in caplog.text
