"""The names of what the runner keeps of runs and mails, and how a path is known to lead there."""

import os
import re

RUNS, MAIL, SINGLE_RUNS = "runs", "mail", "single-runs"
LOCK_NAME = "runner.lock"
# A link from here may lead to where the database lies, and then the lock is there.
_BESIDE = (LOCK_NAME, "runner.db")
# Looked ahead: one of them may lie right in another.
_KEPT = re.compile(rf"/(?=(?:{RUNS}|{MAIL}|{SINGLE_RUNS})/)")


def is_kept_by_runner(path: str) -> bool:
    """Whether an absolute path, links resolved, leads to what a runner, this one or another, keeps of runs and
    mails: the data of any job may stand there.

    Such a folder is told by the lock beside it: whoever checks a file need not know the settings of the service.
    """
    places = (path[: found.end()] for found in _KEPT.finditer(path))
    return any(os.path.lexists(place + name) for place in places for name in _BESIDE)
