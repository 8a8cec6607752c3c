from dataclasses import replace
from types import MappingProxyType

import pytest

from runner.core.catalog import Catalog, CatalogChange
from runner.core.job import ConcurrencyPolicy, OnMissed, Retry
from runner.core.run import FailureKind, RunState, Trigger
from runner.errors import StoreError
from runner.service import schedule
from runner.service.schedule import Scheduler


def catalog_of(*jobs):
    return Catalog(jobs=MappingProxyType({job.job_name: job for job in jobs}))


@pytest.fixture
def start(store, desk, clock):
    def begin(*jobs, since=None):
        scheduler = Scheduler(store=store, desk=desk, clock=clock)
        scheduler.start(catalog_of(*jobs), since=since)
        return scheduler

    return begin


def states(store):
    return [run.state for run in store.runs()]


def test_a_due_job_runs_once_at_its_time(start, store, clock, make_job):
    scheduler = start(make_job())
    assert scheduler.next_time() == clock.now.replace(hour=13)
    assert scheduler.tick(clock.pass_(minutes=59, seconds=59)) == 0
    assert scheduler.tick(clock.pass_(seconds=1)) == 1
    assert scheduler.tick(clock.pass_(seconds=1)) == 0
    (run,) = store.runs()
    assert (run.trigger, run.state) == (Trigger.SCHEDULE, RunState.RUNNING)
    assert run.scheduled_time == clock.now.replace(second=0)


def test_what_was_due_in_a_downtime_runs_once(start, executor, store, clock, make_job):
    start(make_job())
    clock.pass_(hours=5, minutes=10)
    scheduler = start(make_job())
    assert scheduler.tick(clock.now) == 1
    (run,) = store.runs()
    assert (run.trigger, run.scheduled_time) == (Trigger.MISSED, clock.now.replace(minute=0))
    assert run.note == "4 earlier fires missed and not run"
    executor.end(run.run_id)
    again = start(make_job())
    assert again.tick(clock.now) == 0


def test_missed_fires_may_be_let_go_with_a_record(start, store, clock, make_job):
    job = make_job(on_missed=OnMissed.SKIP)
    start(job)
    clock.pass_(hours=2, minutes=10)
    assert start(job).tick(clock.now) == 0
    (run,) = store.runs()
    assert run.state is RunState.SKIPPED
    assert "2 fires missed and not run" in run.note


def test_missed_fires_may_all_run_one_after_the_other(start, executor, store, clock, make_job):
    job = make_job(on_missed=OnMissed.RUN_ALL)
    start(job)
    clock.pass_(hours=3, minutes=10)
    assert start(job).tick(clock.now) == 3
    for _ in range(3):
        (run_id,) = executor.orders
        executor.end(run_id)
    assert states(store) == [RunState.SUCCEEDED] * 3
    hours = [run.scheduled_time.hour for run in store.runs()]
    assert sorted(hours) == [13, 14, 15]


def test_a_new_schedule_starts_from_now(start, store, clock, make_job):
    start(make_job())
    clock.pass_(hours=5, minutes=10)
    scheduler = start(make_job(schedule_time="30 * * * *"))
    assert scheduler.tick(clock.now) == 0
    assert scheduler.next_time() == clock.now.replace(minute=30)


def test_a_suspended_job_is_never_due_and_catches_nothing_up(start, store, clock, make_job):
    scheduler = start(make_job())
    suspended = make_job(suspend=True)
    scheduler.apply(catalog_of(suspended), CatalogChange(changed=("report",), suspended=("report",)))
    assert scheduler.next_time() is None
    assert store.cursors() == {}
    clock.pass_(hours=3)
    scheduler.apply(catalog_of(make_job()), CatalogChange(changed=("report",), resumed=("report",)))
    assert scheduler.tick(clock.now) == 0
    assert scheduler.next_fire("report") == clock.now.replace(hour=16)


