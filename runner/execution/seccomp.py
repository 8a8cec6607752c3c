"""The system-call filter: a classic BPF program that refuses what a step has no use for.

Landlock decides about files; this decides about everything else that reaches out of the process. A refused call
answers EPERM, as an unprivileged process would see it, so that libraries fall back instead of dying.
"""

import ctypes
import errno
import functools
import struct
from collections.abc import Iterable

from runner.execution.syscalls import LAST_KNOWN, X86_64, Machine, call

# <linux/bpf_common.h>: load a word of seccomp_data; compare and jump; return.
_LOAD, _EQUAL, _GREATER_EQUAL, _GREATER, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x25, 0x45, 0x06
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_KILL_PROCESS, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_REFUSE = _ERRNO | errno.EPERM
_MISSING = _ERRNO | errno.ENOSYS
_NOT_SUPPORTED = _ERRNO | errno.EOPNOTSUPP
# Answered as if it had been done.
_DONE = _ERRNO
_X32_CALLS = 0x40000000
_SET_MODE_FILTER, _ALL_THREADS = 1, 1
_CLONE_FILES, _CLONE_THREAD = 0x00000400, 0x00010000

# Refused whatever the arguments, each group with its reason.
_REFUSED = """
# No network and no passing of descriptors, of any family: a step talks through files in its folder.
socket socketpair connect accept accept4 bind listen sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg
setsockopt shutdown
# No other process, so that ending this one ends everything; not out of the session that is killed with it.
fork vfork execve execveat setpgid setsid
# io_uring does file and network calls that no filter sees; the other one has few contexts for the whole machine.
io_uring_setup io_uring_enter io_uring_register
io_setup io_destroy io_submit io_getevents io_pgetevents
# Each watch is memory of the kernel that no limit counts, and one of those that all processes of a user may have.
# The zygote has Python's `selectors` use poll.
epoll_create epoll_create1
# Memory that the limits do not count, or that outlives the process.
memfd_create memfd_secret shmget shmat shmctl semget semop semctl semtimedop msgget msgsnd msgrcv msgctl
mq_open mq_unlink
# Memory that is left in a pipe counts for nobody: for one byte of it a huge page stays.
vmsplice splice tee
# Hands off other processes; `kill` and `tgkill` are narrowed to this one below.
ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp pidfd_open pidfd_getfd
pidfd_send_signal tkill rt_sigqueueinfo rt_tgsigqueueinfo setpriority ioprio_set sched_setparam
sched_setscheduler sched_setattr sched_setaffinity migrate_pages move_pages
# No other identity, no capabilities, no namespaces.
setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset unshare setns
# The mount table and the machine itself.
mount umount2 pivot_root chroot move_mount open_tree open_tree_attr mount_setattr fsopen fsconfig
fsmount fspick statmount listmount swapon swapoff quotactl quotactl_fd acct sysfs init_module
finit_module delete_module kexec_load kexec_file_load reboot syslog vhangup settimeofday clock_settime
adjtimex clock_adjtime sethostname setdomainname personality iopl ioperm modify_ldt uselib nfsservctl
lookup_dcookie
# Wide parts of the kernel that a data job never needs, and keys, which are not bound to a process.
bpf perf_event_open userfaultfd keyctl add_key request_key lsm_set_self_attr fanotify_init fanotify_mark
inotify_init inotify_init1 name_to_handle_at open_by_handle_at mknod mknodat
# All that anybody has written, out to the disk at once; who waits for that cannot be ended.
sync syncfs
# Landlock does not see these: as owner of a readable file a step could change it. (`truncate` it sees from
# ABI 3 on.)
truncate chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat
setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat file_setattr
"""

