"""What is read from the folder of a run that may hold anything."""

import tracemalloc
from datetime import UTC, datetime

import pytest

from runner.core.run import Run, RunState, Trigger
from runner.service.run_folders import read_preview

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MIB = 1 << 20


@pytest.fixture
def preview(tmp_path):
    """The first two rows of a result."""
    run = Run(
        run_id="r",
        job_name="report",
        trigger=Trigger.MANUAL,
        scheduled_time=NOON,
        state=RunState.SUCCEEDED,
        queued_at=NOON,
        rows_out=9,
    )

    def read(content, *, size=None):
        with (tmp_path / "result.csv").open("wb") as file:
            file.write(content)
            file.truncate(size)
        return read_preview(tmp_path, run, 2)

    return read


def test_the_first_rows_of_a_result_are_shown(preview):
    shown = preview('name,n\n"Süd\nOst",1\nNord,2\nWest,x\n'.encode())
    assert (shown.columns, shown.rows) == (("name", "n"), (("Süd\nOst", "1"), ("Nord", "2")))
    assert (shown.numeric, shown.total_rows, shown.total_columns) == ((False, True), 9, 2)


def test_a_last_row_without_a_line_end_is_shown(preview):
    assert preview(b"n\n1\n2").rows == (("1",), ("2",))


@pytest.mark.parametrize("content", [b"", b"\0", b"a,b\n", b'"'])
def test_only_the_head_of_a_huge_result_is_read(preview, content):
    tracemalloc.start()
    try:
        shown = preview(content, size=4 << 30)
        assert tracemalloc.get_traced_memory()[1] < 16 * MIB
    finally:
        tracemalloc.stop()
    assert shown.rows == ()


def test_a_row_that_is_cut_off_is_left_out(preview):
    # Six cells of 200,000 bytes are more than is read, and the last of those is half a letter.
    wide = ",".join(["ü" * 100_000] * 6)
    assert preview(f"n\n1\n{wide}\n".encode()).rows == (("1",),)
    assert preview(f'n\n1\n"{wide}'.encode(), size=2 * MIB).rows == (("1",),)
    assert preview(f"{wide}\n1\n".encode()).columns == ()
