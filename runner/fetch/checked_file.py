"""A CheckedFile: a file of this machine that a run may read, as it was when that was found out."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedFile:
    """A regular file that may be read. `path` is absolute; the rest tells the file, and one
    content of it from another."""

    path: Path
    bytes: int
    device: int
    inode: int
    written_ns: int

    @classmethod
    def of(cls, path: Path, found: os.stat_result) -> Self:
        """The file at a path, which has been looked at."""
        return cls(
            path=path,
            bytes=found.st_size,
            device=found.st_dev,
            inode=found.st_ino,
            written_ns=found.st_mtime_ns,
        )

    def was_written_to(self) -> bool:
        """Whether somebody has written to it since. Another file at its path is whole by itself: a reader of this
        one goes on in it."""
        try:
            now = self.of(self.path, self.path.stat())
        except OSError:
            return False
        return now != self and (now.device, now.inode) == (self.device, self.inode)
