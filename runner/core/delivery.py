"""A Mail and the Deliveries it is made of."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class MailKind(StrEnum):
    """What a mail tells."""

    RESULTS = "results"
    FAILURE = "failure"


class DeliveryState(StrEnum):
    """Where a delivery stands: `deferred` is tried again, `dead` is not."""

    PENDING = "pending"
    SENT = "sent"
    DEFERRED = "deferred"
    DEAD = "dead"

    @property
    def open(self) -> bool:
        """True while there is something left to do."""
        return self in {DeliveryState.PENDING, DeliveryState.DEFERRED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mail:
    """One composed message. `message` is the MIME bytes, CRLF line ends; `message_id` has its angle brackets."""

    run_id: str
    kind: MailKind
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    message: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One mail to one recipient. `delivery_id` is the store's; times are aware UTC."""

    delivery_id: int
    run_id: str
    job_name: str
    kind: MailKind
    recipient: str
    message_id: str
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    created_at: datetime
    next_attempt_at: datetime | None = None
    sent_at: datetime | None = None
    error: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SendResult:
    """What became of one attempt to hand a mail to the server for one recipient.

    `state` is sent, deferred or dead; `error` is the server's answer, or what went wrong, empty when sent.
    """

    state: DeliveryState
    error: str = ""
