"""Attacks from inside a script: each must be refused, and the service must live on.

Each case is a script that does the forbidden thing and leaves what came of it in `result`; `refused` holds the errors
that count as a refusal.
"""

import contextlib
import os
import sqlite3
import sys
import tempfile
import textwrap
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

from runner.core.job import Step, StepKind
from runner.core.run import FailureKind
from runner.core.source import FileType
from runner.errors import ExecutionError
from runner.execution.namespaces import SCRATCH_FILES, SCRATCH_MB
from runner.execution.orders import StepInput, StepOrder
from runner.execution.results import open_result
from runner.execution.sandbox import _OWN_PROCESS
from runner.execution.trees import remove_tree
from runner.execution.zygote import ENVIRONMENT, Zygote

ROOT = Path(__file__).resolve().parents[2]

# The list of imports is a policy aid: behind it stands what is attacked here.
IMPORTS = (
    *("ctypes", "fcntl", "gc", "importlib", "mmap", "multiprocessing", "resource", "signal", "socket"),
    *("subprocess", "sys", "threading", "urllib"),
)
PRELUDE = """
import ctypes, os, sys, socket, signal, threading, resource, errno
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(*words):
    answer = libc.syscall(*(ctypes.c_long(word) if isinstance(word, int) else word for word in words))
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return answer
X86 = os.uname().machine == "x86_64"
"""


@pytest.fixture(scope="module")
def held_open(tmp_path_factory):
    """A descriptor that this process has while the zygote starts, and that programs it starts could inherit."""
    number = os.open(tmp_path_factory.mktemp("state") / "runner.db", os.O_RDWR | os.O_CREAT)
    os.set_inheritable(number, True)
    yield number
    os.close(number)


@pytest.fixture(scope="module")
def zygote(held_open):
    # The secret stands for all that the service's environment may hold.
    os.environ["PLANTED_SECRET"] = "planted-secret-4711"
    zygote = Zygote(sandbox_mode="best-effort")
    zygote.start()
    del os.environ["PLANTED_SECRET"]
    yield zygote
    zygote.close()


@pytest.fixture(autouse=True)
def _alive(zygote):
    """Whatever a test has done, the zygote is the same, and the next step is carried out."""
    pid = zygote.pid
    yield
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "in.csv").write_text("a\n1\n")
        order = StepOrder(
            run_id="next",
            step=Step(kind=StepKind.SCRIPT, text="result = data", path="jobs.d/next.yaml"),
            inputs=(StepInput(paths=(f"{folder}/in.csv",), format=FileType.CSV),),
            run_dir=folder,
        )
        assert zygote.run_step(order, cancelled=threading.Event()).failure is None
    assert zygote.pid == pid


@pytest.fixture
def run(zygote, tmp_path):
    if not zygote.level.startswith("landlock+seccomp"):
        pytest.skip(f"this machine gives {zygote.level}")
    run_dir, source = tmp_path / "run", tmp_path / "in.csv"
    run_dir.mkdir()
    source.write_text("a,b\n1,x\n2,y\n")

    def running(text, *, zygote=zygote, **more):
        step = Step(kind=StepKind.SCRIPT, text=PRELUDE + textwrap.dedent(text), path="jobs.d/attack.yaml")
        order = StepOrder(
            run_id="r",
            step=step,
            inputs=(StepInput(paths=(str(source),), format=FileType.CSV),),
            run_dir=str(run_dir),
            allowed_imports=IMPORTS,
            **{"timeout_seconds": 30.0, **more},
        )
        return zygote.run_step(order, cancelled=threading.Event())

    return running


