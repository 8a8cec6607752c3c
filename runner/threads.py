"""Threads that begin, or an error that says what keeps them from it."""

import threading

from runner.errors import ThreadError


def begin(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        ThreadError: the system gives no other one.
    """
    try:
        thread.start()
    except RuntimeError as error:
        raise ThreadError from error
