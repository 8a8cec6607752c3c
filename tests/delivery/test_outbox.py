import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runner.core.delivery import Delivery, DeliveryState, SendResult
from runner.delivery.folder import MailFolder
from runner.delivery.outbox import Outbox

NOON = datetime(2025, 11, 9, 13, 0, tzinfo=UTC)


class Ledger:
    """An outbox store in memory that keeps to the rules of the real one."""

    def __init__(self):
        self.rows = {}
        self.broken = False
        self.lock = threading.Lock()

    def add(self, mail, job_name="j"):
        for recipient in mail.recipients:
            number = len(self.rows) + 1
            self.rows[number] = (
                Delivery(
                    delivery_id=number,
                    run_id=mail.run_id,
                    job_name=job_name,
                    kind=mail.kind,
                    recipient=recipient,
                    message_id=mail.message_id,
                    created_at=NOON,
                    next_attempt_at=NOON,
                ),
                mail,
            )

    def due_deliveries(self, now, limit):
        with self.lock:
            rows = [row for row in self.rows.values() if row[0].state.open and row[0].next_attempt_at <= now]
            return sorted(rows, key=lambda row: (row[0].next_attempt_at, row[0].delivery_id))[:limit]

    def next_delivery_time(self):
        with self.lock:
            return min((row[0].next_attempt_at for row in self.rows.values() if row[0].state.open), default=None)

    def record_attempt(self, delivery_id, result, *, at, next_attempt_at):
        if self.broken:
            raise OSError("database or disk is full")
        assert (next_attempt_at is not None) == (result.state is DeliveryState.DEFERRED)
        with self.lock:
            delivery, mail = self.rows[delivery_id]
            assert delivery.state.open
            delivery = replace(
                delivery,
                state=result.state,
                attempts=delivery.attempts + 1,
                next_attempt_at=next_attempt_at,
                error=result.error,
            )
            self.rows[delivery_id] = (delivery, mail)

    def states(self):
        return [delivery.state.value for delivery, _ in self.rows.values()]


class Scripted:
    """A transport that answers as told, for what no real one does on demand."""

    def __init__(self, answer):
        self.answer = answer
        self.sent = []

    def send(self, mail, recipients):
        self.sent.append((mail.message_id, tuple(recipients)))
        return self.answer(mail, recipients)

    def describe(self):
        return "scripted"

    def close(self):
        pass


def deferred(mail, recipients):
    return dict.fromkeys(recipients, SendResult(state=DeliveryState.DEFERRED, error="451 later"))


def sent(mail, recipients):
    return dict.fromkeys(recipients, SendResult(state=DeliveryState.SENT))


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def make_outbox(ledger):
    def make(transport, *, now=NOON, on_result=None, fraction=0.5):
        clock = now if callable(now) else lambda: now
        return Outbox(ledger, transport, clock=clock, random=lambda: fraction, on_result=on_result)

    return make


def wait_for(condition):
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)


def test_everything_due_is_sent_and_recorded(ledger, make_outbox, make_mail, tmp_path):
    told = []
    for number in range(25):
        ledger.add(make_mail(run_id=f"run{number:02d}"))
    outbox = make_outbox(MailFolder(tmp_path), on_result=lambda *pair: told.append(pair))
    assert outbox.drain_once() == 50
    assert set(ledger.states()) == {"sent"}
    assert len(list(tmp_path.glob("*.eml"))) == 25
    assert len(told) == 50
    assert outbox.drain_once() == 0


def test_the_recipients_of_a_mail_go_together(ledger, make_outbox, make_mail):
    transport = Scripted(sent)
    ledger.add(make_mail())
    make_outbox(transport).drain_once()
    assert transport.sent == [(make_mail().message_id, ("anna@example.com", "bert@example.org"))]


def test_only_what_was_deferred_is_tried_again(ledger, make_outbox, inbox, make_server, make_transport, make_mail):
    inbox.answers = {"bert@example.org": "451 greylisted"}
    transport = make_transport(make_server())
    ledger.add(make_mail())
    make_outbox(transport).drain_once()
    assert ledger.states() == ["sent", "deferred"]
    assert ledger.rows[2][0].next_attempt_at == NOON + timedelta(minutes=2.5)
    inbox.answers = {}
    assert make_outbox(transport).drain_once() == 0
    assert make_outbox(transport, now=NOON + timedelta(minutes=3)).drain_once() == 1
    assert ledger.states() == ["sent", "sent"]
    assert [envelope.rcpt_tos for envelope in inbox.envelopes] == [["anna@example.com"], ["bert@example.org"]]


def test_a_deferred_delivery_is_dead_after_five_days(ledger, make_outbox, small_mail):
    ledger.add(small_mail)
    now = NOON
    for _ in range(1000):
        make_outbox(Scripted(deferred), now=now, fraction=1.0).drain_once()
        if not ledger.rows[1][0].state.open:
            break
        now = ledger.rows[1][0].next_attempt_at
    assert now == NOON + timedelta(days=5)
    assert ledger.states() == ["dead"]
    assert ledger.rows[1][0].error == "given up after 5 days: 451 later"


def test_an_attempt_that_cannot_be_recorded_is_not_made_twice(ledger, make_outbox, make_mail):
    transport = Scripted(sent)
    ledger.add(make_mail(run_id="one"))
    ledger.add(make_mail(run_id="two"))
    outbox = make_outbox(transport)
    ledger.broken = True
    assert outbox.drain_once() == 0
    assert outbox.drain_once() == 0
    assert len(transport.sent) == 1
    ledger.broken = False
    assert outbox.drain_once() == 4
    assert [message_id.split(".")[0] for message_id, _ in transport.sent] == ["<one", "<two"]
    assert set(ledger.states()) == {"sent"}


