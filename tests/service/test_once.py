"""Where the result of a run by hand is written."""

import os
from pathlib import Path

import pytest

from runner.errors import RunnerError
from runner.service.once import require_place, write_result

RESULT = b"region,amount\nnorth,1\n"


@pytest.fixture
def write(tmp_path):
    """Writes the kept result of a run to a path."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "result.csv").write_bytes(RESULT)
    return lambda path: write_result(tmp_path / "run", path)


def test_a_link_is_followed_and_stays(tmp_path, write):
    (tmp_path / "out").mkdir()
    link = tmp_path / "latest.csv"
    link.symlink_to("out/today.csv")
    write(link)
    assert link.is_symlink()
    assert (tmp_path / "out" / "today.csv").read_bytes() == RESULT
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["today.csv"]


def test_a_pipe_is_written_to_and_never_replaced(tmp_path, write):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write(pipe)
        assert os.read(reader, 1000) == RESULT
    finally:
        os.close(reader)
    assert pipe.is_fifo()


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path, write):
    (tmp_path / "out.csv").mkdir()
    (tmp_path / "out.csv" / "file").touch()
    with pytest.raises(RunnerError, match=r"out\.csv cannot be written: ") as refused:
        write(tmp_path / "out.csv")
    assert "runner history" in refused.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "run"]


def test_a_place_is_tried_before_the_run(tmp_path):
    require_place(tmp_path / "new.csv")
    (tmp_path / "gone.csv").symlink_to("nowhere/out.csv")
    for path in (tmp_path / "nowhere" / "out.csv", tmp_path / "gone.csv"):
        with pytest.raises(RunnerError, match=f"{path} cannot be written: there is no folder {tmp_path}/nowhere"):
            require_place(path)


def test_a_place_that_cannot_be_looked_at_is_told(tmp_path):
    with pytest.raises(RunnerError, match=r"cannot be written: File name too long$") as refused:
        require_place(tmp_path / f"{'x' * 300}.csv")
    assert "Nothing has been run" in refused.value.hint


def test_what_the_shell_adds_to_keeps_what_it_held(tmp_path, write):
    """As `runner run JOB --output /dev/stdout >> all.csv`."""
    kept = tmp_path / "all.csv"
    kept.write_bytes(b"of yesterday\n")
    with kept.open("ab") as shell:
        for path in (Path(f"/dev/fd/{shell.fileno()}"), Path(f"/proc/self/fd/{shell.fileno()}")):
            require_place(path)
            write(path)
    assert kept.read_bytes() == b"of yesterday\n" + RESULT + RESULT
