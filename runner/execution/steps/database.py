"""DuckDB without a thread: opened once in the zygote, inherited by each child, which connects to it by itself.

What is expensive about a database is its catalogue of functions; an empty one that has done its work in one thread
can be forked like any other memory. Landlock binds the calling thread and those it starts later: a worker that is
there already would stay outside.
"""

import os
from collections.abc import Callable

import duckdb

from runner.execution.orders import StepOrder
from runner.execution.steps.packed import size_of

# DuckDB gives a thread no less than 122,880 rows: less than this is work for one.
_ONE_THREAD_BYTES = 1 << 20
# Each has buffers of its own: with less than this, sorting fails within a bound that one thread can keep.
_MEMORY_OF_A_THREAD_MB = 192

Connect = Callable[[], duckdb.DuckDBPyConnection]
"""Gives a connection; it may be called more than once."""


def open_database() -> duckdb.DuckDBPyConnection:
    """An empty database in memory; all its work is done by the calling thread."""
    # Threads for input and output are beside those for queries. Nothing is ever fetched from the network.
    database = duckdb.connect(
        config={
            "threads": 1,
            "async_threads": 0,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    # It hands the casts of a query to the reader of a CSV, too: `price::INT` then rounds in another way, and a
    # text that TRY_CAST makes nothing of is a fault of the file.
    database.execute("SET disabled_optimizers = 'type_pushdown'")
    return database


def connect(database: duckdb.DuckDBPyConnection, order: StepOrder) -> duckdb.DuckDBPyConnection:
    """A connection of the child's own, seeded for random numbers by itself; a large input gets threads,
    as many as its memory is enough for."""
    connection = database.cursor()
    if sum(size_of(path) for source in order.inputs for path in source.paths) > _ONE_THREAD_BYTES:
        threads = max(min(os.cpu_count() or 1, order.memory_mb // _MEMORY_OF_A_THREAD_MB), 1)
        connection.execute(f"SET threads = {threads}")
    return connection
