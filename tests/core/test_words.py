from hypothesis import given
from hypothesis import strategies as st

from runner.core.words import counted, kind_words, one_line, squeezed, visible


def test_what_cannot_be_seen_is_told():
    assert visible("a\x1b[31mb\r\nc\td\u202ee\ud800") == "a\\x1b[31mb\nc\td\\u202ee\\ud800"
    assert one_line(" a\nb\r\nc\td ") == "a b c d"


@given(st.text(max_size=60) | st.text(st.characters(codec=None), max_size=60))
def test_a_line_is_one_line_that_can_be_encoded(text):
    line = one_line(text)
    line.encode("utf-8")
    assert len(line.splitlines()) <= 1


def test_a_long_error_keeps_its_beginning_and_its_place():
    place = "(jobs.d/a.yaml, line 8)"
    assert squeezed(f"KeyError: 'a' {place}", 100) == f"KeyError: 'a' {place}"
    short = squeezed(f"ValueError: {'x' * 5000} {place}", 100)
    assert (len(short), short[:14], short[-24:]) == (100, "ValueError: xx", f" {place}")


def test_one_is_told_from_many():
    assert [counted(count, "job") for count in (0, 1, 2, 10_000)] == ["0 jobs", "1 job", "2 jobs", "10,000 jobs"]


def test_a_value_of_json_has_a_kind():
    values = (None, True, 7, 1.5, "a", [1], {"a": 1})
    found = ["nothing", "a boolean", "a number", "a number", "a text", "an array", "an object"]
    assert list(map(kind_words, values)) == found
