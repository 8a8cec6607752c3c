"""What is written of mails and their deliveries, as statements inside a transaction of the store."""

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import bindparam, exists, func, insert, null, or_, select, text, update

from runner.core.delivery import Delivery, DeliveryAttempt, DeliveryState, Mail, MailKind
from runner.core.report import local_time
from runner.errors import StoreError
from runner.store import bookmarks, tables
from runner.store.ledger import DELIVERIES
from runner.store.rows import delivery_progress, mail_row, micros, read_delivery
from runner.store.statements import Statement

_DELIVERIES = tables.deliveries
_THIS = _DELIVERIES.c.delivery_id == bindparam("this_delivery")
_THIS_MAIL = tables.mails.c.mail_id == bindparam("this_mail")
_LAST_ANSWER = "; the last answer: "

_ADD_MAIL = Statement(
    insert(tables.mails), columns=[column.name for column in tables.mails.c if column.name != "mail_id"]
)
_ADD_DELIVERY = Statement(
    insert(_DELIVERIES).values(state=DeliveryState.PENDING.value, attempts=0, error=""),
    columns=["mail_id", "recipient", "state", "attempts", "created_at", "next_attempt_at", "error"],
)
_BEGIN = Statement(update(_DELIVERIES).where(_THIS, tables.open_delivery).values(began_at=bindparam("at")))
_RECORD = Statement(
    update(_DELIVERIES)
    .where(_THIS)
    .values(
        {
            name: bindparam(name)
            for name in ("state", "attempts", "next_attempt_at", "began_at", "sent_at", "error", "kept_as")
        }
    )
)
_LET_BYTES_GO = Statement(
    update(tables.mails)
    .where(
        _THIS_MAIL,
        ~exists().where(_DELIVERIES.c.mail_id == tables.mails.c.mail_id, _DELIVERIES.c.state != text("'sent'")),
    )
    .values(message=null())
)
_OTHERS_SENT = Statement(
    select(func.count())
    .select_from(_DELIVERIES)
    .where(
        _DELIVERIES.c.mail_id == bindparam("this_mail"),
        _DELIVERIES.c.state == text("'sent'"),
        _DELIVERIES.c.delivery_id != bindparam("this_delivery"),
    )
)
_ONE = Statement(DELIVERIES.where(_THIS))
_HOLD = Statement(
    update(_DELIVERIES)
    .where(_THIS, tables.open_delivery)
    .values(state=DeliveryState.HELD.value, next_attempt_at=null(), began_at=null(), error=bindparam("error"))
)
_HASTEN = Statement(
    update(_DELIVERIES)
    .where(_DELIVERIES.c.state == text("'deferred'"), _DELIVERIES.c.next_attempt_at > bindparam("at"))
    .values(next_attempt_at=bindparam("at"))
)
_RETRY = Statement(
    update(_DELIVERIES)
    .where(
        _THIS,
        or_(tables.open_delivery, tables.stuck_delivery),
        exists().where(tables.mails.c.mail_id == _DELIVERIES.c.mail_id, tables.mails.c.message.is_not(None)),
    )
    .values(
        state=DeliveryState.PENDING.value,
        created_at=bindparam("at"),
        next_attempt_at=bindparam("at"),
        began_at=null(),
        error="",
    )
)


def add_mail(
    connection: sqlite3.Connection,
    mail: Mail,
    *,
    run_id: str,
    job_name: str,
    scheduled_time: datetime | None,
    at: datetime,
) -> tuple[Delivery, ...]:
    """A pending delivery, due at once, for each recipient of the mail; a mail to nobody is not kept.

    Job name and scheduled time are those of its run.
    """
    recipients = tuple(dict.fromkeys(mail.recipients))
    if not recipients:
        return ()
    mail_id = _ADD_MAIL.run(connection, mail_row(run_id, mail)).lastrowid
    due = micros(at)
    added = []
    for recipient in recipients:
        row = {"mail_id": mail_id, "recipient": recipient, "created_at": due, "next_attempt_at": due}
        delivery_id = _ADD_DELIVERY.run(connection, row).lastrowid
        assert delivery_id is not None
        added.append(
            Delivery(
                delivery_id=delivery_id,
                run_id=run_id,
                job_name=job_name,
                kind=mail.kind,
                recipient=recipient,
                message_id=mail.message_id,
                subject=mail.subject,
                scheduled_time=scheduled_time,
                created_at=at,
                next_attempt_at=at,
            )
        )
    return tuple(added)


def begin(connection: sqlite3.Connection, delivery_ids: Iterable[int], at: datetime) -> None:
    """An attempt of each of these is under way from now on."""
    for delivery_id in delivery_ids:
        if _BEGIN.run(connection, {"this_delivery": delivery_id, "at": micros(at)}).rowcount != 1:
            raise not_open(delivery_id)


