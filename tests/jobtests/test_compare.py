import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.jobtests.compare import compare_columns, compare_row_count, compare_rows, summary, together
from runner.jobtests.values import Difference, DifferenceKind, Rows, Table

ROWS = Rows(columns=("region", "amount"), cells=(("north", 120), ("south", 80), ("east", None)))


def table(*rows, columns=("region", "amount")):
    return Table(columns=columns, rows=rows)


def compare(rows, got, *, tolerance=None, row_order=False):
    return compare_rows(rows, got, tolerance=tolerance, row_order=row_order)


def test_the_same_rows_in_any_order_of_rows_and_columns():
    got = table(("", "east"), ("120.0", "north"), ("80", "south"), columns=("amount", "region"))
    assert compare(ROWS, got).equal


def test_the_order_of_rows_counts_when_asked_for():
    got = table(("south", "80"), ("north", "120"), ("east", ""))
    assert compare(ROWS, got).equal
    found = compare(ROWS, got, row_order=True)
    assert [(one.row, one.column, one.expected, one.got) for one in found.differences] == [
        (1, "region", "north", "south"),
        (1, "amount", "120", "80"),
        (2, "region", "south", "north"),
        (2, "amount", "80", "120"),
    ]


def test_a_row_that_is_nearly_there_is_told_by_its_cells():
    found = compare(ROWS, table(("south", "81"), ("north", "120"), ("west", "1")))
    assert found.differences == (
        Difference(kind=DifferenceKind.CELL, row=2, column="amount", expected="80", got="81"),
        Difference(kind=DifferenceKind.MISSING_ROW, row=3, expected="region=east, amount="),
        Difference(kind=DifferenceKind.SURPLUS_ROW, row=3, got="region=west, amount=1"),
    )
    assert summary(found) == "1 cell differs, 1 row is missing, 1 row is not expected"


def test_columns_come_before_rows():
    found = compare(ROWS, table(("a", "1", "x"), columns=("region", "Amount", "extra")))
    assert [(one.kind, one.column) for one in found.differences] == [
        ("missing_column", "amount"),
        ("surplus_column", "Amount"),
        ("surplus_column", "extra"),
    ]


def test_columns_of_one_name_are_told_apart_by_place():
    rows = Rows(columns=("a", "a"), cells=((1, 2),))
    assert compare(rows, table(("1", "2"), columns=("a", "a"))).equal
    assert not compare(rows, table(("2", "1"), columns=("a", "a"))).equal


@pytest.mark.parametrize("row_order", [False, True])
def test_no_rows_are_expected(row_order):
    assert compare(Rows(), table(), row_order=row_order).equal
    found = compare(Rows(), table(("north", "1")), row_order=row_order)
    assert summary(found) == "1 row is not expected"


@pytest.mark.parametrize("row_order", [False, True])
def test_missing_and_surplus_rows(row_order):
    fewer = compare(ROWS, table(("north", "120")), row_order=row_order)
    assert [one.row for one in fewer.differences] == [2, 3]
    more = compare(
        Rows(columns=("region", "amount"), cells=(("north", 120),)),
        table(("north", "120"), ("south", "80")),
        row_order=row_order,
    )
    assert [(one.row, one.got) for one in more.differences] == [(2, "region=south, amount=80")]


def test_names_and_order_of_columns():
    assert compare_columns(("region", "amount"), table()).equal
    found = compare_columns(("amount", "region"), table())
    assert summary(found) == "2 columns stand in other places"
    assert summary(compare_columns(("region",), table())) == "1 column is not expected"


def test_the_number_of_rows():
    assert compare_row_count(0, table()).equal
    assert summary(compare_row_count(2, table())) == "the number of rows differs"


def test_all_differences_are_counted_and_the_first_kept():
    rows = Rows(columns=("a", "b"), cells=tuple((n, 0) for n in range(50)))
    found = compare(rows, Table(columns=("a", "b"), rows=tuple((str(n), "1") for n in range(50))))
    assert len(found.differences) == 20
    assert summary(found) == "50 cells differ"


def test_what_two_comparisons_find_is_told_once():
    one = compare(ROWS, table(("north", "120")))
    both = together([one, one, compare_row_count(3, table(("north", "120")))])
    assert summary(both) == "the number of rows differs, 2 rows are missing"
    assert len(both.differences) == 3


def test_long_cells_are_cut():
    rows = Rows(columns=("a",), cells=(("x" * 1000,),))
    (one,) = compare(rows, Table(columns=("a",), rows=(("y" * 1000,),))).differences
    assert len(one.expected) == len(one.got) == 200


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(-3, 3)), max_size=8), st.randoms())
def test_a_shuffled_table_is_the_same(cells, random):
    got = [(text, str(number)) for text, number in cells]
    random.shuffle(got)
    assert compare(Rows(columns=("region", "amount"), cells=tuple(cells)), table(*got)).equal
