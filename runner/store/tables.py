"""The tables as SQLAlchemy sees them. `migrations.py` makes them; a test holds the two together.

Times are whole microseconds since 1970 in UTC: exact, compact and sortable in any database.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    text,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcTime(TypeDecorator[datetime]):
    """An aware datetime in Python, microseconds since 1970 in the database; comes back in UTC."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002 - the interface
        """Refuses naive datetimes: subtracting the epoch raises TypeError."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """The moment in UTC."""
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = MetaData()

schema_migrations = Table(
    "schema_migrations",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
)

cursors = Table(
    "cursors",
    metadata,
    Column("job_name", Text, primary_key=True),
    Column("schedule", Text, nullable=False),
    Column("time", UtcTime, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("path", Text, primary_key=True),
    Column("job", LargeBinary, nullable=False),
)

# A run_id sorts by the time it was made: newest first is run_id descending, without an index of its own.
runs = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("job_name", Text, nullable=False),
    Column("trigger", Text, nullable=False),
    Column("scheduled_time", UtcTime, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("fire_key", Text),
    Column("queued_at", UtcTime, nullable=False),
    Column("started_at", UtcTime),
    Column("finished_at", UtcTime),
    Column("rows_in", BigInteger),
    Column("rows_out", BigInteger),
    Column("failure_kind", Text),
    Column("failure_message", Text, nullable=False),
    Column("failure_hint", Text, nullable=False),
    Column("failure_traceback", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("output", Text, nullable=False),
    Column("revision", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("sandbox", Text, nullable=False),
)
Index("runs_by_job", runs.c.job_name, runs.c.run_id)
Index("runs_by_age", runs.c.queued_at)

# Written as text, not as bound values: SQLite uses a partial index only where the query repeats its words.
unfinished_run = text("runs.state IN ('queued', 'running')")
finished_run = text("runs.state NOT IN ('queued', 'running')")
open_delivery = text("deliveries.state IN ('pending', 'deferred')")
has_fire_key = text("fire_key IS NOT NULL")
Index("runs_by_fire", runs.c.job_name, runs.c.fire_key, unique=True, sqlite_where=has_fire_key)
Index("runs_unfinished", runs.c.state, sqlite_where=text("state IN ('queued', 'running')"))

mails = Table(
    "mails",
    metadata,
    Column("mail_id", Integer, primary_key=True),
    Column("run_id", Text, ForeignKey("runs.run_id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("sender", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("message", LargeBinary),
)
Index("mails_by_run", mails.c.run_id)

deliveries = Table(
    "deliveries",
    metadata,
    Column("delivery_id", Integer, primary_key=True),
    Column("mail_id", Integer, ForeignKey("mails.mail_id", ondelete="CASCADE"), nullable=False),
    Column("recipient", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("next_attempt_at", UtcTime),
    Column("sent_at", UtcTime),
    Column("error", Text, nullable=False),
)
Index("deliveries_by_mail", deliveries.c.mail_id)
Index("deliveries_open", deliveries.c.next_attempt_at, sqlite_where=text("state IN ('pending', 'deferred')"))
