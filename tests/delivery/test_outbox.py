import logging
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from runner.core.delivery import Delivery, DeliveryState, MailKind, SendResult
from runner.delivery.folder import MailFolder
from runner.delivery.outbox import Outbox
from runner.errors import StoreError

NOON = datetime(2025, 11, 9, 13, 0, tzinfo=UTC)


class Ledger:
    """An outbox store in memory that keeps to the rules of the real one."""

    def __init__(self):
        self.rows = {}
        self.broken = False
        self.begun = []
        self.limits = []
        self.lock = threading.RLock()

    def add(self, mail, job_name="j", *, at=NOON):
        for recipient in mail.recipients:
            number = max(self.rows, default=0) + 1
            delivery = Delivery(
                delivery_id=number,
                run_id=mail.run_id,
                job_name=job_name,
                kind=mail.kind,
                recipient=recipient,
                message_id=mail.message_id,
                created_at=at,
                next_attempt_at=at,
            )
            self.rows[number] = (delivery, mail)

    def change(self, delivery_id, **changes):
        delivery, mail = self.rows[delivery_id]
        self.rows[delivery_id] = (replace(delivery, **changes), mail)

    def due_deliveries(self, now, limit, run_ids):
        assert run_ids is None
        with self.lock:
            self.limits.append(limit)
            rows = [row for row in self.rows.values() if row[0].state.open and row[0].next_attempt_at <= now]
            return sorted(rows, key=lambda row: (row[0].next_attempt_at, row[0].delivery_id))[:limit]

    def next_delivery_time(self):
        with self.lock:
            return min((row[0].next_attempt_at for row in self.rows.values() if row[0].state.open), default=None)

    def open_deliveries(self):
        with self.lock:
            return sum(row[0].state.open for row in self.rows.values())

    def delivery_mail(self, delivery_id):
        return self.rows.get(delivery_id)

    def hasten_deliveries(self, at):
        self._writable()
        with self.lock:
            late = [one for one, _ in self.rows.values() if one.state is DeliveryState.DEFERRED]
            for one in late:
                self.change(one.delivery_id, next_attempt_at=at)
            return len(late)

    def begin_attempt(self, delivery_ids, at):
        self._writable()
        with self.lock:
            self.begun.append(tuple(delivery_ids))
            for delivery_id in delivery_ids:
                self.change(delivery_id, began_at=at)

    def record_attempts(self, attempts):
        self._writable()
        with self.lock:
            for attempt in attempts:
                assert (attempt.next_attempt_at is not None) == (attempt.result.state is DeliveryState.DEFERRED)
                if attempt.delivery_id not in self.rows or not self.rows[attempt.delivery_id][0].state.open:
                    raise StoreError(f"Delivery {attempt.delivery_id} is not open")
            for attempt in attempts:
                self.change(
                    attempt.delivery_id,
                    state=attempt.result.state,
                    attempts=self.rows[attempt.delivery_id][0].attempts + 1,
                    next_attempt_at=attempt.next_attempt_at,
                    began_at=None,
                    error=attempt.result.error,
                )
                if attempt.notice is not None:
                    self.add(attempt.notice, self.rows[attempt.delivery_id][0].job_name, at=attempt.at)
            return [self.rows[attempt.delivery_id][0] for attempt in attempts]

    def states(self):
        return [delivery.state.value for delivery, _ in self.rows.values()]

    def _writable(self):
        if self.broken:
            raise OSError("database or disk is full")


class Scripted:
    """A transport that answers as told, for what no real one does on demand."""

    def __init__(self, answer, *, trouble=""):
        self.answer = answer
        self.trouble = trouble
        self.sent = []
        self.asked = []

    def send(self, mail, recipients, *, asked=False):
        self.sent.append((mail.message_id, tuple(recipients)))
        self.asked.append(asked)
        return self.answer(mail, recipients)

    def check(self):
        return self.trouble

    def describe(self):
        return "scripted"

    def close(self):
        pass


def deferred(mail, recipients):
    return dict.fromkeys(recipients, SendResult(state=DeliveryState.DEFERRED, error="451 later"))


