"""How an API is asked for its next page: by number, by cursor, or by the address that an answer names."""

import re
from typing import Any, Protocol

import requests

from runner.core.source import DataSource, Pagination, PaginationKind
from runner.core.words import counted, kind_words
from runner.errors import FetchError
from runner.fetch.client import Client
from runner.fetch.link_header import next_link
from runner.fetch.next_path import NextPath
from runner.fetch.page_params import with_page_param
from runner.fetch.page_reader import Page, PageReader, WrittenNumber, as_json, digest_of
from runner.fetch.request import HttpRequest, linked, shown_url

# Refusals that are about who asks and how often, not about the page that is asked for.
_NOT_OF_THE_PAGE = frozenset({401, 403, 407, 408, 429})
_CIRCLE_HINT = "The API must say nothing more after its last page; check `pagination`."
_BODY_HINT = (
    "`{}` is sent in the address, not in `body`: an API that looks for it there, as GraphQL does, gives its first "
    "page again. Write `in: body` under `pagination`, and as `param` the keys that lead to it, such as "
    "`variables.{}`."
)
_PLACE_HINT = (
    "Set `pagination.param` to the keys that lead to its place in `body`, such as `variables.after`; the query of "
    "GraphQL must use the variable, as in `orders(after: $after)`."
)
# The next page as OData and Salesforce name it.
_ADDRESS = re.compile(r"https?://|/")
_LINK_HINT = (
    "It must lead to an address, such as https://api.example.com/rows?page=2 or /rows?page=2, and to nothing in "
    "the last answer. For a cursor write `type: cursor`, with `param` and `cursor_path`."
)


class Paging(Protocol):
    """One load, page by page; `first` is the request for the first."""

    first: HttpRequest

    @property
    def note(self) -> str:
        """As of `NextPath`."""
        ...

    def read(self, response: requests.Response) -> Page:
        """What was answered.

        Raises:
            FetchError: as `PageReader.read`.
        """
        ...

    def following(self, page: Page) -> HttpRequest | None:
        """The request for the page after this one; None after the last.

        Raises:
            FetchError: the pages go in a circle or are all the same, or this is not the last though it looks so.
        """
        ...


def paging_of(
    source: DataSource, pagination: Pagination, request: HttpRequest, client: Client, reader: PageReader
) -> Paging:
    """How the pages of a source are asked for."""
    if pagination.kind is PaginationKind.CURSOR:
        path = NextPath("cursor_path", pagination.cursor_path, source, pagination, client)
        return _ByCursor(pagination, request, path, reader)
    if pagination.kind is PaginationKind.LINK_HEADER:
        return _ByLink(request, reader, pagination.size)
    if pagination.kind is PaginationKind.NEXT_LINK:
        path = NextPath("link_path", pagination.link_path, source, pagination, client)
        return _ByLinkInBody(pagination, request, path, reader)
    return _ByNumber(pagination, request, client, reader)


