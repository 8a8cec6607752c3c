"""The chart of a run in its mail, or why it is not there."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from runner.core.chart import chart_words, is_chart
from runner.core.report import Report, size_words
from runner.delivery.attachment import Attached, fits
from runner.delivery.words import one_line, shorten

_WORDS = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A PNG that stands in the HTML part; `words` are for those who do not see it."""

    words: str
    name: str
    content: bytes


def picture_of(report: Report, attached: Attached) -> tuple[Picture | None, str]:
    """The chart beside what is attached, or None and a sentence that says why; both empty where there is none.

    The result comes first: where both are too large for one mail, the chart stays out of it.
    """
    content = report.chart
    if content is None and report.run.chart_file is None:
        return None, ""
    if content is None or not is_chart(content):
        return None, "The chart is left out: it cannot be read as a picture that a mail could show."
    file = attached.attachment
    if not fits(content, file.content if file else b"", beside=attached.beside):
        size = size_words(len(content))
        return None, f"The chart, {size}, is left out: the mail would be too large. The page of the run shows it."
    local = report.run.scheduled_time.astimezone(ZoneInfo(report.job.timezone))
    words = shorten(one_line(chart_words(report.job.chart)), _WORDS)
    name = f"{one_line(report.run.job_name)}_{local:%Y-%m-%d}.png"
    return Picture(words=words, name=name, content=content), ""
