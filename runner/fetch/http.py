"""API sources: one request, its redirects, and the body streamed into the run's folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter

from runner.core.report import size_words
from runner.core.source import DataSource, FileType
from runner.errors import FetchError
from runner.fetch.context import FetchContext, Fetched
from runner.fetch.deadline import Deadline, DeadlinePassedError, FetchCancelledError
from runner.fetch.faults import EXCERPT_BYTES, body_text, deadline_fault, request_fault, status_fault
from runner.fetch.proxies import ca_bundle, proxies_for
from runner.fetch.references import References
from runner.fetch.request import HttpRequest, build_request, redirected, shown_url

REDIRECT_LIMIT = 5
_CHUNK_BYTES = 64 * 1024
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def fetch_http(source: DataSource, context: FetchContext, references: References) -> Fetched:
    """The body of the answer, as `input.{format}` in the run's folder.

    `timeout_seconds` bounds it all: name lookup, connection, redirects, header and body. `max_bytes` counts
    unpacked bytes. TLS is always verified. Nothing is tried again.

    Raises:
        FetchError: no answer, no success, no data, or too much of it. Not masked yet.
    """
    request = build_request(source, references)
    deadline = Deadline(context.timeout_seconds, context.cancelled)
    download = _Download(source, context, references, deadline)
    try:
        return deadline.run(lambda: download.fetch(request))
    except FetchCancelledError:
        fault = FetchError(f"the run was cancelled while {shown_url(request.url)} was fetched")
    except DeadlinePassedError:
        fault = deadline_fault(download.url or request.url, context.timeout_seconds)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        fault = request_fault(error, download.url or request.url, context.timeout_seconds)
    raise fault


class _Download:
    """One fetch. `url` is where it stands: the address asked last."""

    def __init__(
        self, source: DataSource, context: FetchContext, references: References, deadline: Deadline
    ) -> None:
        self._source = source
        self._context = context
        self._references = references
        self._deadline = deadline
        self.url = ""

    def fetch(self, request: HttpRequest) -> Fetched:
        with _open_session(self._deadline, ca_bundle(self._context.environ)) as session:
            for _ in range(REDIRECT_LIMIT + 1):
                response = self._send(session, request)
                try:
                    location = _redirect_target(response)
                    if location is None:
                        return self._take(response)
                    sent_url = response.request.url or request.url
                    request = redirected(
                        request, status=response.status_code, sent_url=sent_url, location=location
                    )
                finally:
                    response.close()
        raise requests.TooManyRedirects(
            f"{shown_url(self.url)} redirects once more after {REDIRECT_LIMIT} redirects"
        )

    def _send(self, session: requests.Session, request: HttpRequest) -> requests.Response:
        self.url = request.url
        prepared = session.prepare_request(
            requests.Request(
                request.method,
                request.url,
                headers=dict(request.headers),
                params=list(request.params),
                data=request.body,
            )
        )
        proxies = proxies_for(request.url, self._context.environ)
        for proxy in proxies.values():
            self._references.add_secret(requests.utils.get_auth_from_url(proxy)[1])
        self._deadline.check()
        return session.send(
            prepared,
            stream=True,
            allow_redirects=False,
            timeout=max(0.001, self._deadline.remaining()),
            proxies=proxies,
        )

    def _take(self, response: requests.Response) -> Fetched:
        """Store the body of a final answer."""
        shown = shown_url(self.url)
        if not 200 <= response.status_code < 300:
            excerpt = _first_bytes(response, EXCERPT_BYTES)
            raise status_fault(response, self.url, excerpt, self._references)
        path = self._context.run_dir / f"input.{self._source.format}"
        size = self._spool(response, path)
        if not size and self._source.format is not FileType.NDJSON:
            raise FetchError(
                f"HTTP {response.status_code} from {shown} has an empty body: no {self._source.format} in it",
                hint="Check `location` and `params`: the server found them good, but answers nothing.",
            )
        return Fetched(
            paths=(path,),
            format=self._source.format,
            records_path=self._source.records_path,
            bytes=size,
            in_place=False,
            secrets=self._references.secrets,
            description=self._references.mask(f"HTTP {response.status_code} from {shown}, {size_words(size)}"),
        )

    def _spool(self, response: requests.Response, path: Path) -> int:
        limit = self._source.max_bytes
        announced = response.headers.get("content-length", "")
        if "content-encoding" not in response.headers and announced.isdigit() and int(announced) > limit:
            raise self._too_large(f"is {size_words(int(announced))} long")
        size = 0
        try:
            with path.open("wb") as file:
                for chunk in _chunks(response):
                    self._deadline.check()
                    if not size:
                        self._refuse_page(response, chunk)
                    size += len(chunk)
                    if size > limit:
                        raise self._too_large("goes on")
                    file.write(chunk)
        except requests.RequestException:
            raise  # an OSError too, but not the disk's
        except OSError as error:
            raise FetchError(
                f"the answer cannot be stored in {path.parent}: {error.strerror}",
                hint="Look at the free space and the rights of the folder of JOB_STORAGE_PATH.",
            ) from None
        return size

    def _too_large(self, what: str) -> FetchError:
        return FetchError(
            f"the body of {shown_url(self.url)} {what}, more than the {size_words(self._source.max_bytes)} "
            "that `max_bytes` allows",
            hint="Ask for less with `params`, or raise `data_source.max_bytes`.",
        )

    def _refuse_page(self, response: requests.Response, first: bytes) -> None:
        """Refuse a web page where a table was asked for: a login page with status 200 is the usual case.

        Told by the body, as many servers send good JSON under the content type of a page.
        """
        start = first[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
        content_type = response.headers.get("content-type", "")
        page = start.startswith((b"<!doctype html", b"<html"))
        if not page and (self._source.format is FileType.CSV or not start.startswith(b"<")):
            return
        what = "a web page" if page or "html" in content_type else "XML"
        text = body_text(content_type, first[:EXCERPT_BYTES], self._references)
        raise FetchError(
            f"{shown_url(self.url)} answers {what} where {self._source.format} was expected: {text}",
            hint="Often this is a login or error page: check `location`, `auth` and `headers`.",
        )


def _open_session(deadline: Deadline, verify: str | bool) -> requests.Session:
    session = _Session()
    session.trust_env = False  # no .netrc, and no proxies but ours
    session.verify = verify
    session.headers.clear()
    adapter = _WatchedAdapter(deadline)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _Session(requests.Session):
    """A session that never looks at redirects: its own look reads their whole body into memory first."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 - the base's signature
        return None


