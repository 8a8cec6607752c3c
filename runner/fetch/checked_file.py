"""A CheckedFile: a file of this machine that a run may read, as it was when that was found out."""

import os
from dataclasses import dataclass, field
from pathlib import Path

ENDING_BYTES = 4_096


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedFile:
    """A regular file that may be read. `path` is absolute; the rest tells the file, and one content of it from
    another: `ending` are its last bytes, at most `ENDING_BYTES`."""

    path: Path
    ending: bytes = field(repr=False)
    bytes: int
    device: int
    inode: int
    written_ns: int

    def was_written_to(self) -> bool:
        """Whether somebody has written to it since. Another file at its path is whole by itself: a reader of this
        one goes on in it."""
        try:
            now = self.path.stat()
        except OSError:
            return False
        before = (self.device, self.inode, self.bytes, self.written_ns)
        found = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)
        return found != before and found[:2] == before[:2]

    def was_rewritten(self) -> bool:
        """Whether what was there is no longer, as far as its end tells: a log that has grown since was not."""
        if not self.was_written_to():
            return False
        try:
            with self.path.open("rb") as file:
                return ending_of(file.fileno(), self.bytes) != self.ending
        except OSError:
            return True


def ending_of(descriptor: int, size: int) -> bytes:
    """The last bytes of an open file, as if it had `size`."""
    length = min(size, ENDING_BYTES)
    return os.pread(descriptor, length, size - length)
