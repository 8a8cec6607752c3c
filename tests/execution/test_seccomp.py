import errno
import struct

import pytest

from runner.execution import seccomp
from runner.execution.syscalls import AARCH64, LAST_KNOWN, X86_64

ALLOW, DONE, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050000, 0x00050001, 0x00050026, 0x80000000
PID = 4321


def judge(program, machine, name, *arguments, audit=None, number=None):
    """What a filter answers: the classic BPF machine, for the few instructions that are used."""
    number = machine.calls[name] if number is None else number
    words = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=iIQ6Q", number, audit or machine.audit, 0, *(word & (2**64 - 1) for word in words))
    accumulator, place = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("HBBI", program, 8 * place)
        place += 1
        if code == 0x06:
            return value
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
            continue
        met = {
            0x15: accumulator == value,
            0x25: accumulator > value,
            0x35: accumulator >= value,
            0x45: bool(accumulator & value),
        }[code]
        place += if_true if met else if_false


@pytest.fixture(params=[X86_64, AARCH64], ids=["x86-64", "aarch64"])
def machine(request):
    return request.param


@pytest.fixture
def asked(machine):
    program = seccomp.step_filter(machine, pid=PID)
    return lambda name, *arguments, **more: judge(program, machine, name, *arguments, **more)


# One call, or more, for each reason that the filter names.
FORBIDDEN = """
socket socketpair connect accept4 bind listen sendto recvmsg setsockopt
execve execveat setpgid setsid
io_uring_setup io_uring_enter io_uring_register epoll_create1
memfd_create memfd_secret shmget semget msgget mq_open
vmsplice splice tee
ptrace process_vm_readv process_vm_writev pidfd_open pidfd_getfd pidfd_send_signal tkill rt_sigqueueinfo
sched_setaffinity
setuid setresuid setgroups capset unshare setns
mount umount2 pivot_root chroot move_mount open_tree fsopen fsmount swapon init_module kexec_load reboot
settimeofday sethostname personality sync syncfs
bpf perf_event_open userfaultfd keyctl add_key fanotify_init inotify_init1 open_by_handle_at mknodat
truncate fchmod fchmodat fchmodat2 fchown fchownat utimensat setxattr removexattr
"""


@pytest.mark.parametrize("name", FORBIDDEN.split())
def test_what_reaches_out_of_the_process_is_refused(asked, name):
    assert asked(name) == EPERM
    assert asked(name, PID, PID, PID) == EPERM


def test_what_every_step_needs_is_allowed(asked, machine):
    # read, write, mmap, munmap, brk, futex, openat, exit_group, getrandom, sched_yield
    numbers = (0, 1, 9, 11, 12, 202, 257, 231, 318, 24)
    for number in numbers if machine is X86_64 else (63, 64, 222, 215, 214, 98, 56, 94, 278, 124):
        assert asked("", number=number) == ALLOW, number


def test_a_step_gets_an_answer_where_glibc_tries_a_newer_call_first(asked):
    assert asked("clone3") == ENOSYS


def test_no_call_leaves_memory_in_a_pipe(asked, machine):
    for number in (278, 275, 276) if machine is X86_64 else (75, 76, 77):
        assert asked("", number=number) == EPERM, number
    assert asked("", number=40 if machine is X86_64 else 71) == ENOSYS


def test_attributes_of_files_are_not_read(asked):
    for how in ("get", "lget", "fget", "list", "llist", "flist"):
        assert asked(f"{how}xattr") == 0x00050000 | errno.EOPNOTSUPP, how
    for how in ("get", "list"):
        assert asked(f"{how}xattrat") == 0x00050000 | errno.EOPNOTSUPP, how


def test_nothing_waits_for_the_disk(asked, machine):
    for name in ("fsync", "fdatasync", "sync_file_range", "msync"):
        assert asked(name, 3) == DONE, name
    assert asked("pwritev2", 3, 0, 1, 0, 0, 0) == ALLOW
    for synced in (2, 4):
        assert asked("pwritev2", 3, 0, 1, 0, 0, synced) == 0x00050000 | errno.EOPNOTSUPP
    for written_through in (0o4010000, 0o10000):
        for access in (1, 2):
            assert asked("openat", 3, 0, written_through | access) == EPERM
            if machine is X86_64:
                assert asked("open", 0, written_through | access) == EPERM


def test_memory_is_private_or_of_a_file(asked):
    shared, private, validated, anonymous, huge = 1, 2, 3, 0x20, 0x40000
    for flags in (private, private | anonymous, shared, validated):
        assert asked("mmap", 0, 4096, 3, flags) == ALLOW, flags
    for flags in (shared | anonymous, validated | anonymous, private | anonymous | huge, shared | huge):
        assert asked("mmap", 0, 4096, 3, flags) == EPERM, flags


def test_no_number_stands_for_two_calls():
    for machine in (X86_64, AARCH64):
        assert len(set(machine.calls.values())) == len(machine.calls)
        assert max(machine.calls.values()) == LAST_KNOWN
    # From here on a call has one number everywhere.
    new = {name: number for name, number in X86_64.calls.items() if number >= 424}
    assert new == {name: number for name, number in AARCH64.calls.items() if number >= 424}


