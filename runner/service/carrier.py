"""How runs that a person asks for are carried out: by the running service, or here where there is none."""

import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from secrets import randbits
from typing import Protocol

from runner.core.delivery import Delivery, DeliveryState, SendResult
from runner.core.job import Job
from runner.core.job_policy import RunBounds
from runner.core.report import Report
from runner.core.run import Run, RunState, Trigger
from runner.errors import RunnerError, RunStateError, StoppedError, StoreBusyError
from runner.execution.results import RESULT_FILE
from runner.service.clock import utc_now
from runner.service.run_folders import read_preview
from runner.service.run_starts import RunFactory
from runner.service.wiring import Works, build_works, make_outbox, open_transport
from runner.settings import Settings
from runner.store import service_running
from runner.store.locks import lock_folder, lock_holder
from runner.store.reader import StoreReader
from runner.store.store import Store

# Seconds that is waited for the next mail to be sent, and for a store that is away.
DELIVERY_PATIENCE = 60.0
RECORD_PATIENCE = 60.0
STOP_PATIENCE = 10.0
# A service that is well takes up a run at once: of one that has begun none for so long a word is said.
TAKE_UP_SECONDS = 5.0
WITHDRAWN = "the command that had asked for it was ended"
# No run by hand is tried again.
_LOST = "What was under way is lost: with the next runner start it is on record as that. Run it again then."
_LOOK_SECONDS = 0.1
# So many times what a look takes is waited for the next one.
_LOOK_SHARE = 9

OnChange = Callable[[Run], None]
Tell = Callable[[str], None]


class Carrier(Protocol):
    """Carries out runs that a person asks for. `history` is what is on record."""

    history: StoreReader
    new_run: RunFactory

    def carry_out(self, runs: Sequence[Run], jobs: Mapping[str, Job], on_change: OnChange) -> tuple[Run, ...]:
        """Record runs, have them carried out in their order, and wait for their ends and their mails.

        Runs whose fire is on record already are left out.

        Args:
            jobs: those of the folder, by name.
            on_change: called for a run that has begun, has ended, or is to be tried again.

        Raises:
            StoppedError: the person has asked to end: what has not begun is taken back.
            RunnerError: they cannot be recorded, or whoever carries them out has gone.
        """

    def report(self, run: Run, job: Job) -> Report:
        """A run that has ended as people see it."""


@contextmanager
def open_carrier(
    settings: Settings, environ: Mapping[str, str], stop_asked: Callable[[], bool], tell: Tell
) -> Iterator[Carrier]:
    """The running service's queue where a service runs on the state folder; else this process itself.

    Args:
        stop_asked: whether the person has asked to end, as by Ctrl-C; asked again and again.
        tell: called with a sentence for that person, where a service lets runs wait.

    Raises:
        RunnerError: the store cannot be opened, or the sandbox cannot be had.
    """
    with Store.open(settings.storage_path, beside_service=True) as store:
        # Asked when the folder is this process's own, or is not: a service that starts meanwhile changes nothing.
        if not store.alone and service_running(settings.storage_path):
            yield ServiceCarrier(settings, store, stop_asked, tell)
            return
        with own_carrier(settings, environ, store, stop_asked) as carrier:
            yield carrier


@contextmanager
def own_carrier(
    settings: Settings, environ: Mapping[str, str], store: Store, stop_asked: Callable[[], bool]
) -> Iterator["OwnCarrier"]:
    """A carrier of this process, with a zygote of its own until the end of the block."""
    carrier = OwnCarrier(settings, store, stop_asked)
    works = build_works(settings, environ, store=store, on_change=carrier.changed)
    try:
        works.zygote.start()
        carrier.use(works)
        yield carrier
    finally:
        works.desk.hand_back()
        works.executor.shutdown(grace_seconds=0.0)
        works.zygote.close()
        carrier.drop_rest()


