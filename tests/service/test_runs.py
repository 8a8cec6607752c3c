import gzip
import os
import threading
from dataclasses import replace
from email import message_from_bytes
from pathlib import Path

import pytest

from runner.core.delivery import DeliveryState, MailKind
from runner.core.job import AttachmentFormat, ConcurrencyPolicy, DeliveryOptions, NotifyFailures, OnEmpty, Retry
from runner.core.job_policy import RunBounds
from runner.core.preview import Preview
from runner.core.run import FailureKind, RunFailure, RunState, Trigger
from runner.delivery import attachment
from runner.delivery.attachment import ENCODED_LIMIT, SMALL_FILES
from runner.errors import StoreError
from runner.service import endings, run_folders


@pytest.fixture
def begin(desk, store, clock):
    def start(job, trigger=Trigger.MANUAL):
        run = desk.new_run(job, trigger=trigger, scheduled_time=clock.now)
        store.record_fires([run], [])
        desk.begin(run, job)
        return run.run_id

    return start


@pytest.fixture
def leave_files():
    """Leaves in a run's folder what a script may that was broken off."""

    def leave(run_dir):
        run_dir.mkdir(parents=True, exist_ok=True)
        for name in ("result.csv", "result.xlsx", "chart.png", "input.csv"):
            (run_dir / name).write_text("half of it")
        (run_dir / "scratch").mkdir()
        (run_dir / "scratch" / "large").write_text("x")
        return run_dir

    return leave


def unfinished(desk):
    return tuple(run.run_id for run in desk.open_runs.of_job("report"))


def write_result(executor, run_id, text="a\n1\n"):
    run_dir = Path(executor.orders[run_id].run_dir)
    (run_dir / "result.csv").write_text(text)
    (run_dir / "input.json").write_text("[]")
    (run_dir / "left").mkdir()
    (run_dir / "left" / "behind.txt").write_text("x")
    return run_dir


def test_a_success_is_mailed_to_the_consumers_with_its_result(begin, executor, store, clock, make_job):
    run_id = begin(make_job())
    run_dir = write_result(executor, run_id)
    executor.end(run_id, rows_in=1, rows_out=1, result_file="result.csv", result_bytes=4)
    run = store.run(run_id)
    assert (run.state, run.rows_out) == (RunState.SUCCEEDED, 1)
    ((delivery, mail),) = store.due_deliveries(clock.now, 10)
    assert (delivery.recipient, delivery.state, mail.kind) == (
        "analyst@example.com",
        DeliveryState.PENDING,
        MailKind.RESULTS,
    )
    assert [path.name for path in run_dir.iterdir()] == ["result.csv"], "the rest of the folder is not kept"


@pytest.mark.parametrize("state", [RunState.SUCCEEDED, RunState.FAILED])
@pytest.mark.parametrize("domain", ["example.com", "example.org"])
def test_nobody_is_mailed_to_whom_the_policy_of_today_allows_no_mail(
    begin, executor, store, clock, make_job, domain, state
):
    job = make_job(
        consumer_emails=("ann@example.com", "bob@gone.example"), bounds=RunBounds(recipient_domains=(domain,))
    )
    run_id = begin(job)
    executor.end(run_id, state)
    run = store.run(run_id)
    allowed = ["ann@example.com"] if domain == "example.com" else []
    assert [one.recipient for one in run.deliveries] == allowed
    if state is RunState.SUCCEEDED:
        left_out = [one for one in job.consumer_emails if one not in allowed]
        assert run.note == f"not mailed to {', '.join(left_out)}: recipient_domains of the policy"
    for _, mail in store.due_deliveries(clock.now, 10):
        assert b"bob@gone.example" not in mail.message.split(b"\r\n\r\n")[0]
        assert mail.notify == ("ann@example.com",)


def test_a_failure_is_mailed_to_those_the_job_names(begin, executor, store, clock, make_job):
    job = make_job(owner="owner@example.com", delivery=DeliveryOptions(notify_failures=NotifyFailures.OWNER))
    run_id = begin(job)
    failure = RunFailure(kind=FailureKind.SCRIPT, message="KeyError: 'x'")
    executor.end(run_id, RunState.FAILED, failure=failure)
    assert store.run(run_id).failure == failure
    ((delivery, mail),) = store.due_deliveries(clock.now, 10)
    assert (delivery.recipient, mail.kind) == ("owner@example.com", MailKind.FAILURE)


