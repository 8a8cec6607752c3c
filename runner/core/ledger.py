"""The delivery ledger as people see it and change it: values."""

from dataclasses import dataclass
from enum import StrEnum

from runner.core.delivery import Delivery, Mail


@dataclass(frozen=True, kw_only=True, slots=True)
class MailPart:
    """A file in a mail: its name, its type and its size in bytes."""

    name: str
    content_type: str
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerEntry:
    """One delivery with its mail. `text` is what the mail says in plain text; empty where the bytes are let go."""

    delivery: Delivery
    mail: Mail
    text: str = ""
    attachments: tuple[MailPart, ...] = ()


class SentBy(StrEnum):
    """Who sends what is pending again."""

    SERVICE = "service"
    COMMAND = "command"
    NOBODY = "nobody"


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerChange:
    """What became of the deliveries that a person wants changed: those that are, as they are now, and
    (delivery, why not) of the others."""

    changed: tuple[Delivery, ...] = ()
    left_out: tuple[tuple[Delivery, str], ...] = ()
    sent_by: SentBy = SentBy.NOBODY
