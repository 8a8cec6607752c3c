import pytest

from runner.core.chart import LARGEST_CHART, chart_words, is_chart
from runner.core.job import Chart, ChartKind

SIGNATURE = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        (SIGNATURE + b"x", True),
        (SIGNATURE.ljust(LARGEST_CHART, b"x"), True),
        (SIGNATURE.ljust(LARGEST_CHART + 1, b"x"), False),
        (b"<svg onload=alert(1)>", False),
        (b"", False),
    ],
)
def test_only_a_png_of_some_size_is_shown(content, shown):
    assert is_chart(content) is shown


def test_what_a_chart_shows_in_words():
    chart = Chart(kind=ChartKind.LINE, x="day", y=("north", "south"))
    assert chart_words(chart) == "Line chart of north, south by day"
    assert chart_words(Chart(kind=ChartKind.BAR, x="day", y=("a",), title="Sales")) == "Sales"
    assert chart_words(None) == "Chart of the result"
