"""Reading mails and deliveries: what is due, what is open, and the ledger of all."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, or_, select, true

from runner.core.delivery import Delivery, DeliveryState, Mail
from runner.store import tables
from runner.store.rows import micros, moment_or_none, read_delivery, read_mail

_STUCK = {DeliveryState.DEAD, DeliveryState.HELD}
# Mails come with their attachments: no more of them are held at a time.
MOST_BYTES = 32 << 20
# What every server has to take of one mail: RFC 5321, section 4.5.3.1.8.
_MOST_RECIPIENTS = 100
_LARGEST_ID = (1 << 63) - 1
# The longest wait between two attempts is an hour.
_OUT_OF_REACH = timedelta(hours=2)

DELIVERIES: Select[Any] = (
    select(
        tables.deliveries,
        tables.mails.c.run_id,
        tables.mails.c.kind,
        tables.mails.c.message_id,
        tables.mails.c.subject,
        tables.runs.c.job_name,
        tables.runs.c.scheduled_time,
    )
    .join(tables.mails, tables.mails.c.mail_id == tables.deliveries.c.mail_id)
    .join(tables.runs, tables.runs.c.run_id == tables.mails.c.run_id)
)


def due_deliveries(
    connection: Connection, now: datetime, limit: int, run_ids: Collection[str] | None
) -> Sequence[tuple[Delivery, Mail]]:
    """At most `limit` open deliveries whose time has come, the longest waiting first, with their mails: of these
    runs, or of all.

    Others of the last mail come with them, so that it is handed over once for all its recipients, up to 100. Of
    mails beyond `MOST_BYTES` in all only the first is given: others are due after these.
    """
    when = tables.deliveries.c.next_attempt_at
    # A clock that was ahead for a while must not put a mail off for as long.
    due_now = or_(when <= micros(now), when > micros(now + _OUT_OF_REACH))
    query = DELIVERIES.where(tables.open_delivery, due_now).order_by(when, tables.deliveries.c.delivery_id)
    if run_ids is not None:
        query = query.where(tables.mails.c.run_id.in_(run_ids))
    rows = list(connection.execute(query.limit(limit)).mappings())
    if rows and len(rows) == limit:
        last = rows[-1]["mail_id"]
        rest = query.where(tables.deliveries.c.mail_id == last).limit(_MOST_RECIPIENTS)
        known = {row["delivery_id"] for row in rows}
        rows += [row for row in connection.execute(rest).mappings() if row["delivery_id"] not in known]
    due: list[tuple[Delivery, Mail]] = []
    mails: dict[int, Mail] = {}
    for row in rows:
        mail_id = row["mail_id"]
        if mail_id not in mails:
            if mails and sum(len(mail.message) for mail in mails.values()) >= MOST_BYTES:
                break
            mails[mail_id] = _mail(connection, mail_id)
        due.append((read_delivery(row), mails[mail_id]))
    return due


def _mail(connection: Connection, mail_id: int) -> Mail:
    row = connection.execute(select(tables.mails).where(tables.mails.c.mail_id == mail_id)).mappings().one()
    return read_mail(row, _recipients(connection, mail_id))


def next_delivery_time(connection: Connection) -> datetime | None:
    """When the next open delivery is due."""
    return moment_or_none(
        connection.scalar(select(func.min(tables.deliveries.c.next_attempt_at)).where(tables.open_delivery))
    )


def open_deliveries(connection: Connection) -> int:
    """How many deliveries are open."""
    return connection.scalar(select(func.count()).select_from(tables.deliveries).where(tables.open_delivery)) or 0


def deliveries_query(job_name: str | None, states: Collection[DeliveryState], limit: int) -> Select[Any]:
    """The newest deliveries of a job, or of all, in one of these states, or in any."""
    query = DELIVERIES.where(_among(set(states))).order_by(tables.deliveries.c.delivery_id.desc()).limit(limit)
    return query if job_name is None else query.where(tables.runs.c.job_name == job_name)


def delivery_mail(connection: Connection, delivery_id: int) -> tuple[Delivery, Mail] | None:
    """One delivery with its mail; none has an id that SQLite has no number for."""
    if delivery_id > _LARGEST_ID:
        return None
    row = connection.execute(DELIVERIES.where(tables.deliveries.c.delivery_id == delivery_id)).mappings().first()
    return None if row is None else (read_delivery(row), _mail(connection, row["mail_id"]))


def _among(states: set[DeliveryState]) -> ColumnElement[bool]:
    """Of the few that are not sent there are indexes: a year of sent ones is not looked through for them."""
    if not states:
        return true()
    wanted = tables.deliveries.c.state.in_(sorted(state.value for state in states))
    if DeliveryState.SENT in states:
        return wanted
    unsent = [
        select(tables.deliveries.c.delivery_id).where(condition)
        for condition, members in (
            (tables.open_delivery, set(DeliveryState) - _STUCK),
            (tables.stuck_delivery, _STUCK),
        )
        if states & members
    ]
    few = unsent[0].union_all(*unsent[1:])
    return tables.deliveries.c.delivery_id.in_(few) & wanted


def _recipients(connection: Connection, mail_id: int) -> tuple[str, ...]:
    deliveries = tables.deliveries
    query = (
        select(deliveries.c.recipient).where(deliveries.c.mail_id == mail_id).order_by(deliveries.c.delivery_id)
    )
    return tuple(connection.scalars(query))