def test_a_result_that_is_no_plain_file_is_a_failure_that_is_told(begin, executor, store, clock, make_job):
    run_id = begin(make_job())
    run_dir = write_result(executor, run_id)
    (run_dir / "result.csv").unlink()
    (run_dir / "result.csv").symlink_to("/etc/hostname")
    executor.end(run_id, rows_in=1, rows_out=1, result_file="result.csv", result_bytes=4)
    run = store.run(run_id)
    assert (run.state, run.failure.kind) == (RunState.FAILED, FailureKind.RESULT)
    ((_, mail),) = store.due_deliveries(clock.now, 10)
    assert mail.kind is MailKind.FAILURE


def test_an_empty_result_may_be_kept_quiet(begin, executor, store, clock, make_job):
    run_id = begin(make_job(delivery=DeliveryOptions(on_empty=OnEmpty.SKIP)))
    write_result(executor, run_id, "a\n")
    executor.end(run_id, rows_in=3, rows_out=0, result_file="result.csv", result_bytes=2)
    assert store.run(run_id).state is RunState.SUCCEEDED
    assert store.due_deliveries(clock.now, 10) == []


@pytest.mark.parametrize("form", [AttachmentFormat.CSV, AttachmentFormat.CSV_GZ])
@pytest.mark.parametrize(("content", "fits"), [(b"a\n" + b"1\n" * 500_000, True), (os.urandom(1_000_000), False)])
def test_a_result_that_is_too_large_to_read_goes_with_its_mail_where_it_fits_compressed(
    begin, executor, store, clock, make_job, monkeypatch, caplog, form, content, fits
):
    monkeypatch.setattr(run_folders, "LARGEST_READ", 900_000)
    monkeypatch.setattr(attachment, "ENCODED_LIMIT", 500_000)
    run_id = begin(make_job(delivery=DeliveryOptions(attachment=form)))
    (Path(executor.orders[run_id].run_dir) / "result.csv").write_bytes(content)
    executor.end(run_id, rows_in=1, rows_out=500_000, result_file="result.csv", result_bytes=len(content))
    ((_, mail),) = store.due_deliveries(clock.now, 10)
    files = [part for part in message_from_bytes(mail.message).walk() if part.get_filename()]
    if fits:
        assert mail.kind is MailKind.RESULTS
        assert [part.get_filename() for part in files] == ["report_2026-03-02.csv.gz"]
        assert gzip.decompress(files[0].get_payload(decode=True)) == content
        assert b"compressed from 1.0 MB" in mail.message
    else:
        assert (mail.kind, files) == (MailKind.FAILURE, [])
        failure = store.run(run_id).failure
        assert failure.kind is FailureKind.ATTACHMENT
        [said] = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
        assert said == f"Run failed: {failure.message}"


# A letter that is narrow, and takes twelve bytes in a mail.
COSTLY = "\U00010330"


@pytest.mark.long
@pytest.mark.parametrize("letter", ["x", COSTLY])
def test_a_mail_is_no_larger_than_servers_take_however_large_its_preview(
    begin, executor, store, clock, make_job, letter
):
    run_id = begin(make_job(delivery=DeliveryOptions(preview_rows=200)))
    # Alone it fits into a mail; beside the preview only once it is compressed.
    write_result(executor, run_id, "a\n" + "b\n" * 3_640_000)
    rows = ((letter * 200,) * 12,) * 200
    preview = Preview(
        columns=tuple("abcdefghijkl"), numeric=(False,) * 12, rows=rows, total_rows=3_640_000, total_columns=12
    )
    executor.end(
        run_id, rows_in=1, rows_out=3_640_000, result_file="result.csv", result_bytes=7_280_002, preview=preview
    )
    ((_, mail),) = store.due_deliveries(clock.now, 10)
    assert mail.kind is MailKind.RESULTS
    assert len(mail.message) <= ENCODED_LIMIT
    assert b"report_2026-03-02.csv.gz" in mail.message
    assert mail.message.count(b"<tr>") > 200, "the preview is whole"
    assert len(mail.message) + SMALL_FILES <= ENCODED_LIMIT, "there is room beside it for what is not looked at"


@pytest.mark.parametrize("on_empty", [OnEmpty.SEND, OnEmpty.SKIP])
def test_a_result_without_columns_is_delivered_as_any_empty_one(begin, executor, store, clock, make_job, on_empty):
    run_id = begin(make_job(delivery=DeliveryOptions(on_empty=on_empty)))
    write_result(executor, run_id, "")
    note = "The data has no records: the step was not run."
    executor.end(run_id, rows_in=0, rows_out=0, result_file="result.csv", result_bytes=0, note=note)
    assert (store.run(run_id).state, store.run(run_id).note) == (RunState.SUCCEEDED, note)
    mails = store.due_deliveries(clock.now, 10)
    assert len(mails) == (on_empty is OnEmpty.SEND)
    assert all(mail.kind is MailKind.RESULTS and b"The data has no records" in mail.message for _, mail in mails)


