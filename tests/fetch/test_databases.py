import sqlite3
from contextlib import closing

import pyarrow.parquet as pq
import pytest

from runner.core.job_policy import RunBounds
from runner.core.source import DataSource, FileType, SourceType
from runner.errors import FetchError
from runner.fetch.databases import missing_driver
from runner.fetch.fetching import fetch
from runner.fetch.worker_faults import WorkerError
from runner.fetch.worker_orders import DatabaseOrder, FaultKind

ROWS = 3000


@pytest.fixture
def shop(tmp_path):
    """A path of an SQLite database, in the folder of the project, in the mode with a log beside it."""
    path = tmp_path / "project" / "shop #1.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE orders (id INTEGER, amount REAL, name TEXT, never BOOLEAN, mixed)")
        connection.executemany(
            "INSERT INTO orders VALUES (?, ?, ?, NULL, ?)",
            [(i, i / 2, f"n{i}", None if i <= 500 else i if i <= 1000 else i / 2) for i in range(1, ROWS + 1)],
        )
        connection.commit()
        yield path


@pytest.fixture
def fetch_rows(make_context):
    """Fetch a query: the URL by `url`, other settings of the context by keyword."""

    def run(query, *, url="sqlite:///shop #1.db", max_bytes=1 << 30, **changes):
        source = DataSource(
            source_type=SourceType.DATABASE,
            location=url,
            format=FileType.PARQUET,
            query=query,
            max_bytes=max_bytes,
        )
        return fetch(source, make_context(**{"timeout_seconds": 30.0, **changes}))

    return run


@pytest.fixture
def read(shop, tmp_path):
    """Carry out a query in this process, as the worker does."""
    from runner.fetch.database_reading import read_database

    def run(query, *, max_bytes=1 << 30, **parameters):
        path = tmp_path / "rows.parquet"
        order = DatabaseOrder(
            dialect="sqlite",
            url=str(shop),
            query=query,
            parameters=parameters,
            path=str(path),
            max_bytes=max_bytes,
            timeout_seconds=5.0,
        )
        read_database(order)
        return pq.read_table(path)

    return run


def test_rows_of_sqlite_become_a_file_of_the_run(shop, fetch_rows, tmp_path):
    fetched = fetch_rows("SELECT * FROM orders WHERE id > ${run:cursor}", cursor=ROWS - 2)
    assert fetched.paths == (tmp_path / "run" / "input-data.parquet",)
    assert fetched.format is FileType.PARQUET
    assert fetched.description.startswith("2 rows of shop #1.db, ")
    assert fetched.bytes == fetched.paths[0].stat().st_size
    assert pq.read_table(fetched.paths[0]).column("id").to_pylist() == [ROWS - 1, ROWS]


@pytest.mark.long
def test_bytes_of_sqlite_are_no_mark(shop, fetch_rows):
    with pytest.raises(FetchError, match=r"'key', which `incremental.cursor` names, holds bytes") as fault:
        fetch_rows("SELECT CAST(name AS BLOB) AS key FROM orders", cursor="", cursor_column="key")
    assert "HEX(the_column) AS the_column, and compare HEX(the_column) with ${run:cursor}" in fault.value.hint
    query = "SELECT HEX(CAST(name AS BLOB)) AS key FROM orders WHERE HEX(CAST(name AS BLOB)) > ${run:cursor}"
    fetched = fetch_rows(query, cursor=b"n998".hex().upper(), cursor_column="key")
    assert fetched.description.startswith("1 rows of shop #1.db")


@pytest.mark.long
@pytest.mark.parametrize(
    ("page", "words"), [(0, "file is not a database"), (1, "database disk image is malformed")]
)
def test_a_damaged_file_of_sqlite_is_what_is_looked_at(fetch_rows, tmp_path, page, words):
    path = tmp_path / "project" / "torn.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE orders (id INTEGER)")
        connection.commit()
    content = bytearray(path.read_bytes())
    content[4096 * page : 4096 * page + 200] = b"\xff" * 200
    path.write_bytes(content)
    with pytest.raises(FetchError) as caught:
        fetch_rows("SELECT * FROM orders", url="sqlite:///torn.db")
    assert words in str(caught.value)
    assert caught.value.hint.startswith("Look at the file")