def ambiguous(mail, recipients):
    result = SendResult(state=DeliveryState.DEFERRED, error="hung up", ambiguous=True)
    return dict.fromkeys(recipients, result)


def dead(mail, recipients):
    return dict.fromkeys(recipients, SendResult(state=DeliveryState.DEAD, error="550 no such user"))


def broken(mail, recipients):
    raise RuntimeError("unforeseen")


def sent(mail, recipients):
    return dict.fromkeys(recipients, SendResult(state=DeliveryState.SENT))


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def make_outbox(ledger):
    def make(transport, *, now=NOON, fraction=0.5, **options):
        clock = now if callable(now) else lambda: now
        return Outbox(ledger, transport, clock=clock, random=lambda: fraction, **options)

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
    assert {(delivery.state, delivery.attempts) for delivery, _ in told} == {(DeliveryState.SENT, 1)}
    assert len(told) == 50
    assert outbox.drain_once() == 0


def test_no_other_mail_begins_once_it_is_enough(ledger, make_outbox, make_mail):
    for number in range(3):
        ledger.add(make_mail(run_id=f"run{number:02d}"))
    transport = Scripted(sent)
    outbox = make_outbox(transport)
    assert outbox.drain_once(lambda: len(transport.sent) == 2) == 4
    assert ledger.states() == ["sent"] * 4 + ["pending"] * 2
    assert outbox.drain_once() == 2


def test_the_recipients_of_a_mail_go_together(ledger, make_outbox, make_mail):
    transport = Scripted(sent)
    ledger.add(make_mail())
    make_outbox(transport).drain_once()
    assert transport.sent == [(make_mail().message_id, ("anna@example.com", "bert@example.org"))]


def test_what_waits_for_a_recipient_that_the_policy_forbids_by_now_is_given_up_with_a_word(
    ledger, make_outbox, inbox, make_server, make_transport, make_mail
):
    inbox.answers = dict.fromkeys(("anna@example.com", "bert@example.org"), "451 later")
    transport, told, allowed = make_transport(make_server()), [], []

    def notice(mail, ended):
        told.extend((one.recipient, one.state) for one in ended)

    ledger.add(make_mail())
    outbox = make_outbox(
        transport, now=lambda: NOON + len(allowed) * timedelta(hours=1), notice=notice, allows=allowed.__contains__
    )
    allowed += ["anna@example.com", "bert@example.org"]
    outbox.drain_once()
    assert (ledger.states(), told) == (["deferred", "deferred"], [])
    inbox.answers = {}
    allowed.pop()
    ledger.change(1, next_attempt_at=NOON)
    ledger.change(2, next_attempt_at=NOON)
    outbox.drain_once()
    assert ledger.states() == ["sent", "dead"]
    assert [envelope.rcpt_tos for envelope in inbox.envelopes] == [["anna@example.com"]]
    assert ledger.rows[2][0].error == (
        "not sent, as the policy allows no mail to bert@example.org: it is not in recipient_domains of "
        "_policy.yaml. Once it is, `runner mail retry 2` sends this mail"
    )
    assert told == [("bert@example.org", DeliveryState.DEAD)]


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


def put_off(ledger, mail):
    ledger.add(mail)
    ledger.change(1, state=DeliveryState.DEFERRED, attempts=3, next_attempt_at=NOON + timedelta(minutes=50))


@pytest.mark.parametrize(
    ("hastening", "trouble", "state"), [(True, "", "sent"), (True, "away", "deferred"), (False, "", "deferred")]
)
def test_what_was_put_off_goes_with_a_start_that_finds_all_well(
    ledger, make_outbox, small_mail, caplog, hastening, trouble, state
):
    caplog.set_level(logging.INFO)
    put_off(ledger, small_mail)
    transport = Scripted(sent, trouble=trouble)
    outbox = make_outbox(transport, hastening=hastening)
    outbox.start()
    wait_for(lambda: ("Checked" in caplog.text or "cannot leave" in caplog.text) and ledger.limits)
    outbox.close(5)
    assert ledger.states() == [state]
    assert ("Tried now, as the server can be reached: 1 mail put off before" in caplog.text) == (state == "sent")


