from hypothesis import given
from hypothesis import strategies as st

from runner.core.words import one_line, visible


def test_what_cannot_be_seen_is_told():
    assert visible("a\x1b[31mb\r\nc\td\u202ee\ud800") == "a\\x1b[31mb\nc\td\\u202ee\\ud800"
    assert one_line(" a\nb\r\nc\td ") == "a b c d"


@given(st.text(max_size=60) | st.text(st.characters(codec=None), max_size=60))
def test_a_line_is_one_line_that_can_be_encoded(text):
    line = one_line(text)
    line.encode("utf-8")
    assert len(line.splitlines()) <= 1
