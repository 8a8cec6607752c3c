"""The tables as SQLAlchemy sees them. `migrations.py` makes them; a test holds the two together.

Times are whole microseconds since 1970 in UTC: exact, compact and sortable in any database. Truth is 1 or 0.
"""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    text,
)

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
    Column("time", BigInteger, nullable=False),
)

# How far each job has got, which run took it there, and when that was delivered. `bookmark` is JSON.
bookmarks = Table(
    "bookmarks",
    metadata,
    Column("job_name", Text, primary_key=True),
    Column("bookmark", Text, nullable=False),
    Column("scheduled_time", BigInteger, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("moved_at", BigInteger, nullable=False),
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
    Column("scheduled_time", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("fire_key", Text),
    Column("queued_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger),
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
    Column("next_attempt_at", BigInteger),
    Column("mailing", Integer, nullable=False),
    Column("requested", Integer, nullable=False),
    # Values in JSON; no value: none.
    Column("checks", Text),
    Column("chart_file", Text),
    Column("bookmark", Text),
)
Index("runs_by_job", runs.c.job_name, runs.c.run_id)
Index("runs_by_age", runs.c.queued_at)
Index("runs_by_time", runs.c.job_name, runs.c.scheduled_time)

# Written as text, not as bound values: SQLite uses a partial index only where the query repeats its words.
unfinished_run = text("runs.state IN ('queued', 'running')")
finished_run = text("runs.state NOT IN ('queued', 'running')")
open_delivery = text("deliveries.state IN ('pending', 'deferred')")
stuck_delivery = text("deliveries.state IN ('dead', 'held')")
has_fire_key = text("fire_key IS NOT NULL")
requested_run = text("requested = 1")
Index("runs_by_fire", runs.c.job_name, runs.c.fire_key, unique=True, sqlite_where=has_fire_key)
Index("runs_unfinished", runs.c.state, sqlite_where=text("state IN ('queued', 'running')"))
Index("runs_requested", runs.c.run_id, sqlite_where=requested_run)

attempts = Table(
    "attempts",
    metadata,
    Column("run_id", Text, ForeignKey("runs.run_id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("state", Text, nullable=False),
    Column("started_at", BigInteger),
    Column("finished_at", BigInteger, nullable=False),
    Column("failure_kind", Text, nullable=False),
    Column("failure_message", Text, nullable=False),
    Column("failure_hint", Text, nullable=False),
    Column("failure_traceback", Text, nullable=False),
)

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
    Column("hold_ambiguous", Integer, nullable=False),
    # A list in JSON.
    Column("notify", Text, nullable=False),
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
    Column("created_at", BigInteger, nullable=False),
    Column("next_attempt_at", BigInteger),
    Column("sent_at", BigInteger),
    Column("error", Text, nullable=False),
    Column("began_at", BigInteger),
    Column("kept_as", Text, nullable=False, server_default=text("''")),
)
Index("deliveries_by_mail", deliveries.c.mail_id)
Index("deliveries_open", deliveries.c.next_attempt_at, sqlite_where=text("state IN ('pending', 'deferred')"))
Index("deliveries_stuck", deliveries.c.delivery_id, sqlite_where=text("state IN ('dead', 'held')"))