class ServiceCarrier:
    """Hands runs to the running service through its store, and follows them there."""

    def __init__(self, settings: Settings, store: Store, stop_asked: Callable[[], bool], tell: Tell) -> None:
        self.history: StoreReader = store
        self.new_run = RunFactory(clock=utc_now, entropy=randbits)
        self._settings = settings
        self._store = store
        self._stop_asked = stop_asked
        self._tell = tell

    def carry_out(self, runs: Sequence[Run], jobs: Mapping[str, Job], on_change: OnChange) -> tuple[Run, ...]:  # noqa: ARG002 - the service knows its jobs
        """See `Carrier.carry_out`."""
        waiting = {run.run_id: run for run in self._store.add_requests(runs)}
        ended: dict[str, Run] = {}
        pause = _LOOK_SECONDS
        tell_at = time.monotonic() + TAKE_UP_SECONDS
        while waiting:
            time.sleep(pause)
            began = time.monotonic()
            # Read first: a service that has just ended may have ended the runs before.
            alive = service_running(self._settings.storage_path)
            for run in self._store.runs_of(tuple(waiting)):
                if (run.state, run.attempt) != (waiting[run.run_id].state, waiting[run.run_id].attempt):
                    on_change(run)
                waiting[run.run_id] = run
                if run.state.finished:
                    ended[run.run_id] = waiting.pop(run.run_id)
            # To look at thousands takes a while, and the service needs the processor too.
            pause = max(_LOOK_SECONDS, _LOOK_SHARE * (time.monotonic() - began))
            if began > tell_at:
                tell_at = math.inf
                if not ended and all(run.state is RunState.QUEUED for run in waiting.values()):
                    self._tell(self._waiting_words(waiting))
            if waiting and self._stop_asked():
                self._withdraw(tuple(waiting))
            if waiting and not alive:
                cut_off = any(
                    run.trigger is Trigger.MANUAL and run.state is RunState.RUNNING for run in waiting.values()
                )
                raise RunnerError(
                    f"the service has ended, and {len(waiting)} of the runs have not",
                    hint=_LOST if cut_off else "They are on record and begin with the next runner start.",
                )
        return self._once_mailed(tuple(run.run_id for run in runs if run.run_id in ended))

    def _waiting_words(self, waiting: Collection[str]) -> str:
        """Why none of the runs has begun, as far as can be seen from here, and what to do."""
        runs, them = ("the run", "it") if len(waiting) == 1 else (f"{len(waiting):,} runs", "them")
        if not any(run.run_id in waiting for run in self._store.requested_runs()):
            return f"The service has {runs} in its queue: runner status shows what goes first."
        holder = lock_holder(lock_folder(self._settings.storage_path)) or "the service"
        return (
            f"Nobody has taken {runs} up for {TAKE_UP_SECONDS:.0f} s: the service is busy, or hangs ({holder}). "
            "Ask runner status; where it gets no answer, end that process, with kill -9 if need be, and start the "
            f"service anew: it takes up what waits. Ctrl-C takes {them} back."
        )

    def _once_mailed(self, run_ids: tuple[str, ...]) -> tuple[Run, ...]:
        """The runs, in that order, when the service has tried to send each of their mails or has ended, or after a
        minute."""
        deadline = time.monotonic() + DELIVERY_PATIENCE
        while True:
            alive = service_running(self._settings.storage_path)
            runs = {run.run_id: run for run in self._store.runs_of(run_ids)}
            pending = any(one.state is DeliveryState.PENDING for run in runs.values() for one in run.deliveries)
            if not pending or not alive or self._stop_asked() or time.monotonic() > deadline:
                return tuple(runs[run_id] for run_id in run_ids if run_id in runs)
            time.sleep(_LOOK_SECONDS)

    def _withdraw(self, run_ids: Sequence[str]) -> None:
        """Take back what has not begun.

        Raises:
            StoppedError: always; it says what goes on.
        """
        withdrawn = 0
        for run in self._store.runs_of(run_ids):
            if run.state is RunState.QUEUED and not run.attempts:
                ended = replace(run, state=RunState.CANCELLED, finished_at=utc_now(), note=WITHDRAWN)
                # The service may have begun it in this very moment.
                with suppress(RunStateError):
                    self._store.finish_run(ended, ())
                    withdrawn += 1
        going_on = len(run_ids) - withdrawn
        ends = (
            "They end by themselves, or at their timeout_seconds; a service that is stopped begins them anew at"
            " its next start. "
        )
        raise StoppedError(
            f"stopped: {withdrawn} of the runs taken back, {going_on} go on in the service",
            hint=f"{ends if going_on else ''}runner history shows how they end.",
        )

    def report(self, run: Run, job: Job) -> Report:
        """See `Carrier.report`; the first rows are read from the kept result."""
        run_dir = self._settings.runs_dir / run.run_id
        preview = read_preview(run_dir, run, job.delivery.preview_rows)
        kept_at = str(run_dir / RESULT_FILE) if preview.columns else None
        return Report(run=self._store.run(run.run_id) or run, job=job, preview=preview, kept_at=kept_at)


