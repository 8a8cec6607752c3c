"""Numbered steps that bring a database to the newest schema. A step that has been released is never edited."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, inspect, select

from runner.store.tables import schema_migrations

_FIRST = """
CREATE TABLE schema_migrations (number INTEGER NOT NULL PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE cursors (
    job_name TEXT NOT NULL PRIMARY KEY,
    schedule TEXT NOT NULL,
    time BIGINT NOT NULL
);
CREATE TABLE jobs (path TEXT NOT NULL PRIMARY KEY, job BLOB NOT NULL);
CREATE TABLE runs (
    run_id TEXT NOT NULL PRIMARY KEY,
    job_name TEXT NOT NULL,
    trigger TEXT NOT NULL,
    scheduled_time BIGINT NOT NULL,
    state TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    fire_key TEXT,
    queued_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    rows_in BIGINT,
    rows_out BIGINT,
    failure_kind TEXT,
    failure_message TEXT NOT NULL,
    failure_hint TEXT NOT NULL,
    failure_traceback TEXT NOT NULL,
    note TEXT NOT NULL,
    output TEXT NOT NULL,
    revision TEXT NOT NULL,
    digest TEXT NOT NULL,
    sandbox TEXT NOT NULL
);
CREATE INDEX runs_by_job ON runs (job_name, run_id);
CREATE INDEX runs_by_age ON runs (queued_at);
CREATE UNIQUE INDEX runs_by_fire ON runs (job_name, fire_key) WHERE fire_key IS NOT NULL;
CREATE INDEX runs_unfinished ON runs (state) WHERE state IN ('queued', 'running');
CREATE TABLE mails (
    mail_id INTEGER NOT NULL PRIMARY KEY,
    run_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    message_id TEXT NOT NULL,
    sender TEXT NOT NULL,
    subject TEXT NOT NULL,
    message BLOB,
    FOREIGN KEY (run_id) REFERENCES runs (run_id) ON DELETE CASCADE
);
CREATE INDEX mails_by_run ON mails (run_id);
CREATE TABLE deliveries (
    delivery_id INTEGER NOT NULL PRIMARY KEY,
    mail_id INTEGER NOT NULL,
    recipient TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    created_at BIGINT NOT NULL,
    next_attempt_at BIGINT,
    sent_at BIGINT,
    error TEXT NOT NULL,
    FOREIGN KEY (mail_id) REFERENCES mails (mail_id) ON DELETE CASCADE
);
CREATE INDEX deliveries_by_mail ON deliveries (mail_id);
CREATE INDEX deliveries_open ON deliveries (next_attempt_at) WHERE state IN ('pending', 'deferred');
"""

_SECOND = """
ALTER TABLE runs ADD COLUMN next_attempt_at BIGINT;
ALTER TABLE runs ADD COLUMN mailing INTEGER NOT NULL DEFAULT 1;
ALTER TABLE runs ADD COLUMN requested INTEGER NOT NULL DEFAULT 0;
CREATE INDEX runs_by_time ON runs (job_name, scheduled_time);
CREATE INDEX runs_requested ON runs (run_id) WHERE requested = 1;
CREATE TABLE attempts (
    run_id TEXT NOT NULL,
    number INTEGER NOT NULL,
    state TEXT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT NOT NULL,
    failure_kind TEXT NOT NULL,
    failure_message TEXT NOT NULL,
    failure_hint TEXT NOT NULL,
    failure_traceback TEXT NOT NULL,
    PRIMARY KEY (run_id, number),
    FOREIGN KEY (run_id) REFERENCES runs (run_id) ON DELETE CASCADE
);
ALTER TABLE mails ADD COLUMN hold_ambiguous INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mails ADD COLUMN notify TEXT NOT NULL DEFAULT '[]';
ALTER TABLE deliveries ADD COLUMN began_at BIGINT;
CREATE INDEX deliveries_stuck ON deliveries (delivery_id) WHERE state IN ('dead', 'held');
"""

_THIRD = """
ALTER TABLE runs ADD COLUMN checks TEXT;
ALTER TABLE runs ADD COLUMN chart_file TEXT;
ALTER TABLE runs ADD COLUMN bookmark TEXT;
CREATE TABLE bookmarks (
    job_name TEXT NOT NULL PRIMARY KEY,
    bookmark TEXT NOT NULL,
    scheduled_time BIGINT NOT NULL,
    run_id TEXT NOT NULL,
    moved_at BIGINT NOT NULL
);
"""

_FOURTH = """
ALTER TABLE deliveries ADD COLUMN kept_as TEXT NOT NULL DEFAULT '';
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Migration:
    """One step: its number, counted from 1 without gaps, and its statements, each ended by `;`."""

    number: int
    name: str
    statements: str


MIGRATIONS = (
    Migration(number=1, name="runs, outbox, cursors and jobs in force", statements=_FIRST),
    Migration(number=2, name="attempts, requests, held deliveries", statements=_SECOND),
    Migration(number=3, name="checks, charts, bookmarks", statements=_THIRD),
    Migration(number=4, name="mails kept as files", statements=_FOURTH),
)
NEWEST = MIGRATIONS[-1].number


def schema_number(connection: Connection) -> int | None:
    """The last step a database has taken; 0 for an empty one, None for one that is not this project's."""
    tables = inspect(connection).get_table_names()
    if schema_migrations.name in tables:
        return connection.scalar(select(func.max(schema_migrations.c.number))) or 0
    return None if tables else 0


def migrate(connection: Connection) -> None:
    """Take every step that the database has not taken, inside the transaction that `connection` is in."""
    number = schema_number(connection) or 0
    for step in MIGRATIONS[number:]:
        for statement in step.statements.split(";"):
            if statement.strip():
                connection.exec_driver_sql(statement)
        connection.execute(insert(schema_migrations).values(number=step.number, name=step.name))
