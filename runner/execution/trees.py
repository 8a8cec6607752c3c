"""Removing what is in a run's folder, whatever a script has left there, and while its last threads may still be at
work: nothing is ever reached by a name that may lead elsewhere by the time it is used."""

import errno
import itertools
import os
import secrets
import stat
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A process that was killed may finish what it had asked of the kernel: how often a folder may be filled again.
_TRIES = 100
_NO_FOLDER = frozenset({errno.ENOTDIR, errno.ELOOP})
# What is said of a name that is another kind of thing, or fuller, than it was a moment ago.
_CHANGING = _NO_FOLDER | {errno.ENOTEMPTY, errno.EISDIR, errno.EPERM}


def remove_tree(path: Path | str) -> None:
    """Remove a folder with all in it; a missing one is fine. Symbolic links are removed, never followed.

    Without recursion and with names relative to an open folder: a tree that is 3,000 levels deep has a path longer
    than the system takes, and breaks shutil.rmtree. Each folder is emptied into its top, one level at a time, so
    that two descriptors are enough.

    Raises:
        OSError: something could not be removed.
    """
    for left in reversed(range(_TRIES)):
        try:
            clear_folder(path)
            os.rmdir(path)  # noqa: PTH106 - `path` may be text
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno != errno.ENOTEMPTY or not left:
                raise
            continue
        return


def clear_folder(path: Path | str, *, keep: Collection[str] = ()) -> None:
    """Remove all that is in a folder, but the plain files of some names.

    Raises:
        FileNotFoundError: there is no such folder.
        OSError: something could not be removed.
    """
    top = _open_folder(path)
    try:
        _empty(top, keep)
    finally:
        os.close(top)


def _empty(top: int, keep: Collection[str]) -> None:
    """Remove all below the open folder `top`: folders are moved up to it before they are emptied."""
    tries = 0
    # Names that what lies there cannot have: a script may have tried to be in the way.
    fresh = (f".removing-{secrets.token_hex(8)}-{number}" for number in itertools.count())
    waiting = _remove_files(top, keep)
    while waiting:
        name = waiting.pop()
        try:
            _remove_folder(name, top, fresh, waiting)
        except FileNotFoundError:
            continue
        except OSError as error:
            tries += 1
            if error.errno not in _CHANGING or tries > _TRIES:
                raise
            waiting.append(name)


def _remove_folder(name: str, top: int, fresh: Iterator[str], lifted: list[str]) -> None:
    """Remove a folder in `top`, or what has taken its place; the folders in it are lifted beside it, and noted."""
    try:
        folder = _open_folder(name, parent=top)
    except OSError as error:
        if error.errno not in _NO_FOLDER:
            raise
        os.unlink(name, dir_fd=top)
        return
    try:
        for inner in _remove_files(folder):
            place = next(fresh)
            with suppress(FileNotFoundError):
                os.rename(inner, place, src_dir_fd=folder, dst_dir_fd=top)
                lifted.append(place)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=top)


def _open_folder(path: Path | str, *, parent: int | None = None) -> int:
    """Open a folder, also one that is closed to its owner, and open it up. Never what a link leads to.

    Raises:
        OSError: it cannot be opened, or is none.
    """
    try:
        folder = os.open(path, _FOLDER, dir_fd=parent)
    except PermissionError:
        folder = _open_closed(path, parent)
    try:
        os.fchmod(folder, stat.S_IRWXU)
    except BaseException:
        os.close(folder)
        raise
    return folder


def _open_closed(path: Path | str, parent: int | None) -> int:
    if not hasattr(os, "O_PATH"):
        os.chmod(path, stat.S_IRWXU, dir_fd=parent, follow_symlinks=False)
        return os.open(path, _FOLDER, dir_fd=parent)
    # The folder itself, by a descriptor: by its name, chmod would follow a link that has just taken its place.
    place = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        own = f"/proc/self/fd/{place}"
        os.chmod(own, stat.S_IRWXU)  # noqa: PTH101 - a descriptor's own path
        return os.open(own, _FOLDER & ~os.O_NOFOLLOW)
    finally:
        os.close(place)


def _remove_files(folder: int, keep: Collection[str] = ()) -> list[str]:
    """Remove what is no folder and not to be kept; answer with the names of the folders."""
    folders = []
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False), entry.is_symlink()) for entry in entries]
    for name, is_folder, is_link in found:
        if is_folder:
            folders.append(name)
        elif name not in keep or is_link:
            try:
                os.unlink(name, dir_fd=folder)
            except FileNotFoundError:
                continue
            except IsADirectoryError:
                folders.append(name)
    return folders
