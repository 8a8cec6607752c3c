"""The HTTP request of a source: references resolved, and what of it may travel to another host."""

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import unquote, unquote_plus, urldefrag, urljoin, urlsplit, urlunsplit

from runner import __version__
from runner.core.secret_names import is_secret_name
from runner.core.source import Auth, AuthType, DataSource, FileType
from runner.errors import FetchError
from runner.fetch.places import source_key
from runner.fetch.references import References

# A declared header may carry a key under any name, so only these follow a redirect to another host.
_HARMLESS_HEADERS = frozenset(
    {"accept", "accept-encoding", "accept-language", "if-modified-since", "if-none-match", "user-agent"}
)
_ACCEPT = {
    FileType.JSON: "application/json, */*;q=0.5",
    FileType.NDJSON: "application/x-ndjson, application/jsonl, */*;q=0.5",
    FileType.CSV: "text/csv, */*;q=0.5",
    FileType.PARQUET: "application/vnd.apache.parquet, */*;q=0.5",
}
# In an address that is a secret as a whole these names may be of keys too, and what is as long as this may be one.
_KEY_NAMES = frozenset({"key", "code", "auth", "hash", "signature"})
_KEY_LENGTH = 16
# What such a name has is no short word or number, `basic` or `2026`: those stand anywhere.
_LIKE_A_KEY = re.compile(r"(?=.*[A-Za-z])(?=.*[0-9]).*|.{8,}", re.DOTALL)
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*\Z")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
# urllib3 ends the host at a backslash, urllib.parse does not; and the latter drops tabs and line ends.
_UNFIT = re.compile(r"[\\\x00-\x1f\x7f-\x9f]")
# Where there is one, requests escapes every other % of the address too, and %3A is no colon any more.
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpRequest:
    """One request as it is sent. `headers` has one value per lower-case name; `url` has no user and password.

    `left_at` is the host that headers, which may hold credentials, were left behind at; empty: nothing was.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    params: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    left_at: str = ""


def build_request(source: DataSource, references: References) -> HttpRequest:
    """The first request of a source.

    Raises:
        FetchError: a reference cannot be resolved, the location is no HTTP address, or a header cannot be sent.
    """
    url, user_info = _split_user(references.resolve_url(source.location, source_key(source, "location")).strip())
    _require_http(url)
    _mask_parts(url, references)
    headers = {"user-agent": f"runner/{__version__}", "accept": _ACCEPT[source.format]}
    body = None
    if source.body is not None:
        headers["content-type"] = "application/json"
        body = references.resolve_json(source.body, source_key(source, "body")).encode("utf-8", "replace")
    for name, value in source.headers:
        headers[name.lower()] = references.resolve(value, source_key(source, f"headers.{name}"))
    if source.auth is not None:
        headers |= _credentials(source, source.auth, references)
    elif user_info:
        user, _, password = user_info.partition(":")
        references.add_secret(unquote(password or user))
        headers["authorization"] = _basic(unquote(user_info), references)
    # No br or zstd: whether they can be read depends on what else is installed.
    headers.setdefault("accept-encoding", "gzip, deflate")
    params = tuple(
        (name, references.resolve(value, source_key(source, f"params.{name}"))) for name, value in source.params
    )
    # Blanks around a value are no part of it (RFC 9110, section 5.5), and are not sent by every library.
    headers = {name: value.strip(" \t") for name, value in headers.items()}
    for name, value in headers.items():
        _check_header(name, value)
    return HttpRequest(method=source.method.upper(), url=url, headers=headers, params=params, body=body)


def redirected(request: HttpRequest, *, status: int, sent_url: str, location: str) -> HttpRequest:
    """The request that follows a redirect: as `linked`. 301, 302 and 303 turn a POST into a GET, as browsers do.

    Args:
        sent_url: where the answer came from, parameters included.

    Raises:
        FetchError: the target is no HTTP address, drops TLS, or would take the body to another host.
    """
    following = request
    if status in {301, 302, 303} and request.method != "GET":
        kept = {name: value for name, value in request.headers.items() if name != "content-type"}
        following = replace(request, method="GET", body=None, headers=kept)
    return _moved(following, sent_url, location, verb="redirects", what="the target of a redirect")


def linked(request: HttpRequest, *, sent_url: str, location: str, hint: str = "") -> HttpRequest:
    """The request for the next page that an answer names, in its header Link or its body.

    Credentials and every header that may hold one stay behind when the host or port changes (http to https on the
    default ports of one host is no change).

    Args:
        sent_url: where the answer came from, parameters included.
        hint: what to do where the location is no address.

    Raises:
        FetchError: as `redirected`.
    """
    verb, what = "names a next page and leads", "the link to the next page"
    return _moved(request, sent_url, location, verb=verb, what=what, hint=hint)


def with_param(request: HttpRequest, name: str, value: str) -> HttpRequest:
    """The request with one query parameter, in place of those of this name that it had."""
    parts = urlsplit(request.url)
    query = "&".join(
        part for part in parts.query.split("&") if part and unquote_plus(part.partition("=")[0]) != name
    )
    params = (*(pair for pair in request.params if pair[0] != name), (name, value))
    return replace(request, url=urlunsplit(parts._replace(query=query)), params=params)


def request_digest(request: HttpRequest, references: References) -> str:
    """What was asked, as SHA-256 of method, address, parameters, body and the names of the headers.

    Secrets count as `***`: nothing of them is kept, and that one was exchanged is not seen. An address that is one
    as a whole is taken by its parts, as another host or path is another question.
    """
    body = (request.body or b"").decode("utf-8", "replace")
    parts = urlsplit(request.url)
    address = [references.mask(part) for part in (*parts.path.split("/"), *parts.query.split("&"))]
    params = [references.mask(part) for pair in request.params for part in pair]
    asked = [request.method, parts.scheme, parts.netloc, address, params, references.mask(body)]
    document = json.dumps([asked, sorted(request.headers)])
    return hashlib.sha256(document.encode("ascii")).hexdigest()


def same_host(before: str, after: str) -> bool:
    """Whether credentials for one address may be sent to another."""
    first, second = _origin(before), _origin(after)
    return first == second or (first[0] == second[0] and (first[1], second[1]) == (80, 443))


def shown_url(url: str) -> str:
    """The address for people: without user, password and query, which may hold keys and signatures."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", "")) + ("?…" if parts.query else "")