def test_reports_that_are_kept_hold_no_result(begin, desk, executor, make_job):
    desk.keep_reports = True
    run_id = begin(make_job())
    executor.end(run_id)
    report = desk.reports[run_id]
    assert (report.run.state, report.run.deliveries != ()) == (RunState.SUCCEEDED, True)
    assert (report.result, report.chart) == (None, None), "there may be thousands of them"
    assert report.kept_at is not None


def test_nobody_is_mailed_when_mailing_is_off(desk, executor, store, clock, make_job):
    run = desk.new_run(make_job(), trigger=Trigger.MANUAL, scheduled_time=clock.now, mailing=False)
    store.record_fires([run], [])
    desk.begin(run, make_job())
    executor.end(run.run_id, RunState.FAILED)
    assert store.run(run.run_id).deliveries == ()


def test_runs_of_one_job_wait_for_each_other_unless_it_allows_overlap(begin, executor, make_job):
    first, second = begin(make_job()), begin(make_job())
    other = begin(make_job("other"))
    assert set(executor.orders) == {first, other}
    executor.end(first)
    assert set(executor.orders) == {second, other}
    free = make_job("free", concurrency_policy=ConcurrencyPolicy.ALLOW)
    assert {begin(free), begin(free)} < set(executor.orders)


@pytest.mark.long
def test_a_run_that_replaces_one_that_waits_has_its_turn(begin, desk, executor, store, clock, make_job):
    """Behind all others each time, it would never begin while more is due than can be done."""
    busy = [begin(make_job(f"busy{number}")) for number in range(100)]
    job = make_job("report", concurrency_policy=ConcurrencyPolicy.REPLACE)
    older = begin(job, Trigger.SCHEDULE)
    begin(make_job("other"))
    newer = desk.new_run(job, trigger=Trigger.SCHEDULE, scheduled_time=clock.now)
    store.record_fires([newer], [])
    desk.begin_in_place(newer, job)
    assert (store.run(older).state, store.run(newer.run_id).state) == (RunState.CANCELLED, RunState.QUEUED)
    executor.end(busy[0])
    assert list(executor.orders)[-1] == newer.run_id


def test_a_stop_hands_back_what_had_not_ended(begin, desk, executor, store, make_job):
    running, waiting = begin(make_job()), begin(make_job())
    desk.hand_back()
    executor.shutdown(grace_seconds=0)
    assert [run.run_id for run in store.queued_runs()] == [running, waiting]
    assert all(run.started_at is None for run in store.queued_runs())
    assert unfinished(desk) == (waiting,), "it never began, so there is nothing to end"


def test_an_end_that_cannot_be_recorded_is_kept_until_it_can(
    begin, desk, executor, store, clock, make_job, monkeypatch
):
    run_id = begin(make_job())
    write_result(executor, run_id)

    def full(run, mails, following):
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "finish_run", full)
        executor.end(run_id, rows_in=1, rows_out=1, result_file="result.csv", result_bytes=4)
        desk.retry_unrecorded()
        assert desk.unrecorded_count() == 1
        clock.pass_(seconds=2)
        assert unfinished(desk) == (run_id,)
        assert store.run(run_id).state is RunState.RUNNING
    desk.retry_unrecorded()
    assert desk.unrecorded_count() == 0
    assert unfinished(desk) == ()
    assert store.run(run_id).state is RunState.SUCCEEDED
    assert len(store.due_deliveries(clock.now, 10)) == 1


def test_an_error_of_ours_at_the_end_is_a_failure_that_is_told(
    begin, executor, store, clock, make_job, monkeypatch
):
    def broken(report, **values):
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(endings, "attach", broken)
    run_id = begin(make_job())
    run_dir = write_result(executor, run_id)
    executor.end(run_id, rows_in=1, rows_out=1, result_file="result.csv", result_bytes=4)
    run = store.run(run_id)
    assert (run.state, run.failure.kind) == (RunState.FAILED, FailureKind.INTERNAL)
    assert [path.name for path in run_dir.iterdir()] == ["result.csv"], "there is no other copy"
    ((_, mail),) = store.due_deliveries(clock.now, 10)
    assert mail.kind is MailKind.FAILURE


def test_a_run_closed_by_another_process_is_let_go(begin, desk, executor, store, clock, make_job):
    run_id = begin(make_job())
    store.finish_run(replace(store.run(run_id), state=RunState.LOST, finished_at=clock.now), ())
    executor.end(run_id)
    assert (desk.unrecorded_count(), unfinished(desk)) == (0, ())


