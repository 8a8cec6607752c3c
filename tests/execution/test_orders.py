import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from runner.core.check import Check, CheckKind, CheckResult
from runner.core.job import AttachmentFormat, Step, StepKind
from runner.core.preview import Preview
from runner.core.run import FailureKind, RunFailure
from runner.core.source import FileType, TableOptions
from runner.execution.orders import (
    LARGEST_FRAME,
    FrameError,
    FrameReader,
    Hello,
    StepInput,
    StepOrder,
    StepOutcome,
    clamp,
    decode,
    encode,
)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
COUNT = st.integers(0, 2**53)
ORDERS = st.builds(
    StepOrder,
    run_id=TEXT,
    step=st.builds(Step, kind=st.sampled_from(StepKind), text=TEXT, path=TEXT, first_line=st.integers(1, 10**6)),
    inputs=st.lists(
        st.builds(
            StepInput,
            name=TEXT,
            paths=st.lists(TEXT, max_size=3).map(tuple),
            format=st.sampled_from(FileType),
            records_path=st.none() | TEXT,
            table=st.builds(TableOptions, delimiter=TEXT, dtypes=st.lists(st.tuples(TEXT, TEXT)).map(tuple)),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
    cursor=st.none() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False) | TEXT,
    checks=st.lists(
        st.builds(Check, kind=st.sampled_from(CheckKind), values=st.lists(TEXT | st.booleans()).map(tuple)),
        max_size=2,
    ).map(tuple),
    facts=st.lists(st.tuples(TEXT, TEXT), max_size=4).map(tuple),
    run_dir=TEXT,
    attachment=st.sampled_from(AttachmentFormat),
    defuse_formulas=st.booleans(),
    memory_mb=COUNT,
    cpu_seconds=st.none() | COUNT,
    timeout_seconds=st.floats(0, 1e6),
)
PREVIEWS = st.builds(
    Preview,
    columns=st.lists(TEXT, max_size=15).map(tuple),
    numeric=st.lists(st.booleans(), max_size=15).map(tuple),
    rows=st.lists(st.lists(TEXT, max_size=15).map(tuple), max_size=30).map(tuple),
    total_rows=st.integers(-5, 2**63 - 1),
    total_columns=st.integers(-5, 2**63 - 1),
)
RESULTS = st.builds(
    CheckResult,
    words=TEXT,
    blocking=st.booleans(),
    passed=st.booleans(),
    found=TEXT,
    failed_rows=st.integers(-5, 2**63 - 1),
    rows=PREVIEWS,
)
OUTCOMES = st.builds(
    StepOutcome,
    rows_in=st.none() | st.integers(-5, 2**63 - 1),
    rows_out=st.none() | COUNT,
    result_file=st.none() | TEXT,
    attachment_file=st.none() | TEXT,
    chart_file=st.none() | TEXT,
    checks=st.lists(RESULTS, max_size=3).map(tuple),
    cursor=st.none() | st.integers(-(2**60), 2**60) | TEXT,
    preview=PREVIEWS,
    note=TEXT,
    output=TEXT,
    failure=st.none() | st.builds(RunFailure, kind=st.sampled_from(FailureKind), message=TEXT, hint=TEXT),
)


def body_of(frame):
    reader = FrameReader()
    reader.feed(frame)
    return reader.next_frame()


@pytest.mark.long
@given(ORDERS)
def test_an_order_comes_back_as_it_was(order):
    assert decode(body_of(encode(order)), StepOrder) == order


@pytest.mark.long
@given(OUTCOMES)
def test_an_outcome_comes_back_as_it_was(outcome):
    assert decode(body_of(encode(outcome)), StepOutcome) == outcome


@given(st.binary(max_size=200))
@example(b"\x80")
@example(b"\x81\xa1a\xc0")
def test_noise_is_refused_or_says_nothing(noise):
    try:
        said = decode(noise, StepOutcome)
    except FrameError:
        return
    # A map of nothing that is known, which the parent takes for a step without a result.
    assert said == StepOutcome()


@pytest.mark.long
@given(OUTCOMES, st.integers(-1, 25))
def test_a_clamped_outcome_is_in_order(outcome, rows):
    said = clamp(outcome, preview_rows=rows)
    preview = said.preview
    assert len(preview.columns) <= 12
    assert len(preview.numeric) == len(preview.columns)
    assert len(preview.rows) <= max(rows, 0)
    assert all(len(row) == len(preview.columns) for row in preview.rows)
    assert preview.total_rows >= 0
    assert said.rows_in is None or said.rows_in >= 0
    assert (said.result_file, said.attachment_file, said.chart_file, said.output, said.sandbox) == (
        None,
        None,
        None,
        "",
        "",
    )
    assert all(check.failed_rows >= 0 and len(check.rows.rows) <= 20 for check in said.checks)
    assert said.failure is None or said.failure.kind not in {FailureKind.TIMEOUT, FailureKind.CANCELLED}


def test_long_texts_are_cut():
    failure = RunFailure(kind=FailureKind.SCRIPT, message="m" * 10**6, traceback="t" * 10**6)
    preview = Preview(columns=("c" * 999,), numeric=(True,), rows=(("x" * 999,),))
    said = clamp(StepOutcome(failure=failure, preview=preview), preview_rows=5)
    assert len(said.failure.message) == 2000
    assert len(said.failure.traceback) == 64 << 10
    assert len(said.preview.rows[0][0]) == len(said.preview.columns[0]) == 200


def test_checks_and_cursor_are_cut_to_size():
    rows = Preview(columns=("c",), numeric=(True,), rows=(("x" * 999,),) * 50)
    check = CheckResult(words="w" * 9999, blocking=True, passed=False, found="f" * 9999, rows=rows)
    said = clamp(StepOutcome(checks=(check,) * 500, cursor="x" * 5000, note="n" * 9999), preview_rows=5)
    assert (len(said.checks), said.cursor, len(said.note)) == (100, None, 2000)
    assert (len(said.checks[0].words), len(said.checks[0].rows.rows), len(said.checks[0].rows.rows[0][0])) == (
        500,
        20,
        200,
    )
    for cursor in ("2025-01-01", 2.5, -7, 2**63):
        assert clamp(StepOutcome(cursor=cursor), preview_rows=5).cursor == cursor
    for number in ("nan", "inf", "-inf"):
        assert clamp(StepOutcome(cursor=float(number)), preview_rows=5).cursor is None


@given(st.lists(st.integers(1, 7)), st.lists(TEXT, min_size=1, max_size=3))
def test_frames_come_out_whatever_the_pieces(sizes, words):
    stream = b"".join(encode(Hello(level=word)) for word in words)
    reader, found, position = FrameReader(), [], 0
    for size in [*sizes, len(stream)]:
        reader.feed(stream[position : position + size])
        position += size
        while (body := reader.next_frame()) is not None:
            found.append(decode(body, Hello).level)
    assert found == words


def test_frames_are_bounded():
    reader = FrameReader()
    reader.feed(struct.pack(">I", LARGEST_FRAME + 1))
    with pytest.raises(FrameError, match="too long"):
        reader.next_frame()
    with pytest.raises(FrameError, match="too many"):
        encode(Hello(level="x" * LARGEST_FRAME))


def test_a_number_beyond_a_frame_is_refused(bench):
    bound = Check(kind=CheckKind.MIN, columns=("amount",), at_least=-(2**70))
    order = bench.order("result = data", checks=(bound,))
    with pytest.raises(FrameError, match="too large"):
        encode(order)


def test_a_text_that_is_none_in_utf_8_makes_no_frame():
    order = StepOrder(run_id="r", step=Step(), inputs=(), run_dir="/srv/d\udcff")
    with pytest.raises(FrameError, match=r"not UTF-8: '/srv/d\\udcff'"):
        encode(order)