def test_a_store_that_is_away_hastens_nothing_and_ends_no_thread(ledger, make_outbox, small_mail, caplog):
    put_off(ledger, small_mail)
    ledger.broken = True
    outbox = make_outbox(Scripted(sent), hastening=True)
    outbox.start()
    wait_for(lambda: "wait for their time" in caplog.text)
    ledger.broken = False
    ledger.change(1, next_attempt_at=NOON)
    outbox.wake()
    wait_for(lambda: ledger.states() == ["sent"])
    outbox.close(5)


def test_the_transport_is_told_what_a_person_asks_for(ledger, make_outbox, small_mail):
    transport = Scripted(deferred)
    ledger.add(small_mail)
    make_outbox(transport).drain_once()
    ledger.change(1, next_attempt_at=NOON)
    make_outbox(transport).drain_once()
    ledger.change(1, state=DeliveryState.PENDING, next_attempt_at=NOON)
    make_outbox(transport).drain_once()
    assert transport.asked == [False, False, True]


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


@pytest.fixture
def slow_server(raw_server):
    """A server that takes mails, and answers to the end of the content when `release` is set."""
    release, contents = threading.Event(), []

    def talk(connection, ended):
        with connection.makefile("rwb", buffering=0) as wire:
            wire.write(b"220 slow\r\n")
            for line in wire:
                if line.upper() == b"DATA\r\n":
                    wire.write(b"354 go on\r\n")
                    contents.append(b"".join(iter(wire.readline, b".\r\n")))
                    while not (release.wait(0.02) or ended.is_set()):
                        pass
                wire.write(b"250 fine\r\n")

    return SimpleNamespace(port=raw_server(talk), release=release, contents=contents)


@pytest.mark.long
def test_close_waits_for_the_mail_that_is_being_sent_and_begins_no_other(
    ledger, make_outbox, make_mail, make_transport, slow_server
):
    for run_id in ("one", "two"):
        ledger.add(make_mail(run_id=run_id))
    outbox = make_outbox(make_transport(slow_server.port))
    outbox.start()
    wait_for(lambda: slow_server.contents)
    closed = []
    closing = threading.Thread(target=lambda: closed.append(outbox.close(0.1)), daemon=True)
    closing.start()
    closing.join(0.6)
    assert closing.is_alive(), "the server has the mail, and has not said so yet"
    slow_server.release.set()
    closing.join(5)
    assert closed == [2]
    assert ledger.states() == ["sent", "sent", "pending", "pending"]
    assert len(slow_server.contents) == 1


@pytest.mark.long
def test_close_waits_no_longer_than_a_mail_may_take(ledger, make_outbox, make_mail, make_transport, slow_server):
    ledger.add(make_mail())
    outbox = make_outbox(make_transport(slow_server.port, total_timeout=1.0))
    outbox.start()
    wait_for(lambda: slow_server.contents)
    began = time.monotonic()
    assert outbox.close(0.1) == 2
    assert time.monotonic() - began < 3
    assert ledger.states() == ["deferred", "deferred"], "it is on record that nobody knows"


def test_close_breaks_off_a_mail_where_it_is_told_to(ledger, make_outbox, make_mail):
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
    assert outbox.close(0.2, break_off=lambda: time.monotonic() - began > 0.4) == 4
    assert time.monotonic() - began < 1
    release.set()
    wait_for(lambda: ledger.states() == ["sent", "sent", "pending", "pending"])
    assert len(transport.sent) == 1


def test_close_does_not_wait_for_a_check(make_outbox):
    release, entered = threading.Event(), threading.Event()
    transport = Scripted(sent)
    transport.check = lambda: entered.set() or str(release.wait(5))
    outbox = make_outbox(transport)
    outbox.start()
    assert entered.wait(5)
    began = time.monotonic()
    assert outbox.close(0.2) == 0
    assert time.monotonic() - began < 1
    release.set()


