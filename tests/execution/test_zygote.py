import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runner.core.job import StepKind
from runner.core.run import FailureKind
from runner.errors import ExecutionError
from runner.execution.processes import Standing
from runner.execution.zygote import Zygote

ROOT = Path(__file__).resolve().parents[2]
# /proc is that of the machine: in a pid namespace of its own, the child's own number is 1.
SLEEP = "import os, time\nprint(os.readlink('/proc/self'), flush=True)\ntime.sleep(60)"


def children_of(pid):
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def own_zygote():
    zygote = Zygote(sandbox_mode="best-effort", waiting=1)
    zygote.start()
    yield zygote
    zygote.close()


def test_the_achieved_level_is_that_of_the_run(bench):
    outcome = bench.run("result = data")
    assert outcome.sandbox == bench.zygote.level
    assert outcome.failure is None


def test_duckdb_draws_no_progress_into_what_a_script_prints(bench):
    asked = """duckdb.sql("SELECT current_setting('enable_progress_bar')").fetchall()"""
    outcome = bench.run(f"import duckdb\nprint({asked})\nresult = data")
    assert (outcome.failure, outcome.output) == (None, "[(False,)]\n")


@pytest.mark.long
def test_a_time_out_ends_the_step_and_says_which_bound(bench, gone):
    started = time.monotonic()
    outcome = bench.run(SLEEP, timeout_seconds=0.7)
    assert time.monotonic() - started < 1.7
    assert outcome.failure.kind is FailureKind.TIMEOUT
    assert "0.7 s" in outcome.failure.message
    assert "timeout_seconds" in outcome.failure.hint
    assert gone(int(outcome.output))


def test_a_cancelled_step_ends_within_a_second(bench, gone):
    cancelled = threading.Event()
    threading.Timer(0.3, cancelled.set).start()
    started = time.monotonic()
    outcome = bench.run(SLEEP, cancelled=cancelled)
    assert time.monotonic() - started < 1.3
    assert outcome.failure.kind is FailureKind.CANCELLED
    assert gone(int(outcome.output))


def test_a_run_that_is_cancelled_already_runs_nothing(bench):
    cancelled = threading.Event()
    cancelled.set()
    outcome = bench.run("print('ran')\nresult = data", cancelled=cancelled)
    assert (outcome.failure.kind, outcome.output) == (FailureKind.CANCELLED, "")


def test_steps_run_side_by_side(bench):
    orders = [bench.order(f"import time\ntime.sleep(0.2)\nresult = {number}") for number in range(6)]
    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(lambda order: bench.zygote.run_step(order, cancelled=threading.Event()), orders))
    assert [outcome.preview.rows for outcome in outcomes] == [((str(number),),) for number in range(6)]


def test_children_draw_numbers_of_their_own(bench):
    script = "import random\nresult = pd.DataFrame({'n': [np.random.rand()], 'r': [random.random()], 'k': 1})"
    query = "SELECT random() AS n, uuid() AS u, 1 AS k"
    for text, kind in ((script, StepKind.SCRIPT), (query, StepKind.QUERY)):
        drawn = [bench.csv(text, kind=kind).splitlines()[1].split(",") for _ in range(3)]
        assert len({row[0] for row in drawn}) == len({row[1] for row in drawn}) == 3


def test_a_child_that_has_waited_works_as_one_that_has_not(own_zygote, bench_of):
    bench = bench_of(own_zygote)
    time.sleep(0.3)
    waited = bench.run("import os\nprint(sorted(globals()), os.listdir())\nresult = data")
    at_once = bench.run("import os\nprint(sorted(globals()), os.listdir())\nresult = data")
    assert waited.failure is None
    assert waited.output == at_once.output
    assert waited.preview == at_once.preview


def test_no_descriptor_is_left_behind(bench):
    bench.run("result = data")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for text in ("result = data", "1 / 0", "import os; os._exit(1)"):
        bench.run(text)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_memory_is_bounded_and_told(bench):
    failure = bench.failure("x = bytearray(3 << 30)\nresult = data", memory_mb=256)
    assert failure.kind is FailureKind.MEMORY
    assert "resources.memory_mb" in failure.hint
    assert f"line {10}" in failure.traceback
    assert bench.failure("x = np.ones(1 << 28)\nresult = data", memory_mb=256).kind is FailureKind.MEMORY
    assert bench.run("x = bytearray(200 << 20)\nresult = data", memory_mb=256).failure is None


