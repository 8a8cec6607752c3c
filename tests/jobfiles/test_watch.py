import os
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.jobfiles.watch import FolderWatcher, RescanClock


@pytest.fixture
def hints():
    return threading.Event()


@pytest.fixture
def watcher(tmp_path, hints):
    (tmp_path / "jobs.d" / "team").mkdir(parents=True)
    watcher = FolderWatcher(tmp_path / "jobs.d", hints.set)
    watcher.ensure(0.0)
    yield watcher
    watcher.stop()


def test_writes_below_the_folder_are_hinted(watcher, hints, tmp_path):
    assert watcher.alive
    (tmp_path / "jobs.d" / "team" / "a.yaml").write_text("x")
    assert hints.wait(5)


@pytest.mark.long
def test_reading_hints_nothing(watcher, hints, tmp_path):
    path = tmp_path / "jobs.d" / "a.yaml"
    path.write_text("x")
    assert hints.wait(5)
    time.sleep(0.3)
    hints.clear()
    path.read_text()
    list(os.scandir(path.parent))
    assert not hints.wait(0.5)


def test_a_dead_observer_is_replaced(watcher, hints, tmp_path):
    watcher._observer.stop()
    watcher._observer.join()
    assert not watcher.alive
    watcher.ensure(5.0)
    assert not watcher.alive, "not tried again before ten seconds are over"
    watcher.ensure(10.0)
    assert watcher.alive
    (tmp_path / "jobs.d" / "a.yaml").write_text("x")
    assert hints.wait(5)


def test_another_folder_of_the_same_name_is_watched(watcher, hints, tmp_path):
    (tmp_path / "jobs.d").rename(tmp_path / "old")
    (tmp_path / "jobs.d").mkdir()
    watcher.ensure(1.0)
    assert watcher.alive
    hints.clear()
    (tmp_path / "jobs.d" / "a.yaml").write_text("x")
    assert hints.wait(5)


def test_a_folder_that_is_not_there_is_watched_when_it_comes(tmp_path, hints):
    watcher = FolderWatcher(tmp_path / "jobs.d", hints.set)
    watcher.ensure(0.0)
    assert not watcher.alive
    (tmp_path / "jobs.d").mkdir()
    watcher.ensure(10.0)
    assert watcher.alive
    watcher.stop()
    assert not watcher.alive


def test_exhausted_limits_are_told_once(tmp_path, hints, caplog):
    class Exhausted:
        def schedule(self, *arguments, **options):
            raise OSError(28, "inotify watch limit reached")

        def is_alive(self):
            return False

    watcher = FolderWatcher(tmp_path, hints.set, make_observer=Exhausted)
    for now in (0.0, 10.0, 20.0):
        watcher.ensure(now)
    assert not watcher.alive
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "inotify watch limit reached" in caplog.text


def test_the_first_rescan_is_due_at_once():
    assert RescanClock().due(1000.0)


def test_a_rescan_follows_300_ms_of_quiet():
    clock = RescanClock()
    clock.done(0.0)
    clock.hint(1.0)
    assert (clock.due(1.29), clock.due(1.31)) == (False, True)
    clock.hint(1.2)
    assert (clock.due(1.31), clock.due(1.51)) == (False, True)


def test_restlessness_waits_two_seconds_at_most():
    clock = RescanClock()
    clock.done(0.0)
    for step in range(20):
        clock.hint(1.0 + step / 10)
    assert (clock.due(2.9), clock.due(3.01)) == (False, True)


def test_without_hints_every_ten_seconds():
    clock = RescanClock()
    clock.done(5.0)
    assert (clock.next_time(6.0), clock.due(14.9), clock.due(15.0)) == (15.0, False, True)


def test_a_hint_during_the_rescan_counts():
    clock = RescanClock()
    clock.hint(1.0)
    clock.hint(1.6)
    clock.done(1.5)
    assert clock.next_time(1.7) == pytest.approx(1.9)
    clock.done(1.9)
    assert clock.next_time(2.0) == pytest.approx(11.9)


@given(st.lists(st.floats(0, 60), max_size=30))
def test_every_hint_is_answered_within_two_seconds(hints):
    clock = RescanClock()
    clock.done(0.0)
    now, waiting = 0.0, None
    for moment in sorted(hints):
        while (due := clock.next_time(now)) <= moment:
            assert waiting is None or due <= waiting + 2.0 + 1e-9
            now, waiting = max(due, now), None
            clock.done(now)
        now = moment
        clock.hint(now)
        waiting = now if waiting is None else waiting
    assert waiting is None or clock.next_time(now) <= waiting + 2.0 + 1e-9
