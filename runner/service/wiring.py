"""The parts that the service and a single run have in common, put together."""

import logging
import random
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from secrets import randbits

from runner.core.delivery import Delivery, SendResult
from runner.core.job import Job
from runner.core.job_policy import RunBounds
from runner.core.run import Run, RunOrder, RunOutcome
from runner.delivery.folder import MailFolder
from runner.delivery.outbox import Outbox
from runner.delivery.smtp import SmtpTransport
from runner.delivery.transport import Transport
from runner.errors import StoreBusyError
from runner.execution.executors import LocalExecutor, cancelled_outcome
from runner.execution.step_runner import StepRunner, make_step_runner
from runner.logs import run_context
from runner.mounts import shared_file_system
from runner.pipeline import Pipeline
from runner.service.clock import utc_now
from runner.service.composer import Composer
from runner.service.notices import Notices
from runner.service.runs import RunDesk
from runner.settings import Settings
from runner.store.faults import LOCAL_DISK, shared_words
from runner.store.store import Store, service_running

log = logging.getLogger(__name__)

# Seconds that a service waits for a single run that has its folder.
SINGLE_RUN_PATIENCE = 60.0


def open_transport(settings: Settings) -> Transport:
    """How mails leave: by SMTP, or, where no server is set, into a folder."""
    return SmtpTransport(settings.smtp) if settings.smtp.host else MailFolder(settings.mail_dir)


def make_outbox(
    settings: Settings,
    store: Store,
    transport: Transport,
    *,
    jobs: Callable[[], Mapping[str, Job]],
    bounds: Callable[[], RunBounds | None],
    on_result: Callable[[Delivery, SendResult], None] | None = None,
    asked: Collection[str] | None = None,
) -> Outbox:
    """What sends the mails of a store as far as `bounds`, those of the policy of now, allow it, and tells the
    owners of `jobs` of those that came to nothing. Without bounds everybody may be mailed.

    Args:
        asked: the runs that a command is for. Where no server is set it takes no mail of others: its shell may
            lack what the service has, and they wait for a server.
    """
    composer = Composer(settings.smtp.from_email)

    def allows(recipient: str) -> bool:
        return (bounds() or RunBounds()).allows_recipient(recipient)

    return Outbox(
        store,
        transport,
        clock=utc_now,
        random=random.random,
        on_result=on_result,
        context=run_context,
        notice=Notices(store=store, composer=composer, jobs=jobs, clock=utc_now),
        allows=allows,
        run_ids=None if settings.smtp.host else asked,
        # Where a start lacks the server by mistake, what waits for it is not to go into the folder at once.
        hastening=bool(settings.smtp.host),
    )


def open_store(settings: Settings, stop_asked: Callable[[], bool]) -> Store:
    """The store of the settings; while a single run has it, wait for that to end, for a while.

    Where other machines may work on it too the log says so: its lock keeps none of them out.

    Args:
        stop_asked: whether the service is to stop before it has begun: then it waits no more.

    Raises:
        StoreError: it cannot be opened, or another service has it.
    """
    kind = shared_file_system(settings.storage_path)
    if kind:
        log.warning("%s %s. %s", settings.state_dir, shared_words(kind), LOCAL_DISK)
    deadline = time.monotonic() + SINGLE_RUN_PATIENCE
    told = False
    while True:
        try:
            return Store.open(settings.storage_path)
        except StoreBusyError as error:
            if service_running(settings.storage_path) or stop_asked() or time.monotonic() > deadline:
                raise
            if not told:
                log.warning("%s: waiting at most %.0f s for it", error.message, SINGLE_RUN_PATIENCE)
                told = True
            time.sleep(0.2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Works:
    """What carries out runs: the zygote, the executor's threads, and the desk that follows each run."""

    zygote: StepRunner
    executor: LocalExecutor
    desk: RunDesk


def build_works(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    store: Store,
    on_change: Callable[[Run], None],
) -> Works:
    """Launch the zygote and put pipeline, executor and desk around it. The caller calls `zygote.start()`."""
    zygote = make_step_runner(sandbox_mode=settings.sandbox, waiting=min(2, settings.max_concurrent_runs))
    zygote.launch()
    pipeline = Pipeline(zygote=zygote, environ=environ, fetch_timeout=settings.api_fetch_timeout, clock=utc_now)

    def execute(order: RunOrder, cancelled: threading.Event) -> RunOutcome:
        begun = desk.prepare(order, cancelled)
        return pipeline.execute(begun, cancelled) if begun else cancelled_outcome(order, utc_now())

    executor = LocalExecutor(execute, max_workers=settings.max_concurrent_runs, clock=utc_now)
    desk = RunDesk(
        settings=settings,
        store=store,
        executor=executor,
        clock=utc_now,
        monotonic=time.monotonic,
        entropy=randbits,
        random=random.random,
        on_change=on_change,
    )
    return Works(zygote=zygote, executor=executor, desk=desk)