@pytest.mark.long
def test_cpu_time_is_bounded_and_told(bench):
    failure = bench.failure("while True: pass", cpu_seconds=1)
    assert failure.kind is FailureKind.CPU
    assert "resources.cpu_seconds" in failure.hint


class Unheard(threading.Event):
    """A cancellation that nobody can ask for once the step is at work."""

    def __init__(self, begun):
        super().__init__()
        self._begun = begun

    def is_set(self):
        if self._begun.exists():
            raise OSError(errno.EMFILE, "Too many open files")
        return False


def test_a_child_that_cannot_be_followed_is_ended(bench, gone):
    text = """
        import os, time
        with open("new", "w") as file: file.write(os.readlink("/proc/self"))
        os.rename("new", "begun")
        time.sleep(60)
    """
    order = bench.order(textwrap.dedent(text))
    begun = Path(order.run_dir) / "begun"
    before = len(list(Path("/proc/self/fd").iterdir()))
    outcome = bench.zygote.run_step(order, cancelled=Unheard(begun))
    assert outcome.failure.kind is FailureKind.INTERNAL
    assert "Too many open files" in outcome.failure.message
    assert gone(int(begun.read_text()), 0.1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_child_that_cannot_be_watched_is_ended(bench, monkeypatch):
    from runner.execution import child as module

    def unwatched(order, *, pidfd):
        raise OSError(errno.EMFILE, "Too many open files")

    before = len(list(Path("/proc/self/fd").iterdir()))
    monkeypatch.setattr(module, "StepWatch", unwatched)
    assert "Too many open files" in bench.failure("result = data").message
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.parametrize(("threads", "waited"), [(0, True), (1, False), (2, True)])
def test_the_end_of_a_child_is_waited_for_unless_it_has_one_thread(bench, monkeypatch, threads, waited):
    from runner.execution import child as module

    # As many as the kernel says; none where there is no descriptor left to ask it.
    found = []
    original = module.Child._has_ended
    monkeypatch.setattr(module, "standing_of", lambda pid: Standing(threads=threads))
    monkeypatch.setattr(module.Child, "_has_ended", lambda *given: found.append(original(*given)) or found[-1])
    assert bench.run("result = data").failure is None
    assert found == [True] * waited


@pytest.mark.long
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import threading\nthreading.Event().wait()", "or for a thread that could not"),
        ("while True: pass", "Raise `timeout_seconds` in the job file, or let the step do less."),
    ],
    ids=["waits", "works"],
)
def test_a_step_that_only_waits_until_its_time_is_over_is_told_for_what_it_may(bench, text, said):
    # Long enough that what a child does to begin is next to nothing of it, also on a busy machine.
    failure = bench.failure(text, timeout_seconds=5)
    assert failure.kind is FailureKind.TIMEOUT
    assert said in failure.hint


def test_a_crash_is_told_with_what_was_printed(bench):
    outcome = bench.run("import ctypes\nprint('before')\nctypes.string_at(0)", allowed_imports=("ctypes",))
    assert outcome.failure.kind is FailureKind.CRASH
    assert "SIGSEGV" in outcome.failure.message
    assert outcome.output.startswith("before")


def test_an_abort_is_told_as_one_whatever_signal_it_ends_with(bench):
    failure = bench.failure("import os\nos.abort()")
    assert failure.kind is FailureKind.CRASH
    assert "or aborted" in failure.message or "SIGABRT" in failure.message


def test_no_memory_of_a_step_goes_to_a_program_for_cores(bench):
    outcome = bench.run("print(open('/proc/self/coredump_filter').read())\nresult = data")
    assert outcome.output.split() == ["00000000"]


