import shutil
import threading

import pytest

from runner.core.catalog import SyncState
from runner.jobfiles.watch import INTERVAL_SECONDS
from runner.service.folder import CatalogKeeper

JOB = """\
job_name: report
schedule_time: "0 9 * * *"
data_source: {source_type: file, location: a.csv, file_type: csv}
consumer_emails: [analyst@example.com]
"""


@pytest.fixture
def keeper(settings):
    settings.jobs_dir.mkdir()
    (settings.jobs_dir / "report.yaml").write_text(JOB)
    made = CatalogKeeper(settings, on_hint=lambda: None)
    made.start({})
    yield made
    made.stop()


def test_a_folder_that_vanishes_keeps_every_job(keeper, settings, caplog):
    shutil.move(settings.jobs_dir, settings.project_dir / "away")
    assert not keeper.rescan()
    assert "is gone" in keeper.trouble
    assert "report" in keeper.catalog.jobs
    shutil.move(settings.project_dir / "away", settings.jobs_dir)
    assert not keeper.rescan()
    assert not keeper.trouble


def test_a_deletion_is_seen_twice(keeper, settings):
    (settings.jobs_dir / "report.yaml").unlink()
    assert not keeper.rescan()
    assert [entry.sync for entry in keeper.catalog.entries] == [SyncState.REMOVED_PENDING]
    assert keeper.seconds_to_rescan() < 1, "the second look comes soon"
    assert keeper.rescan().removed == ("report",)


def test_a_bad_edit_keeps_the_last_good_version_and_says_where(keeper, settings, caplog):
    (settings.jobs_dir / "report.yaml").write_text(JOB.replace("0 9", "99 9"))
    change = keeper.rescan()
    assert change.broken == ("jobs.d/report.yaml",)
    assert keeper.catalog.jobs["report"].schedule_time == "0 9 * * *"
    assert "its last good version keeps running" in caplog.text
    assert "jobs.d/report.yaml:2:" in caplog.text


def test_renamed_and_broken_at_once_keeps_running(keeper, settings):
    (settings.jobs_dir / "report.yaml").unlink()
    (settings.jobs_dir / "renamed.yaml").write_text(JOB + "no_such_key: 1\n")
    for _ in range(3):
        keeper.rescan()
    (entry,) = keeper.catalog.entries
    assert (entry.path, entry.sync) == ("jobs.d/renamed.yaml", SyncState.INVALID)
    assert keeper.catalog.jobs["report"].schedule_time == "0 9 * * *"


def test_an_edit_that_is_good_under_defaults_that_go_with_it_is_none(keeper, settings):
    (settings.jobs_dir / "_defaults.yaml").write_text("owner: team@example.com\n")
    (settings.jobs_dir / "_policy.yaml").write_text("require_owner: true\n")
    keeper.rescan()
    (settings.jobs_dir / "report.yaml").write_text(JOB.replace("0 9", "0 10"))
    (settings.jobs_dir / "_defaults.yaml").unlink()
    assert not keeper.rescan()
    assert keeper.seconds_to_rescan() < 1, "the second look comes soon"
    assert keeper.rescan().broken == ("jobs.d/report.yaml",)
    assert keeper.catalog.jobs["report"].schedule_time == "0 9 * * *"


def test_a_deletion_is_not_seen_again_where_nothing_was_looked_at(keeper, settings):
    report = settings.jobs_dir / "report.yaml"
    (settings.jobs_dir / "other.yaml").write_text(JOB.replace("report", "other"))
    (settings.jobs_dir / "_defaults.yaml").write_text("owner: team@example.com\n")
    keeper.rescan()
    report.unlink()
    keeper.rescan()
    (settings.jobs_dir / "_defaults.yaml").unlink()
    report.write_text(JOB)
    for _ in range(2):
        assert not keeper.rescan().removed
    assert [entry.sync for entry in keeper.catalog.entries] == [SyncState.IN_FORCE] * 2


def test_a_loop_that_comes_late_to_what_was_read_does_not_put_off_the_next_rescan(settings):
    """It may have waited for a store that was locked: the folder is none the slower for that."""
    settings.jobs_dir.mkdir()
    (settings.jobs_dir / "report.yaml").write_text(JOB)
    now, read = [100.0], threading.Event()
    keeper = CatalogKeeper(settings, on_hint=lambda: None, on_read=read.set, monotonic=lambda: now[0])
    keeper.start({})
    try:
        for _ in range(2):
            now[0] += INTERVAL_SECONDS
            read.clear()
            keeper.follow()
            assert read.wait(10)
            now[0] += 5
            keeper.follow()
            assert keeper.seconds_to_rescan() == INTERVAL_SECONDS - 5
    finally:
        keeper.stop()
