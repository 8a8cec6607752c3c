"""The picture of a run, made beside a stranger's script: what is taken for one, and what it is called."""

from runner.core.job import Chart

LARGEST_CHART = 4 << 20
"""In bytes. A larger file is no picture for a mail or a page."""

# PNG (ISO/IEC 15948), section 5.2.
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def is_chart(content: bytes) -> bool:
    """Whether these bytes may be shown: a PNG by its signature, of at most 4 MiB."""
    return content.startswith(_SIGNATURE) and len(content) <= LARGEST_CHART


def chart_words(chart: Chart | None) -> str:
    """What a chart shows, for those who do not see it: its title, or `Line chart of north, south by day`."""
    if chart is None:
        return "Chart of the result"
    return chart.title or f"{str(chart.kind).capitalize()} chart of {', '.join(chart.y)} by {chart.x}"
