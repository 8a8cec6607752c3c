"""The seam between the outbox and whatever takes a mail away."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from runner.core.delivery import Mail, SendResult


class Transport(Protocol):
    """Takes mails away: an SMTP server, a folder."""

    def send(self, mail: Mail, recipients: Sequence[str]) -> Mapping[str, SendResult]:
        """Hand a mail over for some of its recipients.

        Never raises for what a server, a network or a disk does: each recipient gets a result of its own, sent,
        deferred or dead.
        """
        ...

    def describe(self) -> str:
        """Where mails go, in words that follow “Mails:”."""
        ...

    def close(self) -> None:
        """Let go of what a burst of mails kept open. The next `send` opens it again."""
        ...
