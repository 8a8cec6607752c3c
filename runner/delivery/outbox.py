"""Takes due deliveries from the store to the transport, and their results back."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from runner.core.delivery import Delivery, DeliveryState, Mail, SendResult
from runner.delivery.retry import GIVE_UP_AFTER, next_attempt
from runner.delivery.transport import Transport

log = logging.getLogger(__name__)

# Mails come with their attachments, so a batch is small.
_BATCH = 20
_COUNT_LIMIT = 200
# A single run beside the service leaves its mails here too, and cannot wake this process.
_LONGEST_WAIT_SECONDS = 5.0
_AFTER_TROUBLE_SECONDS = 5.0


class OutboxStore(Protocol):
    """What the outbox needs of the store."""

    def due_deliveries(self, now: datetime, limit: int) -> Sequence[tuple[Delivery, Mail]]:
        """At most `limit` open deliveries whose next attempt is due."""
        ...

    def next_delivery_time(self) -> datetime | None:
        """When the next open delivery is due; None where nothing is open."""
        ...

    def record_attempt(
        self, delivery_id: int, result: SendResult, *, at: datetime, next_attempt_at: datetime | None
    ) -> None:
        """Record what became of one attempt. `next_attempt_at` is given exactly where it is deferred."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class _Attempt:
    """An attempt that was made and is to be recorded."""

    delivery: Delivery
    result: SendResult
    at: datetime
    next_attempt_at: datetime | None


def _no_context(_job_name: str, _run_id: str) -> AbstractContextManager[object]:
    return nullcontext()