@pytest.fixture
def without_namespaces(monkeypatch):
    """A zygote as on a machine that allows none."""
    none = "import runner.execution.namespaces as here; here._probe = lambda: 'none here'"
    boot = "from runner.execution import zygote_boot as boot; boot.main()"
    command = [sys.executable, "-c", f"__file__ = '<runner>'\n{none}\n{boot}"]
    monkeypatch.setattr("runner.execution.zygote.python_command", lambda _, *arguments: [*command, *arguments])
    monkeypatch.setitem(ENVIRONMENT, "PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))
    zygote = Zygote(sandbox_mode="best-effort", waiting=1)
    zygote.start()
    yield zygote
    zygote.close()


@pytest.fixture
def attack(run):
    """Runs one line that must be refused with one of some errors."""

    def attacking(line, *errors, **more):
        expected = errors or ("PermissionError",)
        outcome = run(
            f"""
            try:
                {line}
                result = "allowed"
            except BaseException as error:
                result = type(error).__name__
            """,
            **more,
        )
        assert outcome.failure is None, outcome.failure
        assert outcome.preview.rows[0][0] in expected, line

    return attacking


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/etc/hostname",
        "/root",
        "/home",
        "/tmp",
        "/var/log",
        "/proc/1/environ",
        "/proc/version",
        "/sys/kernel",
        "/dev/shm",
        "/proc/self/root/etc/passwd",
        "/proc/self/cwd/../in.csv.secret",
    ],
)
def test_files_of_the_host_cannot_be_read(attack, path):
    line = f"os.listdir({path!r}) if os.path.isdir({path!r}) else open({path!r}).read()"
    attack(line, "PermissionError", "FileNotFoundError", *(["NotADirectoryError"] if "cwd" in path else []))


def test_neither_the_service_nor_its_state_can_be_read(attack, zygote, tmp_path):
    state = tmp_path / "runner.db"
    state.write_text("state")
    (tmp_path / "run" / "link").symlink_to(state)
    for line in (
        f"open('/proc/{os.getpid()}/environ').read()",
        f"open('/proc/{os.getpid()}/mem', 'rb').read(1)",
        f"os.listdir('/proc/{os.getpid()}/fd')",
        f"open('/proc/{zygote.pid}/environ').read()",
        f"open('/proc/{zygote.pid}/mem', 'r+b').read(1)",
        f"os.listdir('/proc/{zygote.pid}/task')",
        f"open({str(state)!r}).read()",
        "open('link').read()",
        "open('../runner.db').read()",
        "os.listdir('..')",
    ):
        attack(line)
    # Landlock answers EXDEV where a file would come from a folder with other rights.
    attack("os.link('../runner.db', 'mine')", "PermissionError", "OSError")
    assert state.stat().st_nlink == 1
    assert state.read_text() == "state"


@pytest.fixture
def state(tmp_path):
    """A database as the service holds its own, in the folder above that of the run; whoever reads it finds `4711`."""
    path = tmp_path / "runner.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = wal")
        database.execute("CREATE TABLE mails AS SELECT 'planted-secret-4711' AS body")
        database.commit()
        yield path


@pytest.mark.long
def test_the_database_that_the_service_has_open_cannot_be_read(attack, state, tmp_path):
    (tmp_path / "run" / "link").symlink_to(state)
    (tmp_path / "run" / "folder").symlink_to(tmp_path)
    service = f"/proc/{os.getpid()}"
    number = os.open(state, os.O_RDWR)
    names = (
        f"{service}/fd/{number}",
        f"{service}/cwd/{state}",
        f"{service}/root{state}",
        "link",
        "folder/runner.db",
    )
    for path in (*names, "../runner.db", *(f"{state}{end}" for end in ("", "-wal", "-shm"))):
        attack(f"open({path!r}, 'rb')")
        attack(f"open({path!r}, 'r+b')")
    attack(f"os.readlink('{service}/fd/{number}')")
    attack(f"call(438, call(434, {os.getpid()}, 0), {number}, 0)")
    attack("open(f'/proc/self/fd/{os.open(\"link\", os.O_PATH)}')")
    for uri in (f"file:{state}", f"file:{state}?mode=ro&immutable=1", "file:link?mode=ro"):
        attack(
            f"__import__('sqlite3').connect({uri!r}, uri=True).execute('SELECT * FROM mails')", "OperationalError"
        )
    attack(f"__import__('duckdb').sql(\"FROM read_blob('{state}')\").fetchall()", "IOException")
    attack("__import__('duckdb').connect('link', read_only=True)", "IOException")
    os.close(number)


def test_no_descriptor_leads_to_what_the_service_had_open(run, held_open):
    outcome = run(
        """
        found = []
        for number in range(1024):
            try:
                about = os.fstat(number)
                found.append(f"{about.st_dev}:{about.st_ino}")
            except OSError:
                pass
        result = pd.DataFrame({"file": found})
        """
    )
    assert outcome.failure is None, outcome.failure
    about = os.fstat(held_open)
    found = {row[0] for row in outcome.preview.rows}
    assert found
    assert f"{about.st_dev}:{about.st_ino}" not in found