def test_what_the_store_refuses_is_judged_once_and_tried_every_two_seconds(
    begin, desk, executor, store, clock, make_job, monkeypatch
):
    run_ids = [begin(make_job(name)) for name in ("a", "b")]
    calls = []

    def full(run, mails, following):
        calls.append(run.run_id)
        raise StoreError("the disk is full")

    judged = []
    attach = endings.attach
    monkeypatch.setattr(
        endings, "attach", lambda report, **values: judged.append(report) or attach(report, **values)
    )
    with monkeypatch.context() as patch:
        patch.setattr(store, "finish_run", full)
        for run_id in run_ids:
            executor.end(run_id)
        for _ in range(5):
            desk.retry_unrecorded()
        assert len(calls) == 3, "two ends, and one that is tried again"
        clock.pass_(seconds=2)
        desk.retry_unrecorded()
        assert len(calls) == 4
    clock.pass_(seconds=2)
    desk.retry_unrecorded()
    assert {store.run(run_id).state for run_id in run_ids} == {RunState.SUCCEEDED}
    assert len(judged) == 2


def test_a_run_that_was_withdrawn_meanwhile_does_not_begin(begin, desk, executor, store, clock, make_job):
    first, second = begin(make_job()), begin(make_job())
    withdraw(store, second, clock.now)
    executor.end(first)
    assert not desk.prepare(executor.orders[second], threading.Event())
    executor.end(second, RunState.CANCELLED)
    assert (unfinished(desk), store.run(second).state) == ((), RunState.CANCELLED)


def withdraw(store, run_id, at):
    """As the command does that asked for a run, at Ctrl-C."""
    store.finish_run(replace(store.run(run_id), state=RunState.CANCELLED, finished_at=at), ())


def test_a_request_that_is_withdrawn_while_it_is_taken_in_holds_up_no_other(
    desk, executor, store, clock, make_job, take_in
):
    intake = take_in(desk, {"report": make_job()})
    gone, good = (
        desk.new_run(make_job(name), trigger=Trigger.MANUAL, scheduled_time=clock.now)
        for name in ("gone", "report")
    )
    store.add_requests((gone, good))
    take = store.take_requests

    def take_requests():
        taken = take()
        withdraw(store, gone.run_id, clock.now)
        return taken

    store.take_requests = take_requests
    intake.take_requests()
    assert set(executor.orders) == {good.run_id}
    store.take_requests = take
    intake.take_requests()


def test_a_request_that_cannot_be_dropped_now_is_not_lost(desk, store, clock, make_job, take_in, monkeypatch):
    intake = take_in(desk, {})
    run = desk.new_run(make_job(), trigger=Trigger.MANUAL, scheduled_time=clock.now)
    store.add_requests((run,))

    def full(run, mails, following):
        raise StoreError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(store, "finish_run", full)
        with pytest.raises(StoreError, match="full"):
            intake.take_requests()
    intake.take_requests()
    assert store.run(run.run_id).state is RunState.CANCELLED


def test_a_withdrawn_run_does_not_keep_the_queue_of_its_job(begin, desk, store, clock, make_job):
    running, withdrawn, waiting = begin(make_job()), begin(make_job()), begin(make_job())
    withdraw(store, withdrawn, clock.now)
    desk.cancel_queued("report")
    assert unfinished(desk) == (running,)
    assert store.run(waiting).state is RunState.CANCELLED


def test_an_error_of_ours_skips_what_comes_after(begin, desk, executor, store, make_job, monkeypatch):
    monkeypatch.setattr(endings, "attach", lambda report, **values: 1 / 0)
    after = make_job("after", schedule_time=None, after=("report",))
    desk.set_jobs({"report": make_job(), "after": after})
    executor.end(begin(make_job(), Trigger.SCHEDULE))
    assert [run.state for run in store.runs(job_name="after")] == [RunState.SKIPPED]


def test_a_suspended_job_keeps_what_people_asked_for(begin, desk, executor, store, make_job):
    running = begin(make_job())
    asked, due = begin(make_job(), Trigger.BACKFILL), begin(make_job(), Trigger.SCHEDULE)
    desk.cancel_queued("report", scheduled_only=True)
    executor.end(running)
    assert (store.run(asked).state, store.run(due).state) == (RunState.RUNNING, RunState.CANCELLED)


