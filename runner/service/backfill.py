"""Running the fires of a past span: what `runner backfill` does."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from runner.core.backfill import BackfillPlan, plan_backfill
from runner.core.cron import fire_key, fires_between, in_zone, parse_cron
from runner.core.job import Job
from runner.core.run import Fire, Run, Trigger
from runner.errors import UsageError
from runner.service.carrier import Carrier, Tell, open_carrier
from runner.service.clock import utc_now
from runner.service.lookup import find_job, read_catalog
from runner.settings import Settings
from runner.store.reader import StoreReader
from runner.store.store import Store

# A year of hourly runs. More is more than one wants to begin with one command.
LARGEST = 10_000
_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class BackfillRequest:
    """Which fires: those of a job from `since` to `until`, both included. Times without a zone are the job's own.

    With `again`, those that have succeeded before are run once more.
    """

    job_name: str
    since: datetime
    until: datetime
    again: bool = False
    mailing: bool = True


class Backfill:
    """One backfill: what it would do, and doing it."""

    def __init__(self, settings: Settings, request: BackfillRequest, job: Job, carrier: Carrier) -> None:
        self.job = job
        self._settings = settings
        self._request = request
        self._carrier = carrier
        self.plan = _plan(job, request, carrier.history)

    def run(self, on_change: Callable[[Run], None]) -> tuple[Run, ...]:
        """Run every fire that is to be run, one after the other, and wait until they have ended.

        Args:
            on_change: called for each run that begins, ends, or is to be tried again.

        Raises:
            RunnerError: see `Carrier.carry_out`.
        """
        runs = tuple(self._new_run(fire) for fire in self.plan.todo)
        jobs = {**read_catalog(self._settings).jobs, self.job.job_name: self.job}
        return self._carrier.carry_out(runs, jobs, on_change)

    def _new_run(self, fire: Fire) -> Run:
        return self._carrier.new_run(
            self.job,
            trigger=Trigger.BACKFILL,
            scheduled_time=fire.scheduled_time,
            fire=replace(fire, key=self.plan.key_of(fire)),
            mailing=self._request.mailing,
        )


def backfill_plan(settings: Settings, request: BackfillRequest) -> tuple[Job, BackfillPlan]:
    """What a backfill would do; nothing is changed.

    Raises:
        UsageError: as `open_backfill`.
        StoreError: the history cannot be read.
    """
    job = find_job(settings, request.job_name)
    with Store.open_reader(settings.storage_path) as history:
        return job, _plan(job, request, history)


@contextmanager
def open_backfill(
    settings: Settings,
    environ: Mapping[str, str],
    request: BackfillRequest,
    stop_asked: Callable[[], bool],
    tell: Tell,
) -> Iterator[Backfill]:
    """A backfill, carried out by the running service, or here where there is none.

    Args:
        stop_asked, tell: see `open_carrier`.

    Raises:
        UsageError: there is no such job, it has no schedule, or the span cannot be run.
        RunnerError: the store cannot be opened, or the sandbox cannot be had.
    """
    job = find_job(settings, request.job_name)
    _fires(job, request)
    with open_carrier(settings, environ, stop_asked, tell) as carrier:
        yield Backfill(settings, request, job, carrier)


def _plan(job: Job, request: BackfillRequest, history: StoreReader) -> BackfillPlan:
    fires = _fires(job, request)
    since, until = _span(job, request)
    return plan_backfill(fires, history.runs_between(job.job_name, since, until), again=request.again)


def _span(job: Job, request: BackfillRequest) -> tuple[datetime, datetime]:
    return in_zone(request.since, job.timezone), in_zone(request.until, job.timezone)


def _fires(job: Job, request: BackfillRequest) -> tuple[Fire, ...]:
    if job.schedule_time is None:
        raise UsageError(
            f"{job.job_name} has no schedule of its own: it comes after {', '.join(job.after)}",
            hint="Backfill those, with --again where they succeeded before; it follows where it has not run yet.",
        )
    since, until = _span(job, request)
    now = utc_now()
    if until > now:
        words = now.astimezone(ZoneInfo(job.timezone)).strftime("%Y-%m-%dT%H:%M")
        raise UsageError(
            "the span ends in the future",
            hint=f"Later fires run by schedule, and a date means the whole day: --to {words} ends it now.",
        )
    if since > until:
        raise UsageError("the span ends before it begins", hint="Give a --from that is before --to.")
    schedule = parse_cron(job.schedule_time)
    times, earlier = fires_between(schedule, job.timezone, since - _SECOND, until, limit=LARGEST)
    if earlier:
        raise UsageError(
            f"these are {len(times) + earlier:,} fires, and a backfill runs at most {LARGEST:,}",
            hint="Give a shorter span, and the next one after it.",
        )
    return tuple(
        Fire(scheduled_time=moment, job_name=job.job_name, key=fire_key(schedule, job.timezone, moment))
        for moment in times
    )
