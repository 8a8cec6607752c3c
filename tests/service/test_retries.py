"""Attempts, rows of failures, and what people are told of them."""

from base64 import b64encode
from datetime import timedelta
from pathlib import Path

import pytest

from runner.core.delivery import MailKind
from runner.core.job import AttachmentFormat, DeliveryOptions, Retry
from runner.core.run import FailureKind, RunFailure, RunState, Trigger
from runner.delivery import attachment
from runner.errors import StoreError

BROKEN = RunFailure(kind=FailureKind.SCRIPT, message="KeyError: 'x'")


@pytest.fixture
def begin(desk, store, clock):
    def start(job, trigger=Trigger.SCHEDULE, desk=desk):
        desk.set_jobs({job.job_name: job})
        run = desk.new_run(job, trigger=trigger, scheduled_time=clock.now)
        store.record_fires([run], [])
        desk.begin(run, job)
        return run.run_id

    return start


@pytest.fixture
def mails(store, clock):
    """(kind, recipient) of what was made since the last call."""
    seen = set()

    def new():
        due = store.due_deliveries(clock.now + timedelta(days=1), 100)
        fresh = [(delivery, mail) for delivery, mail in due if delivery.delivery_id not in seen]
        seen.update(delivery.delivery_id for delivery, _ in fresh)
        return [(mail.kind, delivery.recipient) for delivery, mail in fresh]

    return new


