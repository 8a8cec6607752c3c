"""Checks of data: what a job expects of its input and of its result, and what was found."""

from dataclasses import dataclass, field
from enum import StrEnum

from runner.core.preview import Preview

CheckValue = str | int | float | bool


class CheckKind(StrEnum):
    """What is expected."""

    NOT_NULL = "not_null"
    UNIQUE = "unique"
    ACCEPTED_VALUES = "accepted_values"
    MIN = "min"
    MAX = "max"
    ROW_COUNT = "row_count"


class CheckTarget(StrEnum):
    """Which table is looked at."""

    RESULT = "result"
    INPUT = "input"


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """One expectation. A blocking one that does not hold keeps the result from its consumers.

    `columns` are all that must be without gaps, those whose combination is unique, or the one that is bounded.
    `at_least` and `at_most` are the bounds of MIN, MAX and ROW_COUNT. `source` names the input that is looked at;
    empty: the first. A gap is no value: only NOT_NULL and ROW_COUNT are about rows with gaps.
    """

    kind: CheckKind
    columns: tuple[str, ...] = ()
    values: tuple[CheckValue, ...] = ()
    at_least: CheckValue | None = None
    at_most: CheckValue | None = None
    on: CheckTarget = CheckTarget.RESULT
    source: str = ""
    blocking: bool = True
    name: str = ""

    @property
    def words(self) -> str:
        """What is expected, as people read it: `amount is at least 0`."""
        columns = ", ".join(self.columns)
        rule = {
            CheckKind.NOT_NULL: f"{columns} {'has' if len(self.columns) == 1 else 'have'} no gaps",
            CheckKind.UNIQUE: f"{columns} {'is' if len(self.columns) == 1 else 'together are'} unique",
            CheckKind.ACCEPTED_VALUES: f"{columns} is one of {', '.join(map(str, self.values))}",
            CheckKind.MIN: f"{columns} is at least {self.at_least}",
            CheckKind.MAX: f"{columns} is at most {self.at_most}",
            CheckKind.ROW_COUNT: _row_words(self.at_least, self.at_most),
        }[self.kind]
        if self.on is CheckTarget.INPUT:
            rule = f"{self.source or 'input'}: {rule}"
        return f"{self.name} ({rule})" if self.name else rule


def _row_words(at_least: CheckValue | None, at_most: CheckValue | None) -> str:
    if at_least is not None and at_most is not None and at_least != at_most:
        return f"there are {at_least} to {at_most} rows"
    bound = at_most if at_least is None else at_least
    bounded = "" if at_least == at_most else "at most " if at_least is None else "at least "
    return f"there is {bounded}1 row" if bound == 1 else f"there are {bounded}{bound} rows"


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckResult:
    """What was found of one check.

    `words` is the expectation, `found` what was found instead, one sentence, empty where it holds. `failed_rows`
    counts the rows that break it, `rows` are the first of them.
    """

    words: str
    blocking: bool
    passed: bool
    found: str = ""
    failed_rows: int = 0
    rows: Preview = field(default_factory=Preview)
