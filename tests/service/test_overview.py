from dataclasses import replace

import pytest

from runner.core.catalog import Catalog, CatalogEntry, SyncState
from runner.core.check import CheckResult
from runner.core.job import DeliveryOptions, Retry
from runner.core.run import FailureKind, RunFailure, RunState, Trigger
from runner.service.overview import Overview


@pytest.fixture
def trouble():
    """What keeps the service from being ready, as a test sets it."""
    return []


@pytest.fixture
def job(make_job):
    return make_job(retry=Retry(limit=1, backoff_seconds=0, max_delay_seconds=0))


@pytest.fixture
def make_overview(store, clock, job, trouble, tmp_path):
    entry = CatalogEntry(path=job.path, job=job, sync=SyncState.IN_FORCE, digest="d", job_name=job.job_name)
    catalog = Catalog(generation=1, entries=(entry,), jobs={job.job_name: job})

    def make():
        return Overview(
            store=store,
            catalog=lambda: catalog,
            next_fire=lambda _name: clock.now,
            running=frozenset,
            reasons=lambda: tuple(trouble),
            facts=(("sandbox", "none"),),
            runs_dir=tmp_path,
            clock=clock,
        )

    return make


@pytest.fixture
def overview(make_overview):
    return make_overview()


def test_a_snapshot_is_made_anew_only_when_something_changes(overview, trouble, desk, clock, job):
    first = overview.snapshot()
    assert overview.snapshot() is first
    assert (first.ready, first.jobs[0].next_fire) == (True, clock.now)

    run = desk.new_run(job, trigger=Trigger.MANUAL, scheduled_time=clock.now)
    overview.finished(replace(run, state=RunState.SUCCEEDED, finished_at=clock.now))
    second = overview.snapshot()
    assert second.version > first.version
    assert second.jobs[0].last_run.run_id == run.run_id
    assert second.finished == (("succeeded", 1),)

    overview.changed()
    assert overview.snapshot().jobs[0] is second.jobs[0], "what did not change stays the same object"

    trouble.append("the disk is full")
    third = overview.snapshot()
    assert (third.ready, third.reasons) == (False, ("the disk is full",))
    assert third.version > second.version


@pytest.mark.parametrize(
    ("limit", "state", "finished"), [(0, "lost", (("lost", 1),)), (1, "queued", ())], ids=["lost", "tried again"]
)
def test_a_run_that_a_crash_cut_off_does_not_stay_running(
    overview, make_desk, store, clock, make_job, limit, state, finished
):
    """Nobody is mailed about it, so that no delivery tells of it either."""
    desk = make_desk(on_change=lambda run: overview.finished(run) if run.state.finished else overview.changed(run))
    job = make_job(retry=Retry(limit=limit), delivery=DeliveryOptions(notify_after=3))
    desk.set_jobs({job.job_name: job})
    run = desk.new_run(job, trigger=Trigger.SCHEDULE, scheduled_time=clock.now)
    store.record_fires([run], [])
    store.mark_running(run.run_id, clock.now)
    overview.changed(store.run(run.run_id))
    assert overview.snapshot().jobs[0].last_run.state == "running"

    desk.recover(run, job)
    snapshot = overview.snapshot()
    assert (snapshot.jobs[0].last_run.state, snapshot.finished) == (state, finished)


def test_the_last_runs_are_held_as_the_store_lists_them(overview, make_desk, executor, store, clock, job):
    desk = make_desk(on_change=overview.changed)
    desk.set_jobs({job.job_name: job})
    run = desk.new_run(job, trigger=Trigger.SCHEDULE, scheduled_time=clock.now)
    store.record_fires([run], [])
    desk.begin(run, job)
    failure = RunFailure(kind=FailureKind.SCRIPT, message="KeyError", traceback="line 9")
    checks = (CheckResult(words="a has no gaps", blocking=True, passed=False),)
    for _ in range(2):
        executor.end(run.run_id, RunState.FAILED, failure=failure, output="x" * 60_000, checks=checks)
        desk.pump()
    (status,) = overview.snapshot().jobs
    assert status.last_run == store.last_runs()["report"]
    assert (status.last_run.attempt, status.last_run.output) == (2, "")
    assert store.run(run.run_id).output


def test_the_last_run_is_not_that_of_a_clock_that_was_ahead(overview, make_overview, desk, store, clock, job):
    def finish(state):
        run = desk.new_run(job, trigger=Trigger.SCHEDULE, scheduled_time=clock.now, state=state)
        store.record_fires([run], [])
        overview.finished(run)
        return run.run_id

    clock.pass_(days=400)
    finish(RunState.SKIPPED)
    clock.pass_(days=-400)
    run_id = finish(RunState.SKIPPED)
    assert overview.snapshot().jobs[0].last_run.run_id == run_id
    assert make_overview().snapshot().jobs[0].last_run.run_id == run_id, "after a restart"
