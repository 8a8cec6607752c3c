"""The times of files. The sandbox lets a step set none, and libraries set them on files of their own."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def own_files_without_times() -> Iterator[None]:
    """While it lasts, setting the times of a file in the step's own folders may do nothing, and is no error: it
    ends `to_excel` otherwise. That of any other file is refused as ever."""
    original = os.utime

    def utime(path: Any, *arguments: Any, **more: Any) -> None:
        try:
            original(path, *arguments, **more)
        except PermissionError:
            if not _is_own(path):
                raise

    os.utime = utime
    try:
        yield
    finally:
        os.utime = original


def _is_own(path: Any) -> bool:
    if isinstance(path, int):
        return False
    real = os.path.realpath(os.fsdecode(path))
    folders = (os.getcwd(), tempfile.gettempdir())  # noqa: PTH109 - text in, text out
    return any(real.startswith(f"{os.path.realpath(folder)}/") for folder in folders)
