import subprocess
import threading
import time
from pathlib import Path

import pytest

from runner.core.run import FailureKind
from runner.errors import SandboxError
from runner.execution.plain import PlainChildren


@pytest.fixture
def plain(bench_of):
    children = PlainChildren(sandbox_mode="best-effort")
    children.start()
    yield bench_of(children)
    children.close()


@pytest.mark.long
def test_a_plain_child_runs_a_step_and_says_what_it_is(plain, monkeypatch):
    monkeypatch.setenv("PLANTED_SECRET", "planted-secret-4711")
    outcome = plain.run(
        "import os\nprint(sorted(os.environ), os.listdir())\nresult = data.groupby('category').sum()"
    )
    assert outcome.failure is None, outcome.failure
    assert (outcome.rows_out, outcome.sandbox, plain.zygote.level) == (2, "none", "none")
    assert "PLANTED" not in outcome.output
    assert "no sandbox" in plain.zygote.missing[0]


@pytest.mark.long
def test_a_time_out_ends_the_whole_group(plain, gone):
    script = """
        import os, time
        if os.fork() == 0:
            open("new", "w").write(str(os.getpid()))
            os.rename("new", "daemon")
            time.sleep(60)
        while not os.path.exists("daemon"): time.sleep(0.01)
        open("began", "w").close()
        while True: pass
    """
    cancelled = threading.Event()
    folder = plain.folder / "run-1"

    def cancel_when_begun():
        deadline = time.monotonic() + 20
        while not (folder / "began").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        cancelled.set()

    threading.Thread(target=cancel_when_begun).start()
    failure = plain.run("\n".join(line[8:] for line in script.splitlines()), cancelled=cancelled).failure
    assert failure.kind is FailureKind.CANCELLED
    assert gone(int((folder / "daemon").read_text()))
    assert plain.failure("result = data", timeout_seconds=0.05).kind is FailureKind.TIMEOUT
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    plain.failure("result = data", timeout_seconds=0.01)
    time.sleep(0.1)
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files


def test_strict_is_refused_with_a_way_out():
    with pytest.raises(SandboxError, match="needs Linux") as caught:
        PlainChildren(sandbox_mode="strict").start()
    assert "SANDBOX=best-effort" in caught.value.hint


def test_a_closed_one_takes_no_steps(bench_of):
    children = PlainChildren(sandbox_mode="off")
    children.start()
    children.close()
    assert bench_of(children).failure("result = data").kind is FailureKind.INTERNAL


def test_without_a_thread_to_see_its_end_nothing_of_a_child_stays(bench_of, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    started = []
    spawn = subprocess.Popen
    children = PlainChildren(sandbox_mode="off")
    children.start()
    bench = bench_of(children)
    open_files = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as patched:
        patched.setattr(
            subprocess, "Popen", lambda *args, **more: started.append(spawn(*args, **more)) or started[0]
        )
        patched.setattr(threading.Thread, "start", refuse)
        failure = bench.failure("result = data")
    assert (failure.kind, failure.message) == (FailureKind.INTERNAL, "no other thread can be started")
    assert started[0].returncode is not None
    assert len(list(Path("/proc/self/fd").iterdir())) == open_files
