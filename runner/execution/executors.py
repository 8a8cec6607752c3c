"""Executors: where RunOrders are carried out. One Protocol; threads of this process are the first of its kinds."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from datetime import datetime
from queue import SimpleQueue
from typing import Protocol

from runner.core.run import FailureKind, RunFailure, RunOrder, RunOutcome, RunState
from runner.errors import ExecutionError
from runner.threads import begin

log = logging.getLogger(__name__)

_LAST_WAIT_SECONDS = 5.0


class Executor(Protocol):
    """Carries out run orders, a bounded number at a time. Thread-safe."""

    def submit(self, order: RunOrder) -> "Future[RunOutcome]":
        """Queue an order. The future never carries an exception, and is never cancelled: both are outcomes.

        Raises:
            ExecutionError: the executor is shut down.
        """

    def cancel(self, run_id: str) -> bool:
        """End a run, or drop it from the queue; False when it is not under way."""

    def shutdown(self, *, grace_seconds: float) -> tuple[str, ...]:
        """Take no more orders, drop those that wait, give the others `grace_seconds`, then cancel them.

        Returns the ids of the runs that were dropped or cancelled.
        """


@dataclass(kw_only=True, slots=True, eq=False)
class _Entry:
    """One order under way. `started` is guarded by the executor's lock."""

    order: RunOrder
    future: "Future[RunOutcome]" = field(default_factory=Future)
    cancelled: threading.Event = field(default_factory=threading.Event)
    started: bool = False


class LocalExecutor:
    """Runs `execute` in threads of this process, first come, first served.

    Args:
        execute: carries out one order; the event asks it to stop.
        max_workers: how many orders at a time.
        clock: the time now, aware.
    """

    def __init__(
        self,
        execute: Callable[[RunOrder, threading.Event], RunOutcome],
        *,
        max_workers: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._execute = execute
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, _Entry] = {}
        self._closed = False
        self._queue: SimpleQueue[_Entry | None] = SimpleQueue()
        # Daemons, unlike those of a pool of concurrent.futures: a fetch that hangs in the kernel, on a dead
        # network file system say, must not keep the process from ending.
        self._threads = [
            threading.Thread(target=self._work, name=f"run-{number}", daemon=True) for number in range(max_workers)
        ]
        for thread in self._threads:
            begin(thread)

    def submit(self, order: RunOrder) -> "Future[RunOutcome]":
        """See `Executor.submit`."""
        entry = _Entry(order=order)
        entry.future.set_running_or_notify_cancel()  # from here on only this class decides what it carries
        with self._lock:
            if self._closed:
                raise ExecutionError("the executor is shut down", hint="Start the service again.")
            self._open[order.run_id] = entry
            # Inside the lock: nothing is queued behind the end.
            self._queue.put(entry)
        return entry.future

    def cancel(self, run_id: str) -> bool:
        """See `Executor.cancel`."""
        with self._lock:
            entry = self._open.get(run_id)
            if entry is None:
                return False
            waiting = self._ask_to_stop(entry)
        if waiting:
            entry.future.set_result(cancelled_outcome(entry.order, self._clock()))
        return True

    def shutdown(self, *, grace_seconds: float) -> tuple[str, ...]:
        """See `Executor.shutdown`."""
        with self._lock:
            if not self._closed:
                for _ in self._threads:
                    self._queue.put(None)
            self._closed = True
            dropped = [entry for entry in self._open.values() if not entry.started]
            for entry in dropped:
                self._ask_to_stop(entry)
            running = list(self._open.values())
        for entry in dropped:
            entry.future.set_result(cancelled_outcome(entry.order, self._clock()))
        unfinished = wait([entry.future for entry in running], timeout=grace_seconds).not_done
        late = [entry for entry in running if entry.future in unfinished]
        for entry in late:
            entry.cancelled.set()
        wait(unfinished, timeout=_LAST_WAIT_SECONDS)
        # Joining the threads waits for the futures' callbacks as well.
        deadline = time.monotonic() + _LAST_WAIT_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return tuple(entry.order.run_id for entry in (*dropped, *late))

    def _ask_to_stop(self, entry: _Entry) -> bool:
        """Cancel an entry, with the lock held; True when it had not started, and now never does."""
        entry.cancelled.set()
        if entry.started:
            return False
        del self._open[entry.order.run_id]
        return True

    def _work(self) -> None:
        while (entry := self._queue.get()) is not None:
            self._carry_out(entry)

    def _carry_out(self, entry: _Entry) -> None:
        with self._lock:
            if entry.cancelled.is_set():
                return
            entry.started = True
        began = self._clock()
        try:
            outcome = self._execute(entry.order, entry.cancelled)
        except Exception as error:
            log.exception("Run %s ended in an error of the runner", entry.order.run_id)
            outcome = RunOutcome(
                run_id=entry.order.run_id,
                state=RunState.FAILED,
                started_at=began,
                finished_at=self._clock(),
                failure=RunFailure(
                    kind=FailureKind.INTERNAL,
                    message=f"the runner failed to carry out this run: {type(error).__name__}: {error}",
                    hint="This is not the script's fault. The service's log has the details.",
                ),
            )
        with self._lock:
            self._open.pop(entry.order.run_id, None)
        entry.future.set_result(outcome)


def cancelled_outcome(order: RunOrder, now: datetime) -> RunOutcome:
    """The outcome of an order that was cancelled before it started."""
    return RunOutcome(
        run_id=order.run_id,
        state=RunState.CANCELLED,
        started_at=now,
        finished_at=now,
        failure=RunFailure(kind=FailureKind.CANCELLED, message="the run was cancelled before it started"),
    )
