"""What a script could do beyond its own folder and its own share without breaking a wall: it is refused, or meets a
bound that the run names."""

import fcntl
import os
import textwrap
import threading
import time
from pathlib import Path

import pytest

from runner.core.run import FailureKind
from runner.execution import disk
from runner.execution.processes import written_bytes
from runner.execution.zygote import Zygote

IMPORTS = ("ctypes", "errno", "fcntl", "mmap", "os", "struct", "threading", "time")


@pytest.fixture(scope="module")
def zygote():
    """One of its own, with every layer or none."""
    zygote = Zygote(sandbox_mode="strict")
    zygote.start()
    yield zygote
    zygote.close()


@pytest.fixture
def run(zygote, script_order, tmp_path):
    folder, source = tmp_path / "run", tmp_path / "in.csv"

    def running(text, **more):
        text = f"import {', '.join(IMPORTS)}\nsource = {str(source)!r}\n{textwrap.dedent(text)}"
        order = script_order(folder, text, allowed_imports=IMPORTS, **more)
        return zygote.run_step(order, cancelled=threading.Event())

    yield running
    assert source.read_text() == "a\n1\n"
    assert running("result = data").failure is None


@pytest.mark.parametrize(
    "line",
    [
        "os.open(source, os.O_RDONLY | os.O_TRUNC)",
        "fcntl.fcntl(file, 1024, 0)",
        "fcntl.fcntl(file, 1031, 1 << 20)",
        "fcntl.ioctl(file, 0x40086602, (8).to_bytes(8, 'little'))",
        "os.fchmod(file.fileno(), 0o777)",
        "os.utime(source)",
        "os.open(source, os.O_WRONLY | os.O_RDWR | os.O_TRUNC)",
    ],
)
def test_an_input_cannot_be_emptied_held_or_marked(run, line):
    outcome = run(f"""
        file = open(source)
        try:
            {line}
            result = "allowed"
        except OSError as error:
            result = error.strerror
        """)
    assert outcome.failure is None, outcome.failure
    assert outcome.preview.rows[0][0] in {"Operation not permitted", "Permission denied"}


def test_attributes_of_a_file_outside_are_not_read(run, tmp_path):
    (tmp_path / "theirs").touch()
    try:
        os.setxattr(tmp_path / "theirs", "user.address", b"planted-secret-4711")
    except OSError:
        pytest.skip("files have no attributes here")
    outcome = run("""
        import shutil
        found = []
        for ask in (os.listxattr, lambda path: os.getxattr(path, "user.address")):
            try:
                found.append(str(ask("../theirs")))
            except OSError as error:
                found.append(str(error.errno == errno.EOPNOTSUPP))
        # As on a file system that has none.
        shutil.copy2(source, "copy")
        result = found
        """)
    assert outcome.failure is None, outcome.failure
    assert outcome.preview.rows == (("True",), ("True",))


def test_no_step_waits_for_the_disk(run):
    """Gibibytes on their way there, and who waits for them cannot be ended."""
    outcome = run("""
        libc = ctypes.CDLL(None, use_errno=True)
        # Of a pipe, nothing can be brought to a disk: an answer other than EINVAL comes from the filter.
        pipe = os.pipe()[1]
        sync_file_range = 277 if os.uname().machine == "x86_64" else 84
        result = [
            os.fsync(pipe),
            os.fdatasync(pipe),
            libc.syscall(sync_file_range, pipe, ctypes.c_long(0), ctypes.c_long(0), 7),
        ]
        for flag in (os.O_SYNC, os.O_DSYNC):
            try:
                result.append(os.open("own", os.O_CREAT | os.O_WRONLY | flag))
            except PermissionError:
                result.append("refused")
        own = os.open("own", os.O_CREAT | os.O_WRONLY)
        for flag in (0, os.RWF_SYNC, os.RWF_DSYNC):
            try:
                result.append(os.pwritev(own, [b"x"], 0, flag))
            except OSError as error:
                result.append(error.errno == errno.EOPNOTSUPP)
        result = list(map(str, result))
        """)
    assert outcome.failure is None, outcome.failure
    answers = ["None", "None", "0", "refused", "refused", "1", "True", "True"]
    assert [row[0] for row in outcome.preview.rows] == answers


def test_nobody_waits_for_a_lock_of_a_step(run):
    outcome = run("""
        try:
            fcntl.flock(open(source), fcntl.LOCK_EX)
            result = "allowed"
        except OSError as error:
            result = error.errno == errno.ENOSYS
        os.sync()
        """)
    assert outcome.failure is None, outcome.failure
    assert outcome.preview.rows == (("True",),)


