"""A real S3 server of its own."""

import gzip
import threading
import time
from urllib.parse import parse_qs

import pytest
import requests

from runner.core.job_policy import RunBounds
from runner.core.source import DataSource, FileType, SourceType
from runner.errors import FetchError
from runner.fetch.fetching import fetch
from runner.fetch.store_objects import family

pytest.importorskip("s3fs", reason="the extra `s3` is not installed")
SECRET = "planted-secret-4711"
# To write over an object needs somebody to be, whose word the server takes.
SIGNED = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260101/us-east-1/s3/aws4_request, "
    "SignedHeaders=host, Signature=0"
}
CONNECTION = (
    "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey=planted-key-0815==;EndpointSuffix=example.com"
)


class Gate:
    """What stands in front of the server: `after` is called with the path of each object that was read, before its
    bytes are sent. `most` is how many were read at the same time. Of `unlisted`, a folder, nothing is told."""

    def __init__(self, app):
        self.app = app
        self.after = self.unlisted = None
        self.under_way = self.most = 0
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        if self.unlisted and parse_qs(environ["QUERY_STRING"]).get("prefix") == [self.unlisted]:
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"]
        if "HTTP_RANGE" not in environ:
            return self.app(environ, start_response)
        with self.lock:
            self.under_way += 1
            self.most = max(self.most, self.under_way)
        try:
            body = list(self.app(environ, start_response))
            if self.after is not None:
                self.after(environ["PATH_INFO"])
            return body
        finally:
            with self.lock:
                self.under_way -= 1


@pytest.fixture(scope="module")
def gate():
    return Gate(None)


@pytest.fixture(scope="module")
def store(gate):
    """The address of a server with the bucket `orders`."""
    server = pytest.importorskip("moto.server", reason="moto is not installed").ThreadedMotoServer(
        ip_address="127.0.0.1", port=0, verbose=False
    )
    server.start()
    gate.app = server._server.app
    server._server.app = gate
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    try:
        with requests.Session() as session:
            session.put(f"{address}/orders").raise_for_status()
            for name, body in {
                "in/b.csv.gz": b"packed",
                "in/a.csv.gz": b"first",
                "in/deep/c.csv.gz": b"deep",
                "in/.part.csv.gz": b"unfinished",
                "in/.trash/d.csv.gz": b"gone",
                "in/x.txt": b"no",
                "odd[1].csv": b"a\n1\n",
                "in/deep/": b"",
                "lost/a%3FversionId=1.csv": b"a\n1\n",
            }.items():
                session.put(f"{address}/orders/{name}", data=body).raise_for_status()
        yield address
        # It keeps large objects in files without a name, which would count as this process's own from now on.
        requests.post(f"{address}/moto-api/reset", timeout=10).raise_for_status()
    finally:
        server.stop()


@pytest.fixture
def fetch_objects(make_context):
    def run(location, *, environ=None, max_bytes=1 << 30, **changes):
        source = DataSource(
            name="orders", source_type=SourceType.FILE, location=location, format=FileType.CSV, max_bytes=max_bytes
        )
        return fetch(source, make_context(**{"timeout_seconds": 40.0, "environ": environ or {}, **changes}))

    return run


@pytest.fixture
def put(store):
    def run(name, body):
        requests.put(f"{store}/orders/{name}", data=body, headers=SIGNED, timeout=10).raise_for_status()

    return run


@pytest.fixture
def after_reading(gate):
    """Have a function called after each part of an object that is read."""

    def run(call):
        gate.after, gate.most = call, 0

    yield run
    gate.after = None


@pytest.fixture
def environ(store):
    return {
        "AWS_ENDPOINT_URL": store,
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "DATABASE_PASSWORD": "not for a store",
    }


def test_the_objects_of_a_pattern_become_files_of_the_run(fetch_objects, environ, tmp_path):
    fetched = fetch_objects("s3://orders/in/*.csv.gz", environ=environ)
    run_dir = tmp_path / "run"
    assert fetched.paths == (
        run_dir / "input-orders-00001" / "a.csv.gz",
        run_dir / "input-orders-00002" / "b.csv.gz",
    )
    assert [path.read_bytes() for path in fetched.paths] == [b"first", b"packed"]
    assert fetched.bytes == 11
    assert fetched.description == "2 files of s3://orders/in/*.csv.gz, 11 bytes"
    assert SECRET in fetched.secrets


