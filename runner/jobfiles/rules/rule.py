"""One rule of the checker, and how its examples are put together."""

from collections.abc import Mapping
from dataclasses import dataclass

from runner.core.diagnostic import Severity

FILE_MARK = "# file: "
FILE_SOURCE = """\
data_source:
  source_type: file
  location: data/sales.csv
  file_type: csv
"""
API_SOURCE = """\
data_source:
  source_type: api
  location: https://api.example.com/sales
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """Something that `validate` looks for.

    `severity` is that of its findings; where a rule has both, that of the worse ones or of the usual ones, as
    `reason` tells. `summary` is one line: what a finding means. `reason` says why it is a rule.

    `bad` gives a finding of the rule, `good` none at all: each the text of one job file, or several files, each
    below a line `# file: PATH`. Where no text can show it both are empty, and `no_example` says why.
    """

    name: str
    severity: Severity = Severity.ERROR
    summary: str
    reason: str
    bad: str = ""
    good: str = ""
    no_example: str = ""


def job(
    rest: str = "",
    *,
    name: str = "job_name: daily_sales\n",
    schedule: str = 'schedule_time: "0 9 * * 1-5"\n',
    source: str = FILE_SOURCE,
    consumers: str = "consumer_emails:\n  - analyst@example.com\n",
) -> str:
    """The text of a small job; each part is whole lines."""
    return name + schedule + source + rest + consumers


def files(texts: Mapping[str, str]) -> str:
    """An example of several files, by their paths in the project."""
    return "".join(f"{FILE_MARK}{path}\n{text}" for path, text in texts.items())
