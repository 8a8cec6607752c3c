"""Runs that a person asks for: one of a job now, and what `runner run` does with its result."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from runner.core.cron import in_zone
from runner.core.report import Report
from runner.core.run import Run, Trigger
from runner.errors import RunnerError
from runner.execution.results import open_result
from runner.service.carrier import open_carrier
from runner.service.clock import utc_now
from runner.service.lookup import find_job
from runner.settings import Settings


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRequest:
    """What to run: the job, whether to mail, and the time it is nominally for (now where None).

    A time without a zone is one of the job's own.
    """

    job_name: str
    mailing: bool = True
    scheduled_time: datetime | None = None


def run_once(
    settings: Settings, environ: Mapping[str, str], request: RunRequest, stop_asked: Callable[[], bool]
) -> Report:
    """Run a job to its end, record it, and send its mails: by the running service, or here where there is none.

    Raises:
        StoppedError: the person has asked to end.
        RunnerError: it could not be run at all. A run that failed is a Report.
    """
    job = find_job(settings, request.job_name)
    with open_carrier(settings, environ, stop_asked) as carrier:
        run = carrier.new_run(
            job,
            trigger=Trigger.MANUAL,
            scheduled_time=in_zone(request.scheduled_time, job.timezone) if request.scheduled_time else utc_now(),
            mailing=request.mailing,
        )
        ended = carrier.carry_out((run,), {job.job_name: job}, _ignore)
        return carrier.report(ended[0] if ended else run, job)


def write_result(settings: Settings, report: Report, path: Path) -> None:
    """Write the result CSV to a file, aside and then in place.

    Raises:
        RunnerError: the run has no result, or the file cannot be written.
    """
    kept = settings.runs_dir / report.run.run_id
    aside = path.with_name(f".{path.name}.{report.run.run_id}")
    try:
        with open_result(kept) as result, aside.open("wb") as target:
            shutil.copyfileobj(result, target)
        aside.replace(path)
    except OSError as error:
        raise RunnerError(f"{path} cannot be written: {error.strerror}") from error


def _ignore(_run: Run) -> None:
    """The log lines tell how far it is."""
