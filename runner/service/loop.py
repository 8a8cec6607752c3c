"""The service: one loop that watches, schedules, runs and stops."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from runner import __version__
from runner.core.delivery import Delivery, SendResult
from runner.core.job import Job
from runner.core.report import local_time
from runner.core.run import Run, Trigger
from runner.core.words import counted
from runner.delivery.outbox import Outbox
from runner.errors import RunnerError, StoreError, ThreadError, UsageError
from runner.service.changes import CatalogChanges
from runner.service.clock import utc_now
from runner.service.events import Events
from runner.service.folder import CatalogKeeper
from runner.service.intake import Intake
from runner.service.memory import settle
from runner.service.overview import Overview
from runner.service.retention import Retention
from runner.service.schedule import Scheduler
from runner.service.turns import Turns
from runner.service.waiting import Waiting
from runner.service.wiring import Works, build_works, make_outbox, open_store, open_transport
from runner.settings import DEFAULT_SENDER, Settings
from runner.status.app import build_app
from runner.status.server import StatusServer
from runner.store.store import Store
from runner.threads import begin

log = logging.getLogger(__name__)

GRACE_SECONDS = 20.0
# How long a stop goes on to begin mails that are due. What has begun then is waited for.
MAIL_SECONDS = 5.0


class Service:
    """Everything that `runner start` is. `start`, then `run` until `request_stop`, then `stop`.

    Args:
        environ: what `${env:…}` references in job files read.
        began: since when it comes up, aware: what is to be imported before takes seconds on a slow machine, and a
            new job may come due meanwhile. Without it, since now.
        grace_seconds: how long a stop waits for runs that are under way before it hands them back.
    """

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        *,
        began: datetime | None = None,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._began = began or utc_now()
        self._grace_seconds = grace_seconds
        self._events = Events()
        # Plain numbers, not events of the threading module: a signal handler must take no lock.
        self._stops_asked = 0
        self._store: Store
        self._works: Works
        self._keeper: CatalogKeeper
        self._scheduler: Scheduler
        self._changes: CatalogChanges
        self._intake: Intake
        self._turns: Turns
        self._outbox: Outbox
        self._overview: Overview
        self._server: StatusServer
        self._opened: list[Callable[[], object]] = []
        self._taken_up = False

    @property
    def stopped(self) -> bool:
        """True when everything is closed."""
        return not self._opened

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"{self._server.url}/"

    def start(self) -> None:
        """Open everything; when one part cannot be opened, close the others again.

        Raises:
            RunnerError: what cannot be opened, and what to do.
        """
        began = time.monotonic()
        log.info(
            "runner %s starts: jobs %s, state %s", __version__, self._settings.jobs_dir, self._settings.state_dir
        )
        try:
            self._open()
        except BaseException:
            self._close_opened()
            raise
        settle()
        log.info(
            "Ready in %.1f s: %s in force; page at %s",
            time.monotonic() - began,
            counted(len(self._jobs()), "job"),
            self.address,
        )

    def _open(self) -> None:
        self._open_works()
        self._join()
        mails = self._open_outbox()
        # The folder is read while the zygote comes up. Whatever can refuse has to before the first run begins:
        # the sandbox may be missing, the address taken.
        remembered = self._store.load_jobs()
        self._keeper.begin(remembered)
        zygote = self._works.zygote
        zygote.start()
        log.info("Sandbox: %s", "; ".join((f"{zygote.level} ({self._settings.sandbox})", *zygote.missing)))
        self._serve(mails)
        self._keeper.take_in(self._is_stopping)
        self._take_up({job.job_name: job for job in remembered.values()})
        self._outbox.start()

    def _open_works(self) -> None:
        """What has to be closed again: the store, what runs are made with, and the keeper of the jobs."""
        settings = self._settings
        self._store = open_store(settings, self._is_stopping)
        self._opened.append(self._store.close)
        self._works = build_works(settings, self._environ, store=self._store, on_change=self._run_changed)
        self._opened.append(self._works.zygote.close)
        self._opened.append(lambda: self._works.executor.shutdown(grace_seconds=0.0))
        # Closed before it: a run that is ended by a start that fails begins again with the next one.
        self._opened.append(self._works.desk.hand_back)
        self._keeper = CatalogKeeper(
            settings,
            on_hint=lambda: self._events.put(self._hinted),
            on_read=lambda: self._events.put(_nothing),
        )
        self._opened.append(self._keeper.stop)

    def _join(self) -> None:
        """What the turns of the loop are made of; nothing of it begins by itself."""
        desk = self._works.desk
        self._scheduler = Scheduler(store=self._store, desk=desk, clock=utc_now)
        self._changes = CatalogChanges(
            keeper=self._keeper,
            scheduler=self._scheduler,
            desk=desk,
            store=self._store,
            on_change=self._catalog_changed,
        )
        self._intake = Intake(
            store=self._store,
            desk=desk,
            jobs=self._jobs,
            refresh=self._keeper.ask,
            refreshed=self._keeper.answered,
        )
        self._turns = self._make_turns()

    def _make_turns(self) -> Turns:
        desk = self._works.desk
        waiting = Waiting(
            self._events,
            desk.open_runs,
            seconds_to_rescan=self._keeper.seconds_to_rescan,
            next_time=self._scheduler.next_time,
            stopping=self._is_stopping,
        )
        retention = Retention(self._store, self._settings, clock=utc_now, jobs=self._jobs)
        steps = (
            lambda: self._scheduler.tick(utc_now()),
            desk.retry_unrecorded,
            desk.pump,
            self._changes.follow,
            self._intake.take_requests,
            self._changes.cancel_what_is_gone,
            self._changes.save_jobs,
            retention.tidy_if_due,
        )
        return Turns(steps, take=waiting.take, stopping=self._is_stopping)

    def _open_outbox(self) -> str:
        """Make the outbox, which is started last; answers where its mails go."""
        settings = self._settings
        transport = open_transport(settings)
        mails = transport.describe()
        log.info("Mails: %s", mails)
        if settings.smtp.host and settings.smtp.from_email == DEFAULT_SENDER:
            log.warning("SMTP_FROM_EMAIL is not set: many servers refuse mails from %s", DEFAULT_SENDER)
        self._outbox = make_outbox(
            settings,
            self._store,
            transport,
            jobs=self._jobs,
            bounds=lambda: self._keeper.catalog.bounds,
            on_result=self._delivered,
        )
        return mails

    def _serve(self, mails: str) -> None:
        settings = self._settings
        self._overview = Overview(
            store=self._store,
            catalog=lambda: self._keeper.catalog,
            next_fire=self._scheduler.next_fire,
            running=self._works.desk.open_runs.job_names,
            reasons=self._reasons,
            facts=self._facts(mails),
            runs_dir=settings.runs_dir,
            clock=utc_now,
        )
        app = build_app(
            self._overview, token=settings.status.token, host=settings.status.host, version=__version__
        )
        self._server = StatusServer(app, settings.status)
        self._server.start()
        self._store.announce(self._server.url)
        self._opened.append(lambda: self._server.stop(2.0))

    def _take_up(self, before: Mapping[str, Job]) -> None:
        """Go on where the last service ended, with the jobs `before`; with schedules that are new since it, from
        when this one began."""
        self._changes.save_jobs()
        self._intake.recover(before)
        self._scheduler.start(self._keeper.catalog, since=self._began)
        self._taken_up = True
        self._overview.changed()
        self._log_next()

    def run(self) -> None:
        """The loop, until a stop is asked for."""
        self._turns.run()

    def request_stop(self) -> None:
        """Ask the loop to end; asked a second time, nothing is waited for long. Safe in a signal handler."""
        self._stops_asked += 1
        self._events.put(_nothing)

    def request_reload(self) -> None:
        """Ask for a rescan now. Safe in a signal handler."""
        self._events.put(self._reload)

    def trigger(self, job_name: str) -> str:
        """Ask for a run of a job, once, beside its schedule. Returns the run's identifier.

        Raises:
            UsageError: no such job is in force.
        """
        job = self._keeper.catalog.jobs.get(job_name)
        if job is None:
            raise UsageError(f"there is no job {job_name!r} in force", hint="runner list shows the jobs.")
        run = self._works.desk.new_run(job, trigger=Trigger.MANUAL, scheduled_time=utc_now())
        self._store.add_requests((run,))
        self._events.put(_nothing)
        return run.run_id

    def job_names(self) -> tuple[str, ...]:
        """The names of the jobs in force."""
        return tuple(self._keeper.catalog.jobs)

    def find_run(self, run_id: str) -> Run | None:
        """A run as the store knows it."""
        return self._store.run(run_id)

    def stop(self) -> None:
        """End: wait for runs within the grace time, hand back the rest, send what can be sent, close.

        A mail that is being sent is waited for, or until a second stop is asked for.
        """
        desk = self._works.desk
        desk.hand_back()
        open_runs = desk.open_runs.count()
        log.info(
            "Stopping. Runs under way: %d; waiting at most %.0f s for them",
            desk.open_runs.begun_count(),
            self._grace_seconds,
        )
        try:
            self._keeper.stop()
            self._end_runs()
            desk.retry_unrecorded()
            still_open = self._outbox.close(MAIL_SECONDS, break_off=lambda: self._stops_asked > 1)
            log.info(
                "Stopped. Runs finished: %d; handed back, to start again with the service: %d; "
                "mails left to send: %d",
                desk.finished_count(),
                open_runs - desk.finished_count(),
                still_open,
            )
        finally:
            self._close_opened()

    def _end_runs(self) -> None:
        """No run begins any more; those under way have the grace time, or until a second stop is asked for."""
        ending = threading.Thread(
            target=self._works.executor.shutdown, kwargs={"grace_seconds": self._grace_seconds}, daemon=True
        )
        try:
            begin(ending)
        except ThreadError:
            # Then a second stop waits with it.
            self._works.executor.shutdown(grace_seconds=self._grace_seconds)
        patient = self._stops_asked <= 1
        while ending.is_alive():
            ending.join(0.05)
            if patient and self._stops_asked > 1:
                patient = False
                self._works.desk.cancel_all()

    def _close_opened(self) -> None:
        while self._opened:
            close = self._opened.pop()
            try:
                close()
            except (RunnerError, OSError) as error:
                log.error("While closing: %s", error)

    def _is_stopping(self) -> bool:
        return self._stops_asked > 0

    def _hinted(self) -> None:
        self._keeper.hint()

    def _reload(self) -> None:
        log.info("Reload asked for")
        self._keeper.ask()

    def _catalog_changed(self) -> None:
        self._overview.changed()
        self._log_next()

    def _run_changed(self, run: Run) -> None:
        if run.state.finished:
            self._overview.finished(run)
            self._outbox.wake()
        else:
            self._overview.changed(run)
        if run.state.finished or run.next_attempt_at is not None:
            # What follows may be due before the loop would look again.
            self._events.put(_nothing)

    def _delivered(self, delivery: Delivery, _result: SendResult) -> None:
        try:
            run = self._store.run(delivery.run_id)
        except StoreError as error:
            log.error("The page cannot show the latest deliveries: %s", error.message)
            return
        if run is not None:
            self._overview.changed(run)

    def _reasons(self) -> tuple[str, ...]:
        starting = "" if self._taken_up else "the service is starting"
        stopping = "the service is stopping" if self._stops_asked else ""
        waiting = self._works.desk.unrecorded_count()
        unrecorded = f"the end of {counted(waiting, 'run')} cannot be recorded yet" if waiting else ""
        reasons = (
            starting,
            self._keeper.trouble,
            self._scheduler.trouble,
            self._works.desk.trouble,
            unrecorded,
            stopping,
        )
        return tuple(reason for reason in reasons if reason)

    def _facts(self, mails: str) -> tuple[tuple[str, str], ...]:
        settings = self._settings
        return (
            ("jobs_folder", str(settings.jobs_dir)),
            ("time_zone", settings.timezone),
            ("sandbox", self._works.zygote.level),
            ("mail", mails),
            ("started", local_time(utc_now().replace(microsecond=0), settings.timezone)),
        )

    def _jobs(self) -> Mapping[str, Job]:
        """Those in force, by name."""
        return self._keeper.catalog.jobs

    def _log_next(self) -> None:
        due: datetime | None = self._scheduler.next_time()
        log.info("Next run due: %s", local_time(due, self._settings.timezone) if due else "none")


def _nothing() -> None:
    """Wakes the loop."""
