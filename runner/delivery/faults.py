"""Why an SMTP server could not be used, in words: what is wrong, and what to do."""

import smtplib
import socket
import ssl

from runner.delivery.connection import InsecureServerError, LoginError, NoAnswerError, server_words

# https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_NOT_YET_VALID, _EXPIRED = 9, 10
_WRONG_NAMES = frozenset({62, 64})
_PORTS = "port 465 is for TLS from the first byte, 587 and 25 for STARTTLS"


def opening_fault(error: Exception, *, server: str, seconds: float, expired: bool) -> str:
    """Why a connection was not opened. Settings are named by their variables."""
    if isinstance(error, socket.gaierror):
        # Past the time too: nobody has asked the server.
        whom = "SMTP_HOST, and the DNS of this machine" if error.errno == socket.EAI_AGAIN else "SMTP_HOST"
        return f"the name of {server} cannot be found: {error.strerror}; check {whom}"
    if expired or isinstance(error, TimeoutError):
        return (
            f"{server} was not done within {seconds:g} s; check SMTP_HOST and SMTP_PORT ({_PORTS}), "
            "and that no firewall stands between"
        )
    if isinstance(error, LoginError):
        return f"{server} refused the login of SMTP_USER: {error}"
    if isinstance(error, InsecureServerError):
        return f"{server}: {error}"
    if isinstance(error, NoAnswerError):
        return f"{server} does not speak SMTP, it said: {error}; check SMTP_HOST and SMTP_PORT ({_PORTS})"
    if isinstance(error, ssl.SSLError):
        return _tls_fault(error, server=server)
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{server} does not want to talk: {server_words(error.smtp_code, error.smtp_error)}"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return f"{server} hung up before it was ready for a mail; check SMTP_HOST and SMTP_PORT ({_PORTS})"
    if isinstance(error, OSError):
        return f"no connection to {server}: {error.strerror or error}; check SMTP_HOST and SMTP_PORT"
    return f"{server}: {type(error).__name__}: {error}"


def sending_fault(error: Exception, *, server: str, seconds: float, expired: bool) -> str:
    """Why a mail did not get through over a connection that was open."""
    if expired or isinstance(error, TimeoutError):
        return f"{server} was not done within {seconds:g} s"
    if isinstance(error, smtplib.SMTPResponseException):
        return server_words(error.smtp_code, error.smtp_error)
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return f"{server} hung up"
    if isinstance(error, NoAnswerError):
        return f"{server} gave no answer in SMTP, it said: {error}"
    if isinstance(error, OSError):
        return f"the connection to {server} broke: {error.strerror or error}"
    return f"{server}: {type(error).__name__}: {error}"


def _tls_fault(error: ssl.SSLError, *, server: str) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = _certificate_remedy(error.verify_code)
        return f"the certificate of {server} is not accepted: {error.verify_message}; {remedy}"
    return f"{server} does not speak TLS as it should: {error.reason or error}; check SMTP_PORT ({_PORTS})"


def _certificate_remedy(code: int) -> str:
    if code in _WRONG_NAMES:
        return "set SMTP_HOST to a name that it is made for"
    if code == _NOT_YET_VALID:
        return "check the clock of this machine"
    if code == _EXPIRED:
        return "whoever runs the server has to renew it"
    return "for an authority of your own set SMTP_CA_FILE"
