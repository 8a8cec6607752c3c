"""What a step has started ends with it, with the zygote and with the service, however it resists; the next one runs."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from runner.core.run import FailureKind

ROOT = Path(__file__).resolve().parents[2]
SECOND = timedelta(seconds=1)
DEAF = """
import os, signal, threading, time
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
def spin():
    while True: pass
"""
SPINNING = f"""{DEAF}
open("begun", "w").close()
for _ in range(3): threading.Thread(target=spin, daemon=True).start()
spin()
"""
FORKING = f"""{DEAF}
def detach():
    try:
        if os.fork() == 0:
            os.setsid()
            os.fork()
            time.sleep(60)
    except PermissionError:
        open("refused", "w").close()
def again():
    while True: detach()
detach()
open("begun", "w").close()
threading.Thread(target=spin, daemon=True).start()
threading.Thread(target=again, daemon=True).start()
again()
"""
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        with open("new", "w") as file:
            file.write(os.readlink("/proc/self"))
        os.rename("new", "daemon")
        time.sleep(60)
    os._exit(0)
while not os.path.exists("daemon"):
    time.sleep(0.01)
result = 1
"""
# Sixty-four, each in a session of its own, and most without the parent that they had.
BOMB = f"""{DEAF}
for _ in range(6):
    if os.fork() == 0:
        os.setsid()
open("begun-" + os.readlink("/proc/self"), "w").close()
if os.getpid() != 1 and int(os.readlink("/proc/self")) % 2:
    os._exit(0)
time.sleep(60)
"""
UNFILTERED = """
import errno, json, sys, threading
from runner.core.job import Step, StepKind
from runner.core.source import FileType
from runner.execution import seccomp
from runner.execution.orders import StepInput, StepOrder
from runner.execution.syscalls import prctl, this_machine
from runner.execution.zygote import Zygote
prctl(38, 1)  # PR_SET_NO_NEW_PRIVS
seccomp.install(seccomp.refusing_filter(this_machine(), ["seccomp"], error=errno.ENOSYS))
zygote = Zygote(sandbox_mode="best-effort", waiting=1)
zygote.start()
print(zygote.level, flush=True)
for line in sys.stdin:
    folder, text, seconds = json.loads(line)
    inputs = (StepInput(paths=(folder + "/in.csv",), format=FileType.CSV),)
    step = Step(kind=StepKind.SCRIPT, text=text, path="jobs.d/forking.yaml")
    order = StepOrder(run_id="r", step=step, run_dir=folder, inputs=inputs, timeout_seconds=seconds)
    outcome = zygote.run_step(order, cancelled=threading.Event())
    print(outcome.failure and outcome.failure.kind, flush=True)
zygote.close()
"""


def children_of(pid):
    return [
        int(word)
        for task in Path(f"/proc/{pid}/task").iterdir()
        for word in (task / "children").read_text().split()
    ]


def all_below(pid):
    """A process, its children, and theirs."""
    return [pid, *(one for child in children_of(pid) for one in all_below(child))]


