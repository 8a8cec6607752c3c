from hypothesis import given
from hypothesis import strategies as st

from runner.delivery.words import one_line, pad, shorten, visible, width


def test_what_cannot_be_seen_is_told():
    assert visible("a\x1b[31mb\r\nc\td\u202ee\ud800") == "a\\x1b[31mb\nc\td\\u202ee\\ud800"
    assert one_line(" a\nb\r\nc\td ") == "a b c d"


def test_widths_are_those_of_a_terminal():
    assert [width(text) for text in ("abc", "東京", "e\u0301", "")] == [3, 4, 1, 0]
    assert pad("東京", 6) == "東京  "
    assert pad("7", 3, right=True) == "  7"
    assert shorten("東京都庁", 5) == "東京…"


@given(st.text(max_size=60), st.integers(1, 40))
def test_a_shortened_text_fits(text, limit):
    short = shorten(visible(text), limit)
    assert width(short) <= limit


@given(st.text(max_size=60) | st.text(st.characters(codec=None), max_size=60))
def test_a_line_is_one_line_that_can_be_encoded(text):
    line = one_line(text)
    line.encode("utf-8")
    assert len(line.splitlines()) <= 1