def test_a_lock_of_a_step_is_had_and_keeps_nobody_out(run, tmp_path):
    refused = []

    def write():
        while not (tmp_path / "run" / "locked").exists():
            time.sleep(0.01)
        with (tmp_path / "in.csv").open("r+") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                refused.append(error)
        (tmp_path / "run" / "written").touch()

    writer = threading.Thread(target=write)
    writer.start()
    outcome = run("""
        own, its = open("own", "w"), open(source)
        fcntl.lockf(own, fcntl.LOCK_EX)
        fcntl.lockf(its, fcntl.LOCK_SH)
        open("locked", "w").close()
        while not os.path.exists("written"):
            time.sleep(0.01)
        result = data
        """)
    writer.join()
    assert outcome.failure is None, outcome.failure
    assert refused == []


def test_the_next_step_finds_standard_input_as_it_was(run):
    text = """
        before = fcntl.fcntl(0, fcntl.F_GETFL)
        fcntl.fcntl(0, fcntl.F_SETFL, before | os.O_NONBLOCK | os.O_APPEND)
        result = [before & (os.O_NONBLOCK | os.O_APPEND), os.read(0, 1)]
        """
    for outcome in (run(text), run(text)):
        assert outcome.failure is None, outcome.failure
        assert outcome.preview.rows == (("0",), ("b''",))


def test_no_lock_outlives_a_step(run):
    outcome = run("""
        lock = struct.pack("hhqqi", fcntl.F_RDLCK, os.SEEK_SET, 4711, 1, 0)
        try:
            fcntl.fcntl(0, fcntl.F_OFD_SETLK, lock)
            result = "allowed"
        except PermissionError:
            result = "refused"
        """)
    assert outcome.failure is None, outcome.failure
    assert outcome.preview.rows == (("refused",),)
    assert not [line for line in Path("/proc/locks").read_text().splitlines() if line.endswith(" 4711 4711")]


def test_no_thread_has_descriptors_of_its_own(run):
    outcome = run("""
        libc = ctypes.CDLL(None, use_errno=True)
        place = mmap.mmap(-1, 8192, flags=mmap.MAP_PRIVATE)
        top = ctypes.addressof(ctypes.c_char.from_buffer(place)) + 8192
        # CLONE_VM, CLONE_FS, CLONE_SIGHAND, CLONE_THREAD: `pause` is what it would do.
        flags = 0x100 | 0x200 | 0x800 | 0x10000
        started = libc.clone(ctypes.cast(libc.pause, ctypes.c_void_p), ctypes.c_void_p(top), flags, None)
        result = [started, ctypes.get_errno() == errno.EPERM]
        """)
    assert outcome.failure is None, outcome.failure
    assert outcome.preview.rows == (("-1",), ("True",))


def test_no_thread_gets_descriptors_of_its_own_while_it_closes_some(run):
    outcome = run("""
        libc = ctypes.CDLL(None, use_errno=True)
        own = os.open("own", os.O_CREAT | os.O_WRONLY)

        def close(flags):
            done = libc.syscall(ctypes.c_long(436), own, own, flags)
            found.append(errno.errorcode[ctypes.get_errno()] if done else "closed")

        found = []
        # CLOSE_RANGE_UNSHARE, and the same with CLOSE_RANGE_CLOEXEC.
        for flags in (2, 6, 0):
            thread = threading.Thread(target=close, args=(flags,))
            thread.start()
            thread.join()
        result = found
        """)
    assert outcome.failure is None, outcome.failure
    assert outcome.preview.rows == (("EPERM",), ("EPERM",), ("closed",))


def test_room_on_the_disk_is_not_taken_at_once(run):
    outcome = run("""
        libc = ctypes.CDLL(None, use_errno=True)
        file = os.open("large", os.O_CREAT | os.O_RDWR)
        answer = libc.fallocate(file, 0, ctypes.c_long(0), ctypes.c_long(1 << 30))
        result = [answer, ctypes.get_errno() == errno.EOPNOTSUPP, os.fstat(file).st_blocks]
        """)
    assert [row[0] for row in outcome.preview.rows] == ["-1", "True", "0"]


def test_contexts_of_the_machine_are_not_taken(run):
    outcome = run("""
        libc = ctypes.CDLL(None, use_errno=True)
        number = 206 if os.uname().machine == "x86_64" else 0
        answer = libc.syscall(number, ctypes.c_long(1), ctypes.byref(ctypes.c_ulong()))
        result = [answer, ctypes.get_errno() == errno.EPERM]
        """)
    assert [row[0] for row in outcome.preview.rows] == ["-1", "True"]


@pytest.mark.parametrize("path", ["/etc/passwd", "/dev/ptmx"])
def test_nothing_is_opened_that_is_neither_read_nor_written(run, path):
    outcome = run(f"""
        try:
            result = os.open({path!r}, os.O_WRONLY | os.O_RDWR | os.O_NONBLOCK)
        except OSError as error:
            result = error.strerror
        """)
    assert outcome.preview.rows == (("Operation not permitted",),)


