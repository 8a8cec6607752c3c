"""How far the jobs have got with their data, as statements inside a transaction of the store."""

import sqlite3
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select, text
from sqlalchemy.dialects.sqlite import insert as upsert

from runner.core.bookmark import Bookmark
from runner.store import tables
from runner.store.rows import json_text, micros, read_bookmark
from runner.store.statements import Statement

_RUNS, _BOOKMARKS = tables.runs, tables.bookmarks
# What a run has got to counts once it has succeeded, and never for one that nobody is mailed about.
_PROPOSED = Statement(
    select(_RUNS.c.job_name, _RUNS.c.scheduled_time, _RUNS.c.run_id, _RUNS.c.bookmark).where(
        _RUNS.c.run_id == bindparam("this_run"),
        _RUNS.c.bookmark.is_not(None),
        _RUNS.c.state == text("'succeeded'"),
        _RUNS.c.mailing == text("1"),
    )
)
_KNOWN = Statement(select(_BOOKMARKS).where(_BOOKMARKS.c.job_name == bindparam("of_job")))
_PUT = upsert(_BOOKMARKS)
_WRITE = Statement(
    _PUT.on_conflict_do_update(
        index_elements=[_BOOKMARKS.c.job_name],
        set_={name: _PUT.excluded[name] for name in ("bookmark", "scheduled_time", "run_id", "moved_at")},
    )
)


def move(connection: sqlite3.Connection, run_id: str, at: datetime) -> None:
    """A run has been delivered: its job has got as far as the run has, unless a later run was delivered before.

    What a run of a time that is still to come has moved, as when the clock was ahead, anyone may move.
    """
    proposed = next(_PROPOSED.mappings(connection, {"this_run": run_id}), None)
    newer = proposed and read_bookmark(proposed["bookmark"], run_id)
    if not proposed or not newer:
        return
    known = next(_KNOWN.mappings(connection, {"of_job": proposed["job_name"]}), None)
    if known is not None and _order(known) > _order(proposed) and known["scheduled_time"] <= micros(at):
        return
    before = (known and read_bookmark(known["bookmark"], proposed["job_name"])) or Bookmark()
    _WRITE.run(connection, {**proposed, "bookmark": json_text(before.moved_to(newer)), "moved_at": micros(at)})


def read(connection: Connection, job_name: str) -> Bookmark:
    """That of a job; an empty one where nothing of it was delivered yet."""
    found = connection.scalar(select(_BOOKMARKS.c.bookmark).where(_BOOKMARKS.c.job_name == job_name))
    return (found and read_bookmark(found, job_name)) or Bookmark()


def _order(columns: Mapping[str, Any]) -> tuple[int, str]:
    """Identifiers of runs rise."""
    return columns["scheduled_time"], columns["run_id"]
