"""Targets → verdicts, on every core: each worker is a forked child, so that no file can take the others down."""

import os
import signal
from collections.abc import Sequence
from typing import NoReturn

import msgspec

from runner.core.diagnostic import Diagnostic
from runner.jobfiles.look import Looked, Target, look_at
from runner.jobfiles.verdict import Verdict

_CHUNK = 1 << 20


def look_in_parallel(targets: Sequence[Target], *, workers: int) -> list[Looked]:
    """Read and check files in `workers` processes; the answers are in the order given.

    Not to be called where other threads run, for they would not be there after the fork; those that only wait for
    an answer of a file system are not missed.
    """
    _prepare()
    children = [_Child(targets[number::workers]) for number in range(workers)]
    try:
        answers = [child.answer() or [_look_alone(target) for target in child.targets] for child in children]
    finally:
        for child in children:
            child.close()
    found: list[Looked | None] = [None] * len(targets)
    for number, answer in enumerate(answers):
        found[number::workers] = answer
    return [one for one in found if one is not None]


def _prepare() -> None:
    """What every worker needs, made once and inherited."""
    from runner.jobfiles.judge import judge_files  # noqa: F401 - imported for the children
    from runner.jobfiles.schema import JOB_SCHEMA

    JOB_SCHEMA.fits({})


def _look_alone(target: Target) -> Looked:
    """Check a file in a process of its own, and say so where that process dies of it."""
    child = _Child([target])
    try:
        answer = child.answer()
    finally:
        child.close()
    if answer:
        return answer[0]
    finding = Diagnostic(
        path=target.shown,
        rule="internal-error",
        message="checking this file ended the process that checked it",
        hint="This is a fault of runner or of a library: please report it with the file.",
    )
    return Looked(Verdict(path=target.shown, digest="", diagnostics=(finding,)))


class _Child:
    """One forked worker with its targets; `close` ends it."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self.targets = targets
        self._source, sink = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._source)
            _work(targets, sink)
        os.close(sink)

    def answer(self) -> list[Looked] | None:
        """What the worker found; None where it died. Waits for it."""
        pieces = []
        while piece := os.read(self._source, _CHUNK):
            pieces.append(piece)
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        if status:
            return None
        answer = msgspec.msgpack.decode(b"".join(pieces), type=list[Looked])
        return answer if len(answer) == len(self.targets) else None

    def close(self) -> None:
        """End the worker, where it has not ended, and let go of its pipe."""
        os.close(self._source)
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0


def _work(targets: Sequence[Target], sink: int) -> NoReturn:
    """The life of a worker. It leaves without running what the parent wants to run at its own end."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        content = memoryview(msgspec.msgpack.encode(look_at(targets)))
        while content:
            content = content[os.write(sink, content) :]
        status = 0
    finally:
        os._exit(status)
