"""The seam between the outbox and whatever takes a mail away."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from runner.core.delivery import Mail, SendResult


class Transport(Protocol):
    """Takes mails away: an SMTP server, a folder."""

    def send(self, mail: Mail, recipients: Sequence[str], *, asked: bool = False) -> Mapping[str, SendResult]:
        """Hand a mail over for some of its recipients; `asked` where a person wants that now.

        Never raises for what a server, a network or a disk does: each recipient gets a result of its own, sent,
        deferred or dead. A deferred one is `ambiguous` where the mail may have been taken nevertheless.
        """
        ...

    def check(self) -> str:
        """Whether mails can leave, tried for real but without a mail; it may take some seconds.

        Returns:
            What is wrong and what to do, in one line; empty where all is well. Never raises.
        """
        ...

    def describe(self) -> str:
        """Where mails go, in words that follow “Mails:”."""
        ...

    def close(self) -> None:
        """Let go of what a burst of mails kept open. The next `send` opens it again."""
        ...