def test_a_removed_job_is_forgotten(start, store, clock, make_job):
    scheduler = start(make_job(), make_job("other"))
    scheduler.apply(catalog_of(make_job("other")), CatalogChange(removed=("report",)))
    assert list(store.cursors()) == ["other"]
    assert scheduler.tick(clock.pass_(hours=1)) == 1


def test_an_edit_that_leaves_the_schedule_alone_loses_no_fire(start, clock, make_job):
    scheduler = start(make_job())
    clock.pass_(hours=1, seconds=5)
    edited = make_job(description="new words")
    scheduler.apply(catalog_of(edited), CatalogChange(changed=("report",)))
    assert scheduler.tick(clock.now) == 1


def test_what_comes_due_while_a_new_schedule_is_read_runs(start, store, clock, make_job):
    scheduler = start(make_job())
    clock.pass_(hours=1, seconds=0.4)
    edited = make_job(schedule_time="0 9-17 * * *")
    scheduler.apply(catalog_of(edited), CatalogChange(changed=("report",)))
    assert scheduler.tick(clock.now) == 1
    (run,) = store.runs()
    assert (run.trigger, run.scheduled_time) == (Trigger.SCHEDULE, clock.now.replace(microsecond=0))
    assert scheduler.next_fire("report") == clock.now.replace(hour=14, microsecond=0)
    assert scheduler.tick(clock.pass_(seconds=1)) == 0
    assert start(edited).tick(clock.now) == 0, "nor after a restart"


def test_what_comes_due_while_a_new_job_is_read_runs(start, store, clock, make_job):
    scheduler = start()
    clock.pass_(hours=1, seconds=0.4)
    new = catalog_of(make_job(), make_job("later"))
    scheduler.apply(catalog_of(make_job("later")), CatalogChange(added=("later",)), seconds_ago=0.3)
    assert scheduler.tick(clock.now) == 0, "written after the moment it was due"
    scheduler.apply(new, CatalogChange(added=("report",)), seconds_ago=0.5)
    assert scheduler.tick(clock.now) == 1
    (run,) = store.runs()
    assert (run.job_name, run.trigger) == ("report", Trigger.SCHEDULE)
    assert start(*new.jobs.values()).tick(clock.now) == 0, "nor after a restart"


def test_what_comes_due_while_a_service_starts_with_a_new_job_runs(start, store, clock, make_job):
    start(make_job("known"))
    asked = clock.pass_(minutes=59, seconds=59)
    clock.pass_(seconds=3)
    scheduler = start(make_job("known"), make_job(), since=asked)
    assert scheduler.tick(clock.now) == 2


@pytest.mark.parametrize("recorded", [True, False], ids=["on record", "handed over"])
def test_no_moment_is_due_by_the_schedule_of_before_and_the_new_one(
    start, executor, store, clock, make_job, recorded
):
    scheduler = start(make_job(schedule_time="*/30 * * * *"))
    clock.pass_(hours=1, seconds=0.4)
    if recorded:
        scheduler.tick(clock.now)
        executor.end(store.runs()[0].run_id)
    edited = catalog_of(make_job(schedule_time="0 9-17 * * *"))
    scheduler.apply(edited, CatalogChange(changed=("report",)), seconds_ago=0.6)
    scheduler.tick(clock.now)
    assert [run.scheduled_time for run in store.runs()].count(clock.now.replace(microsecond=0)) == 1


def test_what_comes_due_while_it_is_suspended_does_not_run(start, store, clock, make_job):
    scheduler = start(make_job())
    clock.pass_(hours=1, seconds=0.4)
    scheduler.apply(catalog_of(make_job(suspend=True)), CatalogChange(changed=("report",), suspended=("report",)))
    assert (scheduler.tick(clock.now), store.runs()) == (0, ())


