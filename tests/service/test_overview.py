from dataclasses import replace

from runner.core.catalog import Catalog, CatalogEntry, SyncState
from runner.core.run import RunState, Trigger
from runner.service.overview import Overview


def test_a_snapshot_is_made_anew_only_when_something_changes(store, desk, clock, make_job, tmp_path):
    job = make_job()
    entry = CatalogEntry(path=job.path, job=job, sync=SyncState.IN_FORCE, digest="d", job_name=job.job_name)
    catalog = Catalog(generation=1, entries=(entry,), jobs={job.job_name: job})
    trouble: list[str] = []
    overview = Overview(
        store=store,
        catalog=lambda: catalog,
        next_fire=lambda _name: clock.now,
        running=frozenset,
        reasons=lambda: tuple(trouble),
        facts=(("sandbox", "none"),),
        runs_dir=tmp_path,
    )
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
