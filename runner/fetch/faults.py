"""What went wrong with a request, in words: the host, and what to check."""

import html
import http.client
import re
import socket
import ssl
from datetime import UTC, datetime
from http import HTTPStatus

import requests
import urllib3

from runner.core.source import CONDITION_HEADERS
from runner.core.words import counted
from runner.errors import FetchError
from runner.fetch.charsets import charset_of
from runner.fetch.references import References
from runner.fetch.request import host_of, shown_url
from runner.fetch.words import one_line

EXCERPT_BYTES = 8 * 1024
_EXCERPT_CHARACTERS = 500
_NOT_MODIFIED, _FORBIDDEN, _TOO_MANY = 304, 403, 429
_TOO_OFTEN = frozenset({_FORBIDDEN, _TOO_MANY})
# Those of http.client that are about the end of an answer.
_BROKEN_OFF = (http.client.RemoteDisconnected, http.client.IncompleteRead)
# How http.client tells that a proxy makes no way for TLS.
_NO_TUNNEL = re.compile(r"Tunnel connection failed: (?P<answer>(?P<status>\d{3}).*)", re.DOTALL)
# The part of OpenSSL that fails where authorities are loaded, before anything is sent.
_TRUST_STORE = "X509"
_EPOCH_SECONDS = re.compile(r"[12][0-9]{9}")
_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<!--.*?-->|<[^<>]*>", re.IGNORECASE | re.DOTALL)
_HINTS = {
    400: "The server does not understand the request: check `params`, `headers` and `body`.",
    401: "The server wants to know who asks: check `auth` or `headers`, and that the credentials are still valid.",
    403: "The credentials are known but may not read this: ask for the right, or check `auth` and `headers`.",
    404: "Nothing is there: check `location` and `params`.",
    405: "Check `method`.",
    407: "The proxy wants credentials: check http_proxy and https_proxy in the environment of the service.",
    429: "Too many requests: run the job less often, or at another minute.",
}


def deadline_fault(url: str, seconds: float, *, pages: int = 0, looked_up: str = "") -> FetchError:
    """The whole time is over.

    Args:
        pages: how many came in it; where there are some, the server is not silent.
        looked_up: the host whose name was being looked up.
    """
    if looked_up:
        return FetchError(
            f"{shown_url(url)} was not fetched within {seconds:g} s: the name service had still not told where "
            f"{looked_up} lies",
            hint="Nobody has asked the server. Check the DNS of this machine: a name server may be away.",
        )
    if pages:
        return FetchError(
            f"{shown_url(url)} was not fetched in {seconds:g} s, in which {counted(pages, 'page')} came before",
            hint="Ask for less data, for more records a page, or raise API_FETCH_TIMEOUT: it bounds all pages "
            "together. Where there should not be so many, check `pagination`.",
        )
    return FetchError(
        f"{shown_url(url)} was not fetched within {seconds:g} s",
        hint="The server is slow or silent. Ask for less data, or raise API_FETCH_TIMEOUT.",
    )


def status_fault(response: requests.Response, url: str, excerpt: bytes, references: References) -> FetchError:
    """An answer that is no success: status, reason and the first part of the body, on one line."""
    status = response.status_code
    try:
        phrase = response.reason or HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    head = " ".join(
        filter(None, (f"HTTP {status}", one_line(references.mask(phrase))[:100], "from", shown_url(url)))
    )
    body = body_text(response.headers.get("content-type", ""), excerpt, references)
    default = "The server failed; it may be well again at the next run." if status >= 500 else "Check `location`."
    known = _TOO_MANY if status == _FORBIDDEN and asked_too_much(response) else status
    hint = _hint_of_304(response) if status == _NOT_MODIFIED else _HINTS.get(known, default)
    if known == _TOO_MANY:
        hint = f"{quota_words(response)}{hint}"
    return FetchError(f"{head}: {body}" if body else head, hint=hint)


def asked_too_much(response: requests.Response) -> bool:
    """Whether an answer that forbids is about how often was asked, and not about who asks."""
    return "retry-after" in response.headers or quota_reset(response) is not None