def test_an_edit_in_the_minute_it_is_due_plans_a_fire_once(start, store, clock, make_job, caplog):
    caplog.set_level("INFO")
    follower = make_job("summary", schedule_time=None, after=("report",))
    scheduler = start(make_job(), follower)
    clock.pass_(hours=1, seconds=0.4)
    scheduler.hand_over(clock.now)
    scheduler.apply(catalog_of(make_job(description="new"), follower), CatalogChange(changed=("report",)))
    assert scheduler.tick(clock.now) == 1
    assert scheduler.tick(clock.pass_(seconds=1)) == 0
    assert [run.job_name for run in store.runs()] == ["report"]
    assert "on record already" not in caplog.text


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (ConcurrencyPolicy.FORBID, [RunState.SKIPPED, RunState.RUNNING]),
        (ConcurrencyPolicy.ALLOW, [RunState.RUNNING, RunState.RUNNING]),
        (ConcurrencyPolicy.REPLACE, [RunState.RUNNING, RunState.CANCELLED]),
    ],
)
def test_a_fire_while_the_last_run_is_unfinished(start, store, clock, make_job, policy, expected):
    scheduler = start(make_job(concurrency_policy=policy))
    scheduler.tick(clock.pass_(hours=1))
    scheduler.tick(clock.pass_(hours=1))
    assert states(store) == expected
    if policy is ConcurrencyPolicy.FORBID:
        assert "concurrency_policy: forbid" in store.runs()[0].note


def test_replace_drops_a_run_that_waits_for_one_that_is_slow_to_end(
    start, executor, store, clock, make_job, monkeypatch
):
    scheduler = start(make_job(concurrency_policy=ConcurrencyPolicy.REPLACE))
    scheduler.tick(clock.pass_(hours=1))
    (slow,) = executor.orders
    monkeypatch.setattr(executor, "cancel", lambda run_id: run_id == slow)
    scheduler.tick(clock.pass_(hours=1))
    scheduler.tick(clock.pass_(hours=1))
    assert states(store) == [RunState.QUEUED, RunState.CANCELLED, RunState.RUNNING]
    newest, waiting, _ = store.runs()
    assert waiting.note.endswith(f"(concurrency_policy: replace): run {newest.run_id}")
    executor.end(slow, RunState.CANCELLED)
    assert states(store) == [RunState.RUNNING, RunState.CANCELLED, RunState.CANCELLED]


def test_a_run_that_is_dropped_still_says_which_fires_it_stands_for(
    start, executor, store, clock, make_job, monkeypatch
):
    """It is the one record of those that were missed."""
    scheduler = start(make_job(concurrency_policy=ConcurrencyPolicy.REPLACE))
    scheduler.tick(clock.pass_(hours=1))
    (slow,) = executor.orders
    monkeypatch.setattr(executor, "cancel", lambda run_id: run_id == slow)
    scheduler.tick(clock.pass_(hours=3))
    scheduler.tick(clock.pass_(hours=1))
    newest, waiting, _ = store.runs()
    assert waiting.note == (
        "2 earlier fires missed and not run; "
        f"the next fire replaced it before it was finished (concurrency_policy: replace): run {newest.run_id}"
    )


def test_so_does_one_that_is_dropped_between_two_attempts(start, executor, store, clock, make_job):
    policy, again = ConcurrencyPolicy.REPLACE, Retry(limit=1, backoff_seconds=3600, max_delay_seconds=7200)
    scheduler = start(make_job(concurrency_policy=policy, retry=again))
    scheduler.tick(clock.pass_(hours=3))
    executor.end(next(iter(executor.orders)), RunState.FAILED)
    scheduler.tick(clock.pass_(hours=1))
    _, failed = store.runs()
    assert failed.state is RunState.FAILED
    assert failed.note.startswith("2 earlier fires missed and not run; the next fire replaced it")


