"""Asks until there is an answer: redirects followed, passing faults tried again, all within one deadline."""

import logging
from collections.abc import Callable
from typing import TypeVar

import requests
import urllib3

from runner.errors import FetchError
from runner.fetch.deadline import Deadline
from runner.fetch.faults import EXCERPT_BYTES, asked_too_much, quota_words, request_fault, status_fault
from runner.fetch.references import References
from runner.fetch.request import HttpRequest, redirected, shown_url
from runner.fetch.retries import Retries
from runner.fetch.transport import Transport

REDIRECT_LIMIT = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_WHO_ASKS = frozenset({401, 403})

T = TypeVar("T")
log = logging.getLogger(__name__)


class Client:
    """One fetch's requests.

    `asked` is the one sent last, a redirect's target too. `sent` counts those made for the answer that is wanted
    now, redirects apart; `taken` the answers before it.

    Args:
        first: what is going to be asked first.
        retries: requests after the first, for each answer.
        deadline: bounds all requests and waits together.
    """

    def __init__(
        self, transport: Transport, deadline: Deadline, references: References, *, first: HttpRequest, retries: int
    ) -> None:
        self._transport = transport
        self._deadline = deadline
        self._references = references
        self._retries = retries
        self.asked = first
        self.sent = 0
        self.taken = 0

    @property
    def url(self) -> str:
        """The address asked last."""
        return self.asked.url

    @property
    def proxy(self) -> str:
        """As `Transport.proxy`."""
        return self._transport.proxy

    def check(self) -> None:
        """Called by work on an answer that may take long; as `Deadline.check`."""
        self._deadline.check()

    def ask(self, request: HttpRequest, take: Callable[[requests.Response], T]) -> T:
        """What `take` makes of the answer. It reads the body, and is called again from the start where that breaks
        off; it must not keep what a broken call has read.

        A GET starts anew at its first address. What a POST was redirected to is asked alone: the POST is done.

        Raises:
            FetchError: too many redirects, a host that may not be asked, `Retry-After` past the deadline, or what
                `take` raises.
            requests.RequestException, urllib3.exceptions.HTTPError: no whole answer.
        """
        retries = Retries(self._retries)
        while True:
            self.sent = retries.sent + 1
            try:
                with self._follow(request) as response:
                    wait = retries.after_status(self.asked.method, response)
                    if wait is None or not self._may_wait(wait, response):
                        return self._taken(response, take)
                    fault = f"HTTP {response.status_code} from {shown_url(self.url)}"
            except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
                wait = retries.after_error(self.asked.method, error)
                if wait is None or wait >= self._deadline.remaining():
                    raise
                fault = request_fault(error, self.url, self._deadline.seconds, proxy=self.proxy).message
            words = f"{fault}: asking again in {wait:.1f} s ({retries.sent} of {self._retries})"
            log.warning("%s", self._references.mask(words))
            self._deadline.wait(wait)
            request = request if request.method == "GET" else self.asked

    def _taken(self, response: requests.Response, take: Callable[[requests.Response], T]) -> T:
        try:
            taken = take(response)
        except FetchError as error:
            if response.status_code not in _WHO_ASKS or not self.asked.left_at:
                raise
            hint = (
                f"{self.asked.left_at} has led here, and credentials are not sent to another host: write the "
                "address above into `location`, if they are meant for it."
            )
            raise FetchError(error.message, hint=hint) from None
        self.taken += 1
        return taken

    def _follow(self, request: HttpRequest) -> requests.Response:
        """The first answer that is no redirect."""
        for _ in range(REDIRECT_LIMIT + 1):
            self.asked = request
            response = self._transport.send(request)
            location = _redirect_target(response)
            if location is None:
                return response
            response.close()
            sent_url = response.request.url or request.url
            request = redirected(request, status=response.status_code, sent_url=sent_url, location=location)
        raise FetchError(
            f"{shown_url(self.url)} redirects once more after {REDIRECT_LIMIT} redirects",
            hint="Write the final address into `location`.",
        )

    def _may_wait(self, wait: float, response: requests.Response) -> bool:
        """Whether the wait ends before the deadline.

        Raises:
            FetchError: it does not, and the server has asked for it.
        """
        remaining = self._deadline.remaining()
        if wait < remaining:
            return True
        if not asked_too_much(response):
            return False
        excerpt = first_bytes(response, EXCERPT_BYTES)
        fault = status_fault(response, self.url, excerpt, self._references)
        raise FetchError(
            f"the server asks to wait {wait:.0f} s, and {max(remaining, 0):.0f} s are left of the "
            f"{self._deadline.seconds:g} s of a fetch: {fault.message}",
            hint=f"{quota_words(response)}Run the job less often or at another minute, give it a `retry`, or "
            "raise API_FETCH_TIMEOUT.",
        )


def first_bytes(response: requests.Response, limit: int) -> bytes:
    """At most `limit` bytes of a body; what there was before the connection broke."""
    read = b""
    try:
        for chunk in response.iter_content(4096):
            read += chunk
            if len(read) >= limit:
                break
    except (requests.RequestException, ValueError):
        # The latter of a piece of less than no length.
        return read[:limit]
    return read[:limit]


def _redirect_target(response: requests.Response) -> str | None:
    location = response.headers.get("location")
    if response.status_code not in _REDIRECTS or location is None:
        return None
    return header_text(location).strip()


def header_text(value: str) -> str:
    """A header as UTF-8: bytes arrive as Latin-1, and addresses are UTF-8 where they are not plain ASCII."""
    return value.encode("latin-1", "replace").decode("utf-8", "replace")
