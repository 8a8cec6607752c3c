"""An API that is asked page by page: the records of all pages in one file, one a line."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import msgspec
import requests

from runner.core.null_records import ERRORS_HINT, errors_of, leads_to_null
from runner.core.report import size_words
from runner.core.source import DataSource, FileType, Pagination, PaginationKind
from runner.errors import FetchError
from runner.fetch.bodies import NO_CONTENT, Bodies, empty_fault
from runner.fetch.client import Client, header_text
from runner.fetch.json_path import JsonPath
from runner.fetch.request import HttpRequest, linked, shown_url, with_param

# Refusals that are about who asks and how often, not about the page that is asked for.
_NOT_OF_THE_PAGE = frozenset({401, 403, 407, 408, 429})
# By this an API says that there is no such page, where the answer is JSON: what stands in front of it answers in
# HTML or plain text while the API cannot be reached.
_NO_PAGE = 404
# A page is in memory as a whole, and as objects takes many times its size.
PAGE_BYTES = 16 << 20
_BOM = b"\xef\xbb\xbf"
# Possessive: a server's header must not make this look at its blanks again and again.
_LINK_PARAM = r"\s*+;\s*+([^\s=;,\"]++)\s*+(?:=\s*+(?:\"([^\"]*+)\"|([^\",;\s]*+)))?+"
_PARAM = re.compile(_LINK_PARAM)
_LINK = re.compile(rf"<([^<>]*+)>((?:{_LINK_PARAM})*+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One answer: what it holds, and the records in that.

    `size` is that of the body in bytes, `digest` tells it from others. `request` is the one it answers, after
    redirects; `sent_url` where it came from, parameters included. `link` is the address of the next page in its
    header, as it stands there; empty: none.
    """

    document: Any
    size: int
    records: list[Any]
    digest: bytes
    request: HttpRequest
    sent_url: str
    link: str


# From a page to the request for the next; None after the last.
Following = Callable[[Page], HttpRequest | None]


