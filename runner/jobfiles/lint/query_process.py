"""Queries are checked in a process of its own: the service loads no DuckDB, and outlives a crash of its parser."""

import json
import logging
import os
import select
import subprocess
import sys
import time
from dataclasses import asdict
from typing import IO

from runner.core.diagnostic import Severity
from runner.jobfiles.lint.query import find_query_faults
from runner.jobfiles.lint.step_fault import StepFault

log = logging.getLogger(__name__)

_ANSWER_SECONDS = 20.0
_PASSED_ON = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV")


class QueryProcess:
    """Answers as `find_query_faults` does, from a process that is started when the first query comes.

    Not for several threads at a time. `close` after a burst: the process takes memory, and is started again when
    it is needed.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def find_faults(self, text: str, tables: tuple[str, ...]) -> tuple[StepFault, ...]:
        """Why a query cannot work. A parser that crashes or hangs on it twice is a fault of the query."""
        try:
            return self._ask(text, tables)
        except (OSError, ValueError):
            # The process may have been ended from outside.
            self.close()
        try:
            return self._ask(text, tables)
        except (OSError, ValueError) as error:
            self.close()
            log.error("The process that checks queries failed: %s", error)
            fault = StepFault(
                rule="query-syntax",
                message=f"DuckDB's parser gave no answer on this query: {error}",
                hint="Try it with runner validate; split it, or write it in another way.",
            )
            return (fault,)

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()

    def _ask(self, text: str, tables: tuple[str, ...]) -> tuple[StepFault, ...]:
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps([text, tables]).encode() + b"\n")
        process.stdin.flush()
        answer = json.loads(_read_line(process.stdout))
        return tuple(StepFault(**{**fault, "severity": Severity(fault["severity"])}) for fault in answer)

    def _start(self) -> "subprocess.Popen[bytes]":
        self._process = subprocess.Popen(
            [sys.executable, "-c", "from runner.jobfiles.lint.query_process import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            bufsize=0,
            # Not in reach of a terminal's Ctrl-C: that is for the service to act on.
            start_new_session=True,
        )
        return self._process


def _read_line(stream: IO[bytes]) -> bytes:
    """One line, within the time.

    Raises:
        TimeoutError: it does not come.
        ValueError: the other side ended instead.
    """
    line = b""
    deadline = time.monotonic() + _ANSWER_SECONDS
    while not line.endswith(b"\n"):
        ready, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError(f"not within {_ANSWER_SECONDS:.0f} s")
        piece = os.read(stream.fileno(), 1 << 16)
        if not piece:
            raise ValueError("the process ended")
        line += piece
    return line


def serve() -> None:
    """The process itself: a line of JSON in, a query and the names of its tables; a line out, its faults."""
    for line in sys.stdin:
        text, tables = json.loads(line)
        faults = [asdict(fault) for fault in find_query_faults(text, tuple(tables))]
        sys.stdout.write(json.dumps(faults) + "\n")
        sys.stdout.flush()