def test_no_descriptor_of_the_service_is_there(run):
    outcome = run("result = pd.DataFrame({'fd': sorted(int(n) for n in os.listdir('/proc/self/fd'))})")
    assert outcome.failure is None
    open_files = [int(row[0]) for row in outcome.preview.rows]
    # 0 to 3, the pinned /proc/self or what is allowed of it, and the one that lists them.
    pinned = 1 if outcome.sandbox.endswith("namespaces") else 1 + len(_OWN_PROCESS)
    assert set(open_files) - set(range(5 + pinned)) == set()


@pytest.mark.long
def test_nothing_can_be_written_elsewhere(attack, tmp_path):
    (tmp_path / "other").mkdir()
    for line in (
        "open('../stolen', 'w')",
        "open('/tmp/stolen', 'w')",
        "open('/dev/shm/stolen', 'w')",
        "os.mkdir('../folder')",
        "os.rename(os.getcwd(), '../moved')",
        "os.remove('../in.csv')",
        "open('../in.csv', 'a')",
        "os.truncate('../in.csv', 0)",
        "os.chmod('../in.csv', 0o777)",
        "os.chown('../in.csv', 0, 0)",
        "os.symlink('x', '/tmp/link')",
        "os.utime('../in.csv', (0, 0))",
        "os.setxattr('../in.csv', 'user.x', b'x')",
        "__import__('multiprocessing.shared_memory').shared_memory.SharedMemory(create=True, size=10)",
        "__import__('multiprocessing').Lock()",
        "open(os.path.join(os.path.dirname(os.__file__), 'stolen.py'), 'w')",
        "os.fchmod(os.open(os.__file__, os.O_RDONLY), 0o777)",
        "os.mkfifo('pipe')",
        "os.mknod('device', 0o600 | 0o20000, os.makedev(1, 3))",
        "open('/proc/self/oom_score_adj', 'w')",
        "open('/proc/self/uid_map', 'w')",
        "open('/proc/self/mem', 'r+b')",
    ):
        attack(line)
    # Landlock answers EXDEV where a file would go to a folder with other rights.
    attack("os.link('../in.csv', 'mine')", "PermissionError", "OSError")
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["in.csv", "other", "run"]


def test_no_socket_of_any_family(run):
    outcome = run(
        """
        answers = []
        def ask(family, kind, way):
            try:
                way(family, kind)
                answers.append((family, kind, "allowed"))
            except OSError as error:
                if error.errno != errno.EPERM:
                    answers.append((family, kind, error.strerror))
        pair = (ctypes.c_int * 2)()
        for family in range(64):
            for kind in range(1, 11):
                ask(family, kind, socket.socket)
                ask(family, kind, lambda family, kind: call(53 if X86 else 199, family, kind, 0, pair))
        result = repr(answers)
        """
    )
    assert outcome.failure is None, outcome.failure
    assert outcome.preview.rows == (("[]",),)


def test_no_network_by_other_ways(attack):
    attack("socket.socketpair()")
    attack("__import__('urllib.request').request.urlopen('http://127.0.0.1:1/')", "URLError")
    attack("call(425, 8, ctypes.create_string_buffer(120))")
    attack("call(426, 3, 1, 0, 0, 0, 0)")
    attack("call(427, 3, 0, 0, 0)")
    # An abstract socket has no file that Landlock could see.
    attack("socket.socket(socket.AF_UNIX).connect('\\0service')")


def test_no_other_process(attack):
    for line in (
        "os.fork()",
        "os.posix_spawn('/bin/true', ['true'], {})",
        "os.execv('/bin/true', ['true'])",
        "__import__('subprocess').run(['true'])",
        "call(56 if X86 else 220, signal.SIGCHLD, 0, 0, 0, 0)",
        "call(57 if X86 else 220, 0, 0, 0, 0, 0)",
        "call(322 if X86 else 281, 3, b'/bin/true', 0, 0, 0)",
        "os.forkpty()",
        "os.setsid()",
        "os.setpgid(0, 0)",
    ):
        attack(line)
    attack("__import__('multiprocessing').Process(target=print).start()")
    # glibc tries another way then; a script may not know it.
    attack("call(435, ctypes.create_string_buffer(88), 88)", "OSError")