class _ByNumber:
    """By the number of the page, or by the records before it."""

    note = ""

    def __init__(self, pagination: Pagination, request: HttpRequest, client: Client, reader: PageReader) -> None:
        self._pagination = pagination
        self._request = request
        self._client = client
        self._reader = reader
        self._position = pagination.start
        self._pages = self._records = 0
        self._digest_before = self._first_records = b""
        self.first = self._at(self._position)

    def read(self, response: requests.Response) -> Page:
        return self._reader.read_or_end(response) if self._pages else self._reader.read(response)

    def following(self, page: Page) -> HttpRequest | None:
        self._pages += 1
        given = page.given.count
        self._records += given
        self._first_records = self._first_records or digest_of(page.records)
        if page.digest == self._digest_before and _differ(page.records):
            raise self._ignored()
        self._digest_before = page.digest
        size = self._pagination.size
        if given and (size is None or given >= size):
            by_page = self._pagination.kind is PaginationKind.PAGE
            # An offset counts what was given, not what was asked for, nor what is left of it.
            self._position += 1 if by_page else given
            return self._at(self._position)
        if given or page.given.is_doubtful:
            self._require_end(page)
        return None

    def _at(self, position: int) -> HttpRequest:
        return with_page_param(self._request, self._pagination, self._pagination.param, position)

    def _require_end(self, page: Page) -> None:
        """Let a short page be the last: a server may give less than it is asked for, or leave records out of a
        page, and would cut the load off there. Where there is no page, some give the last one again, and some the
        first one.

        Raises:
            FetchError: there are other records behind it; or nobody can tell: as `Pages.read`.
        """
        behind = self._at(self._pagination.start + self._places_behind(page.given.count))
        try:
            after = self._client.ask(
                behind, lambda response: None if _refuses_page(response) else self._reader.read(response)
            )
        except FetchError as error:
            # Else nobody knows why the runner has asked for it.
            asked = (
                "This is what is behind a short page: an API says by an empty page or HTTP 404 that it is nothing."
            )
            raise FetchError(error.message, hint=f"{error.hint} {asked}".lstrip()) from error
        known = {self._first_records, digest_of(page.records)}
        if after is not None and after.given.count and digest_of(after.records) not in known:
            raise self._doubtful() if page.given.is_doubtful else self._too_short(page.given.count)

    def _places_behind(self, given: int) -> int:
        """How far behind the first page that stands which would follow a short one, with `given` records."""
        size = self._pagination.size
        if self._pagination.kind is PaginationKind.PAGE:
            return self._pages
        # A first page tells how many a server gives at most. Later it has given as many as asked for: what is
        # right behind a short page is then what it has left out, or what has been added this moment, which is
        # nothing lost.
        return self._records if self._pages == 1 or size is None else self._records - given + size

    def _ignored(self) -> FetchError:
        """A page like the one before it. Its records alone tell nothing: there may be many of a kind."""
        param = self._pagination.param
        return FetchError(
            f"page {self._pages} of {shown_url(self._request.url)} is, byte for byte, the page before it: "
            f"the parameter `{param}` seems to be ignored",
            hint=_hint_of_place(self._pagination, self._request)
            or "Set `pagination.param` to what the API calls it, or remove `pagination`: it may give all at once.",
        )

    def _doubtful(self) -> FetchError:
        """A page of which `records_path` leaves nothing, and more behind it."""
        return FetchError(
            f"`records_path` finds no records in page {self._pages} of {shown_url(self._request.url)}, and behind "
            "it there are more",
            hint="Let `records_path` lead to the array that comes in pages, and choose and unfold in the step: "
            "pages by number or offset end with an empty one.",
        )

    def _too_short(self, given: int) -> FetchError:
        """A page with fewer records than it was asked for, and more behind it."""
        where, size = shown_url(self._request.url), self._pagination.size
        if self._pages == 1:
            return FetchError(
                f"{where} gives {given} records a page, `pagination.size` says {size}",
                hint=f"Set `pagination.size` to {given}: by that, the last page is known.",
            )
        # By what was given an offset would lead back into such a page, and its records come twice.
        by_offset = "Ask by page or by cursor, where the API can: it leaves records out of a page."
        by_page = "Remove `pagination.size`, and write it into `params`: by that, the last page is an empty one."
        return FetchError(
            f"page {self._pages} of {where} has {given} records, `pagination.size` says {size}, and behind it "
            "there are more",
            hint=by_page if self._pagination.kind is PaginationKind.PAGE else by_offset,
        )


class _ByCursor:
    """By what the answer before says. The first request is the job's own, with a cursor of its own or none."""

    def __init__(self, pagination: Pagination, request: HttpRequest, path: NextPath, reader: PageReader) -> None:
        self._pagination = pagination
        self._path = path
        self._seen: set[str] = set()
        self._digest_before = b""
        self.first = request
        self.read = reader.read

    @property
    def note(self) -> str:
        return self._path.note

    def following(self, page: Page) -> HttpRequest | None:
        cursor = self._cursor_of(page)
        if cursor is None:
            return None
        param = self._pagination.param
        hint = self._hint_of_circle(cursor, is_same=page.digest == self._digest_before)
        self._digest_before = page.digest
        _require_new(as_json(cursor).decode(), self._seen, f"the cursor for `{param}`", hint)
        return with_page_param(self.first, self._pagination, param, cursor)

    def _hint_of_circle(self, cursor: Any, *, is_same: bool) -> str:
        """What to do where a cursor comes again. `is_same`: the answer to it is the page before, byte for byte."""
        param = self._pagination.param
        ignored = (
            f"The answer to it is the page before, byte for byte: the parameter `{param}` seems to be ignored. "
            if is_same
            else ""
        )
        if ignored and isinstance(cursor, str) and _ADDRESS.match(cursor):
            return (
                f"{ignored}What `cursor_path` finds is an address, and no cursor: write `type: next_link`, and "
                f"`link_path` in place of `cursor_path` and `param`."
            )
        place = _hint_of_place(self._pagination, self.first)
        if place and (ignored or not self._pagination.in_body):
            return ignored + place
        return f"{ignored}Set `pagination.param` to what the API calls it." if ignored else _CIRCLE_HINT

    def _cursor_of(self, page: Page) -> Any:
        """What the answer names; None at the end. A body takes values of every kind, an address does not."""
        found = self._path.find(page)
        in_body = self._pagination.in_body
        if _is_end(found) or (in_body and found in ([], {})):
            return None
        kinds = (str, int, float, list, dict) if in_body else (str, int, WrittenNumber)
        if isinstance(found, bool) or not isinstance(found, kinds):
            hint = "It must lead to a text or a number, and to nothing in the last answer."
            if isinstance(found, (list, dict)):
                hint += " A cursor of several values can be sent in `body` alone: write `in: body`."
            raise FetchError(
                f"`pagination.cursor_path: {self._pagination.cursor_path}` finds {kind_words(found)}, no cursor",
                hint=hint,
            )
        return found