def test_the_queue_of_a_job_can_be_dropped(begin, desk, executor, store, make_job, caplog):
    running, waiting = begin(make_job()), begin(make_job())
    desk.cancel_queued("report")
    dropped = store.run(waiting)
    assert (dropped.state, dropped.note) == (RunState.CANCELLED, "the job was removed before the run began")
    assert f"Run {waiting} does not begin: {dropped.note}" in caplog.text
    assert store.run(running).state is RunState.RUNNING
    executor.end(running)
    assert executor.orders == {}


def left_behind(desk, store, clock, job, trigger=Trigger.SCHEDULE):
    """A run that a service which was killed has left running."""
    run = desk.new_run(job, trigger=trigger, scheduled_time=clock.now)
    store.record_fires([run], [])
    store.mark_running(run.run_id, clock.now)
    return store.run(run.run_id)


def test_lost_runs_tell_the_people_of_their_job(desk, store, clock, make_job):
    lost = left_behind(desk, store, clock, make_job())
    assert desk.recover(lost, make_job()) is None
    assert store.run(lost.run_id).failure.kind is FailureKind.LOST
    ((_, mail),) = store.due_deliveries(clock.now, 10)
    assert mail.subject.startswith("Job Failed: report")


@pytest.mark.parametrize(
    ("in_force", "hint"), [(True, "runner run report"), (False, "its job is not in force any more")]
)
def test_the_hint_of_a_lost_run_names_what_can_be_done(desk, store, clock, make_job, in_force, hint):
    run = left_behind(desk, store, clock, make_job())
    desk.recover(run, make_job() if in_force else None)
    assert store.run(run.run_id).failure.hint.endswith(hint)


@pytest.mark.parametrize("in_force", [True, False])
def test_nothing_that_a_script_has_left_stays_of_a_lost_run(
    desk, settings, store, clock, make_job, leave_files, in_force
):
    lost = left_behind(desk, store, clock, make_job())
    run_dir = leave_files(settings.runs_dir / lost.run_id)
    desk.recover(lost, make_job() if in_force else None)
    assert store.run(lost.run_id).state is RunState.LOST
    assert list(run_dir.iterdir()) == []


def test_nothing_that_a_script_has_left_stays_of_a_run_that_is_handed_back_and_dropped(
    begin, make_desk, desk, executor, store, make_job, leave_files
):
    run_id = begin(make_job())
    run_dir = leave_files(Path(executor.orders[run_id].run_dir))
    desk.hand_back()
    executor.cancel(run_id)
    (queued,) = store.queued_runs()
    assert (queued.run_id, list(run_dir.iterdir())) == (run_id, [])
    # As an earlier version handed it back.
    leave_files(run_dir)
    make_desk().drop(queued, "its job is gone")
    assert list(run_dir.iterdir()) == []


def test_only_a_run_with_a_result_keeps_one(begin, executor, make_job, leave_files):
    run_id = begin(make_job())
    run_dir = leave_files(Path(executor.orders[run_id].run_dir))
    executor.end(run_id, RunState.TIMED_OUT, failure=RunFailure(kind=FailureKind.TIMEOUT, message="too long"))
    assert list(run_dir.iterdir()) == []


def test_lost_runs_of_jobs_that_are_gone_or_that_a_person_watched_tell_nobody(desk, store, clock, make_job):
    gone = left_behind(desk, store, clock, make_job())
    desk.recover(gone, None)
    by_hand = left_behind(desk, store, clock, make_job(retry=Retry(limit=3)), Trigger.MANUAL)
    assert desk.recover(by_hand, make_job(retry=Retry(limit=3))) is None
    assert {store.run(run.run_id).state for run in (gone, by_hand)} == {RunState.LOST}
    assert store.due_deliveries(clock.now, 10) == []


def test_a_lost_run_is_tried_again_where_its_job_says_so(desk, executor, store, clock, make_job):
    job = make_job(retry=Retry(limit=1, backoff_seconds=30))
    desk.set_jobs({"report": job})
    run = left_behind(desk, store, clock, job)
    again = desk.recover(run, job)
    desk.begin(again, job)
    assert (again.attempt, again.state, executor.orders) == (2, RunState.QUEUED, {})
    clock.pass_(seconds=30)
    desk.pump()
    executor.end(run.run_id)
    recorded = store.run(run.run_id)
    assert (recorded.state, recorded.attempt) == (RunState.SUCCEEDED, 2)
    assert [attempt.state for attempt in recorded.attempts] == [RunState.LOST]


def test_a_run_that_is_taken_in_after_its_job_was_changed_is_of_the_job_as_it_is_now(
    desk, executor, make_job, begin
):
    before, now = make_job(owner="before@example.com"), make_job(owner="now@example.com")
    desk.set_jobs({"report": now})
    assert executor.orders[begin(before)].job is now