def test_a_store_that_is_away_does_not_end_the_thread(ledger, make_outbox, make_mail, monkeypatch, tmp_path):
    monkeypatch.setattr("runner.delivery.outbox._AFTER_TROUBLE_SECONDS", 0.01)
    outbox = make_outbox(MailFolder(tmp_path))
    away = threading.Event()
    real = ledger.due_deliveries

    def due(*asked):
        if not away.is_set():
            away.set()
            raise OSError("database is locked")
        return real(*asked)

    ledger.due_deliveries = due
    ledger.add(make_mail())
    outbox.start()
    wait_for(lambda: ledger.states() == ["sent", "sent"])
    outbox.close(5)


def test_a_disk_that_stays_full_is_told_once(ledger, make_outbox, make_mail, monkeypatch, caplog):
    monkeypatch.setattr("runner.delivery.outbox._AFTER_TROUBLE_SECONDS", 0.01)
    turns = {"due": 0, "record": 0}

    def full(turn):
        turns[turn] += 1
        raise StoreError("the disk is full", hint="Free some space.")

    def told():
        return [record for record in caplog.records if record.levelname == "ERROR"]

    outbox = make_outbox(Scripted(sent))
    ledger.add(make_mail())
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "due_deliveries", lambda *_: full("due"))
        outbox.start()
        wait_for(lambda: turns["due"] > 3)
        patch.setattr(ledger, "record_attempts", lambda *_: full("record"))
        patch.delattr(ledger, "due_deliveries")
        wait_for(lambda: turns["record"] > 3)
    wait_for(lambda: ledger.states() == ["sent", "sent"])
    outbox.close(5)
    first, second = told()
    assert "cannot go on for now: the disk is full Free some space." in first.getMessage()
    assert "cannot be recorded yet: the disk is full Free some space." in second.getMessage()
    assert not any(record.exc_info for record in caplog.records if record.levelname != "DEBUG")


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


@pytest.mark.parametrize("answer", [ambiguous, broken, lambda mail, recipients: {}])
def test_what_may_have_arrived_is_sent_again_or_held_as_the_mail_says(ledger, make_outbox, small_mail, answer):
    ledger.add(small_mail)
    ledger.add(replace(small_mail, message_id="<r2.results@example.com>", hold_ambiguous=True))
    transport = Scripted(answer)
    make_outbox(transport).drain_once()
    assert ledger.states() == ["deferred", "held"]
    error = ledger.rows[2][0].error
    assert "Nobody knows whether it arrived" in error
    assert "`runner mail retry 2`" in error
    assert "`runner mail list`" in error
    assert make_outbox(transport, now=NOON + timedelta(days=1)).drain_once() == 1
    assert [message_id for message_id, _ in transport.sent].count("<r2.results@example.com>") == 1


def test_a_plain_refusal_holds_nothing(ledger, make_outbox, small_mail):
    ledger.add(replace(small_mail, hold_ambiguous=True))
    make_outbox(Scripted(deferred)).drain_once()
    assert ledger.states() == ["deferred"]


def test_only_mails_to_be_held_are_marked_before_they_are_sent(ledger, make_outbox, make_mail, small_mail):
    seen = []

    def answer(mail, recipients):
        seen.append([row[0].began_at for row in ledger.rows.values() if row[1] is mail])
        return sent(mail, recipients)

    ledger.add(small_mail)
    ledger.add(replace(make_mail(), hold_ambiguous=True))
    make_outbox(Scripted(answer)).drain_once()
    assert seen == [[None], [NOON, NOON]]
    assert ledger.begun == [(2, 3)]
    assert ledger.states() == ["sent"] * 3


def test_nothing_is_sent_that_cannot_be_marked(ledger, make_outbox, small_mail):
    transport = Scripted(sent)
    ledger.add(replace(small_mail, hold_ambiguous=True))
    ledger.broken = True
    with pytest.raises(OSError, match="full"):
        make_outbox(transport).drain_once()
    assert transport.sent == []
    assert ledger.states() == ["pending"]


def test_an_attempt_that_a_kill_cut_short_is_held_and_told(ledger, make_outbox, make_mail, small_mail):
    transport = Scripted(sent)
    told = []

    def notice(mail, ended):
        told.extend((one.delivery_id, one.state, one.attempts) for one in ended)
        return replace(small_mail, kind=MailKind.UNDELIVERED, recipients=("owner@example.com",))

    ledger.add(replace(make_mail(), hold_ambiguous=True))
    ledger.change(1, began_at=NOON - timedelta(minutes=1))
    make_outbox(transport, notice=notice).drain_once()
    assert ledger.states() == ["held", "sent", "sent"]
    assert "the service ended before the server had answered" in ledger.rows[1][0].error
    assert [recipients for _, recipients in transport.sent] == [("bert@example.org",), ("owner@example.com",)]
    assert told == [(1, DeliveryState.HELD, 1)]


