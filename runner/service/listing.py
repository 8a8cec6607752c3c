"""What the command line shows of jobs, without a service: their files, and what the history says of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from runner.core.bookmark import CursorValue
from runner.core.catalog import CatalogEntry
from runner.core.effective import EffectiveValue
from runner.core.identity import horizon
from runner.core.job import Job
from runner.core.run import Run
from runner.errors import RunnerError
from runner.service.coming import job_next_fire
from runner.service.folder import open_folder
from runner.service.lookup import find_job, read_catalog
from runner.settings import Settings
from runner.status.snapshot import JobStatus

if TYPE_CHECKING:
    # As in `lookup`: most that is shown of a job needs no database.
    from runner.store.reader import StoreReader


def list_jobs(settings: Settings, history: "StoreReader", *, now: datetime) -> tuple[JobStatus, ...]:
    """Every job file with its next fire and last run, as `GET /jobs` lists them."""
    last_runs = history.last_runs(horizon(now))
    entries = read_catalog(settings, history.load_jobs()).entries
    return tuple(_status(entry, last_runs, now) for entry in entries)


def _status(entry: CatalogEntry, last_runs: Mapping[str, Run], now: datetime) -> JobStatus:
    return JobStatus(
        entry=entry,
        next_fire=job_next_fire(entry.job, now) if entry.job else None,
        last_run=last_runs.get(entry.job_name or ""),
        running=False,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class EffectiveJob:
    """A valid job with every value that holds for it, and where each comes from.

    `cursor` is how far an incremental load has got with what was delivered.
    """

    job: Job
    values: tuple[EffectiveValue, ...]
    cursor: CursorValue | None = None


def effective_job(settings: Settings, job_name: str) -> EffectiveJob:
    """The valid job of a name, or of a path, as it takes effect.

    Raises:
        RunnerError: as `find_job`, the file changed while it was looked at, or the state of an incremental load
            cannot be read.
    """
    job = find_job(settings, job_name)
    folder = open_folder(settings)
    found = folder.effective(job.path)
    if found is None:
        raise RunnerError(f"{job.path} changed while it was read", hint="Try again.")
    return EffectiveJob(job=job, values=found, cursor=_cursor(settings, job))


def _cursor(settings: Settings, job: Job) -> CursorValue | None:
    if job.incremental is None:
        return None
    from runner.store.reader import StoreReader

    with StoreReader.open_reader(settings.storage_path) as history:
        return history.bookmark(job.job_name).for_origin(job.origin).cursor
