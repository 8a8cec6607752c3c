"""Takes due deliveries from the store to the transport, and their results back."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from typing import Protocol

from runner.core.delivery import Delivery, DeliveryAttempt, DeliveryState, Mail, MailKind, SendResult
from runner.core.words import counted
from runner.delivery.judge import ended, forbidden, held, judge
from runner.delivery.recording import NOTHING, Attempted, AttemptStore, Recording, TroubleLog
from runner.delivery.retry import is_out_of_reach
from runner.delivery.transport import Transport
from runner.threads import begin

log = logging.getLogger(__name__)

# Mails come with their attachments: so many at once, and fewer where they are large.
_BATCH = 20
_BATCH_BYTES = 32_000_000
# A single run beside the service leaves its mails here too, and cannot wake this process.
_LONGEST_WAIT_SECONDS = 5.0
_AFTER_TROUBLE_SECONDS = 5.0
_LOOK_SECONDS = 0.05


class OutboxStore(AttemptStore, Protocol):
    """What the outbox needs of the store. Times are aware UTC; everything may raise."""

    def due_deliveries(
        self, now: datetime, limit: int, run_ids: Collection[str] | None = None
    ) -> Sequence[tuple[Delivery, Mail]]:
        """At most `limit` open deliveries whose next attempt is due, the longest waiting first: of these runs,
        or of all.

        Others of the last mail may come with them. Those of one mail come with the very same `Mail`, and those of
        two mails never do.
        """
        ...

    def next_delivery_time(self) -> datetime | None:
        """When the next open delivery is due; None where nothing is open."""
        ...

    def open_deliveries(self) -> int:
        """How many deliveries are open."""
        ...

    def hasten_deliveries(self, at: datetime) -> int:
        """Make those that wait for another attempt due at a moment, where they are later; answers how many."""
        ...

    def begin_attempt(self, delivery_ids: Sequence[int], at: datetime) -> None:
        """Record that an attempt is about to be made: sets `began_at`."""
        ...


def _never() -> bool:
    return False


def _no_context(_job_name: str, _run_id: str) -> AbstractContextManager[object]:
    return nullcontext()


def _no_notice(_mail: Mail, _ended: Sequence[Delivery]) -> Mail | None:
    return None


def _everybody(_recipient: str) -> bool:
    return True


class Outbox:
    """Sends what is due: in a thread of its own between `start` and `close`, or once, by `drain_once`.

    Deliveries of one mail go to the transport together. An attempt that the store could not record is kept, and
    nothing more is sent until it is recorded: a full disk makes no doubles. A mail that is to be held where nobody
    knows whether it arrived is marked before each attempt; where the mark is found again, the process was killed
    in between, and the delivery is held.

    Args:
        random: a number from 0 to 1, for the jitter of the retries.
        on_result: called after a result was recorded, from the thread that sent, with the delivery as it is then.
        context: given a job's name and a run's identifier, what is entered while a mail of theirs is sent and
            its results are recorded: so log lines can name the job.
        notice: given a mail and those of its deliveries that an attempt has left dead or held, as they are then,
            the mail that tells people so, or None. A delivery of such a notice makes no other.
        allows: whether a recipient may be mailed now; asked before each attempt. To others nothing is sent.
        run_ids: the runs whose mails are sent; None: all.
        hastening: what was put off is tried at once where the check of a start finds all well: what was in the way
            may have been mended for it.
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
        notice: Callable[[Mail, Sequence[Delivery]], Mail | None] = _no_notice,
        allows: Callable[[str], bool] = _everybody,
        run_ids: Collection[str] | None = None,
        hastening: bool = False,
    ) -> None:
        self._store = store
        self._transport = transport
        self._clock = clock
        self._random = random
        self._context = context
        self._notice = notice
        self._allows = allows
        self._run_ids = run_ids
        self._hastening = hastening
        self._trouble = TroubleLog()
        self._recording = Recording(store, self._trouble, on_result=on_result, context=context)
        self._limit = _BATCH
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._giving_up = threading.Event()
        self._draining = threading.Lock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to send, in a thread of its own, which first tells the log whether mails can leave at all."""
        self._thread = threading.Thread(target=self._loop, name="outbox", daemon=True)
        begin(self._thread)

    def wake(self) -> None:
        """Look at once: a run has just made a mail."""
        self._woken.set()

    def close(self, timeout: float, *, break_off: Callable[[], bool] = _never) -> int:
        """Send what is due now, and end.

        After `timeout` seconds no other mail begins. The one that is under way then is waited for, as long as the
        transport lets it take: what the server has taken must be on record, or it is sent again.

        Args:
            break_off: asked again and again; once it says so, no mail has longer than `timeout`.

        Returns:
            How many deliveries are still open; they go on when an outbox is started again.
        """
        self._closing.set()
        self._woken.set()
        deadline = time.monotonic() + timeout
        while self._thread is not None and self._thread.is_alive():
            if break_off() or time.monotonic() >= deadline:
                break
            self._thread.join(_LOOK_SECONDS)
        self._giving_up.set()
        self._wait_for_mail(lambda: break_off() and time.monotonic() >= deadline)
        try:
            return self._store.open_deliveries()
        except Exception:
            log.exception("The open deliveries cannot be counted")
            return self._recording.count

    def _wait_for_mail(self, break_off: Callable[[], bool]) -> None:
        """Wait for the mail that is under way; no other begins any more."""
        if self._draining.locked():
            log.info("Waiting for the mail that is being sent; a second stop breaks it off")
        while self._draining.locked() and not break_off():
            time.sleep(_LOOK_SECONDS)

    def drain_once(self, enough: Callable[[], bool] = _never) -> int:
        """Send everything that is due, and return when nothing is.

        Args:
            enough: asked before each mail; once it says so, no other begins.

        Returns:
            How many attempts were recorded.

        Raises:
            Exception: what the store raises when it cannot be read, or cannot take the mark before an attempt.
        """
        recorded = 0
        with self._draining:
            try:
                while not (self._giving_up.is_set() or enough()):
                    recorded += self._recording.record()
                    due = () if self._recording.count else self._due()
                    if not due:
                        break
                    for mail, deliveries in _by_mail(due):
                        if self._giving_up.is_set() or self._recording.count or enough():
                            break
                        recorded += self._deliver(mail, deliveries)
            finally:
                self._transport.close()
        return recorded

    def _loop(self) -> None:
        self._check()
        while True:
            closing = self._closing.is_set()
            self._woken.clear()
            try:
                self.drain_once()
                wait = self._seconds_to_next()
                if not self._recording.count:
                    self._trouble.passed()
            except Exception as error:  # noqa: BLE001 - a store that is away must not end the mails for good
                self._trouble.tell("The outbox cannot go on for now", error)
                wait = _AFTER_TROUBLE_SECONDS
            if closing:
                return
            if not self._closing.is_set():
                self._woken.wait(wait)

    def _check(self) -> None:
        if self._closing.is_set():
            return
        try:
            trouble = self._transport.check()
        except Exception as error:
            log.exception("The check of the mails met something unforeseen")
            trouble = f"internal error: {type(error).__name__}"
        if trouble:
            log.error("Mails cannot leave: %s. They stay in the database, and are tried again", trouble)
        else:
            log.info("Checked: mails are %s", self._transport.describe())
            if self._hastening:
                self._hasten()

    def _hasten(self) -> None:
        try:
            count = self._store.hasten_deliveries(self._clock())
        except Exception as error:  # noqa: BLE001 - as in `_loop`
            self._trouble.tell("Mails that were put off wait for their time", error)
            return
        if count:
            log.info("Tried now, as the server can be reached: %s put off before", counted(count, "mail"))

    def _seconds_to_next(self) -> float:
        if self._recording.count:
            return _AFTER_TROUBLE_SECONDS
        moment = self._store.next_delivery_time()
        if moment is None:
            return _LONGEST_WAIT_SECONDS
        return min(_LONGEST_WAIT_SECONDS, max(0.05, (moment - self._clock()).total_seconds()))

    def _due(self) -> Sequence[tuple[Delivery, Mail]]:
        now = self._clock()
        due = self._store.due_deliveries(now, self._limit, self._run_ids)
        if not due:
            moment = self._store.next_delivery_time()
            if moment is not None and is_out_of_reach(moment, now=now):
                # The clock was set back, and nobody shall wait until it is where it was.
                due = self._store.due_deliveries(moment, self._limit, self._run_ids)
        if due:
            # Several deliveries of a batch may be of one mail, which is there once.
            size = sum(len(mail.message) for mail, _ in _by_mail(due))
            self._limit = max(1, min(_BATCH, _BATCH_BYTES * len(due) // max(1, size)))
        return due

    def _deliver(self, mail: Mail, deliveries: Sequence[Delivery]) -> int:
        with self._context(deliveries[0].job_name, mail.run_id):
            fresh = [one for one in deliveries if one.began_at is None and self._allows(one.recipient)]
            now = self._clock()
            if mail.hold_ambiguous and fresh:
                self._store.begin_attempt([delivery.delivery_id for delivery in fresh], now)
            # Made due by a person: what the outbox itself puts off is deferred.
            asked = any(one.state is DeliveryState.PENDING and one.attempts for one in fresh)
            results = self._send(mail, [one.recipient for one in fresh], asked=asked) if fresh else {}
            now = self._clock()
            judged = [self._judged(delivery, mail, results, now) for delivery in deliveries]
            pairs = tuple(zip(deliveries, judged, strict=True))
            self._recording.add(pairs, self._notice_of(mail, pairs))
        return self._recording.record()

    def _judged(
        self, delivery: Delivery, mail: Mail, results: dict[str, SendResult], now: datetime
    ) -> DeliveryAttempt:
        if delivery.began_at is not None:
            return held(delivery, "the service ended before the server had answered", now=now)
        result = results.get(delivery.recipient)
        if result is None:
            return forbidden(delivery, now=now)
        return judge(delivery, mail, result, now=now, fraction=self._random())

    def _send(self, mail: Mail, recipients: list[str], *, asked: bool) -> dict[str, SendResult]:
        began = time.monotonic()
        try:
            results = self._transport.send(mail, recipients, asked=asked)
        except Exception as error:
            log.exception("The mail %r met something unforeseen", mail.subject)
            unforeseen = f"internal error: {type(error).__name__}"
            results = dict.fromkeys(
                recipients, SendResult(state=DeliveryState.DEFERRED, error=unforeseen, ambiguous=True)
            )
        log.debug("Mail %s took %.2f s", mail.message_id, time.monotonic() - began)
        missing = SendResult(state=DeliveryState.DEFERRED, error="no result for this recipient", ambiguous=True)
        return {recipient: results.get(recipient, missing) for recipient in recipients}

    def _notice_of(self, mail: Mail, pairs: Sequence[Attempted]) -> Mail | None:
        """The mail that tells people for whom this one came to nothing; None where there is nobody."""
        nothing = [ended(delivery, attempt) for delivery, attempt in pairs if attempt.result.state in NOTHING]
        for delivery in nothing:
            log.error("Mail to %s is %s: %s", delivery.recipient, delivery.state, delivery.error)
        if not nothing or mail.kind is MailKind.UNDELIVERED:
            # A notice of a notice would go on for ever.
            return None
        try:
            return self._notice(mail, nothing)
        except Exception:
            log.exception("Nobody can be told that the mail %r came to nothing", mail.subject)
            return None


def _by_mail(pairs: Sequence[tuple[Delivery, Mail]]) -> list[tuple[Mail, list[Delivery]]]:
    """The deliveries of each mail, in order of their first. Two mails may have one Message-ID."""
    groups: dict[int, tuple[Mail, list[Delivery]]] = {}
    for delivery, mail in pairs:
        groups.setdefault(id(mail), (mail, []))[1].append(delivery)
    return list(groups.values())
