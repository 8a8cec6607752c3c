"""A Report, or a Delivery that came to nothing → the Mail that tells of it."""

from collections.abc import Sequence
from datetime import datetime

from runner.core.delivery import Delivery, Mail, MailKind
from runner.core.job import Job, OnAmbiguous
from runner.core.report import Report, mail_kind, mail_subject, subject
from runner.core.run import FailureKind
from runner.delivery.addresses import mailbox
from runner.delivery.attachment import Attached, Attachment
from runner.delivery.content import (
    Content,
    checks_content,
    failure_content,
    recovery_content,
    results_content,
)
from runner.delivery.message import Letter, build_mail
from runner.delivery.refusal import Refusal, refusal
from runner.delivery.undelivered import trouble, undelivered_content


def compose(report: Report, *, attached: Attached | None, sender: str, message_domain: str) -> Mail:
    """The mail on a finished run: results to the consumers, a failure to those that the job names for it.

    A result that fits into no mail is a failure that both hear of; one that a check keeps back is a matter of the
    owner. The same report makes the same bytes:
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


def compose_checks(report: Report, *, recipients: Sequence[str], sender: str, message_domain: str) -> Mail:
    """The mail that tells people of failed checks that kept nothing back, with the rows that break them."""
    title = mail_subject(MailKind.CHECKS, report.run.job_name, report.run.scheduled_time, report.job.timezone)
    return _mail_of_run(
        report,
        MailKind.CHECKS,
        checks_content(report),
        tuple(recipients),
        title,
        sender=sender,
        message_domain=message_domain,
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
    mail: Mail,
    ended: Sequence[Delivery],
    *,
    job: Job | None,
    sender: str,
    message_domain: str,
    at: datetime,
    failed_before: Sequence[Delivery] = (),
) -> Mail | None:
    """The mail that tells people of one which is dead, or held, for one or more of its recipients.

    It goes to those whom that mail names for it; where none of these can be reached, to the owner of the job or
    its consumers. Who was to get a result that is too large for the server hears of it too, as of one that is too
    large for any mail.

    Args:
        ended: those deliveries as they are now, their last attempt counted: each end makes a mail of its own.
        job: None where it is no longer there; the times are in UTC then.
        at: when they came to nothing; aware.
        failed_before: deliveries that are dead, or held, for long: their addresses are not told either.

    Returns:
        None where only addresses that failed are left to be told.
    """
    recipients = _reachable(mail, job, (*ended, *failed_before))
    told = {mailbox(one) for one in recipients}
    recipients = (*recipients, *(one for one in _waiting(mail, job, ended) if mailbox(one) not in told))
    if not recipients:
        return None
    first, timezone = ended[0], job.timezone if job else "UTC"
    content = undelivered_content(mail, ended, job_path=job.path if job else "", timezone=timezone)
    return build_mail(
        Letter(
            run_id=mail.run_id,
            job_name=first.job_name,
            kind=MailKind.UNDELIVERED,
            identity=f"{mail.run_id}.{MailKind.UNDELIVERED}-{first.delivery_id}-{first.attempts}",
            domain=message_domain,
            sender=sender,
            recipients=recipients,
            subject=mail_subject(MailKind.UNDELIVERED, first.job_name, at, timezone),
            moment=at,
            content=content,
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
    # The last good version of a job may name people to whom the policy of today allows no mail.
    allowed = job.bounds.allows_recipient
    return build_mail(
        Letter(
            run_id=run.run_id,
            job_name=run.job_name,
            kind=kind,
            identity=f"{run.run_id}.{kind}",
            domain=message_domain,
            sender=sender,
            recipients=tuple(filter(allowed, recipients)),
            subject=title,
            moment=run.finished_at or run.queued_at,
            content=content,
            file=file,
            hold_ambiguous=job.delivery.on_ambiguous is OnAmbiguous.HOLD,
            notify=tuple(filter(allowed, (job.owner,) if job.owner else job.consumer_emails)),
        )
    )


def _failure_recipients(report: Report) -> tuple[str, ...]:
    job, failure = report.job, report.run.failure
    if failure is not None and failure.kind is FailureKind.CHECK:
        return job.check_recipients()
    if failure is not None and failure.kind is FailureKind.ATTACHMENT:
        # Consumers wait for this result, and would take the silence for a fault of the mail.
        return (*job.consumer_emails, *job.failure_recipients())
    return job.failure_recipients()


def _reachable(mail: Mail, job: Job | None, failed: Sequence[Delivery]) -> tuple[str, ...]:
    """Whom to tell, without the addresses that failed, and those that the policy of today allows no mail. One that
    takes no large mail takes this one."""
    lost = {mailbox(one.recipient) for one in failed if refusal(one.error) is not Refusal.SIZE}
    owner = (job.owner,) if job and job.owner else ()
    # Mails of the first version name nobody.
    for people in (mail.notify, owner, job.consumer_emails if job else ()):
        allowed = filter(job.bounds.allows_recipient, people) if job else people
        reachable = tuple(one for one in allowed if mailbox(one) not in lost)
        if reachable:
            return reachable
    return ()


def _waiting(mail: Mail, job: Job | None, ended: Sequence[Delivery]) -> tuple[str, ...]:
    """Who would take the silence for a fault of the mail: those whose server takes no result of this size."""
    too_large = tuple(one.recipient for one in ended if trouble(mail, one) is Refusal.SIZE)
    return tuple(filter(job.bounds.allows_recipient, too_large)) if job else too_large
