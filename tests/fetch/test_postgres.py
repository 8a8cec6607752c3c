"""A real PostgreSQL: one server for this file, so that one worker of the tests starts it."""

import datetime as dt
import shutil
import socket
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest

from runner.errors import FetchError
from runner.fetch.worker_faults import WorkerError

psycopg = pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")

PASSWORD, URL_PASSWORD = "p@ss'w/rd#4711", "p%40ss'w%2Frd%234711"
ROWS = 2000
TABLES = """
CREATE TABLE orders (id int, amount numeric(10,2), code uuid, doc jsonb, at timestamptz, day date, naive timestamp,
                     span interval, raw bytea, list int[], clock time, free numeric, note text, big bigint, ok bool);
INSERT INTO orders SELECT i, i / 4.0, '00000000-0000-0000-0000-00000000000a', '{"a": 1.50}', '2025-11-09 14:00+01',
    '2025-11-09', '2025-11-09 14:00', '1 month 2 hours', '\\x00ff', '{1,2}', '12:30', i / 7.0, '100% :x', 2^40, true
    FROM generate_series(1, 2000) AS i;
CREATE FUNCTION sly() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN DELETE FROM orders; RETURN 1; END';
"""


def _tool(name):
    found = shutil.which(name)
    places = [
        *([Path(found).resolve()] if found else []),
        *sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}")),
    ]
    return str(places[-1]) if places else None


