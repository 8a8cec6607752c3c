"""Opening, refusing, surviving: what lies on the disk, and who else is there."""

import errno
import fcntl
import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import textwrap
import threading
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from runner.core.run import RunState
from runner.errors import StoreBusyError, StoreError
from runner.store import Store, StoreReader, service_running
from runner.store.faults import LOCAL_DISK, storage_errors
from runner.store.locks import StateLock


@contextmanager
def unprivileged():
    """As a user whom file modes bind: the superuser may write anywhere."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def open_folder():
    """A folder that any user may enter, unlike `tmp_path`."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def script(text, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(text), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


class TestModes:
    def test_state_is_for_its_owner_only(self, store, path, make_run):
        store.record_fires([make_run(1)], [])
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert {name.name: stat.S_IMODE(name.stat().st_mode) for name in path.parent.iterdir()} == {
            "runner.db": 0o600,
            "runner.db-wal": 0o600,
            "runner.db-shm": 0o600,
            "runner.lock": 0o600,
        }

    def test_durable_settings_hold(self, store):
        values = {
            name: store._writing._raw.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
        assert values == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5000}

    def test_a_read_only_folder(self, open_folder):
        with (
            unprivileged(),
            pytest.raises(StoreError, match=r"cannot be opened for writing: Permission") as caught,
        ):
            Store.open(open_folder / "runner.db")
        assert "JOB_STORAGE_PATH" in caught.value.hint
        with unprivileged(), pytest.raises(StoreError, match="cannot be opened for writing"):
            Store.open(open_folder / "below" / "runner.db")

    def test_a_read_only_file(self, open_folder):
        path = open_folder / "runner.db"
        Store.open(path).close()
        path.chmod(0o644)
        (open_folder / "runner.lock").chmod(0o666)
        open_folder.chmod(0o777)
        with unprivileged(), pytest.raises(StoreError, match=r"runner\.db cannot be opened for writing"):
            Store.open(path)

    def test_a_folder_in_the_place_of_the_file(self, tmp_path):
        with pytest.raises(StoreError, match="cannot be opened for writing: Is a directory"):
            Store.open(tmp_path)


class TestFileSystemsThatShareNothing:
    def test_without_locks(self, path, monkeypatch):
        def refuse(descriptor, operation):
            raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

        monkeypatch.setattr(fcntl, "flock", refuse)
        with pytest.raises(
            StoreError, match=r"the file system of .* takes no locks \(No locks available\)"
        ) as caught:
            Store.open(path)
        assert caught.value.hint == LOCAL_DISK

    @pytest.mark.parametrize("name", ["SQLITE_IOERR_SHMMAP", "SQLITE_IOERR_LOCK", "SQLITE_PROTOCOL"])
    def test_without_shared_memory(self, path, name):
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = name
        with pytest.raises(StoreError, match="has no locks or no shared memory") as caught, storage_errors(path):
            raise error
        assert caught.value.hint == LOCAL_DISK

    def test_a_broken_disk_is_another_matter(self, path):
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = "SQLITE_IOERR_READ"
        with pytest.raises(StoreError, match="cannot be read or written") as caught, storage_errors(path):
            raise error
        assert caught.value.hint == "Look at the disk and the system log."


@pytest.mark.long
def test_a_disk_without_room_for_what_is_shared_is_full(path):
    """A limit on the size of files stands in for the disk: what was closed last left no file to share."""
    Store.open(path).close()
    opener = script(
        """
        import resource, sys
        from pathlib import Path
        from runner.errors import StoreError
        from runner.store import Store, StoreReader
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384))
        for opens in (Store.open, StoreReader.open_reader):
            try:
                opens(Path(sys.argv[1]))
            except StoreError as error:
                print(error.message)
        """,
        path,
    )
    answer, _ = opener.communicate(timeout=60)
    assert answer == f"{path} cannot grow: the disk is full\n" * 2


class TestSecondService:
    @pytest.mark.long
    def test_is_refused_with_the_process_that_holds_it(self, path):
        holder = script(
            """
            import sys
            from pathlib import Path
            from runner.store import Store
            store = Store.open(Path(sys.argv[1]))
            print("open", flush=True)
            sys.stdin.read()
            """,
            path,
        )
        with holder:
            try:
                assert holder.stdout.readline() == "open\n"
                with pytest.raises(StoreBusyError, match=rf"process {holder.pid}\)") as caught:
                    Store.open(path)
                assert "Stop that process" in caught.value.hint
            finally:
                holder.kill()
        Store.open(path).close()

    def test_by_way_of_a_link_to_the_file_too(self, path, tmp_path):
        link = tmp_path / "elsewhere" / "runner.db"
        link.parent.mkdir()
        link.symlink_to(path)
        for first, second in ((path, link), (link, path)):
            with Store.open(first):
                assert service_running(second)
                with pytest.raises(StoreBusyError, match="is in use by another runner"):
                    Store.open(second)
                with Store.open(second, beside_service=True) as beside:
                    assert not beside.alone
            assert not service_running(second)

    def test_in_the_same_process_too_and_free_after_close(self, path):
        with Store.open(path), pytest.raises(StoreBusyError, match=f"process {os.getpid()}"):
            Store.open(path)
        Store.open(path).close()

    def test_a_failed_opening_frees_the_folder(self, path):
        path.parent.mkdir()
        path.write_text("no database")
        for _ in range(2):
            with pytest.raises(StoreError, match="something else"):
                Store.open(path)
        path.unlink()
        Store.open(path).close()


