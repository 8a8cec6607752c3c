"""Unpacks the bodies of answers: a bounded piece at a time, and never less than was packed."""

import re
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from requests.exceptions import ContentDecodingError

from runner.errors import FetchError

_PIECE_BYTES = 64 * 1024
# zlib finds out by itself which of its two formats it is: gzip, or what HTTP calls deflate.
_ANY_HEADER = 32 + zlib.MAX_WBITS
_KNOWN = frozenset({"gzip", "x-gzip", "deflate"})
# What is not asked for, as not every machine can read it. Other words are no compression: `identity`, `utf-8`.
_FOREIGN = frozenset({"br", "zstd", "compress", "x-compress", "dcb", "dcz"})
_MOST_CODINGS = 5


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
    if len(codings) > _MOST_CODINGS or not _FOREIGN.isdisjoint(codings):
        raise FetchError(
            f"the answer is packed as {', '.join(codings[:_MOST_CODINGS])}, which was not asked for",
            hint="The server must obey the header Accept-Encoding, which is `gzip, deflate`: check `headers`.",
        )
    for coding in reversed(codings):
        if coding in _KNOWN:
            pieces = _inflated(pieces, check)
    return pieces


def _inflated(pieces: Iterator[bytes], check: Callable[[], None]) -> Iterator[bytes]:
    """One packing undone. Several streams in a row are one body; padding after them is no part of it."""
    stream: Any = None
    is_first = True
    for piece in pieces:
        rest = piece
        while rest:
            check()
            if stream is None:
                if not is_first and not rest.startswith(b"\x1f"):
                    return
                stream, is_first = zlib.decompressobj(_ANY_HEADER), False
            yield from _drained(stream, rest)
            rest = stream.unused_data
            stream = None if stream.eof else stream
    if stream is not None:
        raise ContentDecodingError("it ends too early")


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
