"""When jobs fire next, by the files of the folder alone."""

from dataclasses import dataclass
from datetime import datetime

from runner.core.cron import next_fire, parse_cron
from runner.core.job import Job
from runner.errors import UsageError
from runner.service.lookup import empty_words, nearest_words, read_catalog
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
        UsageError: a name that no valid job has.
    """
    catalog = read_catalog(settings)
    jobs = catalog.jobs
    for name in job_names:
        if name not in jobs:
            empty = "" if catalog.entries else empty_words(settings)
            raise UsageError(f"there is no valid job {name!r}", hint=empty or nearest_words(name, jobs))
    return [
        ComingFires(
            job_name=name,
            timezone=jobs[name].timezone,
            suspended=jobs[name].suspend,
            comes_after=jobs[name].after,
            fires=_fires(jobs[name], after, count),
        )
        for name in job_names or sorted(jobs)
    ]


def _fires(job: Job, after: datetime, count: int) -> tuple[datetime, ...]:
    fires: list[datetime] = []
    while len(fires) < count and (fire := job_next_fire(job, after)) is not None:
        fires.append(fire)
        after = fire
    return tuple(fires)