class _Number(float):
    """A number with a point or an exponent that is written again as it was read, with every digit."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number


# JMESPath knows a number by the name of its type.
_Number.__name__ = "float"


def _as_read(value: object) -> msgspec.Raw:
    if isinstance(value, _Number):
        return msgspec.Raw(value.text.encode("ascii"))
    raise FetchError(
        "`records_path` makes records that are no JSON", hint="It must lead to records of the answer."
    )


_DECODER = msgspec.json.Decoder(float_hook=_Number)
_ENCODER = msgspec.json.Encoder(enc_hook=_as_read)
_SORTED = msgspec.json.Encoder(enc_hook=_as_read, order="sorted")


def fetch_pages(
    source: DataSource, pagination: Pagination, request: HttpRequest, client: Client, bodies: Bodies
) -> Iterator[bytes]:
    """The records of one page after the other, as lines of JSON. Numbers keep every digit.

    Raises:
        FetchError: a page is no JSON, has no array of records or is too large, the pages go in a circle or are all
            the same, there are more of them than `max_pages`; or as `Client.ask`.
        requests.RequestException, urllib3.exceptions.HTTPError: as `Client.ask`.
    """
    if pagination.size_param and pagination.size is not None:
        request = with_param(request, pagination.size_param, str(pagination.size))
    reader = _Reader(source, client, bodies)
    following: HttpRequest | None
    following, find_following = _FOLLOWING[pagination.kind](pagination, request, client)
    number = count = 0
    first = b""
    while following is not None:
        page = client.ask(
            following, reader.read_or_end if number and pagination.kind in _NUMBERED else reader.read
        )
        number += 1
        count += len(page.records)
        first = first or _told_apart(page.records)
        following = find_following(page)
        if following is None and page.records and pagination.kind in _NUMBERED:
            position = pagination.start + _places_to(pagination, number, count, len(page.records))
            behind = with_param(request, pagination.param, str(position))
            if _has_more(page, first, behind, client, reader):
                raise _too_short(pagination, request, number, len(page.records))
        if number > pagination.max_pages and (page.records or following is not None):
            raise FetchError(
                f"{shown_url(request.url)} has more than the {pagination.max_pages} pages that "
                "`pagination.max_pages` allows",
                hint="Ask for less with `params`, for more records a page, or raise `pagination.max_pages`.",
            )
        yield _ENCODER.encode_lines(page.records)


class _Reader:
    """Reads one page after the other."""

    def __init__(self, source: DataSource, client: Client, bodies: Bodies) -> None:
        self._source = source
        self._client = client
        self._bodies = bodies
        self._path = JsonPath("records_path", source.records_path) if source.records_path else None
        self._count = 0

    def read(self, response: requests.Response) -> Page:
        body = self._bodies.read(response, PAGE_BYTES).removeprefix(_BOM)
        is_blank = not body or body.isspace()
        if is_blank and not self._count and response.status_code != NO_CONTENT:
            raise empty_fault(response, FileType.JSON)
        document = None if is_blank else self._parsed(body)
        page = Page(
            document=document,
            size=len(body),
            records=[] if is_blank else self._records(document, response, body),
            digest=hashlib.sha256(body).digest(),
            request=self._client.asked,
            sent_url=response.request.url or self._client.url,
            link=_next_link(header_text(response.headers.get("link", ""))),
        )
        self._count += 1
        return page

    def read_or_end(self, response: requests.Response) -> Page:
        """As `read`; a page without records where the API says that there are no more: some know no other way."""
        if response.status_code != _NO_PAGE or "json" not in response.headers.get("content-type", "").lower():
            return self.read(response)
        sent_url = response.request.url or self._client.url
        return Page(
            document=None, size=0, records=[], digest=b"", request=self._client.asked, sent_url=sent_url, link=""
        )

    @property
    def _named(self) -> str:
        """The page that is being read, for people."""
        return f"page {self._count + 1} of {shown_url(self._client.url)}"

    def _parsed(self, body: bytes) -> Any:
        try:
            return _DECODER.decode(body)
        except RecursionError:
            reason = "it is nested too deep"
        except (msgspec.MsgspecError, ValueError) as error:
            reason = _reason(body, error)
        raise FetchError(
            f"{self._named} ({size_words(len(body))}) cannot be read as JSON: {reason}",
            hint="Pages must be JSON: ask the API with curl, and check `location` and `headers`.",
        )

    def _records(self, document: Any, response: requests.Response, body: bytes) -> list[Any]:
        """The records of a page; none where their place is there and holds a null."""
        found = document if self._path is None else self._path.search(document, len(body), self._client.check)
        if isinstance(found, list):
            return found
        if found is None and (self._path is None or leads_to_null(self._path.parsed, document)):
            return []
        where = f"`records_path: {self._source.records_path}` finds" if self._path else "it holds"
        message = f"{self._named} has no array of records: {where} {_described(found)}"
        if self._count or errors_of(document):
            hint = ERRORS_HINT if errors_of(document) else self._hint_of_later()
            raise FetchError(f"{message}: {self._bodies.excerpt(response, body)}", hint=hint)
        members = list(document) if isinstance(document, dict) else []
        arrays = [f"`records_path: {name}`" for name in members if isinstance(document[name], list)]
        hint = f"Write {' or '.join(arrays[:3])}." if arrays else "Set `records_path`, a JMESPath to the records."
        raise FetchError(message, hint=hint)

    def _hint_of_later(self) -> str:
        """What to do about a page that is not as those before it."""
        hint = "The pages before it have records: see in the API's documentation what this answer means."
        if self._path is None:
            return hint
        quote = "'" if '"' in (self._source.records_path or "") else '"'
        return (
            f"{hint} If it says that there are no more, "
            f"write `records_path: {quote}{self._source.records_path} || `[]`{quote}`."
        )


def _numbered(pagination: Pagination, request: HttpRequest, _client: Client) -> tuple[HttpRequest, Following]:
    """By the number of the page, or by the records before it."""
    position = pagination.start
    number, before = 0, b""

    def following(page: Page) -> HttpRequest | None:
        nonlocal position, number, before
        number += 1
        count = len(page.records)
        if page.digest == before and _differ(page.records):
            raise _ignored(pagination, request, number)
        before = page.digest
        if not count or (pagination.size is not None and count < pagination.size):
            return None
        position += _step(pagination, page)
        return with_param(request, pagination.param, str(position))

    return with_param(request, pagination.param, str(position)), following


def _differ(records: list[Any]) -> bool:
    """Whether a page has several kinds of records: two pages of one kind may well be equal."""
    return any(record != records[0] for record in records)


def _ignored(pagination: Pagination, request: HttpRequest, number: int) -> FetchError:
    """A page like the one before it. Its records alone tell nothing: there may be many of a kind."""
    return FetchError(
        f"page {number} of {shown_url(request.url)} is, byte for byte, the page before it: "
        f"the parameter `{pagination.param}` seems to be ignored",
        hint="Set `pagination.param` to what the API calls it, or remove `pagination`: it may give all at once.",
    )


def _step(pagination: Pagination, page: Page) -> int:
    """From the position of a page to that of the next: an offset counts what was given, not what was asked for."""
    return 1 if pagination.kind is PaginationKind.PAGE else len(page.records)


def _places_to(pagination: Pagination, number: int, count: int, given: int) -> int:
    """How far behind the first page that stands which would follow a short one, `number` from 1, with `given` of
    the `count` records so far."""
    if pagination.kind is PaginationKind.PAGE:
        return number
    # A first page tells how many a server gives at most. Later it has given as many as asked for: what is right
    # behind a short page is then what it has left out, or what has been added this moment, which is nothing lost.
    return count if number == 1 or pagination.size is None else count - given + pagination.size


def _told_apart(records: list[Any]) -> bytes:
    """What tells the records of one page from those of others, in whatever order their members come."""
    return hashlib.sha256(_SORTED.encode(records)).digest()


def _has_more(page: Page, first: bytes, behind: HttpRequest, client: Client, reader: "_Reader") -> bool:
    """Whether there are other records behind a page that is short: a server may give less than it is asked for, or
    leave records out of a page, and would cut the load off there. Where there is no page, some give the last one
    again, and some the first one, which `first` tells apart.

    Raises:
        FetchError: nobody can tell: as `fetch_pages`.
    """
    try:
        after = client.ask(behind, lambda response: None if _refuses_page(response) else reader.read(response))
    except FetchError as error:
        # Else nobody knows why the runner has asked for it.
        asked = "This is what is behind a short page: an API says by an empty page or HTTP 404 that it is nothing."
        raise FetchError(error.message, hint=f"{error.hint} {asked}".lstrip()) from error
    if after is None or not after.records:
        return False
    return _told_apart(after.records) not in {first, _told_apart(page.records)}


def _too_short(pagination: Pagination, request: HttpRequest, number: int, given: int) -> FetchError:
    """A page with fewer records than it was asked for, and more behind it; `number` is counted from 1."""
    where = shown_url(request.url)
    if number == 1:
        return FetchError(
            f"{where} gives {given} records a page, `pagination.size` says {pagination.size}",
            hint=f"Set `pagination.size` to {given}: by that, the last page is known.",
        )
    # By what was given an offset would lead back into such a page, and its records come twice.
    by_offset = "Ask by page or by cursor, where the API can: it leaves records out of a page."
    by_page = "Remove `pagination.size`, and write it into `params`: by that, the last page is an empty one."
    return FetchError(
        f"page {number} of {where} has {given} records, `pagination.size` says {pagination.size}, and behind it "
        "there are more",
        hint=by_page if pagination.kind is PaginationKind.PAGE else by_offset,
    )


def _refuses_page(response: requests.Response) -> bool:
    """Whether an API says that there is no such page."""
    return 400 <= response.status_code < 500 and response.status_code not in _NOT_OF_THE_PAGE


def _by_cursor(pagination: Pagination, request: HttpRequest, client: Client) -> tuple[HttpRequest, Following]:
    """By what the answer before says. The first request is the job's own, with a cursor of its own or none."""
    path = JsonPath("pagination.cursor_path", pagination.cursor_path)
    seen: set[str] = set()

    def following(page: Page) -> HttpRequest | None:
        found = path.search(page.document, page.size, client.check)
        if found is None or found is False or found == "":
            return None
        if isinstance(found, bool) or not isinstance(found, (str, int, _Number)):
            raise FetchError(
                f"`pagination.cursor_path: {pagination.cursor_path}` finds {_described(found)}, no cursor",
                hint="It must lead to a text or a number, and to nothing in the last answer.",
            )
        cursor = found.text if isinstance(found, _Number) else str(found)
        _require_new(cursor, seen, f"the cursor for `{pagination.param}`")
        return with_param(request, pagination.param, cursor)

    return request, following