@pytest.mark.long
def test_a_pattern_stands_for_no_leading_dot(fetch_objects, environ):
    names = {"in/**/*.gz": 3, "in/.*.gz": 1, "in/.trash/*": 1}
    assert {name: len(fetch_objects(f"s3://orders/{name}", environ=environ).paths) for name in names} == names


@pytest.mark.long
def test_an_empty_folder_of_a_console_is_no_file(fetch_objects, environ):
    assert len(fetch_objects("s3://orders/in/**", environ=environ).paths) == 4


@pytest.mark.long
def test_two_stars_stand_for_a_folder_without_a_name_too(fetch_objects, environ, put):
    for name in ("a.csv", "%2Fb.csv", "deep/c.csv", "deep/%2Fd.csv", "deep/x.txt"):
        put(f"double/{name}", name.encode())
    fetched = fetch_objects("s3://orders/double/**/*.csv", environ=environ)
    assert sorted(path.name for path in fetched.paths) == ["a.csv", "b.csv", "c.csv", "d.csv"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("pattern", "count"), [("two//*.csv", 2), ("two//[a].csv", 1), ("t*//*.csv", 2), ("/two/*.csv", 1)]
)
def test_two_slashes_of_a_pattern_are_a_folder_without_a_name(fetch_objects, environ, put, pattern, count):
    for name in ("two//a.csv", "two//b.csv", "two//deep/c.csv", "two/d.csv", "/two/e.csv"):
        put(name, b"a\n1\n")
    assert len(fetch_objects(f"s3://orders/{pattern}", environ=environ).paths) == count


@pytest.mark.parametrize("name", ["in//*.gz", "in//a.csv.gz", "/in/*.gz"])
def test_two_slashes_where_nothing_is_found_are_told(fetch_objects, environ, name):
    with pytest.raises(FetchError, match=r"there is no file|no file matches") as caught:
        fetch_objects(f"s3://orders/{name}", environ=environ)
    assert caught.value.hint == "A store takes `//` for a folder without a name: write / if there is none."


def test_a_scheme_may_be_in_capitals(fetch_objects, environ):
    assert fetch_objects("S3://orders/in/a.csv.gz", environ=environ).bytes == 5


def test_an_object_that_is_gone_once_it_is_read_is_told(fetch_objects, environ):
    # To read this name is to ask for an object without its end.
    with pytest.raises(FetchError, match=r"orders/lost/a\?versionId=1\.csv is listed there, and cannot be found"):
        fetch_objects("s3://orders/lost/*.csv", environ=environ)


@pytest.mark.long
def test_of_several_faults_the_first_is_told(fetch_objects, environ, put, after_reading):
    for name in ("1.csv", "2%3FversionId=1.csv", "3%3FversionId=1.csv"):
        put(f"two-lost/{name}", b"a\n1\n")
    after_reading(lambda path: time.sleep(0.3 if path.endswith("1.csv") else 0))
    with pytest.raises(FetchError, match=r"orders/two-lost/2\?versionId=1\.csv is listed there"):
        fetch_objects("s3://orders/two-lost/*", environ=environ)


@pytest.mark.long
def test_objects_are_read_several_at_a_time_and_stay_in_order(fetch_objects, environ, put, after_reading, gate):
    for number in range(20):
        put(f"many/{number:02d}.csv", b"%d" % number)
    # The first are the last to come.
    after_reading(lambda path: time.sleep(0.2 if path < "/orders/many/04" else 0.02))
    fetched = fetch_objects("s3://orders/many/*.csv", environ=environ)
    assert [int(path.read_bytes()) for path in fetched.paths] == list(range(20))
    assert 1 < gate.most <= 8


