"""Targets → their verdicts: read, then checked."""

import time
from collections.abc import Sequence

import msgspec

from runner.jobfiles.inspection import CheckContext
from runner.jobfiles.read import FileKey, JobFile, read_job_file
from runner.jobfiles.verdict import Verdict, failed_verdict


class Target(msgspec.Struct, frozen=True):
    """One file to check: where it is, how it is shown, and what holds for its folder."""

    file: str
    shown: str
    context: CheckContext


class Looked(msgspec.Struct, frozen=True):
    """A verdict, the digest and state of the job file itself, and when (nanoseconds) it was read; no digest where
    it could not be read."""

    verdict: Verdict
    text_digest: str = ""
    key: FileKey = (0, 0, 0, 0)
    read_at: int = 0


def look_at(targets: Sequence[Target]) -> list[Looked]:
    """Read and check files, here, in the order given."""
    from runner.jobfiles.judge import BATCH  # where there is something to check: spares its imports

    return [
        looked for start in range(0, len(targets), BATCH) for looked in _look_at(targets[start : start + BATCH])
    ]


def _look_at(targets: Sequence[Target]) -> list[Looked]:
    from runner.jobfiles.judge import judge_files

    read_at = time.time_ns()
    answers = [read_job_file(target.file, target.shown) for target in targets]
    pairs = list(zip(answers, targets, strict=True))
    verdicts = iter(
        judge_files([(answer, target.context) for answer, target in pairs if isinstance(answer, JobFile)])
    )
    return [
        Looked(next(verdicts), answer.digest, answer.key, read_at)
        if isinstance(answer, JobFile)
        else Looked(failed_verdict(target.shown, answer))
        for answer, target in pairs
    ]
