"""Landlock: which files a process may read and write, whoever it runs as.

Source: `Documentation/userspace-api/landlock.rst` and `include/uapi/linux/landlock.h` of the kernel.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Iterable

from runner.execution.syscalls import call

_VERSION = 1
_RULE_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REGULAR, _MAKE_SYMLINK = 1 << 4, 1 << 5, 1 << 7, 1 << 8, 1 << 12
_REFER, _TRUNCATE = 1 << 13, 1 << 14
# Every right that each ABI knows: what a ruleset handles is forbidden unless a rule allows it.
_HANDLED = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
_NEWEST_FILES = 5
_TCP_BIND_AND_CONNECT, _SINCE_NETWORK = 0b11, 4
_ABSTRACT_SOCKETS_AND_SIGNALS, _SINCE_SCOPES = 0b11, 6

_READ = _READ_FILE | _READ_DIR
_WRITE = (
    _READ
    | _WRITE_FILE
    | _TRUNCATE
    | _REMOVE_DIR
    | _REMOVE_FILE
    | _MAKE_DIR
    | _MAKE_REGULAR
    | _MAKE_SYMLINK
    | _REFER
)
_ON_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE


class Ruleset:
    """A set of rules that is put together first and enforced once.

    Raises:
        OSError: the kernel has no Landlock.
    """

    def __init__(self) -> None:
        version = call("landlock_create_ruleset", None, 0, _VERSION)
        self._handled = _HANDLED[min(version, _NEWEST_FILES)]
        words = [self._handled]
        if version >= _SINCE_NETWORK:
            words.append(_TCP_BIND_AND_CONNECT)
        if version >= _SINCE_SCOPES:
            words.append(_ABSTRACT_SOCKETS_AND_SIGNALS)
        attributes = struct.pack(f"{len(words)}Q", *words)
        self._fd = call("landlock_create_ruleset", _pointer(attributes), len(attributes), 0)

    def allow_reading(self, paths: Iterable[str]) -> None:
        """Files, and folders with all below them. Paths that do not exist are passed over."""
        for path in paths:
            self._allow(path, _READ)

    def allow_listing(self, folder: str) -> None:
        """The names in a folder and in all below it, and no content."""
        self._allow(folder, _READ_DIR)

    def allow_device(self, path: str) -> None:
        """Reading and writing of one device file, such as /dev/null."""
        self._allow(path, _READ_FILE | _WRITE_FILE | _TRUNCATE)

    def allow_writing(self, folder: str) -> None:
        """Everything a step does in its folder: not running programs, sockets, pipes or devices.

        Raises:
            OSError: the folder does not exist.
        """
        if not self._allow(folder, _WRITE):
            raise FileNotFoundError(2, os.strerror(2), folder)

    def enforce(self) -> None:
        """Bind the calling thread, and those it starts, for good. no_new_privs must be set.

        Raises:
            OSError: the kernel refuses.
        """
        call("landlock_restrict_self", self._fd, 0)
        os.close(self._fd)

    def _allow(self, path: str, rights: int) -> bool:
        try:
            parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            if not stat.S_ISDIR(os.fstat(parent).st_mode):
                rights &= _ON_A_FILE
            rule = struct.pack("=Qi", rights & self._handled, parent)
            call("landlock_add_rule", self._fd, _RULE_PATH_BENEATH, _pointer(rule), 0)
        finally:
            os.close(parent)
        return True


def shortest(paths: Iterable[str]) -> tuple[str, ...]:
    """The same paths without links, and without those that lie below another: a rule on that allows them too."""
    kept: list[str] = []
    for path in sorted({os.path.realpath(path) for path in paths}):
        if not any(path.startswith(f"{folder}/") for folder in kept):
            kept.append(path)
    return tuple(kept)


def _pointer(data: bytes) -> ctypes.c_void_p:
    return ctypes.cast(ctypes.create_string_buffer(data, len(data)), ctypes.c_void_p)
