"""What became of the attempts at a mail: kept until the store has it."""

import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Protocol

from runner.core.delivery import Delivery, DeliveryAttempt, DeliveryState, Mail, SendResult
from runner.errors import RunnerError

log = logging.getLogger(__name__)

NOTHING = frozenset({DeliveryState.DEAD, DeliveryState.HELD})
"""The states of a delivery whose attempt came to nothing, for now or for good."""

# A delivery as it was, and what became of the attempt at it.
Attempted = tuple[Delivery, DeliveryAttempt]


class AttemptStore(Protocol):
    """What the recording needs of the store; everything may raise."""

    def delivery_mail(self, delivery_id: int) -> tuple[Delivery, Mail] | None:
        """The delivery as it is now, with its mail; None where there is none."""
        ...

    def record_attempts(self, attempts: Sequence[DeliveryAttempt]) -> Sequence[Delivery]:
        """Record what became of attempts, and the notices that go with them, all or nothing; clears `began_at`.

        Returns:
            The deliveries as they are now. One that has ended, or is not there, is an error.
        """
        ...


class TroubleLog:
    """What keeps the outbox from going on, told once."""

    def __init__(self) -> None:
        self._told = ""

    def tell(self, what: str, error: Exception) -> None:
        """Once, until it is another one or has passed: it is met again every few seconds."""
        told = f"{what}: {error}"
        if told == self._told:
            return
        self._told = told
        if isinstance(error, RunnerError):
            log.error("%s %s", told, error.hint)
        else:
            log.error("%s", told, exc_info=error)

    def passed(self) -> None:
        """It is told again where it comes back."""
        self._told = ""


class Recording:
    """The attempts of one mail on their way to the store.

    Args:
        on_result, context: as for `Outbox`.
    """

    def __init__(
        self,
        store: AttemptStore,
        trouble: TroubleLog,
        *,
        on_result: Callable[[Delivery, SendResult], None] | None,
        context: Callable[[str, str], AbstractContextManager[object]],
    ) -> None:
        self._store = store
        self._trouble = trouble
        self._on_result = on_result
        self._context = context
        self._waiting: tuple[Attempted, ...] = ()

    @property
    def count(self) -> int:
        """How many attempts wait: while there is one, no other mail may begin."""
        return len(self._waiting)

    def add(self, attempted: Sequence[Attempted], notice: Mail | None) -> None:
        """The attempts of a mail, where none waits, and the notice that is to be made with their record."""
        assert not self._waiting
        self._waiting = _with_notice(attempted, notice)

    def record(self) -> int:
        """Record the attempts that wait; where that fails they wait on.

        Returns:
            How many were recorded.
        """
        while self._waiting:
            delivery = self._waiting[0][0]
            with self._context(delivery.job_name, delivery.run_id):
                try:
                    recorded = self._store.record_attempts([attempt for _, attempt in self._waiting])
                except Exception as error:  # noqa: BLE001 - a store that is away must not end the mails for good
                    self._trouble.tell(
                        f"What became of a mail of run {delivery.run_id} cannot be recorded yet", error
                    )
                    if not self._forget_closed():
                        return 0
                    continue
                results = {attempt.delivery_id: attempt.result for _, attempt in self._waiting}
                self._waiting = ()
                for now in recorded:
                    self._tell(now, results[now.delivery_id])
                return len(results)
        return 0

    def _tell(self, delivery: Delivery, result: SendResult) -> None:
        if self._on_result is not None:
            try:
                self._on_result(delivery, result)
            except Exception:
                log.exception("A listener to deliveries failed")

    def _forget_closed(self) -> bool:
        """Drop what waits of deliveries that take no record any more; False where there is none."""
        try:
            closed = {one.delivery_id for one, _ in self._waiting if self._is_closed(one.delivery_id)}
        except Exception:
            # What could not be recorded is told already.
            log.debug("The store is away", exc_info=True)
            return False
        notice = next((attempt.notice for _, attempt in self._waiting if attempt.notice is not None), None)
        for delivery, attempt in self._waiting:
            if delivery.delivery_id in closed:
                log.warning(
                    "The delivery to %s has ended or is gone; what became of this attempt: %s",
                    delivery.recipient,
                    attempt.result.state,
                )
        rest = tuple(pair for pair in self._waiting if pair[0].delivery_id not in closed)
        self._waiting = _with_notice(rest, notice)
        return bool(closed)

    def _is_closed(self, delivery_id: int) -> bool:
        found = self._store.delivery_mail(delivery_id)
        return found is None or found[0].state in {DeliveryState.SENT, DeliveryState.DEAD}


def _with_notice(attempted: Sequence[Attempted], notice: Mail | None) -> tuple[Attempted, ...]:
    """The attempts, with the notice at the first that came to nothing."""
    first = next((one.delivery_id for one, attempt in attempted if attempt.result.state in NOTHING), None)
    return tuple(
        (delivery, replace(attempt, notice=notice if delivery.delivery_id == first else None))
        for delivery, attempt in attempted
    )
