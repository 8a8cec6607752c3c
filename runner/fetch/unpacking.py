"""Unpacks the bodies of answers: a bounded piece at a time, and never less than was packed."""

import re
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from requests.exceptions import ContentDecodingError

from runner.errors import FetchError

_PIECE_BYTES = 64 * 1024
# zlib finds out by itself which of its two formats it is: gzip, or what HTTP calls deflate.
_ANY_HEADER = 32 + zlib.MAX_WBITS
# Some servers send what is in that format without its header (RFC 9110, section 8.4.1.2).
_NO_HEADER = -zlib.MAX_WBITS
_DEFLATE = "deflate"
_GZIP = b"\x1f\x8b"
_KNOWN = frozenset({"gzip", "x-gzip", _DEFLATE})
# Words that leave a body as it is: the standard has the first alone, and servers send the others too. All other
# words name a packing that is not asked for, such as `br`: not every machine can read it.
_UNCHANGED = frozenset(
    {"identity", "none", "binary", "8bit", "aws-chunked", "utf-8", "utf8", "iso-8859-1", "us-ascii"}
)
_MOST_CODINGS = 5
# What may stand behind the end of a packed body: padding, and the line end of a careless server.
_PADDING = b"\0 \t\r\n"


def unpacked(pieces: Iterator[bytes], content_encoding: str, check: Callable[[], None]) -> Iterator[bytes]:
    """A body as it was before it was packed, in pieces of at most 64 KiB where it was.

    Args:
        pieces: the body as it was sent.
        content_encoding: the header, which names what was done to the body, one after the other.
        check: called before each step, and may raise to end the work: much may be unpacked to nothing.

    Raises:
        FetchError: it is packed in a way that nobody has asked for.
        requests.exceptions.ContentDecodingError: it is not packed so, or ends too early.
    """
    codings = [word.lower() for word in re.split(r"[\s,]+", content_encoding) if word]
    if len(codings) > _MOST_CODINGS or not (_KNOWN | _UNCHANGED).issuperset(codings):
        raise FetchError(
            f"the answer is packed as {', '.join(codings[:_MOST_CODINGS])[:100]}, which was not asked for",
            hint="The server must obey the header Accept-Encoding, which is `gzip, deflate`: check `headers`.",
        )
    for coding in reversed(codings):
        if coding in _KNOWN:
            may_be_bare = coding == _DEFLATE
            pieces = _inflated(_with_head(pieces) if may_be_bare else pieces, check, may_be_bare=may_be_bare)
    return pieces


def unpacked_file(pieces: Iterator[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    """A text as it was before it was packed into a file, such as `orders.csv.gz`: no header says so, but no text
    begins as gzip's format does. Arguments and errors as with `unpacked`."""
    pieces = _with_head(pieces)
    head = next(pieces, b"")
    whole = chain((head,), pieces)
    yield from _inflated(whole, check, may_be_bare=False) if head.startswith(_GZIP) else whole


def _with_head(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes, of which the first piece has two at least, where there are so many."""
    head = b""
    for piece in pieces:
        head += piece
        if len(head) > 1:
            break
    if head:
        yield head
    yield from pieces


def _has_header(head: bytes) -> bool:
    """Whether a body begins as zlib's format does, or gzip's (RFC 1950, section 2.2; RFC 1952, section 2.3.1)."""
    return head.startswith(_GZIP) or (head[0] & 0x0F == 8 and int.from_bytes(head[:2], "big") % 31 == 0)


def _inflated(pieces: Iterator[bytes], check: Callable[[], None], *, may_be_bare: bool) -> Iterator[bytes]:
    """One packing undone. Several streams of gzip in a row are one body; padding after them is no part of it.

    Anything else behind its end would be lost without a word: it is a fault. A bare stream has no checksum, and
    nothing after it: what is none would be taken for one otherwise.
    """
    stream: Any = None
    is_first, is_bare = True, False
    for piece in pieces:
        rest = piece
        while rest:
            check()
            if stream is None:
                if is_bare:
                    raise ContentDecodingError("it goes on behind its end")
                if not is_first and not rest.startswith(_GZIP[:1]):
                    _require_padding(rest, pieces)
                    return
                is_bare = may_be_bare and is_first and not _has_header(rest)
                stream, is_first = zlib.decompressobj(_NO_HEADER if is_bare else _ANY_HEADER), False
            yield from _drained(stream, rest)
            rest = stream.unused_data
            stream = None if stream.eof else stream
    if stream is not None:
        raise ContentDecodingError("it ends too early")


def _require_padding(rest: bytes, pieces: Iterator[bytes]) -> None:
    for piece in chain((rest,), pieces):
        if piece.strip(_PADDING):
            raise ContentDecodingError("it goes on behind its end")


def _drained(stream: Any, packed: bytes) -> Iterator[bytes]:
    is_full = False
    # At its end a stream leaves what follows in `unconsumed_tail` too.
    while (packed or is_full) and not stream.eof:
        try:
            found = stream.decompress(packed, _PIECE_BYTES)
        except zlib.error as error:
            raise ContentDecodingError(str(error)) from None
        packed = stream.unconsumed_tail
        is_full = len(found) == _PIECE_BYTES
        if found:
            yield found
