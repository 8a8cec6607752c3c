"""Where everything stands: what `runner status` shows, with a running service and without one."""

import shutil
from collections.abc import Mapping
from datetime import datetime
from heapq import nsmallest

from runner.core.catalog import Catalog, SyncState, restore
from runner.core.delivery import DeliveryState
from runner.core.health import DiskSpace, FailingJob, NextFire, Standing
from runner.core.identity import horizon
from runner.core.job import Job
from runner.core.run import Run, RunState
from runner.errors import RunnerError
from runner.service.coming import job_next_fire
from runner.service.folder import emptied_words
from runner.service.lookup import is_emptied, read_catalog
from runner.service.peer import ask_service
from runner.settings import Settings
from runner.store.reader import StoreReader
from runner.store.store import Store

NEXT_FIRES = 5
# More are not counted.
_COUNTED = 10_000
_UNSENT = (DeliveryState.PENDING, DeliveryState.DEFERRED, DeliveryState.DEAD, DeliveryState.HELD)
_LOOKED_BACK = 100


def take_stock(settings: Settings, *, now: datetime) -> Standing:
    """Where everything stands now. A folder of jobs that cannot be read is part of the answer, as is one that
    does not give any.

    Raises:
        StoreError: the history cannot be read.
    """
    with Store.open_reader(settings.storage_path) as store:
        remembered = store.load_jobs()
        catalog, folder_error = _read_folder(settings, remembered)
        if not (catalog.entries or folder_error) and is_emptied(settings, store):
            catalog, folder_error = restore(remembered), emptied_words(settings.jobs_dir)
        jobs = catalog.jobs
        unfinished = store.unfinished_runs()
        failing = _failing(store, jobs, horizon(now), known=not folder_error)
        deliveries = {state: store.deliveries(states=(state,), limit=_COUNTED) for state in _UNSENT}
    waiting = (*deliveries[DeliveryState.PENDING], *deliveries[DeliveryState.DEFERRED])
    invalid = [entry for entry in catalog.entries if entry.sync is not SyncState.IN_FORCE]
    return Standing(
        at=now,
        service=ask_service(settings),
        in_force=len(jobs),
        suspended=sum(job.suspend for job in jobs.values()),
        invalid=tuple(entry.path for entry in invalid),
        kept=sum(entry.job is not None for entry in invalid),
        folder_error=folder_error,
        running=tuple(run for run in unfinished if run.state is RunState.RUNNING),
        queued=tuple(run for run in unfinished if run.state is RunState.QUEUED),
        failing=failing,
        deliveries=tuple((state, len(found)) for state, found in deliveries.items() if found),
        waiting_since=min((one.created_at for one in waiting), default=None),
        next_fires=_next_fires(catalog, now),
        disk=disk_of(settings),
    )


def _read_folder(settings: Settings, remembered: Mapping[str, Job]) -> tuple[Catalog, str]:
    """The jobs in force, and why the folder cannot tell."""
    try:
        return read_catalog(settings, remembered), ""
    except RunnerError as error:
        return restore(remembered), error.message


def disk_of(settings: Settings) -> DiskSpace | None:
    """The disk of the state folder, or of where it will be made; None where that cannot be told."""
    place = next((one for one in (settings.state_dir, *settings.state_dir.parents) if one.is_dir()), None)
    try:
        usage = shutil.disk_usage(place) if place is not None else None
    except OSError:
        return None
    return usage and DiskSpace(path=str(place), free_bytes=usage.free, total_bytes=usage.total)


def _failing(
    store: StoreReader, jobs: Mapping[str, object], before: str, *, known: bool
) -> tuple[FailingJob, ...]:
    """The jobs of the folder whose last finished run failed; one before an id goes before any later one. Without a
    folder: of all the history."""
    found = []
    for job_name, last in sorted(store.last_runs(before).items()):
        by_schedule = last.trigger.scheduled and last.mailing
        if (known and job_name not in jobs) or (by_schedule and last.state is RunState.SUCCEEDED):
            continue
        # One that has none before has those of a clock that was ahead, or this one is behind.
        failures = store.failure_streak(job_name, before if last.run_id < before else None)
        run = _last_failed(store, last) if failures else None
        if run is not None:
            found.append(FailingJob(job_name=job_name, failures=failures, run=run))
    return tuple(found)


def _last_failed(store: StoreReader, last: Run) -> Run | None:
    runs = (last, *store.runs(job_name=last.job_name, limit=_LOOKED_BACK, before=last.run_id))
    return next((run for run in runs if run.state.failed and run.mailing and run.trigger.scheduled), None)


def _next_fires(catalog: Catalog, now: datetime) -> tuple[NextFire, ...]:
    fires = (
        NextFire(job_name=job.job_name, scheduled_time=moment, timezone=job.timezone)
        for job in catalog.jobs.values()
        if (moment := job_next_fire(job, now)) is not None
    )
    return tuple(nsmallest(NEXT_FIRES, fires, key=lambda fire: (fire.scheduled_time, fire.job_name)))
