import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.jobtests.cells import close, matches, number_of, reach, typed

NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-20, 20).map(lambda number: number / 4),
)
TOLERANCES = st.one_of(st.none(), st.sampled_from([0.0, 1e-9, 0.25, 1.0, 3.0]))


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("-5", -5),
        ("120", 120),
        ("1.50", 1.5),
        ("2.", 2.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-1.5E-2", -0.015),
    ],
)
def test_what_is_a_number(text, number):
    assert number_of(text) == number
    assert type(number_of(text)) is type(number)


@pytest.mark.parametrize(
    "text", ["", "00123", "1,000", "1_000", "١", " 1", "1 ", "0x1f", "nan", "inf", "1e999", "9" * 301, "-", "."]
)
def test_what_is_none(text):
    assert number_of(text) is None


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ("north", "north"), ("00123", "00123"), ("", ""), (None, ""), (120, "120"), (120, "120.0"), (120.0, "120"),
        (0.3, "0.30000000000000004"), (0, "5.551115123125783e-17"), (True, "True"), (True, "true"), (False, "False"),
        ("2026-01-31", "2026-01-31"), (1234567890, "1234567890.0"), (1234567890.5, "1234567890.6"),
        (9007199254740993, "9007199254740992.0"), (1e20, "100000000000000016384.0"), (10**10, "9999999999.999998"),
    ],
)  # fmt: skip
def test_cells_that_match(expected, got):
    assert matches(expected, got, None)


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ("north", "North"), ("00123", "123"), (123, "00123"), ("120", "120.0"), (None, "0"), (0, ""), (False, ""), (1, "True"),
        (True, "1"), (True, "False"), (1234567890, "1234567891"), (1, "1.00001"), ("-5", "'-5"), (5, "five"),
        (12345678901, "12345678902.0"), (12345678901.0, "12345678902"), (1767225600000.0, "1767225600001.0"),
    ],
)  # fmt: skip
def test_cells_that_do_not(expected, got):
    assert not matches(expected, got, None)


def test_a_tolerance_is_relative_and_absolute():
    assert close(1000, 1009, 0.01)
    assert not close(1000, 1012, 0.01)
    assert close(0, 0.009, 0.01)
    assert close(9007199254740993, 9007199254740993, 0.0)
    assert not close(9007199254740993, 9007199254740992, 0.0)


@given(NUMBERS, NUMBERS, TOLERANCES)
def test_numbers_that_are_close_lie_within_reach(one, other, tolerance):
    assert close(one, other, tolerance) == close(other, one, tolerance)
    if close(one, other, tolerance):
        assert abs(one - other) <= max(reach(one, tolerance), reach(other, tolerance))


@pytest.mark.parametrize(
    ("text", "meant"),
    [("", None), ("TRUE", True), ("false", False), ("1.0", 1.0), ("007", "007"), ("north", "north")],
)
def test_what_a_cell_of_a_file_means(text, meant):
    assert typed(text) == meant
    assert type(typed(text)) is type(meant)


@given(st.text(max_size=8), TOLERANCES)
def test_a_cell_of_a_file_means_itself(text, tolerance):
    assert matches(typed(text), text, tolerance)
