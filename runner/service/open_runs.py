"""The unfinished runs, as several threads see them."""

import threading
from collections.abc import Callable, Mapping

from runner.core.job import Job
from runner.core.run import Run
from runner.core.run_queue import RunQueue


class OpenRuns:
    """Which runs are queued or under way, and which of them begin next: a RunQueue for any number of threads.

    Args:
        slots: how many may be under way at a time.
        monotonic: seconds of a clock that only goes forward.
    """

    def __init__(self, slots: int, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._queue = RunQueue(slots)
        self._jobs: Mapping[str, Job] = {}

    def add(self, run: Run, job: Job, *, delay: float | None = None) -> None:
        """Take in a run that is recorded; one that is to be tried again begins after `delay` seconds.

        Where the catalog has another version of its `job` by now, the run is of that one.
        """
        with self._lock:
            self._add(run, job, delay)

    def take(self) -> list[tuple[Run, Job]]:
        """The runs that begin now, each with a slot of its own until it is forgotten."""
        with self._lock:
            return self._queue.take(self._monotonic())

    def put_off(self, run: Run, job: Job, seconds: float) -> None:
        """Give the slot of a run that could not begin back: it is its turn again after so long."""
        # At once: to no other thread it is gone in between, and over.
        with self._lock:
            self._queue.end(run.run_id)
            self._add(run, job, seconds)

    def withdraw(self, run_id: str) -> tuple[Run, Job] | None:
        """Forget a run that has not begun, so that it never does; None where there is none such."""
        with self._lock:
            found = self._queue.find(run_id)
            if found is None or self._queue.has_begun(run_id):
                return None
            self._queue.end(run_id)
            return found

    def forget(self, run_id: str) -> None:
        """A run has ended: its slot is free."""
        with self._lock:
            self._queue.end(run_id)

    def update(self, run: Run) -> None:
        """Put a newer value of a run in place of the one that is held."""
        with self._lock:
            self._queue.update(run)

    def change_jobs(self, jobs: Mapping[str, Job]) -> None:
        """Follow the catalog: runs that have not begun are those of the jobs as they are now."""
        with self._lock:
            self._jobs = jobs
            for name in tuple(self._queue.job_names()):
                if name in jobs:
                    self._queue.change_job(jobs[name])

    def find(self, run_id: str) -> Run | None:
        """An unfinished run."""
        with self._lock:
            found = self._queue.find(run_id)
        return found[0] if found else None

    def of_job(self, job_name: str) -> tuple[Run, ...]:
        """The unfinished runs of a job, in the order they were added."""
        with self._lock:
            return self._queue.of_job(job_name)

    def waiting_of_job(self, job_name: str) -> tuple[Run, ...]:
        """Those of them that have not begun."""
        with self._lock:
            return tuple(run for run in self._queue.of_job(job_name) if not self._queue.has_begun(run.run_id))

    def run_ids(self) -> tuple[str, ...]:
        """All unfinished runs."""
        with self._lock:
            return self._queue.run_ids()

    def job_names(self) -> frozenset[str]:
        """The names of the jobs that have an unfinished run."""
        with self._lock:
            return frozenset(self._queue.job_names())

    def count(self) -> int:
        """How many runs are queued or under way."""
        with self._lock:
            return len(self._queue)

    def begun_count(self) -> int:
        """How many runs have begun and not ended."""
        with self._lock:
            return self._queue.begun_count()

    def seconds_to_next(self) -> float | None:
        """How long until a run that waits for another attempt is due; None where none waits."""
        with self._lock:
            due = self._queue.next_time()
            return None if due is None else max(0.0, due - self._monotonic())

    def _add(self, run: Run, job: Job, delay: float | None) -> None:
        not_before = None if delay is None else self._monotonic() + delay
        self._queue.add(run, self._jobs.get(job.job_name, job), not_before=not_before)
