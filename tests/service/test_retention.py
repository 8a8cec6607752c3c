from dataclasses import replace
from datetime import timedelta

import pytest

from runner.core.delivery import DeliveryAttempt, DeliveryState, SendResult
from runner.core.job import DeliveryOptions
from runner.core.run import FailureKind, RunFailure, RunState, Trigger
from runner.errors import StoreError
from runner.service.retention import PERIOD_SECONDS, Retention


@pytest.fixture
def ended(desk, store, clock, make_job):
    def make():
        run = desk.new_run(make_job(), trigger=Trigger.SCHEDULE, scheduled_time=clock.now, state=RunState.SKIPPED)
        store.record_fires([run], [])
        return run.run_id

    return make


@pytest.fixture
def up():
    """Seconds on the clock that only goes forward, as the test sets them."""
    return [100.0]


@pytest.fixture
def jobs(make_job):
    """Those in force."""
    return {"report": make_job()}


@pytest.fixture
def retention(store, settings, clock, up, jobs):
    return Retention(
        store, settings, clock=clock, jobs=lambda: jobs, monotonic=lambda: up[0], spawn=lambda work: work()
    )


def test_what_is_old_goes_at_the_start_and_then_every_hour(retention, ended, store, clock, up):
    old = ended()
    clock.pass_(days=100)
    ended()
    clock.pass_(hours=23)
    ended()
    up[0] += 100 * 86400 + 23 * 3600
    retention.tidy_if_due()
    assert store.run(old) is None
    assert len(store.runs()) == 2


def test_what_the_database_does_not_need_goes_back_to_the_disk(retention, store, monkeypatch, caplog):
    monkeypatch.setattr(type(store), "compact", lambda _self: 300_000_000)
    with caplog.at_level("INFO"):
        retention.tidy_if_due()
    assert "The database gave 300.0 MB back to the disk" in caplog.text


def test_a_database_that_cannot_give_room_back_is_told_as_that(retention, ended, store, monkeypatch, caplog):
    def busy(_self):
        raise StoreError("runner.db is busy", hint="Try again.")

    monkeypatch.setattr(type(store), "compact", busy)
    ended()
    retention.tidy_if_due()
    [told] = [record for record in caplog.records if "runner.db is busy" in record.getMessage()]
    assert (told.levelname, "cannot be removed" in told.getMessage()) == ("WARNING", False)


def test_a_start_whose_clock_is_ahead_costs_no_history(ended, store, settings, clock, up, jobs):
    """What was missed by that clock is caught up before anything is removed; the service is started again, too."""
    run_id = ended()
    clock.pass_(days=365 * 70)

    def begin():
        return Retention(
            store, settings, clock=clock, jobs=lambda: jobs, monotonic=lambda: up[0], spawn=lambda work: work()
        )

    for _ in range(2):
        ended()
        tidying = begin()
        tidying.tidy_if_due()
        clock.pass_(minutes=20)
        up[0] += 20 * 60
    assert store.run(run_id)
    clock.pass_(days=-365 * 70)
    up[0] += PERIOD_SECONDS
    tidying.tidy_if_due()
    assert store.run(run_id), "the clock was set right"
    begin().tidy_if_due()
    assert store.run(run_id)


def test_what_is_old_goes_an_hour_after_a_long_pause(retention, ended, store, clock, up):
    run_id = ended()
    clock.pass_(days=100)
    ended()
    up[0] += 100 * 86400
    retention.tidy_if_due()
    assert store.run(run_id)
    clock.pass_(hours=1)
    up[0] += PERIOD_SECONDS
    retention.tidy_if_due()
    assert store.run(run_id) is None


def test_a_clock_that_is_a_year_ahead_for_a_while_costs_no_history(retention, ended, store, clock, up):
    run_id = ended()
    ended()
    retention.tidy_if_due()
    clock.pass_(days=365, hours=1)
    up[0] += PERIOD_SECONDS
    retention.tidy_if_due()
    clock.pass_(days=-365, hours=1)
    up[0] += PERIOD_SECONDS
    retention.tidy_if_due()
    assert store.run(run_id)
    clock.pass_(hours=1)
    up[0] += PERIOD_SECONDS
    retention.tidy_if_due()
    assert store.run(run_id)


def test_a_clock_that_stays_where_it_was_set_is_believed(retention, ended, store, clock, up):
    run_id = ended()
    ended()
    for step in (timedelta(days=365), timedelta(), timedelta()):
        clock.now += step + timedelta(seconds=PERIOD_SECONDS)
        up[0] += PERIOD_SECONDS
        retention.tidy_if_due()
    assert store.run(run_id) is None


