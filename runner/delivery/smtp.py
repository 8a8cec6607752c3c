"""Mails leave by SMTP: one connection for a burst of mails, and a result for each recipient."""

import contextlib
import logging
import smtplib
import ssl
import threading
import time
from collections.abc import Iterable, Mapping, Sequence

from runner.core.delivery import DeliveryState, Mail, SendResult
from runner.core.masking import forms_of, mask
from runner.core.words import counted
from runner.delivery.addresses import ascii_address
from runner.delivery.connection import IMPLICIT_TLS_PORT, Connection, InsecureServerError, LoginError, server_words
from runner.delivery.faults import opening_fault, sending_fault
from runner.delivery.message import with_sender
from runner.delivery.refusal import Refusal, refusal
from runner.delivery.words import one_line
from runner.errors import SettingsError
from runner.settings import SmtpSettings

log = logging.getLogger(__name__)

_ANSWER_CHARACTERS = 300
_QUIT_SECONDS = 2.0
# What a server may take for its answer to a whole mail: RFC 5321, section 4.5.3.2.6.
_LONGEST_ANSWER = 600.0
_CHECK_SECONDS = 15.0
# Servers shut out who is refused some times in ten minutes, and then say nothing of the password any more. Who
# asks by hand may have mended the account.
_LOGIN_PAUSE = 600.0
_ASKED_PAUSE = 60.0
_DONE, _GOING = 250, 421
_ACCEPTED = frozenset({_DONE, 251})
# The server wants a login or TLS first: a setting to mend, not a mail to give up.
_CONFIGURATION_CODES = frozenset({530, 534, 535, 538})
_FORESEEN = (OSError, smtplib.SMTPException, InsecureServerError, LoginError, ValueError)


