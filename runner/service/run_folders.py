"""The folders of runs: what is read from one when its run ends, what stays in it, and when it goes."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from runner.core.identity import is_run_id
from runner.core.run import FailureKind, RunFailure, RunOutcome, RunState
from runner.errors import ExecutionError
from runner.execution.results import RESULT_FILE, read_result
from runner.execution.trees import remove_tree

log = logging.getLogger(__name__)

# A larger result is not read into the service: no compression makes a mail of it. It stays in the run's folder.
LARGEST_READ = 64 << 20


def read_outcome(run_dir: Path, outcome: RunOutcome) -> tuple[RunOutcome, bytes | None]:
    """The bytes of the result, None where there is none or too many; one that cannot be read is a failure."""
    if outcome.result_file is None or outcome.result_bytes > LARGEST_READ:
        return outcome, None
    try:
        return outcome, read_result(run_dir, max_bytes=LARGEST_READ)
    except ExecutionError as error:
        failure = RunFailure(kind=FailureKind.RESULT, message=error.message, hint=error.hint)
        return replace(outcome, state=RunState.FAILED, failure=failure, result_file=None), None


def tidy(run_dir: Path) -> None:
    """Leave only the result in a run's folder: the input may be large, and a script may have left anything."""
    try:
        for entry in run_dir.iterdir() if run_dir.is_dir() else ():
            if entry.is_symlink() or not entry.is_dir():
                if entry.name != RESULT_FILE or entry.is_symlink():
                    entry.unlink()
            else:
                remove_tree(entry)
    except OSError as error:
        log.warning("The folder %s cannot be tidied: %s", run_dir, error)


def sweep(runs_dir: Path, is_known: Callable[[str], bool]) -> None:
    """Remove the folders of runs that are no longer on record, also those that an earlier try left.

    The folder may hold other things than ours, where JOB_STORAGE_PATH names a shared place: those stay.
    """
    for folder in runs_dir.iterdir() if runs_dir.is_dir() else ():
        if is_run_id(folder.name) and folder.is_dir() and not is_known(folder.name):
            try:
                remove_tree(folder)
            except OSError as error:
                log.warning("%s cannot be removed: %s", folder, error)
