"""API sources: the answer to one request, or of all pages, as a file in the run's folder."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import partial

import requests
import urllib3

from runner.core.bookmark import Validator
from runner.core.report import size_words
from runner.core.source import DataSource, FileType, Pagination
from runner.core.words import counted
from runner.errors import FetchError
from runner.fetch.bodies import NO_CONTENT, Bodies, empty_fault
from runner.fetch.charsets import recode_json, require_encoding
from runner.fetch.client import Client
from runner.fetch.context import FetchContext, Fetched
from runner.fetch.deadline import Deadline, DeadlinePassedError, FetchCancelledError
from runner.fetch.faults import deadline_fault, request_fault
from runner.fetch.pages import Pages
from runner.fetch.references import References
from runner.fetch.request import HttpRequest, build_request, request_digest, shown_url
from runner.fetch.transport import Transport
from runner.fetch.words import one_line
from runner.fetch.written import written

_NOT_MODIFIED = 304
# What fits into a header, and is kept with the job: no server has a reason to send anything else.
_VALIDATOR = re.compile(r"[\x20-\x7e]{1,1024}\Z")


def fetch_http(source: DataSource, context: FetchContext, references: References) -> Fetched:
    """The data of an API, as `input-{name}.{format}` in the run's folder; of pages, as NDJSON.

    `timeout_seconds` bounds it all: name lookup, connections, redirects, waits, headers and bodies of every page.
    `max_bytes` counts unpacked bytes. TLS is always verified. Where the source tells whether it has changed,
    its answer has a validator, and with that of the last time the API is asked whether its data has changed since.

    Raises:
        FetchError: no answer, no success, no data, too much of it, or a host that may not be asked; not masked.
    """
    request = build_request(source, references)
    deadline = Deadline(context.timeout_seconds, context.cancelled)
    transport = Transport(context, references, deadline)
    client = Client(transport, deadline, references, first=request, retries=source.retries)
    work = _Work(source, context, references, client, Bodies(source, references, deadline))

    def fetch() -> Fetched:
        with transport:
            return work.pages(request, source.pagination) if source.pagination else work.one_answer(request)

    return _faults_told(client, deadline, request, fetch)


def _faults_told(client: Client, deadline: Deadline, request: HttpRequest, work: Callable[[], Fetched]) -> Fetched:
    """What `work` returns, or its fault in words."""
    try:
        return deadline.run(work)
    except FetchCancelledError:
        raise FetchError(f"the run was cancelled while {shown_url(request.url)} was fetched") from None
    except FetchError as error:
        fault = error
    except DeadlinePassedError:
        fault = deadline_fault(client.url, deadline.seconds, pages=client.taken, looked_up=deadline.looked_up)
    except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
        fault = request_fault(error, client.url, deadline.seconds, proxy=client.proxy, pages=client.taken)
    if client.sent > 1:
        raise FetchError(f"after {client.sent} requests: {fault.message}", hint=fault.hint)
    raise fault


class _OtherContentError(Exception):
    """A server tells that nothing has changed, and of another content than the one it was asked about."""


@dataclass(frozen=True)
class _Work:
    """What is done within the deadline."""

    source: DataSource
    context: FetchContext
    references: References
    client: Client
    bodies: Bodies

    def one_answer(self, request: HttpRequest) -> Fetched:
        """The body of one answer, as it is; where the API says that it has no content, a file without records."""
        digest = self._digest(request)
        known = self.context.validator
        known = known if digest and known and known.request == digest else None
        try:
            return self.client.ask(_conditional(request, known), partial(self._taken, digest=digest, known=known))
        except _OtherContentError:
            return self.client.ask(request, partial(self._taken, digest=digest, known=None))

    def _taken(self, response: requests.Response, *, digest: str, known: Validator | None) -> Fetched:
        told = f"HTTP {response.status_code} from {shown_url(self.client.url)}"
        if known is not None and response.status_code == _NOT_MODIFIED:
            if not _is_of(response, known):
                raise _OtherContentError
            told = self.references.mask(f"{told}: nothing has changed")
            return replace(self._fetched(told), validator=known, unchanged=True)
        fetched = self._fetched(told)
        if response.status_code == NO_CONTENT:
            fetched = replace(fetched, format=FileType.NDJSON, records_path=None)
        path = self.context.run_dir / f"input-{self.source.name}.{fetched.format}"
        size = self.bodies.spool(response, path)
        if not size and fetched.format is not FileType.NDJSON:
            raise empty_fault(response, fetched.format)
        require_encoding(self.source, response, path, self.client.check)
        recode_json(self.source, response, path, self.client.check)
        return replace(
            fetched,
            paths=(path,),
            description=f"{fetched.description}, {size_words(size)}",
            bytes=size,
            validator=self._validator(response, digest),
        )

    def pages(self, request: HttpRequest, pagination: Pagination) -> Fetched:
        """The records of all pages, one a line."""
        path = self.context.run_dir / f"input-{self.source.name}.{FileType.NDJSON}"
        count = size = 0
        pages = Pages(self.source, pagination, request, self.client, self.bodies)
        with written(path) as file:
            for page in pages.read():
                count += 1
                size += file.write(page)
        told = f"{counted(count, 'page')} from {shown_url(request.url)}, {size_words(size)}"
        return replace(
            self._fetched(told),
            paths=(path,),
            format=FileType.NDJSON,
            records_path=None,
            bytes=size,
            note=one_line(self.references.mask(pages.note)),
        )

    def _fetched(self, told: str) -> Fetched:
        return Fetched(
            paths=(),
            format=self.source.format,
            records_path=self.source.records_path,
            bytes=0,
            secrets=self.references.secrets,
            description=self.references.mask(told),
        )

    def _digest(self, request: HttpRequest) -> str:
        """What was asked; empty where no validator is kept."""
        return request_digest(request, self.references) if self.source.tells_unchanged else ""

    def _validator(self, response: requests.Response, digest: str) -> Validator | None:
        etag, modified = (
            value if _VALIDATOR.match(value := response.headers.get(name, "")) else ""
            for name in ("etag", "last-modified")
        )
        modified = modified if _tells_changes(modified, response.headers.get("date", "")) else ""
        if not digest or response.status_code != 200 or not (etag or modified):
            return None
        return Validator(source=self.source.name, request=digest, etag=etag, last_modified=modified)


def _is_of(response: requests.Response, known: Validator) -> bool:
    """Whether an answer is of what is known, as far as its ETag says (RFC 9111, section 4.3.4). A server that
    looks at times alone sees no second change within a second."""
    etag = response.headers.get("etag", known.etag)
    return not known.etag or etag.removeprefix("W/") == known.etag.removeprefix("W/")


def _tells_changes(modified: str, date: str) -> bool:
    """Whether the time of the last change would be another one after the next (RFC 9110, section 8.8.2.2): it is
    in whole seconds, so not where the answer is of the same one, in which its data may have changed once more.

    Args:
        date: when the answer was made, by the clock of the server.
    """
    try:
        changed, answered = parsedate_to_datetime(modified), parsedate_to_datetime(date)
        return changed < answered
    except (TypeError, ValueError, OverflowError):
        # No times; or one of them without a zone, which cannot be compared.
        return False


def _conditional(request: HttpRequest, known: Validator | None) -> HttpRequest:
    """The request as a question whether anything has changed."""
    if known is None:
        return request
    conditions = {"if-none-match": known.etag, "if-modified-since": known.last_modified}
    return replace(
        request, headers={**request.headers, **{name: value for name, value in conditions.items() if value}}
    )
