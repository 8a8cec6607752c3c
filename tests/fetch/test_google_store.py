"""Objects of Google's store, asked of a small server that speaks its interface."""

import gzip
import json
import re

import pytest

from runner.core.source import DataSource, FileType, SourceType
from runner.errors import FetchError
from runner.fetch import object_stores
from runner.fetch.fetching import fetch

ROWS = b"a,b\n" + b"1,2\n" * 100_000


class Bucket:
    """The bucket `orders` of a server: objects are given with their generation, whole or in part, as they are kept."""

    def __init__(self, server):
        self.server = server
        self.before_first = None
        self.generation = 1000
        server.answer("/storage/v1/b/orders/o", b"{}")

    def put(self, name, body, encoding=None):
        self.generation += 1
        told = {"name": name, "bucket": "orders", "size": str(len(body)), "generation": str(self.generation)}
        told |= {"contentEncoding": encoding} if encoding else {}
        self.server.answer(f"/storage/v1/b/orders/o/{name}", json.dumps(told).encode())
        self.server.routes[f"/download/storage/v1/b/orders/o/{name}"] = self._route(body, told, encoding)

    def deny(self, name, status):
        told = json.dumps({"error": {"code": status, "message": "reader@example.com may not"}}).encode()
        for path in (f"/storage/v1/b/orders/o/{name}", "/storage/v1/b/orders/o"):
            self.server.answer(path, told, status=status)

    def _route(self, body, told, encoding):
        def route(handler):
            asked = re.search(r"generation=(\d+)", handler.path)
            if asked and asked[1] != told["generation"]:
                handler.send_error(404)
                return
            first, last = map(int, re.match(r"bytes=(\d+)-(\d+)", handler.headers["Range"]).groups())
            part = body[first : last + 1]
            # Before the part is sent: once it is, the next one is asked for.
            if self.before_first is not None:
                self.before_first()
            handler.answer(part, {"Content-Encoding": encoding} if encoding else {}, status=206)

        return route


@pytest.fixture
def bucket(server):
    return Bucket(server)


@pytest.fixture
def fetch_object(make_context, server):
    def run(location):
        source = DataSource(source_type=SourceType.FILE, location=location, format=FileType.CSV)
        environ = {"STORAGE_EMULATOR_HOST": server.url()[:-1]}
        return fetch(source, make_context(timeout_seconds=40.0, environ=environ))

    return run


@pytest.mark.long
@pytest.mark.parametrize(("name", "file"), [("in.csv", "input-data.csv.gz"), ("in.csv.gz", "input-data.csv.gz")])
def test_an_object_that_is_packed_by_its_encoding_alone_is_kept_whole(bucket, fetch_object, name, file):
    bucket.put(name, gzip.compress(ROWS), "gzip")
    fetched = fetch_object(f"gs://orders/{name}")
    assert fetched.paths[0].name == file
    assert gzip.decompress(fetched.paths[0].read_bytes()) == ROWS


@pytest.mark.long
def test_what_the_store_tells_of_an_object_may_come_packed(bucket, fetch_object, server):
    bucket.put("in.csv", gzip.compress(ROWS), "gzip")
    place = "/storage/v1/b/orders/o/in.csv"
    told = {"name": "in.csv", "bucket": "orders", "size": str(len(gzip.compress(ROWS))), "generation": "1001"}

    def route(handler):
        assert "gzip" in handler.headers["Accept-Encoding"]
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        handler.answer(gzip.compress(json.dumps(told).encode()), headers)

    server.routes[place] = route
    assert gzip.decompress(fetch_object("gs://orders/in.csv").paths[0].read_bytes()) == ROWS


@pytest.mark.long
def test_an_object_that_is_replaced_while_it_is_read_comes_whole(bucket, fetch_object):
    bucket.put("hot.csv", b"a" * 5_000_000)

    def replace():
        bucket.before_first = None
        bucket.put("hot.csv", b"b" * 5_000_000)

    bucket.before_first = replace
    content = fetch_object("gs://orders/hot.csv").paths[0].read_bytes()
    # Not the bytes themselves: a difference of so many takes minutes to be shown.
    assert (len(content), set(content)) == (5_000_000, set(b"b"))


@pytest.mark.long
def test_a_store_that_is_busy_all_the_time_is_told_with_its_cause(bucket, fetch_object, server, monkeypatch):
    # 2 seconds: a second try, after one or two.
    monkeypatch.setattr(object_stores, "_RETRY_SHARE", 0.05)
    bucket.deny("in.csv", 503)
    with pytest.raises(
        FetchError, match=r"gs://orders/in\.csv could not be read: .*reader@example.* may not.*503"
    ):
        fetch_object("gs://orders/in.csv")
    asked = [path for _, path, *_ in server.seen]
    assert max(map(asked.count, asked)) == 2


@pytest.mark.long
@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_right_is_told_as_one(bucket, fetch_object, status):
    bucket.deny("in.csv", status)
    with pytest.raises(FetchError, match=r"gs://orders/in\.csv may not be read: .*reader@example\.com may not"):
        fetch_object("gs://orders/in.csv")