def _by_link(_pagination: Pagination, request: HttpRequest, _client: Client) -> tuple[HttpRequest, Following]:
    """By the address in the header `Link` of the answer before (RFC 8288)."""
    seen: set[str] = set()

    def following(page: Page) -> HttpRequest | None:
        seen.add(page.sent_url)
        if not page.link:
            return None
        after = linked(page.request, sent_url=page.sent_url, location=page.link)
        _require_new(after.url, seen, "the next page of the header Link")
        return after

    return request, following


_NUMBERED = frozenset({PaginationKind.PAGE, PaginationKind.OFFSET})
_FOLLOWING = {
    PaginationKind.PAGE: _numbered,
    PaginationKind.OFFSET: _numbered,
    PaginationKind.CURSOR: _by_cursor,
    PaginationKind.LINK_HEADER: _by_link,
}


def _require_new(value: str, seen: set[str], what: str) -> None:
    if value in seen:
        raise FetchError(
            f"{what} comes a second time: the pages go in a circle",
            hint="The API must say nothing more after its last page; check `pagination`.",
        )
    seen.add(value)


def _next_link(header: str) -> str:
    """The target of `rel="next"` in a Link header; empty: there is none."""
    for link in _LINK.finditer(header):
        params = ((name.lower(), quoted or plain) for name, quoted, plain in _PARAM.findall(link[2]))
        relations = next((value for name, value in params if name == "rel"), "")
        if "next" in relations.lower().split():
            return link[1].strip()
    return ""


def _reason(body: bytes, error: Exception) -> str:
    """Why a body is no JSON, where what msgspec says of it is something else."""
    try:
        # NaN and its kin are no JSON, and no numbers to `int`.
        json.loads(body.decode(), parse_constant=int)
    except UnicodeDecodeError:
        return "it is no UTF-8 text"
    except (ValueError, RecursionError):
        return str(error)
    return "a text in it has a half of a surrogate pair, which is no character"


def _described(value: object) -> str:
    names = {type(None): "nothing", bool: "a boolean", int: "a number", _Number: "a number", str: "a text"}
    return names.get(type(value), "an array" if isinstance(value, list) else "an object")
