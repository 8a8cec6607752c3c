"""Finds the files that a pattern such as `data/2025/**/orders-*.csv` names."""

import errno
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fnmatch import translate
from pathlib import Path

# Where the repair of a disk puts pieces of files: each file system of ext4 has it, and root alone may read it.
_PIECES = "lost+found"
_MAGIC = re.compile(r"[*?\[]")


def has_pattern(text: str) -> bool:
    """Whether a location holds `*`, `?` or `[`."""
    return _MAGIC.search(text) is not None


def find_matches(pattern: Path, *, check: Callable[[], None], unread: Callable[[OSError], None]) -> Iterator[Path]:
    """The paths that an absolute pattern names, in no order.

    `*`, `?` and `[…]` stand for part of one name, never for a leading dot, nor for `lost+found`; `**` as a whole
    name stands for any number of folders but such, and at the end for every file in them. Links to folders are
    followed where a name of the pattern names them, never by `**`. `check` is called before each folder is read
    and may raise, to end the search. So may `unread`, with why something cannot be looked at; where it does not,
    that is left out.
    """
    parts = pattern.parts[1:]
    return _walk(Path(pattern.anchor), parts, _Look(check=check, unread=unread))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """What is done at each folder; as for `find_matches`."""

    check: Callable[[], None]
    unread: Callable[[OSError], None]

    def entries(self, folder: Path) -> list[os.DirEntry[str]]:
        self.check()
        try:
            with os.scandir(folder) as found:
                return list(found)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self.unread(error)
            return []

    def is_there(self, path: Path) -> bool:
        try:
            path.lstat()
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return False
        except OSError as error:
            self.unread(error)
            return False
        return True

    def is_folder(self, entry: os.DirEntry[str], *, follow_links: bool) -> bool:
        try:
            return entry.is_dir(follow_symlinks=follow_links)
        except OSError as error:
            # A link to itself leads nowhere, as one to what is gone does.
            if error.errno != errno.ELOOP:
                self.unread(error)
            return False


def _walk(folder: Path, parts: tuple[str, ...], look: _Look) -> Iterator[Path]:
    first, rest = parts[0], parts[1:]
    if first == "**":
        yield from _walk_deep(folder, rest, look)
    elif not has_pattern(first):
        path = folder / first
        if rest:
            yield from _walk(path, rest, look)
        elif look.is_there(path):
            yield path
    else:
        matches = re.compile(translate(first)).match
        for entry in look.entries(folder):
            if matches(entry.name) and (first.startswith(".") or _is_meant(entry.name)):
                if not rest:
                    yield Path(entry.path)
                elif look.is_folder(entry, follow_links=True):
                    yield from _walk(Path(entry.path), rest, look)


def _walk_deep(top: Path, rest: tuple[str, ...], look: _Look) -> Iterator[Path]:
    """`**`: the folder itself and every one below it. Without recursion: a tree may be deep."""
    while rest[:1] == ("**",):
        rest = rest[1:]
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        if rest:
            yield from _walk(folder, rest, look)
        for entry in look.entries(folder):
            if not _is_meant(entry.name):
                continue
            if look.is_folder(entry, follow_links=False):
                waiting.append(Path(entry.path))
            elif not rest:
                yield Path(entry.path)


def _is_meant(name: str) -> bool:
    """Whether a pattern that does not say so may stand for this name."""
    return not name.startswith(".") and name != _PIECES
