"""In the fetch worker: a read-only session, one query, its rows streamed to a Parquet file."""

import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pyarrow as pa
from sqlalchemy import Connection, CursorResult, Engine, create_engine, event, text
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from runner.fetch.column_types import declared_types, sqlite_types
from runner.fetch.table_types import OffCalendar
from runner.fetch.table_writer import TableWriter
from runner.fetch.worker_faults import WorkerError
from runner.fetch.worker_orders import DatabaseOrder, FaultKind, WorkerOutcome

if TYPE_CHECKING:
    from psycopg.abc import AdaptContext, Buffer
    from psycopg.adapt import AdaptersMap, Loader

POSTGRES, SQLITE = "postgresql", "sqlite"
MYSQL = frozenset({"mysql", "mariadb"})
_FIRST_ROWS, _MOST_ROWS, _CHUNK_BYTES = 100, 20_000, 8 << 20
_CHECKED_CONNECTION = (14,)  # client_connection_check_interval is there from PostgreSQL 14 on
# What a statement that only reads does, as SQLite sees it.
_READING = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
# Those that PostgreSQL brings. The driver knows no others, and leaves them as they are written.
_RANGES = tuple(
    f"{kind}{form}" for kind in ("int4", "int8", "num", "date", "ts", "tstz") for form in ("range", "multirange")
)
_TABLE_PRAGMAS = frozenset({"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo"})


def read_database(order: DatabaseOrder) -> WorkerOutcome:
    """Carry out an order.

    Raises:
        WorkerError: no driver, no connection, no rows, or too many; in the driver's own words.
        OSError: the file cannot be written.
    """
    with _connected(_engine(order)) as connection:
        try:
            _confine(connection, order)
            streaming = connection.execution_options(stream_results=True, max_row_buffer=_FIRST_ROWS)
            with closing(streaming.execute(text(order.query), order.parameters)) as result:
                return _write_or_break(connection, result, order)
        except (SQLAlchemyError, sqlite3.Error) as error:
            raise WorkerError(FaultKind.QUERY, _words(error)) from None


def _engine(order: DatabaseOrder) -> Engine:
    try:
        if order.dialect == SQLITE:
            path = order.url
            engine = create_engine("sqlite://", poolclass=NullPool, creator=lambda: _open_sqlite(path))
        else:
            engine = create_engine(order.url, poolclass=NullPool, hide_parameters=True)
    except ImportError as error:
        raise WorkerError(FaultKind.DRIVER, error.name or str(error)) from None
    except NoSuchModuleError:
        raise WorkerError(FaultKind.DRIVER, order.dialect) from None
    except (SQLAlchemyError, TypeError, ValueError) as error:
        raise WorkerError(FaultKind.CONNECT, _words(error)) from None
    if engine.driver == "psycopg":
        event.listen(engine, "connect", _adapt)
    return engine


def _open_sqlite(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True)
    connection.execute("PRAGMA query_only = ON")
    # `VACUUM INTO` and ATTACH would write and read other files, which neither of the above forbids.
    connection.set_authorizer(_authorize)
    return connection


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    name = str(first).lower()
    if action == sqlite3.SQLITE_PRAGMA:
        reads = second is None or name in _TABLE_PRAGMAS
    else:
        # A virtual table that is declared asks to write there; the file is open for reading alone all the same.
        reads = action in _READING or (action == sqlite3.SQLITE_UPDATE and name == "sqlite_master")
    return sqlite3.SQLITE_OK if reads else sqlite3.SQLITE_DENY


def _adapt(connection: object, _record: object) -> None:
    """JSON, intervals and ranges as PostgreSQL writes them: a month is no number of days, a number keeps its
    digits, and an end that is open is no `None`.

    Dates and times that Python does not know come as `OffCalendar`.
    """
    from psycopg import Connection as PsycopgConnection
    from psycopg.types.string import TextLoader

    if isinstance(connection, PsycopgConnection):
        for name in ("json", "jsonb", "interval", *_RANGES):
            connection.adapters.register_loader(name, TextLoader)
        for name in ("date", "timestamp", "timestamptz", "time", "timetz"):
            connection.adapters.register_loader(name, _calendar_loader(connection.adapters, name))


def _calendar_loader(adapters: "AdaptersMap", name: str) -> "type[Loader]":
    """The driver's own loader of a type, but for values that it has no object for."""
    from psycopg import DataError
    from psycopg.adapt import Loader
    from psycopg.pq import Format
    from psycopg.types.string import TextLoader

    known = adapters.get_loader(adapters.types[name].oid, Format.TEXT) or TextLoader

    class CalendarLoader(Loader):
        def __init__(self, oid: int, context: "AdaptContext | None" = None) -> None:
            super().__init__(oid, context)
            self._load = known(oid, context).load

        def load(self, data: "Buffer") -> Any:
            try:
                return self._load(data)
            except DataError:
                return OffCalendar(bytes(data).decode())

    return CalendarLoader


