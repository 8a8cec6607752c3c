"""What the service shows of itself: the source of the HTTP endpoint."""

import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from runner.core.bookmark import CursorValue
from runner.core.catalog import Catalog, CatalogEntry
from runner.core.identity import horizon
from runner.core.job import Job
from runner.core.run import Run
from runner.service.run_folders import kept_chart
from runner.status.snapshot import JobStatus, StatusSnapshot
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
        clock: Callable[[], datetime],
    ) -> None:
        """Facts are (key, text); the revision is added to them. `runs_dir` holds the folders of runs."""
        self._store = store
        self._catalog = catalog
        self._next_fire = next_fire
        self._running = running
        self._reasons = reasons
        self._facts = facts
        self._runs_dir = runs_dir
        self._clock = clock
        self._last_runs = dict(store.last_runs(horizon(clock())))
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
                if latest is None or run.run_id >= latest.run_id or latest.run_id > horizon(self._clock()):
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