def test_a_fork_bomb_makes_no_process(run):
    outcome = run(
        """
        import time
        made, deadline = [], time.monotonic() + 0.3
        ways = os.fork, lambda: call(56 if X86 else 220, 17, 0, 0, 0, 0), lambda: os.posix_spawn("/bin/sh", ["sh"], {})
        def bomb():
            while time.monotonic() < deadline:
                for way in ways:
                    try:
                        made.append(way())
                    except PermissionError:
                        pass
        threads = [threading.Thread(target=bomb) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        result = len(made)
        """
    )
    assert outcome.failure is None, outcome.failure
    assert outcome.preview.rows == (("0",),)


def test_signals_reach_nobody_else(attack, zygote):
    for line in (
        "os.kill(os.getppid(), 9)",
        f"os.kill({os.getpid()}, 15)",
        "os.kill(-1, 9)",
        "os.killpg(os.getpgid(os.getppid()), 9)",
        "os.pidfd_open(os.getppid())",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
        "os.sched_setaffinity(os.getppid(), {0})",
        "os.sched_setaffinity(0, {0})",
        "os.kill(0, 9)",
        "__import__('fcntl').ioctl(0, 0x5412, b'x')",
        "__import__('fcntl').fcntl(1, 8, os.getppid())",
        "resource.prlimit(os.getppid(), resource.RLIMIT_NOFILE, (1, 1))",
        "call(234 if X86 else 131, os.getppid(), os.getppid(), 9)",
        "call(200 if X86 else 130, os.getppid(), 9)",
        "call(129 if X86 else 138, os.getppid(), 9, ctypes.create_string_buffer(128))",
        "call(424, 3, 9, 0, 0)",
    ):
        attack(line)
    assert Path(f"/proc/{zygote.pid}").exists()


def test_a_script_may_signal_itself(run):
    outcome = run(
        "signal.signal(signal.SIGUSR1, lambda *_: print('heard'))\nos.kill(os.getpid(), signal.SIGUSR1)\nresult = 1"
    )
    assert (outcome.failure, outcome.output) == (None, "heard\n")


@pytest.mark.long
def test_no_privileges_and_no_kernel_machinery(attack):
    for line in (
        "os.memfd_create('x')",
        "os.setuid(65534)",
        "os.setgroups([])",
        "os.chroot('.')",
        "os.unshare(0x10000000) if hasattr(os, 'unshare') else call(272 if X86 else 97, 0x10000000)",
        "call(165 if X86 else 40, b'none', b'/tmp', b'tmpfs', 0, 0)",
        "call(101 if X86 else 117, 16, os.getppid(), 0, 0)",
        "call(310 if X86 else 270, os.getppid(), 0, 0, 0, 0, 0)",
        "call(321 if X86 else 280, 0, 0, 0)",
        "call(298 if X86 else 241, 0, 0, 0, 0, 0)",
        "call(323 if X86 else 282, 0)",
        "call(250 if X86 else 219, 0, 0, 0, 0, 0)",
        "call(29 if X86 else 194, 0, 4096, 0o1600)",
        "call(64 if X86 else 190, 0, 1, 0o1600)",
        "call(68 if X86 else 186, 0, 0o1600)",
        "call(240 if X86 else 180, b'queue', 0o102, 0o600, 0)",
        "call(294 if X86 else 26, 0)",
        "call(300 if X86 else 262, 0, 0)",
        "call(447, 0)",
        "call(430, b'tmpfs', 0)",
        "call(272 if X86 else 97, 0x10020000)",
        "os.setresuid(0, 0, 0)",
        "call(308 if X86 else 268, 0, 0)",
        "call(304 if X86 else 265, -1, 0, 0)",
    ):
        attack(line)
    attack("call(435, 0, 0)", "OSError")
    attack("call(470, 0, 0)", "OSError")