def test_types_hold_over_all_pieces(read):
    table = read("SELECT * FROM orders")
    assert [str(kind) for kind in table.schema.types] == ["int64", "double", "string", "int64", "double"]
    assert table.num_rows == ROWS
    assert table.column("mixed").to_pylist()[499:1002:501] == [None, 500.5]


def test_no_rows_have_the_types_of_the_tables(read):
    table = read("SELECT id, amount, name, mixed, 1 AS one FROM orders WHERE 0")
    assert [str(kind) for kind in table.schema.types] == ["int64", "double", "string", "string", "string"]


def test_a_number_is_compared_as_a_number(read):
    assert (
        read("SELECT count(*) AS n FROM orders WHERE id > :run_cursor", run_cursor=9)["n"][0].as_py() == ROWS - 9
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("DELETE FROM orders", "not authorized"),
        ("WITH x AS (SELECT 1) DELETE FROM orders", "not authorized"),
        ("ATTACH '/etc/passwd' AS x", "not authorized"),
        ("PRAGMA query_only = OFF", "not authorized"),
        ("SELECT 1; DELETE FROM orders", "one statement at a time"),
        ("SELECT id, name AS id FROM orders", "two of its columns are called 'id'"),
        ("SELECT * FROM missing", "no such table: missing"),
    ],
)
def test_what_does_not_read_one_table_is_refused(read, shop, query, words):
    with pytest.raises(WorkerError, match=words):
        read(query)
    assert read("SELECT count(*) AS n FROM orders")["n"][0].as_py() == ROWS


def test_a_copy_of_the_database_is_not_written(read, tmp_path):
    with pytest.raises(WorkerError, match="authorization denied"):
        read(f"VACUUM INTO '{tmp_path}/copy.db'")
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.long
def test_max_bytes_ends_the_query(shop, fetch_rows):
    with pytest.raises(FetchError, match=r"more than the 10.0 kB that `max_bytes` allows"):
        fetch_rows("SELECT * FROM orders", max_bytes=10_000)


def test_sqlite_is_a_file_within_the_bounds(shop, fetch_rows, tmp_path):
    with pytest.raises(FetchError, match="outside the data roots"):
        fetch_rows("SELECT 1", bounds=RunBounds(data_roots=("data",)))
    with pytest.raises(FetchError, match="there is no file"):
        fetch_rows("SELECT 1", url="sqlite:///no.db")
    with pytest.raises(FetchError, match="names no SQLite file"):
        fetch_rows("SELECT 1", url="sqlite://")
    with pytest.raises(FetchError, match="no plain URL"):
        fetch_rows("SELECT 1", url="sqlite:///shop.db?mode=rwc")
    with pytest.raises(FetchError, match="belongs to the system or to the runner"):
        fetch_rows(
            "SELECT 1",
            url=f"sqlite:///{shop}",
            run_dir=shop.parent / "runs" / "a",
            environ={"JOB_STORAGE_PATH": shop.name},
        )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://reader:{secret}@db.example.org/shop",
        "postgresql:///shop?host=/run/postgresql",
        "postgresql://db.example.com/shop?host=db.example.org",
        "postgresql://db.example.com,db.example.org:5433/shop",
        "postgresql://db.example.com/shop?hostaddr=192.0.2.7",
        "mysql:///shop",
        "other+thing:///shop.db",
        "mssql+pyodbc:///?odbc_connect=Server%3Ddb.example.org",
    ],
)
def test_every_host_of_a_url_is_held_against_the_policy(fetch_rows, url):
    bounds = RunBounds(allowed_hosts=("db.example.com",))
    with pytest.raises(FetchError, match=r"does not allow the host|does not name its host") as caught:
        fetch_rows("SELECT 1", url=url.replace("{secret}", "Correct9Horse"), bounds=bounds)
    assert "Correct9Horse" not in caught.value.message + caught.value.hint


def test_with_data_roots_a_url_names_a_server(fetch_rows):
    with pytest.raises(FetchError, match="does not name its host"):
        fetch_rows("SELECT 1", url="other+thing:///shop.db", bounds=RunBounds(data_roots=("data",)))