@pytest.mark.long
def test_the_file_of_an_object_says_that_it_is_packed(fetch_objects, environ, put):
    packed, other = gzip.compress(b"a\n1\n"), b"\x28\xb5\x2f\xfd and more"
    for name, body in {"1.csv": packed, "2.CSV.GZ": packed, "3": other, "4.csv": b""}.items():
        put(f"packed/{name}", body)
    paths = fetch_objects("s3://orders/packed/*", environ=environ).paths
    assert [(path.name, path.read_bytes()) for path in paths] == [
        ("1.csv.gz", packed),
        ("2.CSV.GZ", packed),
        ("3.zst", other),
        ("4.csv", b""),
    ]
    assert [list(path.parent.iterdir()) for path in paths] == [[path] for path in paths]


def test_an_object_whose_name_no_file_should_have_gets_another_one(fetch_objects, environ, put):
    for name in ("a [1].csv", "tab%09.csv", f"{'é' * 101}.csv"):
        put(f"names/{name}", b"a\n1\n")
    paths = fetch_objects("s3://orders/names/*.csv", environ=environ).paths
    assert [path.name for path in paths] == ["a [1].csv", "input-orders-00002.csv", "input-orders-00003.csv"]


@pytest.mark.long
def test_an_object_that_is_replaced_while_it_is_read_comes_whole(fetch_objects, environ, put, after_reading):
    put("hot.csv", b"a" * 5_000_000)

    def replace(_path):
        after_reading(None)
        put("hot.csv", b"b" * 6_000_000)

    after_reading(replace)
    fetched = fetch_objects("s3://orders/hot.csv", environ=environ)
    assert fetched.paths[0].read_bytes() == b"b" * 6_000_000
    assert fetched.bytes == 6_000_000


@pytest.mark.long
def test_an_object_that_is_replaced_whenever_it_is_read_is_told(fetch_objects, environ, put, after_reading):
    put("hotter.csv", b"0" * 5_000_000)
    contents = iter(b"123456789")
    after_reading(lambda _path: put("hotter.csv", bytes([next(contents)]) * 5_000_000))
    with pytest.raises(FetchError, match=r"orders/hotter\.csv was written to each time it was read"):
        fetch_objects("s3://orders/hotter.csv", environ=environ)


@pytest.mark.long
def test_an_object_that_grows_past_max_bytes_while_it_is_read_is_refused(
    fetch_objects, environ, put, after_reading
):
    put("more.csv", b"a" * 5_000_000)
    after_reading(lambda _path: put("more.csv", b"b" * 7_000_000))
    with pytest.raises(FetchError, match=r"has 7\.0 MB, more than the 6\.0 MB that `max_bytes` allows"):
        fetch_objects("s3://orders/more.csv", environ=environ, max_bytes=6_000_000)


@pytest.mark.long
def test_a_name_that_is_there_is_no_pattern(fetch_objects, environ, tmp_path):
    fetched = fetch_objects("s3://orders/odd[1].csv", environ=environ)
    assert fetched.paths == (tmp_path / "run" / "input-orders.csv",)
    assert fetched.paths[0].read_bytes() == b"a\n1\n"


@pytest.mark.long
def test_more_than_max_bytes_is_refused(fetch_objects, environ, tmp_path):
    with pytest.raises(FetchError, match="has 11 bytes, more than the 10 bytes that `max_bytes` allows"):
        fetch_objects("s3://orders/in/*.gz", environ=environ, max_bytes=10)
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.long
def test_a_folder_that_may_not_be_listed_is_told_and_not_left_out(fetch_objects, environ, put, gate):
    for folder in "abc":
        put(f"parts/{folder}/x.csv", b"a\n1\n")
    assert len(fetch_objects("s3://orders/parts/*/x.csv", environ=environ).paths) == 3
    gate.unlisted = "parts/b/"
    try:
        with pytest.raises(
            FetchError, match=r"may not be read: the folder orders/parts/b cannot be listed: Access"
        ):
            fetch_objects("s3://orders/parts/*/x.csv", environ=environ)
    finally:
        gate.unlisted = None