def test_a_child_that_was_killed_is_told_so_with_the_likely_cause(bench):
    def end_it():
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if (entry / "cwd").readlink() == bench.folder / "run-1":
                    os.kill(int(entry.name), signal.SIGKILL)

    threading.Timer(0.3, end_it).start()
    failure = bench.failure(SLEEP)
    assert failure.kind is FailureKind.MEMORY
    assert "the step was killed, as the kernel does where" in failure.message
    assert "or the container is full" in failure.message
    assert "the script or somebody else has killed it" in failure.hint


def test_noise_in_place_of_an_outcome_is_a_crash(bench):
    for noise in ("b'\\x00\\x00\\x00\\x02ab'", "b'\\xff' * 9", "b'\\x00'"):
        failure = bench.failure(f"import os\nos.write(3, {noise})\nos._exit(0)")
        assert failure.kind is FailureKind.CRASH, noise


def test_an_outcome_without_a_result_is_refused(bench):
    text = textwrap.dedent("""
        import os
        from runner.execution.orders import StepOutcome, encode
        os.symlink("/etc/passwd", "result.csv")
        os.write(3, encode(StepOutcome(rows_out=5, result_file="/etc/passwd", sandbox="unbreakable")))
        os._exit(0)
    """)
    outcome = bench.run(text, allowed_imports=("runner",))
    assert outcome.failure.kind is FailureKind.RESULT
    assert outcome.result_file is None
    assert outcome.sandbox == bench.zygote.level


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("StepOutcome(result_file='result.csv')", FailureKind.CRASH),
        ("StepOutcome(failure=RunFailure(kind=FailureKind.CPU, message='x'))", FailureKind.SCRIPT),
        ("StepOutcome(failure=RunFailure(kind=FailureKind.TIMEOUT, message='x'))", FailureKind.SCRIPT),
    ],
)
def test_an_outcome_says_what_only_a_step_can_know(bench, said, kind):
    text = textwrap.dedent(f"""
        import os
        from runner.core.run import FailureKind, RunFailure
        from runner.execution.orders import StepOutcome, encode
        open("result.csv", "w").close()
        os.write(3, encode({said}))
        os._exit(0)
    """)
    outcome = bench.run(text, allowed_imports=("runner",))
    assert outcome.failure.kind is kind
    assert outcome.result_file is None


def test_a_script_may_close_its_outputs(bench):
    outcome = bench.run("import sys\nprint('before')\nsys.stdout.close()\nsys.stderr.close()\nresult = data")
    assert (outcome.failure, outcome.rows_out, outcome.output) == (None, 3, "before\n")


@pytest.mark.long
def test_endless_printing_is_cut(bench):
    for text in (
        "for n in range(200_000): print('x' * 50)\nresult = data",
        "import os\nfor n in range(2_000):\n    try: os.write(1, b'y' * 5000)\n    except BlockingIOError: pass\nresult = data",
    ):
        outcome = bench.run(text)
        assert outcome.failure is None
        assert len(outcome.output) < (64 << 10) + 100
        assert "the output was cut here, at 64 KiB" in outcome.output


@pytest.mark.long
def test_a_dead_zygote_is_started_again(own_zygote, bench_of, gone):
    bench = bench_of(own_zygote)
    first, waiting = own_zygote.pid, children_of(own_zygote.pid)
    os.kill(first, signal.SIGKILL)
    assert bench.csv("result = 1") == "result\n1\n"
    assert own_zygote.pid != first
    assert waiting
    assert all(gone(pid) for pid in waiting)


def test_a_step_under_way_fails_with_the_zygote(own_zygote, bench_of, gone):
    bench = bench_of(own_zygote)
    threading.Timer(0.5, os.kill, (own_zygote.pid, signal.SIGKILL)).start()
    outcome = bench.run(SLEEP)
    assert outcome.failure.kind is FailureKind.CRASH
    assert "repeated" in outcome.failure.hint
    assert gone(int(outcome.output))


def test_a_waiting_child_that_was_killed_is_replaced(own_zygote, bench_of):
    for pid in children_of(own_zygote.pid):
        os.kill(pid, signal.SIGKILL)
    time.sleep(0.2)
    assert bench_of(own_zygote).csv("result = 1") == "result\n1\n"