def test_a_delivery_that_is_gone_does_not_hold_the_others(ledger, make_outbox, make_mail):
    transport = Scripted(sent)
    ledger.add(make_mail(run_id="one"))
    outbox = make_outbox(transport)
    ledger.broken = True
    outbox.drain_once()
    ledger.rows.clear()
    ledger.add(make_mail(run_id="two"))
    ledger.rows = {
        number + 10: (replace(row[0], delivery_id=number + 10), row[1]) for number, row in ledger.rows.items()
    }
    ledger.broken = False
    assert outbox.drain_once() == 2
    assert ledger.states() == ["sent", "sent"]


def test_a_transport_that_breaks_or_forgets_defers(ledger, make_outbox, make_mail):
    def broken(mail, recipients):
        raise RuntimeError("unforeseen")

    ledger.add(make_mail())
    make_outbox(Scripted(broken)).drain_once()
    assert [row[0].error for row in ledger.rows.values()] == ["internal error: RuntimeError"] * 2
    make_outbox(Scripted(lambda mail, recipients: {}), now=NOON + timedelta(hours=1)).drain_once()
    assert ledger.states() == ["deferred", "deferred"]
    assert ledger.rows[1][0].error == "no result for this recipient"


def test_the_thread_sends_when_it_is_woken_and_ends(ledger, make_outbox, make_mail, tmp_path):
    outbox = make_outbox(MailFolder(tmp_path))
    outbox.start()
    ledger.add(make_mail())
    outbox.wake()
    wait_for(lambda: ledger.states() == ["sent", "sent"])
    assert outbox.close(5) == 0


def test_the_thread_waits_for_the_next_attempt(ledger, make_outbox, small_mail, monkeypatch):
    monkeypatch.setattr("runner.delivery.retry.SHORTEST_DELAY", timedelta(milliseconds=100))
    began = time.monotonic()
    transport = Scripted(lambda mail, to: deferred(mail, to) if len(transport.sent) == 1 else sent(mail, to))
    ledger.add(small_mail)
    outbox = make_outbox(transport, now=lambda: NOON + timedelta(seconds=time.monotonic() - began), fraction=0.0)
    outbox.start()
    wait_for(lambda: ledger.states() == ["sent"])
    assert outbox.close(5) == 0
    assert len(transport.sent) == 2
    assert time.monotonic() - began >= 0.1


def test_close_sends_what_is_due_and_counts_what_is_open(ledger, make_outbox, make_mail, small_mail):
    transport = Scripted(lambda mail, to: sent(mail, to) if len(to) > 1 else deferred(mail, to))
    outbox = make_outbox(transport)
    outbox.start()
    ledger.add(make_mail())
    ledger.add(small_mail)
    assert outbox.close(5) == 1
    assert ledger.states() == ["sent", "sent", "deferred"]


def test_close_does_not_wait_for_a_slow_server(ledger, make_outbox, make_mail):
    release, entered = threading.Event(), threading.Event()

    def slow(mail, recipients):
        entered.set()
        release.wait(5)
        return sent(mail, recipients)

    for run_id in ("one", "two"):
        ledger.add(make_mail(run_id=run_id))
    transport = Scripted(slow)
    outbox = make_outbox(transport)
    outbox.start()
    assert entered.wait(5)
    began = time.monotonic()
    assert outbox.close(0.2) == 4
    assert time.monotonic() - began < 1
    release.set()
    wait_for(lambda: ledger.states() == ["sent", "sent", "pending", "pending"])
    assert len(transport.sent) == 1


def test_a_store_that_is_away_does_not_end_the_thread(ledger, make_outbox, make_mail, monkeypatch, tmp_path):
    monkeypatch.setattr("runner.delivery.outbox._AFTER_TROUBLE_SECONDS", 0.01)
    outbox = make_outbox(MailFolder(tmp_path))
    away = threading.Event()
    real = ledger.due_deliveries

    def due(now, limit):
        if not away.is_set():
            away.set()
            raise OSError("database is locked")
        return real(now, limit)

    ledger.due_deliveries = due
    ledger.add(make_mail())
    outbox.start()
    wait_for(lambda: ledger.states() == ["sent", "sent"])
    outbox.close(5)


def test_a_listener_that_fails_does_not_stop_the_mails(ledger, make_outbox, make_mail, tmp_path):
    def fail(delivery, result):
        raise ValueError("no")

    ledger.add(make_mail())
    assert make_outbox(MailFolder(tmp_path), on_result=fail).drain_once() == 2
    assert ledger.states() == ["sent", "sent"]


def test_sending_and_recording_happen_in_the_context_of_the_run(ledger, make_mail):
    inside, seen = [], []

    @contextmanager
    def context(job_name, run_id):
        inside.append((job_name, run_id))
        yield
        inside.pop()

    def answer(mail, recipients):
        seen.append(("send", *inside))
        return sent(mail, recipients)

    def told(delivery, result):
        seen.append(("recorded", *inside))

    outbox = Outbox(
        ledger,
        Scripted(answer),
        clock=lambda: NOON,
        random=lambda: 0.5,
        on_result=told,
        context=context,
    )
    ledger.add(make_mail(run_id="one", consumer_emails=("a@example.com",)), job_name="daily")
    ledger.add(make_mail(run_id="two", consumer_emails=("a@example.com",)), job_name="weekly")
    ledger.broken = True
    outbox.drain_once()
    ledger.broken = False
    outbox.drain_once()
    daily, weekly = ("daily", "one"), ("weekly", "two")
    assert seen == [("send", daily), ("recorded", daily), ("send", weekly), ("recorded", weekly)]
    assert inside == []
