"""Queries are checked in a process of its own: the service loads no DuckDB, and outlives a crash of its parser."""

import json
import logging
import os
import resource
import select
import subprocess
import sys
import time
from dataclasses import asdict

from runner.children import end_child
from runner.core.diagnostic import Severity
from runner.jobfiles.lint.query import find_query_faults
from runner.jobfiles.lint.step_fault import StepFault

log = logging.getLogger(__name__)

_ANSWER_SECONDS = 20.0
# Of processor time: a parser that takes more hangs on its query, however busy the machine is.
_PARSER_SECONDS = 8
_PASSED_ON = ("PATH", "PYTHONPATH", "HOME", "LANG", "LC_ALL", "VIRTUAL_ENV")


class QueryProcess:
    """Answers as `find_query_faults` does, from a process that is started when the first query comes.

    Not for several threads at a time. `close` after a burst: the process takes memory, and is started again when
    it is needed.
    """

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._too_slow: TimeoutError | None = None

    def find_faults(self, text: str, tables: tuple[str, ...]) -> tuple[StepFault, ...]:
        """Why a query cannot work. A parser that crashes or hangs on it twice is a fault of the query.

        Where the process cannot be asked, as on a machine that is overloaded or has no descriptors left, that is a
        `passing` fault. One that is too slow is not asked again before `close`.
        """
        if self._too_slow is not None:
            return _no_answer(self._too_slow)
        try:
            return self._ask(text, tables)
        except TimeoutError as error:
            self._too_slow = error
            return self._give_up(error)
        except (OSError, ValueError):
            # The process may have been ended from outside.
            self._end()
        try:
            return self._ask(text, tables)
        except (OSError, ValueError) as error:
            return self._give_up(error)

    def close(self) -> None:
        """End the process, if there is one."""
        self._too_slow = None
        self._end()

    def _give_up(self, error: OSError | ValueError) -> tuple[StepFault, ...]:
        self._end()
        log.error("The process that checks queries failed: %s", error)
        return _no_answer(error)

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            end_child(process, "The process that checks queries")

    def _ask(self, text: str, tables: tuple[str, ...]) -> tuple[StepFault, ...]:
        """The answer of the process.

        Raises:
            OSError: it cannot be asked, or is too slow.
            ValueError: it ended on the query.
        """
        process = self._process or self._start()
        assert process.stdin is not None
        process.stdin.write(json.dumps([text, tables]).encode() + b"\n")
        process.stdin.flush()
        answer = json.loads(_read_line(process))
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
        try:
            _read_line(self._process)
        except ValueError as error:
            raise ChildProcessError("the process does not start") from error
        return self._process


def _no_answer(error: OSError | ValueError) -> tuple[StepFault, ...]:
    passing = isinstance(error, OSError)
    fault = StepFault(
        rule="query-syntax",
        message=f"DuckDB's parser gave no answer on this query: {error}",
        hint="It is asked again, without a change of the file."
        if passing
        else "Try it with runner validate; split it, or write it in another way.",
        passing=passing,
    )
    return (fault,)


def _read_line(process: "subprocess.Popen[bytes]") -> bytes:
    """One line, within the time.

    Raises:
        TimeoutError: it does not come.
        ValueError: the other side ended instead.
    """
    stream = process.stdout
    assert stream is not None
    # Not by select(2), to which no descriptor from 1024 on can be given.
    answers = select.poll()
    answers.register(stream, select.POLLIN)
    line = b""
    deadline = time.monotonic() + _ANSWER_SECONDS
    while not line.endswith(b"\n"):
        if not answers.poll(1000 * max(0.0, deadline - time.monotonic())):
            raise TimeoutError(f"not within {_ANSWER_SECONDS:.0f} s")
        piece = os.read(stream.fileno(), 1 << 16)
        if not piece:
            raise ValueError("the process ended")
        line += piece
    return line


def serve() -> None:
    """The process itself: an empty line when it is ready; then a line of JSON in, a query and the names of its
    tables, and a line out, its faults."""
    _say("")
    for line in sys.stdin:
        text, tables = json.loads(line)
        _bound_time()
        _say(json.dumps([asdict(fault) for fault in find_query_faults(text, tuple(tables))]))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _bound_time() -> None:
    """End this process when the next query takes too much of the processor."""
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = int(time.process_time()) + 1 + _PARSER_SECONDS
    if most == resource.RLIM_INFINITY or wanted < most:
        resource.setrlimit(resource.RLIMIT_CPU, (wanted, most))
