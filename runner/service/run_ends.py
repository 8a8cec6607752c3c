"""Ends of runs that the store does not take: kept and tried again, so that none is lost."""

import logging
import threading
from collections.abc import Callable

from runner.core.run import RunOrder, RunOutcome
from runner.errors import StoreError
from runner.logs import run_context
from runner.store.store import Store

log = logging.getLogger(__name__)

RETRY_SECONDS = 2.0

Record = Callable[[RunOrder, RunOutcome], None]


class RunEnds:
    """Sees to it that every end of a run is recorded, once. Thread-safe.

    Args:
        record: records an end.
        record_error: records, in place of an end that could not be handled, that this was a fault of ours.
        forget: called with the run's identifier where its end is on record already, or never can be.
    """

    def __init__(
        self,
        store: Store,
        *,
        record: Record,
        record_error: Callable[[RunOrder, RunOutcome, Exception], None],
        forget: Callable[[str], None],
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._record = record
        self._record_error = record_error
        self._forget = forget
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[RunOrder, RunOutcome]] = {}
        self._told: set[str] = set()
        self._monotonic = monotonic
        self._next_retry = monotonic()

    def end(self, order: RunOrder, outcome: RunOutcome) -> bool:
        """Record the end of a run; False where the store does not take it now: it waits for `retry`."""
        with run_context(order.job.job_name, order.run_id):
            try:
                self._record(order, outcome)
            except (StoreError, OSError) as error:
                # Of the system, not of this run, as when there are no descriptors left: it passes.
                return self._keep(order, outcome, error)
            except Exception as error:
                log.exception("The end of run %s could not be handled", order.run_id)
                return self._fail(order, outcome, error)
            self._told.discard(order.run_id)
            return True

    def retry(self) -> None:
        """Try again to record what waits: a full or locked disk may be well again.

        Not more often than every two seconds, and no further than to the first that is refused: a locked database
        takes seconds to say so.
        """
        if self._monotonic() < self._next_retry:
            return
        with self._lock:
            waiting = list(self._waiting.values())
        for order, outcome in waiting:
            with self._lock:
                self._waiting.pop(order.run_id, None)
            if not self.end(order, outcome):
                self._next_retry = self._monotonic() + RETRY_SECONDS
                return

    def waiting_count(self) -> int:
        """How many runs have ended and are not yet recorded so."""
        with self._lock:
            return len(self._waiting)

    def _keep(self, order: RunOrder, outcome: RunOutcome, error: StoreError | OSError) -> bool:
        """Keep an end that the store did not take; True where there is no need: it is on record already."""
        try:
            recorded = self._store.run(order.run_id)
        except StoreError:
            recorded = None
        if recorded is not None and recorded.state.finished:
            log.warning("Run %s was closed by another process as %s", order.run_id, recorded.state)
            self._forget(order.run_id)
            return True
        with self._lock:
            told = order.run_id in self._told
            self._told.add(order.run_id)
            self._waiting[order.run_id] = (order, outcome)
        if not told:
            hint = error.hint if isinstance(error, StoreError) else ""
            log.error("The end of run %s cannot be recorded yet: %s %s", order.run_id, error, hint)
        return False

    def _fail(self, order: RunOrder, outcome: RunOutcome, error: Exception) -> bool:
        try:
            self._record_error(order, outcome, error)
        except (StoreError, OSError) as full:
            return self._keep(order, outcome, full)
        except Exception:
            log.exception("Run %s cannot be recorded at all; the next start finds it", order.run_id)
            self._forget(order.run_id)
        return True
