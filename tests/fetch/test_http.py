import base64
import decimal
import gzip
import io
import json
import re
import socket
import threading
import time
from datetime import UTC, date, datetime
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner import __version__
from runner.core.source import Auth, AuthType, FileType, TableOptions
from runner.errors import FetchError
from runner.fetch.deadline import Deadline

ROWS = b'[{"a": 1}, {"a": 2}]'


def test_the_body_is_spooled_into_the_run_folder(server, fetch_api, make_context):
    server.answer("/sales", ROWS)
    fetched = fetch_api(server.url("/sales"))
    assert fetched.paths[0] == make_context().run_dir / "input-data.json"
    assert fetched.paths[0].read_bytes() == ROWS
    assert fetched.bytes == len(ROWS)
    assert fetched.description == f"HTTP 200 from {server.url('/sales')}, 20 bytes"
    assert server.seen[0][2]["user-agent"] == f"runner/{__version__}"


@pytest.mark.parametrize("tls", [False, True])
def test_hints_before_an_answer_are_none(make_server, tls_context, ca_file, fetch_api, tls):
    server = make_server(tls=tls_context if tls else None)

    def route(handler):
        handler.wfile.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        handler.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n")
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(ROWS), ROWS))

    server.routes["/"] = route
    environ = {"REQUESTS_CA_BUNDLE": str(ca_file)}
    fetched = fetch_api(server.url(scheme="https" if tls else "http"), environ=environ)
    assert fetched.paths[0].read_bytes() == ROWS


PARQUET = pa.table(
    {
        "id": pa.array([1, 2**53 + 1, None], pa.int64()),
        "code": ["00123", "é", ""],
        "price": pa.array([decimal.Decimal("0.10"), None, decimal.Decimal("-9.99")], pa.decimal128(12, 2)),
        "day": [date(2025, 11, 9), None, date(1970, 1, 1)],
        "at": pa.array([datetime(2025, 11, 9, 13, tzinfo=UTC)] * 3, pa.timestamp("us", "Europe/Berlin")),
        "tags": [["a", "b"], [], None],
    }
)


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_a_parquet_body_is_read_back_as_it_was(server, fetch_api, make_context, encoding):
    written = io.BytesIO()
    pq.write_table(PARQUET, written, compression="zstd")
    body = written.getvalue()
    headers = {"Content_Encoding": encoding} if encoding else {}
    sent = gzip.compress(body) if encoding else body
    server.answer("/sales", sent, content_type="application/octet-stream", **headers)
    fetched = fetch_api(server.url("/sales"), file_type=FileType.PARQUET)
    (path,) = fetched.paths
    assert path == make_context().run_dir / "input-data.parquet"
    assert fetched.format is FileType.PARQUET
    assert path.read_bytes() == body
    assert pq.read_table(path).equals(PARQUET)
    assert duckdb.sql(f"SELECT id, code, tags FROM '{path}'").fetchall() == [
        (1, "00123", ["a", "b"]),
        (2**53 + 1, "é", []),
        (None, "", None),
    ]
    assert server.seen[0][2]["accept"].startswith("application/vnd.apache.parquet")


def test_method_headers_params_and_body_are_sent(server, fetch_api):
    server.answer("/query", ROWS)
    fetched = fetch_api(
        server.url("/query"),
        method="POST",
        headers=(("X-Api-Key", "${env:KEY}"),),
        params=(("day", "${run:scheduled_date}"), ("tag", "a b"), ("tag", "c")),
        body='{"name": "${env:NAME}"}',
        environ={"KEY": "k-12345", "NAME": 'Jürgen "J"'},
    )
    method, path, headers, body = server.seen[0]
    assert (method, path) == ("POST", "/query?day=2025-11-09&tag=a+b&tag=c")
    assert headers["x-api-key"] == "k-12345"
    assert headers["content-type"] == "application/json"
    assert json.loads(body) == {"name": 'Jürgen "J"'}
    assert "k-12345" in fetched.secrets
    assert "?" not in fetched.description


@pytest.mark.parametrize(
    ("auth", "expected"),
    [
        (Auth(type=AuthType.BEARER, token="${env:PW}"), "Bearer pässword"),
        (Auth(type=AuthType.BASIC, username="anna", password="${env:PW}"), "Basic YW5uYTpww6Rzc3dvcmQ="),
    ],
)
def test_credentials(server, fetch_api, auth, expected):
    server.answer("/", ROWS)
    fetch_api(server.url(), auth=auth, environ={"PW": "pässword"})
    assert server.seen[0][2]["authorization"] == expected