def test_a_dead_mail_is_told_once_for_all_and_a_dead_notice_is_not(ledger, make_outbox, make_mail, small_mail):
    def notice(mail, ended):
        assert mail.message_id == make_mail().message_id
        assert [(one.state, one.error) for one in ended] == [(DeliveryState.DEAD, "550 no such user")] * 2
        return replace(small_mail, kind=MailKind.UNDELIVERED)

    ledger.add(make_mail())
    make_outbox(Scripted(dead), notice=notice).drain_once()
    kinds = [(row[0].kind.value, row[0].state.value) for row in ledger.rows.values()]
    assert kinds == [("results", "dead")] * 2 + [("undelivered", "dead")]


def test_only_those_for_whom_it_came_to_nothing_are_told_of(ledger, make_outbox, make_mail, caplog):
    told = []
    ledger.add(replace(make_mail(), recipients=("a@x", "b@x", "c@x", "d@x"), hold_ambiguous=True))
    answers = zip("abcd", (sent, dead, deferred, ambiguous), strict=True)
    results = {f"{letter}@x": answer(None, ["one"])["one"] for letter, answer in answers}
    notice = lambda mail, ended: told.append([(one.recipient, one.state.value) for one in ended])  # noqa: E731
    make_outbox(Scripted(lambda mail, to: results), notice=notice).drain_once()
    assert told == [[("b@x", "dead"), ("d@x", "held")]]
    assert "Mail to b@x is dead: 550 no such user" in caplog.text
    assert "Mail to d@x is held: hung up" in caplog.text


def test_a_notice_is_not_lost_with_the_delivery_that_had_it(ledger, make_outbox, make_mail, small_mail):
    def answer(mail, recipients):
        ledger.change(1, state=DeliveryState.SENT)
        return dead(mail, recipients)

    ledger.add(make_mail())
    notice = replace(small_mail, kind=MailKind.UNDELIVERED)
    make_outbox(
        Scripted(lambda mail, to: sent(mail, to) if mail is notice else answer(mail, to)),
        notice=lambda mail, ended: notice,
    ).drain_once()
    assert ledger.states() == ["sent", "dead", "sent"]


def test_two_mails_with_one_message_id_are_both_handed_over(ledger, make_outbox, small_mail, monkeypatch):
    monkeypatch.setattr("runner.delivery.outbox._BATCH_BYTES", 4 * len(small_mail.message))
    transport = Scripted(lambda mail, recipients: handed.append(mail.message) or sent(mail, recipients))
    handed = []
    for letter in (b"a", b"b", b"c"):
        ledger.add(replace(small_mail, message=small_mail.message[:-1] + letter))
    assert make_outbox(transport).drain_once() == 3
    assert [message[-1:] for message in handed] == [b"a", b"b", b"c"]
    assert ledger.limits == [20, 4], "the size of each counts"


def test_a_notice_that_cannot_be_made_stops_nothing(ledger, make_outbox, small_mail, caplog):
    def fail(mail, ended):
        raise ValueError("no")

    for notice in (fail, lambda mail, ended: None):
        ledger.add(small_mail)
        make_outbox(Scripted(dead), notice=notice).drain_once()
    assert ledger.states() == ["dead", "dead"]
    assert "Nobody can be told that the mail 'Job Results: j - t' came to nothing" in caplog.text


def test_what_is_given_up_is_told(ledger, make_outbox, small_mail):
    told = []
    ledger.add(small_mail)
    ledger.change(1, attempts=200)
    now = NOON + timedelta(days=6)
    make_outbox(Scripted(deferred), now=now, notice=lambda mail, ended: told.extend(ended)).drain_once()
    assert [one.error for one in told] == ["given up after 5 days: 451 later"]