@pytest.mark.parametrize(
    "line",
    ["libc.syscall(317 if x86 else 277, 1, 0, head)", "libc.prctl(22, 2, head)"],
    ids=["seccomp", "prctl"],
)
def test_room_of_the_machine_for_filters_is_not_taken(run, line):
    outcome = run(f"""
        libc, x86 = ctypes.CDLL(None, use_errno=True), os.uname().machine == "x86_64"
        allow = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7FFF0000))
        head = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 1, ctypes.addressof(allow)))
        result = [{line}, ctypes.get_errno() == errno.EPERM]
        """)
    assert outcome.failure is None, outcome.failure
    assert outcome.preview.rows == (("-1",), ("True",))


def test_watches_of_the_user_are_not_taken(run):
    outcome = run("""
        import select, selectors
        try:
            result = [select.epoll().fileno()]
        except PermissionError:
            with selectors.DefaultSelector() as others:
                others.register(os.pipe()[1], selectors.EVENT_WRITE)
                result = [len(others.select(0))]
        """)
    assert outcome.failure is None, outcome.failure
    assert outcome.preview.rows == (("1",),)


def test_timers_of_the_machine_are_not_taken(run):
    outcome = run("""
        event, timer = ctypes.create_string_buffer(64), ctypes.c_int()
        struct.pack_into("i", event, 12, 1)  # SIGEV_NONE: it signals nobody, and counts all the same
        timer_create = ctypes.CDLL(None, use_errno=True).syscall
        number = 222 if os.uname().machine == "x86_64" else 107
        made = 0
        while made < 2000 and not timer_create(number, 1, event, ctypes.byref(timer)):
            made += 1
        result = [made, errno.errorcode[ctypes.get_errno()]]
        """)
    assert outcome.failure is None, outcome.failure
    (made,), (refusal,) = outcome.preview.rows
    assert int(made) <= 512
    assert refusal == "EAGAIN"


@pytest.mark.parametrize("option", [78, 67, 62, 36])
def test_no_memory_or_time_of_the_kernel_is_had_by_a_setting_of_the_process(run, option):
    """A table of locks of a gibibyte that no limit counts (PR_FUTEX_HASH, Linux 6.16), memory for the kernel to
    compare with that of others, a core for itself."""
    outcome = run(f"""
        libc = ctypes.CDLL(None, use_errno=True)
        answer = libc.prctl(*map(ctypes.c_ulong, ({option}, 1, 1 << 4, 0, 0)))
        result = [answer, errno.errorcode.get(ctypes.get_errno(), "")]
        """)
    assert outcome.failure is None, outcome.failure
    assert outcome.preview.rows == (("-1",), ("EPERM",))


def test_threads_have_a_bound_that_is_named(run):
    outcome = run("""
        threading.stack_size(max(32 << 10, os.sysconf("SC_THREAD_STACK_MIN")))
        for _ in range(20_000):
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
        """)
    assert outcome.failure.kind is FailureKind.MEMORY
    assert outcome.failure.message.startswith("the step had more than ")
    assert "threads" in outcome.failure.hint


def test_memory_that_could_be_shared_counts(run, zygote):
    if not zygote.level.endswith("namespaces"):
        pytest.skip(f"this machine gives {zygote.level}: temporary files do not lie in memory")
    outcome = run(
        """
        import tempfile
        file = tempfile.TemporaryFile()
        file.truncate(300 << 20)
        kept = mmap.mmap(file.fileno(), 300 << 20)
        for page in range(0, len(kept), 4096):
            kept[page] = 1
        time.sleep(60)
        """,
        memory_mb=128,
    )
    assert outcome.failure.kind is FailureKind.MEMORY
    assert "MiB of shared memory" in outcome.failure.message
    assert "resources.memory_mb" in outcome.failure.hint


@pytest.mark.parametrize(
    "line",
    [
        "map_memory(0x21, -1)",  # MAP_ANONYMOUS with MAP_SHARED, and with MAP_SHARED_VALIDATE
        "map_memory(0x23, -1)",
        "map_memory(0x01, os.open('/dev/zero', os.O_RDWR))",
        "map_memory(0x22 | 0x40000, -1)",  # MAP_HUGETLB
    ],
    ids=["shared", "validated", "zero", "huge"],
)
def test_no_memory_that_nothing_counts_is_had(run, line):
    """What is shared without a file stays whole as long as a page of it is mapped, and a page is all that could be
    counted; pages of the machine's pool of huge ones are not told of a process at all."""
    outcome = run(f"""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p

        def map_memory(kind, file):
            place = libc.mmap(None, ctypes.c_size_t(8192), 3, kind, file, ctypes.c_long(0))
            return "mapped" if place != 2**64 - 1 else errno.errorcode[ctypes.get_errno()]

        try:
            result = {line}
        except PermissionError:
            result = "EPERM"
        """)
    assert outcome.failure is None, outcome.failure
    assert outcome.preview.rows == (("EPERM",),)


