"""`runner mail`: the delivery ledger."""

import os
import sys
from typing import TYPE_CHECKING

import click

from runner.cli.verb_group import VerbGroup

if TYPE_CHECKING:
    from runner.core.ledger import LedgerChange
    from runner.service.ledger import Choice

# As DeliveryState of runner.core.delivery, which --help need not import; a test compares them.
_STATES = ("pending", "sent", "deferred", "dead", "held")


def _delivery_id(text: str) -> int:
    """The number of a delivery; whether there is one is for the ledger to say."""
    # int() refuses numbers that are far longer than any ledger has.
    if not (text.isascii() and text.isdecimal()) or len(text) > 1000:
        raise click.BadParameter(f"{text!r} is no ID of a mail. runner mail list shows them: they are numbers.")
    return int(text)


@click.group("mail", cls=VerbGroup, subcommand_metavar="VERB [ARGS]...")
def command() -> None:
    """List, show, retry and hold mails: the delivery ledger.

    Each line of the ledger is one mail to one recipient. It works beside a running service too.
    """


@command.command("list")
@click.option("--job", metavar="JOB", help="Only mails of this job.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(_STATES),
    help="Only mails in this state; may be repeated.",
)
@click.option(
    "--limit", metavar="N", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many mails."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(*, job: str | None, states: tuple[str, ...], limit: int, as_json: bool) -> None:
    """List mails, newest first."""
    from runner.cli.environment import open_console, open_settings, print_json
    from runner.core.delivery import DeliveryState
    from runner.core.documents import ledger_document
    from runner.service.ledger import list_deliveries
    from runner.service.lookup import require_known

    settings, _ = open_settings()
    wanted = tuple(map(DeliveryState, states))
    found = list_deliveries(settings, job_name=job, states=wanted, limit=limit)
    if job is not None and not found:
        require_known(settings, job)
    if as_json:
        print_json({"deliveries": [ledger_document(delivery) for delivery in found]})
        return
    if not found:
        click.echo(f"No {' or '.join(states)}{' ' if states else ''}mails{f' of {job}' if job else ''}.")
        return
    from runner.cli.render_mail import delivery_table

    open_console().print(delivery_table(found, settings.timezone))


@command.command("show")
@click.argument("delivery_id", metavar="ID", type=_delivery_id)
@click.option("--raw", is_flag=True, help="Print the mail itself, byte for byte.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def show_command(ctx: click.Context, *, delivery_id: int, raw: bool, as_json: bool) -> None:
    """Show one mail: to whom, its state, and what it says."""
    from runner.cli.environment import open_console, open_settings, print_json
    from runner.core.documents import ledger_entry_document
    from runner.service.ledger import find_entry

    if raw and as_json:
        raise click.UsageError("--raw and --json cannot go together.")
    settings, _ = open_settings()
    entry = find_entry(settings, delivery_id)
    if raw:
        if not entry.mail.message:
            kept_as = entry.delivery.kept_as
            gone = f"is the file {kept_as}" if kept_as else "is no longer kept: it was sent to all its recipients"
            click.echo(f"error: mail {delivery_id} {gone}", err=True)
            ctx.exit(1)
        sys.stdout.buffer.write(entry.mail.message)
        return
    if as_json:
        print_json(ledger_entry_document(entry))
        return
    from runner.cli.render_mail import entry_panel

    open_console().print(entry_panel(entry, settings.timezone))


@command.command("retry", short_help="Send mails again, the very same.")
@click.argument("delivery_ids", metavar="[ID]...", nargs=-1, type=_delivery_id)
@click.option("--all-dead", is_flag=True, help="All that were given up.")
@click.option("--all-held", is_flag=True, help="All that are held.")
@click.option("--job", metavar="JOB", help="With --all-dead or --all-held: only mails of this job.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def retry_command(
    ctx: click.Context,
    *,
    delivery_ids: tuple[int, ...],
    all_dead: bool,
    all_held: bool,
    job: str | None,
    as_json: bool,
) -> None:
    """Send mails again: the very same mails, nothing is fetched or processed.

    The running service sends them; without a service they are sent at once.

    Exit codes: 0 all are sent, 1 one is not, 2 wrong usage, 3 could not run.
    """
    from runner.cli.environment import open_settings
    from runner.core.delivery import DeliveryState
    from runner.logs import configure_logging
    from runner.service.ledger import retry_deliveries
    from runner.service.lookup import require_known

    choice = _choice(delivery_ids, all_dead=all_dead, all_held=all_held, job=job)
    settings, _ = open_settings()
    configure_logging(settings.log, no_color=bool(os.environ.get("NO_COLOR")))
    change = retry_deliveries(settings, choice)
    none_words = f"No mail{f' of {job}' if job else ''} is {choice.state}: there is nothing to send."
    if job is not None and not change.changed:
        require_known(settings, job)
    _print_change(change, settings.timezone, none_words=none_words, as_json=as_json)
    sent = all(delivery.state is DeliveryState.SENT for delivery in change.changed)
    ctx.exit(0 if sent and not change.left_out else 1)


@command.command("hold")
@click.argument("delivery_ids", metavar="ID...", nargs=-1, required=True, type=_delivery_id)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_context
def hold_command(ctx: click.Context, *, delivery_ids: tuple[int, ...], as_json: bool) -> None:
    """Hold mails that are still to be sent, until they are retried."""
    from runner.cli.environment import open_settings
    from runner.service.ledger import Choice, hold_deliveries

    settings, _ = open_settings()
    change = hold_deliveries(settings, Choice(delivery_ids=delivery_ids))
    _print_change(change, settings.timezone, as_json=as_json)
    ctx.exit(1 if change.left_out else 0)


def _choice(delivery_ids: tuple[int, ...], *, all_dead: bool, all_held: bool, job: str | None) -> "Choice":
    from runner.core.delivery import DeliveryState
    from runner.service.ledger import Choice

    if bool(delivery_ids) + all_dead + all_held != 1:
        raise click.UsageError("Name mails by their IDs, or give one of --all-dead and --all-held.")
    if job is not None and delivery_ids:
        raise click.UsageError("--job goes with --all-dead or --all-held.")
    state = DeliveryState.DEAD if all_dead else DeliveryState.HELD if all_held else None
    return Choice(delivery_ids=delivery_ids, state=state, job_name=job)


def _print_change(change: "LedgerChange", timezone: str, *, none_words: str = "", as_json: bool) -> None:
    from runner.cli.environment import open_console, print_json
    from runner.core.documents import ledger_change_document

    if as_json:
        print_json(ledger_change_document(change))
        return
    for delivery, reason in change.left_out:
        click.echo(f"{delivery.delivery_id}: left as it is, {reason}", err=True)
    if not change.changed:
        if not change.left_out:
            click.echo(none_words)
        return
    from runner.cli.render_mail import change_words, delivery_table

    open_console().print(delivery_table(change.changed, timezone))
    if words := change_words(change):
        click.echo(words)
