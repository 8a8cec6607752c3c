"""How a run comes into being and begins: made, and recorded as begun before anything of it is executed."""

import errno
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from runner.core.bookmark import Bookmark
from runner.core.cron import parse_cron, previous_fire
from runner.core.identity import RisingIds
from runner.core.job import Job
from runner.core.policy import may_skip
from runner.core.run import Fire, Run, RunOrder, RunState, Trigger
from runner.core.words import NO_ROOM_HINT
from runner.errors import ExecutionError, RunStateError, StoreError
from runner.execution.trees import remove_tree
from runner.store.reader import StoreReader
from runner.store.store import Store

log = logging.getLogger(__name__)

# A run that cannot be recorded as begun is tried again this often.
_STORE_RETRY_SECONDS = 1.0
# What keeps a folder from being made for a while, and not for good.
_PASSING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EROFS}
)
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class RunFactory:
    """Makes runs that nothing is recorded of yet. Thread-safe.

    Their identifiers rise, also within one millisecond.

    Args:
        entropy: random bits for identifiers, as `secrets.randbits` gives them.
    """

    def __init__(self, *, clock: Callable[[], datetime], entropy: Callable[[int], int]) -> None:
        self._clock = clock
        self._make_id = RisingIds(entropy)
        self._lock = threading.Lock()

    def __call__(
        self,
        job: Job,
        *,
        trigger: Trigger,
        scheduled_time: datetime,
        fire: Fire | None = None,
        state: RunState = RunState.QUEUED,
        note: str = "",
        mailing: bool = True,
    ) -> Run:
        """A run of this job."""
        now = self._clock()
        with self._lock:
            run_id = self._make_id(now)
        return Run(
            run_id=run_id,
            job_name=job.job_name,
            trigger=trigger,
            scheduled_time=scheduled_time,
            state=state,
            fire_key=fire.key if fire else None,
            queued_at=now,
            finished_at=now if state.finished else None,
            note=note,
            mailing=mailing,
            revision=job.revision,
            digest=job.digest,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """When a run began, and its order with what is on record of the job's past."""

    at: datetime
    order: RunOrder


def with_past(order: RunOrder, run: Run, store: StoreReader) -> RunOrder:
    """The order of a run with how far its job has got, and with the time from which on it is about the data.

    That is the fire before, by the schedule of now; for a job that comes after others the last time for which it
    has a run on record.

    Raises:
        StoreError: the history cannot be read.
    """
    job = order.job
    if job.schedule_time is not None:
        start = previous_fire(parse_cron(job.schedule_time), job.timezone, order.scheduled_time)
    else:
        start = store.time_before(job.job_name, order.scheduled_time)
    bookmark = store.bookmark(job.job_name).for_origin(job.origin) if job.keeps_bookmark else Bookmark()
    return replace(order, data_interval_start=start, bookmark=bookmark, skip_unchanged=may_skip(run))


class RunStarts:
    """Records that runs begin. What cannot be recorded does not begin: it waits. Thread-safe."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._waiting: dict[str, str] = {}

    @property
    def trouble(self) -> str:
        """Why runs whose turn it is do not begin; empty while they do."""
        return next(iter(self._waiting.copy().values()), "")

    def record(self, run: Run, order: RunOrder, cancelled: threading.Event) -> Begun | None:
        """Make the folder of a run and record that it begins; while the disk is full, wait.

        Returns:
            None where it was cancelled meanwhile.

        Raises:
            RunStateError: the run is not queued any more.
            ExecutionError: the folder cannot be made, and time will not mend that.
        """
        try:
            while (begun := self._try(run, order)) is None:
                if cancelled.wait(_STORE_RETRY_SECONDS):
                    return None
        finally:
            self._waiting.pop(order.run_id, None)
        return begun

    def _try(self, run: Run, order: RunOrder) -> Begun | None:
        started = self._clock()
        run_dir = Path(order.run_dir)
        try:
            if run_dir.exists():
                remove_tree(run_dir)
            # By itself: one made as a parent goes by the umask, and who may write there can put another result in
            # the place of one.
            run_dir.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
            run_dir.mkdir(mode=0o700)
            whole = with_past(order, run, self._store)
            self._store.mark_running(order.run_id, started)
        except RunStateError:
            raise
        except OSError as error:
            if error.errno not in _PASSING:
                raise ExecutionError(
                    f"the folder {run_dir} cannot be made: {error.strerror}",
                    hint="Let the user of the service write there.",
                ) from error
            hint = f". {NO_ROOM_HINT}" if error.errno in _NO_ROOM else ""
            self._wait(order, f"their folders cannot be made in {run_dir.parent}: {error.strerror}{hint}")
            return None
        except StoreError as error:
            self._wait(order, f"that cannot be recorded: {error}")
            return None
        return Begun(at=started, order=whole)

    def _wait(self, order: RunOrder, why: str) -> None:
        told = f"runs do not begin, as {why}"
        if order.run_id not in self._waiting:
            log.error("Run %s waits: %s", order.run_id, told)
        self._waiting[order.run_id] = told
