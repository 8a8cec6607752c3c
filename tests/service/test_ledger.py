import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runner.core.delivery import DeliveryAttempt, DeliveryState, Mail, MailKind, SendResult
from runner.core.ledger import SentBy
from runner.core.run import RunState, Trigger
from runner.delivery.folder import MailFolder
from runner.delivery.outbox import Outbox
from runner.errors import RunnerError, UsageError
from runner.service.ledger import Choice, find_entry, hold_deliveries, list_deliveries, retry_deliveries
from runner.service.wiring import make_outbox
from runner.store.store import Store

MESSAGE = (
    b"From: r@example.com\r\nSubject: Job Results\r\nDate: Mon, 02 Mar 2026 12:00:00 +0000\r\n"
    b"Message-ID: <one@example.com>\r\nX-Runner-Job: report\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nS\xc3\xbcd has 1 row.\r\n"
    b'--b\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename="report.csv"\r\n\r\na,b\r\n'
    b"--b--\r\n"
)
PEOPLE = ("a@example.com", "b@example.com", "c@example.com")


@pytest.fixture
def ledger(settings, desk, store, make_job, clock):
    """Three deliveries of one mail: sent, dead and deferred. Nobody has the store open."""
    (settings.project_dir / "jobs.d").mkdir()
    run = desk.new_run(make_job(), trigger=Trigger.MANUAL, scheduled_time=clock.now)
    store.record_fires([run], [])
    store.mark_running(run.run_id, clock.now)
    mail = Mail(
        run_id=run.run_id,
        kind=MailKind.RESULTS,
        message_id="<one@example.com>",
        sender="r@example.com",
        recipients=PEOPLE,
        subject="Job Results",
        message=MESSAGE,
    )
    ended = replace(run, state=RunState.SUCCEEDED, started_at=clock.now, finished_at=clock.now)
    ended, _ = store.finish_run(ended, (mail,))
    ids = tuple(delivery.delivery_id for delivery in ended.deliveries)
    results = (
        SendResult(state=DeliveryState.SENT),
        SendResult(state=DeliveryState.DEAD, error="550 no such user"),
        SendResult(state=DeliveryState.DEFERRED, error="451 later"),
    )
    later = datetime.now(UTC) + timedelta(minutes=30)
    store.record_attempts(
        [
            DeliveryAttempt(
                delivery_id=delivery_id,
                result=result,
                at=clock.now,
                next_attempt_at=later if result.state is DeliveryState.DEFERRED else None,
            )
            for delivery_id, result in zip(ids, results, strict=True)
        ]
    )
    store.close()
    return ids


def states(settings):
    return {
        one.delivery_id: str(one.state) for one in list_deliveries(settings, job_name=None, states=(), limit=9)
    }


def test_the_ledger_is_listed_by_state_and_job(settings, ledger):
    assert [one.delivery_id for one in list_deliveries(settings, job_name="report", states=(), limit=2)] == [
        ledger[2],
        ledger[1],
    ]
    (dead,) = list_deliveries(settings, job_name=None, states=(DeliveryState.DEAD,), limit=9)
    assert (dead.recipient, dead.error) == ("b@example.com", "550 no such user")
    assert list_deliveries(settings, job_name="other", states=(), limit=9) == ()


def test_an_entry_holds_what_the_mail_says(settings, ledger):
    entry = find_entry(settings, ledger[1])
    assert entry.text.strip() == "Süd has 1 row."
    assert [(part.name, part.content_type, part.size) for part in entry.attachments] == [
        ("report.csv", "text/csv", 3)
    ]
    assert entry.mail.message == MESSAGE
    with pytest.raises(UsageError, match="no delivery 99"):
        find_entry(settings, 99)


def test_a_retry_without_a_service_sends_the_same_bytes_at_once(settings, ledger):
    change = retry_deliveries(settings, Choice(delivery_ids=ledger))
    assert change.sent_by is SentBy.COMMAND
    assert [(one.delivery_id, str(one.state)) for one in change.changed] == [
        (ledger[1], "sent"),
        (ledger[2], "sent"),
    ]
    ((left, reason),) = change.left_out
    assert (left.delivery_id, reason) == (ledger[0], "it was sent already")
    (kept,) = settings.mail_dir.iterdir()
    assert kept.read_bytes() == MESSAGE
    # All have it now: the bytes are let go, and there is nothing to show or to send.
    assert find_entry(settings, ledger[1]).text == ""
    assert retry_deliveries(settings, Choice(state=DeliveryState.DEAD)).changed == ()


