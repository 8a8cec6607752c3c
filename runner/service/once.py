"""One run of one job, now, without a service: what `runner run` does."""

import random
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from runner.core.delivery import DeliveryState
from runner.core.report import Report
from runner.core.run import Run, Trigger
from runner.delivery.outbox import Outbox
from runner.errors import RunnerError
from runner.execution.results import open_result
from runner.logs import run_context
from runner.service.overview import find_job
from runner.service.runs import RunDesk
from runner.service.wiring import build_works, open_transport, utc_now
from runner.settings import Settings
from runner.store.store import Store

# Seconds a run waits for the running service to send its mails, and for a store that is away.
DELIVERY_PATIENCE = 60.0
RECORD_PATIENCE = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class RunRequest:
    """What to run: the job, whether to mail, and the time it is nominally for (now where None)."""

    job_name: str
    mailing: bool = True
    scheduled_time: datetime | None = None


def run_once(settings: Settings, environ: Mapping[str, str], request: RunRequest) -> Report:
    """Run a job to its end, record it, and send its mails; the running service sends them where there is one.

    Raises:
        RunnerError: it could not be run at all. A run that failed is a Report.
    """
    job = find_job(settings, request.job_name)
    store = Store.open(settings.storage_path, beside_service=True)
    try:
        works = build_works(
            settings, environ, store=store, on_change=_ignore, mailing=request.mailing, max_workers=1
        )
        try:
            works.zygote.start()
            desk = works.desk
            desk.keep_reports = True
            scheduled = request.scheduled_time or utc_now()
            run = desk.new_run(job, trigger=Trigger.MANUAL, scheduled_time=scheduled)
            store.hold_run(run.run_id)
            store.add_run(run)
            desk.begin(run, job)
            _wait_for_end(desk, job.job_name)
        finally:
            works.executor.shutdown(grace_seconds=0.0)
            works.zygote.close()
        report = desk.reports.get(run.run_id)
        if report is None:
            raise RunnerError(
                "the run ended, but its end could not be recorded", hint="The log lines above say why."
            )
        deliver(settings, store, report.run)
        return replace(report, run=store.run(run.run_id) or report.run)
    finally:
        store.close()


def _wait_for_end(desk: RunDesk, job_name: str) -> None:
    """Until the run has ended and that is on record; a store that stays away is given up on after a minute."""
    gives_up_at: float | None = None
    while desk.unfinished(job_name):
        time.sleep(0.01)
        if not desk.unrecorded_count():
            continue
        gives_up_at = gives_up_at or time.monotonic() + RECORD_PATIENCE
        if time.monotonic() > gives_up_at:
            return
        time.sleep(0.5)
        desk.retry_unrecorded()


def deliver(settings: Settings, store: Store, run: Run) -> None:
    """Send the mails of a run, or wait for the running service to send them; sends them itself when it ends."""
    deadline = time.monotonic() + DELIVERY_PATIENCE
    now: Run | None = run
    while now is not None and any(one.state is DeliveryState.PENDING for one in now.deliveries):
        if store.try_alone():
            outbox = Outbox(
                store, open_transport(settings), clock=utc_now, random=random.random, context=run_context
            )
            outbox.drain_once()
            return
        if time.monotonic() > deadline:
            return
        time.sleep(0.2)
        now = store.run(run.run_id)


def _ignore(_run: Run) -> None:
    """Nobody watches a single run."""


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