def test_user_and_password_in_the_address_are_sent_and_never_shown(server, fetch_api):
    server.answer("/", b"no", status=403)
    with pytest.raises(FetchError) as caught:
        fetch_api(f"http://anna:hunter22@127.0.0.1:{server.server_port}/")
    assert server.seen[0][2]["authorization"] == "Basic " + base64.b64encode(b"anna:hunter22").decode()
    assert "hunter22" not in caught.value.message
    assert "anna" not in caught.value.message


@pytest.mark.parametrize(
    ("path", "echoed"),
    [
        ("/?day=monday&api_key=k%2B91ab", "bad key k+91ab for monday"),
        ("/?day=monday&key=k-91ab", "bad key k-91ab for monday"),
        ("/?day=monday&for=0123456789abcdef", "bad key 0123456789abcdef for monday"),
        ("/hooks/0123456789abcdef", "bad key 0123456789abcdef for monday"),
    ],
)
def test_keys_in_an_address_that_a_reference_stands_for_are_masked(server, fetch_api, path, echoed):
    server.answer(path.partition("?")[0], echoed.encode(), status=403)
    with pytest.raises(FetchError, match=r"bad key \*\*\* for monday$"):
        fetch_api("${env:ORDERS_URL}", environ={"ORDERS_URL": server.url(path)})
    with pytest.raises(FetchError, match=re.escape(echoed)):
        fetch_api(server.url(path))


def test_a_short_word_of_an_address_that_a_reference_stands_for_is_shown(server, fetch_api):
    server.answer("/", b"no basic data in json for sales of 2026", status=403)
    url = server.url("/?auth=basic&format=json&code=sales&key=2026")
    with pytest.raises(FetchError, match=r"no basic data in json for sales of 2026$"):
        fetch_api("${env:ORDERS_URL}", environ={"ORDERS_URL": url})


def test_netrc_is_not_read(server, fetch_api, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login anna password hunter22\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    server.answer("/", ROWS)
    fetch_api(server.url())
    assert "authorization" not in {name.lower() for name in server.seen[0][2]}


def test_a_status_of_400_and_more_shows_the_first_part_of_the_body(server, fetch_api):
    body = b'{"error":\n "no such\x1b[31m report k-12345"}' + b"x" * 2000
    server.answer("/gone", body, status=404)
    with pytest.raises(FetchError) as caught:
        fetch_api(server.url("/gone"), params=(("key", "${env:KEY}"),), environ={"KEY": "k-12345"})
    message = caught.value.message
    prefix = f"HTTP 404 Not Found from {server.url('/gone')}?…: "
    assert message.startswith(prefix + '{"error": "no such\\x1b[31m report ***"}xxx')
    assert len(message) == len(prefix) + 501
    assert "location" in caught.value.hint


def test_an_error_page_is_shown_as_text(server, fetch_api):
    page = b"<html><head><style>b{}</style></head><body><h1>Bad &amp; broken</h1><p>Try later</p></body></html>"
    server.answer("/", page, status=502, content_type="text/html")
    with pytest.raises(FetchError, match=r"Bad Gateway from .*: Bad & broken Try later$"):
        fetch_api(server.url())


def test_an_error_without_text_is_only_a_status(server, fetch_api):
    server.answer("/", b"\x00\x01\x02", status=500, content_type="application/octet-stream")
    with pytest.raises(FetchError, match=r"HTTP 500 .*: \(no text\)$"):
        fetch_api(server.url())


def test_the_echo_of_a_credential_is_masked(server, fetch_api):
    encoded = base64.b64encode(b"anna:hunter22").decode()
    server.answer("/", f"bad header Basic {encoded}, password hunter22".encode(), status=401)
    with pytest.raises(FetchError) as caught:
        fetch_api(
            server.url(),
            auth=Auth(type=AuthType.BASIC, username="anna", password="${env:PW}"),
            environ={"PW": "hunter22"},
        )
    assert caught.value.message.endswith("bad header Basic ***, password ***")
    assert caught.value.__context__ is None


def test_a_server_that_never_answers_ends_at_the_deadline(server, fetch_api):
    server.routes["/"] = lambda handler: server.ending.wait(5)
    began = time.monotonic()
    with pytest.raises(FetchError, match=r"was not fetched within 0.4 s") as caught:
        fetch_api(server.url(), timeout_seconds=0.4)
    assert time.monotonic() - began < 1.0
    assert "API_FETCH_TIMEOUT" in caught.value.hint


def dribble(server, head, drop=b"x"):
    """Sends `head` at once and then a byte every 50 ms: no single read ever times out."""

    def route(handler):
        handler.wfile.write(head)
        while not server.ending.wait(0.05):
            handler.wfile.write(drop)

    server.routes["/"] = route


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"HTTP/1.1 500 No\r\nContent-Length: 1000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ],
    ids=["body", "header", "error-body", "no-length"],
)
def test_a_dribbling_server_ends_at_the_deadline(server, fetch_api, head):
    dribble(server, head)
    began = time.monotonic()
    with pytest.raises(FetchError, match="was not fetched within"):
        fetch_api(server.url(), timeout_seconds=0.4)
    assert time.monotonic() - began < 1.0


