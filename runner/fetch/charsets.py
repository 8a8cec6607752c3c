"""The character set that a server names for a text, where it is read as UTF-8."""

import codecs
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from runner.core.source import DataSource, FileType
from runner.errors import FetchError
from runner.fetch.places import source_key
from runner.fetch.request import shown_url
from runner.fetch.written import written

_CHUNK_BYTES = 1 << 20
_UTF_8 = "utf-8"
_JSON = frozenset({FileType.JSON, FileType.NDJSON})
# Texts in ASCII are UTF-8 as well. ISO 8859-1 is what many servers name for every text, also for one in UTF-8.
_SAYS_NOTHING = frozenset({_UTF_8, "utf-8-sig", "ascii", "iso8859-1"})
# Python's own ways to write text as ASCII, in which none is sent. The time for punycode grows with the square of
# its length: hours for a page.
_OF_NO_TEXT = frozenset({"punycode", "idna", "unicode-escape", "raw-unicode-escape"})
# In UTF-8 they stand in no table; UTF-16 and ISO 2022 write ASCII with them.
_OF_OTHERS = re.compile(rb"[\0\x1b]")


def require_encoding(
    source: DataSource, response: requests.Response, path: Path, check: Callable[[], None]
) -> None:
    """Refuse a CSV in another character set than the job reads it in: read as a wrong one, it would be other text.

    Args:
        path: the body.
        check: called now and then; what it raises ends the look.

    Raises:
        FetchError: the server names the character set, the job does not, and the text is no UTF-8.
    """
    named = charset_of(response.headers.get("content-type", ""))
    asks = source.format is FileType.CSV and _name_of(source.table.encoding) == _UTF_8
    if not asks or _name_of(named) in {"", *_SAYS_NOTHING} or _is_utf_8(path, check):
        return
    raise FetchError(
        f"{shown_url(response.request.url or '')} answers text in {named}, which the job reads as UTF-8",
        hint=f"Set `{source_key(source, 'encoding')}: {named}`.",
    )


def recode_json(source: DataSource, response: requests.Response, path: Path, check: Callable[[], None]) -> None:
    """Make JSON in the character set that its server names UTF-8, as all JSON is read: no job needs to say so.

    Args:
        path: the body, which is written anew where it is in another one.
        check: as for `require_encoding`.

    Raises:
        FetchError: it is no text in that character set, or the disk does not take it.
    """
    named = _other_than_utf_8(response)
    if source.format not in _JSON or not named or _is_utf_8(path, check):
        return
    aside = path.with_name(f"{path.name}.{_UTF_8}")
    with _told(response, named), path.open(encoding=named, newline="") as text, written(aside) as target:
        while chunk := text.read(_CHUNK_BYTES):
            check()
            target.write(chunk.encode())
    aside.replace(path)


def recoded(response: requests.Response, body: bytes) -> bytes:
    """JSON in memory, as `recode_json` makes it."""
    named = _other_than_utf_8(response)
    if not named or _are_utf_8([body]):
        return body
    with _told(response, named):
        return body.decode(named).encode()


@contextmanager
def _told(response: requests.Response, named: str) -> Iterator[None]:
    shown = shown_url(response.request.url or "")
    try:
        yield
    except UnicodeError:
        raise FetchError(
            f"{shown} answers text that is neither UTF-8 nor {named}, which it names",
            hint="Ask the API with curl: what its header Content-Type says of its text is not so.",
        ) from None


def _other_than_utf_8(response: requests.Response) -> str:
    """The character set that an answer names, where that is another one; empty where it is none of a text."""
    named = charset_of(response.headers.get("content-type", ""))
    try:
        "".encode(named)
    except (LookupError, ValueError):
        return ""
    name = _name_of(named).replace("_", "-")
    return "" if name == _UTF_8 or name in _OF_NO_TEXT else named


def charset_of(content_type: str) -> str:
    """The character set that a header Content-Type names; empty where it names none."""
    found = re.search(r"charset=[\"']?([\w.:-]{1,40})", content_type, re.IGNORECASE)
    return found[1].lower() if found else ""


def _name_of(encoding: str) -> str:
    """One name for all names of a character set; empty for one that is not known."""
    try:
        return codecs.lookup(encoding).name
    except (LookupError, ValueError):
        return ""


def _is_utf_8(path: Path, check: Callable[[], None]) -> bool:
    with path.open("rb") as file:

        def chunks() -> Iterator[bytes]:
            while chunk := file.read(_CHUNK_BYTES):
                check()
                yield chunk

        return _are_utf_8(chunks())


def _are_utf_8(chunks: Iterable[bytes]) -> bool:
    decoder = codecs.getincrementaldecoder(_UTF_8)()
    for chunk in chunks:
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError:
            return False
        if _OF_OTHERS.search(chunk):
            return False
    return True