def quota_reset(response: requests.Response) -> int | None:
    """From when on a used-up quota is a new one, in seconds since 1970, as GitHub tells by 403 and 429;
    None: it does not say."""
    if response.status_code not in _TOO_OFTEN:
        return None
    left, reset = (response.headers.get(f"x-ratelimit-{name}", "").strip() for name in ("remaining", "reset"))
    # Others give the seconds until then, which is no time since 1970 that anybody would mean.
    return int(reset) if left == "0" and _EPOCH_SECONDS.fullmatch(reset) else None


def quota_words(response: requests.Response) -> str:
    """The beginning of a hint: until when a quota is used up; empty where the server does not say."""
    reset = quota_reset(response)
    if reset is None:
        return ""
    return f"The quota is used up until {datetime.fromtimestamp(reset, UTC):%Y-%m-%d %H:%M:%S} UTC. "


def _hint_of_304(response: requests.Response) -> str:
    """What to do where a server says that nothing has changed, to a request that wants its data."""
    if CONDITION_HEADERS.isdisjoint(name.lower() for name in response.request.headers):
        return "The server, or a cache on the way, is at fault: nobody has asked it whether anything has changed."
    return "`headers` ask whether anything has changed: remove that, and write `on_unchanged: skip`."


def body_text(content_type: str, excerpt: bytes, references: References) -> str:
    """The first 500 characters of a body as one line of plain text, masked.

    Args:
        excerpt: the first `EXCERPT_BYTES` of the body, or less.
    """
    if not excerpt:
        return ""
    if b"\0" in excerpt[:1024]:
        return "(no text)"
    try:
        text = excerpt.decode(charset_of(content_type) or "utf-8", "replace")
    except (LookupError, ValueError):
        text = excerpt.decode("utf-8", "replace")
    # Masked before it is cut and folded: half a secret would no longer be recognised.
    text = references.mask_cut(text)
    if text.lstrip().startswith("<"):
        text = references.mask(html.unescape(_TAGS.sub(" ", text)))
    line = one_line(text)
    return line if len(line) <= _EXCERPT_CHARACTERS else line[:_EXCERPT_CHARACTERS] + "…"


def request_fault(error: Exception, url: str, seconds: float, *, proxy: str, pages: int = 0) -> FetchError:
    """A request that got no whole answer. The text of `error` may hold a query: unused.

    Args:
        proxy: the one that was asked, for people; empty where there is none.
        pages: as for `deadline_fault`.
    """
    host = host_of(url)
    causes = tuple(causes_of(error))
    if isinstance(error, requests.exceptions.ProxyError):
        return _proxy_fault(causes, host, proxy)
    if _find(causes, ssl.SSLError, urllib3.exceptions.SSLError):
        return _tls_fault(causes, host)
    if _find(causes, socket.gaierror):
        return _name_fault(causes, host)
    if isinstance(error, requests.Timeout) or _find(causes, TimeoutError, urllib3.exceptions.ReadTimeoutError):
        return deadline_fault(url, seconds, pages=pages)
    if _find(causes, urllib3.exceptions.NewConnectionError):
        return FetchError(
            f"no connection to {host}{_reason(causes)}",
            hint="Check host and port in `location`, that the server runs, and that this machine may reach it.",
        )
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return FetchError(
            f"the answer of {host} says it is compressed, and cannot be unpacked, or ends too early",
            hint="The server, or something on the way, is at fault; see its log.",
        )
    if isinstance(error, requests.exceptions.InvalidHeader):
        return FetchError(
            f"the answer of {host} does not say how long it is: its Content-Length is no number, or there are two",
            hint="Nobody can tell whether it is whole. The server, or something on the way, is at fault: ask the "
            "API with curl -i.",
        )
    if _find(causes, http.client.HTTPException) and not _find(causes, *_BROKEN_OFF):
        return _no_http_fault(causes, host)
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema)):
        return FetchError(
            f"{shown_url(url)} cannot be requested", hint="Check `location`, and the proxy variables."
        )
    return FetchError(
        f"the connection to {host} broke off{_reason(causes)}",
        hint="The server, or something on the way, ended the answer early; see its log.",
    )