class TestRetry:
    job_retry = Retry(limit=2, backoff_seconds=10, max_delay_seconds=15)

    def test_only_the_last_failure_is_mailed_and_every_attempt_is_kept(
        self, begin, desk, executor, store, clock, make_job, mails
    ):
        run_id = begin(make_job(retry=self.job_retry))
        waits = []
        for attempt in (1, 2, 3):
            assert executor.orders[run_id].attempt == attempt
            assert mails() == []
            executor.end(
                run_id, RunState.FAILED, failure=RunFailure(kind=FailureKind.FETCH, message=f"no {attempt}")
            )
            waits.append(desk.open_runs.seconds_to_next())
            if waits[-1] is not None:
                assert store.run(run_id).next_attempt_at is not None
                clock.pass_(seconds=waits[-1])
                desk.pump()
        assert waits == [10, 15, None]
        run = store.run(run_id)
        assert (run.state, run.attempt, run.failure.message) == (RunState.FAILED, 3, "no 3")
        assert [(one.number, one.failure.message) for one in run.attempts] == [(1, "no 1"), (2, "no 2")]
        assert mails() == [(MailKind.FAILURE, "analyst@example.com")]

    def test_an_attempt_that_goes_well_is_a_success(self, begin, desk, executor, store, clock, make_job, mails):
        run_id = begin(make_job(retry=self.job_retry))
        executor.end(run_id, RunState.TIMED_OUT, failure=BROKEN)
        assert store.run(run_id).state is RunState.QUEUED
        clock.pass_(seconds=10)
        desk.pump()
        executor.end(run_id)
        assert (store.run(run_id).state, store.run(run_id).attempt) == (RunState.SUCCEEDED, 2)
        assert mails() == [(MailKind.RESULTS, "analyst@example.com")]

    def test_the_next_attempt_is_of_the_job_as_it_is_then(self, begin, desk, executor, store, clock, make_job):
        run_id = begin(make_job(retry=self.job_retry, digest="old"))
        executor.end(run_id, RunState.FAILED, failure=BROKEN)
        desk.set_jobs({"report": make_job(retry=self.job_retry, digest="mended")})
        clock.pass_(seconds=10)
        desk.pump()
        assert executor.orders[run_id].job.digest == "mended"
        executor.end(run_id)
        assert store.run(run_id).digest == "mended"

    def test_a_wait_goes_on_after_a_restart_and_no_clock_makes_it_longer(
        self, begin, make_desk, executor, store, clock, make_job
    ):
        job = make_job(retry=self.job_retry)
        run_id = begin(job)
        executor.end(run_id, RunState.FAILED, failure=BROKEN)
        clock.pass_(days=-365)
        restarted = make_desk()
        restarted.set_jobs({"report": job})
        (queued,) = store.queued_runs()
        restarted.begin(queued, job)
        assert restarted.open_runs.seconds_to_next() == 15
        clock.pass_(seconds=15)
        restarted.pump()
        assert executor.orders[run_id].attempt == 2

    def test_what_a_person_runs_by_hand_fails_at_once(self, begin, executor, store, make_job, mails):
        run_id = begin(make_job(retry=self.job_retry), Trigger.MANUAL)
        executor.end(run_id, RunState.FAILED, failure=BROKEN)
        assert store.run(run_id).state is RunState.FAILED
        assert mails() == [(MailKind.FAILURE, "analyst@example.com")]

    def test_the_next_attempt_is_of_a_job_that_was_mended_while_the_first_ran(
        self, begin, desk, executor, clock, make_job
    ):
        run_id = begin(make_job(retry=self.job_retry, digest="old"))
        desk.set_jobs({"report": make_job(retry=self.job_retry, digest="mended")})
        executor.end(run_id, RunState.FAILED, failure=BROKEN)
        clock.pass_(seconds=10)
        desk.pump()
        assert executor.orders[run_id].job.digest == "mended"

    @pytest.mark.parametrize("gone", [True, False])
    def test_a_job_that_is_removed_or_suspended_is_not_tried_again(
        self, begin, desk, executor, store, make_job, mails, gone
    ):
        run_id = begin(make_job(retry=self.job_retry))
        desk.set_jobs({} if gone else {"report": make_job(retry=self.job_retry, suspend=True)})
        executor.end(run_id, RunState.FAILED, failure=BROKEN)
        assert store.run(run_id).state is RunState.FAILED
        assert mails() == [(MailKind.FAILURE, "analyst@example.com")]

    @pytest.mark.parametrize("changes", [None, {"suspend": True}])
    def test_a_job_that_goes_while_an_attempt_is_recorded_is_not_tried_again(
        self, begin, make_desk, executor, store, clock, make_job, mails, monkeypatch, changes
    ):
        desk = make_desk(random=lambda: 0.0)
        run_id = begin(make_job(retry=self.job_retry), desk=desk)
        retry_run = store.retry_run

        def go_meanwhile(run, attempt):
            """As the loop does, when it finds that the job was removed or suspended."""
            retry_run(run, attempt)
            desk.set_jobs({} if changes is None else {"report": make_job(retry=self.job_retry, **changes)})
            desk.cancel_queued("report", scheduled_only=changes is not None)

        monkeypatch.setattr(store, "retry_run", go_meanwhile)
        executor.end(run_id, RunState.FAILED, failure=BROKEN)
        assert (store.run(run_id).state, store.run(run_id).attempt) == (RunState.FAILED, 1)
        assert (executor.orders, desk.open_runs.seconds_to_next(), desk.open_runs.count()) == ({}, None, 0)
        assert mails() == [(MailKind.FAILURE, "analyst@example.com")]

    def test_what_a_person_asked_for_is_tried_again_though_its_job_is_suspended_meanwhile(
        self, begin, desk, executor, store, make_job, monkeypatch
    ):
        run_id = begin(make_job(retry=self.job_retry), Trigger.BACKFILL)
        retry_run = store.retry_run

        def suspend_meanwhile(run, attempt):
            retry_run(run, attempt)
            desk.set_jobs({"report": make_job(retry=self.job_retry, suspend=True)})

        monkeypatch.setattr(store, "retry_run", suspend_meanwhile)
        executor.end(run_id, RunState.FAILED, failure=BROKEN)
        assert (store.run(run_id).state, desk.open_runs.seconds_to_next()) == (RunState.QUEUED, 10)

    def test_a_job_that_goes_while_an_attempt_is_recorded_may_meet_a_full_disk(
        self, begin, desk, executor, store, make_job, monkeypatch, caplog
    ):
        run_id = begin(make_job(retry=self.job_retry))
        retry_run = store.retry_run

        def full(run, mails, following):
            raise StoreError("the disk is full")

        def go_meanwhile(run, attempt):
            retry_run(run, attempt)
            desk.set_jobs({})
            monkeypatch.setattr(store, "finish_run", full)

        monkeypatch.setattr(store, "retry_run", go_meanwhile)
        executor.end(run_id, RunState.FAILED, failure=BROKEN)
        assert (store.run(run_id).state, desk.unrecorded_count()) == (RunState.QUEUED, 0)
        assert "it cannot be dropped: the disk is full" in caplog.text
        monkeypatch.undo()
        desk.cancel_queued("report")
        assert store.run(run_id).state is RunState.FAILED

    def test_a_wait_that_is_given_up_ends_as_the_attempt_that_failed_and_is_told(
        self, begin, desk, executor, store, make_job, mails
    ):
        run_id = begin(make_job(retry=self.job_retry))
        executor.end(run_id, RunState.TIMED_OUT, failure=BROKEN)
        desk.cancel_queued("report")
        run = store.run(run_id)
        assert (run.state, run.attempt, run.failure) == (RunState.TIMED_OUT, 1, BROKEN)
        assert run.note == "the job was removed before its next attempt began"
        assert mails() == [(MailKind.FAILURE, "analyst@example.com")]

    def test_a_wait_of_a_job_that_is_suspended_over_a_restart_is_told(
        self, begin, make_desk, executor, store, make_job, mails, take_in
    ):
        run_id = begin(make_job(retry=self.job_retry))
        executor.end(run_id, RunState.FAILED, failure=BROKEN)
        assert (store.run(run_id).state, mails()) == (RunState.QUEUED, [])
        suspended = make_job(retry=self.job_retry, suspend=True)
        take_in(make_desk(), {"report": suspended}).recover()
        run = store.run(run_id)
        assert (run.state, run.failure, run.note) == (
            RunState.FAILED,
            BROKEN,
            "the job was suspended before its next attempt began",
        )
        assert mails() == [(MailKind.FAILURE, "analyst@example.com")]

    def test_a_run_that_fails_while_it_is_cancelled_is_not_tried_again(
        self, begin, desk, executor, store, make_job, monkeypatch
    ):
        run_id = begin(make_job(retry=self.job_retry))
        monkeypatch.setattr(executor, "cancel", lambda _run_id: True)
        desk.cancel(run_id)
        executor.end(run_id, RunState.FAILED, failure=BROKEN)
        assert store.run(run_id).state is RunState.FAILED

    def test_the_folder_is_tidied_before_the_next_attempt_begins_in_it(
        self, begin, make_desk, executor, store, clock, make_job
    ):
        desk = make_desk(random=lambda: 0.0)
        job = make_job(retry=self.job_retry)
        desk.set_jobs({"report": job})
        run = desk.new_run(job, trigger=Trigger.SCHEDULE, scheduled_time=clock.now)
        store.record_fires([run], [])
        desk.begin(run, job)
        begun = executor.submit

        def submit(order):
            future = begun(order)
            (Path(order.run_dir) / "input.csv").write_text("fetched for the second attempt")
            return future

        executor.submit = submit
        executor.end(run.run_id, RunState.FAILED, failure=BROKEN)
        assert executor.orders[run.run_id].attempt == 2
        assert (Path(executor.orders[run.run_id].run_dir) / "input.csv").exists()


