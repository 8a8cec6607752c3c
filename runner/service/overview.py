"""What the service shows of itself: the source of the HTTP endpoint, and the same listing without a service."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from runner.core.bookmark import CursorValue
from runner.core.catalog import Catalog, CatalogEntry, advance
from runner.core.cron import next_fire, parse_cron
from runner.core.diagnostic import Severity
from runner.core.effective import EffectiveValue
from runner.core.job import Job
from runner.core.run import Run
from runner.errors import RunnerError, UsageError
from runner.service.folder import open_folder
from runner.service.run_folders import kept_chart
from runner.settings import Settings
from runner.status.snapshot import JobStatus, StatusSnapshot
from runner.store.reader import StoreReader
from runner.store.store import Store


class Overview:
    """Answers the HTTP endpoint. Thread-safe; a snapshot is made anew only when something has changed."""

    def __init__(
        self,
        *,
        store: Store,
        catalog: Callable[[], Catalog],
        next_fire: Callable[[str], datetime | None],
        running: Callable[[], frozenset[str]],
        reasons: Callable[[], tuple[str, ...]],
        facts: tuple[tuple[str, str], ...],
        runs_dir: Path,
    ) -> None:
        """Facts are (key, text); the revision is added to them. `runs_dir` holds the folders of runs."""
        self._store = store
        self._catalog = catalog
        self._next_fire = next_fire
        self._running = running
        self._reasons = reasons
        self._facts = facts
        self._runs_dir = runs_dir
        self._last_runs = dict(store.last_runs())
        self._finished: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._version = 0
        self._made: StatusSnapshot | None = None
        self._statuses: dict[str, JobStatus] = {}

    def changed(self, run: Run | None = None) -> None:
        """Something is different: a run or its deliveries, or the catalog."""
        with self._lock:
            if run is not None:
                latest = self._last_runs.get(run.job_name)
                if latest is None or run.run_id >= latest.run_id:
                    self._last_runs[run.job_name] = _as_listed(run)
            self._version += 1

    def finished(self, run: Run) -> None:
        """A run has ended: it counts once."""
        with self._lock:
            self._finished[str(run.state)] += 1
        self.changed(run)

    def snapshot(self) -> StatusSnapshot:
        """The state of everything, the same object until something changes."""
        reasons = self._reasons()
        with self._lock:
            made = self._made
            if made is not None and made.version == self._version and made.reasons == reasons:
                return made
            if made is not None and made.version == self._version:
                # Readiness is asked for, not announced: count its change as one.
                self._version += 1
            self._made = self._make(reasons)
            return self._made

    def _make(self, reasons: tuple[str, ...]) -> StatusSnapshot:
        catalog, running = self._catalog(), self._running()
        statuses = [self._status(entry, running) for entry in catalog.entries]
        self._statuses = {status.entry.path: status for status in statuses}
        revision = next((job.revision.partition("+")[0] for job in catalog.jobs.values() if job.revision), "")
        return StatusSnapshot(
            version=self._version,
            generation=catalog.generation,
            jobs=tuple(statuses),
            ready=not reasons,
            reasons=reasons,
            facts=(*self._facts, *((("revision", revision[:12]),) if revision else ())),
            finished=tuple(sorted(self._finished.items())),
        )

    def _status(self, entry: CatalogEntry, running: frozenset[str]) -> JobStatus:
        """Where a job stands; the same object as before where nothing differs: its JSON is kept too."""
        status = JobStatus(
            entry=entry,
            next_fire=self._next_fire(entry.job.job_name) if entry.job else None,
            last_run=self._last_runs.get(entry.job_name or ""),
            running=entry.job is not None and entry.job.job_name in running,
        )
        before = self._statuses.get(entry.path)
        return before if before == status and before is not None else status

    def runs(self, job_name: str | None, limit: int, before: str | None) -> tuple[Run, ...]:
        """Past runs, newest first."""
        return self._store.runs(job_name=job_name, limit=limit, before=before)

    def run(self, run_id: str) -> Run | None:
        """One run, with everything that is kept of it."""
        return self._store.run(run_id)

    def chart(self, run: Run) -> bytes | None:
        """The kept chart of a run."""
        return kept_chart(self._runs_dir / run.run_id, run)

    def cursor(self, job: Job) -> CursorValue | None:
        """How far an incremental load has got with what was delivered."""
        return self._store.bookmark(job.job_name).for_origin(job.origin).cursor


def _as_listed(run: Run) -> Run:
    """A run as the store lists it: what it printed, and what was wrong with it, is for its own page. There is one
    of each job, and all of them stay in memory."""
    attempts = tuple(replace(one, failure=replace(one.failure, traceback="")) for one in run.attempts)
    failure = replace(run.failure, traceback="") if run.failure else None
    return replace(run, attempts=attempts, failure=failure, output="", checks=(), bookmark=None)


def read_catalog(settings: Settings) -> Catalog:
    """The jobs of the folder as a service started now would load them."""
    catalog, _ = advance(Catalog(), open_folder(settings).scan())
    return catalog


def find_job(settings: Settings, job_name: str) -> Job:
    """The valid job of this name.

    Raises:
        UsageError: there is none; the hint names the nearest.
        RunnerError: its file is not valid; the message is its first finding.
    """
    catalog = read_catalog(settings)
    job = catalog.jobs.get(job_name)
    if job is not None:
        return job
    for entry in catalog.entries:
        if job_name == entry.path and entry.job is not None:
            return entry.job
        if job_name in (entry.job_name, entry.path):
            found = next(one for one in entry.diagnostics if one.severity is Severity.ERROR)
            raise RunnerError(str(found), hint=found.hint or "runner validate shows every finding.")
    raise UsageError(
        f"there is no job {job_name!r} in {settings.jobs_dir}", hint=_nearest_words(job_name, catalog.jobs)
    )


def stranger_words(settings: Settings, job_name: str | None) -> str:
    """That no job has this name, neither in the folder nor in the history, and which is the nearest; else empty.

    Raises:
        StoreError: the history cannot be read.
    """
    if job_name is None:
        return ""
    try:
        names = {entry.job_name for entry in read_catalog(settings).entries if entry.job_name}
    except RunnerError:
        # The history can be looked at where the folder cannot.
        names = set()
    with StoreReader.open_reader(settings.storage_path) as history:
        names.update(history.last_runs())
    if job_name in names:
        return ""
    missing = f"There is no job {job_name!r} in {settings.jobs_dir}, and none in the history."
    return f"{missing} {_nearest_words(job_name, names)}"


def _nearest_words(job_name: str, names: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(job_name, sorted(names), n=1)
    return f"Did you mean {near[0]!r}? runner list shows the jobs." if near else "runner list shows the jobs."


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
    with StoreReader.open_reader(settings.storage_path) as history:
        return history.bookmark(job.job_name).for_origin(job.origin).cursor


def job_next_fire(job: Job, after: datetime) -> datetime | None:
    """When a job fires next; None for a suspended one, and for one that follows others."""
    if job.suspend or job.schedule_time is None:
        return None
    return next_fire(parse_cron(job.schedule_time), job.timezone, after)


def list_jobs(settings: Settings, history: StoreReader, *, now: datetime) -> tuple[JobStatus, ...]:
    """Every job file with its next fire and last run, as `GET /jobs` lists them."""
    last_runs = history.last_runs()
    return tuple(_status(entry, last_runs, now) for entry in read_catalog(settings).entries)


def _status(entry: CatalogEntry, last_runs: Mapping[str, Run], now: datetime) -> JobStatus:
    return JobStatus(
        entry=entry,
        next_fire=job_next_fire(entry.job, now) if entry.job else None,
        last_run=last_runs.get(entry.job_name or ""),
        running=False,
    )


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
    jobs = read_catalog(settings).jobs
    for name in job_names:
        if name not in jobs:
            raise UsageError(f"there is no valid job {name!r}", hint="runner list shows the jobs.")
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