@pytest.fixture(scope="module")
def server(database_daemon):
    """The settings by which an administrator connects; `port` is on 127.0.0.1 and asks for a password."""
    initdb, postgres = _tool("initdb"), _tool("postgres")
    if initdb is None or postgres is None:
        pytest.skip("PostgreSQL is not installed: there is no initdb")

    def install(folder):
        (folder / "password").write_text(PASSWORD)
        options = ["-U", "admin", "--no-sync", "--locale=C", "-E", "UTF8", "--auth-local=trust"]
        passwords = ["--auth-host=scram-sha-256", f"--pwfile={folder / 'password'}"]
        return [initdb, "-D", folder / "data", *options, *passwords]

    def serve(folder, port):
        settings = ["-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "timezone=Asia/Tokyo"]
        return [postgres, "-D", folder / "data", "-p", str(port), "-k", folder, *settings]

    with database_daemon(install=install, serve=serve) as (folder, port):
        yield _connected({"host": str(folder), "port": port, "user": "admin", "dbname": "postgres"})


def _connected(settings):
    for _ in range(200):
        try:
            with psycopg.connect(**settings) as connection:
                connection.execute(TABLES)
            return settings
        except psycopg.OperationalError:
            time.sleep(0.05)
    raise AssertionError("PostgreSQL does not come up")


@pytest.fixture
def ask(server):
    """What an administrator sees: the rows of a statement."""

    def run(statement):
        with psycopg.connect(**server) as connection:
            return connection.execute(statement).fetchall()

    return run


@pytest.fixture
def read(server, read_rows):
    url = f"postgresql+psycopg://admin@/postgres?host={server['host']}&port={server['port']}"
    return lambda query, **parameters: read_rows("postgresql", url, query, parameters)


@pytest.fixture
def fetch_rows(server, fetch_query):
    def run(query, *, password=URL_PASSWORD, **more):
        return fetch_query(f"postgres://admin:{password}@127.0.0.1:{server['port']}/postgres", query, **more)

    return run


@pytest.mark.long
def test_bytes_are_no_mark(fetch_rows):
    with pytest.raises(FetchError, match=r"'raw', which `incremental.cursor` names, holds bytes") as fault:
        fetch_rows("SELECT id, raw FROM orders WHERE raw > ${run:cursor}", cursor="", cursor_column="raw")
    assert "encode(the_column, 'hex') AS the_column" in fault.value.hint
    assert "decode(${run:cursor}, 'hex')" in fault.value.hint
    query = "SELECT id, encode(raw, 'hex') AS raw FROM orders WHERE id < 3 AND raw > decode(${run:cursor}, 'hex')"
    assert fetch_rows(query, cursor="00fe", cursor_column="raw").description.startswith("2 rows")
    assert fetch_rows(query, cursor="00ff", cursor_column="raw").description.startswith("0 rows")


@pytest.mark.long
def test_rows_come_over_tcp_with_a_password(fetch_rows, tmp_path):
    query = "SELECT id FROM orders WHERE id > ${run:cursor} AND at < ${run:scheduled_time} AND note LIKE '%:x' ORDER BY 1"
    fetched = fetch_rows(query, cursor=ROWS - 2)
    assert fetched.paths == (tmp_path / "run" / "input-orders.parquet",)
    assert fetched.description.startswith("0 rows of postgresql at 127.0.0.1")
    assert URL_PASSWORD in fetched.secrets
    assert PASSWORD in fetched.secrets


def test_types_are_kept(read):
    row = read("SELECT * FROM orders WHERE id = :run_cursor", run_cursor=3).to_pylist()[0]
    assert row == {
        "id": 3,
        "amount": Decimal("0.75"),
        "code": "00000000-0000-0000-0000-00000000000a",
        "doc": '{"a": 1.50}',
        "at": dt.datetime(2025, 11, 9, 13, tzinfo=dt.UTC),
        "day": dt.date(2025, 11, 9),
        "naive": dt.datetime(2025, 11, 9, 14),
        "span": "1 mon 02:00:00",
        "raw": "00ff",
        "list": "[1, 2]",
        "clock": dt.time(12, 30),
        "free": Decimal("0.42857142857142857143"),
        "note": "100% :x",
        "big": 2**40,
        "ok": True,
    }


def test_no_rows_have_the_types_of_the_query(read):
    none, some = (read(f"SELECT * FROM orders WHERE id <= {bound}").schema for bound in (0, 10))
    exact = [name for name in some.names if name != "free"]
    assert [none.field(name) for name in exact] == [some.field(name) for name in exact]


def test_a_text_is_what_it_is_compared_with(read):
    found = read(
        "SELECT count(*) AS n FROM orders WHERE at >= :run_cursor", run_cursor="2025-11-09T13:00:00+00:00"
    )
    assert found["n"].to_pylist() == [ROWS]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT sly()", "cannot execute DELETE in a read-only transaction"),
        ("SELECT set_config('transaction_read_only', 'off', false), sly()", "must be set before any query"),
        ("SELECT 1; COMMIT; DELETE FROM orders", "multiple commands"),
        ("SELECT 1; SET default_transaction_read_only = off", "multiple commands"),
        ("WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone", "data-modifying"),
        ("SELECT * INTO copy FROM orders", "INTO"),
        ("SELECT id, id FROM orders", "two of its columns are called 'id'"),
        ("SELECT nothing FROM orders", 'column "nothing" does not exist$'),
    ],
)
def test_the_session_is_read_only(read, ask, query, words):
    with pytest.raises(WorkerError, match=words):
        read(query)
    assert ask("SELECT count(*) FROM orders") == [(ROWS,)]


@pytest.mark.long
def test_a_wrong_password_is_told_and_not_shown(fetch_rows):
    with pytest.raises(
        FetchError, match=r"no connection to the database .postgresql at 127.0.0.1.: .*password"
    ) as caught:
        fetch_rows("SELECT 1", password="Wrong9Horse%40Battery")
    shown = caught.value.message + caught.value.hint
    assert "Wrong9Horse" not in shown


@pytest.mark.long
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("timestamptz 'infinity'", "infinity"),
        ("timestamp '-infinity'", "-infinity"),
        ("date 'infinity'", "infinity"),
        ("date '0044-03-15 BC'", "0044-03-15 BC"),
        ("timestamp '12025-01-01 08:00'", "12025-01-01 08:00:00"),
        ("time '24:00'", "24:00:00"),
    ],
)
def test_a_time_of_no_calendar_names_its_column_and_what_to_write(fetch_rows, value, shown):
    with pytest.raises(FetchError) as caught:
        fetch_rows(f"SELECT id, CASE WHEN id = 1500 THEN {value} END AS valid_until FROM orders")
    assert f"its column 'valid_until' has '{shown}', which is no date or time" in caught.value.message
    assert "NULLIF(" in caught.value.hint
    assert "AS text)" in caught.value.hint


