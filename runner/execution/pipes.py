"""Pipes whose ends belong to different owners."""

import os
from contextlib import ExitStack


def open_pipe(reading: ExitStack, writing: ExitStack) -> tuple[int, int]:
    """A pipe whose ends are closed with these.

    Raises:
        OSError: there is no descriptor left.
    """
    reader, writer = os.pipe()
    reading.callback(os.close, reader)
    writing.callback(os.close, writer)
    return reader, writer
