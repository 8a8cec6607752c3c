"""The delivery ledger: what `runner mail` shows of it and changes in it. Nothing is fetched or processed again."""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage

from runner.core.catalog import Catalog
from runner.core.delivery import Delivery, DeliveryState, MailKind
from runner.core.ledger import LedgerChange, LedgerEntry, MailPart, SentBy
from runner.errors import RunnerError, UsageError
from runner.service.clock import utc_now
from runner.service.lookup import read_catalog
from runner.service.wiring import make_outbox, open_transport
from runner.settings import Settings
from runner.store import service_running
from runner.store.reader import StoreReader
from runner.store.store import Store

# Those that are not sent are few; this many at a time may be changed.
LARGEST_CHANGE = 10_000
# The outbox of a service looks for what is due every five seconds.
_PATIENCE_SECONDS = 15.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """Which deliveries a person means: these, or all in one state, of one job or of any."""

    delivery_ids: tuple[int, ...] = ()
    state: DeliveryState | None = None
    job_name: str | None = None


def list_deliveries(
    settings: Settings, *, job_name: str | None, states: Sequence[DeliveryState], limit: int
) -> tuple[Delivery, ...]:
    """The newest deliveries of a job, or of all, in one of these states, or in any.

    Raises:
        StoreError: the ledger cannot be read.
    """
    with Store.open_reader(settings.storage_path) as store:
        return store.deliveries(job_name=job_name, states=states, limit=limit)


def find_entry(settings: Settings, delivery_id: int) -> LedgerEntry:
    """One delivery with its mail.

    Raises:
        UsageError: there is none of that id.
        StoreError: the ledger cannot be read.
    """
    with Store.open_reader(settings.storage_path) as store:
        found = store.delivery_mail(delivery_id)
    if found is None:
        raise _unknown((delivery_id,))
    delivery, mail = found
    text, attachments = _parts(mail.message) if mail.message else ("", ())
    return LedgerEntry(delivery=delivery, mail=mail, text=text, attachments=attachments)


def retry_deliveries(settings: Settings, choice: Choice) -> LedgerChange:
    """Send mails again, the very same bytes with the same Message-ID: by the running service, or here.

    Raises:
        UsageError: one of the ids is unknown; nothing is changed.
        RunnerError: the ledger cannot be changed, or the policy is not valid where no service knows what it was.
    """
    with Store.open(settings.storage_path, beside_service=True) as store:
        chosen, left_out = _chosen(store, choice, _why_not_retried)
        catalog = _policed_catalog(settings) if chosen and store.try_alone() else None
        due = store.retry_deliveries([one.delivery_id for one in chosen], utc_now())
        sent_by = _send(settings, store, catalog, due) if due else SentBy.NOBODY
        if sent_by is SentBy.SERVICE:
            _wait(settings, store, due)
        return LedgerChange(changed=_as_they_are(store, due), left_out=left_out, sent_by=sent_by)


def hold_deliveries(settings: Settings, choice: Choice) -> LedgerChange:
    """Hold mails that are still to be sent, until they are retried.

    Raises:
        UsageError: one of the ids is unknown; nothing is changed.
        RunnerError: the ledger cannot be changed.
    """
    with Store.open(settings.storage_path, beside_service=True) as store:
        chosen, left_out = _chosen(store, choice, _why_not_held)
        held = store.hold_deliveries([one.delivery_id for one in chosen], utc_now())
        # Sent in the moment since they were looked at.
        late = {one.delivery_id for one in chosen} - {one.delivery_id for one in held}
        missed = tuple((one, "it has just been sent or given up") for one in chosen if one.delivery_id in late)
        return LedgerChange(changed=held, left_out=(*left_out, *missed))


def _chosen(
    store: StoreReader, choice: Choice, why_not: Callable[[StoreReader, Delivery], str]
) -> tuple[tuple[Delivery, ...], tuple[tuple[Delivery, str], ...]]:
    """The deliveries that are meant and can be changed, and the others with the reason."""
    if choice.state is not None:
        meant = store.deliveries(job_name=choice.job_name, states=(choice.state,), limit=LARGEST_CHANGE)
    else:
        meant = _by_id(store, choice.delivery_ids)
    reasons = [(one, why_not(store, one)) for one in meant]
    return tuple(one for one, reason in reasons if not reason), tuple(pair for pair in reasons if pair[1])


