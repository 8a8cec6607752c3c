"""Blobs of Azure's store, asked of a small server that speaks its interface."""

import gzip
import re
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

from runner.core.source import DataSource, FileType, SourceType
from runner.errors import FetchError
from runner.fetch import object_stores
from runner.fetch.fetching import fetch

pytest.importorskip("adlfs", reason="the extra `azure` is not installed")
ROWS = b"a,b\n" + b"1,2\n" * 100_000
KEY = "cGxhbnRlZC1rZXktMDgxNQ=="


class Container:
    """The container `orders` of the account `shop`: blobs are listed, told of, and given in part, as they are kept.

    `fault` is the status and the code of the answer to everything; `after` is called after each part that is read.
    """

    def __init__(self, server):
        self.blobs = {}
        self.generation = 0
        self.after = self.fault = None
        server.routes = self

    def put(self, name, body, encoding=""):
        self.generation += 1
        self.blobs[name] = (body, f'"0x{self.generation:08X}"', encoding)

    def __getitem__(self, path):
        """The route of a path, as the server asks for it."""
        return self._route

    def _route(self, handler):
        assert handler.headers["Authorization"].startswith("SharedKey shop:")
        parts = urlsplit(handler.path)
        name = unquote(parts.path).removeprefix("/shop/orders").lstrip("/")
        if self.fault is not None:
            status, code = self.fault
            _send(handler, status, _error(code), {"x-ms-error-code": code})
        elif parse_qs(parts.query).get("comp") == ["list"]:
            _send(handler, 200, self._listed(parse_qs(parts.query)))
        elif name in self.blobs:
            self._give(handler, *self.blobs[name])
        elif name:
            _send(handler, 404, _error("BlobNotFound"), {"x-ms-error-code": "BlobNotFound"})
        else:
            _send(handler, 200, b"", {"ETag": '"0x1"', "Last-Modified": _NOON})

    def _give(self, handler, body, etag, encoding):
        headers = {"ETag": etag, "Last-Modified": _NOON, "x-ms-blob-type": "BlockBlob", "Accept-Ranges": "bytes"}
        headers |= {"Content-Encoding": encoding} if encoding else {}
        if handler.command == "HEAD":
            _send(handler, 200, body, headers)
            return
        if handler.headers["If-Match"] not in {None, etag}:
            _send(handler, 412, _error("ConditionNotMet"), {"x-ms-error-code": "ConditionNotMet"})
            return
        first, last = map(int, re.match(r"bytes=(\d+)-(\d+)", handler.headers["x-ms-range"]).groups())
        part = body[first : last + 1]
        place = {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(body)}"}
        _send(handler, 206, part, headers | place)
        if self.after is not None:
            self.after()

    def _listed(self, query):
        prefix, mark = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
        found, folders = [], set()
        for name, (body, etag, _) in sorted(self.blobs.items()):
            head, _, rest = name.removeprefix(prefix).partition(mark) if mark else (name, "", "")
            if not name.startswith(prefix):
                continue
            if rest:
                folders.add(f"{prefix}{head}{mark}")
                continue
            found.append(
                f"<Blob><Name>{escape(name)}</Name><Properties><Last-Modified>{_NOON}</Last-Modified>"
                f"<Etag>{etag.strip(chr(34))}</Etag><Content-Length>{len(body)}</Content-Length>"
                "<BlobType>BlockBlob</BlobType></Properties></Blob>"
            )
        found += [f"<BlobPrefix><Name>{escape(name)}</Name></BlobPrefix>" for name in sorted(folders)]
        return (
            '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="orders">'
            f"<Blobs>{''.join(found)}</Blobs><NextMarker/></EnumerationResults>"
        ).encode()


_NOON = "Sun, 09 Nov 2025 13:00:00 GMT"


def _error(code):
    words = {"AuthenticationFailed": "Server failed to authenticate the request.", "ServerBusy": "Try later."}
    return (
        '<?xml version="1.0" encoding="utf-8"?>'
        f"<Error><Code>{code}</Code><Message>{words.get(code, code)}</Message></Error>"
    ).encode()


def _send(handler, status, body, headers=None):
    handler.send_response(status)
    for name, value in {"Content-Type": "application/xml", **(headers or {})}.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


@pytest.fixture
def container(server):
    return Container(server)


@pytest.fixture
def fetch_blobs(make_context, server):
    def run(location, *, place=None):
        source = DataSource(source_type=SourceType.FILE, location=location, format=FileType.CSV)
        place = place or server.url("/shop")
        words = f"DefaultEndpointsProtocol=http;AccountName=shop;AccountKey={KEY};BlobEndpoint={place};"
        environ = {"AZURE_STORAGE_CONNECTION_STRING": words}
        return fetch(source, make_context(timeout_seconds=40.0, environ=environ))

    return run


@pytest.mark.long
def test_one_blob_is_read_and_its_key_is_a_secret(container, fetch_blobs):
    container.put("in.csv", ROWS)
    fetched = fetch_blobs("az://orders/in.csv")
    assert fetched.paths[0].read_bytes() == ROWS
    assert KEY in fetched.secrets


@pytest.mark.long
def test_the_blobs_of_a_pattern_come_in_order(container, fetch_blobs):
    for name in ("in/b.csv", "in/a.csv", "in/.part.csv", "in/deep/c.csv", "in/x.txt", "other/d.csv"):
        container.put(name, name.encode())
    assert [path.read_bytes() for path in fetch_blobs("az://orders/in/*.csv").paths] == [b"in/a.csv", b"in/b.csv"]


@pytest.mark.long
def test_a_blob_that_is_replaced_while_it_is_read_comes_whole(container, fetch_blobs):
    container.put("hot.csv", b"a" * 5_000_000)

    def replace():
        container.after = None
        container.put("hot.csv", b"b" * 5_000_000)

    container.after = replace
    assert fetch_blobs("az://orders/hot.csv").paths[0].read_bytes() == b"b" * 5_000_000


@pytest.mark.long
def test_a_blob_that_is_packed_comes_as_it_is_kept(container, fetch_blobs):
    container.put("in.csv", gzip.compress(ROWS), "gzip")
    (path,) = fetch_blobs("az://orders/in.csv").paths
    assert path.name == "input-data.csv.gz"
    assert gzip.decompress(path.read_bytes()) == ROWS


@pytest.mark.long
def test_a_wrong_key_is_told_as_one(container, fetch_blobs):
    container.fault = (403, "AuthenticationFailed")
    with pytest.raises(FetchError, match=r"az://orders/in\.csv may not be read: .*AuthenticationFailed") as caught:
        fetch_blobs("az://orders/in.csv")
    assert "AZURE_" in caught.value.hint


@pytest.mark.long
def test_an_account_that_is_not_there_is_told_with_its_cause(fetch_blobs, monkeypatch):
    monkeypatch.setattr(object_stores, "_RETRY_SHARE", 0.01)
    with pytest.raises(FetchError, match=r"az://orders/in\.csv could not be read: .*nowhere\.invalid"):
        fetch_blobs("az://orders/in.csv", place="http://nowhere.invalid/shop")


@pytest.mark.long
def test_a_store_that_is_busy_all_the_time_is_told_with_its_cause(container, fetch_blobs, server, monkeypatch):
    monkeypatch.setattr(object_stores, "_RETRY_SHARE", 0.01)
    container.fault = (503, "ServerBusy")
    with pytest.raises(FetchError, match=r"az://orders/in\.csv could not be read: .*ServerBusy"):
        fetch_blobs("az://orders/in.csv")
    assert len(server.seen) == 4, "once, and three times more"
