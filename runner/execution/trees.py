"""Removing a run's folder, whatever a script has left in it."""

import os
import secrets
import stat
from pathlib import Path


def remove_tree(path: Path | str) -> None:
    """Remove a folder with all in it; a missing one is fine. Symbolic links are removed, never followed.

    Without recursion and with names relative to an open folder: a tree that is 3,000 levels deep has a path longer
    than the system takes, and breaks shutil.rmtree. Each folder is emptied into its top, one level at a time, so
    that two descriptors are enough.

    Raises:
        OSError: something could not be removed.
    """
    try:
        if stat.S_ISDIR(os.lstat(path).st_mode):
            os.chmod(path, stat.S_IRWXU)  # noqa: PTH101 - `path` may be text
        top = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _empty(top)
    finally:
        os.close(top)
    os.rmdir(path)  # noqa: PTH106 - `path` may be text


def _empty(top: int) -> None:
    """Remove all below the open folder `top`: folders are moved up to it before they are emptied."""
    number = 0
    # Names that what lies there cannot have: a script may have tried to be in the way.
    token = secrets.token_hex(8)
    waiting = _remove_files(top)
    while waiting:
        name = waiting.pop()
        folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=top)
        try:
            for inner in _remove_files(folder):
                number += 1
                lifted = f".removing-{token}-{number}"
                os.rename(inner, lifted, src_dir_fd=folder, dst_dir_fd=top)
                waiting.append(lifted)
        finally:
            os.close(folder)
        os.rmdir(name, dir_fd=top)


def _remove_files(folder: int) -> list[str]:
    """Remove what is no folder; answer with the names of the folders, opened up where they were closed."""
    folders = []
    with os.scandir(folder) as entries:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in names:
        if is_folder:
            os.chmod(name, stat.S_IRWXU, dir_fd=folder)
            folders.append(name)
        else:
            os.unlink(name, dir_fd=folder)
    return folders
