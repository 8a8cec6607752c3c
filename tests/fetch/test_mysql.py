"""A real MariaDB, which speaks as MySQL does: one server for this file."""

import datetime as dt
import os
import shutil
import time
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import pytest

from runner.errors import FetchError

pymysql = pytest.importorskip("pymysql", reason="the extra `mysql` is not installed")

PASSWORD, URL_PASSWORD = "p@ss'w/rd#4711", "p%40ss'w%2Frd%234711"
ROWS = 2000
TABLES = f"""
CREATE DATABASE shop CHARACTER SET utf8mb4;
CREATE TABLE shop.orders (id int, flag tinyint(1), big bigint, huge bigint unsigned, amount decimal(10,2), half double,
    day date, at datetime(6), seen timestamp NULL, clock time, name varchar(20), raw varbinary(9), bits bit(8), doc json);
INSERT INTO shop.orders SELECT seq, 1, 9007199254740993, 18446744073709551615, seq / 4, 0.5, '2025-11-09',
    '2025-11-09 14:00:00.000001', '2025-11-09 14:00:00', '26:03:04', 'Zoë 100% :x', x'00ff', b'10101010', '{{"a": 1.50}}'
    FROM shop.seq_1_to_{ROWS};
CREATE SEQUENCE shop.numbers;
CREATE USER ann@'127.0.0.1' IDENTIFIED BY '{PASSWORD.replace("'", "''")}';
GRANT ALL ON *.* TO ann@'127.0.0.1';
"""


def _tool(name):
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


@pytest.fixture(scope="module")
def server(database_daemon):
    """What an administrator connects with; `port` is on 127.0.0.1 and asks for a password. Its own time is Tokyo's."""
    installer, daemon = _tool("mariadb-install-db"), _tool("mariadbd")
    if installer is None or daemon is None:
        pytest.skip("MariaDB is not installed: there is no mariadbd")

    def own(folder):
        return ["--no-defaults", f"--datadir={folder / 'data'}", f"--tmpdir={folder}"]

    def install(folder):
        return [installer, *own(folder), "--auth-root-authentication-method=normal", "--skip-test-db"]

    def serve(folder, port):
        return [
            *(daemon, *own(folder), f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder / 's'}"),
            *(f"--pid-file={folder / 'pid'}", "--innodb-buffer-pool-size=8M", "--default-time-zone=+09:00"),
            "--secure-file-priv=",
        ]

    with database_daemon(install=install, serve=serve) as (folder, port):
        yield _filled({"unix_socket": str(folder / "s"), "user": "root", "port": port})


def _filled(settings):
    # A connection that is refused leaves a socket of the driver open.
    assert _until(Path(settings["unix_socket"]).exists), "MariaDB does not come up"
    with closing(pymysql.connect(**settings, autocommit=True)) as connection:
        for statement in filter(str.strip, TABLES.split(";\n")):
            connection.cursor().execute(statement)
    return settings