class TestRowsOfFailures:
    def test_people_hear_from_the_nth_on_and_of_the_recovery(self, begin, executor, clock, make_job, mails):
        job = make_job(owner="owner@example.com", delivery=DeliveryOptions(notify_after=2))
        told = []
        for state in (RunState.FAILED, RunState.FAILED, RunState.SUCCEEDED, RunState.SUCCEEDED, RunState.FAILED):
            run_id = begin(job)
            executor.end(run_id, **({"state": state, "failure": BROKEN} if state.failed else {}))
            told.append(sorted(mails()))
            clock.pass_(minutes=1)
        failure = [(MailKind.FAILURE, "analyst@example.com"), (MailKind.FAILURE, "owner@example.com")]
        results = (MailKind.RESULTS, "analyst@example.com")
        assert told == [
            [],
            failure,
            [(MailKind.RECOVERY, "owner@example.com"), results],
            [results],
            [],
        ]

    def test_an_owner_who_is_a_consumer_in_other_capitals_gets_each_mail_once(
        self, begin, executor, clock, make_job, mails
    ):
        job = make_job(owner="Analyst@Example.com")
        told = []
        for state in (RunState.FAILED, RunState.SUCCEEDED):
            run_id = begin(job)
            executor.end(run_id, **({"state": state, "failure": BROKEN} if state.failed else {}))
            told.append(mails())
            clock.pass_(minutes=1)
        assert told == [[(MailKind.FAILURE, "analyst@example.com")], [(MailKind.RESULTS, "analyst@example.com")]]

    def test_an_owner_at_a_domain_that_is_alike_hears_of_the_recovery(
        self, begin, executor, clock, make_job, mails
    ):
        job = make_job(consumer_emails=("a@fass.example",), owner="a@faß.example")
        for state in (RunState.FAILED, RunState.SUCCEEDED):
            run_id = begin(job)
            executor.end(run_id, **({"state": state, "failure": BROKEN} if state.failed else {}))
            told = sorted(mails())
            clock.pass_(minutes=1)
        assert told == [(MailKind.RECOVERY, "a@faß.example"), (MailKind.RESULTS, "a@fass.example")]


class TestAttachmentsThatDoNotFit:
    def test_a_result_that_cannot_be_attached_is_a_failure_that_all_are_told(
        self, begin, executor, store, make_job, mails, monkeypatch
    ):
        monkeypatch.setattr(attachment, "ENCODED_LIMIT", 10)
        run_id = begin(make_job(owner="owner@example.com", retry=Retry(limit=5)))
        executor.end(run_id)
        run = store.run(run_id)
        assert (run.state, run.failure.kind) == (RunState.FAILED, FailureKind.ATTACHMENT)
        assert run_id in run.failure.message + run.failure.hint, "it says where the result is kept"
        assert sorted(mails()) == [
            (MailKind.FAILURE, "analyst@example.com"),
            (MailKind.FAILURE, "owner@example.com"),
        ]

    def test_another_form_is_attached_as_it_was_made(self, begin, executor, store, clock, make_job):
        job = make_job(delivery=DeliveryOptions(attachment=AttachmentFormat.PARQUET))
        run_id = begin(job)
        run_dir = Path(executor.orders[run_id].run_dir)
        (run_dir / "result.csv").write_text("a\n1\n")
        (run_dir / "result.parquet").write_bytes(b"PAR1 not really PAR1")
        executor.end(
            run_id,
            rows_in=1,
            rows_out=1,
            result_file="result.csv",
            result_bytes=4,
            attachment_file="result.parquet",
            attachment_bytes=20,
        )
        ((_, mail),) = store.due_deliveries(clock.now, 10)
        assert b'filename="report_2026-03-02.parquet"' in mail.message
        assert b64encode(b"PAR1 not really PAR1") in mail.message
        assert [path.name for path in run_dir.iterdir()] == ["result.csv"]
