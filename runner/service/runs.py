"""The life of a run: queued, ordered, executed, recorded, and what follows from it begun."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from runner.core.job import ConcurrencyPolicy, Job
from runner.core.policy import Overlap, decide_dropped, decide_overlap, replaced_words
from runner.core.report import Report
from runner.core.run import Run, RunOrder, RunOutcome, RunState, Trigger
from runner.errors import RunStateError, StoreError
from runner.execution.executors import Executor
from runner.logs import run_context
from runner.service.composer import Composer
from runner.service.endings import Ending, Endings
from runner.service.followers import Followers
from runner.service.open_runs import OpenRuns
from runner.service.run_ends import RunEnds
from runner.service.run_records import Recorded, RunRecords
from runner.service.run_starts import RunFactory, RunStarts
from runner.settings import Settings
from runner.store.store import Store

log = logging.getLogger(__name__)

_BEGIN_RETRY_SECONDS = 1.0


class RunDesk:
    """Takes recorded runs to their end, at most `max_concurrent_runs` of the settings at a time. Thread-safe.

    Args:
        monotonic: seconds of a clock that only goes forward.
        entropy: random bits for run identifiers, as `secrets.randbits` gives them.
        random: a number from 0 to 1, for the jitter of retries.
        on_change: called, from any thread, when a run has started, ended or is to be tried again.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        executor: Executor,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
        entropy: Callable[[int], int],
        random: Callable[[], float],
        on_change: Callable[[Run], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._executor = executor
        self._clock = clock
        self._on_change = on_change
        self.open_runs = OpenRuns(settings.max_concurrent_runs, monotonic)
        self.new_run = RunFactory(clock=clock, entropy=entropy)
        self._starts = RunStarts(store, clock)
        composer = Composer(settings.smtp.from_email)
        self._followers = Followers(new_run=self.new_run, overlap=self.overlap, composer=composer)
        self._endings = Endings(
            settings=settings, store=store, random=random, composer=composer, followers=self._followers
        )
        self._records = RunRecords(
            store=store,
            composer=composer,
            endings=self._endings,
            followers=self._followers,
            runs_dir=settings.runs_dir,
            clock=clock,
        )
        self._ends = RunEnds(
            store,
            record=self._record,
            record_error=self._record_error,
            forget=self._close,
            monotonic=monotonic,
        )
        # Runs that an earlier service began or queued.
        self._left: set[str] = set()
        # Asked to stop while they run, with the reason where there is one: such a run is not tried again.
        self._cancelled: dict[str, str] = {}
        # Ends that the store has not taken yet.
        self._judged: dict[str, Ending] = {}
        self._handing_back = False
        self._finished = 0
        self.reports: dict[str, Report] = {}
        self.keep_reports = False

    # What is asked of it

    def set_jobs(self, jobs: Mapping[str, Job]) -> None:
        """Follow the catalog: runs that have not begun are those of the jobs as they are now."""
        self._followers.set_jobs(jobs)
        self.open_runs.change_jobs(jobs)

    def begin(self, run: Run, job: Job) -> None:
        """Take in a recorded run: it begins when it is its turn, or, to be tried again, when it is time."""
        self._line_up(run, job)
        self.pump()

    def begin_in_place(self, run: Run, job: Job) -> None:
        """As `begin`, and cancel the unfinished runs of the job where it says that a newer one replaces them.

        The run has the turn of one that waited: under a load that lasts, a job whose next fire is due before its
        turn comes would never run.
        """
        older = self._scheduled(job.job_name) if job.concurrency_policy is ConcurrencyPolicy.REPLACE else ()
        self._line_up(run, job)
        for run_id in older:
            log.warning("Run %s is cancelled: a newer one replaces it", run_id)
            try:
                self.cancel(run_id, why=replaced_words(run))
            except StoreError as error:
                # It runs too, then: that is better than to lose either.
                log.error("Run %s is not replaced, as that cannot be recorded: %s", run_id, error.message)
        self.pump()

    def _line_up(self, run: Run, job: Job) -> None:
        delay = None
        if run.next_attempt_at is not None:
            # The wall clock may have been set since: never longer than the job says.
            wait = (run.next_attempt_at - self._clock()).total_seconds()
            delay = min(wait, job.retry.max_delay_seconds)
        self.open_runs.add(run, job, delay=delay)

    def take_over(self, runs: Iterable[Run]) -> None:
        """These runs, which have still to `begin`, are left by an earlier service."""
        self._left.update(run.run_id for run in runs)

    def pump(self) -> None:
        """Begin every run whose turn it is."""
        for run, job in () if self._handing_back else self.open_runs.take():
            self._submit(run, job)

    def skipped_after(self, run: Run) -> tuple[Run, ...]:
        """The runs to be recorded as skipped together with this one: those of the jobs that come after its job."""
        return tuple(one.run for one in self._followers.of(run))

    def announce(self, run: Run) -> None:
        """Tell of a recorded run that ended without ever beginning."""
        self._on_change(run)

    def recover(self, run: Run, job: Job | None, *, in_force: bool = True) -> Run | None:
        """Close a run that an earlier service left under way as lost. Nothing stays in its folder.

        Args:
            job: as that service knew it where it is not `in_force` any more, None where nobody does.

        Returns:
            The run, queued, where its job says that it is tried again; it has still to `begin`.
        """
        recorded = self._tell(self._records.lose(run, job, in_force=in_force))
        return None if recorded.state.finished else recorded

    def cancel(self, run_id: str, *, why: str = "", telling: bool = False) -> bool:
        """End a run, or drop one that has not begun, for the reason `why`; False when it is not under way.

        Args:
            telling: as for `drop`.

        Raises:
            StoreError: a waiting run could not be dropped; it still waits.
        """
        # Out of the queue before its end is recorded: it must not begin meanwhile.
        found = self.open_runs.withdraw(run_id)
        if found is None:
            self._cancelled.setdefault(run_id, why)
            if not self._executor.cancel(run_id):
                self._cancelled.pop(run_id, None)
                return False
            return True
        try:
            self.drop(found[0], why or "it was cancelled before it began", found[1], telling=telling)
        except RunStateError as error:
            # Closed by another process: nothing of it is left to drop.
            log.warning("Run %s is forgotten: %s", run_id, error.message)
        except StoreError:
            self.begin(*found)
            raise
        self.pump()
        return True

    def cancel_queued(self, job_name: str, *, scheduled_only: bool = False) -> None:
        """Drop the runs of a job that have not begun: the job is gone; or suspended, and then fires no more.

        Raises:
            StoreError: one could not be dropped; it still waits, as may others.
        """
        waiting = self.open_runs.waiting_of_job(job_name)
        for run, why, telling in decide_dropped(waiting, suspended=scheduled_only):
            with run_context(run.job_name, run.run_id):
                log.warning("Run %s does not begin: %s", run.run_id, why)
                self.cancel(run.run_id, why=why, telling=telling)

    def cancel_all(self) -> None:
        """End every run that is under way."""
        for run_id in self.open_runs.run_ids():
            self._executor.cancel(run_id)

    def drop(self, run: Run, note: str, job: Job | None = None, *, telling: bool = False) -> None:
        """Record that a queued run begins no more.

        One of which an attempt has failed has failed by that, and the people of its `job` are told.

        Args:
            telling: they are also told of one that was due by its schedule and has not begun.

        Raises:
            StoreError: it cannot be recorded; it is queued still.
        """
        self._tell(self._records.drop(run, note, job, telling=telling))

    def hand_back(self) -> None:
        """From now on no run begins, and a cancelled one is put back into the queue of the store, for the next
        service to run."""
        self._handing_back = True
        self._finished = 0

    # What it tells

    def overlap(self, job: Job, *, caught_up: bool = False) -> Overlap:
        """What becomes of a run of the schedule that is due now. Runs that people asked for do not count.

        Args:
            caught_up: the fire was missed, or came due while no service ran: what an earlier service has left does
                not count either. This one takes its turn after the other.
        """
        unfinished = self._scheduled(job.job_name)
        if caught_up:
            unfinished = tuple(run_id for run_id in unfinished if run_id not in self._left)
        return decide_overlap(job.concurrency_policy, len(unfinished))

    def finished_count(self) -> int:
        """How many runs have ended and are on record since `hand_back`."""
        return self._finished

    def unrecorded_count(self) -> int:
        """How many runs have ended and are not yet recorded so; their jobs wait."""
        return self._ends.waiting_count()

    @property
    def trouble(self) -> str:
        """Why runs whose turn it is do not begin; empty while they do."""
        return self._starts.trouble

    # How a run goes

    def prepare(self, order: RunOrder, cancelled: threading.Event) -> RunOrder | None:
        """Record that a run begins. Called in the worker, right before it executes; waits while that cannot be.

        Returns:
            The order with what is on record of the job's past; None where the run must not begin: it is cancelled,
            or withdrawn by the command that had asked for it.
        """
        run = self._open_run(order)
        try:
            begun = self._starts.record(run, order, cancelled)
        except RunStateError as error:
            log.warning("Run %s does not begin: %s", order.run_id, error.message)
            return None
        if begun is None:
            return None
        run = replace(
            run,
            state=RunState.RUNNING,
            started_at=begun.at,
            next_attempt_at=None,
            revision=order.job.revision,
            digest=order.job.digest,
        )
        self.open_runs.update(run)
        self._on_change(run)
        return begun.order

    def retry_unrecorded(self) -> None:
        """Try again to record the ends of runs that could not be: a full or locked disk may be well again."""
        self._ends.retry()

    def _submit(self, run: Run, job: Job) -> None:
        order = RunOrder(
            run_id=run.run_id,
            job=job,
            attempt=run.attempt,
            scheduled_time=run.scheduled_time,
            project_dir=str(self._settings.project_dir),
            run_dir=str(self._settings.runs_dir / run.run_id),
        )
        try:
            future = self._executor.submit(order)
        except Exception:
            # One run that cannot begin must not keep the others from beginning.
            log.exception("Run %s cannot begin yet; it is tried again", run.run_id)
            self.open_runs.put_off(run, job, _BEGIN_RETRY_SECONDS)
            return
        future.add_done_callback(lambda done: self._ends.end(order, done.result()))

    def _record(self, order: RunOrder, outcome: RunOutcome) -> None:
        run = self._open_run(order)
        if self._handing_back and outcome.state is RunState.CANCELLED:
            self._records.hand_back(run)
            self._close(run.run_id)
            return
        # Judged once, however often the store refuses it: a result may be large.
        ending = self._judged.get(run.run_id)
        if ending is None:
            why = self._cancelled.get(run.run_id)
            ending = self._judged[run.run_id] = self._endings.of_outcome(run, order.job, outcome, cancelled=why)
        self._end(ending)

    def _record_error(self, order: RunOrder, outcome: RunOutcome, error: Exception) -> None:
        """An error of ours at the end of a run: the run has failed, and its people are told."""
        self._end(self._endings.of_error(self._open_run(order), order.job, outcome, error))

    def _open_run(self, order: RunOrder) -> Run:
        found = self.open_runs.find(order.run_id)
        assert found is not None
        return found

    def _end(self, ending: Ending) -> None:
        """Record an ending, free the slot, and begin what follows."""
        recorded = self._records.end(ending)
        run = recorded.run
        self._begin_following(recorded)
        self._close(run.run_id, pumping=False)
        if ending.attempt is None:
            self._finished += 1
            if self.keep_reports:
                # Without what is attached: it lies in the run's folder, and there may be many of them.
                self.reports[run.run_id] = replace(ending.report, run=run, result=None, packed=None, chart=None)
        else:
            self.open_runs.add(run, ending.report.job, delay=ending.delay.total_seconds())
        self._on_change(run)
        if ending.attempt is not None and not self._endings.may_begin(run):
            self._drop_gone(run)
        self.pump()

    def _drop_gone(self, run: Run) -> None:
        """Drop what waits of a job that was removed or suspended while the end of this attempt was recorded: until
        then the run had begun, and the loop passed over it."""
        try:
            self.cancel_queued(run.job_name, scheduled_only=self._followers.job(run.job_name) is not None)
        except StoreError as error:
            # The attempt itself is on record.
            log.error("Run %s is tried again, as it cannot be dropped: %s", run.run_id, error.message)

    def _tell(self, recorded: Recorded) -> Run:
        """Tell of a run that had no slot here, and begin what follows it."""
        self._on_change(recorded.run)
        self._begin_following(recorded)
        return recorded.run

    def _begin_following(self, recorded: Recorded) -> None:
        run = recorded.run
        for one in recorded.following:
            job = self._followers.job(one.job_name)
            with run_context(one.job_name, one.run_id):
                if one.state is not RunState.QUEUED:
                    # Nothing has gone wrong where the run before it had nothing new.
                    level = logging.INFO if run.state is RunState.SKIPPED else logging.WARNING
                    log.log(level, "Skipped: %s", one.note)
                    self._on_change(one)
                elif job is None or job.suspend:
                    self._drop_following(one)
                else:
                    log.info("Queued: it comes after %s (run %s)", run.job_name, run.run_id)
                    if one.trigger is Trigger.AFTER:
                        self.begin_in_place(one, job)
                    else:
                        self.begin(one, job)

    def _drop_following(self, run: Run) -> None:
        try:
            self.drop(run, "the job was removed or suspended before the run began")
        except StoreError as error:
            # What has ended is on record: its other followers must not suffer. The next start drops this one.
            log.error("Run %s cannot be dropped yet: %s", run.run_id, error.message)

    def _close(self, run_id: str, *, pumping: bool = True) -> None:
        """Forget a run that has ended, and begin the one that waited for it."""
        self._cancelled.pop(run_id, None)
        self._judged.pop(run_id, None)
        self._left.discard(run_id)
        self.open_runs.forget(run_id)
        if pumping:
            self.pump()

    def _scheduled(self, job_name: str) -> tuple[str, ...]:
        """The unfinished runs of a job that nobody asked for."""
        return tuple(run.run_id for run in self.open_runs.of_job(job_name) if run.trigger.scheduled)
