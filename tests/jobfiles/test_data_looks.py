"""Where nothing answers there is a FIFO: to open one waits until somebody opens its other end."""

import logging
import os
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from runner.core.mounts import Mount
from runner.errors import ThreadError
from runner.jobfiles import data_looks
from runner.jobfiles.data_looks import DataLooks


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    monkeypatch.setattr(data_looks, "SILENCE_SECONDS", 0.2)


@pytest.fixture
def away(tmp_path):
    """`with away("a"):` a path in the folder that gives no answer meanwhile."""

    @contextmanager
    def call(name):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        os.mkfifo(path)
        try:
            yield str(path)
        finally:
            answer(path)
            path.unlink()

    return call


def answer(path):
    """Let everybody go on who waits at a FIFO."""
    with Path(path).open("r+b", buffering=0):
        time.sleep(0.1)


def waiting():
    return [thread for thread in threading.enumerate() if thread.name == "data-looks"]


def look(path):
    os.close(os.open(path, os.O_RDONLY))
    return Path(path).name


def test_what_answers_is_told_and_what_does_not_is_left_out(tmp_path, away, caplog):
    (tmp_path / "before").touch()
    (tmp_path / "else").mkdir()
    (tmp_path / "else/after").touch()
    looks = DataLooks(str(tmp_path))
    with away("mount/silent") as silent:
        paths = str(tmp_path / "before"), silent, str(tmp_path / "else/after")
        assert looks.ask(look, *paths) == {paths[0]: "before", paths[2]: "after"}
        assert f"Where {silent} lies gives no answer: {tmp_path}/mount is not looked at" in caplog.text
    looks.close()


def test_nobody_waits_twice_for_a_place_until_it_answers(tmp_path, away, caplog):
    caplog.set_level(logging.INFO)
    looks = DataLooks(str(tmp_path))
    with away("mount/silent") as silent:
        beside = Path(silent).with_name("beside")
        beside.touch()
        assert looks.ask(look, silent) == {}
        threads = len(waiting())
        began = time.monotonic()
        for _ in range(20):
            assert looks.ask(look, silent, str(beside), f"{tmp_path}/else/../mount/beside") == {}
        assert time.monotonic() - began < 0.2
        assert len(waiting()) == threads
        assert caplog.text.count("gives no answer") == 1
        answer(silent)
        assert looks.ask(look, str(beside)) == {str(beside): "beside"}
    assert caplog.text.count(f"{tmp_path}/mount answers again") == 1
    looks.close()


@pytest.mark.long
def test_many_that_answer_slowly_are_given_up_together(monkeypatch, tmp_path):
    monkeypatch.setattr(data_looks, "_ALL_SECONDS", 0.5)
    looks, ended = DataLooks(str(tmp_path)), []

    def slowly(path):
        time.sleep(0.1)
        ended.append(path)
        return path

    began = time.monotonic()
    assert 1 <= len(looks.ask(slowly, *(f"/somewhere/{number}" for number in range(100)))) < 12
    assert time.monotonic() - began < 2
    time.sleep(0.3)
    done = len(ended)
    time.sleep(0.3)
    assert len(ended) == done


@pytest.mark.long
def test_so_many_places_keep_a_thread_and_no_more(tmp_path, away, monkeypatch):
    monkeypatch.setattr(data_looks, "_MOST_SILENT", 2)
    looks = DataLooks(str(tmp_path))
    with away("a/x") as a, away("b/x") as b, away("c/x") as c:
        before = len(waiting())
        assert looks.ask(look, a, b, c) == {}
        assert len(waiting()) - before == 2
    looks.close()


def test_a_mount_is_silent_as_a_whole(monkeypatch):
    points = ("/", "/srv/data", "/home", "/srv/data/deep")
    monkeypatch.setattr(data_looks, "read_mounts", lambda: [Mount(point=one, kind="ext4") for one in points])
    place = data_looks._place_of
    assert place("/srv/data/team/a.csv", "/home/jobs") == "/srv/data"
    assert place("/srv/data/deep/../a.csv", "/home/jobs") == "/srv/data"
    assert place("/srv/data/deep/a.csv", "/home/jobs") == "/srv/data/deep"
    assert place("/srv/database/a.csv", "/home/jobs") == "/srv/database"
    assert place("/home/jobs/data/a.csv", "/home/jobs") == "/home/jobs/data"
    assert place("/a.csv", "/home/jobs") == "/a.csv"


def test_what_a_look_raises_is_raised(tmp_path):
    looks = DataLooks(str(tmp_path))
    with pytest.raises(FileNotFoundError):
        looks.ask(look, str(tmp_path / "nothing"))
    (tmp_path / "a").touch()
    assert looks.ask(look, str(tmp_path / "a")) == {str(tmp_path / "a"): "a"}
    looks.close()


def test_without_another_thread_it_is_said_so(tmp_path, monkeypatch):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(ThreadError):
        DataLooks(str(tmp_path)).ask(look, str(tmp_path))
