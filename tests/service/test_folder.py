import shutil
import threading
import time

import pytest

from runner.core.catalog import SyncState
from runner.jobfiles.watch import INTERVAL_SECONDS, FolderWatcher
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
    made.begin({})
    made.take_in()
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


def test_a_folder_that_no_thread_can_be_started_for_keeps_every_job_and_says_so(keeper, caplog, use_up_threads):
    with pytest.MonkeyPatch.context() as patch:
        use_up_threads(patch)
        assert not keeper.rescan()
        assert not keeper.rescan()
    assert "no other thread can be started" in keeper.trouble
    assert "report" in keeper.catalog.jobs
    assert [record.levelname for record in caplog.records].count("ERROR") == 1
    assert not keeper.rescan()
    assert not keeper.trouble


def test_a_folder_that_vanishes_bit_by_bit_keeps_nobody_waiting(keeper, settings):
    (settings.jobs_dir / "_defaults.yaml").write_text("owner: team@example.com\n")
    keeper.rescan()
    (settings.jobs_dir / "_defaults.yaml").unlink()
    keeper.rescan()
    shutil.move(settings.jobs_dir, settings.project_dir / "away")
    number = keeper.ask()
    keeper.rescan()
    assert "is gone" in keeper.trouble
    assert keeper.answered(number)


def test_a_deletion_is_seen_twice(keeper, settings):
    (settings.jobs_dir / "other.yaml").write_text(JOB.replace("report", "other"))
    keeper.rescan()
    (settings.jobs_dir / "report.yaml").unlink()
    assert not keeper.rescan()
    assert [entry.sync for entry in keeper.catalog.entries] == [SyncState.IN_FORCE, SyncState.REMOVED_PENDING]
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
    keeper.begin({})
    keeper.take_in()
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


def test_a_folder_that_is_empty_all_at_once_keeps_every_job_until_that_is_meant(keeper, settings, caplog):
    """As the place of a mount that is gone. Git knows no empty folders."""
    report = settings.jobs_dir / "report.yaml"
    report.unlink()
    for _ in range(3):
        assert not keeper.rescan()
    assert [entry.sync for entry in keeper.catalog.entries] == [SyncState.IN_FORCE]
    assert "holds no job file any more" in keeper.trouble
    assert caplog.text.count("holds no job file any more") == 1

    report.write_text(JOB)
    assert not keeper.rescan()
    assert not keeper.trouble

    report.unlink()
    (settings.jobs_dir / ".gitkeep").touch()
    assert not keeper.rescan()
    assert keeper.rescan().removed == ("report",)
    assert not keeper.trouble


@pytest.mark.parametrize("name", ["_policy.yaml", "_defaults.yaml"])
def test_what_bounds_jobs_says_that_there_are_to_be_none(keeper, settings, name):
    (settings.jobs_dir / name).write_text("{}\n")
    keeper.rescan()
    (settings.jobs_dir / "report.yaml").unlink()
    # Whether they still count is not known at the first sight: no job file names them any more.
    assert ("report",) in [keeper.rescan().removed for _ in range(3)]
    assert not keeper.trouble


def test_how_long_ago_a_change_was_noticed_is_known_when_it_has_been_read(settings):
    settings.jobs_dir.mkdir()
    defaults = settings.jobs_dir / "_defaults.yaml"
    defaults.write_text("owner: team@example.com\n")
    (settings.jobs_dir / "report.yaml").write_text(JOB)
    now = [1000.0]
    keeper = CatalogKeeper(settings, on_hint=lambda: None, monotonic=lambda: now[0])
    keeper.begin({})
    now[0] += 5
    keeper.take_in()
    assert keeper.seconds_since_change() == 5
    # Defaults that are gone are looked at twice: the edit beside them was there the first time.
    defaults.unlink()
    (settings.jobs_dir / "report.yaml").write_text(JOB.replace("0 9", "0 10"))
    keeper.hint()
    now[0] += 1
    assert not keeper.rescan()
    now[0] += 1
    assert keeper.rescan().changed == ("report",)
    assert keeper.seconds_since_change() == 2
    keeper.stop()


def test_a_mount_that_comes_late_at_a_start_loses_no_job(settings, keeper):
    known = {entry.path: entry.job for entry in keeper.catalog.entries}
    (settings.jobs_dir / "report.yaml").unlink()
    later = CatalogKeeper(settings, on_hint=lambda: None)
    later.begin(known)
    later.take_in()
    later.stop()
    assert list(later.catalog.jobs) == ["report"]
    assert "holds no job file any more" in later.trouble


def test_a_data_file_that_gives_no_answer_keeps_no_edit_from_coming_into_force(settings, mount, caplog):
    settings.jobs_dir.mkdir()
    on_mount = JOB.replace("a.csv", f"{mount.path}/a.csv")
    (settings.jobs_dir / "report.yaml").write_text(on_mount)
    mount.goes()
    keeper = CatalogKeeper(settings, on_hint=lambda: None)
    try:
        keeper.begin({})
        keeper.take_in()
        assert "report" in keeper.catalog.jobs
        (settings.jobs_dir / "report.yaml").write_text(on_mount.replace("0 9", "0 10"))
        assert keeper.rescan().changed == ("report",)
        assert not keeper.trouble
        assert [str(found.rule) for entry in keeper.catalog.entries for found in entry.diagnostics] == [
            "no-answer"
        ]
        assert caplog.text.count("gives no answer") == 1
    finally:
        mount.comes_back()
        keeper.stop()


@pytest.mark.parametrize(("written", "known"), [(3, 3), (30, 9)])
def test_a_change_that_no_event_tells_of_is_as_old_as_its_file_and_no_older_than_the_reading_before(
    settings, monkeypatch, written, known
):
    settings.jobs_dir.mkdir()
    (settings.jobs_dir / "report.yaml").write_text(JOB)
    now = [1000.0]
    monkeypatch.setattr(FolderWatcher, "ensure", lambda *_: None)
    keeper = CatalogKeeper(settings, on_hint=lambda: None, monotonic=lambda: now[0])
    keeper.begin({})
    keeper.take_in()
    (settings.jobs_dir / "other.yaml").write_text(JOB.replace("report", "other"))
    now[0] += 9
    later = time.time_ns() + written * 1_000_000_000
    monkeypatch.setattr(keeper._folder, "_clock", lambda: later)
    assert keeper.rescan().added == ("other",)
    assert keeper.seconds_since_change() == pytest.approx(known, abs=0.5)
