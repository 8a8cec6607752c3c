"""The pairing against a slow oracle: augmenting paths over every pair of rows."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.jobtests.cells import matches
from runner.jobtests.matching import unmatched_rows


def most_pairs(expected, got, tolerance):
    """The size of a largest matching."""
    fits = [
        [place for place, row in enumerate(got) if all(map(lambda a, b: matches(a, b, tolerance), wanted, row))]
        for wanted in expected
    ]
    partner = {}

    def place(number, seen):
        for other in fits[number]:
            if other not in seen:
                seen.add(other)
                if other not in partner or place(partner[other], seen):
                    partner[other] = number
                    return True
        return False

    return sum(place(number, set()) for number in range(len(expected)))


CELLS = st.one_of(
    st.sampled_from([None, True, False, "a", "b", "", "true", "1", "007", 0, 1, 2, 3, 0.5, 1.5, -1, 1e9, 1000000001, -0.75]),
    st.integers(-4, 4).map(lambda number: number / 2),
)  # fmt: skip
TEXTS = st.sampled_from(
    ["", "True", "false", "a", "b", "1", "1.0", "2", "3", "0.5", "1.5", "2.5", "-1", "-0.5", "0", "007", "1000000000", "1000000001"]
)  # fmt: skip
TOLERANCES = st.sampled_from([None, 0.0, 0.1, 0.5, 1.0, 2.0])


@st.composite
def tables(draw):
    width = draw(st.integers(1, 3))
    expected = draw(st.lists(st.tuples(*[CELLS] * width), max_size=7))
    got = draw(st.lists(st.tuples(*[TEXTS] * width), max_size=7))
    return expected, got


@pytest.mark.long
@settings(max_examples=150)
@given(tables(), TOLERANCES)
@example(([(1.0,), (1.5,)], [("1.5",), ("2.0",)]), 0.5)
@example(([(1,)] * 3 + [(2,)] * 3, [("1.5",)] * 4 + [("2.5",)] * 2), 0.5)
def test_as_many_rows_as_possible_are_paired(rows, tolerance):
    expected, got = rows
    missing, surplus = unmatched_rows(expected, got, tolerance)
    pairs = most_pairs(expected, got, tolerance)
    assert (len(missing), len(surplus)) == (len(expected) - pairs, len(got) - pairs)
    assert missing == sorted(set(missing))
    assert surplus == sorted(set(surplus))
    kept = [row for place, row in enumerate(expected) if place not in missing]
    found = [row for place, row in enumerate(got) if place not in surplus]
    assert most_pairs(kept, found, tolerance) == len(kept) == len(found)


COUNT = 4_000
TABLES = {
    "texts": ([(f"r{n}", n) for n in range(COUNT)], [(f"r{n}", str(n)) for n in range(COUNT)], None),
    "identifiers": ([(1_000_000_000 + n,) for n in range(COUNT)], [(str(1_000_000_000 + n),) for n in range(COUNT)], None),
    "one value": ([(1, "a")] * COUNT, [("1.0", "a")] * COUNT, None),
    "fractions": ([(n / 3,) for n in range(COUNT)], [(f"{n / 3 + 1e-12}",) for n in range(COUNT)], None),
    "within tolerance": ([(n / COUNT,) for n in range(COUNT)], [(f"{n / COUNT + 1e-3}",) for n in range(COUNT)], 0.01),
    "few values, wide": ([(n % 7,) for n in range(COUNT)], [(str(n % 7),) for n in range(COUNT)], 2.0),
    "all alike": ([(n / COUNT,) for n in range(COUNT)], [(f"{n / COUNT}",) for n in range(COUNT)], 100.0),
}  # fmt: skip


@pytest.mark.parametrize("kind", TABLES)
def test_thousands_of_rows_in_another_order(lines_run, kind):
    expected, got, tolerance = TABLES[kind]
    left, lines = lines_run(unmatched_rows, expected, got[::-1], tolerance)
    assert left == ([], [])
    assert lines < 500 * COUNT, "each row looks at few others"


def test_thousands_of_rows_with_one_that_is_wrong(lines_run):
    expected, got, _ = TABLES["texts"]
    left, lines = lines_run(unmatched_rows, expected, [*got[:2000], ("r2000", "0"), *got[2001:]], None)
    assert left == ([2000], [2000])
    assert lines < 500 * COUNT, "each row looks at few others"