def _by_id(store: StoreReader, delivery_ids: Iterable[int]) -> tuple[Delivery, ...]:
    wanted = tuple(dict.fromkeys(delivery_ids))
    found = {delivery_id: store.delivery_mail(delivery_id) for delivery_id in wanted}
    unknown = tuple(delivery_id for delivery_id, pair in found.items() if pair is None)
    if unknown:
        raise _unknown(unknown)
    return tuple(pair[0] for pair in found.values() if pair is not None)


def _unknown(delivery_ids: Sequence[int]) -> UsageError:
    named = ", ".join(map(str, delivery_ids))
    what = "is no delivery" if len(delivery_ids) == 1 else "are no deliveries"
    return UsageError(f"there {what} {named}", hint="runner mail list shows them.")


def _why_not_retried(store: StoreReader, delivery: Delivery) -> str:
    if delivery.state is DeliveryState.SENT:
        return _done_words(delivery)
    found = store.delivery_mail(delivery.delivery_id)
    if found is None or not found[1].message:
        return f"its mail is no longer kept; to make a new one: runner run {delivery.job_name}"
    return ""


def _done_words(delivery: Delivery) -> str:
    if not delivery.kept_as:
        return "it was sent already"
    anew = f"; to make a new one: runner run {delivery.job_name}" if delivery.kind is MailKind.RESULTS else ""
    return f"it was kept as {delivery.kept_as}, as no server was set{anew}"


def _why_not_held(_store: StoreReader, delivery: Delivery) -> str:
    if delivery.state.open:
        return ""
    words = {
        DeliveryState.SENT: _done_words(delivery),
        DeliveryState.DEAD: "it was given up and is not sent again unasked",
        DeliveryState.HELD: "it is held already",
    }
    return words[delivery.state]


def _policed_catalog(settings: Settings) -> Catalog:
    """The jobs of the folder, and whom its policy allows mail.

    Raises:
        RunnerError: the folder cannot be read, or the policy is not valid.
    """
    catalog = read_catalog(settings)
    if catalog.entries and catalog.bounds is None:
        raise RunnerError(
            f"nothing is sent: _policy.yaml or _defaults.yaml in {settings.jobs_dir} is not valid, and so it is "
            "not known who may be mailed",
            hint="runner validate shows what to correct.",
        )
    return catalog


def _send(settings: Settings, store: Store, catalog: Catalog | None, retried: Sequence[Delivery]) -> SentBy:
    """Send what is due, as `runner run` does; without a catalog another process has the state folder."""
    if catalog is None:
        return SentBy.SERVICE if service_running(settings.storage_path) else SentBy.NOBODY
    outbox = make_outbox(
        settings,
        store,
        open_transport(settings),
        jobs=lambda: catalog.jobs,
        bounds=lambda: catalog.bounds,
        asked={one.run_id for one in retried},
    )
    outbox.drain_once()
    return SentBy.COMMAND


def _wait(settings: Settings, store: StoreReader, deliveries: Sequence[Delivery]) -> None:
    """Until the service has tried to send them, or for a while."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while any(one.state is DeliveryState.PENDING for one in _as_they_are(store, deliveries)):
        if time.monotonic() > deadline or not service_running(settings.storage_path):
            return
        time.sleep(_LOOK_SECONDS)


def _as_they_are(store: StoreReader, deliveries: Iterable[Delivery]) -> tuple[Delivery, ...]:
    found = (store.delivery_mail(one.delivery_id) for one in deliveries)
    return tuple(pair[0] for pair in found if pair is not None)


def _parts(message: bytes) -> tuple[str, tuple[MailPart, ...]]:
    """The text of a mail, and the files in it."""
    parsed = message_from_bytes(message, policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    body = parsed.get_body(("plain",))
    text = body.get_content() if body is not None else ""
    attachments = tuple(
        MailPart(
            name=part.get_filename() or "",
            content_type=part.get_content_type(),
            size=len(part.get_payload(decode=True) or b""),
        )
        for part in parsed.iter_attachments()
    )
    return text, attachments
