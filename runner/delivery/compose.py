"""A Report, or a Delivery that came to nothing → the Mail that tells of it."""

from collections.abc import Sequence
from datetime import datetime

from runner.core.delivery import Delivery, Mail, MailKind
from runner.core.job import Job, OnAmbiguous
from runner.core.report import Report, mail_kind, mail_subject, subject
from runner.core.run import FailureKind
from runner.delivery.attachment import Attached, Attachment
from runner.delivery.content import (
    Content,
    failure_content,
    recovery_content,
    results_content,
    undelivered_content,
)
from runner.delivery.message import Letter, build_mail


def compose(report: Report, *, attached: Attached | None, sender: str, message_domain: str) -> Mail:
    """The mail on a finished run: results to the consumers, a failure to those that the job names for it.

    A result that fits into no mail is a failure that both hear of. The same report makes the same bytes:
    Message-ID and file name come from the run, so that a mail that is sent again is the same mail.

    Args:
        attached: what goes with the results; a failure has nothing attached.
        sender: an address, `runner@example.com` or `Reports <runner@example.com>`.
        message_domain: what stands after the @ of the Message-ID.

    Raises:
        ValueError: results without `attached`: nobody could tell why nothing is attached.
    """
    kind, job = mail_kind(report), report.job
    if kind is MailKind.RESULTS:
        if attached is None:
            raise ValueError("a mail with results says what is attached to it")
        content, file, recipients = results_content(report, attached), attached.attachment, job.consumer_emails
    else:
        content, file, recipients = failure_content(report), None, _failure_recipients(report)
    return _mail_of_run(
        report, kind, content, recipients, subject(report), sender=sender, message_domain=message_domain, file=file
    )


def compose_recovery(report: Report, *, recipients: Sequence[str], sender: str, message_domain: str) -> Mail:
    """The mail that tells people who heard of failures, and get no results, that the job works again."""
    title = mail_subject(MailKind.RECOVERY, report.run.job_name, report.run.scheduled_time, report.job.timezone)
    return _mail_of_run(
        report,
        MailKind.RECOVERY,
        recovery_content(report),
        tuple(recipients),
        title,
        sender=sender,
        message_domain=message_domain,
    )


def compose_undelivered(
    delivery: Delivery,
    *,
    subject: str,
    error: str,
    job: Job,
    sender: str,
    message_domain: str,
    at: datetime,
) -> Mail | None:
    """The mail that tells the owner of a delivery that is dead or held; a job without an owner has its consumers.

    Args:
        delivery: as it is now, its last attempt counted: each end of a delivery makes a mail of its own.
        subject: that of the mail which came to nothing.
        error: the server's answer, or what went wrong.
        at: when that was; aware.

    Returns:
        None where the address that failed is the only one to tell.
    """
    recipients = _without(delivery.recipient, (job.owner,) if job.owner else ())
    recipients = recipients or _without(delivery.recipient, job.consumer_emails)
    if not recipients:
        return None
    return build_mail(
        Letter(
            run_id=delivery.run_id,
            job_name=delivery.job_name,
            kind=MailKind.UNDELIVERED,
            identity=f"{delivery.run_id}.{MailKind.UNDELIVERED}-{delivery.delivery_id}-{delivery.attempts}",
            domain=message_domain,
            sender=sender,
            recipients=recipients,
            subject=mail_subject(MailKind.UNDELIVERED, delivery.job_name, at, job.timezone),
            moment=at,
            content=undelivered_content(delivery, subject=subject, error=error, job=job),
        )
    )


def _mail_of_run(
    report: Report,
    kind: MailKind,
    content: Content,
    recipients: tuple[str, ...],
    title: str,
    *,
    sender: str,
    message_domain: str,
    file: Attachment | None = None,
) -> Mail:
    run, job = report.run, report.job
    return build_mail(
        Letter(
            run_id=run.run_id,
            job_name=run.job_name,
            kind=kind,
            identity=f"{run.run_id}.{kind}",
            domain=message_domain,
            sender=sender,
            recipients=recipients,
            subject=title,
            moment=run.finished_at or run.queued_at,
            content=content,
            file=file,
            hold_ambiguous=job.delivery.on_ambiguous is OnAmbiguous.HOLD,
        )
    )


def _failure_recipients(report: Report) -> tuple[str, ...]:
    job, failure = report.job, report.run.failure
    if failure is not None and failure.kind is FailureKind.ATTACHMENT:
        # Consumers wait for this result, and would take the silence for a fault of the mail.
        return (*job.consumer_emails, *job.failure_recipients())
    return job.failure_recipients()


def _without(address: str, addresses: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in addresses if one.casefold() != address.casefold())
