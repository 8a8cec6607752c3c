"""Threads that write at the same time share a transaction; each work in it stands alone."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from types import SimpleNamespace

import pytest

from runner.errors import StoreError
from runner.store import Store, database
from runner.store.connection import connect_writer
from runner.store.database import Database


@pytest.fixture
def opened(tmp_path):
    """A database with one table, of its own."""
    path = tmp_path / "some.db"
    base = Database(path, connect_writer(path), begin="BEGIN IMMEDIATE")
    base.use_write_ahead_log()
    base.write(lambda changes: changes.execute("CREATE TABLE kept (worker INTEGER, number INTEGER UNIQUE)"))
    yield base
    base.close()


@pytest.fixture
def statements(opened):
    """What the connection was told, by first word."""
    told = []
    opened._raw.set_trace_callback(lambda text: told.append(text.split()[0]))
    return told


def put(worker, number):
    return lambda changes: changes.execute("INSERT INTO kept VALUES (?, ?)", (worker, number)).rowcount


def kept(opened):
    other = sqlite3.connect(opened.path)
    rows = other.execute("SELECT number FROM kept ORDER BY number").fetchall()
    other.close()
    return [row[0] for row in rows]


def together(*calls):
    """Each call in a thread of its own; answers what each returned or raised."""
    outcomes = [None] * len(calls)

    def run(place, call):
        try:
            outcomes[place] = call()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            outcomes[place] = error

    threads = [threading.Thread(target=run, args=(place, call)) for place, call in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)
    return outcomes


def in_one_group(opened, *works):
    """All these works in one transaction: they gather behind one that takes its time."""
    began, go_on = threading.Event(), threading.Event()

    def slow(changes):
        began.set()
        go_on.wait(20)

    def when_all_wait():
        while len(opened._waiting) < len(works):
            time.sleep(0.001)
        go_on.set()

    leader = threading.Thread(target=opened.write, args=(slow,))
    leader.start()
    assert began.wait(20)
    *outcomes, _ = together(*(lambda work=work: opened.write(work) for work in works), when_all_wait)
    leader.join()
    return outcomes


def test_good_and_failing_work_of_many_threads(opened, statements):
    def worker(number):
        def work():
            refused = 0
            for step in range(30):
                mine = number * 100 + step
                if step % 3 == 2:
                    with pytest.raises(ZeroDivisionError):
                        opened.write(lambda changes, mine=mine: put(number, mine + 50)(changes) / 0)
                    refused += 1
                elif step % 3 == 1:
                    with pytest.raises(StoreError, match="UNIQUE"):
                        opened.write(
                            lambda changes, mine=mine: [put(number, n)(changes) for n in (mine, mine - 1)]
                        )
                    refused += 1
                else:
                    assert opened.write(put(number, mine)) == 1
                    assert mine in kept(opened), "nobody returns before the change is there for others"
            return refused

        return work

    assert together(*(worker(number) for number in range(16))) == [20] * 16
    assert kept(opened) == [number * 100 + step for number in range(16) for step in range(0, 30, 3)]
    assert statements.count("COMMIT") < 16 * 30 / 2


def test_those_who_meet_share_one_commit(opened, statements):
    assert in_one_group(opened, *(put(0, number) for number in range(8))) == [1] * 8
    assert statements.count("COMMIT") == 2, "one of the slow work, one of all that waited for it"
    assert kept(opened) == list(range(8))


class SlowToWait:
    """The gate of a database. The first thread but one that leaves it stands still there until it is told to go on."""

    def __init__(self, gate):
        self._gate = gate
        self._first = None
        self.queued, self.go_on = threading.Event(), threading.Event()

    def __enter__(self):
        self._gate.acquire()

    def __exit__(self, *_):
        self._gate.release()
        self._first = self._first or threading.get_ident()
        if threading.get_ident() != self._first and not self.queued.is_set():
            self.queued.set()
            assert self.go_on.wait(10)


@pytest.mark.timeout(30)
def test_one_who_is_appointed_before_it_waits_goes_on(opened):
    gate = opened._gate = SlowToWait(opened._gate)
    begun = threading.Event()

    def slow(changes):
        begun.set()
        assert gate.queued.wait(10)
        return put(0, 1)(changes)

    def first():
        answer = opened.write(slow)
        gate.go_on.set()
        return answer

    def second():
        assert begun.wait(10)
        return opened.write(put(0, 2))

    assert together(first, second) == [1, 1]
    assert opened.write(put(0, 3)) == 1
    assert kept(opened) == [1, 2, 3]


def test_a_thread_that_writes_alone_does_not_wait(opened, monkeypatch):
    monkeypatch.setattr(database, "_GATHER_SECONDS", 5)
    began = time.monotonic()
    for number in range(5):
        opened.write(put(0, number))
    assert time.monotonic() - began < 4


def test_the_error_of_one_work_is_its_callers_alone(opened):
    def refused(changes):
        put(0, 99)(changes)
        raise LookupError("mine")

    first, error, last = in_one_group(opened, put(0, 1), refused, put(0, 2))
    assert (first, last) == (1, 1)
    assert isinstance(error, LookupError)
    assert kept(opened) == [1, 2]


def test_where_sqlite_rolls_everything_back_nobody_believes_it_is_stored(opened):
    """As it does of itself on a full disk or a failing one: work that was done before is gone too."""

    def broken(changes):
        changes.execute("ROLLBACK")
        raise sqlite3.OperationalError("disk I/O error")

    outcomes = in_one_group(opened, put(0, 1), broken, put(0, 2))
    assert [type(one) for one in outcomes] == [StoreError] * 3
    assert len({id(one) for one in outcomes}) == 3, "each raises an exception of its own"
    assert kept(opened) == []
    assert opened.write(put(0, 3)) == 1


def test_a_commit_that_fails_fails_all(opened):
    """A deferred constraint is looked at by COMMIT; it stands in for a disk that is full."""
    opened.write(lambda changes: changes.execute("CREATE TABLE parents (id INTEGER PRIMARY KEY)"))
    opened.write(
        lambda changes: changes.execute(
            "CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)"
        )
    )
    orphan = in_one_group(
        opened, put(0, 1), lambda changes: changes.execute("INSERT INTO children VALUES (1)"), put(0, 2)
    )
    assert [type(one) for one in orphan] == [StoreError] * 3
    assert "FOREIGN KEY" in str(orphan[0])
    assert kept(opened) == []
    assert opened.write(put(0, 3)) == 1


def test_a_full_disk_in_a_group_is_told_to_all_and_ends(opened):
    opened._raw.execute("PRAGMA max_page_count = 4")
    opened.write(lambda changes: changes.execute("CREATE TABLE IF NOT EXISTS kept (x)"))

    def large(changes):
        changes.execute("INSERT INTO kept VALUES (zeroblob(1000000), 77)")

    good, full = in_one_group(opened, put(0, 1), large)
    assert isinstance(full, StoreError)
    assert "disk is full" in full.message
    assert kept(opened) == ([1] if good == 1 else []), "what was answered is what is there"
    assert opened.write(put(0, 3)) == 1


def test_one_who_is_interrupted_takes_nobody_along(opened):
    def interrupted(changes):
        raise KeyboardInterrupt

    outcomes = in_one_group(opened, put(0, 1), interrupted, put(0, 2))
    assert any(isinstance(one, KeyboardInterrupt) for one in outcomes)
    answered = [number for number, one in ((1, outcomes[0]), (2, outcomes[2])) if one == 1]
    assert kept(opened) == answered
    assert opened.write(put(0, 3)) == 1


@pytest.mark.long
def test_one_who_stops_waiting_leaves_the_others_to_go_on(opened):
    """Ctrl-C in the main thread, while another thread commits."""
    program = """
    import os, signal, sys, threading
    from pathlib import Path
    from runner.store.connection import connect_writer
    from runner.store.database import Database
    path = Path(sys.argv[1])
    base = Database(path, connect_writer(path), begin="BEGIN IMMEDIATE")
    # As in the foreground: a shell lets what it starts behind itself ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    began, stopped = threading.Event(), threading.Event()

    def slow(changes):
        began.set()
        stopped.wait(10)
        changes.execute("INSERT INTO kept VALUES (0, 1)")

    other = threading.Thread(target=base.write, args=(slow,))
    other.start()
    began.wait()
    try:
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        base.write(lambda changes: changes.execute("INSERT INTO kept VALUES (0, 2)"))
    except KeyboardInterrupt:
        print("interrupted")
    stopped.set()
    other.join()
    base.write(lambda changes: changes.execute("INSERT INTO kept VALUES (0, 3)"))
    """
    done = run_program(program, opened.path)
    assert done.stdout == "interrupted\n"
    assert kept(opened) in ([1, 3], [1, 2, 3])


def run_program(program, *arguments):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )


@pytest.mark.long
def test_kill_nine_among_many_threads(path):
    """The leader dies with the work of the others in its hands: what was answered is there, the rest whole or not."""
    program = """
    import os, signal, sys, threading
    from datetime import UTC, datetime
    from pathlib import Path
    from runner.core.run import Run, RunState, Trigger
    from runner.store import Store

    noon = datetime(2025, 11, 9, 12, tzinfo=UTC)
    store = Store.open(Path(sys.argv[1]))

    def work(worker):
        for number in range(100_000):
            runs = [Run(run_id=f"{worker}.{number}.{half}", job_name="a", trigger=Trigger.SCHEDULE, queued_at=noon,
                        scheduled_time=noon, state=RunState.QUEUED) for half in "ab"]
            store.record_fires(runs, [])
            os.write(1, f"{worker}.{number}\\n".encode())
            if worker == 0 and number == 40:
                os.kill(os.getpid(), signal.SIGKILL)

    for worker in range(8):
        threading.Thread(target=work, args=(worker,)).start()
    """
    killed = run_program(program, path)
    assert killed.returncode == -signal.SIGKILL
    answered = set(killed.stdout.split())
    assert len(answered) > 40
    with Store.open(path) as store:
        halves = [run.run_id.rpartition(".") for run in store.runs(limit=1_000_000)]
    found = {half: {name for name, _, which in halves if which == half} for half in "ab"}
    assert found["a"] == found["b"], "both runs of a call, or none"
    assert answered <= found["a"]
    assert len(found["a"] - answered) <= 8


def test_room_that_is_not_needed_any_more_goes_back_to_the_disk(opened, monkeypatch):
    """As after a day without a mail server: the file would stay as long as it ever was."""
    monkeypatch.setattr(database, "_MUCH_FREE", 1 << 20)
    opened.write(put(0, 1))
    opened.write(lambda changes: changes.execute("CREATE TABLE mails AS SELECT zeroblob(5000000) AS message"))
    assert opened.compact() == 0
    opened.write(lambda changes: changes.execute("UPDATE mails SET message = NULL"))
    monkeypatch.setattr(database, "_SOON_COPIED", 1)
    assert opened.compact() == 0, "the rest would take too long"
    monkeypatch.setattr(database, "_SOON_COPIED", 1 << 20)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
        assert opened.compact() == 0, "a copy that has no room fills the disk"
    assert opened.compact() > 4_900_000
    assert opened.path.stat().st_size < 50_000
    assert opened.compact() == 0
    opened.write(put(0, 2))
    assert kept(opened) == [1, 2]


def test_room_is_not_given_back_while_another_writes(opened, monkeypatch):
    monkeypatch.setattr(database, "_MUCH_FREE", 0)
    opened._raw.execute("PRAGMA busy_timeout = 10")
    other = sqlite3.connect(opened.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match=r"locked|busy"):
        opened.compact()
    other.close()
    opened.write(put(0, 1))
    assert kept(opened) == [1]