def test_a_delivery_that_has_ended_meanwhile_does_not_hold_the_others(ledger, make_outbox, make_mail, caplog):
    def answer(mail, recipients):
        ledger.change(1, state=DeliveryState.DEAD)
        return sent(mail, recipients)

    ledger.add(make_mail())
    assert make_outbox(Scripted(answer)).drain_once() == 1
    assert ledger.states() == ["dead", "sent"]
    assert "has ended or is gone; what became of this attempt: sent" in caplog.text


def test_a_clock_that_jumps_a_year_ahead_ends_no_mail_at_its_next_refusal(ledger, make_outbox, make_mail):
    for run_id in ("one", "two"):
        ledger.add(make_mail(run_id=run_id))
    transport = Scripted(deferred)
    make_outbox(transport).drain_once()
    later = NOON + timedelta(days=365)
    make_outbox(transport, now=later).drain_once()
    assert ledger.states() == ["deferred"] * 4
    assert all(later < row[0].next_attempt_at <= later + timedelta(hours=1) for row in ledger.rows.values())
    make_outbox(Scripted(sent), now=later + timedelta(hours=1)).drain_once()
    assert ledger.states() == ["sent"] * 4


def test_a_clock_that_is_set_back_a_year_keeps_no_mail_waiting(ledger, make_outbox, make_mail):
    for run_id in ("one", "two"):
        ledger.add(make_mail(run_id=run_id))
    make_outbox(Scripted(deferred)).drain_once()
    earlier = NOON - timedelta(days=365)
    transport = Scripted(lambda mail, to: deferred(mail, to) if mail.run_id == "one" else sent(mail, to))
    outbox = make_outbox(transport, now=earlier)
    assert outbox.drain_once() == 4
    assert ledger.states() == ["deferred", "deferred", "sent", "sent"]
    assert outbox.drain_once() == 0
    assert ledger.next_delivery_time() < earlier + timedelta(hours=1)


def test_large_mails_come_in_small_batches(ledger, make_outbox, small_mail, monkeypatch):
    monkeypatch.setattr("runner.delivery.outbox._BATCH_BYTES", 40_000)
    for number in range(25):
        ledger.add(replace(small_mail, message=b"x" * 10_000, message_id=f"<{number}@example.com>"))
    outbox = make_outbox(Scripted(sent))
    assert outbox.drain_once() == 25
    assert ledger.limits[:3] == [20, 4, 4]
    ledger.add(small_mail)
    outbox.drain_once()
    assert ledger.limits[-1] == 20


@pytest.mark.parametrize(
    ("trouble", "level", "words"),
    [
        ("", "INFO", "Checked: mails are scripted"),
        ("no server", "ERROR", "Mails cannot leave: no server. They stay in the database, and are tried again"),
    ],
)
def test_the_thread_tells_first_whether_mails_can_leave(ledger, make_outbox, caplog, trouble, level, words):
    caplog.set_level("INFO", logger="runner")
    outbox = make_outbox(Scripted(sent, trouble=trouble))
    outbox.start()
    wait_for(lambda: caplog.records)
    outbox.close(5)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [(level, words)]


def test_a_check_that_breaks_does_not_end_the_thread(ledger, make_outbox, small_mail, caplog):
    transport = Scripted(sent)
    transport.check = lambda: broken(None, ())
    outbox = make_outbox(transport)
    ledger.add(small_mail)
    outbox.start()
    wait_for(lambda: ledger.states() == ["sent"])
    outbox.close(5)
    assert "Mails cannot leave: internal error: RuntimeError" in caplog.text


def test_a_store_that_is_away_for_good_loses_no_count(ledger, make_outbox, make_mail, monkeypatch):
    def away(*_):
        raise OSError("input/output error")

    ledger.add(make_mail())
    outbox = make_outbox(Scripted(sent))
    monkeypatch.setattr(ledger, "record_attempts", away)
    monkeypatch.setattr(ledger, "delivery_mail", away)
    monkeypatch.setattr(ledger, "open_deliveries", away)
    assert outbox.drain_once() == 0
    assert outbox.close(1) == 2
    monkeypatch.undo()
    assert outbox.close(1) == 2