def test_a_run_that_is_replaced_says_by_which_and_by_what_rule(start, executor, store, clock, make_job):
    scheduler = start(make_job(concurrency_policy=ConcurrencyPolicy.REPLACE))
    scheduler.tick(clock.pass_(hours=1))
    scheduler.tick(clock.pass_(hours=1))
    newer, older = store.runs()
    assert (older.state, older.failure.kind) == (RunState.CANCELLED, FailureKind.CANCELLED)
    assert older.failure.message == (
        f"the next fire replaced it before it was finished (concurrency_policy: replace): run {newer.run_id}"
    )


def test_fires_that_cannot_be_recorded_are_not_lost(start, store, clock, make_job, monkeypatch, caplog):
    scheduler = start(make_job())
    clock.pass_(hours=1)
    record = store.record_fires

    def full(runs, cursors):
        raise StoreError("the disk is full", hint="Free some space.")

    monkeypatch.setattr(store, "record_fires", full)
    assert scheduler.tick(clock.now) == 0
    assert "the disk is full" in scheduler.trouble
    assert [scheduler.tick(clock.pass_(seconds=5)) for _ in range(3)] == [0, 0, 0]
    assert caplog.text.count("the disk is full Free some space.") == 1, "told once, however often it is tried"
    monkeypatch.setattr(store, "record_fires", record)
    assert scheduler.tick(clock.pass_(seconds=5)) == 1
    assert scheduler.trouble == ""
    (run,) = store.runs()
    assert run.scheduled_time == clock.now.replace(minute=0, second=0)


def test_a_trouble_ends_with_the_job_whose_fire_it_kept(start, store, clock, make_job, monkeypatch, caplog):
    scheduler = start(make_job())

    def full(runs, cursors):
        raise StoreError("the disk is full", hint="Free some space.")

    monkeypatch.setattr(store, "record_fires", full)
    scheduler.tick(clock.pass_(hours=1))
    scheduler.apply(catalog_of(), CatalogChange(removed=("report",)))
    scheduler.tick(clock.pass_(seconds=9))
    assert scheduler.trouble == ""
    scheduler.apply(catalog_of(make_job()), CatalogChange(added=("report",)))
    scheduler.tick(clock.pass_(hours=1))
    assert caplog.text.count("the disk is full Free some space.") == 2


def test_a_fire_that_cannot_be_recorded_outlives_a_new_schedule(start, store, clock, make_job, monkeypatch):
    scheduler = start(make_job())
    due = clock.pass_(hours=1)
    edited = make_job(schedule_time="*/10 9-17 * * *")

    def full(runs, cursors):
        raise StoreError("the disk is full", hint="Free some space.")

    with monkeypatch.context() as patch:
        patch.setattr(store, "record_fires", full)
        assert scheduler.tick(clock.now) == 0
        clock.pass_(seconds=9)
        scheduler.apply(catalog_of(edited), CatalogChange(changed=("report",)))
        for _ in range(3):
            assert scheduler.tick(clock.pass_(seconds=9)) == 0
    assert scheduler.tick(clock.pass_(seconds=9)) == 1
    assert [run.scheduled_time for run in store.runs()] == [due]
    assert scheduler.next_fire("report") == due.replace(minute=10)
    assert store.cursors()["report"].time > due, "the new schedule has missed nothing"


def test_one_instant_never_fires_twice_even_for_two_services_in_turn(start, executor, store, clock, make_job):
    scheduler = start(make_job())
    scheduler.tick(clock.pass_(hours=1))
    (run,) = store.runs()
    executor.end(run.run_id)
    store.set_cursors([replace(store.cursors()["report"], time=clock.now.replace(hour=12))])
    # The cursor is behind, as after a restored backup; the fire itself is on record.
    assert start(make_job()).tick(clock.now) == 0
    assert len(store.runs()) == 1


