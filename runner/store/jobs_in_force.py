"""The last good version of every job, so that a bad file cannot stop a job over a restart."""

import logging
import sqlite3
from collections.abc import Mapping

import msgspec
from sqlalchemy import Connection, bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from runner.core.job import Job
from runner.store import tables
from runner.store.statements import Statement

_JOBS = tables.jobs
_KNOWN = Statement(select(_JOBS))
_FORGET = Statement(delete(_JOBS).where(_JOBS.c.path == bindparam("gone")))
_PUT = upsert(_JOBS)
_REMEMBER = Statement(_PUT.on_conflict_do_update(index_elements=[_JOBS.c.path], set_={"job": _PUT.excluded.job}))

logger = logging.getLogger(__name__)


def save(connection: sqlite3.Connection, jobs: Mapping[str, bytes]) -> None:
    """Path → encoded job, in place of what was remembered; writes what differs."""
    known = dict(_KNOWN.run(connection).fetchall())
    _FORGET.run_many(connection, [{"gone": path} for path in known.keys() - jobs.keys()])
    _REMEMBER.run_many(
        connection, [{"path": path, "job": job} for path, job in jobs.items() if known.get(path) != job]
    )


def load(connection: Connection) -> Mapping[str, Job]:
    """Path → job. One that this version cannot read is left out, with a warning."""
    decoder = msgspec.json.Decoder(Job)
    jobs: dict[str, Job] = {}
    for row in connection.execute(select(_JOBS).order_by(_JOBS.c.path)):
        try:
            jobs[row.path] = decoder.decode(row.job)
        except (msgspec.DecodeError, ValueError) as error:
            logger.warning("The last good version of %s cannot be read and is forgotten: %s", row.path, error)
    return jobs
