import pytest

from runner.jobfiles.parse import parse


@pytest.mark.parametrize(
    ("text", "line", "column", "place"),
    [
        ("a: |\n  one\n    two\n", 1, 1, (2, 3)),
        ("a: |\n  one\n    two\n", 2, 3, (3, 5)),
        ("a: |\n\n\n  one\n", 3, 1, (4, 3)),
        ("a: |\r\n  one\r\n  two\r\n", 2, 1, (3, 3)),
        ("a: |2\n    one\n", 1, 3, (2, 5)),
        ("a: |\n  \n", 1, 1, (2, 1)),
        ("a: >\n  one\n  two\n", 1, 1, (1, 1)),
        ("a: 'one'\n", 1, 2, (1, 6)),
    ],
)
def test_places_inside_a_text(text, line, column, place):
    document, _ = parse("a.yaml", text)
    span = document.at_line(("a",), line, column, line, column + 1)
    assert (span.line, span.column) == place


def test_many_places_in_a_long_text_are_told_at_once(cpu_seconds):
    document, findings = parse("a.yaml", "a: |\n" + "  x = 1\n" * 30_000)
    assert not findings
    numbers = range(1, 1001)
    spans, seconds = cpu_seconds(lambda: [document.at_line(("a",), number, 1, number, 2) for number in numbers])
    assert [span.line for span in spans] == [number + 1 for number in numbers]
    assert seconds < 0.5
