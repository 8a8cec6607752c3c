import threading

from runner.service.changes import CatalogChanges
from runner.service.folder import CatalogKeeper
from runner.service.schedule import Scheduler

JOB = """\
job_name: report
schedule_time: "0 * * * *"
data_source: {source_type: file, location: a.csv, file_type: csv}
consumer_emails: [analyst@example.com]
"""


def test_a_job_that_is_written_right_before_it_is_due_runs(settings, store, desk, clock):
    settings.jobs_dir.mkdir()
    now, read = [1000.0], threading.Event()
    keeper = CatalogKeeper(settings, on_hint=lambda: None, on_read=read.set, monotonic=lambda: now[0])
    scheduler = Scheduler(store=store, desk=desk, clock=clock)
    changes = CatalogChanges(keeper=keeper, scheduler=scheduler, desk=desk, store=store, on_change=lambda: None)
    try:
        keeper.begin({})
        keeper.take_in()
        scheduler.start(keeper.catalog)
        clock.pass_(minutes=59, seconds=59)
        (settings.jobs_dir / "report.yaml").write_text(JOB)
        keeper.hint()
        now[0] += 2
        clock.pass_(seconds=2)
        read.clear()
        changes.follow()
        assert read.wait(10)
        changes.follow()
        assert scheduler.tick(clock.now) == 1
    finally:
        keeper.stop()
