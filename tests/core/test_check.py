import pytest

from runner.core.check import Check, CheckKind, CheckTarget

ROWS = CheckKind.ROW_COUNT


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (Check(kind=CheckKind.NOT_NULL, columns=("a",)), "a has no gaps"),
        (Check(kind=CheckKind.NOT_NULL, columns=("a", "b")), "a, b have no gaps"),
        (Check(kind=CheckKind.UNIQUE, columns=("a",)), "a is unique"),
        (Check(kind=CheckKind.UNIQUE, columns=("a", "b")), "a, b together are unique"),
        (Check(kind=CheckKind.ACCEPTED_VALUES, columns=("a",), values=(1, "x")), "a is one of 1, x"),
        (Check(kind=CheckKind.MIN, columns=("a",), at_least=0), "a is at least 0"),
        (Check(kind=CheckKind.MAX, columns=("a",), at_most=9, name="few"), "few (a is at most 9)"),
        (Check(kind=ROWS, at_least=1), "there is at least 1 row"),
        (Check(kind=ROWS, at_most=1), "there is at most 1 row"),
        (Check(kind=ROWS, at_least=1, at_most=1), "there is 1 row"),
        (Check(kind=ROWS, at_least=0, at_most=0), "there are 0 rows"),
        (Check(kind=ROWS, at_least=1, at_most=2), "there are 1 to 2 rows"),
        (Check(kind=ROWS, at_least=2, on=CheckTarget.INPUT), "input: there are at least 2 rows"),
        (Check(kind=ROWS, at_most=2, on=CheckTarget.INPUT, source="s"), "s: there are at most 2 rows"),
    ],
)
def test_a_check_in_words(check, words):
    assert check.words == words
