"""One SMTP connection: opened, encrypted, logged in, and never slower than its deadline."""

import base64
import contextlib
import ipaddress
import re
import smtplib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from typing import Any

from runner.connecting import connect_first
from runner.settings import SmtpSettings

IMPLICIT_TLS_PORT = 465
# Those of smtplib.
_KNOWN_METHODS = frozenset({"CRAM-MD5", "LOGIN", "PLAIN"})
_LEADING_DOT = re.compile(rb"(?m)^\.")
# Many servers refuse to talk to a name such as `my_app.internal`.
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(\.(?!-)[A-Za-z0-9-]{1,63})+")
_CODE = re.compile(rb"[0-9]{3}")
# Of what a server says so much is kept: RFC 5321, section 4.5.3.1.5, lets a line have 512 bytes.
_LINE_BYTES = 8192
_ANSWER_BYTES = 65_536
# Bytes per second of a line so slow that a mail of 10 MB takes five minutes.
_SLOWEST_LINE = 32_000
# The end of a content is a packet of its own: it shall not wait for the answer to the one before.
_OPTIONS = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)


class InsecureServerError(Exception):
    """The connection would not be as safe as the settings ask for. The text says why and what to do."""


class LoginError(Exception):
    """The server did not accept user and password. The text is the server's answer; `for_good` says that it would
    be the same the next time."""

    def __init__(self, text: str, *, for_good: bool = False) -> None:
        super().__init__(text)
        self.for_good = for_good


class NoAnswerError(smtplib.SMTPException):
    """What the server said is no answer in SMTP. The text is what it said."""