@pytest.mark.long
def test_limits_cannot_be_raised_again(attack):
    for name in ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_FSIZE"):
        attack(
            f"resource.setrlimit(resource.{name}, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))",
            "PermissionError",
            "ValueError",
        )
    for name in ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_CPU", "RLIMIT_NOFILE", "RLIMIT_FSIZE", "RLIMIT_NPROC"):
        attack(f"call(302 if X86 else 261, 0, resource.{name}, ctypes.create_string_buffer(b'\\xff' * 16), 0)")
        attack(f"call(160 if X86 else 164, resource.{name}, ctypes.create_string_buffer(b'\\xff' * 16))")
    # Nor lowered: a bound that the step has set itself would be told as another one.
    attack("resource.setrlimit(resource.RLIMIT_NOFILE, (8, 8))", "ValueError")


def test_nothing_is_hidden_from_who_watches_the_disk(attack):
    # A rule on a file keeps it on the disk when nothing else does, and what may not be dumped cannot be looked into.
    attack("call(444, ctypes.create_string_buffer(b'\\1', 8), 8, 0)")
    attack("call(445, 9, 1, ctypes.create_string_buffer(12), 0)")
    attack("call(446, 9, 0)")
    attack("call(157 if X86 else 167, 4, 0, 0, 0, 0)")


def test_threads_that_were_there_first_are_bound_too(attack):
    # DuckDB works in threads of its own: a reader there is as bound as the script.
    attack(
        "__import__('duckdb').connect().execute(\"SELECT * FROM read_text('/etc/passwd')\").fetchall()",
        "IOException",
    )
    attack(
        "[__import__('gc').get_objects() and c.execute(\"SELECT * FROM read_text('/etc/passwd')\").fetchall()"
        " for c in __import__('gc').get_objects() if type(c).__name__ == 'DuckDBPyConnection'][0][0]",
        "IOException",
        "IndexError",
    )


def test_no_secret_is_in_the_child(run):
    outcome = run(
        """
        text = "\\n".join(f"{k}={v}" for k, v in os.environ.items()) + open("/proc/self/environ").read()
        print(sorted(os.environ))
        result = ("PLANTED" in text) or ("planted-secret-4711" in text) or ("PATH" in os.environ)
        """
    )
    assert outcome.failure is None
    assert outcome.preview.rows == (("False",),)


@pytest.mark.parametrize(
    "text",
    [
        "x = bytearray(10 << 30)",
        "x = np.ones(10 << 27)",
        "import mmap\nx = mmap.mmap(-1, 10 << 30, flags=mmap.MAP_PRIVATE)\nfor n in range(0, 10 << 30, 4096): x[n] = 1",
        "x = []\nwhile True: x.append('y' * (1 << 20) + str(len(x)))",
        "x = __import__('duckdb').connect().execute('SELECT list(range) FROM range(2000000000)').fetchall()",
    ],
)
def test_memory_is_bounded(run, text):
    outcome = run(text, memory_mb=256)
    assert outcome.failure is not None
    assert outcome.failure.kind in {FailureKind.MEMORY, FailureKind.SCRIPT}
    assert run("result = 1").failure is None


def test_no_memory_is_left_in_a_pipe(attack):
    words = "(ctypes.c_void_p * 2)(ctypes.addressof(ctypes.create_string_buffer(4096)), 4096)"
    attack(f"call(278 if X86 else 75, os.pipe()[1], {words}, 1, 0)")
    attack("os.splice(os.open(os.__file__, os.O_RDONLY), os.pipe()[1], 1)")
    attack("os.sendfile(os.pipe()[1], os.open(os.__file__, os.O_RDONLY), 0, 1)", "OSError")
    attack("call(276 if X86 else 77, os.pipe()[0], os.pipe()[1], 1, 0)")


def test_a_thread_bomb_ends_by_itself(run):
    outcome = run(
        """
        import time
        try:
            for n in range(100_000):
                threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        except RuntimeError:
            result = n
        """,
        memory_mb=256,
        timeout_seconds=20,
    )
    # The bound on memory is met first by a new thread's stack, or by whatever the script does next.
    if outcome.failure is None:
        assert int(outcome.preview.rows[0][0]) < 2000
    else:
        assert outcome.failure.kind is FailureKind.MEMORY
    assert run("result = 1").failure is None


