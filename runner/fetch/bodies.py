"""Reads the bodies of answers: successes alone, unpacked, and no more of them than the source allows."""

import re
from collections.abc import Iterator
from pathlib import Path

import requests

from runner.core.report import size_words
from runner.core.source import DataSource, FileType
from runner.errors import FetchError
from runner.fetch.client import first_bytes
from runner.fetch.deadline import Deadline
from runner.fetch.faults import EXCERPT_BYTES, body_text, status_fault
from runner.fetch.places import source_key
from runner.fetch.references import References
from runner.fetch.request import shown_url
from runner.fetch.unpacking import unpacked, unpacked_file
from runner.fetch.written import written

_CHUNK_BYTES = 64 * 1024
_HEAD_BYTES = 4 * 1024
_TELLING_BYTES = 64
_BOM = b"\xef\xbb\xbf"
_PAGES = (b"<!doctype html", b"<html")
_MARKUP = (*_PAGES, b"<?xml", b"<!--", b"<!doctype")
_PARTIAL = 206
# One length, or the same one several times (RFC 9110, section 8.6): several that differ do not get this far.
_LENGTH = re.compile(r"[0-9]+(?:[ \t]*,[ \t]*[0-9]+)*", re.ASCII)
NO_CONTENT = 204


class Bodies:
    """The bodies of one source. `max_bytes` holds for all of them together, and counts unpacked bytes.

    `taken` counts the bytes of those that were read to their end.
    """

    def __init__(self, source: DataSource, references: References, deadline: Deadline) -> None:
        self._source = source
        self._references = references
        self._deadline = deadline
        self.taken = 0

    def spool(self, response: requests.Response, path: Path) -> int:
        """Write a body to a file, anew where it is there; its size.

        Raises:
            FetchError: no success, no table, too much of it, or no room for it.
            requests.RequestException: it broke off.
        """
        size = 0
        with written(path) as file:
            for chunk in self._chunks(response, self._source.max_bytes):
                size += file.write(chunk)
        self.taken += size
        return size

    def read(self, response: requests.Response, limit: int) -> bytes:
        """A body in memory.

        Raises:
            FetchError: as `spool`, and for more than `limit` bytes: a page that is too large.
            requests.RequestException: it broke off.
        """
        body = bytearray()
        for chunk in self._chunks(response, self._source.max_bytes - self.taken):
            body += chunk
            if len(body) > limit:
                raise FetchError(
                    f"a page of {_shown(response)} is larger than the {size_words(limit)} that one page may have",
                    hint="Ask for fewer records a page with `pagination.size_param` and `size`.",
                )
        self.taken += len(body)
        return bytes(body)

    def excerpt(self, response: requests.Response, body: bytes) -> str:
        """The beginning of a body for people: one line of plain text, masked."""
        content_type = response.headers.get("content-type", "")
        return body_text(content_type, body[:EXCERPT_BYTES], self._references)

    def _chunks(self, response: requests.Response, limit: int) -> Iterator[bytes]:
        """The body of a success, piece by piece; `limit` is what of `max_bytes` is left."""
        self._require_success(response)
        announced = response.headers.get("content-length", "")
        if "content-encoding" not in response.headers and announced.isdecimal() and int(announced[:20]) > limit:
            raise self._too_large(response, f"is {size_words(int(announced[:20]))} long")
        size, head = 0, b""
        packed = _sent(response)
        encoding = response.headers.get("content-encoding", "")
        body = unpacked(packed, encoding, self._deadline.check)
        if self._source.format is not FileType.PARQUET:
            body = unpacked_file(body, self._deadline.check)
        for chunk in body:
            self._deadline.check()
            size += len(chunk)
            if size > limit:
                raise self._too_large(response, "goes on")
            if len(head) < _HEAD_BYTES:
                # A page may begin with any number of blank lines, and come a few bytes at a time.
                head = (head + chunk).removeprefix(_BOM).lstrip()
                if len(head) >= _HEAD_BYTES:
                    self._refuse_page(response, head)
            yield chunk
        if len(head) < _HEAD_BYTES:
            self._refuse_page(response, head)

    def _require_success(self, response: requests.Response) -> None:
        if not 200 <= response.status_code < 300:
            excerpt = first_bytes(response, EXCERPT_BYTES)
            raise status_fault(response, response.request.url or "", excerpt, self._references)
        if response.status_code == _PARTIAL and "range" not in response.request.headers:
            raise FetchError(
                f"{_shown(response)} answers a part of its data (HTTP 206), which was not asked for",
                hint="The server, or a cache on the way, is at fault: ask the API with curl.",
            )

    def _too_large(self, response: requests.Response, what: str) -> FetchError:
        before = f", with the {size_words(self.taken)} of the pages before it" if self.taken else ""
        return FetchError(
            f"the body of {_shown(response)} {what}{before}, more than the {size_words(self._source.max_bytes)} "
            "that `max_bytes` allows",
            hint=f"Ask for less with `params`, or raise `{source_key(self._source, 'max_bytes')}`.",
        )

    def _refuse_page(self, response: requests.Response, head: bytes) -> None:
        """Refuse a web page where a table was asked for: a login page with status 200 is the usual case. And JSON
        where CSV was, as `{"error": "token expired"}` is a table too, without rows.

        Args:
            head: the beginning of the body, from its first character on that is no space.
        """
        content_type = response.headers.get("content-type", "").lower()
        what = _foreign(self._source.format, head[:_TELLING_BYTES].lower(), content_type)
        if what:
            raise FetchError(
                f"{_shown(response)} answers {what} where {self._source.format} was expected: "
                f"{self.excerpt(response, head)}",
                hint="Often this is a login or error page: check `location`, `auth` and `headers`.",
            )


def _sent(response: requests.Response) -> Iterator[bytes]:
    """A body as it was sent.

    Raises:
        requests.RequestException: it broke off, or nothing tells where it ends.
    """
    length = response.headers.get("content-length")
    if length is not None and not response.raw.chunked and not _LENGTH.fullmatch(length.strip()):
        # Read to the end of the connection, half of it would pass for all of it.
        raise requests.exceptions.InvalidHeader
    try:
        yield from response.raw.stream(_CHUNK_BYTES, decode_content=False)
    except ValueError:
        # A piece of less than no length.
        raise requests.exceptions.ChunkedEncodingError from None


def _foreign(wanted: FileType, start: bytes, content_type: str) -> str:
    """What a body is that is no table; empty where it may be one.

    Told by its beginning, as many servers send good JSON under the content type of a page.
    """
    if wanted is FileType.CSV and "json" in content_type and start.startswith((b"{", b"[")):
        return "JSON"
    # In CSV a column may be called `<unknown>`.
    if not start.startswith(_MARKUP if wanted is FileType.CSV else b"<"):
        return ""
    return "a web page" if start.startswith(_PAGES) or "html" in content_type else "XML"


def empty_fault(response: requests.Response, kind: FileType) -> FetchError:
    """A success without a body where a table was asked for."""
    return FetchError(
        f"HTTP {response.status_code} from {_shown(response)} has an empty body: no {kind} in it",
        hint="Check `location` and `params`: the server found them good, but answers nothing.",
    )


def _shown(response: requests.Response) -> str:
    return shown_url(response.request.url or "")