@pytest.mark.long
def test_nan_among_decimals_names_its_column_and_what_to_write(fetch_rows, read):
    table = "(SELECT 12345678901234567890.12 AS n UNION ALL SELECT 'NaN') AS one"
    with pytest.raises(FetchError) as caught:
        fetch_rows(f"SELECT n FROM {table}")
    assert "its column 'n' has 'NaN', which is no decimal number" in caught.value.message
    assert "NULLIF(" in caught.value.hint
    assert "AS double precision)" in caught.value.hint
    exact = read(f"SELECT NULLIF(n, 'NaN') AS gap, CAST(n AS text) AS words FROM {table}").to_pylist()
    assert exact == [
        {"gap": Decimal("12345678901234567890.12"), "words": "12345678901234567890.12"},
        {"gap": None, "words": "NaN"},
    ]
    floats = read(f"SELECT CAST(n AS double precision) AS n FROM {table}")
    assert str(floats.schema.field("n").type) == "double"


def test_a_time_of_no_calendar_is_a_gap_or_a_text_where_the_query_says_so(read):
    row = read(
        "SELECT NULLIF(t, 'infinity') AS gap, CAST(t AS text) AS words, ARRAY[t] AS list, NULLIF(c, '24:00') AS clock "
        "FROM (SELECT timestamptz 'infinity' AS t, time '24:00' AS c) AS one"
    ).to_pylist()
    assert row == [{"gap": None, "words": "infinity", "list": '["infinity"]', "clock": None}]


def test_a_range_is_as_the_database_writes_it(read):
    row = read(
        "SELECT int4range(NULL, NULL) AS whole, numrange(1.50, NULL) AS open, '{[1,3),[5,)}'::int8multirange AS many, "
        "tstzrange('2025-11-09 14:00+01', NULL) AS since, ARRAY[daterange('2025-11-09', NULL)] AS list"
    ).to_pylist()
    assert row == [
        {
            "whole": "(,)",
            "open": "[1.50,)",
            "many": "{[1,3),[5,)}",
            "since": '["2025-11-09 22:00:00+09",)',
            "list": '["[2025-11-09,)"]',
        }
    ]


def _sleepers(ask):
    return ask("SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'")


def _until(condition):
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.long
def test_a_cancelled_query_ends_here_and_in_the_server(fetch_rows, ask):
    cancelled, faults = threading.Event(), []

    def run():
        try:
            fetch_rows("SELECT pg_sleep(60)", cancelled=cancelled)
        except FetchError as error:
            faults.append((error.message, time.monotonic()))

    thread = threading.Thread(target=run)
    thread.start()
    assert _until(lambda: _sleepers(ask))
    asked = time.monotonic()
    cancelled.set()
    thread.join(10)
    ((message, ended),) = faults
    assert "the run was cancelled while the database (postgresql at 127.0.0.1) was read" in message
    assert ended - asked < 2
    assert _until(lambda: not _sleepers(ask)), "the server still works for nobody"


@pytest.mark.long
def test_a_server_that_says_nothing_may_be_none(fetch_query):
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(FetchError) as caught:
        fetch_query(f"postgresql://admin@127.0.0.1:{silent.getsockname()[1]}/x", "SELECT 1", timeout_seconds=2.0)
    assert caught.value.message == "the database (postgresql at 127.0.0.1) was not read within 2 s"
    assert "Does a database answer at host and port of `location`?" in caught.value.hint


@pytest.mark.long
def test_a_query_past_the_deadline_ends_here_and_in_the_server(fetch_rows, ask):
    with pytest.raises(FetchError, match=r"was not read within 2 s"):
        fetch_rows("SELECT pg_sleep(60)", timeout_seconds=2.0)
    assert _until(lambda: not _sleepers(ask)), "the server still works for nobody"
