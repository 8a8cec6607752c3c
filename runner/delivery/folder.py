"""Keeps mails as `.eml` files: what happens where no SMTP server is set."""

import contextlib
import email.parser
import email.utils
import logging
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC
from email.message import Message
from pathlib import Path

from runner.core.delivery import DeliveryState, Mail, SendResult

log = logging.getLogger(__name__)

_UNSAFE = re.compile(r"[^A-Za-z0-9_-]+")


class MailFolder:
    """A transport into a folder. A mail is one file, for however many recipients and attempts."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def send(self, mail: Mail, recipients: Sequence[str], *, asked: bool = False) -> Mapping[str, SendResult]:  # noqa: ARG002 - the folder is tried always
        """Keep the mail. A disk that does not take it defers the delivery."""
        if not recipients:
            return {}
        try:
            self._keep(mail)
        except OSError as error:
            log.error("The mail %r cannot be kept in %s: %s", mail.subject, self.path, error.strerror)
            result = SendResult(
                state=DeliveryState.DEFERRED, error=f"cannot be kept in {self.path}: {error.strerror}"
            )
            return dict.fromkeys(recipients, result)
        kept_as = str(self.path / file_name(mail))
        return dict.fromkeys(recipients, SendResult(state=DeliveryState.SENT, kept_as=kept_as))

    def check(self) -> str:
        """Whether the folder takes files: one is written there, and removed."""
        probe = self.path / f".check-{os.getpid()}.part"
        try:
            self._make()
            try:
                probe.write_bytes(b"mails are kept here\n" * 1000)
            finally:
                probe.unlink(missing_ok=True)
        except OSError as error:
            return (
                f"{self.path} takes no mails: {error.strerror or error}; make the folder writable and free some "
                "space, or set SMTP_HOST to send them"
            )
        return ""

    def describe(self) -> str:
        return f"kept as .eml files in {self.path}, as SMTP_HOST is not set"

    def close(self) -> None:
        """Nothing is kept open."""

    def _make(self) -> None:
        # The database has these mails too, and nobody else may read it.
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _keep(self, mail: Mail) -> None:
        target = self.path / file_name(mail)
        if target.exists():
            return
        self._make()
        aside = target.with_name(f".{target.name}.part")
        try:
            with open(aside, "wb", opener=_private) as file:
                file.write(mail.message)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(target)
        except OSError:
            # On a full disk it would keep smaller mails out.
            with contextlib.suppress(OSError):
                aside.unlink()
            raise
        folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        log.info("Mail %r kept as %s", mail.subject, target)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def file_name(mail: Mail) -> str:
    """`20251109T140032Z_daily_report_results_{run_id}.eml`: sorts by time, and is the same for the same mail.

    Where a run makes more than one mail of a kind, what tells their Message-IDs apart is at the end.
    """
    headers = email.parser.BytesHeaderParser().parsebytes(mail.message)
    parts = (_stamp(headers), headers.get("X-Runner-Job", "job"), str(mail.kind), mail.run_id)
    number = mail.message_id.rpartition("@")[0].rpartition(str(mail.kind))[2]
    return "_".join(_UNSAFE.sub("-", str(part)) for part in parts) + _UNSAFE.sub("-", number) + ".eml"


def _stamp(headers: Message) -> str:
    moment = email.utils.parsedate_to_datetime(str(headers["Date"]))
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
