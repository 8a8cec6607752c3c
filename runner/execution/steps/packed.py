"""The files of an input as they are read: a text format may be compressed, which the end of the name says."""

import gzip
import io
import os
import zlib
from collections.abc import Sequence
from typing import IO, BinaryIO, cast

import pyarrow as pa

# What a file that is not what its name says raises, when it is read as text.
UNREADABLE = (OSError, EOFError, zlib.error, ValueError, LookupError)
_GZIP, _ZSTD = ".gz", ".zst"
_PACKINGS = {_GZIP: "gzip", _ZSTD: "zstd"}
_SPACE = 4096
_PIECE = 1 << 20


def is_packed(path: str) -> bool:
    """Whether a file is compressed, by its name: `.gz` or `.zst`."""
    return path.lower().endswith((_GZIP, _ZSTD))


def duckdb_packing(paths: Sequence[str]) -> str:
    """What DuckDB calls the packing that all of these files have; `auto` where they differ."""
    found = {_PACKINGS.get(os.path.splitext(path.lower())[1], "none") for path in paths}  # noqa: PTH122 - text
    return found.pop() if len(found) == 1 else "auto"


def open_bytes(path: str) -> BinaryIO:
    """A file for reading, unpacked.

    Raises:
        OSError: it cannot be opened. Reading raises what is in `UNREADABLE`.
    """
    if path.lower().endswith(_GZIP):
        return cast("BinaryIO", gzip.open(path, "rb"))
    if path.lower().endswith(_ZSTD):
        # Arrow unpacks it, which is here anyway: Python has a module for it from 3.14 on.
        return io.BufferedReader(pa.input_stream(path, compression="zstd"))
    return open(path, "rb")  # noqa: PTH123 - `path` is text


def open_text(path: str, encoding: str = "utf-8-sig") -> IO[str]:
    """A file for reading as text, unpacked; as `open_bytes`. Line ends are left as they are."""
    return io.TextIOWrapper(open_bytes(path), encoding=encoding, newline="")


def head_of(path: str, size: int) -> bytes:
    """The first bytes of a file, unpacked; none where it cannot be read."""
    try:
        with open_bytes(path) as file:
            return file.read(size)
    except UNREADABLE:
        return b""


def starts_with(path: str, first: bytes) -> bool:
    """Whether `first` is the first byte of a file that is no space and no byte order mark; False where the file
    cannot be read."""
    return head_of(path, _SPACE).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == first


def read_through(path: str) -> None:
    """Unpack a file to its end, and keep nothing of it: so a reader that does not look whether a file is whole can
    be trusted with it.

    Raises:
        UNREADABLE: it is cut off, or what its checksums say it is not.
    """
    with open_bytes(path) as file:
        while file.read(_PIECE):
            pass


def write_utf8(begin: str, source: IO[str], target: str) -> None:
    """Write a text, and behind it what is left of `source`, to the file `target` in UTF-8.

    Raises:
        UNREADABLE: the rest is not what `source` reads.
    """
    with open(target, "w", encoding="utf-8", newline="") as copy:  # noqa: PTH123 - `target` is text
        copy.write(begin)
        while piece := source.read(_PIECE):
            copy.write(piece)


def size_of(path: str) -> int:
    """The size of a file in bytes; 0 where it cannot be told."""
    try:
        return os.stat(path).st_size  # noqa: PTH116 - `path` is text
    except OSError:
        return 0
