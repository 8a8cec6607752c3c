import threading
from pathlib import Path

import pytest

from runner.core.mounts import Mount
from runner.errors import FetchError
from runner.fetch import answering
from runner.fetch.answering import wait_for_answer


@pytest.fixture
def ask(monkeypatch):
    """`ask("/away/a")` is what is found there, once `ask.back` is set."""
    monkeypatch.setattr(answering, "SILENCE_SECONDS", 0.2)
    back = threading.Event()

    def call(path):
        def look(_deadline):
            assert back.wait(60)
            return path

        return wait_for_answer(Path(path), look, cancelled=threading.Event())

    call.back = back
    yield call
    back.set()


def begun_since_now():
    """How many threads there are that were not there before: those of other tests may end meanwhile."""
    before = set(threading.enumerate())
    return lambda: len(set(threading.enumerate()) - before)


@pytest.mark.long
def test_files_of_another_name_for_each_run_keep_few_threads(ask):
    waiting = begun_since_now()
    for minute in range(8):
        with pytest.raises(FetchError, match=f"/away/{minute}.csv lies gives no answer"):
            ask(f"/away/{minute}.csv")
    assert waiting() == 4
    with pytest.raises(FetchError):
        ask("/elsewhere/a.csv")
    assert waiting() == 5, "another folder is looked at by itself"
    ask.back.set()
    assert ask("/away/9.csv") == "/away/9.csv"


@pytest.mark.long
def test_folders_of_another_name_for_each_run_on_one_network_mount_keep_few_threads(ask, monkeypatch):
    mounts = (Mount(point="/", kind="ext4"), Mount(point="/share", kind="nfs4"), Mount(point="/disk", kind="xfs"))
    monkeypatch.setattr(answering, "read_mounts", lambda: mounts)
    waiting = begun_since_now()
    for day in range(8):
        with pytest.raises(FetchError, match=f"/share/{day}/a.csv lies gives no answer"):
            ask(f"/share/{day}/a.csv")
    assert waiting() == 4
    for path in ("/sharepoint/a.csv", *(f"/disk/{day}/a.csv" for day in range(6))):
        with pytest.raises(FetchError):
            ask(path)
    assert waiting() == 11, "what is not on that mount is looked at by itself"


def test_what_has_answered_is_forgotten(ask):
    with pytest.raises(FetchError):
        ask("/away/a.csv")
    (ended,) = [end for path, end in answering._unanswered.items() if path == Path("/away/a.csv")]
    ask.back.set()
    assert ended.wait(10)
    assert ask("/other/b.csv") == "/other/b.csv"
    assert not answering._unanswered
