"""The mails of the service: composed by `runner.delivery`, from the sender that the settings name."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from runner.core.delivery import Delivery, Mail
from runner.core.job import Job
from runner.core.report import Report
from runner.delivery.addresses import sender_address
from runner.delivery.attachment import Attached
from runner.delivery.compose import compose, compose_checks, compose_recovery, compose_undelivered


class Composer:
    """Composes every mail that leaves. Safe to use from several threads.

    Args:
        sender: an address, or `Name <address>`; its domain stands in every Message-ID.
    """

    def __init__(self, sender: str) -> None:
        self._sender = sender
        self._domain = sender_address(sender).rpartition("@")[2] or "localhost"

    def of_run(self, report: Report, attached: Attached | None = None) -> Mail:
        """The mail on a run: its result with what is attached, or its failure."""
        return compose(report, attached=attached, sender=self._sender, message_domain=self._domain)

    def words_size(self, report: Report) -> int:
        """How many bytes the mail with the result of a run takes without its files: the preview may be large."""
        bare = Attached(attachment=None, sentence="")
        return len(self.of_run(replace(report, chart=None), bare).message)

    def of_checks(self, report: Report, recipients: tuple[str, ...]) -> Mail:
        """The mail that tells these people which checks do not hold, of a run that succeeded all the same."""
        return compose_checks(report, recipients=recipients, sender=self._sender, message_domain=self._domain)

    def of_recovery(self, report: Report, recipients: tuple[str, ...]) -> Mail:
        """The mail that tells these people that the job works again."""
        return compose_recovery(report, recipients=recipients, sender=self._sender, message_domain=self._domain)

    def of_undelivered(
        self,
        mail: Mail,
        ended: Sequence[Delivery],
        *,
        job: Job | None,
        at: datetime,
        failed_before: Sequence[Delivery] = (),
    ) -> Mail | None:
        """The mail that tells people of one that came to nothing; None where nobody is left to be told."""
        return compose_undelivered(
            mail,
            ended,
            job=job,
            sender=self._sender,
            message_domain=self._domain,
            at=at,
            failed_before=failed_before,
        )
