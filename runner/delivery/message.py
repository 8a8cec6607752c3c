"""A Letter → the MIME message that is sent."""

import hashlib
import re
from dataclasses import dataclass, replace
from datetime import datetime
from email.header import Header, decode_header
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime
from typing import Any

from runner.core.delivery import Mail, MailKind
from runner.delivery.addresses import each_once, header_recipients, header_sender, sender_address
from runner.delivery.attachment import Attachment
from runner.delivery.content import Content
from runner.delivery.html import render_html
from runner.delivery.picture import Picture
from runner.delivery.text import render_text
from runner.delivery.words import one_line

_LONG_WORD = 70
# RFC 5322, section 2.1.1: what a line may have at most. 78 is what it should have.
_LONGEST_LINE = 998
# RFC 2047, section 2.
_LONGEST_ENCODED = 75
_ENCODED_WORD = re.compile(rb"=\?[^?\s]+\?[bq]\?[^?\s]*\?=")
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9._-]+")
_FROM = re.compile(rb"(?im)^From:.*\r\n(?:[ \t].*\r\n)*")


class _WholeWords(EmailPolicy):
    """Folds headers as its base does, but leaves a word whole that is too long for a line.

    The base writes such a word as an encoded one, and with it the comma behind a long address: then it is an
    address, a Message-ID or a Content-ID no more (RFC 2047, section 5). Encoded words that are too long, as in a
    longer line, are split; in lines of 78 the base writes some of 76.
    """

    def fold_binary(self, name: str, value: Any) -> bytes:
        words = str(value).split()
        folded = super().fold_binary(name, value)
        whole = not any(len(word) > _LONG_WORD and word.isascii() for word in words)
        if whole and all(len(word) <= _LONGEST_ENCODED for word in _ENCODED_WORD.findall(folded)):
            return folded
        folded = EmailPolicy.fold_binary(self.clone(max_line_length=_LONGEST_LINE), name, value)
        return _ENCODED_WORD.sub(_split_word, folded)


def _split_word(encoded: re.Match[bytes]) -> bytes:
    """An encoded word as several that are short enough, one a line; no character of it is torn."""
    if len(encoded[0]) <= _LONGEST_ENCODED:
        return encoded[0]
    ((content, charset),) = decode_header(encoded[0].decode("ascii"))
    split = Header(content, charset, maxlinelen=_LONGEST_ENCODED)
    return split.encode(linesep=SMTP.linesep).encode("ascii")


# Seven-bit content passes every server, whether or not it offers 8BITMIME.
_POLICY = _WholeWords(linesep=SMTP.linesep, cte_type="7bit")


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """What makes a mail: to whom, from whom, about which run, and its content.

    `identity` is what stands before the @ of its Message-ID, `domain` what stands after it. `notify` are those who
    are told when it comes to nothing.
    """

    run_id: str
    job_name: str
    kind: MailKind
    identity: str
    domain: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    moment: datetime
    content: Content
    file: Attachment | None = None
    hold_ambiguous: bool = False
    notify: tuple[str, ...] = ()


def build_mail(letter: Letter) -> Mail:
    """The mail of a letter. The same letter makes the same bytes: no clock and no randomness is asked.

    Every mail of a job answers one that was never sent: `<{job_name}.job@{domain}>`. Mail programs that follow
    References (RFC 5322, section 3.6.4) show them as one thread.
    """
    title = one_line(letter.subject)
    recipients = each_once(letter.recipients)
    message_id = _message_id(letter.identity, letter.domain)
    thread = _message_id(f"{letter.job_name}.job", letter.domain)

    message = EmailMessage(policy=_POLICY)
    message["From"] = header_sender(letter.sender)
    message["To"] = header_recipients(recipients)
    message["Subject"] = title
    message["Date"] = format_datetime(letter.moment.replace(microsecond=0))
    message["Message-ID"] = message_id
    message["In-Reply-To"] = thread
    message["References"] = thread
    message["Auto-Submitted"] = "auto-generated"
    message["X-Runner-Job"] = one_line(letter.job_name)
    message["X-Runner-Run-Id"] = one_line(letter.run_id)
    message.set_content(render_text(letter.content))
    picture_id = _message_id(f"chart.{letter.identity}", letter.domain)
    html = render_html(letter.content, subject=title, picture_id=picture_id[1:-1])
    message.add_alternative(html, subtype="html")
    if letter.content.picture is not None:
        _add_picture(message, letter.content.picture, picture_id)
    if letter.file is not None:
        _add_file(message, letter.file)
    _set_boundaries(message)
    return Mail(
        run_id=letter.run_id,
        kind=letter.kind,
        message_id=message_id,
        sender=sender_address(letter.sender),
        recipients=recipients,
        subject=title,
        message=message.as_bytes(),
        hold_ambiguous=letter.hold_ambiguous,
        notify=letter.notify,
    )


def with_sender(mail: Mail, sender: str) -> Mail:
    """The mail from this sender; the very same where it is from that address."""
    address = sender_address(sender)
    if mail.sender == address:
        return mail
    head, end, body = mail.message.partition(b"\r\n\r\n")
    header = EmailMessage(policy=_POLICY)
    header["From"] = header_sender(sender)
    line = header.as_bytes().removesuffix(b"\r\n")
    head = _FROM.sub(lambda _: line, head + b"\r\n", count=1)
    return replace(mail, sender=address, message=head.removesuffix(b"\r\n") + end + body)


def _message_id(left: str, domain: str) -> str:
    """A msg-id (RFC 5322, section 3.6.4), whatever the texts hold."""
    return f"<{_dot_atom(left) or 'runner'}@{_dot_atom(domain) or 'localhost'}>"


def _dot_atom(text: str) -> str:
    return ".".join(part for part in _NOT_IN_ID.sub("", text).split(".") if part)


def _add_file(message: EmailMessage, file: Attachment) -> None:
    message.add_attachment(
        file.content,
        maintype=file.maintype,
        subtype=file.subtype,
        filename=one_line(file.name),
        params={"charset": "utf-8"} if file.maintype == "text" else None,
    )


def _add_picture(message: EmailMessage, picture: Picture, content_id: str) -> None:
    """Beside the HTML part that shows it (RFC 2387)."""
    html = message.get_body(("html",))
    assert isinstance(html, EmailMessage)
    html.add_related(
        picture.content, "image", "png", cid=content_id, filename=one_line(picture.name), disposition="inline"
    )
    html.set_param("type", "text/html")


def _set_boundaries(message: EmailMessage) -> None:
    """Boundaries from the content: the library's are random, and a text cannot hold its own digest."""
    digest = hashlib.sha256(str(message["Message-ID"]).encode("utf-8"))
    for part in message.walk():
        if not part.is_multipart():
            digest.update(str(part.get_payload()).encode("utf-8", "surrogateescape"))
    for number, part in enumerate(part for part in message.walk() if part.is_multipart()):
        part.set_boundary(f"=_{number}_{digest.hexdigest()[:40]}")
