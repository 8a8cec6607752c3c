"""Whatever bound a step meets, and however it resists: it is gone within a second, and the run says which bound."""

import textwrap
import threading
import time

import pytest

from runner.core.run import FailureKind
from runner.execution import disk
from runner.execution.trees import remove_tree

IMPORTS = ("ctypes", "mmap", "os", "signal", "threading")
DEAF = """
import os, signal, threading, time
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
"""
BEGUN = "open('begun', 'w').close()\n"
SPIN = """
def spin():
    while True: pass
for _ in range(63): threading.Thread(target=spin, daemon=True).start()
"""
# One call into C that takes for ever, holding the interpreter's lock.
STUCK = "sum(range(1 << 60))"
LARGE = "x = np.ones(100 << 17)\n"
FILES = """
for n in range({count}):
    with open(str(n), "wb") as file: file.write(b"x" * {size})
"""
NAMELESS = """
kept = [open(str(n), "wb", buffering=0) for n in range(20)]
for n, file in enumerate(kept):
    os.remove(str(n))
    file.write(b"x" * (1 << 20))
"""
# Without its first thread, the kernel tells nothing of the memory of a process.
HEADLESS = """
import ctypes, mmap, threading, time
def work():
    kept = mmap.mmap(-1, 64 << 20, flags=mmap.MAP_PRIVATE)
    time.sleep(60)
threading.Thread(target=work).start()
ctypes.CDLL(None).syscall(60 if os.uname().machine == "x86_64" else 93, 0)
"""
DEEP = """
for n in range(3000):
    os.mkdir("d")
    os.chdir("d")
"""


@pytest.fixture
def small_disk(monkeypatch):
    monkeypatch.setattr(disk, "_LEAST_BOUND", 10 << 20)
    monkeypatch.setattr(disk, "_PER_MEMORY", 0)
    monkeypatch.setattr(disk, "MOST_FILES", 5000)


@pytest.mark.parametrize(
    ("kind", "said", "text", "bounds"),
    [
        (FailureKind.TIMEOUT, "timeout_seconds", DEAF + BEGUN + SPIN + "spin()", {"timeout_seconds": 1.0}),
        (FailureKind.TIMEOUT, "timeout_seconds", LARGE + BEGUN + STUCK, {"timeout_seconds": 2.5}),
        (FailureKind.CANCELLED, "", DEAF + BEGUN + SPIN + STUCK, {}),
        (FailureKind.CPU, "resources.cpu_seconds", DEAF + BEGUN + SPIN + "spin()", {"cpu_seconds": 1}),
        (FailureKind.MEMORY, "resources.memory_mb", DEAF + BEGUN + "x = bytearray(10 << 30)", {"memory_mb": 64}),
        (FailureKind.DISK, "resources.memory_mb", DEAF + FILES.format(count=30, size=1 << 20) + BEGUN + STUCK, {}),
        (FailureKind.DISK, "fewer files", DEAF + FILES.format(count=6000, size=0) + BEGUN + STUCK, {}),
        (FailureKind.DISK, "resources.memory_mb", DEAF + NAMELESS + BEGUN + STUCK, {}),
        (FailureKind.CRASH, "main thread", DEAF + BEGUN + HEADLESS, {}),
        (FailureKind.DISK, "fewer levels", DEAF + BEGUN + DEEP + "time.sleep(60)", {}),
    ],
    ids=["time", "time-large", "cancel", "cpu", "memory", "disk", "files", "nameless", "headless", "deep"],
)
@pytest.mark.usefixtures("small_disk")
def test_a_step_is_gone_within_a_second(
    zygote, script_order, tmp_path, processes_in, seconds_until_gone, kind, said, text, bounds
):
    folder = tmp_path / "run"
    order = script_order(folder, textwrap.dedent(text), allowed_imports=IMPORTS, **bounds)
    cancelled, outcomes = threading.Event(), []
    runner = threading.Thread(target=lambda: outcomes.append(zygote.run_step(order, cancelled=cancelled)))
    runner.start()
    while not (folder / "begun").exists() and runner.is_alive():
        time.sleep(0.005)
    begun = processes_in(folder)
    if kind is FailureKind.CANCELLED:
        time.sleep(0.2)
        cancelled.set()
    asked = time.monotonic()
    runner.join()
    if kind in {FailureKind.CANCELLED, FailureKind.TIMEOUT}:
        assert begun
        # From the cancel, or from the time-out: it takes time to meet the other bounds.
        since = asked + bounds.get("timeout_seconds", 0.0)
    else:
        since = time.monotonic()
    assert seconds_until_gone(folder, since) < 1.0
    assert outcomes[0].failure.kind is kind, outcomes[0].failure
    assert said in outcomes[0].failure.hint
    # Python's own way to remove the test's folder does not get to its end.
    remove_tree(folder)
