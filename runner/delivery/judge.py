"""What becomes of a delivery after an attempt: sent, tried again, dead, or held for a person's word."""

from dataclasses import replace
from datetime import datetime

from runner.core.delivery import Delivery, DeliveryAttempt, DeliveryState, Mail, SendResult
from runner.delivery.refusal import FORBIDDEN
from runner.delivery.retry import GIVE_UP_AFTER, next_attempt


def judge(
    delivery: Delivery, mail: Mail, result: SendResult, *, now: datetime, fraction: float
) -> DeliveryAttempt:
    """What is to be recorded of an attempt.

    A deferred delivery is tried again until it is given up. One that the server may have taken is tried again too,
    under its old Message-ID, or held where its mail says so.

    Args:
        fraction: a random number, 0 to 1, for the jitter.
    """
    if result.state is not DeliveryState.DEFERRED:
        return DeliveryAttempt(delivery_id=delivery.delivery_id, result=result, at=now)
    if result.ambiguous and mail.hold_ambiguous:
        return held(delivery, result.error, now=now)
    again = next_attempt(
        attempts=delivery.attempts + 1, created_at=delivery.created_at, now=now, fraction=fraction
    )
    if again is None:
        error = f"given up after {GIVE_UP_AFTER.days} days: {result.error}"
        result = SendResult(state=DeliveryState.DEAD, error=error, ambiguous=result.ambiguous)
    return DeliveryAttempt(delivery_id=delivery.delivery_id, result=result, at=now, next_attempt_at=again)


def held(delivery: Delivery, error: str, *, now: datetime) -> DeliveryAttempt:
    """What is to be recorded of an attempt that ended without an answer, for a mail that is held then."""
    words = (
        f"{error}. Nobody knows whether it arrived, so it is held: `runner mail retry {delivery.delivery_id}` "
        "sends it again, `runner mail list` shows it"
    )
    result = SendResult(state=DeliveryState.HELD, error=words, ambiguous=True)
    return DeliveryAttempt(delivery_id=delivery.delivery_id, result=result, at=now)


def forbidden(delivery: Delivery, *, now: datetime) -> DeliveryAttempt:
    """What is to be recorded of a delivery that is not sent: the policy allows its recipient no mail any more."""
    words = (
        f"{FORBIDDEN} {delivery.recipient}: it is not in recipient_domains of _policy.yaml. Once it is, "
        f"`runner mail retry {delivery.delivery_id}` sends this mail"
    )
    result = SendResult(state=DeliveryState.DEAD, error=words)
    return DeliveryAttempt(delivery_id=delivery.delivery_id, result=result, at=now)


def ended(delivery: Delivery, attempt: DeliveryAttempt) -> Delivery:
    """The delivery as it is once the attempt is recorded."""
    state = attempt.result.state
    return replace(
        delivery,
        state=state,
        attempts=delivery.attempts + 1,
        next_attempt_at=attempt.next_attempt_at,
        began_at=None,
        sent_at=attempt.at if state is DeliveryState.SENT else None,
        error=attempt.result.error,
        kept_as=attempt.result.kept_as,
    )
