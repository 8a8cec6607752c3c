"""Jobs that come after others."""

from dataclasses import replace

import pytest

from runner.core.catalog import Catalog
from runner.core.delivery import MailKind
from runner.core.job import ConcurrencyPolicy, DeliveryOptions
from runner.core.run import FailureKind, RunFailure, RunState, Trigger
from runner.service.schedule import Scheduler

BROKEN = RunFailure(kind=FailureKind.SCRIPT, message="KeyError: 'x'")


@pytest.fixture
def jobs(make_job):
    def after(name, *names, **changes):
        return make_job(name, schedule_time=None, after=names, **changes)

    return {
        job.job_name: job
        for job in (
            make_job("orders"),
            make_job("stock"),
            after("margin", "orders", "stock"),
            after("summary", "margin", consumer_emails=("boss@example.com",)),
        )
    }


@pytest.fixture
def begin(desk, store, clock, jobs):
    def start(job_name, *, trigger=Trigger.SCHEDULE, mailing=True, scheduled_time=None):
        desk.set_jobs(jobs)
        run = desk.new_run(
            jobs[job_name], trigger=trigger, scheduled_time=scheduled_time or clock.now, mailing=mailing
        )
        store.record_fires([run], [])
        desk.begin(run, jobs[job_name])
        return run.run_id

    return start


def by_job(store):
    return {run.job_name: (run.trigger, run.state) for run in reversed(store.runs())}


def only(executor, job_name):
    return next(run_id for run_id, order in executor.orders.items() if order.job.job_name == job_name)


def test_a_job_runs_once_when_all_before_it_have_succeeded(begin, executor, store, clock):
    orders, stock = begin("orders"), begin("stock")
    executor.end(orders)
    assert "margin" not in by_job(store)
    executor.end(stock)
    run_id = only(executor, "margin")
    assert executor.orders[run_id].scheduled_time == clock.now
    executor.end(run_id)
    executor.end(only(executor, "summary"))
    assert by_job(store)["summary"] == (Trigger.AFTER, RunState.SUCCEEDED)
    assert len(store.runs()) == 4


def test_runs_of_other_nominal_times_do_not_meet(begin, executor, store, clock):
    executor.end(begin("orders"))
    clock.pass_(hours=1)
    executor.end(begin("stock"))
    assert "margin" not in by_job(store)


def test_a_failure_skips_all_that_come_after_and_tells_their_people(begin, executor, store, clock):
    executor.end(begin("stock"))
    executor.end(begin("orders"), RunState.FAILED, failure=BROKEN)
    assert by_job(store)["margin"] == (Trigger.AFTER, RunState.SKIPPED)
    assert by_job(store)["summary"] == (Trigger.AFTER, RunState.SKIPPED)
    run = next(run for run in store.runs() if run.job_name == "summary")
    assert run.note.startswith("orders, which it comes after, failed")
    told = [
        (mail.kind, delivery.job_name, delivery.recipient)
        for delivery, mail in store.due_deliveries(clock.now, 99)
    ]
    assert (MailKind.FAILURE, "summary", "boss@example.com") in told
    assert (MailKind.FAILURE, "margin", "analyst@example.com") in told


def test_two_failures_are_one_skip(begin, executor, store):
    for name in ("orders", "stock"):
        executor.end(begin(name), RunState.FAILED, failure=BROKEN)
    assert sum(run.job_name == "margin" for run in store.runs()) == 1


def test_what_was_skipped_runs_when_the_failed_run_is_made_good(begin, executor, store, clock):
    at = clock.now
    executor.end(begin("stock"))
    executor.end(begin("orders"), RunState.FAILED, failure=BROKEN)
    clock.pass_(hours=1)
    executor.end(begin("orders", trigger=Trigger.BACKFILL, scheduled_time=at))
    run_id = only(executor, "margin")
    assert (executor.orders[run_id].scheduled_time, store.run(run_id).trigger) == (at, Trigger.BACKFILL)


def test_runs_by_hand_and_without_mail_set_nothing_off(begin, executor, store, jobs):
    jobs["margin"] = replace(jobs["margin"], after=("orders",))
    executor.end(begin("orders", trigger=Trigger.MANUAL))
    executor.end(begin("orders", mailing=False))
    assert "margin" not in by_job(store)
    executor.end(begin("orders"))
    assert "margin" in by_job(store)


def test_a_suspended_job_follows_nothing(begin, executor, store, jobs):
    jobs["margin"] = replace(jobs["margin"], suspend=True)
    for name in ("orders", "stock"):
        executor.end(begin(name))
    assert "margin" not in by_job(store)


def test_overlap_holds_for_what_follows_but_not_for_what_is_caught_up(begin, executor, store, clock, jobs):
    for trigger, expected in ((Trigger.SCHEDULE, RunState.SKIPPED), (Trigger.BACKFILL, RunState.QUEUED)):
        for _ in range(2):
            clock.pass_(hours=1)
            for name in ("orders", "stock"):
                executor.end(begin(name, trigger=trigger))
        states = {run.job_name: run.state for run in reversed(store.runs())}
        assert states["margin"] is expected
        assert states["summary"] is RunState.SKIPPED
    assert jobs["margin"].concurrency_policy is ConcurrencyPolicy.FORBID


def test_those_after_are_told_from_their_own_nth_failure_on(begin, executor, store, clock, jobs):
    jobs["margin"] = replace(jobs["margin"], delivery=DeliveryOptions(notify_after=2))
    told = []
    for _ in range(2):
        executor.end(begin("orders"), RunState.FAILED, failure=BROKEN)
        due = store.due_deliveries(clock.now, 99)
        told.append(sum(delivery.job_name == "margin" for delivery, _ in due))
        clock.pass_(hours=1)
    assert told == [0, 1]


def test_a_fire_that_is_skipped_skips_what_comes_after_in_the_same_transaction(desk, executor, store, clock, jobs):
    scheduler = Scheduler(store=store, desk=desk, clock=clock)
    scheduler.start(Catalog(jobs=jobs))
    scheduler.tick(clock.pass_(hours=1))
    scheduler.tick(clock.pass_(hours=1))
    skipped = {run.job_name: run.note for run in store.runs() if run.state is RunState.SKIPPED}
    assert set(skipped) == {"orders", "stock", "margin", "summary"}
    assert "concurrency_policy: forbid" in skipped["orders"]
    assert "was skipped" in skipped["margin"]
    assert store.due_deliveries(clock.now, 99) == []


def test_a_job_that_is_removed_while_it_is_about_to_follow_leaves_no_run_behind(
    begin, desk, executor, store, jobs, monkeypatch
):
    finish_run = store.finish_run

    def finish_and_remove(run, mails, following=()):
        answer = finish_run(run, mails, following)
        desk.set_jobs({name: job for name, job in jobs.items() if name != "margin"})
        return answer

    executor.end(begin("orders"))
    stock = begin("stock")
    monkeypatch.setattr(store, "finish_run", finish_and_remove)
    executor.end(stock)
    assert by_job(store)["margin"] == (Trigger.AFTER, RunState.CANCELLED)
    assert desk.open_runs.count() == 0
