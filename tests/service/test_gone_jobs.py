"""What is due, and does not come because its job was removed or suspended: its people are told, once."""

from datetime import timedelta

import pytest

from runner.core.delivery import MailKind
from runner.core.job import ConcurrencyPolicy, Retry
from runner.core.run import FailureKind, RunFailure, RunState, Trigger

TOLD = (MailKind.FAILURE, "analyst@example.com")


@pytest.fixture
def mails(store, clock):
    """(job name, kind, recipient) of all that wait."""

    def made():
        due = store.due_deliveries(clock.now + timedelta(days=1), 100)
        return [(delivery.job_name, mail.kind, delivery.recipient) for delivery, mail in due]

    return made


@pytest.fixture
def queue(desk, store, clock):
    """Record runs of a job and take them in, one for each trigger, an hour apart; gives their identifiers."""

    def put(job, *triggers, desk=desk):
        run_ids = []
        for trigger in triggers:
            run = desk.new_run(job, trigger=trigger, scheduled_time=clock.pass_(hours=1))
            store.record_fires([run], [])
            desk.begin(run, job)
            run_ids.append(run.run_id)
        return run_ids

    return put


@pytest.mark.parametrize(("suspended", "word"), [(True, "suspended"), (False, "removed")])
def test_a_due_run_that_waits_while_its_job_goes_is_told(queue, desk, store, make_job, mails, suspended, word):
    _, waiting = queue(make_job(), Trigger.SCHEDULE, Trigger.SCHEDULE)
    desk.cancel_queued("report", scheduled_only=suspended)
    run = store.run(waiting)
    assert (run.state, run.note) == (RunState.CANCELLED, f"the job was {word} before the run began")
    assert mails() == [("report", *TOLD)]


def test_of_many_that_are_caught_up_one_mail_tells(queue, desk, store, make_job, mails):
    run_ids = queue(make_job(), Trigger.SCHEDULE, *[Trigger.MISSED] * 3, Trigger.MANUAL)
    desk.cancel_queued("report")
    notes = [store.run(run_id).note for run_id in run_ids[1:]]
    plain = "the job was removed before the run began"
    assert notes == [plain, plain, f"{plain}; 2 earlier runs of it that waited too", plain]
    assert mails() == [("report", *TOLD)]


def test_what_people_asked_for_is_not_mailed_nor_what_a_newer_run_replaces(queue, desk, store, make_job, mails):
    job = make_job(concurrency_policy=ConcurrencyPolicy.REPLACE)
    queue(job, Trigger.SCHEDULE, Trigger.SCHEDULE, Trigger.MANUAL)
    newer = desk.new_run(job, trigger=Trigger.SCHEDULE, scheduled_time=store.runs()[0].scheduled_time)
    store.record_fires([newer], [])
    desk.begin_in_place(newer, job)
    assert mails() == []
    desk.open_runs.forget(newer.run_id)
    desk.cancel_queued("report")
    assert mails() == []


def test_those_who_wait_for_what_comes_after_it_are_told_too(queue, desk, store, make_job, mails):
    after = make_job("after", schedule_time=None, after=("report",), consumer_emails=("chief@example.com",))
    desk.set_jobs({"report": make_job(), "after": after})
    queue(make_job(), Trigger.SCHEDULE, Trigger.SCHEDULE)
    desk.set_jobs({"after": after})
    desk.cancel_queued("report")
    assert mails() == [("report", *TOLD), ("after", MailKind.FAILURE, "chief@example.com")]
    (skipped,) = store.runs(job_name="after")
    assert "the job was removed before the run began" in skipped.note


def test_runs_that_were_queued_when_a_service_ended_are_told_by_the_next_one(
    queue, make_desk, store, make_job, mails, take_in
):
    queue(make_job(), Trigger.MISSED, Trigger.MISSED, Trigger.MISSED)
    first = store.running_runs()[0]
    store.mark_queued(first.run_id)
    take_in(make_desk(), {}).recover({"report": make_job()})
    assert {run.state for run in store.runs()} == {RunState.CANCELLED}
    assert mails() == [("report", *TOLD)]


def test_a_run_that_was_lost_with_its_job_is_told_and_not_tried_again(
    queue, make_desk, store, make_job, mails, take_in
):
    job = make_job(retry=Retry(limit=3))
    (run_id,) = queue(job, Trigger.SCHEDULE)
    take_in(make_desk(), {}).recover({"report": job})
    run = store.run(run_id)
    assert run.state is RunState.LOST
    assert run.failure.hint.endswith("its job is not in force any more")
    assert mails() == [("report", *TOLD)]


def test_a_run_that_waited_for_a_retry_when_its_job_went_with_the_service_is_told(
    queue, make_desk, executor, store, make_job, mails, take_in
):
    job = make_job(retry=Retry(limit=3))
    (run_id,) = queue(job, Trigger.SCHEDULE)
    broken = RunFailure(kind=FailureKind.SCRIPT, message="KeyError: 'x'")
    executor.end(run_id, RunState.FAILED, failure=broken)
    take_in(make_desk(), {}).recover({"report": job})
    assert (store.run(run_id).state, store.run(run_id).failure) == (RunState.FAILED, broken)
    assert mails() == [("report", *TOLD)]
