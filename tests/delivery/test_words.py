from hypothesis import given
from hypothesis import strategies as st

from runner.delivery.words import pad, shorten, visible, width


def test_widths_are_those_of_a_terminal():
    assert [width(text) for text in ("abc", "東京", "e\u0301", "")] == [3, 4, 1, 0]
    assert pad("東京", 6) == "東京  "
    assert pad("7", 3, right=True) == "  7"
    assert shorten("東京都庁", 5) == "東京…"


@given(st.text(max_size=60), st.integers(1, 40))
def test_a_shortened_text_fits(text, limit):
    short = shorten(visible(text), limit)
    assert width(short) <= limit