@pytest.mark.parametrize(("server", "hastens"), [("smtp.example.com", True), ("", False)])
def test_a_start_hastens_what_waits_for_a_server_with_a_server_alone(settings, server, hastens):
    named = replace(settings, smtp=replace(settings.smtp, host=server))
    with Store.open(settings.storage_path) as store:
        outbox = make_outbox(named, store, MailFolder(settings.mail_dir), jobs=dict, bounds=lambda: None)
    assert outbox._hastening is hastens


def test_all_of_one_state_may_be_meant(settings, ledger):
    assert retry_deliveries(settings, Choice(state=DeliveryState.DEAD, job_name="other")).changed == ()
    change = retry_deliveries(settings, Choice(state=DeliveryState.DEAD))
    assert [one.recipient for one in change.changed] == ["b@example.com"]
    assert states(settings) == dict(zip(ledger, ("sent", "sent", "deferred"), strict=True))


def test_held_mails_wait_for_a_retry(settings, ledger):
    change = hold_deliveries(settings, Choice(delivery_ids=ledger))
    (held,) = list_deliveries(settings, job_name=None, states=(DeliveryState.HELD,), limit=9)
    assert change.changed == (held,)
    assert held.delivery_id == ledger[2]
    today = datetime.now(UTC).strftime("%Y-%m-")
    assert held.error.startswith(f"held by hand since {today}")
    assert held.error.endswith(" UTC; the last answer: 451 later")
    assert [reason for _, reason in change.left_out] == [
        "it was sent already",
        "it was given up and is not sent again unasked",
    ]
    again = hold_deliveries(settings, Choice(delivery_ids=ledger[2:]))
    assert again.left_out[0][1] == "it is held already"
    change = retry_deliveries(settings, Choice(state=DeliveryState.HELD))
    assert [str(one.state) for one in change.changed] == ["sent"]


def test_no_retry_sends_to_whom_the_policy_of_now_allows_no_mail(settings, ledger):
    jobs_dir = settings.project_dir / "jobs.d"
    # The job of the mail is gone, and another one is invalid: the policy holds all the same.
    (jobs_dir / "other.yaml").write_text("job_name: other\n")
    (jobs_dir / "_policy.yaml").write_text("recipient_domains: [example.org]\n")
    (one,) = retry_deliveries(settings, Choice(delivery_ids=(ledger[1],))).changed
    assert (one.state, settings.mail_dir.exists()) == (DeliveryState.DEAD, False)
    assert one.error.startswith("not sent, as the policy allows no mail to b@example.com")
    (jobs_dir / "_policy.yaml").write_text("recipient_domains: [example.com]\n")
    (one,) = retry_deliveries(settings, Choice(delivery_ids=(ledger[1],))).changed
    assert one.state is DeliveryState.SENT


def test_no_retry_sends_anything_where_the_policy_cannot_be_told(settings, ledger):
    before = states(settings)
    jobs_dir = settings.project_dir / "jobs.d"
    (jobs_dir / "other.yaml").write_text("job_name: other\n")
    (jobs_dir / "_policy.yaml").write_text("recipient_domains: [example.org\n")
    with pytest.raises(RunnerError, match=r"nothing is sent: _policy\.yaml"):
        retry_deliveries(settings, Choice(delivery_ids=(ledger[1],)))
    assert (states(settings), settings.mail_dir.exists()) == (before, False)


def test_an_unknown_id_changes_nothing(settings, ledger):
    with pytest.raises(UsageError, match="no deliveries 98, 99"):
        retry_deliveries(settings, Choice(delivery_ids=(ledger[1], 98, 99)))
    with pytest.raises(UsageError, match="no delivery 99"):
        hold_deliveries(settings, Choice(delivery_ids=(ledger[2], 99)))
    assert states(settings) == dict(zip(ledger, ("sent", "dead", "deferred"), strict=True))


def test_beside_a_service_the_service_sends(settings, ledger):
    with Store.open(settings.storage_path) as service:
        outbox = Outbox(
            service, MailFolder(settings.mail_dir), clock=lambda: datetime.now(UTC), random=lambda: 0.5
        )
        waker = threading.Timer(0.3, outbox.start)
        waker.start()
        try:
            change = retry_deliveries(settings, Choice(delivery_ids=(ledger[1],)))
        finally:
            waker.join()
            outbox.close(5)
    assert change.sent_by is SentBy.SERVICE
    assert [str(one.state) for one in change.changed] == ["sent"]
    assert len(list(settings.mail_dir.iterdir())) == 1


def test_beside_another_command_it_is_left_to_the_next(settings, ledger):
    with Store.open(settings.storage_path, beside_service=True):
        change = retry_deliveries(settings, Choice(delivery_ids=(ledger[1],)))
    assert change.sent_by is SentBy.NOBODY
    assert [str(one.state) for one in change.changed] == ["pending"]
