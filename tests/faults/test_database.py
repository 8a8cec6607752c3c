"""A database that cannot be used: refused with the remedy, exit code 3, and not a byte of it changed."""

import os
import shutil
import sqlite3
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from runner.errors import StoreError
from runner.store.store import Store

SECOND = timedelta(seconds=1)


@pytest.fixture
def used(project, wait_for):
    """A project whose service has run once, been killed, and left its database with a write-ahead log."""
    project.job("plain")
    project.hand_clock(-SECOND)
    service = project.start()
    assert service.readiness()[0] == 200
    project.set_clock(SECOND)
    wait_for(lambda: project.runs() and project.at_rest(), 10, service.log)
    service.kill()
    return project


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file() and path.suffix != ".lock"}


def checkpoint(project):
    connection = sqlite3.connect(project.database)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def corrupt(project):
    checkpoint(project)
    with project.database.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        for page in range(4096, size, 8192):
            file.seek(page)
            file.write(b"\xa5" * 2048)


def header_lost(project):
    checkpoint(project)
    with project.database.open("r+b") as file:
        file.write(b"\0" * 100)


def cut_short(project):
    checkpoint(project)
    os.truncate(project.database, project.database.stat().st_size // 2 // 4096 * 4096)


def newer(project):
    connection = sqlite3.connect(project.database)
    connection.execute("INSERT INTO schema_migrations (number, name) VALUES (9999, 'from the future')")
    connection.commit()
    connection.close()


def foreign(project):
    for path in project.state.glob("runner.db*"):
        path.unlink()
    connection = sqlite3.connect(project.database)
    connection.executescript("CREATE TABLE invoices (id INTEGER); INSERT INTO invoices VALUES (1);")
    connection.close()


def no_database(project):
    for path in project.state.glob("runner.db*"):
        path.unlink()
    project.database.write_text('{"jobs": []}')


@pytest.mark.parametrize(
    ("spoil", "said", "remedy"),
    [
        (corrupt, "is damaged", "Restore it from a backup"),
        (header_lost, "is not a run history", "Move the file away"),
        (cut_short, "is damaged", "Restore it from a backup"),
        (newer, "was made by a newer runner", "Install that version again"),
        (foreign, "is the database of another program", "Set JOB_STORAGE_PATH"),
        (no_database, "is a JSON file", "runner import "),
    ],
)
def test_a_database_that_cannot_be_used_is_refused(used, spoil, said, remedy):
    spoil(used)
    before = bytes_of(used.state)
    service = used.start()
    assert service.wait() == 3, service.log()
    assert "Traceback" not in service.log()
    assert f"{used.database}" in service.log()
    assert said in service.log()
    assert "(hint: " in service.log()
    assert remedy in service.log()
    for name, content in before.items():
        assert (used.state / name).read_bytes() == content, f"{name} was changed"
    for verb in (("history",), ("run", "plain")):
        asked = used.runner(*verb)
        assert asked.wait() == 3
        assert "hint: " in asked.log()
    assert (used.state / "runner.db").read_bytes() == before["runner.db"]


@pytest.mark.long
def test_a_write_ahead_log_that_is_cut_gives_whole_transactions(used, wait_for):
    """As after a power cut on a disk that lies: what is lost is lost as a whole, and the rest goes on."""
    log = used.database.with_name("runner.db-wal")
    whole = log.read_bytes()
    assert len(whole) > 20 * 4096
    kept = {name: content for name, content in bytes_of(used.state).items() if not name.endswith("-shm")}
    states = set()
    for part in (0.3, 0.6, 0.8, 0.9, 0.97):
        for path in used.state.glob("runner.db*"):
            path.unlink()
        for name, content in kept.items():
            (used.state / name).write_bytes(content)
        os.truncate(log, int(len(whole) * part))
        service = used.start()
        wait_for(lambda: _at_rest_after_noon(used), 10, service.log)
        service.kill()
        runs = used.runs()
        states |= {run.state for run in runs}
        assert len(runs) <= 1
        for run in runs:
            mails = [one for one in used.deliveries() if one.run_id == run.run_id and one.kind != "undelivered"]
            assert mails, "an end without its mails"
    assert "succeeded" in states


def _at_rest_after_noon(project):
    cursors = project.read("SELECT time FROM cursors")
    return bool(cursors) and project.at_rest()


def test_a_database_that_is_replaced_while_it_is_open(tmp_path):
    """A process that has it open would write to a file that nobody sees any more: it refuses."""
    path, away = tmp_path / "runner.db", tmp_path / "away.db"
    with Store.open(path) as store:
        path.rename(away)
        with pytest.raises(StoreError, match="was removed or replaced while it was in use"):
            store.save_jobs({})
        path.write_bytes(away.read_bytes())
        with pytest.raises(StoreError, match="was removed or replaced while it was in use") as refused:
            store.save_jobs({})
        assert "restart the service" in refused.value.hint
        away.replace(path)
        store.save_jobs({})


@pytest.mark.parametrize("name", ["runner.db-wal", "runner.db-shm"])
def test_a_log_of_the_database_that_is_removed_while_it_is_open(tmp_path, name):
    """What is written to a removed log is gone with the process that has it open, and seen by no other: it refuses.

    Also where a link leads to the database: SQLite keeps its log beside the file itself.
    """
    (tmp_path / "state").mkdir()
    path, log = tmp_path / "linked.db", tmp_path / "state" / name
    path.symlink_to(tmp_path / "state" / "runner.db")
    with Store.open(path) as store:
        store.save_jobs({})
        log.rename(tmp_path / "away")
        with pytest.raises(StoreError, match=f"{name} was removed or replaced while it was in use"):
            store.save_jobs({})
        (tmp_path / "away").rename(log)
        store.save_jobs({})


def test_a_database_that_may_only_be_read(used):
    """As another user than root: to root every file is writable."""
    folder = Path(tempfile.mkdtemp())
    try:
        checkpoint(used)
        shutil.copytree(used.folder, folder / "project", dirs_exist_ok=True)
        used.folder, used.database = folder / "project", folder / "project" / "data" / "runner.db"
        used.env["JOB_STORAGE_PATH"] = str(used.database)
        used.faults.pop("clock")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o555 if path.is_dir() else 0o444)
        before = bytes_of(used.database.parent)
        # What the service says has a place all the same.
        used.folder.chmod(0o755)
        service = used.start(uid=65534 if os.getuid() == 0 else None)
        assert service.wait() == 3, service.log()
        assert "cannot be opened" in service.log() or "cannot be written" in service.log(), service.log()
        assert "Let the user of this process" in service.log()
        assert bytes_of(used.database.parent) == before
    finally:
        for path in (folder, *folder.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
        shutil.rmtree(folder)
