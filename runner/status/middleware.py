"""What every request passes on its way in and out, the outermost first as `app.py` lists them."""

import base64
import binascii
import hmac
import ipaddress
import logging
import time
from collections.abc import Callable
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runner.settings import Secret
from runner.status.answers import error_answer

SLOW_SECONDS = 1.0
PROBES = frozenset({"/healthz", "/readyz"})
_QUIET = PROBES | {"/metrics"}
_READS = ("GET", "HEAD")
_NO_FRAMES = "base-uri 'none'; frame-ancestors 'none'"
_PAGE_POLICY = f"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; {_NO_FRAMES}"
# Swagger UI and ReDoc write style elements, draw from data: and search in a worker made of a blob.
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    f"font-src 'self' data:; connect-src 'self'; worker-src blob:; {_NO_FRAMES}"
)
_POLICIES = {"/docs": _DOCS_POLICY, "/redoc": _DOCS_POLICY}

# The name that operators know requests by.
logger = logging.getLogger("runner.status.app")


class RequestLog:
    """One line per request with its duration; a fault becomes a plain answer, and a stack trace in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            logger.exception("API: %s %s failed", scope["method"], _shown(scope["path"]))
            if status:
                raise  # The head is out: only breaking the connection says that the body is not whole.
            answer = error_answer(
                500, "The runner could not answer this request", "Its log says why; please report it."
            )
            await answer(scope, receive, watched)
        seconds = time.perf_counter() - started
        level = logging.DEBUG if scope["path"] in _QUIET else logging.INFO
        if seconds > SLOW_SECONDS:
            level = logging.WARNING
        logger.log(level, "API: %s %s %d %.0f ms", scope["method"], _shown(scope["path"]), status, seconds * 1000)


class SecurityHeaders:
    """Says to browsers what the pages may load and that nobody may frame them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _POLICIES.get(scope["path"], _PAGE_POLICY)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["X-Frame-Options"] = "DENY"
                headers["Referrer-Policy"] = "no-referrer"
            await send(message)

        await self._app(scope, receive, with_headers)


class HostCheck:
    """Refuses host names that are not this machine's: a web page must not read a local runner by DNS rebinding."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_local(Headers(scope=scope).get("host", "")):
            answer = error_answer(
                421,
                "This runner listens on this machine alone and was asked for by another host name",
                "Use http://127.0.0.1 or http://localhost with its port; to reach it by another name, set "
                "STATUS_TOKEN, or STATUS_HOST to an address that others can reach.",
            )
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)


class TokenCheck:
    """Asks for the token: as a bearer token, or from browsers as the password of any user."""

    def __init__(self, app: ASGIApp, token: Secret) -> None:
        self._app = app
        self._token = token.reveal().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in PROBES:
            given = _given_token(Headers(scope=scope).get("authorization", ""))
            if not hmac.compare_digest(given, self._token):
                answer = error_answer(
                    401,
                    "This runner asks for a token",
                    "Send the header 'Authorization: Bearer TOKEN' with the value of STATUS_TOKEN; in a browser, "
                    "give it as the password of any user.",
                    {"WWW-Authenticate": 'Basic realm="runner", charset="UTF-8", Bearer realm="runner"'},
                )
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)


class ReadOnly:
    """Refuses everything that is not a read, and says how it is done instead.

    Args:
        remedy: method and path → (what is wrong, what to do instead).
    """

    def __init__(self, app: ASGIApp, remedy: Callable[[str, str], tuple[str, str]]) -> None:
        self._app = app
        self._remedy = remedy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _READS:
            error, hint = await run_in_threadpool(self._remedy, scope["method"], scope["path"])
            await error_answer(405, error, hint, {"Allow": ", ".join(_READS)})(scope, receive, send)
            return
        await self._app(scope, receive, send)


def is_loopback(host: str) -> bool:
    """True for an address that only this machine can reach."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_local(host_header: str) -> bool:
    if not host_header:
        return True  # An HTTP/1.0 probe; browsers always send one.
    if host_header.startswith("["):
        return is_loopback(host_header.partition("]")[0])
    return is_loopback(host_header.partition(":")[0])


def _given_token(header: str) -> bytes:
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode("latin-1")  # as the header was decoded
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
        except (binascii.Error, ValueError):
            return b""
    return b""


def _shown(path: str) -> str:
    """The path as one line of the log: line breaks and control characters stay encoded."""
    return quote(path, safe="/:@!$&'()*+,;=~")[:200]