class SmtpTransport:
    """A transport to an SMTP server.

    With `use_tls`, STARTTLS, or TLS from the first byte on port 465; certificates are always verified, and a
    server that offers no STARTTLS gets nothing. 5xx answers are dead, but for those that a setting or another day
    mends; everything else that fails is deferred, and ambiguous where it broke off after the end of the content. A
    recipient that is refused keeps its answer. A login that is refused for good is not tried again for ten
    minutes, or for one where a person asks: mails are deferred meanwhile. Errors never hold the password.
    Thread-safe: one mail at a time.

    Args:
        total_timeout: seconds that one mail may take in all, connection included; a large one has more once its
            content is wanted, for lines of 32 kB a second. A server whose answer to a whole mail did not come in
            that time, as while it looks for viruses, has twice as much for the next one, and ten minutes at most:
            who gives up too early there sends the same mail again and again.

    Raises:
        SettingsError: `SMTP_CA_FILE` cannot be used.
    """

    def __init__(self, settings: SmtpSettings, *, total_timeout: float = 60.0) -> None:
        self._settings = settings
        self._total_timeout = total_timeout
        self._context = _tls_context(settings)
        self._connection: Connection | None = None
        self._answer_seconds = 0.0
        self._login_fault = ""
        self._login_refused_at = -_LOGIN_PAUSE
        self._lock = threading.Lock()

    def describe(self) -> str:
        if self._settings.port == IMPLICIT_TLS_PORT:
            how = "TLS"
        else:
            how = "STARTTLS" if self._settings.use_tls else "no encryption"
        return f"sent by {self._server} ({how})"

    def send(self, mail: Mail, recipients: Sequence[str], *, asked: bool = False) -> Mapping[str, SendResult]:
        """Hand the mail to the server for these recipients, over the open connection where there is one.

        From the sender of today: the one that it was made with may have been refused, and mended since.
        """
        if not recipients:
            return {}
        mail = with_sender(mail, self._settings.from_email)
        with self._lock:
            results = self._send(
                mail, tuple(dict.fromkeys(recipients)), pause=_ASKED_PAUSE if asked else _LOGIN_PAUSE
            )
        self._log(mail, results)
        return results

    def check(self) -> str:
        """Connect, encrypt, log in and say goodbye, over a connection of its own, in 15 seconds at most."""
        connection = Connection(self._settings, self._context)
        seconds = min(self._total_timeout, _CHECK_SECONDS)
        try:
            with connection.within(seconds):
                connection.open()
                # Only the goodbye: what has come so far is enough.
                with contextlib.suppress(OSError, smtplib.SMTPException):
                    connection.quit()
        except Exception as error:
            if not isinstance(error, _FORESEEN):
                log.exception("The check of %s met something unforeseen", self._server)
            words = opening_fault(error, server=self._server, seconds=seconds, expired=connection.expired)
            self._pause_logins(error, words)
            return self._safe(words)
        finally:
            connection.close()
        return ""

    def close(self) -> None:
        """Say goodbye to the server."""
        with self._lock:
            if self._connection is not None:
                with contextlib.suppress(OSError, smtplib.SMTPException), self._connection.within(_QUIT_SECONDS):
                    self._connection.quit()
                self._drop()

    @property
    def _server(self) -> str:
        return f"{self._settings.host}:{self._settings.port}"

    def _send(self, mail: Mail, recipients: tuple[str, ...], *, pause: float) -> dict[str, SendResult]:
        """As `send`; a login that was refused for good is not tried again within so many seconds."""
        reused = self._connection is not None
        if not reused and self._login_fault and time.monotonic() < self._login_refused_at + pause:
            fault = SendResult(state=DeliveryState.DEFERRED, error=self._login_fault)
            return dict.fromkeys(recipients, fault)
        connection = self._connection or Connection(self._settings, self._context)
        self._connection = connection
        connection.answer_seconds = self._answer_seconds
        results: dict[str, SendResult] = {}
        try:
            with connection.within(self._total_timeout):
                if not reused:
                    connection.open()
                self._transact(connection, mail, recipients, results)
        except Exception as error:
            if not isinstance(error, _FORESEEN):
                log.exception("The mail %r met something unforeseen", mail.subject)
            result = self._failed(error, connection)
            self._drop()
            unanswered = tuple(recipient for recipient in recipients if recipient not in results)
            if reused and _is_stale(error) and not connection.expired and not connection.content_ended:
                # The server has let the idle connection go; nothing of this mail was taken.
                return results | self._send(mail, unanswered, pause=pause)
            return results | dict.fromkeys(unanswered, result)
        return results

    def _transact(
        self, connection: Connection, mail: Mail, recipients: tuple[str, ...], results: dict[str, SendResult]
    ) -> None:
        """One mail over an open connection (RFC 5321, section 3.3).

        Puts what becomes of each recipient into `results` as soon as that is known: the answers to those that are
        refused stand, whatever becomes of the mail after them.
        """
        connection.content_ended, connection.content_seconds = False, 0
        addresses = self._addresses(connection, recipients, results)
        if not addresses:
            return
        self._begin(connection, mail, addresses)
        accepted: list[str] = []
        for address, people in addresses.items():
            code, answer = connection.rcpt(address)
            if code in _ACCEPTED:
                accepted += people
                continue
            results |= dict.fromkeys(people, self._refused(code, answer))
            if code == _GOING:
                connection.close()
                unasked = SendResult(state=DeliveryState.DEFERRED, error=f"{self._server} hung up first")
                results |= {recipient: unasked for recipient in recipients if recipient not in results}
                return
        if not accepted:
            # Where the server has gone by now, the next mail finds out.
            with contextlib.suppress(smtplib.SMTPServerDisconnected):
                connection.rset()
            return
        code, answer = connection.data(mail.message)
        if code != _DONE:
            raise smtplib.SMTPDataError(code, answer)
        results |= dict.fromkeys(accepted, SendResult(state=DeliveryState.SENT))

    def _addresses(
        self, connection: Connection, recipients: tuple[str, ...], results: dict[str, SendResult]
    ) -> dict[str, list[str]]:
        """Address on the wire → its recipients. Those that only SMTPUTF8 could name are dead without it."""
        international = connection.has_extn("smtputf8")
        addresses: dict[str, list[str]] = {}
        for recipient in recipients:
            address = ascii_address(recipient) or (recipient if international else None)
            if address is None:
                results[recipient] = SendResult(
                    state=DeliveryState.DEAD,
                    error=f"{self._server} takes no address with letters outside ASCII before the @ (no SMTPUTF8)",
                )
            else:
                addresses.setdefault(address, []).append(recipient)
        return addresses

    @staticmethod
    def _begin(connection: Connection, mail: Mail, addresses: Iterable[str]) -> None:
        """Name the sender, and the size for a server that wants to know it before it takes the content."""
        sender = ascii_address(mail.sender) or mail.sender
        needs_utf8 = not all(address.isascii() for address in (sender, *addresses))
        size = (f"SIZE={len(mail.message)}",) if connection.has_extn("size") else ()
        code, answer = connection.mail(sender, (*size, *(("SMTPUTF8", "BODY=8BITMIME") if needs_utf8 else ())))
        if code != _DONE:
            raise smtplib.SMTPSenderRefused(code, answer, sender)

    def _refused(self, code: int, answer: bytes | str, *, at_sender: bool = False) -> SendResult:
        """The result of an answer that is no yes.

        The sender is a setting to mend: given up at once, every mail would be lost, and the word of it too.

        Args:
            at_sender: it came when the sender was named, and the size of the mail with it.
        """
        words = server_words(code, answer)
        if not 500 <= code < 600 or code in _CONFIGURATION_CODES:
            return SendResult(state=DeliveryState.DEFERRED, error=self._safe(words))
        about = refusal(words)
        if about is Refusal.QUOTA:
            # Given up, every mail of the day would be lost, and the word of it too.
            return SendResult(state=DeliveryState.DEFERRED, error=self._safe(words))
        if about is Refusal.SENDER or (at_sender and about is not Refusal.SIZE):
            error = f"{self._safe(words)}; check SMTP_FROM_EMAIL"
            return SendResult(state=DeliveryState.DEFERRED, error=error)
        return SendResult(state=DeliveryState.DEAD, error=self._safe(words))

    def _failed(self, error: Exception, connection: Connection) -> SendResult:
        """The result of an attempt that ended as a whole."""
        if not connection.opened:
            # Said before the mail was named: it is about this connection, so even 5xx is worth another try.
            words = opening_fault(
                error, server=self._server, seconds=self._total_timeout, expired=connection.expired
            )
            self._pause_logins(error, words)
            return SendResult(state=DeliveryState.DEFERRED, error=self._safe(words))
        if isinstance(error, smtplib.SMTPResponseException) and 400 <= error.smtp_code < 600:
            at_sender = isinstance(error, smtplib.SMTPSenderRefused)
            return self._refused(error.smtp_code, error.smtp_error, at_sender=at_sender)
        unsure = connection.content_ended
        seconds = max(self._total_timeout + connection.content_seconds, self._answer_seconds if unsure else 0.0)
        words = sending_fault(error, server=self._server, seconds=seconds, expired=connection.expired)
        if unsure and connection.expired:
            self._answer_seconds = min(_LONGEST_ANSWER, 2 * seconds)
        return SendResult(
            state=DeliveryState.DEFERRED,
            error=self._safe(words) + ("; the server may have taken the mail" if unsure else ""),
            ambiguous=unsure,
        )

    def _pause_logins(self, error: Exception, words: str) -> None:
        if isinstance(error, LoginError) and error.for_good:
            self._login_refused_at = time.monotonic()
            rule = f"until one is accepted, a login is tried once in {_LOGIN_PAUSE / 60:.0f} minutes"
            sooner = "or once a minute by runner mail retry"
            self._login_fault = self._safe(f"{words}; {rule}, {sooner}")

    def _safe(self, text: str) -> str:
        """One line, capped, without the password in any form: as it is sent, and as a server may repeat it."""
        user, password = self._settings.user, self._settings.password.reveal()
        forms = forms_of(password) | forms_of(f"\0{user}\0{password}") if password else ()
        masked = one_line(mask(text, forms))
        return masked if len(masked) <= _ANSWER_CHARACTERS else masked[:_ANSWER_CHARACTERS] + "…"

    def _log(self, mail: Mail, results: Mapping[str, SendResult]) -> None:
        sent = sum(result.state is DeliveryState.SENT for result in results.values())
        if sent:
            log.info("Mail handed to %s for %s: %s", self._server, counted(sent, "recipient"), mail.subject)
        by_answer: dict[SendResult, list[str]] = {}
        for recipient, result in results.items():
            if result.state is not DeliveryState.SENT:
                by_answer.setdefault(result, []).append(one_line(recipient))
        for result, refused in by_answer.items():
            fate = "refused for good" if result.state is DeliveryState.DEAD else "deferred"
            log.error("Mail %s for %s: %s (%s)", fate, ", ".join(refused), result.error, mail.subject)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _tls_context(settings: SmtpSettings) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=str(settings.ca_file) if settings.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"SMTP_CA_FILE={settings.ca_file} cannot be used: {error.strerror or error}",
            hint="Name a PEM file of certificates, or leave it empty for those of the system.",
        ) from error


def _is_stale(error: Exception) -> bool:
    """Whether a used connection failed as one does that the server has closed."""
    if isinstance(error, smtplib.SMTPResponseException):
        return error.smtp_code == _GOING
    return isinstance(error, (smtplib.SMTPServerDisconnected, ConnectionError, ssl.SSLError))
