"""The HTTP request of a source: references resolved, and what of it may travel to another host."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote, urldefrag, urljoin, urlsplit, urlunsplit

from runner import __version__
from runner.core.source import Auth, AuthType, DataSource, FileType
from runner.errors import FetchError
from runner.fetch.references import References

# A declared header may carry a key under any name, so only these follow a redirect to another host.
_HARMLESS_HEADERS = frozenset({"accept", "accept-encoding", "accept-language", "user-agent"})
_ACCEPT = {
    FileType.JSON: "application/json, */*;q=0.5",
    FileType.NDJSON: "application/x-ndjson, application/jsonl, */*;q=0.5",
    FileType.CSV: "text/csv, */*;q=0.5",
    FileType.PARQUET: "application/vnd.apache.parquet, */*;q=0.5",
}
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpRequest:
    """One request as it is sent. `headers` has one value per lower-case name; `url` has no user and password."""

    method: str
    url: str
    headers: Mapping[str, str]
    params: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None


def build_request(source: DataSource, references: References) -> HttpRequest:
    """The first request of a source.

    Raises:
        FetchError: a reference cannot be resolved, the location is no HTTP address, or a header cannot be sent.
    """
    url, user_info = _split_user(references.resolve(source.location, "data_source.location").strip())
    _require_http(url)
    headers = {"user-agent": f"runner/{__version__}", "accept": _ACCEPT[source.format]}
    body = None
    if source.body is not None:
        headers["content-type"] = "application/json"
        body = references.resolve_json(source.body, "data_source.body").encode("utf-8", "replace")
    for name, value in source.headers:
        headers[name.lower()] = references.resolve(value, f"data_source.headers.{name}")
    authorization = _authorization(source.auth, references)
    if authorization is None and user_info:
        user, _, password = user_info.partition(":")
        references.add_secret(unquote(password or user))
        authorization = _basic(unquote(user_info), references)
    if authorization is not None:
        headers["authorization"] = authorization
    # No br or zstd: whether they can be read depends on what else is installed.
    headers.setdefault("accept-encoding", "gzip, deflate")
    params = tuple(
        (name, references.resolve(value, f"data_source.params.{name}")) for name, value in source.params
    )
    for name, value in headers.items():
        _check_header(name, value)
    return HttpRequest(method=source.method.upper(), url=url, headers=headers, params=params, body=body)


def redirected(request: HttpRequest, *, status: int, sent_url: str, location: str) -> HttpRequest:
    """The request that follows a redirect.

    Credentials and every header that may hold one stay behind when the host or port changes (http to https on the
    default ports of one host is no change). 301, 302 and 303 turn a POST into a GET, as browsers do.

    Args:
        sent_url: where the answer came from, parameters included.

    Raises:
        FetchError: the target is no HTTP address, drops TLS, or would take the body to another host.
    """
    try:
        target, _ = _split_user(urldefrag(urljoin(sent_url, location)).url)
    except ValueError:
        raise FetchError(f"{shown_url(sent_url)} redirects to what is no address") from None
    _require_http(target, "the target of a redirect")
    if urlsplit(sent_url).scheme == "https" and urlsplit(target).scheme == "http":
        raise FetchError(
            f"{shown_url(sent_url)} redirects from https to {shown_url(target)}",
            hint="An unencrypted redirect is not followed; write the final address into `location`.",
        )
    following = replace(request, url=target, params=())
    if status in {301, 302, 303} and request.method != "GET":
        kept = {name: value for name, value in request.headers.items() if name != "content-type"}
        following = replace(following, method="GET", body=None, headers=kept)
    if _same_host(sent_url, target):
        return following
    if following.body is not None:
        raise FetchError(
            f"{shown_url(sent_url)} redirects the {request.method} to another host, {shown_url(target)}",
            hint="The body is not sent there; write the final address into `location`.",
        )
    harmless = {name: value for name, value in following.headers.items() if name in _HARMLESS_HEADERS}
    return replace(following, headers=harmless)


def shown_url(url: str) -> str:
    """The address for people: without user, password and query, which may hold keys and signatures."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")) + ("?…" if parts.query else "")


def host_of(url: str) -> str:
    """`api.example.com`, or `api.example.com:8443`."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _authorization(auth: Auth | None, references: References) -> str | None:
    if auth is None:
        return None
    if auth.type is AuthType.BEARER:
        return f"Bearer {references.resolve(auth.token, 'data_source.auth.token')}"
    username = references.resolve(auth.username, "data_source.auth.username")
    return _basic(f"{username}:{references.resolve(auth.password, 'data_source.auth.password')}", references)


def _basic(user_info: str, references: References) -> str:
    # RFC 7617 leaves the character set open; UTF-8 is what its servers of today expect.
    encoded = base64.b64encode(user_info.encode("utf-8", "surrogateescape")).decode("ascii")
    references.add_secret(encoded)
    return f"Basic {encoded}"


def _split_user(url: str) -> tuple[str, str]:
    """The address without user and password, and those two as written."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, ""
    user_info, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=host)), user_info


def _require_http(url: str, what: str = "the location") -> None:
    hint = "Write the whole address into `location`: https://api.example.com/sales."
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        # Not shown: nobody can tell which part of a broken address is a password.
        raise FetchError(f"{what} is no valid address", hint=hint) from None
    if not valid:
        raise FetchError(f"{what}, {shown_url(url)!r}, is no http or https address", hint=hint)


def _same_host(before: str, after: str) -> bool:
    first, second = _origin(before), _origin(after)
    return first == second or (first[0] == second[0] and (first[1], second[1]) == (80, 443))


def _origin(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return (parts.hostname or "").lower(), parts.port or (443 if parts.scheme == "https" else 80)


def _check_header(name: str, value: str) -> None:
    if not _HEADER_NAME.match(name):
        raise FetchError(f"{name!r} is no name of an HTTP header", hint="Use letters, digits and -.")
    if not _HEADER_VALUE.match(value):
        raise FetchError(
            f"the value of the header {name!r} cannot be sent",
            hint="A header holds one line of Latin-1 text; look for a line end inside the value.",
        )