class TestOtherFiles:
    @pytest.mark.parametrize("content", ['{"jobs": []}', "[]", "\ufeff {}", json.dumps({"a": "b" * 9000})])
    def test_the_job_storage_of_the_rest_service(self, path, content):
        path.parent.mkdir()
        path.write_text(content)
        for opener in (Store.open, Store.open_reader):
            with pytest.raises(StoreError, match="job storage of the REST service") as caught:
                opener(path)
            assert "JOB_STORAGE_PATH=./data/runner.db" in caught.value.hint
            assert f"runner import {path}" in caught.value.hint
        assert path.read_text() == content

    def test_some_other_file(self, path):
        path.parent.mkdir()
        path.write_bytes(b"\x7fELF" + bytes(5000))
        for opener in (Store.open, Store.open_reader):
            with pytest.raises(StoreError, match="not a run history"):
                opener(path)
        assert path.read_bytes() == b"\x7fELF" + bytes(5000)

    def test_the_database_of_another_program(self, path):
        path.parent.mkdir()
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE guests (name TEXT)")
        other.close()
        before = path.read_bytes()
        for opener in (Store.open, Store.open_reader):
            with pytest.raises(StoreError, match="another program"):
                opener(path)
        assert path.read_bytes() == before

    def test_a_newer_database(self, path):
        Store.open(path).close()
        newer = sqlite3.connect(path)
        newer.execute("INSERT INTO schema_migrations VALUES (999, 'from the future')")
        newer.commit()
        newer.close()
        before = path.read_bytes()
        for opener in (Store.open, Store.open_reader):
            with pytest.raises(StoreError, match="made by a newer runner") as caught:
                opener(path)
            assert "Install that version" in caught.value.hint
        assert path.read_bytes() == before

    @pytest.mark.parametrize("size", [0, 40])
    def test_an_empty_or_torn_file(self, path, size):
        path.parent.mkdir()
        path.write_bytes(b"SQLite format 3\x00".ljust(40, b"\x00")[:size])
        if size == 0:
            Store.open(path).close()
        else:
            with pytest.raises(StoreError, match="damaged"):
                Store.open(path)
            assert path.stat().st_size == size

    def test_flipped_bytes(self, path, make_run):
        with Store.open(path) as store:
            store.record_fires([make_run(n, note="x" * 300) for n in range(400)], [])
        content = bytearray(path.read_bytes())
        for page in range(5, len(content) // 4096, 3):
            content[page * 4096 : page * 4096 + 64] = bytes(255 - byte for byte in content[page * 4096 :][:64])
        path.write_bytes(content)
        for _ in range(2):
            with pytest.raises(StoreError, match="is damaged") as caught:
                Store.open(path)
            assert "backup" in caught.value.hint
        assert path.read_bytes() == content


class TestReader:
    def test_without_a_database_is_empty_and_makes_none(self, path):
        with Store.open_reader(path) as reader:
            assert reader.runs() == ()
            assert reader.run("x") is None
            assert reader.last_runs() == {}
        assert not path.parent.exists()

    def test_of_a_file_without_tables(self, path):
        path.parent.mkdir()
        sqlite3.connect(path).close()
        blank = sqlite3.connect(path)
        blank.execute("PRAGMA user_version = 3")
        blank.close()
        with Store.open_reader(path) as reader:
            assert reader.runs() == ()

    def test_after_the_service_has_stopped(self, path, make_run):
        with Store.open(path) as store:
            store.record_fires([make_run(1)], [])
        with Store.open_reader(path) as reader:
            assert isinstance(reader, StoreReader)
            assert reader.runs() == (make_run(1),)

    def test_cannot_write(self, path):
        Store.open(path).close()
        with (
            Store.open_reader(path) as reader,
            pytest.raises(StoreError, match="readonly"),
            reader._reading.transaction() as connection,
        ):
            connection.exec_driver_sql("DELETE FROM runs")

    def test_follows_a_writer_at_work(self, store, path, make_run, make_mail, noon):
        stop = threading.Event()
        faults = []

        def write():
            number = 0
            while not stop.is_set():
                number += 1
                run = make_run(number, fire_key=str(number))
                store.record_fires([run], [])
                store.finish_run(replace(run, state=RunState.SUCCEEDED, finished_at=noon), [make_mail(run)])

        def read():
            seen = 0
            with Store.open_reader(path) as reader:
                while seen < 60 and not faults:
                    runs = reader.runs(limit=1000)
                    # The outcome and its deliveries are one transaction: never one without the other.
                    if any(bool(run.deliveries) != run.state.finished for run in runs) or len(runs) < seen:
                        faults.append(runs)
                    seen = len(runs)

        writer, reader = threading.Thread(target=write), threading.Thread(target=read)
        writer.start()
        reader.start()
        reader.join(30)
        stop.set()
        writer.join(30)
        assert not reader.is_alive()
        assert faults == []

    def test_unreadable_for_this_user(self, open_folder):
        path = open_folder / "data" / "runner.db"
        Store.open(path).close()
        with unprivileged(), pytest.raises(StoreError, match="cannot be read: Permission denied"):
            Store.open_reader(path)


@pytest.mark.long
def test_kill_nine_in_the_middle_of_the_load(path, noon):
    """What was answered is on the disk, what was not is whole or absent, and the database is sound."""
    writer = script(
        """
        import sys
        from dataclasses import replace
        from datetime import UTC, datetime
        from pathlib import Path
        from runner.core.delivery import Mail, MailKind
        from runner.core.run import Run, RunState, Trigger
        from runner.store import Cursor, Store

        noon = datetime(2025, 11, 9, 12, tzinfo=UTC)
        store = Store.open(Path(sys.argv[1]))
        number = 0
        while True:
            number += 1
            run = Run(run_id=f"run{number:05d}", job_name="daily_report", trigger=Trigger.SCHEDULE,
                      scheduled_time=noon, state=RunState.QUEUED, fire_key=str(number), queued_at=noon)
            store.record_fires([run], [Cursor(job_name="daily_report", schedule=str(number), time=noon)])
            mail = Mail(run_id=run.run_id, kind=MailKind.RESULTS, message_id=f"<{number}@example.com>",
                        sender="r@example.com", recipients=("a@example.com", "b@example.com"), subject="s",
                        message=b"m" * 5000)
            store.finish_run(replace(run, state=RunState.SUCCEEDED, finished_at=noon), [mail])
            print(number, flush=True)
        """,
        path,
    )
    with writer:
        answered = 0
        while answered < 150:
            answered = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().split()
    answered = int(rest[-1]) if rest else answered
    with Store.open(path) as store:
        (verdict,) = store._writing._raw.execute("PRAGMA integrity_check").fetchone()
        assert verdict == "ok"
        runs = {run.run_id: run for run in store.runs(limit=100_000)}
        finished = [run for run in runs.values() if run.state is RunState.SUCCEEDED]
        assert answered <= len(finished) <= answered + 1
        assert all(len(run.deliveries) == 2 for run in finished)
        assert store.cursors()["daily_report"].schedule == str(len(runs)), "a fire and its cursor go together"
        assert len(store.queued_runs()) == len(runs) - len(finished) <= 1
        assert len(store.due_deliveries(noon, 100_000)) == 2 * len(finished)


def test_a_single_run_works_beside_a_service_and_takes_over_when_it_ends(path):
    service = Store.open(path)
    with Store.open(path, beside_service=True) as single:
        assert not single.alone
        assert not single.try_alone()
        service.close()
        assert single.try_alone()
        with pytest.raises(StoreBusyError, match="a single run, process"):
            Store.open(path)
    Store.open(path).close()


def test_a_run_that_is_held_elsewhere_is_neither_lost_nor_queued(path, make_run, noon):
    running, queued = make_run(1), make_run(2)
    with Store.open(path, beside_service=True) as single:
        for run in (running, queued):
            single.hold_run(run.run_id)
            single.record_fires([run], [])
        single.mark_running(running.run_id, noon)
        with Store.open(path, beside_service=True) as service:
            assert service.running_runs() == ()
            assert service.queued_runs() == ()
    with Store.open(path) as service:
        assert [run.run_id for run in service.queued_runs()] == [queued.run_id]
        assert [run.run_id for run in service.running_runs()] == [running.run_id]


def test_one_who_asks_whether_a_service_is_there_does_not_keep_it_from_starting(path):
    path.parent.mkdir()
    stop = threading.Event()

    def ask():
        while not stop.wait(0.001):
            service_running(path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(20):
            StateLock(path.parent).release()
    finally:
        stop.set()
        asking.join()


@pytest.mark.long
def test_a_service_lock_is_no_longer_believed_when_its_holder_has_died(path):
    holder = script(
        """
        import os, signal, sys
        from pathlib import Path
        from runner.store import Store
        store = Store.open(Path(sys.argv[1]))
        os.kill(os.getpid(), signal.SIGKILL)
        """,
        path,
    )
    with holder:
        holder.wait(20)
    assert (path.parent / "runner.lock").read_text().startswith("a service")
    assert not service_running(path)