@contextmanager
def _connected(engine: Engine) -> Iterator[Connection]:
    """A connection whose work is never committed."""
    try:
        connection = engine.connect()
    except ImportError as error:
        raise WorkerError(FaultKind.DRIVER, error.name or str(error)) from None
    # Of OSError: a driver that is written in Python may let those of its socket pass.
    except (SQLAlchemyError, sqlite3.Error, OSError, TypeError, ValueError) as error:
        raise WorkerError(FaultKind.CONNECT, _words(error)) from None
    try:
        yield connection
    finally:
        # All that matters is done; a connection that is broken now changes nothing.
        with suppress(SQLAlchemyError):
            connection.rollback()
            connection.close()


def _confine(connection: Connection, order: DatabaseOrder) -> None:
    """Make the session read-only, and let the server give up by itself where this process is killed."""
    milliseconds = max(1, int(order.timeout_seconds * 1000))
    dialect = connection.dialect
    if dialect.name == POSTGRES:
        connection.execution_options(postgresql_readonly=True)
        # This is the first query of the transaction: after it, none can make the transaction a writing one.
        connection.execute(
            text(
                "SELECT set_config('statement_timeout', :time, true), "
                "set_config('cursor_tuple_fraction', '1', true)"
            ),
            {"time": str(milliseconds)},
        )
        if (dialect.server_version_info or ()) >= _CHECKED_CONNECTION:
            # Some systems that a server runs on cannot do this.
            with suppress(DBAPIError), connection.begin_nested():
                connection.execute(text("SET LOCAL client_connection_check_interval = '500ms'"))
    elif dialect.name in MYSQL:
        connection.execute(text("SET SESSION TRANSACTION READ ONLY"))
        connection.execute(text("SET SESSION time_zone = '+00:00'"))
        for statement in (
            f"SET SESSION max_execution_time = {milliseconds}",
            f"SET SESSION max_statement_time = {milliseconds / 1000}",
        ):
            # The one is MySQL's, the other MariaDB's.
            with suppress(DBAPIError):
                connection.execute(text(statement))
        connection.execute(text("START TRANSACTION READ ONLY"))


def _write_or_break(
    connection: Connection, result: CursorResult[tuple[object, ...]], order: DatabaseOrder
) -> WorkerOutcome:
    try:
        return _write(connection, result, order)
    except BaseException:
        # To close a result that is not read to its end, the driver for MySQL reads the rest of it.
        connection.invalidate()
        raise


def _write(
    connection: Connection, result: CursorResult[tuple[object, ...]], order: DatabaseOrder
) -> WorkerOutcome:
    if not result.returns_rows:
        raise WorkerError(FaultKind.TABLE, "it returns no rows: a source is a query that reads")
    names = [name or f"column_{number}" for number, name in enumerate(result.keys(), start=1)]
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise WorkerError(FaultKind.TABLE, f"two of its columns are called {doubled[0]!r}: name them with AS")
    writer = TableWriter(Path(order.path), names, _declared(connection, result, names), order.max_bytes)
    size = _FIRST_ROWS
    marks = names.index(order.cursor_column) if order.cursor_column in names else None
    while rows := result.fetchmany(size):
        if marks is not None and any(isinstance(row[marks], bytes | bytearray | memoryview) for row in rows):
            # Compared with the hexadecimal text that the mark would be, all later rows may be below it.
            words = f"its column {names[marks]!r}, which `incremental.cursor` names, holds bytes"
            raise WorkerError(FaultKind.CURSOR, words)
        taken = writer.add(rows)
        # Chunks of a size in memory, however wide the rows are.
        size = max(1, min(_MOST_ROWS, size * 4, _CHUNK_BYTES * len(rows) // max(taken, 1)))
    return WorkerOutcome(paths=(order.path,), bytes=writer.finish(), rows=writer.rows)


def _declared(
    connection: Connection, result: CursorResult[tuple[object, ...]], names: Sequence[str]
) -> list[pa.DataType]:
    if connection.dialect.name == SQLITE:
        return sqlite_types(connection, names)
    return declared_types(connection.dialect.name, result.cursor.description or (), len(names))


def _words(error: Exception) -> str:
    """What the driver says, without the statement and its parameters."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    said = getattr(getattr(cause, "diag", None), "message_primary", None)
    if said:
        # PostgreSQL: without the line it shows, which is not that of the job file.
        return f"{said}. {cause.diag.message_hint or ''}".strip().removesuffix(".")  # type: ignore[attr-defined]
    arguments = cause.args
    # pymysql: (1146, "Table … doesn't exist")
    if len(arguments) == 2 and isinstance(arguments[0], int):
        return str(arguments[1])
    return str(cause)
