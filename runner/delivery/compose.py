"""A Report → the Mail that tells of it."""

import hashlib
import re
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from runner.core.delivery import Mail, MailKind
from runner.core.report import Report, mail_kind, subject
from runner.delivery.addresses import header_recipient, header_sender, sender_address
from runner.delivery.attachment import attach
from runner.delivery.content import content_of
from runner.delivery.html import render_html
from runner.delivery.text import render_text
from runner.delivery.words import one_line

# Seven-bit content passes every server, whether or not it offers 8BITMIME.
_POLICY = SMTP.clone(cte_type="7bit")
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9._-]+")


def compose(report: Report, *, sender: str, message_domain: str, kept_at: str | None = None) -> Mail:
    """The mail on a finished run: results to the consumers, a failure to those that the job names for it.

    The same report makes the same bytes: no clock and no randomness is asked. Message-ID and file name come from
    the run, so that a mail that is sent again is the same mail.

    Args:
        sender: an address, `runner@example.com` or `Reports <runner@example.com>`.
        message_domain: what stands after the @ of the Message-ID.
        kept_at: where people find the result when it does not fit into a mail.
    """
    kind = mail_kind(report)
    results = kind is MailKind.RESULTS
    recipients = report.job.consumer_emails if results else report.job.failure_recipients()
    attached = attach(report, kept_at=kept_at) if results else None
    content = content_of(report, attached)
    title = one_line(subject(report))
    domain = _NOT_IN_ID.sub("", message_domain) or "localhost"
    message_id = f"<{_NOT_IN_ID.sub('', report.run.run_id)}.{kind}@{domain}>"

    message = EmailMessage(policy=_POLICY)
    message["From"] = header_sender(sender)
    message["To"] = tuple(header_recipient(recipient) for recipient in recipients)
    message["Subject"] = title
    message["Date"] = format_datetime(_moment(report))
    message["Message-ID"] = message_id
    message["Auto-Submitted"] = "auto-generated"
    message["X-Runner-Job"] = one_line(report.run.job_name)
    message["X-Runner-Run-Id"] = one_line(report.run.run_id)
    message.set_content(render_text(content))
    message.add_alternative(render_html(content, subject=title), subtype="html")
    if attached is not None and attached.attachment is not None:
        file = attached.attachment
        parameters = {"charset": "utf-8"} if file.maintype == "text" else None
        message.add_attachment(
            file.content,
            maintype=file.maintype,
            subtype=file.subtype,
            filename=one_line(file.name),
            params=parameters,
        )
    _set_boundaries(message)
    return Mail(
        run_id=report.run.run_id,
        kind=kind,
        message_id=message_id,
        sender=sender_address(sender),
        recipients=tuple(dict.fromkeys(recipients)),
        subject=title,
        message=message.as_bytes(),
    )


def _moment(report: Report) -> datetime:
    return (report.run.finished_at or report.run.queued_at).replace(microsecond=0)


def _set_boundaries(message: EmailMessage) -> None:
    """Boundaries from the content: the library's are random, and a text cannot hold its own digest."""
    digest = hashlib.sha256(str(message["Message-ID"]).encode("utf-8"))
    for part in message.walk():
        if not part.is_multipart():
            digest.update(str(part.get_payload()).encode("utf-8", "surrogateescape"))
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=_{number}_{digest.hexdigest()[:40]}")
