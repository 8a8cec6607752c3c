"""What a step did against what its test expects → the result of the test. Pure."""

from dataclasses import dataclass, replace

from runner.core.run import FailureKind, RunFailure
from runner.core.words import counted
from runner.jobfiles.lint.job_tests import expected_file_hint
from runner.jobtests.compare import compare_columns, compare_row_count, compare_rows, summary, together
from runner.jobtests.tables import TableError, expected_rows, read_table
from runner.jobtests.values import Comparison, Difference, Expectation, JobTestOutcome, Table

# Not the job's doing: a test that ends so says nothing about it.
_NOT_JUDGED = frozenset({FailureKind.INTERNAL, FailureKind.CANCELLED})
_ORDER_HINT = "The rows are those that are expected: sort them in the step, or leave `row_order` out."


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """How a test ended, in words."""

    outcome: JobTestOutcome
    message: str = ""
    hint: str = ""
    differences: tuple[Difference, ...] = ()


PASSED = Judgement(outcome=JobTestOutcome.PASSED)


def failed(message: str, hint: str = "") -> Judgement:
    """The step does not do what is expected of it."""
    return Judgement(outcome=JobTestOutcome.FAILED, message=message, hint=hint)


def not_judged(message: str, hint: str = "") -> Judgement:
    """The test says nothing about the step."""
    return Judgement(outcome=JobTestOutcome.ERROR, message=message, hint=hint)


def judge_failure(expect: Expectation, failure: RunFailure) -> Judgement:
    """A step that failed."""
    if failure.kind in _NOT_JUDGED:
        return not_judged(failure.message, failure.hint)
    if expect.error is None:
        return failed(failure.message, failure.hint)
    if expect.error in failure.message or expect.error in failure.traceback:
        return PASSED
    return failed(f"the step failed, but not with {expect.error!r}: {failure.message}", failure.hint)


def judge_result(expect: Expectation, content: bytes, expected_file: bytes | None) -> Judgement:
    """A step that left a result. `expected_file` is what stands in the file that is expected."""
    try:
        # A step that was not run, as its data has no records, leaves a file without a line.
        table = read_table(content) if content else Table(columns=(), rows=())
    except TableError as error:
        return failed(f"the result cannot be read as CSV: {error}")
    if expect.error is not None:
        return failed(f"the step gave {counted(len(table.rows), 'row')}, but must fail with {expect.error!r}")
    try:
        comparison = _compare(expect, table, content, expected_file)
    except TableError as error:
        return not_judged(f"{expect.file} cannot be read as CSV: {error}", expected_file_hint(expect.file or ""))
    if comparison.equal:
        return PASSED
    message, hint = summary(comparison), ""
    if expect.row_order and _compare(replace(expect, row_order=False), table, content, expected_file).equal:
        message, hint = f"the rows stand in another order: {message}", _ORDER_HINT
    return Judgement(outcome=JobTestOutcome.FAILED, message=message, hint=hint, differences=comparison.differences)


def fits_file(expect: Expectation, content: bytes, expected_file: bytes) -> bool:
    """Whether a result is what stands in the expected file; False where either cannot be read."""
    if content == expected_file:
        return True
    try:
        return _compare_file(expect, read_table(content), expected_file).equal
    except TableError:
        return False


def _compare(expect: Expectation, table: Table, content: bytes, expected_file: bytes | None) -> Comparison:
    found = []
    if expect.columns is not None:
        found.append(compare_columns(expect.columns, table))
    if expect.row_count is not None:
        found.append(compare_row_count(expect.row_count, table))
    if expect.rows is not None:
        found.append(compare_rows(expect.rows, table, tolerance=expect.tolerance, row_order=expect.row_order))
    if expected_file is not None and expected_file != content:
        found.append(_compare_file(expect, table, expected_file))
    return together(found)


def _compare_file(expect: Expectation, table: Table, expected_file: bytes) -> Comparison:
    rows = expected_rows(read_table(expected_file))
    return compare_rows(rows, table, tolerance=expect.tolerance, row_order=expect.row_order)
