"""When jobs fire next, by the files of the folder alone."""

from dataclasses import dataclass
from datetime import datetime

from runner.core.cron import next_fire, parse_cron
from runner.core.job import Job
from runner.service.lookup import job_of, read_catalog
from runner.settings import Settings


def job_next_fire(job: Job, after: datetime) -> datetime | None:
    """When a job fires next; None for a suspended one, and for one that follows others."""
    if job.suspend or job.schedule_time is None:
        return None
    return next_fire(parse_cron(job.schedule_time), job.timezone, after)


@dataclass(frozen=True, kw_only=True, slots=True)
class ComingFires:
    """The next fires of a job, aware UTC; none where it is suspended, comes after others, or fires no more."""

    job_name: str
    timezone: str
    suspended: bool
    comes_after: tuple[str, ...]
    fires: tuple[datetime, ...]


def coming_fires(
    settings: Settings, job_names: tuple[str, ...], *, after: datetime, count: int
) -> list[ComingFires]:
    """The next fires of the named jobs, or of all, at most `count` of each.

    Raises:
        UsageError, RunnerError: there is no valid job of a name, as `runner.service.lookup.job_of`.
    """
    catalog = read_catalog(settings)
    return [
        ComingFires(
            job_name=job.job_name,
            timezone=job.timezone,
            suspended=job.suspend,
            comes_after=job.after,
            fires=_fires(job, after, count),
        )
        for job in (job_of(settings, catalog, name) for name in job_names or sorted(catalog.jobs))
    ]


def _fires(job: Job, after: datetime, count: int) -> tuple[datetime, ...]:
    fires: list[datetime] = []
    while len(fires) < count and (fire := job_next_fire(job, after)) is not None:
        fires.append(fire)
        after = fire
    return tuple(fires)
