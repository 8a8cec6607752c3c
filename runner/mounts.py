"""The mounts of this machine, as its kernel lists them without asking any of them."""

import os
from pathlib import Path

from runner.core.mounts import Mount, mount_of, mounts_in

_LIST = Path("/proc/self/mountinfo")


def read_mounts() -> tuple[Mount, ...]:
    """What is mounted where; nothing off Linux, or where `/proc` is closed."""
    try:
        return mounts_in(_LIST.read_text(encoding="utf-8", errors="surrogateescape"))
    except OSError:
        return ()


def shared_file_system(path: Path) -> str:
    """The kind of file system that a path leads to, where other machines may work on it too; else empty."""
    mount = mount_of(os.path.realpath(path), read_mounts())
    return mount.kind if mount is not None and mount.may_be_shared else ""