def test_what_only_one_machine_has_is_refused_there(asked, machine):
    old = "epoll_create fork vfork mknod chmod chown lchown utime utimes futimesat inotify_init iopl ioperm modify_ldt uselib"
    for name in old.split():
        assert name not in AARCH64.calls
        if machine is X86_64:
            assert asked(name) == EPERM, name


def test_threads_are_allowed_and_processes_are_not(asked):
    assert asked("clone", 0x3D0F00) == ALLOW
    assert asked("clone", 17) == EPERM
    # With descriptors of its own, beside those that a process may have.
    assert asked("clone", 0x3D0F00 & ~0x400) == EPERM
    assert asked("clone", 0x400) == EPERM
    for unshared in (2, 6):
        assert asked("close_range", 3, 9, unshared) == EPERM
    for shared in (0, 4):
        assert asked("close_range", 3, 9, shared) == ALLOW


def test_no_lock_is_set(asked):
    assert asked("fcntl", 3, 5) == ALLOW
    for lock_of_the_process in (6, 7):
        assert asked("fcntl", 3, lock_of_the_process) == DONE
    for lock_of_an_open_file in (36, 37, 38):
        assert asked("fcntl", 0, lock_of_an_open_file) == EPERM


def test_signals_reach_only_the_process_itself(asked):
    assert asked("kill", PID) == ALLOW
    assert asked("tgkill", PID, PID) == ALLOW
    for other in (1, 0, -1, -PID):
        assert asked("kill", other) == EPERM, other
    assert asked("fcntl", 3, 8) == EPERM
    assert asked("fcntl", 3, 1) == ALLOW
    assert asked("ioctl", 0, 0x5412) == EPERM
    assert asked("prctl", 1, 0) == EPERM
    assert asked("prctl", 4, 0) == EPERM
    assert asked("prctl", 15) == ALLOW


def test_of_what_a_process_may_set_of_itself_only_names_are_allowed(asked):
    # PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_GET_NO_NEW_PRIVS
    for option in (3, 15, 16, 39):
        assert asked("prctl", option) == ALLOW, option
    # PR_SET_PTRACER, PR_SET_CHILD_SUBREAPER, PR_SCHED_CORE, PR_SET_MEMORY_MERGE, PR_FUTEX_HASH, one of tomorrow
    for option in (0x59616D61, 36, 62, 67, 78, 1000):
        assert asked("prctl", option) == EPERM, option


def test_unknown_calls_and_other_architectures(asked, machine):
    assert asked("", number=470) == ENOSYS
    read = 0 if machine is X86_64 else 63
    assert asked("", number=read) == ALLOW
    assert asked("socket", audit=0x40000003) == KILL
    if machine is X86_64:
        assert asked("", number=0x40000000 | 41) == EPERM


def test_limits_can_be_read_and_not_set(machine):
    program = seccomp.closing_filter(machine)
    assert judge(program, machine, "prlimit64", 0, 9, 0, 0x7FFF0000) == ALLOW
    assert judge(program, machine, "prlimit64", 0, 9, 0x7FFF0000) == EPERM
    assert judge(program, machine, "prlimit64", 0, 9, 0x7F << 32) == EPERM
    assert judge(program, machine, "setrlimit", 9) == EPERM


def test_rules_on_files_are_made_until_the_sandbox_is_closed(asked, machine):
    closed = seccomp.closing_filter(machine)
    for name in ("landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"):
        assert asked(name) == ALLOW
        assert judge(closed, machine, name) == EPERM
    read = 0 if machine is X86_64 else 63
    assert judge(closed, machine, "", number=read) == ALLOW


def test_filters_are_made_until_the_sandbox_is_closed(asked, machine):
    assert asked("seccomp") == ALLOW
    assert judge(seccomp.closing_filter(machine), machine, "seccomp", 1, 0) == EPERM
    assert asked("prctl", 22, 2) == EPERM


def test_a_file_that_is_only_read_cannot_be_emptied_held_or_marked(asked, machine):
    read, write, both, empty, create = 0, 1, 2, 0o1000, 0o100
    calls = {"openat": (3, 0), "open": (0,)} if machine is X86_64 else {"openat": (3, 0)}
    for name, before in calls.items():
        assert asked(name, *before, read | empty) == EPERM
        assert asked(name, *before, read | empty | create) == EPERM
        for flags in (read, read | create, write | empty, both | empty | create):
            assert asked(name, *before, flags) == ALLOW, flags
        # Neither reading nor writing, which Landlock asks nothing of.
        for flags in (write | both, write | both | empty, write | both | create):
            assert asked(name, *before, flags) == EPERM, flags
    assert asked("openat2") == ENOSYS
    lease, pipe_size, set_flags = 1024, 1031, 0x40086602
    assert asked("fcntl", 3, lease) == EPERM
    assert asked("fcntl", 3, pipe_size) == EPERM
    assert asked("ioctl", 3, set_flags) == EPERM
    assert asked("ioctl", 1, 0x5401) == ALLOW
    assert asked("flock", 3, 2) == ENOSYS
    assert asked("fallocate") == 0x00050000 | errno.EOPNOTSUPP
    assert asked("io_setup") == EPERM
