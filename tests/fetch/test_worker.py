import os
import select
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from runner import children
from runner.errors import FetchError
from runner.fetch import worker
from runner.fetch.worker_orders import FaultKind, WorkerOrder, WorkerOutcome

# A worker whose work is given: it has the real start, streams and end, and no driver to load.
BOOT = f"""
import sys
sys.path[:] = {sys.path!r}
from runner.fetch import worker_main
import os, time, subprocess
from runner.fetch.worker_orders import WorkerOutcome
def work(order):
    {{work}}
    return WorkerOutcome(rows=7)
worker_main._carry_out = work
worker_main.main()
"""
SLEEP = "open(os.environ['PIDS'], 'w').write(str(os.getpid()) + '\\n'); time.sleep(60)"


def command(work):
    return [sys.executable, "-I", "-c", BOOT.replace("{work}", work)]


@pytest.fixture
def carry_out(monkeypatch):
    def run(work, *, seconds=20.0, cancelled=None, **environ):
        monkeypatch.setattr(worker, "python_command", lambda _module: command(work))
        return worker.run_worker(
            WorkerOrder(), environ=environ, seconds=seconds, cancelled=cancelled or threading.Event()
        )

    return run


def is_gone(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def until(condition):
    for _ in range(400):
        if condition():
            return True
        time.sleep(0.02)
    return False


def read_pid(path):
    assert until(lambda: path.is_file() and path.read_text().endswith("\n"))
    return int(path.read_text())


def test_the_outcome_comes_back_whatever_is_printed(carry_out):
    assert carry_out("print('noise' * 100_000)") == WorkerOutcome(rows=7)


def test_the_environment_is_what_is_given(carry_out, monkeypatch):
    monkeypatch.setenv("PLANTED", "secret")
    outcome = carry_out("raise SystemExit(','.join(sorted(os.environ)))", AWS_REGION="x")
    assert outcome.fault.kind is FaultKind.INTERNAL
    names = outcome.fault.message.rpartition(": ")[2].split(",")
    assert {"AWS_REGION", "LANG", "PGPASSFILE", "TZ"} <= set(names)
    assert "PLANTED" not in names


def test_no_memory_of_a_worker_goes_to_a_program_for_cores(carry_out):
    outcome = carry_out("raise SystemExit(open('/proc/self/coredump_filter').read())")
    assert outcome.fault.message.split()[-1] == "00000000"


def test_the_memory_of_a_worker_is_bounded(carry_out):
    assert "MemoryError" in carry_out("bytearray(5 << 30)").fault.message


def test_a_worker_that_dies_says_how(carry_out):
    assert carry_out("os.kill(os.getpid(), 11)").fault.message == "the fetch worker ended with signal 11"


def test_a_cancelled_worker_is_gone_at_once_with_what_it_started(carry_out, tmp_path):
    cancelled = threading.Event()
    pids, ended = tmp_path / "pids", []
    work = (
        "open(os.environ['PIDS'], 'w').write(str(subprocess.Popen(['sleep', '60']).pid) + '\\n'); time.sleep(60)"
    )

    def run():
        with pytest.raises(FetchError, match="the run was cancelled while the data was read"):
            carry_out(work, cancelled=cancelled, PIDS=str(pids))
        ended.append(time.monotonic())

    thread = threading.Thread(target=run)
    thread.start()
    pid = read_pid(pids)
    asked = time.monotonic()
    cancelled.set()
    thread.join(10)
    assert ended[0] - asked < 2
    assert until(lambda: is_gone(pid))


def test_the_deadline_ends_a_worker(carry_out):
    with pytest.raises(FetchError, match=r"the data was not read within 0\.5 s"):
        carry_out("time.sleep(60)", seconds=0.5)


def test_a_worker_ends_with_the_service(tmp_path):
    pids = tmp_path / "pids"
    service = (
        "import sys, threading; from runner.fetch import worker; worker.python_command = lambda _: sys.argv[2:];"
        "worker.run_worker(worker.WorkerOrder(), environ={'PIDS': sys.argv[1]}, seconds=60, cancelled=threading.Event())"
    )
    process = subprocess.Popen([sys.executable, "-c", service, str(pids), *command(SLEEP)])
    try:
        pidfd = os.pidfd_open(read_pid(pids))
        assert select.select([pidfd], [], [], 0) == ([], [], [])
    finally:
        process.kill()
        process.wait()
    ended, _, _ = select.select([pidfd], [], [], 5)
    os.close(pidfd)
    assert ended


def test_a_worker_that_the_kernel_holds_is_waited_for_no_longer(monkeypatch, caplog):
    held = []
    # A worker would end with its input, as soon as it has been started.
    asleep = [sys.executable, "-I", "-c", "import time; time.sleep(60)"]
    monkeypatch.setattr(worker, "python_command", lambda _module: asleep)
    monkeypatch.setattr(children, "_END_SECONDS", 0.05)
    monkeypatch.setattr(children, "_held", held)
    with monkeypatch.context() as signals:
        # As in uninterruptible sleep, it takes no signal.
        signals.setattr(os, "killpg", lambda *_: None)
        signals.setattr(subprocess.Popen, "kill", lambda _process: None)
        with pytest.raises(FetchError, match=r"was not read within 0\.1 s"):
            worker.run_worker(WorkerOrder(), environ={}, seconds=0.1, cancelled=threading.Event())
    assert "A fetch worker" in caplog.text
    (process,) = held
    process.kill()
    process.wait(20)
