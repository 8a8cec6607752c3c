"""One target → its verdict: read, then checked."""

import time
from dataclasses import dataclass

from runner.jobfiles.inspection import CheckContext
from runner.jobfiles.read import FileKey, ReadFault, read_job_file
from runner.jobfiles.verdict import Verdict, failed_verdict


@dataclass(frozen=True, slots=True)
class Target:
    """One file to check: where it is, how it is shown, and what holds for its folder."""

    file: str
    shown: str
    context: CheckContext


@dataclass(frozen=True, slots=True)
class Looked:
    """A verdict, the digest and state of the job file itself, and when (nanoseconds) it was read; no digest where
    it could not be read."""

    verdict: Verdict
    text_digest: str = ""
    key: FileKey = (0, 0, 0, 0)
    read_at: int = 0


def look(target: Target) -> Looked:
    """Read and check one file, here."""
    from runner.jobfiles.check import judge_file

    read_at = time.time_ns()
    answer = read_job_file(target.file, target.shown)
    if isinstance(answer, ReadFault):
        return Looked(failed_verdict(target.shown, answer))
    return Looked(judge_file(answer, target.context), answer.digest, answer.key, read_at)