@pytest.mark.long
@pytest.mark.parametrize(
    ("unlisted", "pattern"),
    [
        ("shares/b/private/", "shares/*/daily/x.csv"),
        ("shares/b-2025/", "shares/*-2026/x.csv"),
        ("shares/.trash/", "shares/**/x.csv"),
        ("shares/.trash/", "shares/*/x.csv"),
    ],
)
def test_a_folder_that_a_pattern_does_not_lead_to_need_not_be_listed(
    fetch_objects, environ, put, gate, unlisted, pattern
):
    for folder in ("shares/a/daily", "shares/b-2026", "shares/c", unlisted.rstrip("/")):
        put(f"{folder}/x.csv", b"a\n1\n")
    gate.unlisted = unlisted
    try:
        assert fetch_objects(f"s3://orders/{pattern}", environ=environ).paths
    finally:
        gate.unlisted = None


@pytest.mark.long
@pytest.mark.parametrize("name", ["x.csv", "in/*.csv", "x*.csv", "**/x.csv"])
def test_a_bucket_that_is_not_there_is_told(fetch_objects, environ, name):
    with pytest.raises(FetchError, match="the store has no bucket lost-orders") as caught:
        fetch_objects(f"s3://lost-orders/{name}", environ=environ)
    assert "AWS_" in caught.value.hint


@pytest.mark.long
def test_what_is_not_there_is_told(fetch_objects, environ):
    with pytest.raises(FetchError, match=r"there is no file s3://orders/in/none.csv$") as caught:
        fetch_objects("s3://orders/in/none.csv", environ=environ)
    assert "pattern" not in caught.value.hint
    with pytest.raises(FetchError, match=r"no file matches s3://orders/in/none\*.csv$") as caught:
        fetch_objects("s3://orders/in/none*.csv", environ=environ)
    assert "Check the pattern" in caught.value.hint


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("s3://other/in/a.csv", "the policy does not allow the bucket other"),
        ("abfs://box@other.dfs.example.com/a.csv", "the policy does not allow the bucket other.dfs.example.com"),
        ("s3:///in/a.csv", "is no address of a file in a store"),
        ("s3://key:planted-secret@orders/a.csv", "is no address of a file in a store"),
        ("ftp://orders/a.csv", "begins with ftp://, which is no place of files"),
    ],
)
def test_places_that_a_job_may_not_read(fetch_objects, location, words):
    with pytest.raises(FetchError, match=words) as caught:
        fetch_objects(location, bounds=RunBounds(allowed_hosts=("orders",)))
    assert "planted-secret" not in caught.value.message


def test_a_store_gets_its_own_variables_and_their_secrets_are_masked():
    from runner.fetch.object_stores import _environment
    from runner.fetch.references import References

    environ = {
        "AZURE_STORAGE_CONNECTION_STRING": CONNECTION,
        "AZURE_CLIENT_SECRET": SECRET,
        "AWS_SECRET_ACCESS_KEY": "another",
        "https_proxy": "http://proxy.example.com",
        "HOME": "/home/reader",
        "DB_URL": "postgresql://x",
    }
    references = References(environ, {})
    assert set(_environment(environ, "azure", references)) == set(environ) - {"AWS_SECRET_ACCESS_KEY", "DB_URL"}
    assert references.mask(f"{SECRET} planted-key-0815==") == "*** ***"


def test_the_address_of_a_store_of_ones_own_is_handed_on():
    from runner.fetch.object_stores import _environment
    from runner.fetch.references import References

    environ = {"STORAGE_EMULATOR_HOST": "http://localhost:4443", "AWS_ENDPOINT_URL": "http://localhost:9000"}
    assert [set(_environment(environ, extra, References({}, {}))) for extra in ("gcs", "s3", "azure")] == [
        {"STORAGE_EMULATOR_HOST"},
        {"AWS_ENDPOINT_URL"},
        set(),
    ]


@pytest.mark.parametrize(
    ("protocol", "found"),
    [
        (("s3", "s3a"), "s3"),
        (("gs", "gcs"), "gcs"),
        (("abfs", "az", "abfss"), "abfs"),
        # Of adlfs, up to 2025 at least.
        ("abfs", "abfs"),
        ("memory", ""),
    ],
)
def test_a_store_is_known_by_the_names_of_its_library(protocol, found):
    assert family(type("Store", (), {"protocol": protocol})) == found
