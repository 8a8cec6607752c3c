"""Deliveries and mails on a terminal."""

from collections.abc import Iterable
from datetime import datetime

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from runner.cli.render import foreign
from runner.core.delivery import Delivery, DeliveryState, MailKind
from runner.core.ledger import LedgerChange, LedgerEntry, SentBy
from runner.core.report import local_time, size_words
from runner.core.words import counted, one_line

_STYLES = {
    DeliveryState.SENT: "green",
    DeliveryState.DEFERRED: "yellow",
    DeliveryState.DEAD: "red",
    DeliveryState.HELD: "magenta",
}


def delivery_text(state: DeliveryState) -> Text:
    """The state in its colour."""
    return Text(str(state), style=_STYLES.get(state, ""))


def delivery_table(deliveries: Iterable[Delivery], timezone: str) -> Table:
    """Deliveries in the order given: the subject, and below it to whom, what happened, and what comes next.

    Lines that are too long go on below: shortened, a subject would lose the time that tells it from others.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("id", justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("mail", overflow="fold")
    for delivery in deliveries:
        mail = foreign(one_line(delivery.subject)).append("\n").append_text(_happened(delivery, timezone))
        table.add_row(str(delivery.delivery_id), _word_text(delivery), mail)
    return table


def entry_panel(entry: LedgerEntry, timezone: str) -> RenderableType:
    """One mail: its envelope, its state, and its text."""
    delivery, mail = entry.delivery, entry.mail
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("Mail", f"{delivery.delivery_id}, {delivery.kind} of {delivery.job_name}")
    rows = (
        ("Run", delivery.run_id),
        ("From", mail.sender),
        ("To", delivery.recipient),
        ("All to", ", ".join(mail.recipients) if len(mail.recipients) > 1 else ""),
        ("Subject", mail.subject),
        ("Message-ID", delivery.message_id),
        ("Due since", _time(delivery.created_at, timezone)),
    )
    for label, value in rows:
        if value:
            facts.add_row(label, foreign(one_line(value)))
    facts.add_row("State", _word_text(delivery))
    facts.add_row("Attempts", str(delivery.attempts))
    for label, moment in (
        ("Next attempt", delivery.next_attempt_at),
        ("Kept" if delivery.kept_as else "Sent", delivery.sent_at),
    ):
        if moment is not None:
            facts.add_row(label, _time(moment, timezone))
    if delivery.kept_as:
        facts.add_row("Kept as", foreign(one_line(delivery.kept_as)))
    if delivery.error:
        facts.add_row("Error", foreign(delivery.error, "red"))
    for part in entry.attachments:
        facts.add_row("Attached", foreign(one_line(f"{part.name}, {size_words(part.size)}")))
    text = foreign(entry.text.rstrip()) if mail.message else Text(_gone(delivery), style="dim")
    return Group(facts, Panel(text, title="text", title_align="left"))


def change_words(change: LedgerChange) -> str:
    """Who sends what was put up for another attempt; empty where all is said."""
    if not any(delivery.state is DeliveryState.PENDING for delivery in change.changed):
        return ""
    if change.sent_by is SentBy.SERVICE:
        return "The running service sends them as soon as it can."
    return "Another runner command has the state folder: they go out with it, or with the next runner start."


def _word_text(delivery: Delivery) -> Text:
    return Text(delivery.word) if delivery.kept_as else delivery_text(delivery.state)


def _happened(delivery: Delivery, timezone: str) -> Text:
    first = foreign(f"to {delivery.recipient}")
    if delivery.sent_at is not None:
        first.append(f", {_time(delivery.sent_at, timezone)}")
    lines = [first]
    if delivery.kept_as:
        lines.append(foreign(one_line(f"as {delivery.kept_as}")))
    if delivery.error and delivery.state is not DeliveryState.SENT:
        lines.append(foreign(one_line(delivery.error), _STYLES.get(delivery.state, "")))
    tries = counted(delivery.attempts, "attempt") if delivery.attempts else ""
    if delivery.next_attempt_at is not None and delivery.state.open:
        moment = f"next {_time(delivery.next_attempt_at, timezone)}"
        lines.append(Text(f"{tries}, {moment}" if tries else moment, style="dim"))
    elif delivery.state is not DeliveryState.SENT:
        made = f"due since {_time(delivery.created_at, timezone)}"
        lines.append(Text(f"{tries}, {made}" if tries else made, style="dim"))
    return Text("\n").join(lines)


def _time(moment: datetime, timezone: str) -> str:
    return local_time(moment.replace(microsecond=0), timezone)


def _gone(delivery: Delivery) -> str:
    if delivery.kept_as:
        return "The mail is in that file: no server was set, and nobody was sent it."
    # A run makes no other kind anew: each tells of what has happened once.
    anew = f" To make a new one: runner run {delivery.job_name}" if delivery.kind is MailKind.RESULTS else ""
    return f"The mail itself is no longer kept: all its recipients have it.{anew}"
