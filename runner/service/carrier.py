"""How runs that a person asks for are carried out: by the running service, or here where there is none."""

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from secrets import randbits
from typing import Protocol

from runner.core.delivery import DeliveryState
from runner.core.job import Job
from runner.core.report import Report
from runner.core.run import Run
from runner.delivery.outbox import Outbox
from runner.errors import RunnerError, StoreBusyError
from runner.logs import run_context
from runner.service.notices import Notices
from runner.service.run_folders import read_preview
from runner.service.run_starts import RunFactory
from runner.service.wiring import Works, build_works, open_transport, utc_now
from runner.settings import Settings
from runner.store import service_running
from runner.store.reader import StoreReader
from runner.store.store import Store

# Seconds that is waited for mails to be sent, and for a store that is away.
DELIVERY_PATIENCE = 60.0
RECORD_PATIENCE = 60.0
_LOOK_SECONDS = 0.1

OnChange = Callable[[Run], None]


class Carrier(Protocol):
    """Carries out runs that a person asks for. `history` is what is on record."""

    history: StoreReader
    new_run: RunFactory

    def carry_out(self, runs: Sequence[Run], jobs: Mapping[str, Job], on_change: OnChange) -> tuple[Run, ...]:
        """Record runs, have them carried out in their order, and wait until they have ended.

        Runs whose fire is on record already are left out.

        Args:
            jobs: those of the folder, by name.
            on_change: called for a run that has begun, has ended, or is to be tried again.

        Raises:
            RunnerError: they cannot be recorded, or whoever carries them out has gone.
        """

    def report(self, run: Run, job: Job) -> Report:
        """A run that has ended as people see it, once its mails are sent or put off."""


@contextmanager
def open_carrier(settings: Settings, environ: Mapping[str, str]) -> Iterator[Carrier]:
    """The running service's queue where a service runs on the state folder; else this process itself.

    Raises:
        RunnerError: the store cannot be opened, or the sandbox cannot be had.
    """
    by_service = service_running(settings.storage_path)
    with Store.open(settings.storage_path, beside_service=True) as store:
        if by_service:
            yield ServiceCarrier(settings, store)
            return
        with own_carrier(settings, environ, store) as carrier:
            yield carrier


@contextmanager
def own_carrier(settings: Settings, environ: Mapping[str, str], store: Store) -> Iterator["OwnCarrier"]:
    """A carrier of this process, with a zygote of its own until the end of the block."""
    carrier = OwnCarrier(settings, store)
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

    def __init__(self, settings: Settings, store: Store) -> None:
        self.history: StoreReader = store
        self.new_run = RunFactory(clock=utc_now, entropy=randbits)
        self._settings = settings
        self._store = store

    def carry_out(self, runs: Sequence[Run], jobs: Mapping[str, Job], on_change: OnChange) -> tuple[Run, ...]:  # noqa: ARG002 - the service knows its jobs
        """See `Carrier.carry_out`."""
        waiting = {run.run_id: run for run in self._store.add_requests(runs)}
        ended: dict[str, Run] = {}
        while waiting:
            time.sleep(_LOOK_SECONDS)
            # Read first: a service that has just ended may have ended the runs before.
            alive = service_running(self._settings.storage_path)
            for run in self._store.runs_of(tuple(waiting)):
                if (run.state, run.attempt) != (waiting[run.run_id].state, waiting[run.run_id].attempt):
                    on_change(run)
                waiting[run.run_id] = run
                if run.state.finished:
                    ended[run.run_id] = waiting.pop(run.run_id)
            if waiting and not alive:
                raise RunnerError(
                    f"the service has ended, and {len(waiting)} of the runs have not",
                    hint="They are on record and begin with the next runner start.",
                )
        return tuple(ended[run.run_id] for run in runs if run.run_id in ended)

    def report(self, run: Run, job: Job) -> Report:
        """See `Carrier.report`; the first rows are read from the kept result."""
        run = _wait_for_mails(self._store, run)
        preview = read_preview(self._settings.runs_dir / run.run_id, run, job.delivery.preview_rows)
        return Report(run=self._store.run(run.run_id) or run, job=job, preview=preview)


class OwnCarrier:
    """Carries out runs in this process."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self.history: StoreReader = store
        self._settings = settings
        self._store = store
        self._works: Works
        self._on_change: OnChange = _ignore
        self._asked: tuple[Run, ...] = ()
        self._jobs: Mapping[str, Job] = {}

    def use(self, works: Works) -> None:
        """Take what carries out runs, once it is ready."""
        self._works = works
        self.new_run = works.desk.new_run
        works.desk.keep_reports = True

    def changed(self, run: Run) -> None:
        """A run has begun, ended, or is to be tried again; called from any thread."""
        self._on_change(run)

    def carry_out(self, runs: Sequence[Run], jobs: Mapping[str, Job], on_change: OnChange) -> tuple[Run, ...]:
        """See `Carrier.carry_out`."""
        self._on_change, self._jobs = on_change, jobs
        desk = self._works.desk
        desk.set_jobs(jobs)
        if len(runs) == 1:
            # Another process may hold the folder: no service that starts may take this run for a lost one.
            self._store.hold_run(runs[0].run_id)
        elif not self._store.alone:
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
        """See `Carrier.report`.

        Raises:
            RunnerError: the end of the run could not be recorded.
        """
        report = self._works.desk.reports.get(run.run_id)
        if report is None and not run.state.finished:
            raise RunnerError(
                "the run ended, but its end could not be recorded", hint="The log lines above say why."
            )
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
            if time.monotonic() > deadline:
                return
            time.sleep(_LOOK_SECONDS)

    def _drain(self) -> None:
        notices = Notices(
            store=self._store, composer=self._works.desk.composer, jobs=lambda: self._jobs, clock=utc_now
        )
        Outbox(
            self._store,
            open_transport(self._settings),
            clock=utc_now,
            random=random.random,
            context=run_context,
            notice=notices,
        ).drain_once()

    def drop_rest(self) -> None:
        """Close what was asked for and has not ended, as the person who asked has gone."""
        for run in self._recorded():
            if not run.state.finished:
                self._works.desk.drop(run, "it was cancelled: the command that had asked for it was ended")

    def _wait(self) -> None:
        """Until all has ended and is on record; a store that stays away is given up on after a minute."""
        desk = self._works.desk
        gives_up_at: float | None = None
        while desk.unfinished_count():
            time.sleep(0.01)
            desk.pump()
            if not desk.unrecorded_count():
                gives_up_at = None
                continue
            gives_up_at = gives_up_at or time.monotonic() + RECORD_PATIENCE
            if time.monotonic() > gives_up_at:
                return
            time.sleep(0.5)
            desk.retry_unrecorded()


def _wait_for_mails(store: Store, run: Run) -> Run:
    """The run when the service has tried to send each of its mails, or after a minute."""
    deadline = time.monotonic() + DELIVERY_PATIENCE
    while any(one.state is DeliveryState.PENDING for one in run.deliveries) and time.monotonic() < deadline:
        time.sleep(_LOOK_SECONDS)
        run = store.run(run.run_id) or run
    return run


def _ignore(_run: Run) -> None:
    """Nobody follows."""
