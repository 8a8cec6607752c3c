"""The ledger of deliveries: attempts under way, notices, held and retried ones, and who reads it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from runner.core.delivery import DeliveryAttempt, DeliveryState, MailKind, SendResult
from runner.core.run import RunState
from runner.errors import StoreError
from runner.store import Store, ledger, service_running

RESULTS = {
    DeliveryState.SENT: SendResult(state=DeliveryState.SENT),
    DeliveryState.DEFERRED: SendResult(state=DeliveryState.DEFERRED, error="451 later", ambiguous=True),
    DeliveryState.DEAD: SendResult(state=DeliveryState.DEAD, error="550 no"),
    DeliveryState.HELD: SendResult(state=DeliveryState.HELD, error="no answer", ambiguous=True),
}


def attempt(delivery, state, at, notice=None):
    later = at + timedelta(minutes=5) if state is DeliveryState.DEFERRED else None
    return DeliveryAttempt(
        delivery_id=delivery.delivery_id, result=RESULTS[state], at=at, next_attempt_at=later, notice=notice
    )


@pytest.fixture
def deliver(store, make_run, make_mail, noon):
    """The deliveries of a finished run with one mail."""

    def make(number, *recipients, job_name="daily_report", hold_ambiguous=False):
        run = make_run(number, job_name=job_name)
        store.record_fires([run], [])
        mail = replace(make_mail(run, *recipients), hold_ambiguous=hold_ambiguous)
        return store.finish_run(replace(run, state=RunState.SUCCEEDED, finished_at=noon), [mail])[0].deliveries

    return make


class TestRecording:
    def test_many_at_once_answers_them_as_they_are_now(self, store, deliver, noon):
        made = deliver(1, "a@example.com", "b@example.com", "c@example.com", "d@example.com")
        attempts = [attempt(one, state, noon) for one, state in zip(made, RESULTS, strict=True)]
        now = store.record_attempts(attempts)
        assert [one.state for one in now] == list(RESULTS)
        assert now == store.run("run00001").deliveries
        assert now[1].next_attempt_at == noon + timedelta(minutes=5)
        assert (store.open_deliveries(), store.next_delivery_time()) == (1, noon + timedelta(minutes=5))

    def test_a_mail_that_was_kept_as_a_file_is_known_as_that(self, store, deliver, noon):
        kept, sent = deliver(1, "ann@example.com", "bob@example.com")
        result = SendResult(state=DeliveryState.SENT, kept_as="/data/mail/a.eml")
        store.record_attempts([DeliveryAttempt(delivery_id=kept.delivery_id, result=result, at=noon)])
        store.record_attempts([attempt(sent, DeliveryState.SENT, noon)])
        known = store.run(kept.run_id).deliveries
        assert [(one.state, one.word) for one in known] == [("sent", "kept"), ("sent", "sent")]

    def test_a_notice_goes_out_with_the_end_it_tells_of(self, store, deliver, make_mail, make_run, noon):
        (one,) = deliver(1)
        notice = make_mail(make_run(1), "owner@example.com", kind=MailKind.UNDELIVERED)
        (dead,) = store.record_attempts([attempt(one, DeliveryState.DEAD, noon, notice)])
        ((told, mail),) = store.due_deliveries(noon, 10)
        assert (told.recipient, told.kind, told.run_id, mail) == (
            "owner@example.com",
            MailKind.UNDELIVERED,
            "run00001",
            notice,
        )
        with pytest.raises(StoreError, match="is not open"):
            store.record_attempts([attempt(dead, DeliveryState.DEAD, noon, notice)])
        assert store.open_deliveries() == 1

    def test_one_that_is_not_open_undoes_all(self, store, deliver, noon):
        sent, other = deliver(1, "a@example.com", "b@example.com")
        store.record_attempts([attempt(sent, DeliveryState.SENT, noon)])
        before = store.run("run00001")
        unknown = replace(other, delivery_id=999)
        for wrong in (sent, unknown):
            with pytest.raises(StoreError, match=f"Delivery {wrong.delivery_id} is not open"):
                store.record_attempts([attempt(one, DeliveryState.SENT, noon) for one in (other, wrong)])
            with pytest.raises(StoreError, match="is not open"):
                store.begin_attempt([other.delivery_id, wrong.delivery_id], noon)
        assert store.run("run00001") == before

    def test_nothing_to_record(self, store):
        assert store.record_attempts([]) == ()


class TestInterrupted:
    def test_what_was_under_way_is_known_at_the_next_start(self, store, deliver, noon):
        begun, done, waiting = deliver(1, "a@example.com", "b@example.com", "c@example.com", hold_ambiguous=True)
        store.begin_attempt([begun.delivery_id, done.delivery_id], noon)
        store.record_attempts([attempt(done, DeliveryState.DEFERRED, noon)])
        due = {delivery.recipient: (delivery.began_at, mail) for delivery, mail in store.due_deliveries(noon, 10)}
        assert {recipient: began for recipient, (began, _) in due.items()} == {
            "a@example.com": noon,
            "c@example.com": None,
        }
        assert due["c@example.com"][1].hold_ambiguous
        assert waiting.began_at is None


class TestDue:
    def test_a_clock_that_was_a_year_ahead_puts_nothing_off_for_a_year(self, store, deliver, noon):
        near, far = deliver(1, "a@example.com", "b@example.com")
        later = {near: timedelta(minutes=90), far: timedelta(days=365)}
        store.record_attempts(
            [
                replace(attempt(one, DeliveryState.DEFERRED, noon), next_attempt_at=noon + wait)
                for one, wait in later.items()
            ]
        )
        assert [one.recipient for one, _ in store.due_deliveries(noon, 10)] == ["b@example.com"]

    def test_a_mail_comes_with_all_its_recipients_as_far_as_a_server_takes_them(self, store, deliver, noon):
        deliver(1, "a@example.com")
        deliver(2, *(f"{number}@example.com" for number in range(130)))
        due = store.due_deliveries(noon, 3)
        assert [one.recipient for one, _ in due] == ["a@example.com", *(f"{n}@example.com" for n in range(100))]
        assert len({id(mail) for _, mail in due}) == 2
        assert len(store.due_deliveries(noon, 1)) == 1

    def test_mails_are_read_up_to_a_bound_of_bytes_and_one_at_least(self, store, deliver, noon, monkeypatch):
        for number in range(3):
            deliver(number + 1, "a@example.com", "b@example.com")
        size = len(store.due_deliveries(noon, 1)[0][1].message)
        monkeypatch.setattr(ledger, "MOST_BYTES", 2 * size)
        assert len(store.due_deliveries(noon, 10)) == 4, "two mails of two recipients each"
        monkeypatch.setattr(ledger, "MOST_BYTES", 0)
        assert len(store.due_deliveries(noon, 10)) == 2


class TestByHand:
    def test_what_is_not_sent_can_be_sent_again(self, store, deliver, noon):
        made = deliver(1, "a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com")
        store.record_attempts([attempt(one, state, noon) for one, state in zip(made, RESULTS, strict=False)])
        at = noon + timedelta(hours=1)
        again = store.retry_deliveries([*(one.delivery_id for one in made), 999, made[1].delivery_id], at)
        assert [one.recipient[0] for one in again] == ["b", "c", "d", "e"]
        assert {(one.state, one.next_attempt_at, one.error) for one in again} == {(DeliveryState.PENDING, at, "")}
        assert [one.attempts for one in again] == [1, 1, 1, 0], "those that were made stay on record"
        assert {one.created_at for one in again} == {at}, "the time until it is given up begins anew"
        assert len(store.due_deliveries(at, 10)) == 4

    def test_what_is_deferred_is_hastened(self, store, deliver, noon):
        made = deliver(1, *(f"{letter}@example.com" for letter in "abcde"))
        attempts = [attempt(one, state, noon) for one, state in zip(made, RESULTS, strict=False)]
        store.record_attempts(attempts)
        at = noon + timedelta(minutes=1)
        assert store.hasten_deliveries(at) == 1
        assert store.hasten_deliveries(at) == 0
        assert store.hasten_deliveries(noon + timedelta(minutes=2)) == 0, "nothing is put off"
        now = store.run("run00001").deliveries
        assert [str(one.state) for one in now] == ["sent", "deferred", "dead", "held", "pending"]
        assert (now[1].next_attempt_at, now[1].attempts, now[1].error) == (at, 1, "451 later")
        assert now[4].next_attempt_at == made[4].next_attempt_at

    def test_a_mail_that_all_have_got_is_gone(self, store, deliver, noon):
        (one,) = deliver(1)
        assert store.delivery_mail(one.delivery_id)[1].message.startswith(b"Subject")
        (sent,) = store.record_attempts([attempt(one, DeliveryState.SENT, noon)])
        delivery, mail = store.delivery_mail(one.delivery_id)
        assert (delivery, mail.message, mail.recipients) == (sent, b"", ("ann@example.com",))
        assert store.retry_deliveries([one.delivery_id], noon) == ()
        assert store.delivery_mail(999) is None

    def test_held_by_another_process_while_the_service_has_it_in_hand(self, store, path, deliver, noon):
        one, two, three = deliver(1, "a@example.com", "b@example.com", "c@example.com")
        assert len(store.due_deliveries(noon, 10)) == 3
        with Store.open(path, beside_service=True) as person:
            held = person.hold_deliveries([one.delivery_id, two.delivery_id, three.delivery_id], noon)
            by_hand = "held by hand since 2025-11-09 12:00 UTC"
            assert {(one.state, one.error) for one in held} == {(DeliveryState.HELD, by_hand)}
        now = store.record_attempts(
            [
                attempt(one, DeliveryState.SENT, noon),
                attempt(two, DeliveryState.DEFERRED, noon),
                attempt(three, DeliveryState.DEAD, noon),
            ]
        )
        assert [(d.state, d.attempts, d.next_attempt_at) for d in now] == [
            (DeliveryState.SENT, 1, None),
            (DeliveryState.HELD, 1, None),
            (DeliveryState.DEAD, 1, None),
        ]
        assert [one.error for one in now] == ["", f"{by_hand}; the last answer: 451 later", "550 no"]
        assert store.due_deliveries(noon + timedelta(days=9), 10) == []
        with Store.open(path, beside_service=True) as person:
            assert person.hold_deliveries([one.delivery_id, three.delivery_id, 999], noon) == ()
            assert len(person.retry_deliveries([two.delivery_id], noon)) == 1
        assert [delivery.recipient for delivery, _ in store.due_deliveries(noon, 10)] == ["b@example.com"]

    def test_the_hold_stays_before_an_end_without_an_answer(self, store, deliver, noon):
        (one,) = deliver(1)
        store.hold_deliveries([one.delivery_id], noon)
        (now,) = store.record_attempts([attempt(one, DeliveryState.HELD, noon)])
        assert now.error == "held by hand since 2025-11-09 12:00 UTC; the last answer: no answer"

    def test_the_last_answer_stays_behind_the_hold(self, store, deliver, noon):
        (one,) = deliver(1)
        store.record_attempts([attempt(one, DeliveryState.DEFERRED, noon)])
        (held,) = store.hold_deliveries([one.delivery_id], noon + timedelta(hours=1, microseconds=5))
        assert held.error == "held by hand since 2025-11-09 13:00 UTC; the last answer: 451 later"
        assert (held.attempts, store.run("run00001").deliveries) == (1, (held,))


def test_who_is_told_of_a_mail_is_kept_with_it(store, make_run, make_mail, noon):
    run = make_run(1)
    store.record_fires([run], [])
    people = ("olga@example.com", "jürgen, the second@example.com")
    mail = replace(make_mail(run), notify=people)
    store.finish_run(replace(run, state=RunState.SUCCEEDED, finished_at=noon), [mail])
    ((_, kept),) = store.due_deliveries(noon, 1)
    assert kept == mail


def test_the_ledger_is_read_beside_the_service(store, path, deliver, noon):
    first = deliver(1, "a@example.com", "b@example.com", "c@example.com", "d@example.com")
    deliver(2, "e@example.com", job_name="other")
    store.record_attempts([attempt(one, state, noon) for one, state in zip(first, RESULTS, strict=True)])
    state = DeliveryState
    with Store.open_reader(path) as reader:

        def letters(*arguments, **options):
            return "".join(one.recipient[0] for one in reader.deliveries(*arguments, **options))

        assert letters() == "edcba"
        assert letters(limit=2) == "ed"
        assert letters("other") == "e"
        assert letters(states=[state.SENT, state.DEAD]) == "ca"
        assert letters(states=[state.HELD]) == "d"
        assert letters(states={state.PENDING}) == "e"
        assert letters("daily_report", [state.DEFERRED, state.PENDING, state.HELD]) == "db"
        assert letters("never") == ""
        assert reader.deliveries()[-1] == store.run("run00001").deliveries[0]
        assert reader.delivery_mail(first[1].delivery_id)[1].message.startswith(b"Subject")


def test_whether_a_service_is_there(path):
    assert not service_running(path)
    with Store.open(path):
        assert service_running(path)
    assert not service_running(path)
    with Store.open(path, beside_service=True):
        assert not service_running(path), "a single run is no service"