def test_a_silent_tls_handshake_ends_at_the_deadline(fetch_api):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        began = time.monotonic()
        with pytest.raises(FetchError, match="was not fetched within"):
            fetch_api(f"https://127.0.0.1:{listening.getsockname()[1]}/", timeout_seconds=0.4)
        assert time.monotonic() - began < 1.0


def test_a_thread_that_nothing_can_wake_is_left_behind():
    release = threading.Event()
    began = time.monotonic()
    with pytest.raises(Exception) as caught:
        Deadline(0.2, threading.Event()).run(lambda: release.wait(5))
    assert type(caught.value).__name__ == "DeadlinePassedError"
    assert time.monotonic() - began < 1.0
    release.set()


def test_a_cancelled_run_stops_fetching(server, fetch_api):
    dribble(server, b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    began = time.monotonic()
    with pytest.raises(FetchError, match="cancelled"):
        fetch_api(server.url(), timeout_seconds=30, cancelled=cancelled)
    assert time.monotonic() - began < 1.2


def test_compressed_bodies_are_unpacked(server, fetch_api):
    server.answer("/", gzip.compress(ROWS), Content_Encoding="gzip")
    assert fetch_api(server.url()).paths[0].read_bytes() == ROWS


def test_max_bytes_counts_unpacked_bytes(server, fetch_api, make_context):
    server.answer("/", gzip.compress(b"1" * 50_000_000), Content_Encoding="gzip")
    with pytest.raises(FetchError, match=r"goes on, more than the 1.0 MB that `max_bytes` allows") as caught:
        fetch_api(server.url(), max_bytes=1_000_000)
    assert "data_source.max_bytes" in caught.value.hint
    assert (make_context().run_dir / "input-data.json").stat().st_size <= 1_000_000


def test_an_announced_body_that_is_too_large_is_not_read(server, fetch_api):
    def route(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5000000000\r\n\r\n")
        server.ending.wait(5)

    server.routes["/"] = route
    with pytest.raises(FetchError, match=r"is 5.0 GB long, more than the 1.0 kB"):
        fetch_api(server.url(), max_bytes=1000)


def test_a_body_of_exactly_max_bytes_is_taken(server, fetch_api):
    server.answer("/", ROWS)
    assert fetch_api(server.url(), max_bytes=len(ROWS)).bytes == len(ROWS)


def test_a_body_that_breaks_off_is_no_data(server, fetch_api):
    def route(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[1,")

    server.routes["/"] = route
    with pytest.raises(FetchError, match=r"the connection to .* broke off"):
        fetch_api(server.url())


def test_a_body_that_cannot_be_unpacked(server, fetch_api):
    server.answer("/", b"this is no gzip", Content_Encoding="gzip")
    with pytest.raises(FetchError, match="cannot be unpacked"):
        fetch_api(server.url())


def test_an_empty_body_is_told(server, fetch_api):
    server.answer("/", b"")
    with pytest.raises(FetchError, match=r"HTTP 200 from .* has an empty body"):
        fetch_api(server.url())


@pytest.mark.parametrize("file_type", [kind for kind in FileType if kind is not FileType.XLSX])
def test_no_content_is_data_without_records(server, fetch_api, file_type):
    server.answer("/", b"", status=204)
    fetched = fetch_api(
        server.url(), file_type=file_type, records_path="items" if file_type is FileType.JSON else None
    )
    assert (fetched.format, fetched.records_path, fetched.bytes) == (FileType.NDJSON, None, 0)
    assert [path.read_bytes() for path in fetched.paths] == [b""]


def test_no_records_are_a_good_ndjson_body(server, fetch_api):
    server.answer("/", b"")
    assert fetch_api(server.url(), file_type=FileType.NDJSON).bytes == 0


@pytest.mark.parametrize("file_type", [FileType.JSON, FileType.CSV, FileType.PARQUET])
def test_a_login_page_is_no_data(server, fetch_api, file_type):
    page = b"\n<!DOCTYPE html><html><title>Log in</title><form>Password</form></html>"
    server.answer("/", page, content_type="text/html")
    with pytest.raises(
        FetchError, match=f"answers a web page where {file_type} was expected: Log in Password"
    ) as caught:
        fetch_api(server.url(), file_type=file_type)
    assert "login" in caught.value.hint


@pytest.mark.parametrize("file_type", [FileType.JSON, FileType.CSV])
@pytest.mark.parametrize("piece", [1, 5, 1000])
@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"\xef\xbb\xbf" + b"\r\n" * 3000 + b"<!DOCTYPE html>\n<p>Log in</p>\n", "a web page .*: Log in"),
        (b"<!-- 7 -->\n<html>\n<p>Log in</p>\n</html>", "a web page .*: Log in"),
        (b'<?xml version="1.0"?>\n<Error>Denied</Error>', "a web page .*: Denied"),
        (b"<!DOCTYPE html>\n" + b"<p>Log in</p>\n" * 999, "a web page .*: Log in"),
    ],
)
def test_a_page_is_no_data_however_it_begins_and_comes(server, fetch_api, file_type, piece, body, words):
    def route(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n")
        pieces = [body[at : at + piece] for at in range(0, len(body), piece)]
        handler.wfile.write(b"".join(b"%x\r\n%b\r\n" % (len(one), one) for one in (*pieces, b"")))

    server.routes["/"] = route
    with pytest.raises(FetchError, match=f"answers {words}"):
        fetch_api(server.url(), file_type=file_type)


@pytest.mark.parametrize("body", [b'{"error": "token expired"}', b'\n[{"a": 1}]'])
def test_json_is_no_csv(server, fetch_api, body):
    server.answer("/", body, content_type="application/problem+json; charset=utf-8")
    with pytest.raises(FetchError, match="answers JSON where csv was expected: ") as caught:
        fetch_api(server.url(), file_type=FileType.CSV)
    assert body.decode().strip() in caught.value.message
    server.answer("/", b'{"a"},b\n1,2\n', content_type="text/csv")
    assert fetch_api(server.url(), file_type=FileType.CSV).bytes


def test_a_column_may_be_called_by_a_name_that_looks_like_markup(server, fetch_api):
    server.answer("/", b"<unknown>,n\na,1\n", content_type="text/csv")
    assert fetch_api(server.url(), file_type=FileType.CSV).bytes == 16


def test_good_json_under_the_wrong_content_type_is_taken(server, fetch_api):
    server.answer("/", ROWS, content_type="text/html")
    assert fetch_api(server.url()).bytes == len(ROWS)


def test_redirects_on_the_same_host_keep_the_credentials(server, fetch_api):
    server.answer("/old", status=302, Location="/new?page=1")
    server.answer("/new", ROWS)
    fetched = fetch_api(
        server.url("/old"), headers=(("X-Api-Key", "k-12345"),), auth=Auth(type=AuthType.BEARER, token="t-12345")
    )
    assert server.seen[1][2]["x-api-key"] == "k-12345"
    assert server.seen[1][2]["authorization"] == "Bearer t-12345"
    assert fetched.description.startswith(f"HTTP 200 from {server.url('/new')}?…")


@pytest.mark.parametrize("elsewhere", ["port", "host"])
def test_credentials_never_travel_to_another_host(server, make_server, fetch_api, elsewhere):
    other = make_server() if elsewhere == "port" else server
    host = "127.0.0.1" if elsewhere == "port" else "localhost"
    server.answer("/old", status=307, Location=other.url("/new", host=host))
    other.answer("/new", ROWS)
    fetch_api(
        server.url("/old"),
        headers=(("X-Api-Key", "${env:KEY}"), ("Cookie", "k-12345"), ("Accept-Language", "de")),
        auth=Auth(type=AuthType.BEARER, token="${env:KEY}"),
        environ={"KEY": "k-12345"},
    )
    headers = {name.lower(): value for name, value in other.seen[-1][2].items()}
    assert headers["accept-language"] == "de"
    assert "k-12345" not in str(headers)
    assert not {"x-api-key", "authorization", "cookie"} & set(headers)


def test_credentials_do_not_come_back_after_a_detour(server, make_server, fetch_api):
    other = make_server()
    server.answer("/old", status=302, Location=other.url("/back"))
    other.answer("/back", status=302, Location=server.url("/new"))
    server.answer("/new", ROWS)
    fetch_api(server.url("/old"), auth=Auth(type=AuthType.BEARER, token="t-12345"))
    assert "authorization" not in {name.lower() for name in server.seen[-1][2]}


@pytest.mark.parametrize(
    ("elsewhere", "headers", "words"),
    [
        (True, (("X-Key", "k-12345"),), "credentials are not sent to another host"),
        (False, (("X-Key", "k-12345"),), "still valid"),
        (True, (("Accept", "text/csv"),), "still valid"),
    ],
)
def test_credentials_that_were_left_behind_are_told(server, make_server, fetch_api, elsewhere, headers, words):
    other = make_server() if elsewhere else server
    server.answer("/", status=302, Location=other.url("/new"))
    other.answer("/new", status=302, Location="/newer")
    other.answer("/newer", b"who are you?", status=401)
    with pytest.raises(FetchError, match=r"HTTP 401 .*: who are you") as caught:
        fetch_api(server.url(), headers=headers)
    assert words in caught.value.hint
    assert (f"127.0.0.1:{server.server_port} has led here" in caught.value.hint) is ("another host" in words)


def test_a_post_becomes_a_get_after_302_and_stays_after_307(server, fetch_api):
    server.answer("/new", ROWS)
    for status, method in ((302, "GET"), (307, "POST")):
        server.answer("/old", status=status, Location="/new")
        fetch_api(server.url("/old"), method="POST", body='{"a": 1}')
        assert server.seen[-1][0] == method
        assert server.seen[-1][3] == (b"" if method == "GET" else b'{"a": 1}')


def test_a_body_is_not_sent_to_another_host(server, make_server, fetch_api):
    other = make_server()
    server.answer("/old", status=307, Location=other.url("/new"))
    with pytest.raises(FetchError, match="redirects the POST to another host"):
        fetch_api(server.url("/old"), method="POST", body='{"a": 1}')
    assert other.seen == []


def test_the_body_of_a_redirect_is_not_read(server, fetch_api):
    def route(handler):
        handler.wfile.write(b"HTTP/1.1 302 Found\r\nLocation: /new\r\nContent-Length: 1000000\r\n\r\n")
        server.ending.wait(5)

    server.routes["/old"] = route
    server.answer("/new", ROWS)
    assert fetch_api(server.url("/old")).bytes == len(ROWS)


def test_redirects_end_after_five(server, fetch_api):
    server.answer("/", status=302, Location="/")
    with pytest.raises(FetchError, match="redirects once more after 5 redirects"):
        fetch_api(server.url())
    assert len(server.seen) == 6


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://example.com/x", "http://:80/", "http://[::1/x"])
def test_redirects_lead_to_http_addresses_only(server, fetch_api, target):
    server.answer("/", status=302, Location=target)
    with pytest.raises(FetchError, match="address"):
        fetch_api(server.url())


@pytest.mark.parametrize("location", ["ftp://example.com/x", "example.com/x", "http://", "http://h:99999/", ""])
def test_a_location_that_is_no_http_address(fetch_api, location):
    with pytest.raises(FetchError, match="address"):
        fetch_api(location)


def test_a_refused_connection_names_host_and_port(fetch_api):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(FetchError, match=f"no connection to 127.0.0.1:{port}: Connection refused") as caught:
        fetch_api(f"http://127.0.0.1:{port}/sales")
    assert "Check host and port" in caught.value.hint


def test_an_unknown_host_is_told(fetch_api):
    with pytest.raises(FetchError, match=r"the host nowhere.invalid is not known"):
        fetch_api("http://nowhere.invalid/", timeout_seconds=20)


@pytest.mark.long
def test_a_name_service_that_is_silent_is_told_apart_from_a_slow_server(fetch_api, monkeypatch):
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(5) and [])
    with pytest.raises(
        FetchError, match=r"the name service had still not told where api\.example\.com lies$"
    ) as caught:
        fetch_api("https://api.example.com/rows", timeout_seconds=1)
    ended.set()
    assert caught.value.message.startswith("https://api.example.com/rows was not fetched within 1 s: ")
    assert "Check the DNS of this machine" in caught.value.hint


def test_a_name_service_that_fails_is_told_apart_from_a_host_that_is_not_there(fetch_api, monkeypatch):
    def fail(*args, **kwargs):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(FetchError, match=r"^the name service cannot tell where api\.example\.com lies") as caught:
        fetch_api("http://api.example.com/", retries=0)
    assert "spelling" not in caught.value.hint
    assert "DNS of this machine" in caught.value.hint


def test_certificates_are_verified(make_server, tls_context, fetch_api, ca_file):
    server = make_server(tls_context)
    server.answer("/", ROWS)
    url = server.url(scheme="https")
    with pytest.raises(FetchError, match=r"certificate of 127.0.0.1:\d+ is not accepted: .*issuer") as caught:
        fetch_api(url)
    assert "REQUESTS_CA_BUNDLE" in caught.value.hint
    assert fetch_api(url, environ={"REQUESTS_CA_BUNDLE": str(ca_file)}).bytes == len(ROWS)


@pytest.mark.parametrize(
    "content", ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_file_of_authorities_that_holds_none_is_named(server, fetch_api, tmp_path, content):
    bundle = tmp_path / "ca.pem"
    bundle.write_text(content)
    with pytest.raises(FetchError, match="file of certificate authorities") as caught:
        fetch_api(server.url(scheme="https"), environ={"SSL_CERT_FILE": str(bundle)})
    assert "SSL_CERT_FILE" in caught.value.hint


def test_a_redirect_that_drops_tls_is_refused(make_server, tls_context, fetch_api, ca_file):
    server, plain = make_server(tls_context), make_server()
    server.answer("/", status=302, Location=plain.url("/"))
    with pytest.raises(FetchError, match="redirects from https to http"):
        fetch_api(server.url(scheme="https"), environ={"REQUESTS_CA_BUNDLE": str(ca_file)})


def test_https_asked_of_a_plain_port_is_told(server, fetch_api):
    with pytest.raises(FetchError, match="no TLS connection to"):
        fetch_api(server.url(scheme="https"))


def test_a_dribbling_tls_server_ends_at_the_deadline(make_server, tls_context, fetch_api, ca_file):
    server = make_server(tls_context)
    dribble(server, b"HTTP/1.1 200 OK\r\nX-Slow: ")
    began = time.monotonic()
    with pytest.raises(FetchError, match="was not fetched within"):
        fetch_api(server.url(scheme="https"), timeout_seconds=0.5, environ={"REQUESTS_CA_BUNDLE": str(ca_file)})
    assert time.monotonic() - began < 1.2


def test_the_proxy_of_the_run_environment_is_used(server, fetch_api):
    server.answer("http://api.example.com/sales", ROWS)
    fetched = fetch_api(
        "http://api.example.com/sales", environ={"http_proxy": server.url().replace("//", "//u:pw4711@")}
    )
    assert server.seen[0][1] == "http://api.example.com/sales"
    assert server.seen[0][2]["Proxy-Authorization"].startswith("Basic ")
    assert "pw4711" in fetched.secrets


@pytest.mark.parametrize("written", ["p%C3%B6%E2%82%AC%20%25", "p%C3%B6"])
def test_the_password_of_a_proxy_is_sent_in_utf_8(server, fetch_api, written):
    environ = dict.fromkeys(("http_proxy", "https_proxy"), server.url().replace("//", f"//u:{written}@"))
    server.answer("http://api.example.com/sales", ROWS)
    server.routes["api.example.com:443"] = lambda handler: handler.wfile.write(b"HTTP/1.1 403 No\r\n\r\n")
    fetch_api("http://api.example.com/sales", environ=environ)
    with pytest.raises(FetchError, match="refuses: HTTP 403"):
        fetch_api("https://api.example.com/", environ=environ)
    credentials = base64.b64encode(f"u:{unquote(written)}".encode()).decode()
    assert [headers["Proxy-Authorization"] for _, _, headers, *_ in server.seen] == [f"Basic {credentials}"] * 2


@pytest.mark.parametrize("user", ["u", "us", "use"])
def test_the_echo_of_a_proxy_s_credentials_is_masked(server, fetch_api, user):
    """In base64 the password begins in the middle of a letter, or not, as the name before it is long."""

    def echo(handler):
        handler.answer(f"bad header {handler.headers['Proxy-Authorization']}".encode(), {}, status=407)

    server.routes["http://api.example.com/sales"] = echo
    environ = {"http_proxy": server.url().replace("//", f"//{user}:pw4711@")}
    with pytest.raises(FetchError) as caught:
        fetch_api("http://api.example.com/sales", environ=environ)
    assert caught.value.message.endswith("bad header Basic ***")


def test_a_proxy_that_is_not_there_is_told_as_such(fetch_api):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(FetchError, match=r"the proxy on the way to api.example.com does not answer") as caught:
        fetch_api("http://api.example.com/", environ={"http_proxy": f"http://u:pw4711@127.0.0.1:{port}"})
    assert caught.value.hint.startswith(f"It is 127.0.0.1:{port}, which http_proxy names.")
    assert "https_proxy" in caught.value.hint
    assert "pw4711" not in caught.value.message


@pytest.mark.parametrize(
    ("status", "reason", "hint"),
    [(407, "Authentication Required", "wants credentials"), (403, "Not from here", "who runs the proxy")],
)
def test_a_proxy_that_makes_no_way_for_tls_says_why(server, fetch_api, status, reason, hint):
    answer = f"HTTP/1.1 {status} {reason}\r\n\r\n".encode()
    server.routes["api.example.com:443"] = lambda handler: handler.wfile.write(answer)
    words = rf"the proxy on the way to api.example.com refuses: HTTP {status} {reason}$"
    with pytest.raises(FetchError, match=words) as caught:
        fetch_api("https://api.example.com/", environ={"https_proxy": server.url()})
    assert hint in caught.value.hint


def test_a_proxy_that_speaks_no_tls_is_told(server, fetch_api):
    with pytest.raises(
        FetchError, match=r"no TLS connection to the proxy on the way to api.example.com"
    ) as caught:
        fetch_api("https://api.example.com/", environ={"https_proxy": server.url(scheme="https")})
    assert "write http://" in caught.value.hint


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"220 mail.example.com ESMTP\r\n", "is no HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "is no HTTP"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "is no HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-A: 1\r\n" * 101 + b"\r\n[]", "too many or too long"),
        (b"HTTP/1.1 200 OK\r\nX-A: " + b"1" * 70_000 + b"\r\n\r\n[]", "too many or too long"),
        (b"", "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[]", "broke off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n", "broke off"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n[]\r\n0\r\n\r\n", "broke off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n[]", "no number, or there are two"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\n[]", "no number, or there are two"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 1\r\n\r\n[]", "no number, or there are two"),
    ],
)
def test_what_is_no_answer_is_told(server, fetch_api, answer, words):
    server.routes["/"] = lambda handler: handler.wfile.write(answer)
    with pytest.raises(FetchError, match=rf"127.0.0.1:{server.server_port}\b.* {words}$"):
        fetch_api(server.url())


def test_a_failure_whose_body_is_no_body_is_told_by_its_status(server, fetch_api):
    answer = b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n[]\r\n0\r\n\r\n"
    server.routes["/"] = lambda handler: handler.wfile.write(answer)
    with pytest.raises(FetchError, match=r"^HTTP 500 No from \S+$"):
        fetch_api(server.url())


@pytest.mark.parametrize(
    ("charset", "text", "told"),
    [
        ("windows-1251", "a\nПривет\n", True),
        ("Shift_JIS", "a\n日本\n", True),
        ("utf-16-le", "a\nx\n", True),
        ("iso-2022-jp", "a\n日本\n", True),
        ("windows-1251", "a\nx\n", False),
        ("iso-8859-1", "a\né\n", False),
        ("utf-8", "a\né\n", False),
        ("utf8mb4", "a\né\n", False),
    ],
)
def test_a_csv_in_the_character_set_that_its_server_names(server, fetch_api, charset, text, told):
    written = text.encode(charset if told else "utf-8")
    server.answer("/", written, content_type=f'text/csv; header=present; charset="{charset}"')
    if told:
        words = f"answers text in {charset.lower()}, which the job reads as UTF-8$"
        with pytest.raises(FetchError, match=words) as caught:
            fetch_api(server.url(), file_type=FileType.CSV)
        assert caught.value.hint == f"Set `data_source.encoding: {charset.lower()}`."
    named = TableOptions(encoding=charset) if told else TableOptions()
    assert fetch_api(server.url(), file_type=FileType.CSV, table=named).paths[0].read_bytes() == written


@pytest.mark.parametrize("file_type", [FileType.JSON, FileType.NDJSON], ids=str)
@pytest.mark.parametrize(
    ("named", "sent_in", "text"),
    [
        ("iso-8859-1", "latin-1", '{"a": "é"}'),
        ("iso-8859-1", "utf-8", '{"a": "é"}'),
        ("utf-16", "utf-16", '{"a": "日本"}'),
        ("utf-16-be", "utf-16-be", '{"a": 1}'),
        ("Shift_JIS", "shift_jis", '{"a": "日本"}'),
        ("hex", "utf-8", '{"a": "é"}'),
        ("no-such", "utf-8", '{"a": "é"}'),
    ],
)
def test_json_in_the_character_set_that_its_server_names(server, fetch_api, file_type, named, sent_in, text):
    server.answer("/", text.encode(sent_in), content_type=f"application/json; charset={named}")
    (path,) = fetch_api(server.url(), file_type=file_type).paths
    assert path.read_text(encoding="utf-8") == text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("named", ["punycode", "idna", "unicode_escape", "raw_unicode_escape"])
def test_json_is_not_read_as_what_no_text_is_sent_in(server, fetch_api, named):
    body = b'\x1b{"a": "\\u0041", "b": "-.xn--kva"}'
    server.answer("/", body, content_type=f"application/json; charset={named}")
    assert fetch_api(server.url()).paths[0].read_bytes() == body


def test_json_that_is_no_text_in_the_character_set_that_its_server_names(server, fetch_api):
    server.answer("/", b'{"a": "\x81\xff"}', content_type="application/json; charset=shift_jis")
    with pytest.raises(FetchError, match="answers text that is neither UTF-8 nor shift_jis, which it names"):
        fetch_api(server.url())


@pytest.mark.parametrize("redirects", [False, True])
def test_a_percent_sign_alone_leaves_the_others_what_they_are(server, fetch_api, redirects):
    path = "/?like=50%&at=10%3A00"
    server.answer("/", ROWS)
    server.answer("/old", status=302, Location=path)
    fetch_api(server.url("/old" if redirects else path))
    assert server.seen[-1][1] == "/?like=50%25&at=10%3A00"


@pytest.mark.parametrize("conditions", [(), (("If-None-Match", '"v1"'),)])
def test_a_not_modified_that_nobody_has_asked_for(server, fetch_api, conditions):
    server.answer("/", status=304)
    with pytest.raises(FetchError, match="HTTP 304 Not Modified") as caught:
        fetch_api(server.url(), headers=conditions)
    assert ("nobody has asked" in caught.value.hint) is (not conditions)


@pytest.mark.parametrize("named", ["windows-1252", '"windows-1252"', "'Windows-1252'"])
def test_a_refusal_is_shown_in_the_charset_that_its_server_names(server, fetch_api, named):
    server.answer(
        "/",
        "Zugang gesperrt für Prüfung".encode("cp1252"),
        status=403,
        content_type=f"text/plain; charset={named}",
    )
    with pytest.raises(FetchError, match="gesperrt für Prüfung"):
        fetch_api(server.url())


@pytest.mark.parametrize("charset", ["no-such", "hex", "idna"])
def test_a_body_in_a_charset_of_no_use_is_still_shown(server, fetch_api, charset):
    server.answer("/", b"gone \xff", status=410, content_type=f"text/plain; charset={charset}")
    with pytest.raises(FetchError, match=r"HTTP 410 Gone from .*: gone"):
        fetch_api(server.url())


def test_a_header_that_cannot_be_sent_is_named_without_its_value(server, fetch_api):
    with pytest.raises(FetchError) as caught:
        fetch_api(server.url(), headers=(("X-Key", "${env:KEY}"),), environ={"KEY": "one\ntwo"})
    assert caught.value.message == "the value of the header 'x-key' cannot be sent"
    assert server.seen == []


def test_one_of_several_sources_is_named(server, fetch_api, make_context):
    server.answer("/", ROWS)
    assert fetch_api(server.url(), name="orders").paths == (make_context().run_dir / "input-orders.json",)
    with pytest.raises(FetchError, match=r"in data_sources\.orders\.auth\.token"):
        fetch_api(server.url(), name="orders", auth=Auth(type=AuthType.BEARER, token="${env:KEY}"))


def test_a_disk_that_takes_nothing_is_told(server, fetch_api, make_context):
    server.answer("/", ROWS)
    (make_context().run_dir / "input-data.json").mkdir()
    with pytest.raises(FetchError, match=r"cannot be stored in .*: Is a directory"):
        fetch_api(server.url())


def test_a_part_that_nobody_asked_for_is_refused(server, fetch_api):
    server.answer("/", ROWS, status=206)
    with pytest.raises(FetchError, match="answers a part of its data"):
        fetch_api(server.url())
    assert fetch_api(server.url(), headers=(("Range", "bytes=0-"),)).bytes == len(ROWS)


def test_facts_are_quoted_in_an_address(server, fetch_api, make_context):
    server.answer("/since", ROWS)
    facts = {**make_context().facts, "cursor": "2025-01-01T00:00:00+00:00&x=/#"}
    fetch_api(server.url("/since?t=${run:cursor}"), facts=facts)
    assert server.seen[-1][1] == "/since?t=2025-01-01T00%3A00%3A00%2B00%3A00%26x%3D%2F%23"
    with pytest.raises(FetchError, match=r"'\.\.' cannot stand in an address"):
        fetch_api(server.url("/a/${run:cursor}/b"), facts={**facts, "cursor": ".."})


def test_blanks_around_a_header_are_not_sent(server, fetch_api):
    server.answer("/", ROWS)
    fetch_api(server.url(), headers=(("X-Key", "\t${env:KEY} "),), environ={"KEY": " abc"})
    assert server.seen[-1][2]["x-key"] == "abc"


def test_a_fault_of_a_library_is_told_without_secrets(server, fetch_api):
    with pytest.raises(FetchError, match=r"UnicodeEncodeError: .*line \d+\)") as caught:
        fetch_api(server.url(), params=(("x", "${env:KEY}\udcff"),), environ={"KEY": "Correct9Horse"})
    assert caught.value.__context__ is None
    with pytest.raises(FetchError, match="the variable KEY is no UTF-8 text"):
        fetch_api(server.url(), params=(("x", "${env:KEY}"),), environ={"KEY": "a\udcff"})
