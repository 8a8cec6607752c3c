"""How far the schedules have been worked off, as statements inside a transaction of the store."""

import sqlite3
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from runner.store import tables
from runner.store.cursor import Cursor
from runner.store.rows import micros, moment
from runner.store.statements import Statement

_CURSORS = tables.cursors
_PUT = upsert(_CURSORS)
_WRITE = Statement(
    _PUT.on_conflict_do_update(
        index_elements=[_CURSORS.c.job_name],
        set_={"schedule": _PUT.excluded.schedule, "time": _PUT.excluded.time},
    )
)
_DROP = Statement(delete(_CURSORS).where(_CURSORS.c.job_name == bindparam("gone")))


def write_cursors(connection: sqlite3.Connection, cursors: Iterable[Cursor]) -> None:
    """Put these cursors in place of those of their jobs."""
    rows = ({"job_name": one.job_name, "schedule": one.schedule, "time": micros(one.time)} for one in cursors)
    _WRITE.run_many(connection, rows)


def drop_cursors(connection: sqlite3.Connection, job_names: Iterable[str]) -> None:
    """Forget the cursors of these jobs."""
    _DROP.run_many(connection, [{"gone": name} for name in job_names])


def read_cursors(connection: Connection) -> Mapping[str, Cursor]:
    """Job name → cursor."""
    rows = connection.execute(select(_CURSORS)).all()
    return {
        row.job_name: Cursor(job_name=row.job_name, schedule=row.schedule, time=moment(row.time)) for row in rows
    }