class OwnCarrier:
    """Carries out runs in this process."""

    def __init__(self, settings: Settings, store: Store, stop_asked: Callable[[], bool]) -> None:
        self.history: StoreReader = store
        self._settings = settings
        self._store = store
        self._stop_asked = stop_asked
        self._works: Works
        self._on_change: OnChange = _ignore
        self._asked: tuple[Run, ...] = ()
        # What was asked for, and the jobs that follow it.
        self._made: set[str] = set()
        self._jobs: Mapping[str, Job] = {}

    def use(self, works: Works) -> None:
        """Take what carries out runs, once it is ready."""
        self._works = works
        self.new_run = works.desk.new_run

    def changed(self, run: Run) -> None:
        """A run has begun, ended, or is to be tried again; called from any thread."""
        self._made.add(run.run_id)
        self._on_change(run)

    def carry_out(self, runs: Sequence[Run], jobs: Mapping[str, Job], on_change: OnChange) -> tuple[Run, ...]:
        """See `Carrier.carry_out`."""
        self._on_change, self._jobs = on_change, jobs
        desk = self._works.desk
        desk.set_jobs(jobs)
        if all(run.trigger is Trigger.MANUAL for run in runs):
            desk.keep_reports = True
            # Another process may hold the folder: no service that starts may take this run for a lost one.
            for run in runs:
                self._store.hold_run(run.run_id)
        elif not self._store.alone:
            # What follows these runs has no such hold.
            raise StoreBusyError(
                f"{self._settings.state_dir} is in use by another runner run or backfill",
                hint="Wait until it ends, or start the service: it runs both.",
            )
        self._asked = self._store.record_fires(runs, ())
        for run in self._asked:
            desk.begin(run, jobs[run.job_name])
        self._wait()
        self._deliver()
        return self._recorded()

    def report(self, run: Run, job: Job) -> Report:
        """See `Carrier.report`."""
        report = self._works.desk.reports.get(run.run_id)
        recorded = self._store.run(run.run_id) or run
        return Report(run=recorded, job=job) if report is None else replace(report, run=recorded)

    def _recorded(self) -> tuple[Run, ...]:
        """What was asked for as it is on record now, in that order."""
        found = {run.run_id: run for run in self._store.runs_of(tuple(run.run_id for run in self._asked))}
        return tuple(found[run.run_id] for run in self._asked if run.run_id in found)

    def _deliver(self) -> None:
        """Send what is due; where another process has the folder, wait until that has sent the mails."""
        deadline = time.monotonic() + DELIVERY_PATIENCE
        while any(one.state is DeliveryState.PENDING for run in self._recorded() for one in run.deliveries):
            if self._store.try_alone():
                self._drain()
                return
            if self._stop_asked() or time.monotonic() > deadline:
                return
            time.sleep(_LOOK_SECONDS)

    def _drain(self) -> None:
        """Send what is due, of earlier runs too where a server is set, until the person asks to end, or none is
        taken for a while.

        A server that is silent has a minute for each mail, and thousands may be due.
        """
        latest = time.monotonic()

        def tell(_delivery: Delivery, result: SendResult) -> None:
            nonlocal latest
            if result.state is DeliveryState.SENT:
                latest = time.monotonic()

        def enough() -> bool:
            return self._stop_asked() or time.monotonic() > latest + DELIVERY_PATIENCE

        transport = open_transport(self._settings)
        # All jobs of a folder are under one policy.
        bounds = next((job.bounds for job in self._jobs.values()), RunBounds())
        outbox = make_outbox(
            self._settings,
            self._store,
            transport,
            jobs=lambda: self._jobs,
            bounds=lambda: bounds,
            on_result=tell,
            asked=self._made,
        )
        outbox.drain_once(enough)

    def drop_rest(self) -> None:
        """Close what was asked for and has not ended, as the person who asked has gone."""
        for run in self._recorded():
            if not run.state.finished:
                self._works.desk.drop(run, WITHDRAWN)

    def _wait(self) -> None:
        """Until all has ended and is on record.

        Raises:
            StoppedError: the person has asked to end.
            RunnerError: for a minute nothing could be recorded.
        """
        desk = self._works.desk
        gives_up_at: float | None = None
        while desk.open_runs.count():
            time.sleep(0.01)
            if self._stop_asked():
                self._stop()
            desk.pump()
            desk.retry_unrecorded()
            if not (desk.unrecorded_count() or desk.trouble):
                gives_up_at = None
                continue
            gives_up_at = gives_up_at or time.monotonic() + RECORD_PATIENCE
            if time.monotonic() > gives_up_at:
                raise RunnerError(
                    desk.trouble or "the run ended, but its end could not be recorded",
                    hint="The log lines above say why.",
                )

    def _stop(self) -> None:
        """Cancel what was asked for, and see it end.

        Raises:
            StoppedError: always.
        """
        desk = self._works.desk
        for run in self._asked:
            desk.cancel(run.run_id)
        deadline = time.monotonic() + STOP_PATIENCE
        while any(not run.state.finished for run in self._recorded()) and time.monotonic() < deadline:
            time.sleep(_LOOK_SECONDS)
        cancelled = sum(run.state is RunState.CANCELLED for run in self._recorded())
        raise StoppedError(f"stopped: {cancelled} of the runs cancelled")


def _ignore(_run: Run) -> None:
    """Nobody follows."""
