import contextlib
import os
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from runner.errors import FetchError
from runner.fetch.context import FetchContext
from runner.fetch.places import FileRules
from runner.fetch.references import References
from runner.jobfiles.read import read_job_file
from runner.opened import NeverReadError, open_for_a_job, real_path, require_for_a_job
from runner.store import Store


@contextlib.contextmanager
def _opened(path):
    handle = os.open(path, os.O_RDONLY)
    try:
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def _opened_for_a_job(path):
    handle = open_for_a_job(path)
    try:
        yield handle
    finally:
        os.close(handle)


def test_a_link_that_is_changed_meanwhile_makes_no_difference(tmp_path):
    link = tmp_path / "link"
    (tmp_path / "a").touch()
    link.symlink_to("a")
    with _opened(link) as handle:
        link.unlink()
        link.symlink_to("b")
        assert real_path(link, handle) == os.path.realpath(tmp_path / "a")


def test_what_has_no_path_there_has_its_own(tmp_path):
    reading, writing = os.pipe()
    os.close(writing)
    try:
        assert real_path(tmp_path / "x" / ".." / "pipe", reading) == os.path.realpath(tmp_path / "pipe")
    finally:
        os.close(reading)


def test_without_the_kernel_s_answer_links_are_followed(tmp_path):
    (tmp_path / "link").symlink_to("a")
    assert real_path(tmp_path / "link", 1 << 20) == os.path.realpath(tmp_path / "a")


def test_what_is_none_of_a_job_s_is_known_by_both_of_its_names(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / ".env").symlink_to("a")
    (tmp_path / "b").symlink_to(".env.production")
    (tmp_path / ".env.production").touch()
    for name in (".env", "b"):
        with _opened(tmp_path / name) as handle, pytest.raises(NeverReadError):
            require_for_a_job(tmp_path / name, handle)
    with _opened(tmp_path / "a") as handle:
        require_for_a_job(tmp_path / "a", handle)


@pytest.mark.skipif(not os.path.exists("/proc/self/environ"), reason="only Linux has it")  # noqa: PTH110
def test_the_environment_of_a_process_is_none_also_by_a_link(tmp_path):
    (tmp_path / "step.py").symlink_to("/proc/self/environ")
    with _opened(tmp_path / "step.py") as handle, pytest.raises(NeverReadError):
        require_for_a_job(tmp_path / "step.py", handle)


def _said_by_source(project, named):
    context = FetchContext(
        project_dir=project,
        run_dir=project / "run",
        environ={},
        facts={},
        timeout_seconds=30,
        cancelled=threading.Event(),
    )
    with pytest.raises(FetchError) as refused:
        FileRules(context).check(named)
    return refused.value.message


def _said_by_reference(project, named):
    with pytest.raises(FetchError) as refused:
        References({}, {}, threading.Event()).resolve(f"${{file:{named}}}", "data_source.location")
    return refused.value.message


def _said_by_job_file(project, named):
    return read_job_file(named, "jobs.d/a.yaml").finding.message


_READING = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT * FROM runs'); c.close()"
READERS = {
    _said_by_source: "belongs to the system or to the runner itself",
    _said_by_reference: "belongs to the runner itself",
    _said_by_job_file: "are no part of a job",
}


@pytest.mark.parametrize("leads", ["itself", "link", "hard link"])
@pytest.mark.parametrize("ending", ["", "-wal", "-shm"])
@pytest.mark.parametrize("reader", READERS)
def test_who_reads_for_a_job_takes_no_lock_of_the_database_away(tmp_path, reader, ending, leads):
    database = tmp_path / "data" / "runner.db"
    named = tmp_path / "named"
    with closing(Store.open(database)):
        file = f"{database}{ending}"
        if leads == "itself":
            named = Path(file)
        else:
            (os.symlink if leads == "link" else os.link)(file, named)
        assert READERS[reader] in reader(tmp_path, named)
        # Who opens the database beside it and is the last to leave, as far as locks tell, removes the log.
        subprocess.run([sys.executable, "-c", _READING, database], check=True, timeout=60)
        assert Path(f"{database}-wal").exists()
    with _opened_for_a_job(database) as handle:
        assert os.read(handle, 6) == b"SQLite"


@pytest.mark.parametrize("has_places", [True, False])
def test_beside_a_database_other_files_are_opened_as_ever(tmp_path, monkeypatch, has_places):
    if not has_places:
        monkeypatch.setattr("runner.opened._PLACE", None)
    (tmp_path / "a").write_text("text")
    os.mkfifo(tmp_path / "fifo")
    with closing(Store.open(tmp_path / "runner.db")):
        with _opened_for_a_job(tmp_path / "a") as handle:
            assert os.read(handle, 9) == b"text"
            assert real_path(tmp_path / "a", handle) == os.path.realpath(tmp_path / "a")
        with _opened_for_a_job(tmp_path / "fifo") as handle:
            assert os.read(handle, 9) == b""
        with pytest.raises(FileNotFoundError, match="missing"):
            open_for_a_job(tmp_path / "missing")
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(OSError, match="loop"):
            open_for_a_job(tmp_path / "loop")
        with pytest.raises(NeverReadError):
            open_for_a_job(tmp_path / "runner.db")
