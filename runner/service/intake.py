"""Runs that come to the service from elsewhere: left by an earlier service, or asked for on the command line."""

import logging
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType

from runner.core.job import Job
from runner.core.policy import gone_words
from runner.core.run import Run
from runner.errors import RunStateError
from runner.logs import run_context
from runner.service.runs import RunDesk
from runner.store.store import Store

log = logging.getLogger(__name__)


class Intake:
    """Takes recorded runs in, or drops them where their job is not in force any more.

    Args:
        jobs: the jobs in force, by name.
        refresh: asks for the folder of jobs to be read anew, and answers with a number.
        refreshed: whether that has been done, by the number.
    """

    def __init__(
        self,
        *,
        store: Store,
        desk: RunDesk,
        jobs: Callable[[], Mapping[str, Job]],
        refresh: Callable[[], int],
        refreshed: Callable[[int], bool],
    ) -> None:
        self._store = store
        self._desk = desk
        self._jobs = jobs
        # As an earlier service left them: its jobs, and the last run of each that it had queued.
        self._before: Mapping[str, Job] = {}
        self._last: Mapping[str, Run] = {}
        self._refresh = refresh
        self._refreshed = refreshed
        # Asked for, each with the reading of the folder that it waits for.
        self._early: deque[tuple[int, Run]] = deque()
        # Taken out of the store and not in hand yet, each with why.
        self._waiting: list[tuple[Run, str]] = []

    def recover(self, before: Mapping[str, Job] = MappingProxyType({})) -> None:
        """Close what an earlier service left running, and take up what it had queued.

        Args:
            before: the jobs that it had, by name: whose people are told where one of them is gone.

        Raises:
            StoreError: the store cannot be read or written.
        """
        jobs = self._jobs()
        self._before = before
        self._desk.set_jobs(jobs)
        # Read before anything is changed: a lost run that is tried again is queued afterwards.
        queued = self._store.queued_runs()
        self._last = {run.job_name: run for run in queued if run.trigger.scheduled and not run.attempts}
        for run in self._store.running_runs():
            with run_context(run.job_name, run.run_id):
                log.error("Run %s was under way when the service ended: it is lost", run.run_id)
                job = jobs.get(run.job_name)
                again = self._desk.recover(run, job or before.get(run.job_name), in_force=job is not None)
            if again is not None:
                self._waiting.append((again, "it is tried again"))
        self._waiting.extend((run, "it was queued when the service ended") for run in queued)
        self._desk.take_over(run for run, _ in self._waiting)
        self._take_all()

    def take_requests(self) -> None:
        """Take up the runs that the command line has asked for.

        Who has just edited a job, or the defaults of its folder, and runs it wants to see what the edit does: the
        folder is read before the run begins.

        Raises:
            StoreError: the store cannot be read or written.
        """
        asked = self._store.take_requests()
        if asked:
            number = self._refresh()
            self._early.extend((number, run) for run in asked)
        while self._early and self._refreshed(self._early[0][0]):
            _, run = self._early.popleft()
            self._waiting.append((run, "it was asked for"))
        self._take_all()

    def _take_all(self) -> None:
        """Each is let go of once it is in hand: what the store refuses in between loses none.

        One that another process has closed meanwhile, as by Ctrl-C of the command that asked for it, is forgotten.
        """
        while self._waiting:
            run, why = self._waiting[0]
            try:
                self._take_in(run, why)
            except RunStateError as error:
                log.warning("Run %s does not begin: %s", run.run_id, error.message)
            del self._waiting[0]

    def _take_in(self, run: Run, why: str) -> None:
        job = self._jobs().get(run.job_name)
        # Of many that were queued one mail tells.
        telling = self._last.get(run.job_name) is run
        with run_context(run.job_name, run.run_id):
            if job is None:
                before = self._before.get(run.job_name)
                words = "the job was not in force when the run was to begin"
                note = gone_words(run, suspended=False) if before else words
                self._desk.drop(run, note, before, telling=telling)
                log.warning("Run %s is cancelled: its job is not in force", run.run_id)
            elif job.suspend and run.trigger.scheduled:
                self._desk.drop(run, gone_words(run, suspended=True), job, telling=telling)
                log.warning("Run %s does not begin: its job is suspended", run.run_id)
            else:
                log.info("Run %s queued: %s", run.run_id, why)
                self._desk.begin(run, job)
