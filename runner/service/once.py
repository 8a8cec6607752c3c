"""Runs that a person asks for: one of a job now, and what `runner run` does with its result."""

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from runner.core.cron import in_zone
from runner.core.report import Report
from runner.core.run import Run, Trigger
from runner.errors import RunnerError
from runner.execution.results import open_result
from runner.service.carrier import Tell, open_carrier
from runner.service.clock import utc_now
from runner.service.lookup import find_job
from runner.settings import Settings

STANDARD_OUTPUT = Path("/dev/stdout")
_A_PLACE = "Name a file in a folder that exists and can be written to."


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRequest:
    """What to run: the job, whether to mail, and the time it is nominally for (now where None).

    A time without a zone is one of the job's own.
    """

    job_name: str
    mailing: bool = True
    scheduled_time: datetime | None = None


def run_once(
    settings: Settings,
    environ: Mapping[str, str],
    request: RunRequest,
    stop_asked: Callable[[], bool],
    tell: Tell,
) -> Report:
    """Run a job to its end, record it, and send its mails: by the running service, or here where there is none.

    Args:
        stop_asked, tell: see `open_carrier`.

    Raises:
        StoppedError: the person has asked to end.
        RunnerError: it could not be run at all. A run that failed is a Report.
    """
    job = find_job(settings, request.job_name)
    with open_carrier(settings, environ, stop_asked, tell) as carrier:
        run = carrier.new_run(
            job,
            trigger=Trigger.MANUAL,
            scheduled_time=in_zone(request.scheduled_time, job.timezone) if request.scheduled_time else utc_now(),
            mailing=request.mailing,
        )
        ended = carrier.carry_out((run,), {job.job_name: job}, _ignore)
        return carrier.report(ended[0] if ended else run, job)


def require_place(path: Path) -> None:
    """See before a run, which mails, that a file can be written there.

    Raises:
        RunnerError: its folder is not there, or may not be written to.
    """
    folder = Path(os.path.realpath(path)).parent
    wrong = ""
    try:
        place = path if _is_stream(path) else folder
        if place is folder and not folder.is_dir():
            wrong = f"there is no folder {folder}"
        elif not os.access(place, os.W_OK):
            wrong = "this user may not write there"
    except OSError as error:
        # A folder on the way that may not be looked into, or a name that is too long.
        wrong = str(error.strerror)
    if wrong:
        raise RunnerError(f"{path} cannot be written: {wrong}", hint=f"{_A_PLACE} Nothing has been run.")


def write_result(run_dir: Path, path: Path) -> None:
    """Write the result CSV that is kept in the folder of a run to a file, aside and then in place.

    A link is followed. A pipe, a device and what /dev/stdout leads to are written to as they are.

    Raises:
        RunnerError: the run has no result, or the file cannot be written.
    """
    with open_result(run_dir) as result:
        try:
            if _is_stream(path):
                # At its end: it may be a file that the shell adds to. A socket cannot be opened by its path.
                with os.fdopen(os.dup(1), "ab") if path == STANDARD_OUTPUT else path.open("ab") as target:
                    shutil.copyfileobj(result, target)
            else:
                _replace(Path(os.path.realpath(path)), result)
        except OSError as error:
            raise RunnerError(
                f"{path} cannot be written: {error.strerror}",
                hint=f"{_A_PLACE} The run is on record all the same: runner history shows it.",
            ) from error


def _is_stream(path: Path) -> bool:
    """Whether it is no file of its own: a pipe, a device, or an open file of this process, such as /dev/stdout."""
    folder = os.path.realpath(path.parent)
    opened = folder.startswith("/proc/") or (folder == "/dev" and path.is_symlink())
    return opened or (path.exists() and not path.is_file())


def _replace(path: Path, content: BinaryIO) -> None:
    aside = path.with_name(f".{path.name[:200]}.{os.getpid()}")
    try:
        with aside.open("wb") as target:
            shutil.copyfileobj(content, target)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def _ignore(_run: Run) -> None:
    """The log lines tell how far it is."""