# PR_GET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME, PR_GET_SECCOMP, PR_CAPBSET_READ, PR_GET_TIMERSLACK,
# PR_GET_NO_NEW_PRIVS, PR_GET_THP_DISABLE. Left out is all else that is set, of which each kernel has more: living
# on without the service; an own /proc that a service without privileges cannot look into; more filters; a table of
# locks of a gibibyte that no limit counts (PR_FUTEX_HASH); cores for itself alone (PR_SCHED_CORE).
_PRCTL_ALLOWED = (2, 3, 15, 16, 21, 23, 30, 39, 42)
# The calls that open a file, and which of their arguments has the flags.
_OPENING = (("open", 1), ("openat", 2))
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_DUPFD_CLOEXEC, F_GETPIPE_SZ. Left out are those that
# signal another process, make others wait for a file that the step may only read (leases, locks of open files), or
# take the room for pipes that a user has in all.
_FCNTL_ALLOWED = (0, 1, 2, 3, 4, 5, 1030, 1032)
# F_SETLK, F_SETLKW: a lock between processes is had at once, and not set. In its folder a step is the only one; on
# a file that it only reads, others would wait for it; and the kernel has room for locks that no limit counts.
_FCNTL_DONE = (6, 7)
# No flag, CLOSE_RANGE_CLOEXEC. Left out is the one that gives a thread descriptors of its own first.
_CLOSE_RANGE_ALLOWED = (0, 4)
# TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX. Others change attributes of files that are only read.
_IOCTL_ALLOWED = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
# What the sandbox itself needs until it is closed. The machine has room for so many filters and no more: a step
# that takes it all keeps every other process from having one.
_UNTIL_CLOSED = ("setrlimit", "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self")
# Attributes of files hold texts, such as the address that a file was loaded from, and Landlock does not see them
# read. Libraries go on as on a file system that has none.
_READING_ATTRIBUTES = (
    *("getxattr", "lgetxattr", "fgetxattr", "getxattrat"),
    *("listxattr", "llistxattr", "flistxattr", "listxattrat"),
)
_WRITE_ONLY, _READ_WRITE, _TRUNCATE = 0o1, 0o2, 0o1000
# O_DSYNC, which O_SYNC has too.
_SYNCED = 0o10000
# What a step has written goes with its folder, and need not be on the disk before: who waits for gibibytes to get
# there cannot be ended. Databases of a script ask for it after each change.
_SYNCING = ("fsync", "fdatasync", "sync_file_range", "msync")
# Of MAP_SHARED and MAP_SHARED_VALIDATE the bit that MAP_PRIVATE has not; MAP_ANONYMOUS; MAP_HUGETLB.
_MAP_SHARED, _MAP_ANONYMOUS, _MAP_HUGE = 0x01, 0x20, 0x40000


def step_filter(machine: Machine, *, pid: int) -> bytes:
    """The filter of a child whose process id is `pid`."""
    own = b"".join(_when(machine.calls[name], _only_value(0, pid)) for name in ("kill", "tgkill"))
    return common_rules(machine) + own + _give(_ALLOW)


@functools.cache
def common_rules(machine: Machine) -> bytes:
    """The part of the filter that is the same for every child: it has no end yet."""
    calls = machine.calls
    program = [_start(machine)]
    program.extend(_when(calls[name], _give(_REFUSE)) for name in _refused_names() if name in calls)
    # glibc falls back to clone, whose flags lie in a register where this filter can see them.
    program.append(_when(calls["clone3"], _give(_MISSING)))
    # A thread with descriptors of its own would have as many as the whole process may have.
    program.append(_when(calls["clone"], _all_bits(0, (_CLONE_THREAD, _CLONE_FILES))))
    program.append(_when(calls["close_range"], _one_of(2, _CLOSE_RANGE_ALLOWED)))
    program.append(_when(calls["prctl"], _one_of(0, _PRCTL_ALLOWED)))
    program.append(_when(calls["fcntl"], _one_of(1, _FCNTL_ALLOWED, done=_FCNTL_DONE)))
    program.append(_when(calls["ioctl"], _one_of(1, _IOCTL_ALLOWED)))
    program.extend(_when(calls[name], _give(_NOT_SUPPORTED)) for name in _READING_ATTRIBUTES)
    program.extend(_when(calls[name], _give(_DONE)) for name in _SYNCING)
    # The same with each write: by a flag of the one call, and of the file below.
    program.append(_when(calls["pwritev2"], _one_of(5, (0,), otherwise=_NOT_SUPPORTED)))
    # Emptying a file while it is opened for reading, which Landlock sees from ABI 3 on. And opening one for
    # neither reading nor writing, of which Landlock asks nothing: a device would be opened, and before ABI 3
    # any file emptied.
    program.extend(_when(calls[name], _reads_or_writes(place)) for name, place in _OPENING if name in calls)
    # Shared memory without a file stays whole as long as a page of it is mapped, and only what is mapped is told
    # of a process: a step could take all that the machine has. Libraries share files, or nothing. And pages of the
    # pool of huge ones, where the machine keeps one: what a process has of them is in none of the figures by which
    # its memory is watched. Libraries go on with small ones.
    program.append(_when(calls["mmap"], _neither_shared_nor_huge(3)))
    # Whose flags lie in memory, where this filter cannot see them.
    program.append(_when(calls["openat2"], _give(_MISSING)))
    # From a file to a pipe it is `splice`, and this filter cannot tell. Libraries read and write instead.
    program.append(_when(calls["sendfile"], _give(_MISSING)))
    # A lock that others wait for, also on a file that is only read. Libraries go on without it.
    program.append(_when(calls["flock"], _give(_MISSING)))
    # Room on the disk, taken faster than anybody can look. glibc falls back to writing.
    program.append(_when(calls["fallocate"], _give(_NOT_SUPPORTED)))
    return b"".join(program)


def _refused_names() -> list[str]:
    lines = (line for line in _REFUSED.splitlines() if not line.startswith("#"))
    return [name for line in lines for name in line.split()]


