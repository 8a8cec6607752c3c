"""Namespaces: a view of the machine without its other processes, its network and its shared memory.

They cost nothing per run that can be measured, and need no root: a user namespace gives the rights to make the
others. The zygote enters them once, before it loads anything; its network is an empty one, and all children share
it. A child gets two of its own: a pid namespace, whose first process it is, so that its end is the end of all it
has ever started, and a mount namespace, in which /dev/shm holds a bounded file system of its own, in memory, for
temporary files. /dev/shm itself stays closed to a step; it is a folder that every machine has and no step needs.

A child is the first process itself, without a stub in between. It cannot fork, so there is nothing for a stub to
reap; what sets such a process apart is that signals whose default is to end it do not. SIGKILL from outside does,
and so does what the processor raises, such as a bad address.

Sources: namespaces(7), user_namespaces(7), pid_namespaces(7), mount_namespaces(7), tmpfs(5).
"""

import ctypes
import errno
import os
import select
import signal
from collections.abc import Callable
from typing import NoReturn

from runner.execution.limits import die_with
from runner.execution.syscalls import call

SCRATCH_MB = 512
SCRATCH_FILES = 8192
SCRATCH = "/dev/shm/tmp"  # noqa: S108 - in a file system of the child's own
SCRATCH_PLACE = "/dev/shm"  # noqa: S108 - as above
_SCRATCH_OPTIONS = f"size={SCRATCH_MB}m,nr_inodes={SCRATCH_FILES},mode=0700"
_NEWNS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = 0x00020000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REC, _MS_SLAVE = 2, 4, 8, 0x4000, 0x80000
_PROBE_SECONDS = 5.0
_REASON_LIMIT = 500


class Namespaces:
    """Those of the calling process. `missing` says why it has none; empty where it has them.

    Made in the zygote; each child inherits it by the fork that it prepares.
    """

    def __init__(self, *, missing: str = "") -> None:
        self.missing = missing
        self._own = -1 if missing else _own_pid_namespace()
        self._child_has_one = False

    def before_fork(self) -> None:
        """Let the next child be the first of a pid namespace; without one where there are too many of them."""
        if not self.missing:
            self._child_has_one = _succeeds(lambda: _place_next_child(self._own))

    def enter_child(self) -> bool:
        """The rest, in the child; False where it has not all of them. Needs the zygote's privileges still."""
        return not self.missing and self._child_has_one and _succeeds(_mount_scratch)


def enter_namespaces() -> Namespaces:
    """Enter them for good where a probe says that it works; returns in a process of its own then.

    The caller must have one thread, and has forked: it is the parent that waits here, and ends as its child does.
    A parent that is killed takes the child with it.
    """
    missing = _probe()
    if missing:
        return Namespaces(missing=missing)
    _enter()
    pid = _fork()
    if pid:
        _stand_by(pid)
    return Namespaces()


def _enter() -> None:
    """Leave those of the service. The pid namespace holds the children of this process only.

    Raises:
        OSError: the kernel, its settings or a container around this process forbid it.
    """
    user, group = os.geteuid(), os.getegid()
    kinds = _NEWNS | _NEWIPC | _NEWPID | _NEWNET
    if user == 0:
        # As it is: in a user namespace, root could not read the inputs of other users.
        call("unshare", kinds)
    else:
        call("unshare", kinds | _NEWUSER)
        # Mapped to itself, so that files keep their owner; a group map is not allowed before `deny`.
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            _write(f"/proc/self/{name}", text)
    # What the machine mounts and unmounts later, such as a share with data, is still seen here; not the reverse.
    _mount("none", "/", _MS_REC | _MS_SLAVE)


def _stand_by(pid: int) -> NoReturn:
    """Be what the service knows of the zygote: a process that ends with it."""
    os.closerange(3, 1 << 16)
    _, status = os.waitpid(pid, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _probe() -> str:
    """Why it does not work here, tried in a process that is gone afterwards; empty where it does."""
    reader, writer = os.pipe()
    pid = _fork()
    if pid == 0:
        _try_all(writer)
    os.close(writer)
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    told = os.read(reader, _REASON_LIMIT) if poll.poll(1000 * _PROBE_SECONDS) else b"the probe hangs"
    os.close(reader)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return "" if told == b"ok" else told.decode(errors="replace") or "the probe died"


def _try_all(writer: int) -> NoReturn:
    """What the zygote does, and then a child of it: only the last of three processes says that all is well."""
    said = b""
    try:
        _enter()
        if _fork():
            os.wait()
        else:
            _place_next_child(_own_pid_namespace())
            if _fork():
                os.wait()
            else:
                _mount_scratch()
                said = b"ok"
    except OSError as error:
        said = f"{error.filename or 'fork'}: {_reason(error)}".encode()
    finally:
        if said:
            os.write(writer, said)
        os._exit(0)


def _reason(error: OSError) -> str:
    # What the kernel says where a sysctl bounds them, often at 0 on hardened machines, means a disk to everybody.
    if error.errno == errno.ENOSPC and error.filename == "unshare":
        return "no more of them are allowed (sysctl user.max_user_namespaces and its kin)"
    return str(error.strerror)


def _fork() -> int:
    """Fork a child that is killed when this process ends."""
    parent = os.pidfd_open(os.getpid())
    pid = os.fork()
    if pid == 0:
        die_with(parent)
    os.close(parent)
    return pid


def _own_pid_namespace() -> int:
    return os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)


def _place_next_child(own: int) -> None:
    # Back first: a process whose children go elsewhere can make no other place for them.
    call("setns", own, _NEWPID)
    call("unshare", _NEWPID)


def _mount_scratch() -> None:
    call("unshare", _NEWNS)
    # By its name: that a mount finds nothing does not say what.
    os.stat(SCRATCH_PLACE)  # noqa: PTH116 - nothing but the call
    _mount("tmpfs", SCRATCH_PLACE, _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, _SCRATCH_OPTIONS)
    os.mkdir(SCRATCH, 0o700)  # noqa: PTH102 - nothing but the call


def _succeeds(action: Callable[[], None]) -> bool:
    try:
        action()
    except OSError:
        return False
    return True


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def _mount(kind: str, target: str, flags: int, options: str = "") -> None:
    texts = [ctypes.create_string_buffer(text.encode()) for text in (kind, target, kind, options)]
    source, place, name, data = (ctypes.cast(text, ctypes.c_void_p) for text in texts)
    call("mount", source, place, name, flags, data)