class _ByLink:
    """By the address in the header `Link` of the answer before (RFC 8288)."""

    def __init__(self, request: HttpRequest, reader: PageReader, page_size: int | None = None) -> None:
        self._note = ""
        self._reader = reader
        self._page_size = page_size
        self._seen: set[str] = set()
        self.first = request

    @property
    def note(self) -> str:
        return self._note

    def read(self, response: requests.Response) -> Page:
        return self._reader.read(response)

    def following(self, page: Page) -> HttpRequest | None:
        link = next_link(page.link)
        is_full = page.given.count == self._page_size
        if is_full and not link and not self._seen:
            self._note = _note_of_first(page)
        return self._linked(page, link, "the next page of the header Link", _CIRCLE_HINT)

    def _linked(self, page: Page, link: str, what: str, hint_of_circle: str, hint: str = "") -> HttpRequest | None:
        """The request for the page that the one before names as `link`; None where that is empty."""
        self._seen.add(page.sent_url)
        if not link:
            return None
        after = linked(page.request, sent_url=page.sent_url, location=link, hint=hint)
        _require_new(after.url, self._seen, what, hint_of_circle)
        return after


class _ByLinkInBody(_ByLink):
    """By the address in the body of the answer before."""

    def __init__(self, pagination: Pagination, request: HttpRequest, path: NextPath, reader: PageReader) -> None:
        super().__init__(request, reader)
        self._named = f"`pagination.link_path: {pagination.link_path}`"
        self._path = path
        self._doubt = ""

    @property
    def note(self) -> str:
        return self._path.note

    def read(self, response: requests.Response) -> Page:
        try:
            return super().read(response)
        except FetchError as error:
            if not self._doubt:
                raise
            raise FetchError(error.message, hint=f"{error.hint} {self._doubt}".lstrip()) from error

    def following(self, page: Page) -> HttpRequest | None:
        link = self._link_of(page)
        # `eyJpZCI6NX0` may be a page beside this one, as `page-2.json` is; mostly it is a cursor.
        is_doubtful = link and not _ADDRESS.match(link) and "?" not in link
        self._doubt = f"{self._named} finds no whole address, and was taken for the end of one. {_LINK_HINT}"
        self._doubt = self._doubt if is_doubtful else ""
        what = f"the next page that {self._named} finds"
        return self._linked(page, link, what, self._doubt or _CIRCLE_HINT, _LINK_HINT)

    def _link_of(self, page: Page) -> str:
        found = self._path.find(page)
        if _is_end(found):
            return ""
        if not isinstance(found, str):
            raise FetchError(f"{self._named} finds {kind_words(found)}, no address", hint=_LINK_HINT)
        return found.strip()


def _note_of_first(page: Page) -> str:
    """What people should know of a first page that is full, and names no other."""
    others = "names no page with rel=next" if page.link else "is missing"
    return (
        f"only the first page was read, and rows may be missing: it has {counted(page.given.count, 'record')}, as "
        f"many as `pagination.size` says, and its header Link {others}"
    )


def _hint_of_place(pagination: Pagination, request: HttpRequest) -> str:
    """What to do where a POST gives the same page again; nothing for a GET."""
    if pagination.in_body:
        return _PLACE_HINT
    name = pagination.param
    return _BODY_HINT.format(name, name.rpartition(".")[2]) if request.method == "POST" else ""


def _is_end(found: object) -> bool:
    """Whether an API says by what a path finds that there is no next page."""
    return found is None or found is False or found == ""


def _differ(records: list[Any]) -> bool:
    """Whether a page has several kinds of records: two pages of one kind may well be equal."""
    return any(record != records[0] for record in records)


def _refuses_page(response: requests.Response) -> bool:
    """Whether an API says that there is no such page."""
    return 400 <= response.status_code < 500 and response.status_code not in _NOT_OF_THE_PAGE


def _require_new(value: str, seen: set[str], what: str, hint: str) -> None:
    if value in seen:
        raise FetchError(f"{what} comes a second time: the pages go in a circle", hint=hint)
    seen.add(value)