@pytest.mark.parametrize(
    "url",
    [
        "mysql://db.example.com/shop?local_infile=1",
        "mysql://db.example.com/shop?client_flag=65536",
        "mariadb://db.example.com/shop?read_default_file=/etc/my.cnf",
        "mysql+mysqlconnector://db.example.com/shop?allow_local_infile=1",
        "postgresql://db.example.com/shop?service=other",
        "postgresql://db.example.com/shop?autocommit=1",
        "postgresql://db.example.com/shop?sslmode=require&sslkeylogfile=/srv/any.txt",
        "mysql://db.example.com/shop?ssl_that_is_made_up=1",
        "postgresql://db.example.com/shop?conninfo=hostaddr%3D192.0.2.7",
        "mssql+pyodbc://db.example.com/shop?autocommit=true",
    ],
)
def test_options_that_open_more_than_a_session_are_refused(fetch_rows, url):
    with pytest.raises(FetchError, match=r"has the option [a-z_]+, which no source may have"):
        fetch_rows("SELECT 1", url=url)


def test_what_is_no_url_is_told_without_it(fetch_rows):
    with pytest.raises(FetchError, match="is no URL of a database") as caught:
        fetch_rows("SELECT 1", url="reader:Correct9Horse@db.example.com")
    assert "Correct9Horse" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("password", ["P@ss9", "P@ss9/w0rd", "P@ss9?w0rd", "P@ss9#w0rd", "P@ss9/w@rd", "P@@ss9"])
def test_no_part_of_a_password_is_taken_for_a_host(fetch_rows, password):
    with pytest.raises(FetchError, match=r"is no URL of a database") as caught:
        fetch_rows("SELECT 1", url="postgresql://reader:${env:PW}@127.0.0.1:1/shop", environ={"PW": password})
    assert "ss9" not in caught.value.message + caught.value.hint
    assert "write %40 for @" in caught.value.hint


@pytest.mark.long
def test_no_form_of_a_password_is_shown(fetch_rows):
    url = "mysql://reader:p%40ss'w%2Frd%234711@127.0.0.1:1/shop"
    with pytest.raises(FetchError, match=r"no connection to the database \(mysql at 127.0.0.1\)") as caught:
        fetch_rows("SELECT 1", url="${env:DB_URL}", environ={"DB_URL": url})
    shown = caught.value.message + caught.value.hint
    assert "4711" not in shown
    assert caught.value.__cause__ is None


def test_a_driver_that_is_missing_is_named_with_its_extra(tmp_path):
    from runner.fetch.database_reading import read_database

    url = "nodb://reader:Correct9Horse@127.0.0.1/shop"
    order = DatabaseOrder(
        dialect="nodb",
        url=url,
        query="SELECT 1",
        parameters={},
        path=str(tmp_path),
        max_bytes=1,
        timeout_seconds=1.0,
    )
    with pytest.raises(WorkerError, match=r"^nodb$") as caught:
        read_database(order)
    assert caught.value.kind is FaultKind.DRIVER
    assert "the driver for nodb databases is not installed" in missing_driver("nodb", "nodb").message
    assert "gitops-runner[postgres]" in missing_driver("postgresql", "psycopg").hint
    assert "gitops-runner[mysql]" in missing_driver("mariadb", "pymysql").hint


@pytest.mark.long
def test_a_driver_that_no_extra_brings_is_not_said_to_come_with_one(fetch_query):
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    with pytest.raises(FetchError, match="not installed: asyncpg") as caught:
        fetch_query("postgresql+asyncpg://reader@127.0.0.1:1/shop", "SELECT 1")
    assert caught.value.hint.startswith("Begin the URL with postgresql:// alone")


def test_a_password_within_an_option_is_masked_by_itself(make_context):
    from runner.fetch.databases import _parse
    from runner.fetch.references import References

    url = "mssql+pyodbc:///?odbc_connect=Driver%3DX%3BServer%3Ddb.example.com%3BPWD%3DCorrect9Horse%3BUID%3Dreader"
    source = DataSource(source_type=SourceType.DATABASE, location=url, format=FileType.PARQUET)
    references = References({}, {})
    _parse(source, make_context(), references)
    assert references.mask("login failed, PWD=Correct9Horse") == "login failed, PWD=***"


def test_a_file_system_that_does_not_answer_holds_up_no_run(shop, fetch_rows, mount):
    mount.goes()
    with pytest.raises(FetchError, match=r"mount/shop.db lies gives no answer"):
        fetch_rows("SELECT 1", url=f"sqlite:///{mount.path}/shop.db")
