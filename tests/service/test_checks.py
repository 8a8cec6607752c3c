"""What was found of the data: who is told, what is kept, and what is left out where nothing is new."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from runner.core.bookmark import Bookmark
from runner.core.chart import LARGEST_CHART
from runner.core.check import CheckResult
from runner.core.delivery import MailKind
from runner.core.job import DeliveryOptions, Incremental, OnEmpty, Retry
from runner.core.preview import Preview
from runner.core.run import FailureKind, RunFailure, RunState, Trigger

ROWS = Preview(columns=("amount",), numeric=(True,), rows=(("-7",),), total_rows=1, total_columns=1)
HELD = CheckResult(words="id is unique", blocking=True, passed=True)
BROKEN = CheckResult(
    words="amount is at least 0", blocking=True, passed=False, found="1 row is below 0", failed_rows=1, rows=ROWS
)
REFUSED = RunFailure(kind=FailureKind.CHECK, message="1 of 2 checks does not hold")
PNG = b"\x89PNG\r\n\x1a\nand so on"
NOTHING_NEW = "nothing has changed since the run that was delivered last"


@pytest.fixture
def begin(desk, store, clock):
    def start(job, trigger=Trigger.SCHEDULE, jobs=()):
        desk.set_jobs({one.job_name: one for one in (job, *jobs)})
        run = desk.new_run(job, trigger=trigger, scheduled_time=clock.now)
        store.record_fires([run], [])
        desk.begin(run, job)
        return run.run_id

    return start


@pytest.fixture
def end(executor):
    """Ends a run whose step has written its result, and, where given, a chart."""

    def stop(run_id, state=RunState.SUCCEEDED, *, chart=None, **values):
        run_dir = Path(executor.orders[run_id].run_dir)
        (run_dir / "result.csv").write_text("amount\n-7\n")
        (run_dir / "input.csv").write_text("x")
        if chart is not None:
            (run_dir / "chart.png").write_bytes(chart)
            values = {"chart_file": "chart.png", "chart_bytes": len(chart), **values}
        values = {"rows_in": 1, "rows_out": 1, "result_file": "result.csv", "result_bytes": 10, **values}
        executor.end(run_id, state, **values)
        return run_dir

    return stop


@pytest.fixture
def mails(store, clock):
    def all_of_them():
        due = store.due_deliveries(clock.now + timedelta(days=1), 99)
        return sorted((str(mail.kind), delivery.recipient) for delivery, mail in due)

    return all_of_them


def kept(run_dir):
    return sorted(path.name for path in run_dir.iterdir())


class TestBlocking:
    @pytest.mark.parametrize(
        ("owner", "told"), [("owner@example.com", "owner@example.com"), (None, "analyst@example.com")]
    )
    def test_the_owner_alone_is_told_and_the_result_is_kept(self, begin, end, store, make_job, mails, owner, told):
        run_id = begin(make_job(owner=owner, incremental=Incremental(cursor="id", initial_value=0)))
        run_dir = end(run_id, RunState.FAILED, failure=REFUSED, checks=(HELD, BROKEN), bookmark=Bookmark(cursor=9))
        run = store.run(run_id)
        assert (run.state, run.failure, run.checks) == (RunState.FAILED, REFUSED, (HELD, BROKEN))
        assert mails() == [("failure", told)]
        assert kept(run_dir) == ["result.csv"]
        assert run.bookmark is None

    def test_the_mail_has_the_rows_and_says_where_the_result_is(self, begin, end, store, clock, make_job):
        run_dir = end(begin(make_job()), RunState.FAILED, failure=REFUSED, checks=(BROKEN,))
        ((_, mail),) = store.due_deliveries(clock.now, 9)
        assert b"-7" in mail.message
        assert run_dir.name in mail.message.decode().replace("=\r\n", "")

    def test_it_is_tried_again_as_other_failures_are(
        self, begin, end, executor, desk, store, clock, make_job, mails
    ):
        run_id = begin(make_job(retry=Retry(limit=1, backoff_seconds=10)))
        run_dir = end(run_id, RunState.FAILED, failure=REFUSED, checks=(BROKEN,), chart=PNG)
        waiting = store.run(run_id)
        assert (waiting.state, waiting.checks, waiting.chart_file) == (RunState.QUEUED, (), None)
        assert (mails(), kept(run_dir)) == ([], ["result.csv"])
        clock.pass_(seconds=10)
        desk.pump()
        end(run_id, checks=(HELD,))
        assert (store.run(run_id).state, store.run(run_id).checks) == (RunState.SUCCEEDED, (HELD,))
        assert mails() == [("results", "analyst@example.com")]


class TestNotBlocking:
    failed = replace(BROKEN, blocking=False)

    def test_consumers_get_the_result_and_the_owner_the_rows(self, begin, end, store, clock, make_job, mails):
        run_id = begin(make_job(owner="owner@example.com"))
        end(run_id, checks=(HELD, self.failed))
        assert store.run(run_id).state is RunState.SUCCEEDED
        assert mails() == [("checks", "owner@example.com"), ("results", "analyst@example.com")]
        (told,) = [mail for _, mail in store.due_deliveries(clock.now, 9) if mail.kind is MailKind.CHECKS]
        assert told.subject == "Job Checks Failed: report - 2026-03-02 12:00:00"
        assert b"-7" in told.message

    @pytest.mark.parametrize(("owner", "checks"), [(None, (failed,)), ("owner@example.com", (HELD,))])
    def test_nobody_else_is_told(self, begin, end, make_job, mails, owner, checks):
        end(begin(make_job(owner=owner)), checks=checks)
        assert mails() == [("results", "analyst@example.com")]

    def test_an_empty_result_that_is_kept_quiet_hides_nothing(self, begin, end, make_job, mails):
        job = make_job(owner="owner@example.com", delivery=DeliveryOptions(on_empty=OnEmpty.SKIP))
        end(begin(job), checks=(self.failed,), rows_out=0)
        assert mails() == [("checks", "owner@example.com")]

    def test_an_owner_who_reads_of_checks_still_hears_that_the_job_works_again(self, begin, end, make_job, mails):
        job = make_job(owner="owner@example.com")
        end(begin(job), RunState.FAILED, failure=REFUSED, checks=(BROKEN,))
        end(begin(job), checks=(self.failed,))
        assert [kind for kind, recipient in mails() if recipient == "owner@example.com"] == [
            "checks",
            "failure",
            "recovery",
        ]


class TestChart:
    def test_it_is_mailed_and_kept_with_the_result(self, begin, end, store, clock, make_job):
        run_id = begin(make_job())
        run_dir = end(run_id, chart=PNG)
        assert kept(run_dir) == ["chart.png", "result.csv"]
        assert store.run(run_id).chart_file == "chart.png"
        ((_, mail),) = store.due_deliveries(clock.now, 9)
        assert b"image/png" in mail.message

    @pytest.mark.parametrize("content", [b"no picture", PNG + bytes(LARGEST_CHART)])
    def test_what_is_no_picture_is_not_shown(self, begin, end, store, clock, make_job, content):
        run_id = begin(make_job())
        assert kept(end(run_id, chart=content)) == ["result.csv"]
        assert store.run(run_id).state is RunState.SUCCEEDED
        ((_, mail),) = store.due_deliveries(clock.now, 9)
        assert b"image/png" not in mail.message

    @pytest.mark.parametrize("name", ["../chart.png", "/etc/hostname", "missing.png", ""])
    def test_it_lies_in_the_folder_of_the_run(self, begin, end, store, make_job, settings, name):
        settings.runs_dir.mkdir(parents=True, exist_ok=True)
        (settings.runs_dir / "chart.png").write_bytes(PNG)
        run_id = begin(make_job())
        assert kept(end(run_id, chart_file=name)) == ["result.csv"]
        assert store.run(run_id).state is RunState.SUCCEEDED

    def test_a_script_keeps_nothing_under_its_name(self, begin, executor, make_job):
        run_id = begin(make_job())
        run_dir = Path(executor.orders[run_id].run_dir)
        (run_dir / "chart.png").write_bytes(PNG)
        executor.end(run_id)
        assert kept(run_dir) == ["result.csv"]


class TestNothingNew:
    def skip(self, executor, run_id):
        executor.end(run_id, RunState.SKIPPED, note=NOTHING_NEW)

    def test_it_is_on_record_and_nobody_is_told(self, begin, executor, store, make_job, mails):
        run_id = begin(make_job(owner="owner@example.com", retry=Retry(limit=3)))
        self.skip(executor, run_id)
        run = store.run(run_id)
        assert (run.state, run.note, run.deliveries) == (RunState.SKIPPED, NOTHING_NEW, ())
        assert run.started_at is not None
        assert mails() == []

    def test_those_after_it_are_skipped_and_nobody_is_told(self, begin, executor, store, make_job, mails, caplog):
        after = make_job("after", schedule_time=None, after=("report",))
        last = make_job("last", schedule_time=None, after=("after",))
        with caplog.at_level("WARNING", logger="runner"):
            self.skip(executor, begin(make_job(), jobs=(after, last)))
        for name in ("after", "last"):
            (run,) = store.runs(job_name=name)
            assert run.state is RunState.SKIPPED
            assert run.note.startswith("report, which it comes after, was skipped (run ")
            assert run.note.endswith(f"): {NOTHING_NEW}")
        assert mails() == []
        assert caplog.text == "", "nothing has gone wrong"

    def test_rows_of_failures_go_on_across_it(self, begin, executor, store, make_job, mails):
        job = make_job(owner="owner@example.com", delivery=DeliveryOptions(notify_after=2))
        failure = RunFailure(kind=FailureKind.FETCH, message="no answer")
        for state in (RunState.FAILED, RunState.SKIPPED, RunState.FAILED, RunState.SKIPPED):
            run_id = begin(job)
            if state is RunState.SKIPPED:
                self.skip(executor, run_id)
            else:
                executor.end(run_id, state, failure=failure)
        assert mails() == [("failure", "analyst@example.com"), ("failure", "owner@example.com")]
        assert store.failure_streak("report") == 2
        executor.end(begin(job))
        assert ("recovery", "owner@example.com") in mails()
