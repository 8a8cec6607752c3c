import os
import resource
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from runner.core.job import Step, StepKind
from runner.core.run import FailureKind
from runner.core.source import FileType
from runner.execution import disk
from runner.execution.disk import DiskWatch
from runner.execution.orders import StepInput, StepOrder
from runner.execution.steps.database import connect, open_database
from runner.execution.steps.perform import perform


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def watch(folder, monkeypatch):
    """Whether the bound, 1 MiB here, is met at the next look."""
    monkeypatch.setattr(disk, "_LEAST_BOUND", 1 << 20)
    monkeypatch.setattr(disk, "_PER_MEMORY", 0)
    monkeypatch.setattr(disk, "MOST_FILES", 20)
    (folder / "in.csv").write_bytes(b"x" * (2 << 20))
    order = StepOrder(
        run_id="r",
        step=Step(kind=StepKind.SCRIPT, text="", path="x"),
        inputs=(StepInput(paths=(str(folder / "in.csv"),), format=FileType.CSV),),
        run_dir=str(folder),
    )
    now = [0.0]
    watching = DiskWatch(order, pidfd=os.pidfd_open(os.getpid()), clock=lambda: now[0])

    def looking(seconds=100.0):
        now[0] += seconds
        return watching.failure if watching.met() else None

    return looking


@contextmanager
def one_descriptor_left():
    """This process can open one more file, and no other while that is open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    last = os.open(os.devnull, os.O_RDONLY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (last + 1, hard))
    try:
        os.close(last)
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_what_was_there_before_does_not_count(watch):
    assert watch() is None


def test_the_folder_as_a_whole_is_bounded(watch, folder):
    for name in ("a", "b", "c"):
        (folder / name).mkdir()
        (folder / name / "part").write_bytes(b"x" * (400 << 10))
    assert watch(0.1) is None, "it looks only now and then"
    failure = watch()
    assert failure.kind is FailureKind.DISK
    assert "1.0 MB" in failure.message
    assert "resources.memory_mb" in failure.hint


def test_a_file_counts_once_and_by_what_it_takes(watch, folder):
    with (folder / "sparse").open("wb") as file:
        file.truncate(1 << 30)
    (folder / "one").write_bytes(b"x" * (600 << 10))
    os.link(folder / "one", folder / "two")
    (folder / "away").symlink_to("/usr")
    assert watch() is None


def test_files_without_a_name_count(watch, folder):
    with (folder / "gone").open("wb") as file:
        (folder / "gone").unlink()
        file.write(b"x" * (2 << 20))
        file.flush()
        assert watch().kind is FailureKind.DISK


def test_many_empty_files_count(watch, folder):
    for number in range(30):
        (folder / str(number)).touch()
    assert "more than 20 files" in watch().message


def test_many_names_of_one_file_count(watch, folder):
    (folder / "0").touch()
    for number in range(1, 30):
        os.link(folder / "0", folder / str(number))
    assert "more than 20 files" in watch().message


def test_what_is_nested_too_deep_counts(watch, folder, monkeypatch):
    monkeypatch.setattr(disk, "MOST_FILES", 10_000)
    monkeypatch.chdir(folder)
    for _ in range(30):
        Path("d" * 200).mkdir()
        os.chdir("d" * 200)
    assert "nested too deep" in watch().message


def test_where_it_cannot_look_it_looks_again_later(watch, folder):
    (folder / "part").write_bytes(b"x" * (2 << 20))
    with one_descriptor_left():
        assert watch() is None
    assert watch().kind is FailureKind.DISK


def test_the_disk_is_not_filled_up(watch, monkeypatch):
    free, reserve = disk._free_space("/")
    monkeypatch.setattr(disk, "_free_space", lambda _: (reserve - 1, reserve))
    assert free > reserve
    assert "has only" in watch().message


def test_a_disk_that_was_full_before_ends_nothing(watch, monkeypatch):
    free, _ = disk._free_space("/")
    monkeypatch.setattr(disk, "_free_space", lambda _: (free, free + 1))
    assert watch() is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (StepKind.QUERY, "SELECT repeat('x', 1000) AS a FROM range(2000)"),
        (StepKind.SCRIPT, "result = pd.DataFrame({'a': ['x' * 1000] * 2000})"),
        (StepKind.SCRIPT, "result = pd.DataFrame({'a': ['x' * 50] * 30000})"),
        (StepKind.PASS_THROUGH, ""),
    ],
    ids=["query", "script", "script whose result DuckDB writes", "pass through"],
)
def test_a_result_that_is_larger_than_a_file_may_be_is_told(folder, kind, text):
    (folder / "in.csv").write_text("a\n" + "x\n" * (1 << 20))
    order = StepOrder(
        run_id="r",
        step=Step(kind=kind, text=text, path="jobs.d/large.yaml"),
        inputs=(StepInput(paths=(str(folder / "in.csv"),), format=FileType.CSV),),
        run_dir=str(folder),
    )
    database = open_database()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        failure = perform(partial(connect, database, order), order).failure
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        database.close()
    assert failure.kind is FailureKind.DISK
    assert "4 GiB of one file" in failure.message
    assert "fewer rows" in failure.hint