class TestJobsAfterSeveral:
    """`report` comes after `often` and `slow`; one run of each job is kept."""

    @pytest.fixture
    def jobs(self, make_job):
        report = make_job(schedule_time=None, after=("often", "slow"))
        return {job.job_name: job for job in (report, make_job(job_name="often"), make_job(job_name="slow"))}

    @pytest.fixture
    def settings(self, settings):
        return replace(settings, run_retention_count=1)

    @pytest.fixture
    def due(self, desk, executor, store, clock, jobs):
        """Begin a run that is due now; answers what ends it."""
        desk.set_jobs(jobs)

        def begin(job_name):
            run = desk.new_run(jobs[job_name], trigger=Trigger.SCHEDULE, scheduled_time=clock.now)
            store.record_fires([run], [])
            desk.begin(run, jobs[job_name])
            return lambda: end(run)

        def end(run):
            executor.end(run.run_id, RunState.SUCCEEDED)
            sent = SendResult(state=DeliveryState.SENT)
            store.record_attempts(
                [
                    DeliveryAttempt(delivery_id=mail.delivery_id, result=sent, at=clock.now)
                    for mail, _ in store.due_deliveries(clock.now, 10)
                ]
            )

        return begin

    @pytest.mark.long
    @pytest.mark.parametrize("hours", [3, 70], ids=["a slow run", "a very slow run"])
    def test_a_success_stays_until_the_slower_job_ends(self, due, retention, store, clock, up, hours):
        due("often")()
        end_slow = due("slow")
        for _ in range(hours):
            clock.pass_(hours=1)
            up[0] += PERIOD_SECONDS
            due("often")()
            retention.tidy_if_due()
        end_slow()
        (report,) = store.runs(job_name="report")
        assert report.scheduled_time == clock.now - timedelta(hours=hours)

    @pytest.mark.long
    def test_without_a_slower_run_it_stays_for_a_day(self, due, retention, store, clock, up):
        for _ in range(50):
            due("often")()
            clock.pass_(hours=1)
            up[0] += PERIOD_SECONDS
            retention.tidy_if_due()
        assert len(store.runs(job_name="often", limit=100)) == 24


@pytest.fixture
def pass_quarters(make_desk, executor, store, settings, clock, up):
    """Runs of a job every three months, each with its mails sent and what is old removed before the next; answers
    what was mailed of each, and from when on each was about the data."""

    def run(job, states, *, trigger=Trigger.SCHEDULE, **changes):
        desk = make_desk()
        tidying = Retention(
            store,
            replace(settings, **changes),
            clock=clock,
            jobs=lambda: {job.job_name: job},
            monotonic=lambda: up[0],
            spawn=lambda work: work(),
        )
        for state in states:
            one = desk.new_run(job, trigger=trigger, scheduled_time=clock.now)
            store.record_fires([one], [])
            desk.begin(one, job)
            since = store.time_before(job.job_name, clock.now)
            failed = {"failure": RunFailure(kind=FailureKind.SCRIPT, message="KeyError: 'x'")}
            executor.end(one.run_id, state, **(failed if state.failed else {}))
            sent = SendResult(state=DeliveryState.SENT)
            mails = store.due_deliveries(clock.now, 10)
            store.record_attempts(
                [DeliveryAttempt(delivery_id=due.delivery_id, result=sent, at=clock.now) for due, _ in mails]
            )
            yield [str(mail.kind) for _, mail in mails], since
            clock.pass_(days=92)
            up[0] += 92 * 86400
            tidying.tidy_if_due()

    return run


BAD, GOOD = RunState.FAILED, RunState.SUCCEEDED


@pytest.mark.parametrize("count", [10_000, 1])
def test_the_failures_of_a_job_that_runs_seldom_are_told_and_that_it_works_again(
    pass_quarters, make_job, store, count
):
    job = make_job(owner="owner@example.com", delivery=DeliveryOptions(notify_after=2))
    mailed = [kinds for kinds, _ in pass_quarters(job, [BAD, BAD, BAD, GOOD, BAD], run_retention_count=count)]
    assert mailed == [
        [],
        ["failure", "failure"],
        ["failure", "failure"],
        ["results", "recovery"],
        [],
    ]
    assert len(store.runs()) <= 2, "no more stays than decides about the next run"


def test_a_job_that_runs_seldom_after_others_does_not_load_everything_anew(pass_quarters, make_job, clock):
    job = make_job(schedule_time=None, after=("orders",))
    began = clock.now
    since = [since for _, since in pass_quarters(job, [GOOD, GOOD, GOOD], trigger=Trigger.AFTER)]
    assert since == [None, began, began + timedelta(days=92)]


def test_nothing_stays_of_a_job_that_is_gone(pass_quarters, make_job, store, retention, clock, up):
    for _ in pass_quarters(make_job("gone", after=("orders",), schedule_time=None), [BAD, BAD]):
        pass
    assert len(store.runs()) == 1
    for _ in range(2):
        retention.tidy_if_due()
        clock.pass_(hours=1)
        up[0] += PERIOD_SECONDS
    assert store.runs() == ()
