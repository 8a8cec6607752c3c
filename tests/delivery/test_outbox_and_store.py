"""The outbox with the store and the server it has in the service."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runner.core.delivery import DeliveryState, MailKind
from runner.core.job import DeliveryOptions, OnAmbiguous
from runner.core.run import RunState
from runner.delivery.attachment import attach
from runner.delivery.compose import compose, compose_undelivered
from runner.delivery.folder import MailFolder
from runner.delivery.outbox import Outbox
from runner.store import Store

NOON = datetime(2025, 11, 9, 13, 0, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
FROM = {"sender": "runner@example.com", "message_domain": "example.com"}


@pytest.fixture
def opened(tmp_path):
    """Opens the store; each time it does, the one before is closed."""
    stores = []

    def again():
        while stores:
            stores.pop().close()
        stores.append(Store.open(tmp_path / "runner.db"))
        return stores[-1]

    yield again
    while stores:
        stores.pop().close()


def finish(store, report):
    store.record_fires([replace(report.run, state=RunState.QUEUED, started_at=None, finished_at=None)], [])
    store.mark_running(report.run.run_id, NOON)
    mail = compose(report, attached=attach(report, kept_at=None), **FROM)
    store.finish_run(report.run, (mail,))
    return mail


def make_outbox(store, transport, *, now=LATER, **options):
    return Outbox(store, transport, clock=lambda: now, random=lambda: 0.5, **options)


def states(store, run_id="01k9mabcdefghjkmnpqrstvwxy"):
    return [delivery.state.value for delivery in store.run(run_id).deliveries]


def test_what_is_not_delivered_before_a_restart_is_delivered_after_it(
    opened, make_report, inbox, make_server, make_transport
):
    transport = make_transport(make_server())
    inbox.answers = {"bert@example.org": "451 later"}
    store = opened()
    mail = finish(store, make_report())
    make_outbox(store, transport).drain_once()
    assert states(store) == ["sent", "deferred"]
    inbox.answers = {}
    store = opened()
    make_outbox(store, transport, now=LATER + timedelta(hours=1)).drain_once()
    assert states(store) == ["sent", "sent"]
    assert [envelope.rcpt_tos for envelope in inbox.envelopes] == [["anna@example.com"], ["bert@example.org"]]
    assert inbox.envelopes[0].original_content == inbox.envelopes[1].original_content == mail.message


def test_an_address_that_is_refused_for_good_is_told_to_the_owner(
    opened, make_report, inbox, make_server, make_transport
):
    report = make_report(job={"owner": "olga@example.com"})
    store = opened()
    mail = finish(store, report)

    def notice(mail, ended):
        return compose_undelivered(mail, ended, job=report.job, at=LATER, **FROM)

    inbox.answers = {"bert@example.org": "550 no such user", "olga@example.com": "550 gone too"}
    outbox = make_outbox(store, make_transport(make_server()), notice=notice)
    outbox.drain_once()
    deliveries = store.run(report.run.run_id).deliveries
    assert [(one.kind, one.recipient, one.state) for one in deliveries] == [
        (MailKind.RESULTS, "anna@example.com", DeliveryState.SENT),
        (MailKind.RESULTS, "bert@example.org", DeliveryState.DEAD),
        (MailKind.UNDELIVERED, "olga@example.com", DeliveryState.DEAD),
    ]
    assert mail.subject.encode() in store.delivery_mail(deliveries[2].delivery_id)[1].message
    assert outbox.close(1) == 0


def test_every_end_of_a_delivery_is_told_and_the_time_begins_anew_with_a_retry(
    opened, make_report, inbox, make_server, make_transport
):
    report = make_report(job={"owner": "olga@example.com", "consumer_emails": ("bert@example.org",)})
    store, transport = opened(), make_transport(make_server())
    finish(store, report)
    now = LATER

    def notice(mail, ended):
        return compose_undelivered(mail, ended, job=None, at=now, **FROM)

    (delivery,) = store.run(report.run.run_id).deliveries
    for answer in ("550 no such user", "451 later", "554 no"):
        inbox.answers = {"bert@example.org": answer}
        store.retry_deliveries([delivery.delivery_id], now)
        make_outbox(store, transport, now=now, notice=notice).drain_once()
        now += timedelta(days=30)
    made = store.run(report.run.run_id).deliveries
    assert [(one.kind, one.state, one.attempts) for one in made] == [
        (MailKind.RESULTS, DeliveryState.DEAD, 3),
        (MailKind.UNDELIVERED, DeliveryState.SENT, 1),
        (MailKind.UNDELIVERED, DeliveryState.SENT, 1),
    ]
    assert len({one.message_id for one in made}) == 3
    assert len(inbox.envelopes) == 2


def test_a_delivery_of_a_hundred_attempts_has_five_more_days_after_a_retry(
    opened, make_report, inbox, make_server, make_transport
):
    store, transport = opened(), make_transport(make_server())
    finish(store, make_report(job={"consumer_emails": ("bert@example.org",)}))
    inbox.answers = {"bert@example.org": "451 later"}
    now = LATER
    while states(store) != ["dead"]:
        now += timedelta(hours=12)
        make_outbox(store, transport, now=now).drain_once()
    (delivery,) = store.run("01k9mabcdefghjkmnpqrstvwxy").deliveries
    assert delivery.attempts >= 10
    now += timedelta(days=30)
    store.retry_deliveries([delivery.delivery_id], now)
    make_outbox(store, transport, now=now).drain_once()
    assert states(store) == ["deferred"]


@pytest.mark.parametrize(("policy", "state"), [(OnAmbiguous.RESEND, "deferred"), (OnAmbiguous.HOLD, "held")])
def test_a_drop_after_the_content(opened, make_report, inbox, make_server, make_transport, policy, state):
    job = {"consumer_emails": ("anna@example.com",), "delivery": DeliveryOptions(on_ambiguous=policy)}
    transport = make_transport(make_server())
    store = opened()
    mail = finish(store, make_report(job=job))
    inbox.drop_after_data = True
    make_outbox(store, transport).drain_once()
    assert states(store) == [state]
    inbox.drop_after_data = False
    later = LATER + timedelta(days=1)
    assert make_outbox(store, transport, now=later).drain_once() == (0 if state == "held" else 1)
    if state == "held":
        store.retry_deliveries([store.run(mail.run_id).deliveries[0].delivery_id], later)
        make_outbox(store, transport, now=later).drain_once()
    assert states(store) == ["sent"]
    assert inbox.envelopes[0].original_content == mail.message


def test_a_kill_amid_an_attempt_holds_the_mail_and_tells_so(
    opened, make_report, inbox, make_server, make_transport
):
    job = {"owner": "olga@example.com", "delivery": DeliveryOptions(on_ambiguous=OnAmbiguous.HOLD)}
    report = make_report(job=job)
    store = opened()
    finish(store, report)
    store.begin_attempt([store.run(report.run.run_id).deliveries[1].delivery_id], NOON)
    store = opened()

    def notice(mail, ended):
        return compose_undelivered(mail, ended, job=report.job, at=LATER, **FROM)

    make_outbox(store, make_transport(make_server()), notice=notice).drain_once()
    assert states(store) == ["sent", "held", "sent"]
    assert [envelope.rcpt_tos for envelope in inbox.envelopes] == [["anna@example.com"], ["olga@example.com"]]
    assert b"Nobody knows whether a mail to bert@example.org has arrived" in inbox.envelopes[1].original_content


@pytest.mark.long
def test_many_mails_leave_over_one_connection(opened, make_report, inbox, make_server, make_transport):
    store = opened()
    for number in range(30):
        finish(store, make_report(run={"run_id": f"run{number:02d}"}))
    assert make_outbox(store, make_transport(make_server())).drain_once() == 60
    assert len(inbox.envelopes) == 30
    assert len({id(session) for session in inbox.sessions}) == 1
    assert store.open_deliveries() == 0


def test_a_clock_that_is_set_back_keeps_no_mail_waiting(opened, make_report, inbox, make_server, make_transport):
    transport = make_transport(make_server())
    store = opened()
    finish(store, make_report())
    inbox.mail_answer = "450 busy"
    make_outbox(store, transport).drain_once()
    inbox.mail_answer = None
    make_outbox(store, transport, now=NOON - timedelta(days=365)).drain_once()
    assert states(store) == ["sent", "sent"]


def test_a_command_without_a_server_takes_no_mail_of_other_runs(opened, make_report, tmp_path):
    store = opened()
    report = make_report()
    finish(store, report)
    other = replace(report, run=replace(report.run, run_id="01k9mabcdefghjkmnpqrstvwxz", fire_key="other"))
    finish(store, other)
    make_outbox(store, MailFolder(tmp_path / "mail"), run_ids={other.run.run_id}).drain_once()
    assert set(states(store, other.run.run_id)) == {"sent"}
    assert set(states(store)) == {"pending"}
    make_outbox(store, MailFolder(tmp_path / "mail")).drain_once()
    assert set(states(store)) == {"sent"}