def test_a_clock_that_was_ahead_silences_no_job(start, executor, store, clock, make_job):
    right = clock.now
    clock.pass_(days=3650)
    scheduler = start(make_job())
    scheduler.tick(clock.pass_(hours=1))
    (run_id,) = executor.orders
    executor.end(run_id)
    clock.now = right
    assert scheduler.tick(clock.now) == 0
    assert scheduler.next_fire("report") == right.replace(hour=13), "in the running service"
    clock.now = right
    assert start(make_job()).next_fire("report") == right.replace(hour=13), "and after a restart"


def test_a_clock_set_back_a_little_repeats_nothing(start, executor, store, clock, make_job):
    scheduler = start(make_job())
    scheduler.tick(clock.pass_(hours=1))
    (run_id,) = executor.orders
    executor.end(run_id)
    clock.pass_(minutes=-10)
    assert scheduler.tick(clock.now) == 0
    assert scheduler.tick(clock.pass_(minutes=10)) == 0
    assert len(store.runs()) == 1


def test_a_change_outlives_a_store_that_is_away(start, store, clock, make_job, monkeypatch, caplog):
    scheduler = start(make_job())

    def away(*_):
        raise StoreError("the database is locked")

    with monkeypatch.context() as patch:
        patch.setattr(store, "drop_cursors", away)
        scheduler.apply(catalog_of(make_job("renamed")), CatalogChange(added=("renamed",), removed=("report",)))
        assert scheduler.next_fire("renamed") == clock.now.replace(hour=13)
        assert "locked" in scheduler.trouble
        scheduler.tick(clock.pass_(seconds=5))
        assert caplog.text.count("the database is locked") == 1
    scheduler.tick(clock.now)
    assert (list(store.cursors()), scheduler.trouble) == (["renamed"], "")


def test_a_run_that_cannot_begin_holds_up_no_other(start, desk, executor, store, clock, make_job, monkeypatch):
    scheduler = start(make_job("a"), make_job("b"), make_job("c"))
    submit = executor.submit

    def refuse(order):
        if order.job.job_name == "b":
            raise RuntimeError("can't start new thread")
        return submit(order)

    with monkeypatch.context() as patch:
        patch.setattr(executor, "submit", refuse)
        assert scheduler.tick(clock.pass_(hours=1)) == 3
        assert states(store).count(RunState.RUNNING) == 2
    clock.pass_(seconds=1)
    desk.pump()
    assert {order.job.job_name for order in executor.orders.values()} == {"a", "b", "c"}
    assert states(store) == [RunState.RUNNING] * 3


def test_a_fire_waits_for_a_run_that_a_person_asked_for(start, desk, executor, store, clock, make_job):
    scheduler = start(make_job())
    by_hand = desk.new_run(make_job(), trigger=Trigger.BACKFILL, scheduled_time=clock.now)
    store.record_fires([by_hand], [])
    desk.begin(by_hand, make_job())
    scheduler.tick(clock.pass_(hours=1))
    assert sorted(states(store)) == [RunState.QUEUED, RunState.RUNNING], "what is due is never skipped for it"
    executor.end(by_hand.run_id)
    assert sorted(states(store)) == [RunState.RUNNING, RunState.SUCCEEDED]


def test_thousands_that_are_due_at_once_are_recorded_in_batches(start, store, clock, make_job, monkeypatch):
    monkeypatch.setattr(schedule, "BATCH", 4)
    scheduler = start(*(make_job(f"job{number}") for number in range(10)))
    assert [scheduler.tick(clock.pass_(hours=1))] == [4]
    assert scheduler.next_time() <= clock.now, "the loop comes back at once"
    assert [scheduler.tick(clock.now) for _ in range(3)] == [4, 2, 0]
    assert scheduler.next_time() == clock.now.replace(hour=14)
    assert len({run.job_name for run in store.runs()}) == 10