def host_of(url: str) -> str:
    """`api.example.com`, or `api.example.com:8443`."""
    return urlsplit(url).netloc.rpartition("@")[2]


def _moved(
    request: HttpRequest, sent_url: str, location: str, *, verb: str, what: str, hint: str = ""
) -> HttpRequest:
    """The request for an address that an answer names, without what must not travel there."""
    try:
        target, _ = _split_user(urldefrag(urljoin(sent_url, location)).url, what, hint)
    except ValueError:
        raise FetchError(
            f"{shown_url(sent_url)} {verb} to what is no address",
            hint=hint
            or "The server is at fault: ask the API with curl -i, and look at its headers Location and Link.",
        ) from None
    _require_http(target, what, hint)
    if urlsplit(sent_url).scheme == "https" and urlsplit(target).scheme == "http":
        raise FetchError(
            f"{shown_url(sent_url)} {verb} from https to {shown_url(target)}",
            hint="Data is not asked for unencrypted where it was encrypted; the server must name https.",
        )
    following = replace(request, url=target, params=())
    if same_host(sent_url, target):
        return following
    if following.body is not None:
        raise FetchError(
            f"{shown_url(sent_url)} {verb} the {request.method} to another host, {shown_url(target)}",
            hint="The body is not sent there; write the final address into `location`.",
        )
    harmless = {name: value for name, value in following.headers.items() if name in _HARMLESS_HEADERS}
    left_at = host_of(sent_url) if harmless != following.headers else following.left_at
    return replace(following, headers=harmless, left_at=left_at)


def _credentials(source: DataSource, auth: Auth, references: References) -> dict[str, str]:
    if auth.type is AuthType.BASIC:
        username = references.resolve(auth.username, source_key(source, "auth.username"))
        password = references.resolve(auth.password, source_key(source, "auth.password"))
        references.add_secret(password)
        return {"authorization": _basic(f"{username}:{password}", references)}
    token = references.resolve(auth.token, source_key(source, "auth.token"))
    references.add_secret(token)
    if auth.type is AuthType.BEARER:
        return {"authorization": f"Bearer {token}"}
    return {auth.header.lower(): token}


def _basic(user_info: str, references: References) -> str:
    # RFC 7617 leaves the character set open; UTF-8 is what its servers of today expect.
    encoded = base64.b64encode(user_info.encode("utf-8", "surrogateescape")).decode("ascii")
    references.add_secret(encoded)
    return f"Basic {encoded}"


def _split_user(url: str, what: str = "the location", hint: str = "") -> tuple[str, str]:
    """The address without user and password, and those two as written."""
    unfit = _UNFIT.search(url)
    if unfit is not None:
        # Not shown: nobody can tell which part of a broken address is a password.
        sign = "a backslash" if unfit[0] == "\\" else f"the control character U+{ord(unfit[0]):04X}"
        raise FetchError(
            f"{what} holds {sign}",
            hint=hint or f"Write %{ord(unfit[0]):02X} for it, or look at what its references stand for.",
        )
    url = _LONE_PERCENT.sub("%25", url)
    try:
        parts = urlsplit(url)
    except ValueError:
        return url, ""
    user_info, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=host)), user_info


def _mask_parts(url: str, references: References) -> None:
    """Mask the credentials in an address that a reference stands for: a server names them alone in its answers.

    They are told by the name of their parameter or by their length, of parts of the path by that alone: a short
    word may stand in the data too.
    """
    parts = urlsplit(url)
    pairs = [pair.partition("=") for pair in parts.query.split("&")]
    named = {value for name, _, value in pairs if _holds_key(unquote_plus(name), value)}
    named |= {part for part in parts.path.split("/") if len(part) >= _KEY_LENGTH}
    for value in named:
        if any(value in secret for secret in references.secrets):
            references.add_secret(value)
            references.add_secret(unquote_plus(value))


def _holds_key(name: str, value: str) -> bool:
    if is_secret_name(name) or len(value) >= _KEY_LENGTH:
        return True
    return name.lower() in _KEY_NAMES and _LIKE_A_KEY.fullmatch(value) is not None


def _require_http(url: str, what: str = "the location", hint: str = "") -> None:
    hint = hint or "Write the whole address into `location`: https://api.example.com/sales."
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        # Not shown: nobody can tell which part of a broken address is a password.
        raise FetchError(f"{what} is no valid address", hint=hint) from None
    if not valid:
        raise FetchError(f"{what}, {shown_url(url)!r}, is no http or https address", hint=hint)


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
