import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from requests.exceptions import ContentDecodingError

from runner.core.source import FileType
from runner.errors import FetchError
from runner.fetch.unpacking import unpacked

ROWS = b"id\n" + b"".join(b"%d\n" % number for number in range(50_000))


def unpack(packed, encoding="gzip", *, size=1000, check=lambda: None):
    pieces = (packed[start : start + size] for start in range(0, len(packed), size))
    return b"".join(unpacked(pieces, encoding, check))


@given(st.lists(st.binary(max_size=300_000), min_size=1, max_size=3), st.integers(1, 70_000), st.booleans())
def test_streams_in_a_row_are_one_body_however_they_are_cut(parts, size, padded):
    packed = b"".join(map(gzip.compress, parts)) + (b"\0" * 9 + b"\r\n" if padded else b"")
    assert unpack(packed, size=size) == b"".join(parts)


def test_what_is_packed_twice_is_unpacked_twice():
    assert unpack(gzip.compress(zlib.compress(ROWS)), "deflate, GZIP") == ROWS


@pytest.mark.parametrize("encoding", ["", "identity", "Identity, UTF-8", "none", "aws-chunked"])
def test_a_word_for_no_packing_leaves_a_body_as_it_is(encoding):
    assert unpack(ROWS, encoding) == ROWS
    assert unpack(gzip.compress(ROWS), f"gzip, {encoding}") == ROWS


@pytest.mark.parametrize("packed", [gzip.compress(ROWS)[:-1], gzip.compress(ROWS) + b"\x1f\x8b\x08", b"plain"])
def test_what_is_no_whole_stream_is_refused(packed):
    with pytest.raises(ContentDecodingError):
        unpack(packed)


@pytest.mark.parametrize(
    ("packed", "encoding"),
    [
        (zlib.compress(b"id\n1\n") + zlib.compress(b"2\n"), "deflate"),
        (gzip.compress(b"id\n1\n") + zlib.compress(b"2\n"), "gzip"),
        (gzip.compress(b"id\n1\n") + b"2\n", "gzip"),
        (gzip.compress(b"id\n1\n") + bytes(9) + gzip.compress(b"2\n"), "gzip"),
    ],
    ids=["two of zlib", "gzip and zlib", "gzip and plain", "padding and gzip"],
)
@pytest.mark.parametrize("size", [1, 1000])
def test_what_stands_behind_the_end_of_a_body_is_not_lost_without_a_word(packed, encoding, size):
    with pytest.raises(ContentDecodingError, match="goes on behind its end"):
        unpack(packed, encoding, size=size)


def bare(content):
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


@given(st.binary(max_size=100_000), st.integers(1, 70_000))
def test_deflate_may_come_without_its_header(content, size):
    assert unpack(bare(content), "deflate", size=size) == content
    assert unpack(zlib.compress(content), "deflate", size=size) == content


@pytest.mark.parametrize(
    "packed",
    [bare(ROWS)[:-1], bare(ROWS) + b"\0", b'[{"a":1}]', b"id,name\n1,x\n", b"\x1f", zlib.compress(ROWS)[2:]],
)
def test_what_is_no_whole_bare_stream_is_refused(packed):
    with pytest.raises(ContentDecodingError):
        unpack(packed, "deflate")


def test_what_was_not_asked_for_is_refused():
    for encoding in ("br", "lz4", "gzip, bzip2", "x-snappy-framed", "base64", ", ".join(["gzip"] * 6)):
        with pytest.raises(FetchError, match=r"packed as \w+.* not asked for"):
            unpack(ROWS, encoding)


def test_a_bomb_comes_in_small_pieces_and_is_watched():
    packed, calls = gzip.compress(gzip.compress(b"") * 1000 + gzip.compress(bytes(10 << 20))), []
    sizes = [len(piece) for piece in unpacked(iter([packed]), "gzip, gzip", lambda: calls.append(1))]
    assert max(sizes) <= 64 << 10
    assert sum(sizes) == 10 << 20
    assert len(calls) > 1000


def test_a_packed_answer_that_ends_too_early_is_no_answer(server, fetch_api):
    packed = gzip.compress(ROWS)
    server.answer("/", packed[: len(packed) // 2], content_type="text/csv", Content_Encoding="gzip")
    with pytest.raises(FetchError, match="cannot be unpacked, or ends too early"):
        fetch_api(server.url(), file_type=FileType.CSV)


@pytest.mark.parametrize("content_type", ["application/gzip", "text/csv"])
def test_a_file_that_is_packed_is_unpacked_within_the_bound(server, fetch_api, content_type):
    server.answer("/orders.csv.gz", gzip.compress(ROWS), content_type=content_type)
    fetched = fetch_api(server.url("/orders.csv.gz"), file_type=FileType.CSV, max_bytes=len(ROWS))
    assert fetched.paths[0].read_bytes() == ROWS
    assert fetched.bytes == len(ROWS)
    with pytest.raises(FetchError, match=r"more than the 1\.0 kB that `max_bytes` allows"):
        fetch_api(server.url("/orders.csv.gz"), file_type=FileType.CSV, max_bytes=1000)


def test_a_packed_file_that_ends_too_early_is_no_answer(server, fetch_api):
    server.answer("/orders.csv.gz", gzip.compress(ROWS)[:-9], content_type="application/gzip")
    with pytest.raises(FetchError, match="cannot be unpacked, or ends too early"):
        fetch_api(server.url("/orders.csv.gz"), file_type=FileType.CSV)


def test_a_packed_file_is_unpacked_after_its_way_was(server, fetch_api):
    server.answer("/", gzip.compress(gzip.compress(ROWS)), content_type="text/csv", Content_Encoding="gzip")
    assert fetch_api(server.url(), file_type=FileType.CSV).paths[0].read_bytes() == ROWS
