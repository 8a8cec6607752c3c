"""A Mail and the Deliveries it is made of."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class MailKind(StrEnum):
    """What a mail tells."""

    RESULTS = "results"
    FAILURE = "failure"
    CHECKS = "checks"
    RECOVERY = "recovery"
    UNDELIVERED = "undelivered"


class DeliveryState(StrEnum):
    """Where a delivery stands: `deferred` is tried again, `dead` is not, `held` waits for a person's word."""

    PENDING = "pending"
    SENT = "sent"
    DEFERRED = "deferred"
    DEAD = "dead"
    HELD = "held"

    @property
    def open(self) -> bool:
        """True while there is something left to do."""
        return self in {DeliveryState.PENDING, DeliveryState.DEFERRED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Mail:
    """One composed message. `message` is the MIME bytes, CRLF line ends; `message_id` has its angle brackets.

    `hold_ambiguous` says that it is held, not sent again, where nobody knows whether the server took it. `notify`
    are those who are told when it comes to nothing, whatever has become of the job by then.
    """

    run_id: str
    kind: MailKind
    message_id: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    message: bytes
    hold_ambiguous: bool = False
    notify: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One mail to one recipient. `delivery_id` is the store's; times are aware UTC.

    `subject` is that of the mail, `scheduled_time` that of its run. `attempts` counts all that were made.
    `created_at` is when it was first due, or when a person put it up again: it is given up some days after that.
    `began_at` is set while an attempt is under way, for mails that are held where it ends without an answer.
    `kept_as` is the path of the file that stands for one that was sent where no server was set; empty for others.
    """

    delivery_id: int
    run_id: str
    job_name: str
    kind: MailKind
    recipient: str
    message_id: str
    subject: str = ""
    scheduled_time: datetime | None = None
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    created_at: datetime
    next_attempt_at: datetime | None = None
    began_at: datetime | None = None
    sent_at: datetime | None = None
    error: str = ""
    kept_as: str = ""

    @property
    def word(self) -> str:
        """Where it stands as people read it: the state, or `kept` where nobody was mailed."""
        return "kept" if self.kept_as else str(self.state)


@dataclass(frozen=True, kw_only=True, slots=True)
class SendResult:
    """What became of one attempt to hand a mail to the server for one recipient.

    `state` is sent, deferred, dead or held; `error` is the server's answer, or what went wrong, empty when sent.
    `ambiguous` says of a deferred one that the server may have taken the mail: it broke off after the content.
    `kept_as` is the file that was written in place of it, where no server is set.
    """

    state: DeliveryState
    error: str = ""
    ambiguous: bool = False
    kept_as: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryAttempt:
    """What is to be recorded of one attempt. `next_attempt_at` is given exactly where it is deferred.

    `notice` is the mail that tells people that this delivery came to nothing, and others of its mail beside it: of
    these only one has it.
    """

    delivery_id: int
    result: SendResult
    at: datetime
    next_attempt_at: datetime | None = None
    notice: Mail | None = None