@functools.cache
def closing_filter(machine: Machine) -> bytes:
    """The filter that makes all final: a limit may be read and not set, and Landlock gets no more rules, each of
    which would keep its file on the disk, without a name, where nobody sees it."""
    calls = machine.calls
    reading = _argument(2) + _jump(_EQUAL, 0, 1, 0) + _give(_REFUSE)
    reading += _argument(2, high=True) + _jump(_EQUAL, 0, 1, 0) + _give(_REFUSE) + _give(_ALLOW)
    return (
        _start(machine)
        + b"".join(_when(calls[name], _give(_REFUSE)) for name in _UNTIL_CLOSED)
        + _when(calls["prlimit64"], reading)
        + _give(_ALLOW)
    )


def refusing_filter(machine: Machine, names: Iterable[str], *, error: int) -> bytes:
    """A filter that answers `error` to some calls and allows the rest."""
    rules = b"".join(_when(machine.calls[name], _give(_ERRNO | error)) for name in names)
    return _start(machine) + rules + _give(_ALLOW)


def install(program: bytes) -> None:
    """Put a filter on this process, all its threads, for good. no_new_privs must be set.

    Raises:
        OSError: the kernel has no seccomp filters, or refuses this one.
    """
    code = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    header = ctypes.create_string_buffer(head, len(head))
    left_out = call("seccomp", _SET_MODE_FILTER, _ALL_THREADS, ctypes.cast(header, ctypes.c_void_p))
    if left_out:
        raise OSError(errno.EBUSY, f"thread {left_out} cannot be bound by the filter")


def _start(machine: Machine) -> bytes:
    """Kill what calls in another architecture's numbers; then have the number of the call at hand."""
    program = _load(_ARCHITECTURE) + _jump(_EQUAL, machine.audit, 1, 0) + _give(_KILL_PROCESS) + _load(_NUMBER)
    if machine is X86_64:
        program += _jump(_GREATER_EQUAL, _X32_CALLS, 0, 1) + _give(_REFUSE)
    # A call that is newer than this list is one that nobody has judged.
    return program + _jump(_GREATER, LAST_KNOWN, 0, 1) + _give(_MISSING)


def _when(number: int, block: bytes) -> bytes:
    """`block`, which must end in a return on every way, for one call."""
    return _jump(_EQUAL, number, 0, len(block) // 8) + block


def _only_value(index: int, value: int) -> bytes:
    return _argument(index) + _jump(_EQUAL, value, 0, 1) + _give(_ALLOW) + _give(_REFUSE)


def _one_of(index: int, values: tuple[int, ...], *, done: tuple[int, ...] = (), otherwise: int = _REFUSE) -> bytes:
    tests = [_jump(_EQUAL, value, 0, 1) + _give(_ALLOW) for value in values]
    tests += [_jump(_EQUAL, value, 0, 1) + _give(_DONE) for value in done]
    return _argument(index) + b"".join(tests) + _give(otherwise)


def _all_bits(index: int, bits: tuple[int, ...]) -> bytes:
    tests = b"".join(_jump(_ANY_BIT, bit, 1, 0) + _give(_REFUSE) for bit in bits)
    return _argument(index) + tests + _give(_ALLOW)


def _neither_shared_nor_huge(index: int) -> bytes:
    """Flags of `mmap`: no huge page, and what has no file is private."""
    tests = _jump(_ANY_BIT, _MAP_HUGE, 0, 1) + _give(_REFUSE)
    tests += _jump(_ANY_BIT, _MAP_ANONYMOUS, 1, 0) + _give(_ALLOW)
    tests += _jump(_ANY_BIT, _MAP_SHARED, 0, 1) + _give(_REFUSE)
    return _argument(index) + tests + _give(_ALLOW)


def _reads_or_writes(index: int) -> bytes:
    """Flags of an open call: reading, writing, or the one for both, not the two; truncation only with writing, and
    no waiting for the disk."""
    only_one = _jump(_ANY_BIT, _READ_WRITE, 0, 1) + _give(_REFUSE) + _give(_ALLOW)
    reads = _jump(_ANY_BIT, _READ_WRITE, 0, 1) + _give(_ALLOW)
    reads += _jump(_ANY_BIT, _TRUNCATE, 0, 1) + _give(_REFUSE) + _give(_ALLOW)
    begin = _argument(index) + _jump(_ANY_BIT, _SYNCED, 0, 1) + _give(_REFUSE)
    return begin + _jump(_ANY_BIT, _WRITE_ONLY, 0, len(only_one) // 8) + only_one + reads


def _argument(index: int, *, high: bool = False) -> bytes:
    """Load the low or the high half of an argument; both machines are little-endian."""
    return _load(_ARGUMENTS + 8 * index + (4 if high else 0))


def _load(offset: int) -> bytes:
    return struct.pack("HBBI", _LOAD, 0, 0, offset)


def _jump(code: int, value: int, if_true: int, if_false: int) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)


def _give(action: int) -> bytes:
    return struct.pack("HBBI", _RETURN, 0, 0, action)