@pytest.mark.parametrize(
    "text",
    [
        # Memory that is not written any more is none that the limit counts.
        """
        for _ in range(10):
            place = map_memory(40 << 20, 3)
            ctypes.memset(place, 1, 40 << 20)
            libc.mprotect(ctypes.c_void_p(place), ctypes.c_size_t(40 << 20), 1)
        """,
        # Nor is what becomes writable while the kernel takes both states to be beyond a limit.
        """
        place = map_memory(800 << 20, 0)
        assert libc.mprotect(ctypes.c_void_p(place), ctypes.c_size_t(800 << 20), 3) == 0
        ctypes.memset(place, 1, 800 << 20)
        """,
    ],
    ids=["no-longer-written", "written-later"],
)
def test_private_memory_that_no_limit_sees_counts(run, text):
    begin = """
        libc = ctypes.CDLL(None)
        libc.mmap.restype = ctypes.c_void_p
        def map_memory(size, access):
            return libc.mmap(None, ctypes.c_size_t(size), access, 0x22, -1, ctypes.c_long(0))
        """
    outcome = run(textwrap.dedent(begin) + textwrap.dedent(text) + "\ntime.sleep(60)", memory_mb=64)
    assert outcome.failure.kind is FailureKind.MEMORY, outcome.failure
    assert "more memory than the 64 MiB" in outcome.failure.message
    assert "resources.memory_mb" in outcome.failure.hint


def test_files_without_a_name_count_where_they_are_mapped(run, monkeypatch):
    monkeypatch.setattr(disk, "_LEAST_BOUND", 10 << 20)
    monkeypatch.setattr(disk, "_PER_MEMORY", 0)
    outcome = run("""
        libc = ctypes.CDLL(None)
        for number in range(20):
            file = os.open(str(number), os.O_CREAT | os.O_RDWR)
            os.write(file, b"x" * (1 << 20))
            # Python's own mmap would keep the descriptor too.
            libc.mmap(None, ctypes.c_size_t(1 << 20), 3, 1, file, ctypes.c_long(0))
            os.close(file)
            os.unlink(str(number))
        time.sleep(60)
        """)
    assert outcome.failure.kind is FailureKind.DISK


def test_files_without_a_name_count_where_a_part_of_them_is_mapped(run, tmp_path, monkeypatch):
    before = written_bytes(os.getpid())
    (tmp_path / "some").write_bytes(b"x" * (1 << 20))
    if written_bytes(os.getpid()) == before:
        pytest.skip("temporary files lie in memory here, or the kernel does not count what is written")
    monkeypatch.setattr(disk, "_LEAST_BOUND", 10 << 20)
    monkeypatch.setattr(disk, "_PER_MEMORY", 0)
    outcome = run(
        """
        libc = ctypes.CDLL(None)
        for number in range(20):
            # A name that would be two lines where the end of the second is not looked for.
            name = f"{number}\\rx"
            file = os.open(name, os.O_CREAT | os.O_RDWR)
            libc.mmap(None, ctypes.c_size_t(4096), 3, 1, file, ctypes.c_long(0))
            os.unlink(name)
            os.write(file, b"x" * (1 << 20))
            os.close(file)
        time.sleep(60)
        """,
        timeout_seconds=10.0,
    )
    assert outcome.failure.kind is FailureKind.DISK, outcome.failure


@pytest.mark.skipif(os.geteuid() == 0, reason="root looks into every folder")
def test_a_folder_that_nobody_can_look_into_ends_the_step(run):
    outcome = run("os.mkdir('closed', 0o300)\ntime.sleep(60)")
    assert outcome.failure.kind is FailureKind.DISK
    assert "cannot be looked into" in outcome.failure.message


@pytest.mark.long
def test_a_script_that_takes_back_what_it_prints_is_ended_in_time(run):
    began = time.monotonic()
    outcome = run(
        """
        reader = os.open("/proc/self/fd/1", os.O_RDONLY | os.O_NONBLOCK)
        def take():
            while True:
                try:
                    os.read(reader, 1)
                except OSError:
                    pass
        for _ in range(4):
            threading.Thread(target=take, daemon=True).start()
        while True:
            os.write(1, b"x")
        """,
        timeout_seconds=1.0,
    )
    assert outcome.failure.kind is FailureKind.TIMEOUT
    assert time.monotonic() - began < 4
