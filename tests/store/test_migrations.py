"""The migrations make exactly the tables that the queries are written against."""

import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, func, inspect, select

from runner.core.delivery import DeliveryState
from runner.core.run import RunState
from runner.errors import StoreError
from runner.store import Store, bookmarks, history, ledger, listing, migrations, outbox, retention, tables
from runner.store.locks import StateLock
from runner.store.migrations import MIGRATIONS, NEWEST

STEPS = [statement for statement in MIGRATIONS[-1].statements.split(";") if statement.strip()]
KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from pathlib import Path
from sqlalchemy import event
from sqlalchemy.engine import Engine
from runner.store import Store

@event.listens_for(Engine, "before_cursor_execute")
def kill(connection, cursor, statement, *_):
    if "CREATE TABLE bookmarks" in statement:
        os.kill(os.getpid(), signal.SIGKILL)

Store.open(Path(sys.argv[1]))
"""


def described(engine):
    found = {}
    inspector = inspect(engine)
    for table in inspector.get_table_names():
        found[table] = {
            "columns": [(c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)],
            "key": inspector.get_pk_constraint(table)["constrained_columns"],
            "indexes": sorted(
                (
                    i["name"],
                    tuple(i["column_names"]),
                    bool(i["unique"]),
                    str(i["dialect_options"].get("sqlite_where")),
                )
                for i in inspector.get_indexes(table)
            ),
            "foreign": [
                (f["constrained_columns"], f["referred_table"], f["options"])
                for f in inspector.get_foreign_keys(table)
            ],
        }
    engine.dispose()
    return found


def test_migrated_and_declared_schema_agree(path, tmp_path):
    Store.open(path).close()
    declared = create_engine(f"sqlite:///{tmp_path}/declared.db")
    tables.metadata.create_all(declared)
    assert described(create_engine(f"sqlite:///{path}")) == described(declared)


def test_numbers_count_from_one_without_gaps():
    assert [step.number for step in MIGRATIONS] == list(range(1, NEWEST + 1))


def test_steps_are_taken_once(path):
    for _ in range(2):
        Store.open(path).close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT number FROM schema_migrations").fetchall() == [
        (number,) for number in range(1, NEWEST + 1)
    ]
    connection.close()


@pytest.fixture
def made_by_version_one(path):
    """A database as the first version has left it: one run of each kind, mails sent and waiting, a cursor, a job."""
    path.parent.mkdir()
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(MIGRATIONS[0].statements)
    connection.executescript(
        """
        INSERT INTO schema_migrations VALUES (1, 'runs, outbox, cursors and jobs in force');
        INSERT INTO runs VALUES ('run1', 'daily', 'schedule', 1000000, 'succeeded', 1, 'key1', 2000000, 3000000,
            4000000, 10, 5, NULL, '', '', '', 'a note', 'printed', 'abc', 'digest', 'landlock');
        INSERT INTO runs VALUES ('run2', 'daily', 'schedule', 5000000, 'failed', 1, 'key2', 5000000, 6000000,
            7000000, NULL, NULL, 'script', 'KeyError', 'look', 'line 3', '', '', '', '', '');
        INSERT INTO runs VALUES ('run3', 'daily', 'manual', 8000000, 'running', 1, NULL, 8000000, 9000000,
            NULL, NULL, NULL, NULL, '', '', '', '', '', '', '', '');
        INSERT INTO runs VALUES ('run4', 'other', 'missed', 8000000, 'queued', 1, 'key1', 8000000, NULL,
            NULL, NULL, NULL, NULL, '', '', '', '', '', '', '', '');
        INSERT INTO mails VALUES (1, 'run1', 'results', '<1@x>', 'r@example.com', 'Job Results', NULL);
        INSERT INTO mails VALUES (2, 'run2', 'failure', '<2@x>', 'r@example.com', 'Job Failed', CAST('MIME' AS BLOB));
        INSERT INTO deliveries VALUES (1, 1, 'ann@example.com', 'sent', 2, 4000000, NULL, 4500000, '');
        INSERT INTO deliveries VALUES (2, 2, 'ann@example.com', 'deferred', 1, 7000000, 7500000, NULL, '451 later');
        INSERT INTO deliveries VALUES (3, 2, 'bob@example.com', 'dead', 1, 7000000, NULL, NULL, '550 no');
        INSERT INTO cursors VALUES ('daily', '0 9 * * * UTC', 5000000);
        INSERT INTO jobs VALUES ('jobs.d/daily.yaml', CAST('{"of": "then"}' AS BLOB));
        PRAGMA journal_mode = WAL;
        """
    )
    connection.close()
    return path


def content(path):
    """Every table with its rows, by column."""
    connection = sqlite3.connect(path)
    connection.row_factory = sqlite3.Row
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {name: [dict(row) for row in connection.execute(f"SELECT * FROM {name}")] for name in names}
    connection.close()
    return found


def test_the_first_version_keeps_everything(made_by_version_one, path):
    before = content(path)
    Store.open(path).close()
    after = content(path)
    for table, rows in before.items():
        if table != "schema_migrations":
            kept = [{column: row[column] for column in old} for old, row in zip(rows, after[table], strict=True)]
            assert kept == rows
    with Store.open(path) as store:
        done, failed, running, queued = (store.run(f"run{number}") for number in (1, 2, 3, 4))
        assert (done.state, done.mailing, done.attempts, done.next_attempt_at) == (
            RunState.SUCCEEDED,
            True,
            (),
            None,
        )
        assert (done.rows_out, done.output, done.deliveries[0].state) == (5, "printed", DeliveryState.SENT)
        assert (failed.failure.traceback, [d.recipient for d in failed.deliveries]) == (
            "line 3",
            ["ann@example.com", "bob@example.com"],
        )
        assert (store.running_runs(), store.queued_runs()) == ((running,), (queued,))
        ((delivery, mail),) = store.due_deliveries(datetime.now(UTC), 10)
        assert (delivery.delivery_id, delivery.error, mail.message) == (2, "451 later", b"MIME")
        assert (mail.hold_ambiguous, mail.notify) == (False, ())
        assert store.take_requests() == ()
        assert [d.delivery_id for d in store.deliveries(states=[DeliveryState.DEAD])] == [3]
        store.finish_run(replace(running, state=RunState.FAILED, finished_at=running.started_at), [])
        assert store.failure_streak("daily") == 1, "the other one was asked for by a person"


def test_an_older_database_is_refused_by_a_reader_until_the_service_has_upgraded_it(made_by_version_one, path):
    with pytest.raises(StoreError, match="older runner") as caught:
        Store.open_reader(path)
    assert "Start the service once" in caught.value.hint
    Store.open(path).close()
    with Store.open_reader(path) as reader:
        assert len(reader.runs()) == 4


def test_a_single_run_does_not_upgrade_under_an_older_service(made_by_version_one, path):
    before = content(path)
    lock = StateLock(path.parent)
    with pytest.raises(StoreError, match="older runner, which works on it now") as caught:
        Store.open(path, beside_service=True)
    assert "Restart the service" in caught.value.hint
    assert content(path) == before
    lock.release()
    Store.open(path, beside_service=True).close()
    assert len(content(path)["schema_migrations"]) == NEWEST


@pytest.mark.parametrize("statement", range(len(STEPS)))
def test_a_step_that_fails_in_the_middle_leaves_the_older_version(
    made_by_version_one, path, monkeypatch, statement
):
    before = content(path)
    broken = [*STEPS[:statement], "INSERT INTO no_such_table VALUES (1)", *STEPS[statement:]]
    step = replace(MIGRATIONS[-1], statements=";".join(broken))
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "MIGRATIONS", (*MIGRATIONS[:-1], step))
        with pytest.raises(StoreError, match="no such table"):
            Store.open(path)
    assert content(path) == before
    Store.open(path).close()
    assert len(content(path)["schema_migrations"]) == NEWEST


@pytest.mark.long
def test_a_kill_in_the_middle_of_a_step_leaves_the_older_version(made_by_version_one, path):
    before = content(path)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    assert content(path) == before
    Store.open(path).close()
    assert len(content(path)["schema_migrations"]) == NEWEST


def plan(store, query):
    text = str(query.compile(dialect=store._reading._engine.dialect, compile_kwargs={"literal_binds": True}))
    with store._reading.transaction() as connection:
        return "\n".join(row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))


def plan_of_statement(store, statement):
    with store._reading.transaction() as connection:
        rows = connection.connection.driver_connection.execute(
            f"EXPLAIN QUERY PLAN {statement.text}", [None] * statement.text.count("?")
        )
        return "\n".join(row[-1] for row in rows)


def test_hot_queries_use_their_indexes(store, noon):
    newest = plan(store, listing.newest_of_each_job())
    assert "SCAN runs" not in newest
    assert newest.count("COVERING INDEX runs_by_") == 3
    assert "runs_unfinished" in plan(store, listing.running())
    assert "runs_unfinished" in plan(store, listing.queued())
    assert "runs_requested" in plan(store, listing.requested())
    assert "runs_by_time" in plan(store, listing.between("job", noon, noon))
    before = plan(store, listing.time_before("job", noon))
    assert "runs_by_time (job_name=? AND scheduled_time<?)" in before
    assert "TEMP B-TREE" not in before
    due = select(func.min(tables.deliveries.c.next_attempt_at)).where(tables.open_delivery)
    assert "deliveries_open" in plan(store, due)
    few = plan(store, ledger.deliveries_query(None, set(DeliveryState) - {DeliveryState.SENT}, 50))
    assert "deliveries_open" in few
    assert "deliveries_stuck" in few
    assert "SCAN deliveries" not in few.replace("SCAN deliveries USING", "")


def test_hot_statements_use_their_indexes(store):
    assert "runs_by_time" in plan_of_statement(store, history._HAS_SUCCEEDED)
    for statement in (history._START, history._PROGRESS, retention._REMOVE):
        assert "USING INDEX sqlite_autoindex_runs_1 (run_id=?)" in plan_of_statement(store, statement)
    for statement in (outbox._LET_BYTES_GO, outbox._OTHERS_SENT, bookmarks._PROPOSED, bookmarks._KNOWN):
        assert "SCAN" not in plan_of_statement(store, statement)