def _name_fault(causes: tuple[BaseException, ...], host: str) -> FetchError:
    if any(isinstance(cause, socket.gaierror) and cause.errno == socket.EAI_AGAIN for cause in causes):
        return FetchError(
            f"the name service cannot tell where {host} lies",
            hint="It is away, or fails, as it may for a moment: check the DNS of this machine.",
        )
    return FetchError(
        f"the host {host} is not known to the name service",
        hint="Check the spelling in `location`, and the DNS of this machine.",
    )


def _proxy_fault(causes: tuple[BaseException, ...], host: str, proxy: str) -> FetchError:
    hint = f"It is {proxy}. Check http_proxy, https_proxy and no_proxy in the environment of the service."
    refusal = next(filter(None, (_NO_TUNNEL.match(str(cause)) for cause in causes)), None)
    if refusal is not None:
        return FetchError(
            f"the proxy on the way to {host} refuses: HTTP {one_line(refusal['answer'])[:100]}",
            hint=_HINTS[407] if refusal["status"] == "407" else f"Ask who runs the proxy. {hint}",
        )
    if _find(causes, ssl.SSLError, urllib3.exceptions.SSLError):
        return FetchError(
            f"no TLS connection to the proxy on the way to {host}{_tls_reason(causes)}",
            hint=f"It is {proxy}. Most proxies speak plain HTTP: in https_proxy, write http:// before the proxy "
            "then.",
        )
    return FetchError(f"the proxy on the way to {host} does not answer{_reason(causes)}", hint=hint)


def _no_http_fault(causes: tuple[BaseException, ...], host: str) -> FetchError:
    if _find(causes, http.client.BadStatusLine, http.client.UnknownProtocol):
        return FetchError(
            f"what {host} answers is no HTTP",
            hint="Check scheme and port in `location`: where another service listens, it answers in its own way.",
        )
    return FetchError(
        f"the headers of the answer of {host} are too many or too long",
        hint="The server, or something on the way, is at fault: ask the API with curl -i.",
    )


def _tls_fault(causes: tuple[BaseException, ...], host: str) -> FetchError:
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return FetchError(
                f"the certificate of {host} is not accepted: {cause.verify_message}",
                hint="For an authority of your own, name its file in REQUESTS_CA_BUNDLE.",
            )
        if isinstance(cause, ssl.SSLError) and cause.library == _TRUST_STORE:
            return FetchError(
                f"the file of certificate authorities holds none that can be read: {host} was not asked",
                hint="Look at the PEM file that REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE names.",
            )
    return FetchError(
        f"no TLS connection to {host}{_tls_reason(causes)}", hint="Check that the port speaks https."
    )


def _tls_reason(causes: tuple[BaseException, ...]) -> str:
    reason = next((cause.reason for cause in causes if isinstance(cause, ssl.SSLError) and cause.reason), "")
    return f": {reason.replace('_', ' ').lower()}" if reason else ""


def causes_of(error: BaseException) -> list[BaseException]:
    """The error, and what lies under it: causes, contexts, and the `reason` of urllib3's errors."""
    found: list[BaseException] = []
    todo: list[object] = [error]
    while todo:
        item = todo.pop()
        if isinstance(item, BaseException) and not any(item is seen for seen in found):
            found.append(item)
            todo += [item.__cause__, item.__context__, getattr(item, "reason", None), *item.args]
    return found


def _find(causes: tuple[BaseException, ...], *kinds: type[BaseException]) -> bool:
    return any(isinstance(cause, kinds) for cause in causes)


def _reason(causes: tuple[BaseException, ...]) -> str:
    for cause in causes:
        if isinstance(cause, OSError) and isinstance(cause.errno, int) and cause.strerror:
            return f": {cause.strerror}"
    return ""