@pytest.mark.long
def test_a_first_child_that_was_killed_is_followed_by_another(bench_of, gone):
    """As where memory is short for a moment while the service starts."""
    zygote = Zygote(sandbox_mode="off", waiting=1)
    zygote.launch()
    # Without namespaces the process that was started is the zygote.
    parent = zygote._launched._process.pid
    while not (born := children_of(parent)):
        assert zygote._launched._process.poll() is None
    os.kill(born[0], signal.SIGKILL)
    try:
        zygote.start()
        # On a busy machine it may have said first that it is there.
        assert gone(born[0])
        assert bench_of(zygote).run("result = data").failure is None
    finally:
        zygote.close()


def test_a_polite_stop_leaves_the_steps_to_the_service(own_zygote, bench_of):
    bench = bench_of(own_zygote)
    pids = [own_zygote.pid, *children_of(own_zygote.pid)]
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGINT)
    assert bench.csv("result = 1") == "result\n1\n"
    assert own_zygote.pid == pids[0]


@pytest.mark.long
def test_closing_ends_every_child(bench_of, gone):
    zygote = Zygote(sandbox_mode="best-effort", waiting=2)
    zygote.start()
    pids = [zygote.pid, *children_of(zygote.pid)]
    zygote.close()
    assert all(gone(pid) for pid in pids)
    assert bench_of(zygote).failure("result = 1").kind is FailureKind.INTERNAL


@pytest.mark.long
def test_nothing_outlives_a_killed_service(tmp_path, gone):
    program = textwrap.dedent("""
        import sys, threading
        from runner.core.job import Step, StepKind
        from runner.core.source import FileType
        from runner.execution.orders import StepInput, StepOrder
        from runner.execution.zygote import Zygote
        zygote = Zygote(sandbox_mode="best-effort")
        zygote.start()
        step = Step(kind=StepKind.SCRIPT, text="import time; open('began', 'w').close(); time.sleep(60)", path="x")
        order = StepOrder(run_id="r", step=step, inputs=(StepInput(paths=(sys.argv[1] + "/in.csv",), format=FileType.CSV),), run_dir=sys.argv[1])
        print(zygote.pid, flush=True)
        zygote.run_step(order, cancelled=threading.Event())
    """)
    (tmp_path / "in.csv").write_text("a\n1\n")
    service = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with service:
        zygote = int(service.stdout.readline())
        deadline = time.monotonic() + 20
        while not (tmp_path / "began").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        pids = [zygote, *children_of(zygote)]
        service.kill()
        assert len(pids) >= 2
        assert all(gone(pid) for pid in pids)


def start_without(*calls, error=errno.ENOSYS):
    """Start a zygote where the kernel seems to lack some system calls, or a container to refuse them; answers with
    what came of it."""
    program = textwrap.dedent(f"""
        from runner.errors import RunnerError
        from runner.execution import limits, seccomp
        from runner.execution.syscalls import this_machine
        from runner.execution.zygote import Zygote
        limits.give_up_privileges()
        seccomp.install(seccomp.refusing_filter(this_machine(), {calls!r}, error={error}))
        for mode in ("strict", "best-effort"):
            zygote = Zygote(sandbox_mode=mode, waiting=1)
            try:
                zygote.start()
                print(mode, zygote.level)
            except RunnerError as error:
                print(mode, type(error).__name__, error.message, "|", error.hint)
            zygote.close()
    """)
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.long
def test_strict_refuses_where_a_layer_is_missing(zygote):
    if not zygote.level.startswith("landlock+seccomp"):
        pytest.skip(f"this machine gives {zygote.level}")
    strict, best = start_without("landlock_create_ruleset")
    assert strict.startswith("strict SandboxError SANDBOX=strict needs Landlock")
    assert "SANDBOX=best-effort" in strict
    assert "Use Linux 5.13 or newer" in strict
    assert best.removesuffix("+namespaces") == "best-effort seccomp"
    strict, _ = start_without("landlock_create_ruleset", error=errno.EPERM)
    assert "Operation not permitted | Let the seccomp profile of the container allow" in strict