class _WatchedAdapter(HTTPAdapter):
    """Hands every socket to the deadline before the first byte passes, TLS handshake and proxies included."""

    def __init__(self, deadline: Deadline) -> None:
        self._deadline = deadline
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        if not hasattr(pool.ConnectionCls, "watched"):
            pool.ConnectionCls = _watched_class(pool.ConnectionCls, self._deadline)
        return pool


def _watched_class(base: Any, deadline: Deadline) -> Any:
    """A subclass of urllib3's connection class whose new sockets the deadline can shut."""

    def new_connection(self: Any) -> Any:
        connected = base._new_conn(self)  # noqa: SLF001 - documented by urllib3 as the place to open the socket
        try:
            deadline.watch(connected)
        except DeadlinePassedError:
            connected.close()
            raise
        return connected

    return type("WatchedConnection", (base,), {"_new_conn": new_connection, "watched": True})


def _redirect_target(response: requests.Response) -> str | None:
    location = response.headers.get("location")
    if response.status_code not in _REDIRECTS or location is None:
        return None
    # Header bytes arrive as Latin-1; addresses are UTF-8 where they are not plain ASCII.
    return location.encode("latin-1", "replace").decode("utf-8", "replace").strip()


def _chunks(response: requests.Response) -> Iterator[bytes]:
    return (chunk for chunk in response.iter_content(_CHUNK_BYTES) if chunk)


def _first_bytes(response: requests.Response, limit: int) -> bytes:
    """At most `limit` bytes of a body; what there was before the connection broke."""
    read = b""
    try:
        for chunk in response.iter_content(4096):
            read += chunk
            if len(read) >= limit:
                break
    except requests.RequestException:
        return read[:limit]
    return read[:limit]