def record(connection: sqlite3.Connection, attempts: Sequence[DeliveryAttempt]) -> tuple[Delivery, ...]:
    """What became of attempts, and the notices of those that came to nothing."""
    recorded = tuple(_record(connection, attempt) for attempt in attempts)
    for attempt, delivery in zip(attempts, recorded, strict=True):
        if attempt.notice is not None:
            add_mail(
                connection,
                attempt.notice,
                run_id=attempt.notice.run_id,
                job_name=delivery.job_name,
                scheduled_time=delivery.scheduled_time,
                at=attempt.at,
            )
    return recorded


def hasten(connection: sqlite3.Connection, at: datetime) -> int:
    """What is deferred is due from now on; answers how many were later."""
    return _HASTEN.run(connection, {"at": micros(at)}).rowcount


def retry(connection: sqlite3.Connection, delivery_ids: Sequence[int], at: datetime) -> tuple[Delivery, ...]:
    """Those of the deliveries that can be sent are pending and due from now on, as if they were made now.

    The attempts count on: the ledger tells of all that there were.
    """
    return tuple(
        _read(connection, delivery_id)
        for delivery_id in dict.fromkeys(delivery_ids)
        if _RETRY.run(connection, {"this_delivery": delivery_id, "at": micros(at)}).rowcount
    )


def hold(connection: sqlite3.Connection, delivery_ids: Sequence[int], at: datetime) -> tuple[Delivery, ...]:
    """Those of the deliveries that are open are held from now on; their errors say so, before the last answer."""
    since = f"held by hand since {local_time(at.replace(microsecond=0), 'UTC')}"
    held = []
    for delivery_id in dict.fromkeys(delivery_ids):
        row = next(_ONE.mappings(connection, {"this_delivery": delivery_id}), None)
        if row is not None:
            error = _held_words(since, row["error"])
            if _HOLD.run(connection, {"this_delivery": delivery_id, "error": error}).rowcount:
                held.append(_read(connection, delivery_id))
    return tuple(held)


def not_open(delivery_id: int) -> StoreError:
    """What is wrong with an attempt at a delivery that is sent, given up or not there."""
    return StoreError(
        f"Delivery {delivery_id} is not open", hint="It was sent or given up before; nothing is to be done."
    )


def _record(connection: sqlite3.Connection, attempt: DeliveryAttempt) -> Delivery:
    known = next(_ONE.mappings(connection, {"this_delivery": attempt.delivery_id}), None)
    now = None if known is None else read_delivery(known)
    # A person may hold a delivery while its mail is under way: what became of that is recorded all the same.
    if known is None or now is None or not (now.state.open or now.state is DeliveryState.HELD):
        raise not_open(attempt.delivery_id)
    state = attempt.result.state
    stays_held = now.state is DeliveryState.HELD and state in {DeliveryState.DEFERRED, DeliveryState.HELD}
    done = replace(
        now,
        state=now.state if stays_held else state,
        attempts=now.attempts + 1,
        next_attempt_at=None if stays_held else attempt.next_attempt_at,
        began_at=None,
        sent_at=attempt.at if state is DeliveryState.SENT else None,
        error=_held_words(now.error, attempt.result.error) if stays_held else attempt.result.error,
        kept_as=attempt.result.kept_as,
    )
    _RECORD.run(connection, {"this_delivery": attempt.delivery_id, **delivery_progress(done)})
    if state is DeliveryState.SENT:
        _count_as_delivered(connection, done, known["mail_id"])
        _LET_BYTES_GO.run(connection, {"this_mail": known["mail_id"]})
    return done


def _count_as_delivered(connection: sqlite3.Connection, delivery: Delivery, mail_id: int) -> None:
    """The first person who gets the result of a run is enough: the next run goes on from there."""
    values = {"this_mail": mail_id, "this_delivery": delivery.delivery_id}
    if delivery.kind is MailKind.RESULTS and not _OTHERS_SENT.first(connection, values):
        assert delivery.sent_at is not None
        bookmarks.move(connection, delivery.run_id, delivery.sent_at)


def _held_words(held: str, answer: str) -> str:
    """Since when a person holds it, and the server's last answer in place of the one that stood there."""
    since = held.partition(_LAST_ANSWER)[0]
    return f"{since}{_LAST_ANSWER}{answer}" if answer else since


def _read(connection: sqlite3.Connection, delivery_id: int) -> Delivery:
    return read_delivery(next(_ONE.mappings(connection, {"this_delivery": delivery_id})))