def test_a_large_file_has_an_end(run):
    outcome = run("with open('big', 'wb') as f: f.truncate(5 << 30)")
    assert outcome.failure.kind is FailureKind.SCRIPT
    assert "File too large" in outcome.failure.message


@pytest.mark.long
@pytest.mark.parametrize(
    "text",
    [
        "while True: print('x' * 1000)",
        "while True: print('x' * 1000, file=sys.stderr, flush=True)",
        "import logging\nwhile True: logging.warning('x' * 1000)",
        """
        def write():
            while True:
                try:
                    os.write(1, b"x" * 4096)
                except BlockingIOError:
                    pass
        for _ in range(4): threading.Thread(target=write).start()
        write()
        """,
    ],
    ids=["print", "stderr", "logging", "write"],
)
def test_endless_printing_is_cut_and_ends_with_the_time_out(run, text):
    started = time.monotonic()
    outcome = run(text, timeout_seconds=0.7)
    assert time.monotonic() - started < 1.7
    assert outcome.failure.kind is FailureKind.TIMEOUT
    assert 60_000 < len(outcome.output) < (64 << 10) + 100
    assert "the output was cut here, at 64 KiB" in outcome.output


@pytest.mark.long
def test_a_deep_folder_is_removed(run, tmp_path):
    outcome = run("for n in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\nresult = 1")
    # A machine that takes its time over it gives the watch on the disk a chance to end it.
    assert outcome.failure is None or outcome.failure.kind is FailureKind.DISK
    remove_tree(tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_ignoring_signals_does_not_help_against_the_time_out(run):
    started = time.monotonic()
    outcome = run(
        """
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        threading.Thread(target=threading.Event().wait).start()
        while True:
            pass
        """,
        timeout_seconds=0.7,
    )
    assert outcome.failure.kind is FailureKind.TIMEOUT
    assert time.monotonic() - started < 1.7


def test_a_result_that_lies_is_a_failure_or_a_table(run):
    liar = """
    class Liar(pd.DataFrame):
        @property
        def columns(self): raise SystemError("no")
    result = Liar({"a": [1]})
    """
    endless = "class Endless(pd.DataFrame):\n    def __len__(self): return 10 ** 30\nresult = Endless({'a': [1]})"
    for text in (liar, endless):
        outcome = run(text)
        assert (outcome.failure, outcome.rows_out, outcome.preview.rows) == (None, 1, (("1",),))
    for text in (
        "class Sly:\n    __class__ = pd.DataFrame\nresult = Sly()",
        "result = lambda: 1",
        "result = pd.DataFrame({'a': [type('T', (), {'__str__': lambda self: 1 / 0})()]})",
        "result = pd.DataFrame({'a': [type('T', (), {'__str__': lambda self: 'x' * (10 << 30)})()]})",
        "result = pd.DataFrame({'a': [type('T', (), {'__str__': lambda self: os._exit(0)})()]})",
    ):
        assert run(text).failure is not None, text


@pytest.mark.parametrize(
    "lie",
    [
        "shape = (10 ** 12, 3)",
        "def to_csv(self, *_, **__): open('result.csv', 'w').write('lie')",
        "def items(self): return iter(())",
        "def copy(self, *_, **__): return 5",
        "def reset_index(self, *_, **__): return 5",
        "def __getitem__(self, key): raise MemoryError",
        "def __array__(self, *_, **__): os._exit(0)",
        "dtypes = 5",
        "columns = ['x', 'y']",
        "index = None",
        "def __len__(self): return -1",
        "def __getattribute__(self, name): raise SystemExit(0)",
        "def __getattribute__(self, name): raise KeyboardInterrupt",
    ],
)
def test_a_table_whose_methods_lie_is_refused_or_written_as_it_is(run, tmp_path, lie):
    outcome = run(f"class Liar(pd.DataFrame):\n    {lie}\nresult = Liar({{'a': [1, 2]}})")
    if outcome.failure is None:
        assert (tmp_path / "run" / outcome.result_file).read_text() == "a\n1\n2\n"
        assert (outcome.rows_out, outcome.preview.rows) == (2, (("1",), ("2",)))
    else:
        assert outcome.result_file is None


@pytest.mark.long
@pytest.mark.parametrize(
    "text",
    ["while True: pass", "import time; time.sleep(60)", "sum(range(1 << 60))"],
    ids=["spins", "sleeps", "stuck in C"],
)
def test_a_cell_of_the_result_that_never_gives_its_text_ends_with_the_time_out(run, text):
    started = time.monotonic()
    outcome = run(
        f"class Endless:\n    def __str__(self):\n        {text}\nresult = pd.DataFrame({{'a': [Endless()]}})",
        timeout_seconds=0.7,
    )
    assert outcome.failure.kind is FailureKind.TIMEOUT
    assert time.monotonic() - started < 1.7


@pytest.mark.parametrize(
    "text",
    [
        "import builtins\nbuiltins.len = lambda _: 7",
        "import builtins\nbuiltins.isinstance = lambda *_: True",
        "import builtins\nbuiltins.open = builtins.print = None",
        "pd.DataFrame = pd.Series = None",
        "__import__('duckdb').connect = None",
        "os.open = os.write = os.rename = None",
        "for name in list(sys.modules): del sys.modules[name]",
        "import gc\nfor found in gc.get_objects():\n    if type(found) is dict and found.get('__name__', '').startswith('runner'): found.clear()",
    ],
)
def test_a_script_that_breaks_what_carries_it_out_hurts_itself_alone(run, tmp_path, text):
    outcome = run(f"{text}\nresult = data", timeout_seconds=5.0)
    if outcome.failure is None:
        assert (tmp_path / "run" / outcome.result_file).read_text() == "a,b\n1,x\n2,y\n"
    else:
        assert outcome.result_file is None


def test_a_huge_result_is_bounded(run):
    text = "result = pd.DataFrame({'a': np.broadcast_to(np.array(['x' * (1 << 20)], dtype=object), (100_000,))})"
    outcome = run(text, memory_mb=256, timeout_seconds=2.0)
    assert outcome.failure.kind in {FailureKind.MEMORY, FailureKind.RESULT, FailureKind.TIMEOUT}
    assert outcome.result_file is None


def test_another_run_is_out_of_reach(attack, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "result.csv").write_text("theirs")
    for line in (
        "open('../other/result.csv').read()",
        "open('../other/result.csv', 'w')",
        "open('mine', 'w').close(); os.replace('mine', '../other/result.csv')",
        "os.remove('../other/result.csv')",
        "os.listdir(os.open('../other', os.O_PATH | os.O_DIRECTORY))",
    ):
        attack(line, "PermissionError", "OSError")
    assert (other / "result.csv").read_text() == "theirs"


@pytest.mark.parametrize("name", ["result.csv", "chart.png"])
def test_a_link_in_the_place_of_a_result_is_not_followed(run, tmp_path, name):
    theirs, place = tmp_path / "theirs", tmp_path / "run" / name
    theirs.write_text("theirs")
    outcome = run(
        f"""
        os.symlink({str(theirs)!r}, {name!r})
        def swap():
            for n in range(200):
                try:
                    os.symlink({str(theirs)!r}, "link")
                    os.replace("link", {name!r})
                except OSError:
                    pass
        threading.Thread(target=swap, daemon=True).start()
        result = data
        """
    )
    assert theirs.read_text() == "theirs"
    assert outcome.chart_file is None
    if place.is_symlink():
        assert name == "chart.png" or outcome.result_file is None
        with pytest.raises(ExecutionError):
            open_result(tmp_path / "run", name)


def test_shared_memory_has_an_end(run, zygote):
    if not zygote.level.endswith("namespaces"):
        pytest.skip(f"this machine gives {zygote.level}")
    outcome = run(
        f"""
        import tempfile
        with tempfile.NamedTemporaryFile() as file:
            try:
                os.posix_fallocate(file.fileno(), 0, {2 * SCRATCH_MB} << 20)
                result = "allowed"
            except OSError as error:
                result = errno.errorcode[error.errno]
        """
    )
    assert outcome.preview.rows == (("ENOSPC",),)


def test_temporary_files_are_bounded(run, zygote):
    outcome = run(
        """
        import tempfile
        folder = tempfile.gettempdir()
        room = os.statvfs(folder)
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x")
        result = pd.DataFrame({"own": [folder != os.getcwd()], "mib": [room.f_blocks * room.f_frsize >> 20]})
        """
    )
    assert outcome.failure is None
    if zygote.level.endswith("namespaces"):
        assert outcome.preview.rows == (("True", str(SCRATCH_MB)),)
    full = run("raise OSError(28, 'No space left on device')").failure
    assert f"{SCRATCH_MB} MiB" in full.hint
    assert f"{SCRATCH_FILES:,}" in full.hint


def test_the_network_of_the_machine_is_not_seen_where_there_are_no_namespaces(attack, run, without_namespaces):
    for name in ("tcp", "arp", "route", "unix"):
        attack(f"open('/proc/self/net/{name}').read()", zygote=without_namespaces)
        attack(f"open(f'/proc/self/task/{{os.getpid()}}/net/{name}').read()", zygote=without_namespaces)
    attack("open('/proc/net/tcp').read()", zygote=without_namespaces)
    kept = run(
        """
        entries = ("cgroup", "maps", "mountinfo", "stat", "statm", "status")
        assert all(open(f"/proc/self/{entry}").read() for entry in entries)
        assert os.listdir("/proc/self/task") == [str(os.getpid())]
        result = data
        """,
        zygote=without_namespaces,
    )
    assert kept.failure is None, kept.failure.traceback
    assert kept.sandbox == "landlock+seccomp"


def test_a_legitimate_script_notices_nothing(run, tmp_path):
    use_the_libraries(run, tmp_path)


def test_nor_does_it_where_there_are_no_namespaces(run, without_namespaces, tmp_path):
    use_the_libraries(run, tmp_path, zygote=without_namespaces)


def use_the_libraries(run, tmp_path, **more):
    pd.DataFrame({"x": range(50_000)}).to_parquet(tmp_path / "run" / "given.parquet")
    outcome = run(
        """
        import concurrent.futures, datetime, decimal, json, os, re, shelve, shutil, sqlite3, statistics, tempfile
        import zoneinfo
        import duckdb
        matrix = np.random.default_rng(1).random((200, 200))
        assert np.allclose(np.linalg.inv(matrix) @ matrix, np.eye(200), atol=1e-6)
        assert np.linalg.svd(matrix)[1].size == 200
        times = pd.date_range("2025-03-29", periods=48, freq="h", tz="Europe/Berlin").tz_convert("America/New_York")
        assert str(times[0].tz) == "America/New_York"
        assert zoneinfo.ZoneInfo("Asia/Tokyo").utcoffset(datetime.datetime(2025, 1, 1)).seconds == 32400
        given = pd.read_parquet("given.parquet")
        given.to_parquet("copy.parquet")
        total = duckdb.sql("SELECT sum(x)::BIGINT AS s FROM 'copy.parquet'").fetchall()[0][0]
        local = duckdb.connect("own.db")
        local.execute("SET threads = 2")
        local.execute("CREATE TABLE t AS SELECT * FROM range(100000)")
        assert duckdb.sql("SELECT count(*) FROM given").fetchall() == [(50000,)]
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(abs, range(100))) == 4950
        with sqlite3.connect("own.sqlite") as db:
            db.execute("CREATE TABLE t (a)")
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"x")
            file.flush()
            shutil.copyfile(file.name, "x")
        assert open("x").read() == "x"
        shutil.copyfile("given.parquet", "again.parquet")
        assert pd.read_parquet("again.parquet").equals(given)
        os.mkdir("folder")
        for copy in (shutil.copy, shutil.copy2):
            copy("given.parquet", "folder")
        shutil.copytree("folder", "other")
        os.chmod("other", 0o755)
        assert pd.read_parquet("other/given.parquet").equals(given)
        with shelve.open("kept") as kept:
            kept["a"] = 1
        for engine in ("xlsxwriter", "openpyxl"):
            data.to_excel("own.xlsx", engine=engine, index=False)
            assert pd.read_excel("own.xlsx", engine="calamine").equals(data)
        merged = data.merge(data, on="a").groupby("b_x", as_index=False)["a"].sum()
        result = merged.assign(total=total)
        """,
        **more,
    )
    assert outcome.failure is None, outcome.failure.traceback
    assert outcome.preview.rows == (("x", "1", "1249975000"), ("y", "2", "1249975000"))
