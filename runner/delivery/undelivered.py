"""What the mail says that tells of another one which came to nothing."""

from collections.abc import Sequence

from runner.core.delivery import Delivery, DeliveryState, Mail, MailKind
from runner.core.report import local_time
from runner.delivery.content import Content
from runner.delivery.refusal import Refusal, refusal
from runner.delivery.words import one_line


def undelivered_content(mail: Mail, ended: Sequence[Delivery], *, job_path: str, timezone: str) -> Content:
    """What the mail says that tells of one mail which is dead, or held, for one or more of its recipients.

    Args:
        ended: those deliveries, as they are now; one at least.
        job_path: empty where the job is no longer there.
    """
    dead = [one for one in ended if one.state is not DeliveryState.HELD]
    held = [one for one in ended if one.state is DeliveryState.HELD]
    first = ended[0]
    known = (
        ("Job", first.job_name),
        ("Mail", mail.subject),
        ("To", ", ".join(one.recipient for one in ended)),
        ("Attempts", _range([one.attempts for one in ended])),
        ("Due since", local_time(min(one.created_at for one in ended).replace(microsecond=0), timezone)),
        ("Job file", job_path),
        ("Run", mail.run_id),
        ("Delivery", ", ".join(str(one.delivery_id) for one in ended)),
    )
    return Content(
        good=False,
        label="Mail undelivered" if dead else "Mail held",
        title=one_line(first.job_name),
        lead=_lead(mail, dead, held),
        details=_reasons(ended),
        hint=" ".join(_advice(mail, dead, held, job_path=one_line(job_path) or "the job file")),
        facts=tuple((label, one_line(value)) for label, value in known if value),
    )


def _lead(mail: Mail, dead: Sequence[Delivery], held: Sequence[Delivery]) -> str:
    if len(dead) + len(held) == 1:
        recipient = one_line((*dead, *held)[0].recipient)
        if held:
            return f"Nobody knows whether a mail to {recipient} has arrived, so it is held."
        return f"A mail to {recipient} could not be delivered, and is not tried again."
    total = f"its {len(mail.recipients)} recipients"
    if not dead:
        return f"Nobody knows whether a mail has arrived at {len(held)} of {total}, so it is held for these."
    lead = f"A mail could not be delivered to {len(dead)} of {total}, and is not tried again for "
    words = "this one" if len(dead) == 1 else "these"
    return f"{lead}{words}. For {len(held)} more it is held." if held else f"{lead}{words}."


def _reasons(ended: Sequence[Delivery]) -> tuple[str, ...]:
    if len(ended) == 1:
        return (f"The reason: {one_line(ended[0].error)}",)
    return tuple(f"{one_line(one.recipient)}: {one_line(one.error)}" for one in ended)


def _advice(mail: Mail, dead: Sequence[Delivery], held: Sequence[Delivery], *, job_path: str) -> list[str]:
    """What to do now, in sentences, for each kind of trouble that there is."""
    sizes, addresses, forbidden, others = (
        [one for one in dead if trouble(mail, one) is kind]
        for kind in (Refusal.SIZE, Refusal.ADDRESS, Refusal.POLICY, Refusal.OTHER)
    )
    advice: list[str] = []
    if sizes:
        advice.append(
            f"The server takes no mail of this size (for {_named(sizes)}): attach csv.gz or parquet "
            f"(`attachment` under `delivery` in {job_path}), or let the result be smaller. Sending it again will "
            f"be refused again. The result is kept with the run, {mail.run_id}."
        )
    if addresses:
        what = "this address" if len(addresses) == 1 else "these addresses"
        advice.append(
            f"The server refuses {what}: correct {_named(addresses)} in {job_path} for the runs to come."
        )
    if forbidden:
        them = "it" if len(forbidden) == 1 else "them"
        advice.append(
            f"Take {_named(forbidden)} out of {job_path} for the runs to come. If mails are to go there, add the "
            f"domain to recipient_domains in _policy.yaml: {_retry(forbidden)} then sends the very mail to {them}."
        )
    if others:
        which = "the address" if len(others) == 1 else "one of the addresses"
        advice.append(
            f"If {which} {_named(others)} is wrong, correct it in {job_path} for the runs to come. If it is "
            f"right, {_retry(others)} sends the very mail to it again, once its server takes mails."
        )
    if held:
        came = "whether it came. If it did not" if len(held) == 1 else "whether it came. Where it did not"
        advice.append(f"Ask {_named(held)} {came}, {_retry(held)} sends the very mail again.")
    return advice


def trouble(mail: Mail, delivery: Delivery) -> Refusal:
    """What a delivery of a mail came to nothing for, as far as the people of its job can help it."""
    found = refusal(delivery.error)
    # Only results have an attachment that could be smaller; a sender and a quota are no matter of a job.
    if found is Refusal.SIZE:
        return found if mail.kind is MailKind.RESULTS else Refusal.OTHER
    return found if found in {Refusal.ADDRESS, Refusal.POLICY} else Refusal.OTHER


def _named(deliveries: Sequence[Delivery]) -> str:
    return ", ".join(one_line(one.recipient) for one in deliveries)


def _retry(deliveries: Sequence[Delivery]) -> str:
    return f"`runner mail retry {' '.join(str(one.delivery_id) for one in deliveries)}`"


def _range(counts: Sequence[int]) -> str:
    fewest, most = min(counts), max(counts)
    return str(most) if fewest == most else f"{fewest} to {most}"
