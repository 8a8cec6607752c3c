"""The times and modes of files. The sandbox lets a step set none, and libraries set them on files of their own."""

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_SETTERS = ("utime", "chmod")


@contextmanager
def own_files_unmarked() -> Iterator[None]:
    """While it lasts, setting the times or the mode of a file in the step's own folders may do nothing, and is no
    error: it ends `to_excel` and `shutil.copy` otherwise. That of any other file is refused as ever."""
    originals = {name: getattr(os, name) for name in _SETTERS}
    for name, original in originals.items():
        setattr(os, name, _lenient(original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(os, name, original)


def _lenient(original: Callable[..., None]) -> Callable[..., None]:
    def setter(path: Any, *arguments: Any, **more: Any) -> None:
        try:
            original(path, *arguments, **more)
        except PermissionError:
            if not _is_own(path):
                raise

    return setter


def _is_own(path: Any) -> bool:
    if isinstance(path, int):
        return False
    real = os.path.realpath(os.fsdecode(path))
    folders = (os.getcwd(), tempfile.gettempdir())  # noqa: PTH109 - text in, text out
    return any(real.startswith(f"{os.path.realpath(folder)}/") for folder in folders)