def parent_of(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def run(zygote, script_order, tmp_path):
    def running(name, text, seconds=30.0):
        order = script_order(tmp_path / name, text, timeout_seconds=seconds)
        return zygote.run_step(order, cancelled=threading.Event())

    return running


@pytest.fixture(scope="module")
def unfiltered():
    """Another process with a zygote, whose steps run without the filter of system calls: they can fork."""
    with subprocess.Popen(
        [sys.executable, "-c", UNFILTERED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as holder:
        level = holder.stdout.readline().strip()
        if level == "landlock+namespaces":
            yield holder
        holder.stdin.close()
    if level != "landlock+namespaces":
        pytest.skip(f"this machine gives {level}")


@pytest.fixture
def ask(unfiltered, tmp_path):
    """Asks for a step there; its answer is the next line."""
    (tmp_path / "in.csv").write_text("a\n1\n")

    def asking(text, seconds=30.0):
        unfiltered.stdin.write(json.dumps([str(tmp_path), text, seconds]) + "\n")
        unfiltered.stdin.flush()

    return asking


@pytest.mark.long
def test_threads_that_try_to_detach_do_not_outlive_the_time_out(
    zygote, run, tmp_path, wait_for, processes_in, seconds_until_gone
):
    if "seccomp" not in zygote.level:
        pytest.skip(f"this machine gives {zygote.level}")
    pid = zygote.pid
    with ThreadPoolExecutor(1) as pool:
        step = pool.submit(run, "forking", FORKING, 1.0)
        wait_for((tmp_path / "forking" / "begun").exists, 10, "the step")
        begun = time.monotonic()
        assert len(processes_in(tmp_path)) == 1
        outcome = step.result()
    assert seconds_until_gone(tmp_path, begun + 1.0) < 1.0
    assert outcome.failure.kind is FailureKind.TIMEOUT
    assert (tmp_path / "forking" / "refused").exists()
    assert run("next", "result = data").failure is None
    assert zygote.pid == pid


@pytest.mark.long
def test_a_daemon_ends_with_its_step_even_where_it_can_be_made(unfiltered, ask, tmp_path, seconds_until_gone):
    """Without the filter of system calls a script can fork: the pid namespace ends what it has left behind."""
    ask(DAEMON)
    assert unfiltered.stdout.readline() == "None\n"
    assert seconds_until_gone(tmp_path, time.monotonic(), int((tmp_path / "daemon").read_text())) < 1.0


def test_a_fork_bomb_does_not_outlive_the_time_out(
    unfiltered, ask, tmp_path, wait_for, processes_in, seconds_until_gone
):
    ask(BOMB, 1.5)
    wait_for(lambda: len([*tmp_path.glob("begun-*")]) == 64, 10, "the processes")
    begun = time.monotonic()
    assert len(processes_in(tmp_path)) > 16
    assert unfiltered.stdout.readline() == "timeout\n"
    assert seconds_until_gone(tmp_path, begun + 1.5) < 1.0
    ask("result = data")
    assert unfiltered.stdout.readline() == "None\n"


@pytest.mark.long
@pytest.mark.parametrize("who", ["zygote", "stand-by"])
def test_a_killed_zygote_takes_its_children_with_it(zygote, run, tmp_path, wait_for, seconds_until_gone, who):
    killed = zygote.pid if who == "zygote" else parent_of(zygote.pid)
    if killed == os.getpid():
        pytest.skip("nobody stands by where there are no namespaces")
    before = zygote.pid
    with ThreadPoolExecutor(2) as pool:
        steps = [pool.submit(run, name, SPINNING) for name in ("one", "two")]
        wait_for(lambda: len([*tmp_path.glob("*/begun")]) == 2, 10, "the steps")
        pids = all_below(before)
        assert len(pids) >= 3
        os.kill(killed, signal.SIGKILL)
        assert seconds_until_gone(tmp_path, time.monotonic(), *pids) < 1.0
        failures = [step.result().failure for step in steps]
    for failure in failures:
        assert failure.kind is FailureKind.CRASH
        assert "the process that runs steps ended" in failure.message
        assert "started again with the next run" in failure.hint
    assert run("next", "result = data").failure is None
    assert zygote.pid not in pids


@pytest.mark.long
def test_a_killed_service_takes_its_steps_with_it(project, wait_for, seconds_until_gone):
    script = textwrap.indent(f"if run.attempt == 1:\n{textwrap.indent(SPINNING, '    ')}\nresult = data", "  ")
    retry = "retry: {limit: 1, backoff_seconds: 1, max_delay_seconds: 1}"
    project.job("stubborn", retry, "processing_script: |", script)
    project.faults["jitter"] = 0.0
    project.hand_clock(-SECOND)
    service = project.start(quick=False)
    assert service.readiness()[0] == 200
    project.set_clock(SECOND)
    wait_for(lambda: [*project.state.rglob("begun")], 20, service.log)
    pids = all_below(service.pid)
    assert len(pids) >= 3
    service.send(signal.SIGKILL)
    assert seconds_until_gone(project.folder, time.monotonic(), *pids) < 1.0
    service.kill()
    project.set_clock(5 * SECOND)
    again = project.start(quick=False)
    wait_for(lambda: [(run.state, run.attempt) for run in project.runs()] == [("succeeded", 2)], 20, again.log)
    assert again.stop() == 0
