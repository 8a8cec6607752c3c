"""The standard streams while a verb runs: what is written to them may end up in the log of a CI job."""

import sys
from typing import Any, TextIO

from runner.core.log_commands import disarm


class _Disarmed:
    """A text stream in whose lines no CI server finds a command, whoever has written them, and however they were
    broken to fit."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        self.stream.write(disarm(text))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def disarm_streams() -> None:
    """Let no CI server obey what is written from now on to standard output and standard error."""
    for name in ("stdout", "stderr"):
        setattr(sys, name, _Disarmed(getattr(sys, name)))


def verbatim_output() -> TextIO:
    """Standard output for what must be as it is: commands of our own, and files that are written anew."""
    return sys.stdout.stream if isinstance(sys.stdout, _Disarmed) else sys.stdout
