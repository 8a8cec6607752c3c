"""Whether a request is sent once more, and after how long. The arithmetic is urllib3's."""

import random
import re
import socket
import ssl
import time

import requests
import urllib3
from urllib3.exceptions import ConnectTimeoutError, InvalidHeader, NameResolutionError, NewConnectionError
from urllib3.util import Retry

from runner.fetch.faults import asked_too_much, causes_of, quota_reset

_TOO_MANY, _FORBIDDEN = 429, 403
_RESET_SECONDS = 1.0
# By these a server says that it cannot do such a thing at all. Every other 5xx may pass, also those that are in no
# standard: what stands in front of a server says 520 to 529 where that cannot be reached.
_LASTING = frozenset({501, 505})
# With these the server says that it has done nothing: also what changes something may be sent again.
_NOTHING_DONE = frozenset({403, 429, 503})
_NO_CONNECTION = (NewConnectionError, ConnectTimeoutError, NameResolutionError)
# A wait of up to half a second, then 1 s, 2 s, 4 s … and up to half a second each.
_BACKOFF_SECONDS = 0.5
_JITTER_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 60.0
# By itself urllib3 shortens what a server asks for to six hours.
_LONGEST_ASKED_SECONDS = 10**9
# Against the standard, and yet what some servers send.
_FRACTION = re.compile(r"[0-9]+\.[0-9]+")


class Retries:
    """How often one request may still be sent again.

    Args:
        limit: requests after the first.
    """

    def __init__(self, limit: int) -> None:
        self._retry = Retry(
            total=limit,
            backoff_factor=_BACKOFF_SECONDS,
            backoff_max=_LONGEST_BACKOFF_SECONDS,
            backoff_jitter=_JITTER_SECONDS,
            retry_after_max=_LONGEST_ASKED_SECONDS,
        )

    @property
    def sent(self) -> int:
        """Requests that were sent and have failed."""
        return len(self._retry.history)

    def after_status(self, method: str, response: requests.Response) -> float | None:
        """Seconds to wait before an answer's request is sent again; None: it is the last answer.

        `Retry-After` (seconds, a fraction of them too, or a date) is obeyed, and never shortened. Where a server
        has none, but tells that its quota is used up and until when, as GitHub does, that is waited for.
        """
        status = response.status_code
        asked = self._asked(response.headers.get("retry-after", "").strip())
        if not asked and (reset := quota_reset(response)) is not None:
            # The second that it names may be the last one of the old quota.
            asked = max(reset - time.time(), 0.0) + _RESET_SECONDS
        if not _passes(response) or (method != "GET" and status not in _NOTHING_DONE):
            return None
        backoff = self._next()
        if backoff is None:
            return None
        return asked or backoff

    def _asked(self, text: str) -> float:
        """The seconds that a server asks to wait; 0 where it does not say."""
        if _FRACTION.fullmatch(text):
            return float(text)
        try:
            return self._retry.parse_retry_after(text) if text else 0
        except (InvalidHeader, ValueError, OverflowError):
            return 0

    def after_error(self, method: str, error: Exception) -> float | None:
        """Seconds to wait before a request is sent again that got no whole answer; None: it is a lasting fault.

        Where no connection came about, nothing was done, and every method may be tried again.
        """
        causes = causes_of(error)
        unknown = any(isinstance(one, socket.gaierror) and one.errno != socket.EAI_AGAIN for one in causes)
        lasting_tls = any(isinstance(one, ssl.SSLError) and not isinstance(one, ssl.SSLEOFError) for one in causes)
        unsent = any(isinstance(one, _NO_CONNECTION) for one in causes)
        if unknown or not (unsent or (method == "GET" and not lasting_tls and broke_off(error))):
            return None
        return self._next()

    def _next(self) -> float | None:
        try:
            self._retry = self._retry.increment()
        except urllib3.exceptions.MaxRetryError:
            return None
        # urllib3 sends the second request at once; all jobs of a minute would do so together.
        return self._retry.get_backoff_time() or random.uniform(0, _JITTER_SECONDS)


def _passes(response: requests.Response) -> bool:
    """Whether a status says that the same request may be answered later on: one that is forbidden where the server
    says that it was asked too much, as GitHub does."""
    status = response.status_code
    if status == _FORBIDDEN:
        return asked_too_much(response)
    return status == _TOO_MANY or (500 <= status < 600 and status not in _LASTING)


def broke_off(error: Exception) -> bool:
    """Whether a connection ended too early."""
    broken = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError, urllib3.exceptions.ProtocolError)
    return isinstance(error, broken) and not isinstance(error, (requests.exceptions.ProxyError, requests.Timeout))
