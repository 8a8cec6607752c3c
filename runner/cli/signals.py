"""Signals of the long-running verbs."""

import signal
from collections.abc import Callable


def handle_signals(*, stop: Callable[[], None], reload: Callable[[], None]) -> None:
    """SIGTERM and Ctrl-C stop; SIGHUP reloads."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: stop())
    signal.signal(signal.SIGINT, lambda _number, _frame: stop())
    signal.signal(signal.SIGHUP, lambda _number, _frame: reload())