def test_a_job_that_is_removed_while_its_fire_waits_does_not_run(start, store, clock, make_job, monkeypatch):
    monkeypatch.setattr(schedule, "BATCH", 1)
    scheduler = start(make_job("a"), make_job("b"))
    assert scheduler.tick(clock.pass_(hours=1)) == 1
    (first,) = store.runs()
    (other,) = {"a", "b"} - {first.job_name}
    scheduler.apply(catalog_of(make_job(first.job_name)), CatalogChange(removed=(other,)))
    assert scheduler.tick(clock.now) == 0
    assert store.runs() == (store.runs()[0],)


def test_a_year_ahead_is_one_run_that_says_what_was_missed_and_back_again_repeats_nothing(
    start, executor, store, clock, make_job
):
    scheduler = start(make_job(schedule_time="* * * * *"))
    scheduler.tick(clock.pass_(minutes=1))
    executor.end(next(iter(executor.orders)))
    assert scheduler.tick(clock.pass_(days=365)) == 1
    latest = store.runs()[0]
    assert latest.note == f"{365 * 1440 - 1:,} earlier fires missed and not run"
    executor.end(latest.run_id)
    assert scheduler.tick(clock.pass_(days=-365)) == 0
    assert scheduler.tick(clock.pass_(minutes=1)) == 1
    assert len(store.runs()) == 3


@pytest.mark.parametrize("hours", [1, -1])
def test_an_hour_either_way_doubles_nothing(start, executor, store, clock, make_job, hours):
    scheduler = start(make_job(schedule_time="*/10 * * * *"))

    def pass_and_run(minutes):
        for _ in range(minutes):
            scheduler.tick(clock.pass_(minutes=1))
            for run_id in tuple(executor.orders):
                executor.end(run_id)

    pass_and_run(60)
    clock.pass_(hours=hours)
    pass_and_run(120)
    keys = [(run.job_name, run.scheduled_time) for run in store.runs(limit=1000)]
    assert len(keys) == len(set(keys))
    assert len(keys) == (6 + 12 + 1 if hours == 1 else 6 + 6), "an hour back, what has fired does not fire again"


def test_run_all_is_bounded_and_says_so(start, executor, store, clock, make_job):
    job = make_job(schedule_time="* * * * *", on_missed=OnMissed.RUN_ALL)
    start(job)
    clock.pass_(days=1, seconds=30)
    assert start(job).tick(clock.now) == 100
    notes = {run.note for run in store.runs(limit=200)}
    assert notes == {"1,340 earlier fires missed and not run"}


def test_what_is_caught_up_together_does_not_replace_one_another(start, executor, store, clock, make_job):
    job = make_job(on_missed=OnMissed.RUN_ALL, concurrency_policy=ConcurrencyPolicy.REPLACE)
    start(job)
    clock.pass_(hours=3, minutes=10)
    start(job).tick(clock.now)
    for _ in range(3):
        executor.end(next(iter(executor.orders)))
    assert states(store) == [RunState.SUCCEEDED] * 3


def test_another_zone_is_another_fire(start, executor, store, clock, make_job):
    scheduler = start(make_job(schedule_time="0 14 * * *", timezone="Europe/Berlin"))
    scheduler.tick(clock.pass_(hours=1))
    executor.end(next(iter(executor.orders)))
    moved = make_job(schedule_time="0 14 * * *", timezone="Europe/London")
    scheduler.apply(catalog_of(moved), CatalogChange(changed=("report",)))
    assert scheduler.tick(clock.pass_(hours=1)) == 1


def test_trouble_with_fires_is_not_hidden_by_cursors_that_can_be_written(
    start, store, clock, make_job, monkeypatch
):
    scheduler = start(make_job())

    def full(runs, cursors):
        raise StoreError("the disk is full")

    monkeypatch.setattr(store, "record_fires", full)
    scheduler.tick(clock.pass_(hours=1))
    scheduler.apply(catalog_of(make_job(), make_job("new")), CatalogChange(added=("new",)))
    assert "the disk is full" in scheduler.trouble
