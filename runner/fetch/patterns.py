"""Finds the files that a pattern such as `data/2025/**/orders-*.csv` names."""

import os
import re
from collections.abc import Callable, Iterator
from fnmatch import translate
from pathlib import Path

_MAGIC = re.compile(r"[*?\[]")


def has_pattern(text: str) -> bool:
    """Whether a location holds `*`, `?` or `[`."""
    return _MAGIC.search(text) is not None


def find_matches(pattern: Path, *, check: Callable[[], None]) -> Iterator[Path]:
    """The paths that an absolute pattern names, in no order.

    `*`, `?` and `[…]` stand for part of one name, never for a leading dot; `**` as a whole name stands for any
    number of folders, and at the end for every file in them. Links to folders are followed where a name of the
    pattern names them, never by `**`. Folders that cannot be read hold nothing. `check` is called before each
    folder is read and may raise, to end the search.
    """
    parts = pattern.parts[1:]
    return _walk(Path(pattern.anchor), parts, check)


def _walk(folder: Path, parts: tuple[str, ...], check: Callable[[], None]) -> Iterator[Path]:
    first, rest = parts[0], parts[1:]
    if first == "**":
        yield from _walk_deep(folder, rest, check)
    elif not has_pattern(first):
        path = folder / first
        if rest:
            yield from _walk(path, rest, check)
        elif os.path.lexists(path):
            yield path
    else:
        matches = re.compile(translate(first)).match
        for entry in _entries(folder, check):
            if matches(entry.name) and (first.startswith(".") or not entry.name.startswith(".")):
                if not rest:
                    yield Path(entry.path)
                elif _is_folder(entry, follow_links=True):
                    yield from _walk(Path(entry.path), rest, check)


def _walk_deep(top: Path, rest: tuple[str, ...], check: Callable[[], None]) -> Iterator[Path]:
    """`**`: the folder itself and every one below it. Without recursion: a tree may be deep."""
    while rest[:1] == ("**",):
        rest = rest[1:]
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        if rest:
            yield from _walk(folder, rest, check)
        for entry in _entries(folder, check):
            if entry.name.startswith("."):
                continue
            if _is_folder(entry, follow_links=False):
                waiting.append(Path(entry.path))
            elif not rest:
                yield Path(entry.path)


def _entries(folder: Path, check: Callable[[], None]) -> list[os.DirEntry[str]]:
    check()
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []


def _is_folder(entry: os.DirEntry[str], *, follow_links: bool) -> bool:
    try:
        return entry.is_dir(follow_symlinks=follow_links)
    except OSError:
        return False
