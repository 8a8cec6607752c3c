"""The values of this package: a test as it is written, a table of text, and what became of a test."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from runner.core.job import Job

Cell = str | int | float | bool | None
"""One cell as a job file gives or expects it."""

# Tests are for this time unless they say otherwise: the same on every day. Noon, so that the date is this one in
# nearly every zone.
DEFAULT_TIME = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Expected rows: their columns in order of appearance, and the cells of each row in that order."""

    columns: tuple[str, ...] = ()
    cells: tuple[tuple[Cell, ...], ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What a source gives in a test: `rows`, or the `file` of this location."""

    source: str
    rows: tuple[tuple[tuple[str, Cell], ...], ...] = ()
    file: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """What must come out; None where a test does not say. `tolerance` of None: the rule of `cells`."""

    rows: Rows | None = None
    file: str | None = None
    columns: tuple[str, ...] | None = None
    row_count: int | None = None
    error: str | None = None
    tolerance: float | None = None
    row_order: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class JobTest:
    """One test of a job. `line` is where it starts in the job file."""

    name: str
    line: int
    given: tuple[Given, ...]
    expect: Expectation
    scheduled_time: datetime = DEFAULT_TIME


@dataclass(frozen=True, kw_only=True, slots=True)
class JobWithTests:
    """A job with its tests, none for a job without, and the text of its file."""

    job: Job
    tests: tuple[JobTest, ...]
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A CSV as text: every row has as many cells as there are columns."""

    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


class DifferenceKind(StrEnum):
    """In what a result differs from what is expected."""

    CELL = "cell"
    MISSING_ROW = "missing_row"
    SURPLUS_ROW = "surplus_row"
    MISSING_COLUMN = "missing_column"
    SURPLUS_COLUMN = "surplus_column"
    COLUMN_ORDER = "column_order"
    ROW_COUNT = "row_count"


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """One difference, in words that can be shown.

    `row` counts from 1: that of the expected row, of a surplus row that of the result. `expected` and `got` are
    None where there is nothing on that side, and for an empty cell.
    """

    kind: DifferenceKind
    row: int | None = None
    column: str | None = None
    expected: str | None = None
    got: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """How a result differs: the first differences, and how many there are of each kind in all."""

    differences: tuple[Difference, ...] = ()
    counts: tuple[tuple[DifferenceKind, int], ...] = ()

    @property
    def equal(self) -> bool:
        """True when nothing differs."""
        return not self.counts


class JobTestOutcome(StrEnum):
    """What became of a test. ERROR: it could not be judged."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True, slots=True)
class JobTestResult:
    """What became of one test, or, with an empty `name`, why the tests of a file could not be run.

    `message` is one sentence, empty for a test that passed. `traceback` and `output` are the script's own, with
    the lines of the job file; `updated` is the location of an expected file that was written.
    """

    job_name: str
    path: str
    line: int
    name: str
    outcome: JobTestOutcome
    seconds: float = 0.0
    message: str = ""
    hint: str = ""
    differences: tuple[Difference, ...] = ()
    traceback: str = ""
    output: str = ""
    updated: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class JobTestReport:
    """What became of all tests, in the order of the jobs' paths and of the tests in their files.

    `untested` are the names of the jobs that have none.
    """

    results: tuple[JobTestResult, ...]
    untested: tuple[str, ...]
    seconds: float

    def count(self, outcome: JobTestOutcome) -> int:
        """How many results are of this outcome."""
        return sum(result.outcome is outcome for result in self.results)

    @property
    def clean(self) -> bool:
        """True when every test passed."""
        return self.count(JobTestOutcome.PASSED) == len(self.results)