def _until(condition):
    for _ in range(400):
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def ask(server):
    """What an administrator sees: the rows of a statement."""

    def run(statement):
        with closing(pymysql.connect(**server)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    return run


@pytest.fixture
def read(server, read_rows):
    url = f"mysql+pymysql://ann:{URL_PASSWORD}@127.0.0.1:{server['port']}/shop"
    return lambda query, **parameters: read_rows("mysql", url, query, parameters)


@pytest.fixture
def fetch_rows(server, fetch_query):
    def run(query, *, password=URL_PASSWORD, **more):
        return fetch_query(f"mysql://ann:{password}@127.0.0.1:{server['port']}/shop", query, **more)

    return run


@pytest.mark.long
def test_rows_come_over_tcp_with_a_password(fetch_rows, tmp_path):
    query = "SELECT id FROM orders WHERE id > ${run:cursor} AND at < ${run:scheduled_time} AND name LIKE '%:x' ORDER BY 1"
    fetched = fetch_rows(query, cursor=ROWS - 2)
    assert fetched.paths == (tmp_path / "run" / "input-orders.parquet",)
    assert fetched.description.startswith("0 rows of mysql at 127.0.0.1")
    assert {URL_PASSWORD, PASSWORD} <= fetched.secrets


@pytest.mark.long
def test_bytes_are_no_mark(fetch_rows):
    """Those of a UUID in `BINARY(16)` are below the text that they would be marked with: no later row was above."""
    with pytest.raises(FetchError, match=r"'raw', which `incremental.cursor` names, holds bytes") as fault:
        fetch_rows("SELECT id, raw FROM orders WHERE raw > ${run:cursor}", cursor="", cursor_column="raw")
    assert "HEX(the_column) AS the_column" in fault.value.hint
    assert "UNHEX(${run:cursor})" in fault.value.hint
    query = "SELECT id, HEX(raw) AS raw FROM orders WHERE id < 3 AND raw > UNHEX(${run:cursor})"
    assert fetch_rows(query, cursor="00FE", cursor_column="raw").description.startswith("2 rows")
    assert fetch_rows(query, cursor="00FF", cursor_column="raw").description.startswith("0 rows")


def test_types_are_kept(read):
    row = read("SELECT * FROM orders WHERE id = :run_cursor", run_cursor=3).to_pylist()[0]
    assert row == {
        "id": 3,
        "flag": 1,
        "big": 9007199254740993,
        "huge": Decimal(18446744073709551615),
        "amount": Decimal("0.75"),
        "half": 0.5,
        "day": dt.date(2025, 11, 9),
        "at": dt.datetime(2025, 11, 9, 14, 0, 0, 1),
        "seen": dt.datetime(2025, 11, 9, 5),
        "clock": "26:03:04",
        "name": "Zoë 100% :x",
        "raw": "00ff",
        "bits": "aa",
        "doc": '{"a": 1.50}',
    }


def test_no_rows_have_the_types_of_the_query(read):
    none, some = (read(f"SELECT * FROM orders WHERE id <= {bound}").schema for bound in (0, 10))
    exact = [name for name in some.names if name != "huge"]
    assert [none.field(name) for name in exact] == [some.field(name) for name in exact]


def test_a_day_that_there_is_not_makes_a_column_texts_throughout(read):
    never = "CASE WHEN id = 1500 THEN CAST('2025-00-00' AS date) ELSE day END"
    days = read(f"SELECT {never} AS day, CAST({never} AS datetime) AS at FROM orders ORDER BY id")
    assert sorted(set(days["day"].to_pylist())) == ["2025-00-00", "2025-11-09"]
    assert sorted(set(days["at"].to_pylist())) == ["2025-00-00 00:00:00", "2025-11-09 00:00:00"]


def test_a_day_of_nothing_is_a_gap_where_the_query_says_so(read):
    zero = "CASE WHEN id = 1500 THEN CAST(0 AS date) ELSE day END"
    days = read(f"SELECT {zero} AS day, NULLIF({zero}, 0) AS gap FROM orders WHERE id >= 1500 ORDER BY id")
    assert days["day"].to_pylist()[:2] == ["0000-00-00", "2025-11-09"]
    assert days["gap"].to_pylist()[:2] == [None, dt.date(2025, 11, 9)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT id FROM orders FOR UPDATE", "READ ONLY transaction"),
        ("SELECT NEXTVAL(numbers)", "READ ONLY transaction"),
        ("WITH a AS (SELECT 1) DELETE FROM orders", "error in your SQL syntax"),
        ("SELECT id, id FROM orders", "two of its columns are called 'id'"),
        ("SELECT nothing FROM orders", "Unknown column 'nothing'"),
    ],
)
def test_the_session_is_read_only(fetch_rows, query, words):
    with pytest.raises(FetchError, match=words):
        fetch_rows(query)


@pytest.mark.long
def test_a_wrong_password_is_told_and_not_shown(fetch_rows):
    with pytest.raises(
        FetchError, match=r"no connection to the database .mysql at 127.0.0.1.: Access denied"
    ) as caught:
        fetch_rows("SELECT 1", password="Wrong9Horse%40Battery")
    assert "Wrong9Horse" not in caught.value.message + caught.value.hint


@pytest.mark.long
def test_rows_that_are_too_many_are_not_read_to_their_end(fetch_rows):
    with pytest.raises(FetchError, match=r"more than the 1.0 MB that `max_bytes` allows"):
        fetch_rows("SELECT a.id, b.name FROM orders a, orders b, orders c", max_bytes=1_000_000)


@pytest.mark.long
def test_a_query_past_the_deadline_ends_here_and_in_the_server(fetch_rows, ask):
    with pytest.raises(FetchError, match=r"was not read within 2 s"):
        fetch_rows("SELECT count(*) FROM orders a, orders b, orders c, orders d", timeout_seconds=2.0)
    busy = "SELECT id FROM information_schema.processlist WHERE user = 'ann' AND command = 'Query'"
    assert _until(lambda: not ask(busy)), "the server still works for nobody"
