import contextlib
import io
import json

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.execution.steps.records import read_array, read_lines

TEXTS = st.one_of(
    st.sampled_from(["}, {", '"}, {"a": 1', "[", "]", "2025-01-01", "", "\\", "{"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=4),
)
PLAIN = st.sampled_from(
    [
        st.integers(-(2**53), 2**53),
        st.floats(allow_nan=False, allow_infinity=False),
        st.one_of(st.integers(-1000, 1000), st.floats(allow_nan=False, allow_infinity=False), st.none()),
        TEXTS,
        st.one_of(TEXTS, st.none()),
        st.booleans(),
        st.one_of(st.booleans(), st.none()),
    ]
)
ODD = st.one_of(
    st.integers(-(2**65), 2**65), st.floats(), st.booleans(), st.none(), TEXTS, st.just([1]), st.just({"a": 1})
)


@st.composite
def plain_records(draw):
    """Records of a few columns, each of one kind; any member may be missing, except from the first record."""
    columns = draw(st.dictionaries(st.sampled_from(["a", "b", "A b", "}, {"]), PLAIN, min_size=1))
    first = {name: draw(cells.filter(lambda cell: cell is not None)) for name, cells in columns.items()}
    more = st.fixed_dictionaries({}, optional=columns)
    return [first, *draw(st.lists(more, max_size=8))]


def as_array(records, separators=None):
    return io.BytesIO(json.dumps(records, separators=separators).encode())


def as_lines(records):
    return io.BytesIO("\n".join(map(json.dumps, records)).encode())


@pytest.mark.long
@settings(max_examples=100)
@given(records=plain_records(), piece=st.integers(1, 60))
def test_plain_records_are_what_pandas_makes_of_them(records, piece):
    expected = pd.DataFrame(records)
    pd.testing.assert_frame_equal(read_lines(as_lines(records), piece=piece), expected)
    # A text full of what looks like ends of records may be left to the other way of reading.
    found = read_array(as_array(records), piece=piece)
    if found is not None:
        pd.testing.assert_frame_equal(found, expected)
    else:
        assert sum(str(record).count("}") for record in records) > len(records)


@pytest.mark.long
@settings(max_examples=100)
@given(
    records=st.lists(st.dictionaries(st.sampled_from("abc"), ODD), max_size=6),
    piece=st.integers(1, 60),
    separators=st.sampled_from([(",", ":"), (" ,\n", " : ")]),
)
@example(records=[{}, {"a": 2**53 + 1}], piece=1, separators=(",", ":"))
@example(records=[{"a": None}, {"a": -(2**63)}], piece=1, separators=(",", ":"))
def test_other_records_are_as_pandas_has_them_or_left(records, piece, separators):
    expected = with_whole_numbers(records)
    for found in (
        read_array(as_array(records, separators), piece=piece),
        read_lines(as_lines(records), piece=piece),
    ):
        if found is not None:
            pd.testing.assert_frame_equal(found, expected)


def with_whole_numbers(records):
    """What pandas makes of records, but of whole numbers beside gaps that a float would round."""
    frame = pd.DataFrame(records)
    for name in frame.columns:
        cells = [record.get(name) for record in records]
        whole = [cell for cell in cells if cell is not None]
        if len(whole) < len(cells) and {type(cell) for cell in whole} == {int} and max(map(abs, whole)) > 2**53:
            with contextlib.suppress(OverflowError):
                frame[name] = pd.array(cells, dtype="Int64")
    return frame


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[",
        "{}",
        "[{}]",
        '[{"a": 1}',
        '[{"a": 1},]',
        '[{"a": 1},,{"a": 2}]',
        '[,{"a": 1}]',
        '[{"a": 1}] 2',
        '[{"a": 1}, {"a": 2}], "more": [{"a": 3}]',
        '[{"a": NaN}]',
        '[{"a": 1e400}]',
        '[{"a": "\\ud800"}]',
        '[{"a": 1}, 2]',
        '[{"a": true}, {"a": "x"}]',
        '[{"a\\"b": 1}]',
        '[{"a\\\\b": 1}]',
        '[{"a\\n": 1}]',
        '[{"a": 1}\x0b, {"a": 2}]',
        '\x0c[{"a": 1}]',
        '[{"a": 1}, {"a": true}]',
        '[{"a": 1}, {"a": "1"}]',
        '[{"a": 9223372036854775808}]',
        '[{"a": 9007199254740993}, {"a": 0.5}]',
        "[" * 100_000,
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
@pytest.mark.usefixtures("no_collection")
def test_what_is_not_plain_is_left(text, piece):
    assert read_array(io.BytesIO(text.encode()), piece=piece) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        '{"a": 1}\n\x0b\n',
        '{"a": 1} {"a": 2}',
        '{"a": 1},\n{"a": 2}',
        '{"a": 1}, {"a": 2}\n\n',
        "[]",
        "1",
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_lines_that_are_no_records_are_left(text, piece):
    assert read_lines(io.BytesIO(text.encode()), piece=piece) is None


def test_bytes_that_are_no_text_are_left():
    assert read_array(io.BytesIO(b'[{"a": "\xff"}]')) is None
    assert read_lines(io.BytesIO(b'{"a": "\xff"}')) is None


def test_a_part_of_a_file_is_read():
    file = io.BytesIO(b'{"data": [{"a": 1}, {"a": 2}], "next": null}')
    file.seek(9)
    assert read_array(file, size=20, piece=3)["a"].tolist() == [1, 2]


def test_columns_that_come_later_have_gaps_before():
    records = [{"a": 1}] * 100 + [{"b": "x", "a": 2}]
    pd.testing.assert_frame_equal(read_array(as_array(records), piece=50), pd.DataFrame(records))


GAPS = st.fixed_dictionaries(
    {"a": st.just(1)},
    optional={
        "nothing": st.none(),
        "truth": st.one_of(st.booleans(), st.none()),
        "late": st.sampled_from([None, "x"]),
    },
)


@pytest.mark.long
@settings(max_examples=100)
@given(records=st.lists(GAPS, min_size=1, max_size=8), piece=st.integers(1, 60))
def test_a_null_is_told_from_a_missing_member_where_pandas_does(records, piece):
    expected = pd.DataFrame(records)
    pd.testing.assert_frame_equal(read_array(as_array(records), piece=piece), expected)
    found = read_lines(as_lines(records), piece=piece)
    pd.testing.assert_frame_equal(found, expected)
    shown = expected.map(repr)
    pd.testing.assert_frame_equal(found.map(repr), shown)


def test_a_column_of_nulls_is_read_as_quickly_as_others():
    records = [{"a": place, "nothing": None} for place in range(1000)]
    found = read_array(as_array(records), piece=4096)
    assert found["nothing"].dtype == object
    assert set(found["nothing"]) == {None}


@pytest.mark.parametrize("piece", [20, 1 << 20])
def test_the_cells_can_be_written_to(piece):
    records = [{"n": 1, "x": 0.5, "text": "a", "truth": True, "gap": None}, {"n": 2, "x": 1.5, "text": "b"}]
    found = read_array(as_array([*records, records[0]]), piece=piece)
    found.loc[found["n"] == 1, "x"] = 0.0
    found.loc[0, ["n", "text", "truth"]] = [5, "c", False]
    assert found["x"].tolist() == [0.0, 1.5, 0.0]
    assert found.loc[0, ["n", "text", "truth"]].tolist() == [5, "c", False]


def test_blank_lines_and_line_ends_of_windows_are_passed_over():
    assert read_lines(io.BytesIO(b'\xef\xbb\xbf{"a": 1}\r\n \r\n\n{"a": 2}'))["a"].tolist() == [1, 2]


@pytest.mark.long
def test_a_text_without_an_end_is_not_looked_at_for_ever():
    assert read_array(io.BytesIO(b'[{"a": "' + b"}, {" * 10_000_000), piece=1 << 22) is None
    assert read_lines(io.BytesIO(b'{"a": "' + b"x" * 40_000_000), piece=1 << 22) is None
