"""Mails and their deliveries, as statements inside a transaction of the store."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, exists, func, insert, select, update

from runner.core.delivery import Delivery, DeliveryState, Mail, MailKind, SendResult
from runner.store import tables
from runner.store.rows import read_delivery

DELIVERIES: Select[Any] = (
    select(
        tables.deliveries,
        tables.mails.c.run_id,
        tables.mails.c.kind,
        tables.mails.c.message_id,
        tables.runs.c.job_name,
    )
    .join(tables.mails, tables.mails.c.mail_id == tables.deliveries.c.mail_id)
    .join(tables.runs, tables.runs.c.run_id == tables.mails.c.run_id)
    .order_by(tables.deliveries.c.delivery_id)
)


def add_mail(connection: Connection, run_id: str, mail: Mail, at: datetime) -> None:
    """A pending delivery, due at once, for each recipient of the mail; a mail to nobody is not kept."""
    recipients = tuple(dict.fromkeys(mail.recipients))
    if not recipients:
        return
    mail_id = connection.scalar(
        insert(tables.mails)
        .values(
            run_id=run_id,
            kind=str(mail.kind),
            message_id=mail.message_id,
            sender=mail.sender,
            subject=mail.subject,
            message=mail.message,
        )
        .returning(tables.mails.c.mail_id)
    )
    rows = [
        {
            "mail_id": mail_id,
            "recipient": recipient,
            "state": str(DeliveryState.PENDING),
            "attempts": 0,
            "created_at": at,
            "next_attempt_at": at,
            "error": "",
        }
        for recipient in recipients
    ]
    connection.execute(insert(tables.deliveries), rows)


def deliveries_of(connection: Connection, run_id: str) -> tuple[Delivery, ...]:
    """The deliveries of one run."""
    rows = connection.execute(DELIVERIES.where(tables.mails.c.run_id == run_id)).mappings()
    return tuple(read_delivery(row) for row in rows)


def due_deliveries(connection: Connection, now: datetime, limit: int) -> Sequence[tuple[Delivery, Mail]]:
    """At most `limit` open deliveries whose time has come, the longest waiting first, with their mails."""
    query = (
        DELIVERIES.add_columns(tables.mails.c.sender, tables.mails.c.subject, tables.mails.c.message)
        .where(tables.open_delivery, tables.deliveries.c.next_attempt_at <= now)
        .order_by(None)
        .order_by(tables.deliveries.c.next_attempt_at, tables.deliveries.c.delivery_id)
        .limit(limit)
    )
    due: list[tuple[Delivery, Mail]] = []
    mails: dict[int, Mail] = {}
    for row in connection.execute(query).mappings().all():
        mail_id = row["mail_id"]
        if mail_id not in mails:
            mails[mail_id] = _read_mail(connection, row)
        due.append((read_delivery(row), mails[mail_id]))
    return due


def next_delivery_time(connection: Connection) -> datetime | None:
    """When the next open delivery is due."""
    moment: datetime | None = connection.scalar(
        select(func.min(tables.deliveries.c.next_attempt_at)).where(tables.open_delivery)
    )
    return moment


def record_attempt(
    connection: Connection,
    delivery_id: int,
    result: SendResult,
    *,
    at: datetime,
    next_attempt_at: datetime | None,
) -> bool:
    """Write what became of one attempt; False where the delivery is not open, and nothing is written."""
    deliveries = tables.deliveries
    sent = result.state is DeliveryState.SENT
    mail_id = connection.scalar(
        update(deliveries)
        .where(deliveries.c.delivery_id == delivery_id, tables.open_delivery)
        .values(
            state=str(result.state),
            attempts=deliveries.c.attempts + 1,
            next_attempt_at=next_attempt_at,
            sent_at=at if sent else None,
            error=result.error,
        )
        .returning(deliveries.c.mail_id)
    )
    if mail_id is not None and sent:
        _let_bytes_go(connection, mail_id)
    return mail_id is not None


def _let_bytes_go(connection: Connection, mail_id: int) -> None:
    """Once every delivery of a mail is sent, nobody needs its bytes again."""
    deliveries = tables.deliveries
    unsent = exists().where(deliveries.c.mail_id == mail_id, deliveries.c.state != str(DeliveryState.SENT))
    connection.execute(update(tables.mails).where(tables.mails.c.mail_id == mail_id, ~unsent).values(message=None))


def _read_mail(connection: Connection, row: RowMapping) -> Mail:
    deliveries = tables.deliveries
    recipients = (
        select(deliveries.c.recipient)
        .where(deliveries.c.mail_id == row["mail_id"])
        .order_by(deliveries.c.delivery_id)
    )
    return Mail(
        run_id=row["run_id"],
        kind=MailKind(row["kind"]),
        message_id=row["message_id"],
        sender=row["sender"],
        recipients=tuple(connection.scalars(recipients)),
        subject=row["subject"],
        message=row["message"],
    )
