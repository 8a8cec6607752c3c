"""The life of a run: ordered, executed, reported, its mails composed, all of it recorded."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from runner.core.delivery import Mail
from runner.core.identity import make_run_id
from runner.core.job import ConcurrencyPolicy, Job
from runner.core.policy import Mailing, decide_mailing
from runner.core.report import Report, count_words, duration_words
from runner.core.run import FailureKind, Fire, Preview, Run, RunFailure, RunOrder, RunOutcome, RunState, Trigger
from runner.delivery.compose import compose
from runner.errors import StoreError
from runner.execution.executors import Executor, remove_tree
from runner.execution.results import RESULT_FILE
from runner.logs import run_context
from runner.service.run_folders import read_outcome, tidy
from runner.settings import Settings
from runner.store.store import Store

log = logging.getLogger(__name__)


class RunDesk:
    """Takes recorded runs to their end. Thread-safe.

    Args:
        entropy: random bits for run identifiers, as `secrets.randbits` gives them.
        mailing: False for runs that nobody is mailed about.
        on_change: called, from any thread, when a run has started or ended.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        executor: Executor,
        clock: Callable[[], datetime],
        entropy: Callable[[int], int],
        on_change: Callable[[Run], None],
        mailing: bool = True,
    ) -> None:
        self._settings = settings
        self._store = store
        self._executor = executor
        self._clock = clock
        self._entropy = entropy
        self._on_change = on_change
        self._mailing = mailing
        self._lock = threading.Lock()
        self._open: dict[str, tuple[Run, Job]] = {}
        self._of_job: dict[str, dict[str, None]] = {}
        self._held: dict[str, deque[tuple[Run, Job]]] = {}
        self._unrecorded: dict[str, tuple[RunOrder, RunOutcome]] = {}
        self._kept_once: set[str] = set()
        self._handing_back = False
        self._finished = 0
        self.reports: dict[str, Report] = {}
        self.keep_reports = False

    def new_run(
        self,
        job: Job,
        *,
        trigger: Trigger,
        scheduled_time: datetime,
        fire: Fire | None = None,
        state: RunState = RunState.QUEUED,
        note: str = "",
    ) -> Run:
        """A run of this job that nothing is recorded of yet."""
        now = self._clock()
        return Run(
            run_id=make_run_id(now, self._entropy(80)),
            job_name=job.job_name,
            trigger=trigger,
            scheduled_time=scheduled_time,
            state=state,
            fire_key=fire.key if fire else None,
            queued_at=now,
            finished_at=now if state.finished else None,
            note=note,
            revision=job.revision,
            digest=job.digest,
        )

    def announce(self, run: Run) -> None:
        """Tell of a run that ended without ever beginning."""
        self._on_change(run)

    def unfinished(self, job_name: str) -> tuple[str, ...]:
        """The runs of a job that are queued or running."""
        with self._lock:
            return tuple(self._of_job.get(job_name, ()))

    def unfinished_count(self) -> int:
        """How many runs are queued or running."""
        with self._lock:
            return len(self._open)

    def running_jobs(self) -> frozenset[str]:
        """The names of the jobs that have a run under way."""
        with self._lock:
            return frozenset(self._of_job)

    def begin(self, run: Run, job: Job) -> None:
        """Hand a recorded run to the executor; unless the job allows overlap, after those before it."""
        with self._lock:
            alone = job.concurrency_policy is not ConcurrencyPolicy.ALLOW
            busy = job.job_name in self._of_job
            self._open[run.run_id] = (run, job)
            self._of_job.setdefault(job.job_name, {})[run.run_id] = None
            if alone and busy:
                self._held.setdefault(job.job_name, deque()).append((run, job))
                return
        try:
            self._submit(run, job)
        except Exception:
            self._close(run.run_id)
            raise

    def _submit(self, run: Run, job: Job) -> None:
        order = RunOrder(
            run_id=run.run_id,
            job=job,
            attempt=run.attempt,
            scheduled_time=run.scheduled_time,
            project_dir=str(self._settings.project_dir),
            run_dir=str(self._settings.runs_dir / run.run_id),
        )
        self._executor.submit(order).add_done_callback(lambda done: self._finish(order, done.result()))

    def cancel(self, run_id: str) -> bool:
        """End a run, or drop one that waits for another of its job; False when it is not under way.

        Raises:
            StoreError: a waiting run could not be dropped; it still waits.
        """
        found = self._take_held(run_id)
        if found is None:
            return self._executor.cancel(run_id)
        run, job = found
        try:
            self.drop(run, "it was cancelled before it began")
        except StoreError:
            with self._lock:
                self._held.setdefault(job.job_name, deque()).appendleft(found)
            raise
        self._close(run_id)
        return True

    def cancel_queued(self, job_name: str) -> None:
        """Drop the runs of a job that have not begun: the job is gone, or suspended."""
        with self._lock:
            queued = [run_id for run_id in self._of_job.get(job_name, ()) if not self._has_begun(run_id)]
        for run_id in queued:
            self.cancel(run_id)

    def cancel_all(self) -> None:
        """End every run that is under way."""
        with self._lock:
            run_ids = tuple(self._open)
        for run_id in run_ids:
            self._executor.cancel(run_id)

    def drop(self, run: Run, note: str) -> None:
        """Record that a queued run never begins."""
        ended = replace(run, state=RunState.CANCELLED, finished_at=self._clock(), note=note)
        self._on_change(self._store.finish_run(ended, ()))

    def _has_begun(self, run_id: str) -> bool:
        return self._open[run_id][0].state is RunState.RUNNING

    def _take_held(self, run_id: str) -> tuple[Run, Job] | None:
        with self._lock:
            found = self._open.get(run_id)
            held = self._held.get(found[1].job_name) if found else None
            if found is None or held is None or found not in held:
                return None
            held.remove(found)
            return found

    def prepare(self, order: RunOrder) -> None:
        """Record that a run begins, and make its folder. Called in the worker, right before it executes.

        Raises:
            StoreError: it could not be recorded; then it must not begin.
        """
        started = self._clock()
        run_dir = Path(order.run_dir)
        if run_dir.exists():
            remove_tree(run_dir)
        run_dir.mkdir(parents=True, mode=0o700)
        self._store.mark_running(order.run_id, started)
        with self._lock:
            run, job = self._open[order.run_id]
            run = replace(run, state=RunState.RUNNING, started_at=started)
            self._open[order.run_id] = (run, job)
        self._on_change(run)

    def hand_back(self) -> None:
        """From now on a cancelled run is put back into the queue of the store, for the next service to run."""
        self._handing_back = True
        self._finished = 0

    def finished_count(self) -> int:
        """How many runs have ended and are on record since `hand_back`."""
        return self._finished

    def lost_mails(self, run: Run, job: Job | None) -> tuple[Mail, ...]:
        """The mails that tell the people of a job that an earlier service left this run behind."""
        return self._mails(Report(run=run, job=job)) if job else ()

    def retry_unrecorded(self) -> None:
        """Try again to record the ends of runs that could not be: a full or locked disk may be well again."""
        with self._lock:
            waiting, self._unrecorded = self._unrecorded, {}
        for order, outcome in waiting.values():
            self._finish(order, outcome)

    def unrecorded_count(self) -> int:
        """How many runs have ended and are not yet recorded so; their jobs wait."""
        with self._lock:
            return len(self._unrecorded)

    def _finish(self, order: RunOrder, outcome: RunOutcome) -> None:
        with run_context(order.job.job_name, order.run_id):
            try:
                self._record(order, outcome)
            except StoreError as error:
                self._keep(order, outcome, error)
            except Exception as error:
                log.exception("The end of run %s could not be handled", order.run_id)
                self._fail(order, outcome, error)

    def _keep(self, order: RunOrder, outcome: RunOutcome, error: StoreError) -> None:
        """Keep an end that the store did not take, unless it is on record already."""
        try:
            recorded = self._store.run(order.run_id)
        except StoreError:
            recorded = None
        if recorded is not None and recorded.state.finished:
            log.error("Run %s was closed by another process as %s", order.run_id, recorded.state)
            self._close(order.run_id)
            return
        with self._lock:
            known = order.run_id in self._kept_once
            self._kept_once.add(order.run_id)
            self._unrecorded[order.run_id] = (order, outcome)
        if not known:
            log.error("The end of run %s cannot be recorded yet: %s %s", order.run_id, error.message, error.hint)

    def _fail(self, order: RunOrder, outcome: RunOutcome, error: Exception) -> None:
        """An error of ours at the end of a run: the run has failed, and its people are told."""
        failure = RunFailure(
            kind=FailureKind.INTERNAL,
            message=f"the runner failed to handle the result: {type(error).__name__}: {error}",
            hint="This is not the script's fault. The service's log has the details.",
        )
        failed = replace(
            outcome, state=RunState.FAILED, failure=failure, result_file=None, preview=Preview(), output=""
        )
        try:
            self._record(order, failed)
        except StoreError as full:
            self._keep(order, failed, full)
        except Exception:
            log.exception("Run %s cannot be recorded at all; the next start finds it", order.run_id)
            self._close(order.run_id)

    def _record(self, order: RunOrder, outcome: RunOutcome) -> None:
        with self._lock:
            run, job = self._open[order.run_id]
        if self._handing_back and outcome.state is RunState.CANCELLED:
            self._store.mark_queued(run.run_id)
            log.info("Handed back: run %s starts again with the service", run.run_id)
            self._close(run.run_id)
            return
        outcome, result = read_outcome(Path(order.run_dir), outcome)
        run = replace(
            run,
            state=outcome.state,
            started_at=run.started_at or outcome.started_at,
            finished_at=outcome.finished_at,
            rows_in=outcome.rows_in,
            rows_out=outcome.rows_out,
            failure=outcome.failure,
            output=outcome.output,
            sandbox=outcome.sandbox,
        )
        report = Report(
            run=run, job=job, preview=outcome.preview, result=result, result_bytes=outcome.result_bytes
        )
        mails = self._mails(report) if self._mailing else ()
        run = self._store.finish_run(run, mails)
        self._log_end(run)
        self._finished += 1
        if self.keep_reports:
            self.reports[run.run_id] = replace(report, run=run)
        tidy(Path(order.run_dir))
        self._close(run.run_id)
        self._on_change(run)

    def _mails(self, report: Report) -> tuple[Mail, ...]:
        run, job = report.run, report.job
        if run.state is RunState.LOST and run.trigger is Trigger.MANUAL:
            # The person who started it has seen it end.
            return ()
        if decide_mailing(run.state, run.rows_out, job.delivery.on_empty) is Mailing.NONE:
            return ()
        sender = self._settings.smtp.from_email
        domain = sender.rpartition("@")[2] or "localhost"
        kept_at = str(self._settings.runs_dir / run.run_id / RESULT_FILE)
        return (compose(report, sender=sender, message_domain=domain, kept_at=kept_at),)

    def _close(self, run_id: str) -> None:
        """Forget a run that has ended, and begin the one that waited for it."""
        with self._lock:
            _, job = self._open.pop(run_id, (None, None))
            if job is None:
                return
            self._kept_once.discard(run_id)
            of_job = self._of_job[job.job_name]
            of_job.pop(run_id, None)
            if not of_job:
                del self._of_job[job.job_name]
            held = self._held.get(job.job_name)
            # What waits may begin when nothing but other waiting runs is left.
            free = held and len(held) == len(of_job) and not self._handing_back
            following = held.popleft() if held and free else None
            if held is not None and not held:
                del self._held[job.job_name]
        if following is not None:
            self._submit(*following)

    def _log_end(self, run: Run) -> None:
        log.info(
            "Run %s %s in %s: %s rows in, %s rows out, deliveries: %d",
            run.run_id,
            run.state,
            duration_words(run.duration_seconds),
            count_words(run.rows_in),
            count_words(run.rows_out),
            len(run.deliveries),
        )