class Connection(smtplib.SMTP):
    """An SMTP connection whose every step ends at a deadline.

    smtplib's time-out is per read, which a server that dribbles defeats. So while `within` is active a timer shuts
    the socket down when the time is over, through a duplicate of it: TLS takes the descriptor away from the first.

    `opened` says that the server is ready for mails. `content_ended` says that the last bytes of the current mail
    were on their way: what breaks off then may have arrived. Before that the server has no whole mail, and must
    not deliver what it has (RFC 5321, section 4.1.1.4). `content_seconds` are what it has beside the deadline
    once its content is wanted: a part of it waits in the kernel even when the end is on its way. `answer_seconds`
    are what the answer to a whole mail may take, where that is more than what is left then.
    """

    def __init__(self, settings: SmtpSettings, context: ssl.SSLContext) -> None:
        self._settings = settings
        self._context = context
        self._watched: socket.socket | None = None
        self._lock = threading.Lock()
        self._end = 0.0
        self._expired = False
        self._timer: threading.Timer | None = None
        self.answer_seconds = 0.0
        self.content_seconds = 0
        self.opened = False
        self.content_ended = False
        super().__init__(local_hostname=_own_name())
        # What smtplib verifies certificates against; it sets this only where it connects at once.
        self._host = settings.host

    @contextlib.contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Bound what happens inside to a total time; past it, reads and writes fail and `expired` is True."""
        self._expired = False
        self.timeout = seconds
        self._allow(seconds)
        try:
            yield
        finally:
            self._stop_timer()

    @property
    def expired(self) -> bool:
        """True when the time of `within` is over: the timer said so, or a read waited for all of it."""
        return self._expired or time.monotonic() >= self._end

    def open(self) -> None:
        """Connect, encrypt as the settings ask for, and log in.

        Raises:
            InsecureServerError: the server offers no STARTTLS, or the password would be sent in the clear.
            LoginError: user and password are not accepted.
            OSError, smtplib.SMTPException: the network, the certificate or the server.
        """
        code, answer = self.connect(self._settings.host, self._settings.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, answer)
        self.ehlo_or_helo_if_needed()
        if self._settings.use_tls and not self._implicit_tls:
            self._start_tls()
        if self._settings.user:
            self._log_in()
        self.opened = True

    def ehlo(self, name: str = "") -> tuple[int, bytes]:
        """As the base's; a server that goes away says why, and would not hear the HELO that comes next."""
        code, answer = super().ehlo(name)
        if code == 421:
            raise smtplib.SMTPHeloError(code, answer)
        return code, answer

    def getreply(self) -> tuple[int, bytes]:
        """As the base's, to which a very long line is a 500, as if the server had refused the mail.

        Raises:
            NoAnswerError: it does not begin with a code.
            smtplib.SMTPServerDisconnected: the connection ended before.
        """
        said: list[bytes] = []
        room = _ANSWER_BYTES
        while True:
            line = self._line()
            if not _CODE.match(line):
                self.close()
                raise NoAnswerError(line.decode("utf-8", "replace").strip() or "an empty line")
            if room > 0:
                said.append(line[4:].strip(b" \t\r\n"))
                room -= len(line)
            if line[3:4] != b"-":
                return int(line[:3]), b"\n".join(said)

    def data(self, msg: Any) -> tuple[int, bytes]:
        """As the base's, for bytes, with the end of the content apart from the rest."""
        self.putcmd("data")
        code, answer = self.getreply()
        if code != 354:
            raise smtplib.SMTPDataError(code, answer)
        self.content_seconds = len(msg) // _SLOWEST_LINE
        if self.content_seconds:
            self._allow(max(0.0, self._end - time.monotonic()) + self.content_seconds)
        content: bytes = _LEADING_DOT.sub(b"..", msg)
        self.send(content if content.endswith(b"\r\n") else content + b"\r\n")
        self.content_ended = True
        self.send(b".\r\n")
        if self.answer_seconds > self._end - time.monotonic():
            self._allow(self.answer_seconds)
        return self.getreply()

    def close(self) -> None:
        super().close()
        with self._lock:
            if self._watched is not None:
                self._watched.close()
                self._watched = None

    @property
    def _implicit_tls(self) -> bool:
        return self._settings.port == IMPLICIT_TLS_PORT

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:  # noqa: ARG002 - the base's
        """Called by smtplib to connect."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        if time.monotonic() >= self._end:
            # Nothing can break a look-up off.
            raise socket.gaierror(socket.EAI_AGAIN, "the name service took all the time")
        connected = connect_first(found, lambda: self._end - time.monotonic(), _OPTIONS)
        with self._lock:
            self._watched = connected.dup()
        if self._implicit_tls:
            return self._context.wrap_socket(connected, server_hostname=host)
        return connected

    def _line(self) -> bytes:
        """The next line of the server, of a very long one the beginning."""
        if self.sock is None:
            raise smtplib.SMTPServerDisconnected("not connected")
        if self.file is None:
            self.file = self.sock.makefile("rb")
        try:
            line: bytes = self.file.readline(_LINE_BYTES)
            rest = line
            while len(rest) == _LINE_BYTES and not rest.endswith(b"\n"):
                rest = self.file.readline(_LINE_BYTES)
        except OSError as error:
            self.close()
            raise smtplib.SMTPServerDisconnected(f"Connection unexpectedly closed: {error}") from error
        if not line:
            self.close()
            raise smtplib.SMTPServerDisconnected("Connection unexpectedly closed")
        return line

    def _start_tls(self) -> None:
        if not self.has_extn("starttls"):
            raise InsecureServerError(
                "the server offers no STARTTLS, and the mail is not sent in the clear; "
                "use a port with TLS, or SMTP_USE_TLS=false on a network you trust"
            )
        self.starttls(context=self._context)
        self.ehlo_or_helo_if_needed()

    def _log_in(self) -> None:
        user, password = self._settings.user, self._settings.password.reveal()
        if not isinstance(self.sock, ssl.SSLSocket) and not self._peer_is_this_machine():
            raise InsecureServerError(
                "the password is not sent without TLS; set SMTP_USE_TLS=true, or no SMTP_USER"
            )
        offered = self._login_methods
        if offered and not _KNOWN_METHODS.intersection(offered):
            known = ", ".join(sorted(_KNOWN_METHODS))
            raise LoginError(f"to log in it offers {', '.join(offered)} alone, and runner knows {known}")
        try:
            if user.isascii() and password.isascii():
                self.login(user, password)
            else:
                self._log_in_utf8(user, password)
        except smtplib.SMTPAuthenticationError as error:
            answer = server_words(error.smtp_code, error.smtp_error)
            if 400 <= error.smtp_code < 500:
                raise LoginError(answer) from None
            raise LoginError(f"{answer}; check SMTP_USER and SMTP_PASSWORD", for_good=True) from None
        except smtplib.SMTPNotSupportedError:
            raise LoginError("it offers no way to log in; set no SMTP_USER if it needs none") from None
        except (smtplib.SMTPServerDisconnected, NoAnswerError):
            raise
        except smtplib.SMTPException as error:
            raise LoginError(str(error)) from None

    @property
    def _login_methods(self) -> list[str]:
        return str(self.esmtp_features.get("auth", "")).upper().split()

    def _log_in_utf8(self, user: str, password: str) -> None:
        """AUTH PLAIN in UTF-8 (RFC 4616), which smtplib cannot send; AUTH LOGIN where that alone is offered."""
        if "LOGIN" in self._login_methods and "PLAIN" not in self._login_methods:
            code, answer = self.docmd("AUTH", f"LOGIN {_in_base64(user)}")
            if code == 334:
                code, answer = self.docmd(_in_base64(password))
        else:
            plain = f"\0{user}\0{password}"
            code, answer = self.docmd("AUTH", f"PLAIN {_in_base64(plain)}")
        if code not in {235, 503}:
            raise smtplib.SMTPAuthenticationError(code, answer)

    def _peer_is_this_machine(self) -> bool:
        if self.sock is None:
            return False
        return ipaddress.ip_address(self.sock.getpeername()[0].partition("%")[0]).is_loopback

    def _allow(self, seconds: float) -> None:
        """From now on so much time is left."""
        self._stop_timer()
        self._end = time.monotonic() + seconds
        if self.sock is not None:
            self.sock.settimeout(seconds)
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _expire(self) -> None:
        self._expired = True
        with self._lock:
            if self._watched is not None:
                # The other side may have been faster.
                with contextlib.suppress(OSError):
                    self._watched.shutdown(socket.SHUT_RDWR)


def _own_name() -> str:
    # Not getfqdn: a name server that is away would hold the mail for many seconds.
    name = socket.gethostname()
    return name if _HOST_NAME.fullmatch(name) else "[127.0.0.1]"


def _in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


def server_words(code: int, text: bytes | str) -> str:
    """`550 no such user`: an answer of the server."""
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {words}"
