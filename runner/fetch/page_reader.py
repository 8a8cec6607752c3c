"""One page of an API: its answer → the records in it, each number as it was written."""

import hashlib
import json
from dataclasses import dataclass
from typing import Any, Self

import msgspec
import requests

from runner.core.null_records import ERRORS_HINT, errors_of
from runner.core.report import size_words
from runner.core.source import DataSource, FileType
from runner.core.words import kind_words
from runner.errors import FetchError
from runner.fetch.bodies import NO_CONTENT, Bodies, empty_fault
from runner.fetch.charsets import recoded
from runner.fetch.client import Client, header_text
from runner.fetch.given_records import Given, GivenRecords
from runner.fetch.json_path import JsonPath
from runner.fetch.request import HttpRequest, shown_url

# By this an API says that there is no such page, where the answer is JSON: what stands in front of it answers in
# HTML or plain text while the API cannot be reached.
_NO_PAGE = 404
# A page is in memory as a whole, and as objects takes many times its size.
PAGE_BYTES = 16 << 20
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """One answer: what it holds, and the records in that.

    `given` is how many records it was given with, of which `records_path` may leave some out.
    `size` is that of the body in bytes, `digest` tells it from others. `request` is the one it answers, after
    redirects; `sent_url` where it came from, parameters included. `link` is its header of that
    name; empty: none.
    """

    document: Any
    size: int
    records: list[Any]
    given: Given
    digest: bytes
    request: HttpRequest
    sent_url: str
    link: str


class WrittenNumber(float):
    """A number with a point or an exponent that is written again as it was read, with every digit."""

    __slots__ = ("text",)
    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number


# JMESPath knows a number by the name of its type.
WrittenNumber.__name__ = "float"


def _as_read(value: object) -> msgspec.Raw:
    if isinstance(value, WrittenNumber):
        return msgspec.Raw(value.text.encode("ascii"))
    raise FetchError(
        "`records_path` makes records that are no JSON", hint="It must lead to records of the answer."
    )


_DECODER = msgspec.json.Decoder(float_hook=WrittenNumber)
_ENCODER = msgspec.json.Encoder(enc_hook=_as_read)
_SORTED = msgspec.json.Encoder(enc_hook=_as_read, order="sorted")


class PageReader:
    """Reads one page after the other."""

    def __init__(self, source: DataSource, client: Client, bodies: Bodies) -> None:
        self._source = source
        self._client = client
        self._bodies = bodies
        self._path = JsonPath("records_path", source.records_path) if source.records_path else None
        self._given = GivenRecords(self._path, source.pagination.size if source.pagination else None)
        self._count = 0

    def read(self, response: requests.Response) -> Page:
        """What was answered.

        Raises:
            FetchError: it is no JSON, has no array of records, or is too large.
        """
        body = recoded(response, self._bodies.read(response, PAGE_BYTES)).removeprefix(_BOM)
        is_blank = not body or body.isspace()
        if is_blank and not self._count and response.status_code != NO_CONTENT:
            raise empty_fault(response, FileType.JSON)
        document = None if is_blank else self._parsed(body)
        records = [] if is_blank else self._records(document, response, body)
        page = Page(
            document=document,
            size=len(body),
            records=records,
            given=Given(count=0) if is_blank else self._given.of(document, len(records), self._client.check),
            digest=hashlib.sha256(body).digest(),
            request=self._client.asked,
            sent_url=response.request.url or self._client.url,
            link=header_text(response.headers.get("link", "")),
        )
        self._count += 1
        return page

    def read_or_end(self, response: requests.Response) -> Page:
        """As `read`; a page without records where the API says that there are no more: some know no other way."""
        if response.status_code != _NO_PAGE or "json" not in response.headers.get("content-type", "").lower():
            return self.read(response)
        sent_url = response.request.url or self._client.url
        return Page(
            document=None,
            size=0,
            records=[],
            given=Given(count=0),
            digest=b"",
            request=self._client.asked,
            sent_url=sent_url,
            link="",
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
        if found is None and (self._path is None or self._path.leads_to_null(document, self._client.check)):
            return []
        where = f"`records_path: {self._source.records_path}` finds" if self._path else "it holds"
        message = f"{self._named} has no array of records: {where} {kind_words(found)}"
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


def as_lines(records: list[Any]) -> bytes:
    """Records as JSON, one a line.

    Raises:
        FetchError: an expression has made of them what is no JSON.
    """
    return _ENCODER.encode_lines(records)


def as_json(value: Any) -> bytes:
    """A value of JSON, numbers as they were read."""
    return _ENCODER.encode(value)


def from_json(text: bytes) -> Any:
    """The value of a text that is JSON; `as_json` writes its numbers again as they stand there."""
    return _DECODER.decode(text)


def digest_of(records: list[Any]) -> bytes:
    """What tells the records of one page from those of others, in whatever order their members come."""
    return hashlib.sha256(_SORTED.encode(records)).digest()


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
