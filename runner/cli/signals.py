"""Signals of the verbs that run jobs."""

import signal
from collections.abc import Callable


class Signals:
    """Takes SIGTERM and Ctrl-C, which stop, and SIGHUP, which reloads, from when it is made.

    `stopped` tells of a stop that came before there was anything to hand it to.

    Args:
        hang_up_stops: SIGHUP stops too (not under nohup): for what lives no longer than its terminal.
    """

    def __init__(self, *, hang_up_stops: bool = False) -> None:
        self.stopped = False
        self._stop: Callable[[], None] = _nothing
        self._reload: Callable[[], None] = _nothing
        for number in (signal.SIGTERM, signal.SIGINT, *(_hang_up() if hang_up_stops else ())):
            signal.signal(number, self._take_stop)
        if not hang_up_stops:
            signal.signal(signal.SIGHUP, lambda _number, _frame: self._reload())

    def hand_to(self, *, stop: Callable[[], None], reload: Callable[[], None] | None = None) -> None:
        """Call these from now on; a stop that has come already is handed over at once."""
        self._stop, self._reload = stop, reload or _nothing
        if self.stopped:
            stop()

    def ignore(self) -> None:
        """What comes now changes nothing: all is closed, and the interpreter would die of it at its end."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)

    def _take_stop(self, _number: int, _frame: object) -> None:
        self.stopped = True
        self._stop()


def _nothing() -> None:
    """There is nothing to stop or reload yet."""


def end_as_by_ctrl_c() -> None:
    """SIGTERM and SIGHUP end the command as Ctrl-C does from now on: its folders and child processes go too."""
    for number in (signal.SIGTERM, *_hang_up()):
        signal.signal(number, signal.default_int_handler)


def _hang_up() -> tuple[signal.Signals, ...]:
    """SIGHUP, but not under nohup: what is started so goes on when its terminal is closed."""
    return () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)


class StopFlag:
    """Takes SIGTERM, SIGHUP (not under nohup) and Ctrl-C from when it is made, and says so when asked.

    Nothing is raised in the middle of anything: a write to the store ends as it should. A second signal ends the
    command wherever it is.
    """

    def __init__(self) -> None:
        self._asked = False
        for number in (signal.SIGINT, signal.SIGTERM, *_hang_up()):
            signal.signal(number, self._take)

    def __call__(self) -> bool:
        """Whether the command is to end."""
        return self._asked

    def _take(self, _number: int, _frame: object) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True
