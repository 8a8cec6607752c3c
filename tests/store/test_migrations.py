"""The migrations make exactly the tables that the queries are written against."""

import sqlite3

import pytest
from sqlalchemy import create_engine, inspect

from runner.errors import StoreError
from runner.store import Store, tables
from runner.store.migrations import MIGRATIONS, NEWEST


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
    assert connection.execute("SELECT number FROM schema_migrations").fetchall() == [(1,)]
    connection.close()


def test_an_older_database_is_refused_by_a_reader_and_upgraded_by_the_service(path, monkeypatch):
    """Stands in for the next release: today there is one step only."""
    from runner.store import migrations, reader

    Store.open(path).close()
    later = migrations.Migration(number=2, name="later", statements="CREATE TABLE later (x INTEGER);")
    monkeypatch.setattr(migrations, "MIGRATIONS", (*MIGRATIONS, later))
    monkeypatch.setattr(reader, "NEWEST", 2)
    with pytest.raises(StoreError, match="older runner"):
        Store.open_reader(path)
    with Store.open(path) as store, store._reading.transaction() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM later").scalar() == 0


def plan(store, query):
    text = str(query.compile(dialect=store._reading._engine.dialect, compile_kwargs={"literal_binds": True}))
    with store._reading.transaction() as connection:
        return "\n".join(row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}"))


def test_hot_queries_use_their_indexes(store):
    from sqlalchemy import func, select

    from runner.core.run import RunState
    from runner.store.reader import _newest_of_each_job
    from runner.store.store import _unfinished

    newest = plan(store, _newest_of_each_job())
    assert "SCAN runs" not in newest
    assert newest.count("runs_by_job") == 3
    assert "runs_unfinished" in plan(store, _unfinished(RunState.RUNNING))
    due = select(func.min(tables.deliveries.c.next_attempt_at)).where(tables.open_delivery)
    assert "deliveries_open" in plan(store, due)