def test_what_lies_where_a_step_has_its_temporary_files_is_told(bench, zygote):
    if not zygote.level.endswith("namespaces"):
        pytest.skip(f"this machine gives {zygote.level}")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        (Path(folder) / "in.csv").write_text("a\n1\n")
        failure = bench.failure("result = data", source=Path(folder) / "in.csv")
    assert failure.message.startswith(f"no step was run: {folder}/in.csv lies in /dev/shm")
    assert "in other folders" in failure.hint


def test_a_zygote_that_cannot_be_started_is_told(tmp_path, monkeypatch):
    # It needs no folder for temporary files: a container may have none.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ExecutionError, match=r"the zygote cannot be started: .*'/nowhere/python'") as refused:
        Zygote(sandbox_mode="strict").launch()
    assert "ulimit -u" in refused.value.hint


@pytest.mark.parametrize(
    ("folder", "place", "remedy"),
    [("/proc", "/proc/self", "mount -t proc proc /proc"), ("/dev", "/dev/null", "usual devices in /dev")],
)
def test_a_place_without_what_the_kernel_gives_is_told(folder, place, remedy):
    program = (
        "from runner.errors import ExecutionError\n"
        "from runner.execution.zygote import Zygote\n"
        "try:\n    Zygote(sandbox_mode='best-effort').start()\n"
        "except ExecutionError as error:\n    print(error.message, error.hint, sep='\\n')\n"
    )
    tools = [shutil.which(name) for name in ("unshare", "sh")]
    if not all(tools):
        pytest.skip("there is no unshare to make such a place with")
    alone = [tools[0], "--mount", *(["--user", "--map-root-user"] if os.geteuid() else [])]
    if subprocess.run([*alone, "true"], capture_output=True, check=False, timeout=20).returncode:
        pytest.skip("this user can have no mounts of its own")
    script = f'mount -t tmpfs tmpfs {folder} && exec "$@"'
    done = subprocess.run(
        [*alone, tools[1], "-c", script, "sh", sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    message, hint = done.stdout.splitlines()
    assert message == f"the zygote cannot be started: there is no {place} here"
    assert remedy in hint


def test_a_zygote_for_which_no_descriptor_is_left_keeps_none(monkeypatch):
    def no_more():
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr("runner.execution.zygote.open_scratch", no_more)
    before = set(Path("/proc/self/fd").iterdir())
    with pytest.raises(ExecutionError, match="Too many open files") as refused:
        Zygote(sandbox_mode="strict").launch()
    assert "ulimit -n" in refused.value.hint
    assert set(Path("/proc/self/fd").iterdir()) == before


@pytest.mark.long
def test_off_means_off(bench_of):
    zygote = Zygote(sandbox_mode="off", waiting=1)
    zygote.start()
    try:
        outcome = bench_of(zygote).run("import os\nos.listdir('/etc')\nresult = data")
        assert (outcome.failure, outcome.sandbox, zygote.level) == (None, "none", "none")
    finally:
        zygote.close()


def test_the_main_process_never_imports_what_is_heavy():
    program = (
        "import sys, runner.execution.zygote, runner.execution.executors, runner.execution.results\n"
        "print(sorted({'pandas', 'numpy', 'duckdb', 'pyarrow'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_log_tells_of_a_step(bench, caplog):
    caplog.set_level("INFO", "runner.execution.child")
    bench.run("result = data.head(1)")
    assert [record.getMessage().rpartition(" in ")[0] or record.getMessage() for record in caplog.records] == [
        "Starting script step",
        "Step finished: 3 rows in, 1 rows out",
    ]


@pytest.mark.long
def test_a_failed_fork_ends_no_other_run(bench, monkeypatch):
    from runner.execution import zygote as module

    pid = bench.zygote.pid
    take = module._Process.ask_for_child
    refused = threading.Event()

    def no_room_once(process):
        if not refused.is_set():
            refused.set()
            raise module._NoChildError("no child could be forked: Resource temporarily unavailable")
        return take(process)

    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(bench.run, "import time\ntime.sleep(1.5)\nresult = data")
        time.sleep(0.5)
        monkeypatch.setattr(module._Process, "ask_for_child", no_room_once)
        assert bench.run("result = data").failure is None, "it is tried again"
        assert refused.is_set()
        assert other.result(20).failure is None, "the one at work goes on"
    assert bench.zygote.pid == pid