class Outbox:
    """Sends what is due: in a thread of its own between `start` and `close`, or once, by `drain_once`.

    Deliveries of one mail go to the transport together. An attempt that the store could not record is kept, and
    nothing more is sent until it is recorded: a full disk makes no doubles.

    Args:
        random: a number from 0 to 1, for the jitter of the retries.
        on_result: called after a result was recorded, from the thread that sent.
        context: given a job's name and a run's identifier, what is entered while a mail of theirs is sent and
            its results are recorded: so log lines can name the job.
    """

    def __init__(
        self,
        store: OutboxStore,
        transport: Transport,
        *,
        clock: Callable[[], datetime],
        random: Callable[[], float],
        on_result: Callable[[Delivery, SendResult], None] | None = None,
        context: Callable[[str, str], AbstractContextManager[object]] = _no_context,
    ) -> None:
        self._store = store
        self._transport = transport
        self._clock = clock
        self._random = random
        self._on_result = on_result
        self._context = context
        self._unrecorded: dict[int, _Attempt] = {}
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._giving_up = threading.Event()
        self._draining = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to send, in a thread of its own."""
        self._thread = threading.Thread(target=self._loop, name="outbox", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Look at once: a run has just made a mail."""
        self._woken.set()

    def close(self, timeout: float) -> int:
        """Send what is due now, for at most `timeout` seconds, and end.

        Returns:
            How many deliveries are still open, counted up to 200; they go on when an outbox is started again.
        """
        self._closing.set()
        self._woken.set()
        if self._thread is not None:
            self._thread.join(timeout)
        self._giving_up.set()
        try:
            # No open delivery is due later than this: the last attempt is at the end of the five days.
            still_open = self._store.due_deliveries(self._clock() + GIVE_UP_AFTER, _COUNT_LIMIT)
        except Exception:
            log.exception("The open deliveries cannot be counted")
            return len(self._unrecorded)
        return len(still_open)

    def drain_once(self) -> int:
        """Send everything that is due, and return when nothing is.

        Returns:
            How many attempts were recorded.

        Raises:
            Exception: what the store raises when it cannot be read.
        """
        recorded = 0
        with self._draining:
            try:
                while not self._giving_up.is_set():
                    recorded += self._record_waiting()
                    due = self._store.due_deliveries(self._clock(), _BATCH)
                    self._forget_closed(due)
                    if not due or self._unrecorded:
                        break
                    for mail, deliveries in _by_mail(due):
                        if self._giving_up.is_set() or self._unrecorded:
                            break
                        recorded += self._deliver(mail, deliveries)
            finally:
                self._transport.close()
        return recorded

    def _loop(self) -> None:
        while True:
            closing = self._closing.is_set()
            self._woken.clear()
            try:
                self.drain_once()
                wait = self._seconds_to_next()
            except Exception:
                # A store that is away for a while must not end the mails for good.
                log.exception("The outbox cannot go on for now")
                wait = _AFTER_TROUBLE_SECONDS
            if closing:
                return
            if not self._closing.is_set():
                self._woken.wait(wait)

    def _seconds_to_next(self) -> float:
        if self._unrecorded:
            return _AFTER_TROUBLE_SECONDS
        moment = self._store.next_delivery_time()
        if moment is None:
            return _LONGEST_WAIT_SECONDS
        return min(_LONGEST_WAIT_SECONDS, max(0.05, (moment - self._clock()).total_seconds()))

    def _deliver(self, mail: Mail, deliveries: Sequence[Delivery]) -> int:
        recorded = 0
        with self._context(deliveries[0].job_name, mail.run_id):
            results = self._send(mail, [delivery.recipient for delivery in deliveries])
            for delivery in deliveries:
                attempt = self._judge(delivery, results[delivery.recipient])
                self._unrecorded[delivery.delivery_id] = attempt
                recorded += self._record(attempt)
        return recorded

    def _send(self, mail: Mail, recipients: list[str]) -> dict[str, SendResult]:
        began = time.monotonic()
        try:
            results = self._transport.send(mail, recipients)
        except Exception as error:
            log.exception("The mail %r met something unforeseen", mail.subject)
            results = dict.fromkeys(
                recipients,
                SendResult(state=DeliveryState.DEFERRED, error=f"internal error: {type(error).__name__}"),
            )
        log.debug("Mail %s took %.2f s", mail.message_id, time.monotonic() - began)
        missing = SendResult(state=DeliveryState.DEFERRED, error="no result for this recipient")
        return {recipient: results.get(recipient, missing) for recipient in recipients}

    def _judge(self, delivery: Delivery, result: SendResult) -> _Attempt:
        """When a deferred delivery is tried again; after five days it is dead."""
        now = self._clock()
        if result.state is not DeliveryState.DEFERRED:
            return _Attempt(delivery=delivery, result=result, at=now, next_attempt_at=None)
        again = next_attempt(
            attempts=delivery.attempts + 1, created_at=delivery.created_at, now=now, fraction=self._random()
        )
        if again is None:
            log.error(
                "Mail to %s given up after %d days: %s", delivery.recipient, GIVE_UP_AFTER.days, result.error
            )
            error = f"given up after {GIVE_UP_AFTER.days} days: {result.error}"
            result = SendResult(state=DeliveryState.DEAD, error=error)
        return _Attempt(delivery=delivery, result=result, at=now, next_attempt_at=again)

    def _record(self, attempt: _Attempt) -> bool:
        delivery = attempt.delivery
        try:
            self._store.record_attempt(
                delivery.delivery_id, attempt.result, at=attempt.at, next_attempt_at=attempt.next_attempt_at
            )
        except Exception:
            log.exception(
                "The delivery to %s (%s) cannot be recorded yet", delivery.recipient, attempt.result.state
            )
            return False
        self._unrecorded.pop(delivery.delivery_id, None)
        if self._on_result is not None:
            try:
                self._on_result(delivery, attempt.result)
            except Exception:
                log.exception("A listener to deliveries failed")
        return True

    def _record_waiting(self) -> int:
        recorded = 0
        for attempt in tuple(self._unrecorded.values()):
            with self._context(attempt.delivery.job_name, attempt.delivery.run_id):
                recorded += self._record(attempt)
        return recorded

    def _forget_closed(self, due: Sequence[tuple[Delivery, Mail]]) -> None:
        """Drop what was to be recorded of deliveries that the store no longer holds open."""
        held = {delivery.delivery_id for delivery, _ in due}
        for delivery_id in self._unrecorded.keys() - held:
            del self._unrecorded[delivery_id]


def _by_mail(pairs: Sequence[tuple[Delivery, Mail]]) -> list[tuple[Mail, list[Delivery]]]:
    """The deliveries of each mail, in order of their first."""
    groups: dict[str, tuple[Mail, list[Delivery]]] = {}
    for delivery, mail in pairs:
        groups.setdefault(mail.message_id, (mail, []))[1].append(delivery)
    return list(groups.values())
