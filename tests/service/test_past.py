"""What a run is told of the job's past, and how far the job gets with it."""

import os
import stat
from dataclasses import replace
from datetime import timedelta

import pytest

from runner.core.bookmark import Bookmark, Validator
from runner.core.delivery import DeliveryAttempt, DeliveryState, SendResult
from runner.core.job import Incremental
from runner.core.run import RunState, Trigger
from runner.core.source import DataSource, FileType, OnUnchanged, SourceType
from runner.errors import StoreError
from runner.service import run_starts

LOAD = Incremental(cursor="at", initial_value=0)


@pytest.fixture
def orders(desk, monkeypatch):
    """The orders as they were carried out, in their order."""
    seen = []
    prepare = desk.prepare

    def remember(order, cancelled):
        begun = prepare(order, cancelled)
        seen.append(begun)
        return begun

    monkeypatch.setattr(desk, "prepare", remember)
    return seen


@pytest.fixture
def begin(desk, store, clock):
    def start(job, trigger=Trigger.SCHEDULE, mailing=True, scheduled_time=None):
        desk.set_jobs({job.job_name: job})
        moment = scheduled_time or clock.pass_(hours=1)
        run = desk.new_run(job, trigger=trigger, scheduled_time=moment, mailing=mailing)
        store.record_fires([run], [])
        desk.begin(run, job)
        return run.run_id

    return start


@pytest.fixture
def get(begin, orders, executor, store, clock):
    """A run that sees rows up to a cursor, and whose mail is sent; answers where it had to go on from."""

    def run(job, cursor, sent=True, **how):
        run_id = begin(job, **how)
        executor.end(run_id, rows_in=1, rows_out=1, bookmark=Bookmark(cursor=cursor), **result(executor, run_id))
        if sent:
            done = SendResult(state=DeliveryState.SENT)
            due = store.due_deliveries(clock.now + timedelta(days=1), 99)
            store.record_attempts(
                [DeliveryAttempt(delivery_id=one.delivery_id, result=done, at=clock.now) for one, _ in due]
            )
        return orders[-1].bookmark.cursor

    return run


def result(executor, run_id):
    from pathlib import Path

    (Path(executor.orders[run_id].run_dir) / "result.csv").write_text("a\n1\n")
    return {"result_file": "result.csv", "result_bytes": 4}


def test_each_run_goes_on_where_what_was_delivered_ended(get, make_job):
    job = make_job(incremental=LOAD)
    assert get(job, 10) is None, "the job's initial value"
    assert get(job, 20, sent=False) == 10
    assert get(job, 30, mailing=False) == 10, "the mail of the second is late: its rows are loaded again"


def test_trials_and_the_past_move_nothing_and_what_a_person_has_mailed_does(get, make_job):
    job = make_job(incremental=LOAD)
    get(job, 10)
    assert get(job, 20, trigger=Trigger.MANUAL, mailing=False) == 10
    assert get(job, 30, trigger=Trigger.BACKFILL) == 10
    assert get(job, 40, trigger=Trigger.MANUAL) == 10
    assert get(job, None) == 40
    assert get(job, 50) == 40


def test_git_alone_sets_a_load_back(get, make_job):
    get(make_job(incremental=LOAD), 10)
    anew = make_job(incremental=Incremental(cursor="at", initial_value=-1))
    assert get(anew, None) is None
    assert get(make_job(incremental=LOAD), 20) is None, "the run between them was delivered"
    assert get(make_job("renamed", incremental=LOAD), 20) is None


def test_a_job_that_loads_everything_keeps_nothing(get, store, make_job):
    get(make_job(), 10)
    assert get(make_job(), 20) is None
    assert store.bookmark("report") == Bookmark()


def test_the_state_of_an_api_is_kept_for_a_job_that_skips_what_it_has_seen(
    begin, orders, executor, store, make_job
):
    source = DataSource(
        source_type=SourceType.API,
        location="https://example.com",
        format=FileType.JSON,
        on_unchanged=OnUnchanged.SKIP,
    )
    job = make_job(data_source=source)
    seen = (Validator(source="data", request="r", etag='"1"'),)
    run_id = begin(job)
    executor.end(run_id, rows_out=0, bookmark=Bookmark(validators=seen), **result(executor, run_id))
    (delivery,) = store.run(run_id).deliveries
    done = SendResult(state=DeliveryState.SENT)
    store.record_attempts([DeliveryAttempt(delivery_id=delivery.delivery_id, result=done, at=delivery.created_at)])
    begin(job)
    assert orders[-1].bookmark == Bookmark(validators=seen)
    assert orders[-1].skip_unchanged


def test_a_run_is_about_the_time_since_the_fire_before(begin, orders, executor, clock, make_job):
    job = make_job(schedule_time="30 2 * * *", timezone="Europe/Berlin")
    executor.end(begin(job, scheduled_time=clock.now.replace(month=3, day=30, hour=0, minute=30)))
    assert orders[-1].data_interval_start.isoformat() == "2026-03-29T01:00:00+00:00", "02:30 was left out"
    executor.end(begin(job, Trigger.MANUAL))
    assert orders[-1].data_interval_start.isoformat() == "2026-03-02T01:30:00+00:00"


def test_a_run_after_others_is_about_the_time_since_the_one_before(begin, orders, executor, clock, make_job):
    job = make_job(schedule_time=None, after=("orders",))
    first = clock.now
    for trigger in (Trigger.AFTER, Trigger.MANUAL, Trigger.AFTER):
        executor.end(begin(job, trigger))
    starts = [order.data_interval_start for order in orders]
    assert starts == [None, first + timedelta(hours=1), first + timedelta(hours=1)]


def test_a_past_that_cannot_be_read_is_waited_for(begin, orders, executor, store, make_job, monkeypatch):
    monkeypatch.setattr(run_starts, "_STORE_RETRY_SECONDS", 0.0)
    read, answers = store.bookmark, [StoreError("locked"), StoreError("locked")]

    def locked(job_name):
        if answers:
            raise answers.pop()
        return replace(read(job_name), cursor=5, origin=LOAD.origin)

    monkeypatch.setattr(store, "bookmark", locked)
    run_id = begin(make_job(incremental=LOAD))
    assert orders[-1].bookmark.cursor == 5
    assert store.run(run_id).state is RunState.RUNNING


def test_the_folder_of_runs_is_for_its_owner_only_whatever_the_umask(begin, settings, make_job):
    before = os.umask(0)
    try:
        run_id = begin(make_job())
    finally:
        os.umask(before)
    folder = settings.runs_dir
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / run_id)] == [0o700, 0o700]
