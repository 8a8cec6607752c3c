import pytest

from runner.core.run import FailureKind, RunFailure
from runner.jobtests.judge import fits_file, judge_failure, judge_result
from runner.jobtests.values import Expectation, Rows

RESULT = b"region,amount\nnorth,120\n"


def failure(
    kind=FailureKind.SCRIPT, message="KeyError: 'amount' (jobs.d/a.yaml, line 3)", traceback="in load_rates"
):
    return RunFailure(kind=kind, message=message, hint="Look.", traceback=traceback)


@pytest.mark.parametrize(
    ("expected", "outcome"),
    [("KeyError", "passed"), ("load_rates", "passed"), ("ValueError", "failed"), (None, "failed")],
)
def test_an_error_is_looked_for_in_message_and_traceback(expected, outcome):
    assert str(judge_failure(Expectation(error=expected), failure()).outcome) == outcome


@pytest.mark.parametrize("kind", [FailureKind.INTERNAL, FailureKind.CANCELLED])
def test_what_is_not_the_jobs_doing_is_not_judged(kind):
    found = judge_failure(Expectation(error="KeyError"), failure(kind))
    assert (str(found.outcome), found.hint) == ("error", "Look.")


def test_every_expectation_must_hold():
    rows = Rows(columns=("region", "amount"), cells=(("north", 120),))
    good = Expectation(rows=rows, columns=("region", "amount"), row_count=1)
    assert str(judge_result(good, RESULT, b"amount,region\n120.0,north\n").outcome) == "passed"
    wrong = Expectation(rows=rows, columns=("amount", "region"), row_count=2)
    found = judge_result(wrong, RESULT, b"region,amount\nnorth,121\n")
    assert found.message == "the number of rows differs, 2 columns stand in other places, 1 cell differs"


@pytest.mark.parametrize("amount", [120, 121])
def test_rows_in_another_order_are_told_as_that(amount):
    rows = Rows(columns=("region", "amount"), cells=(("south", 80), ("north", amount)))
    given = b"region,amount\nnorth,120\nsouth,80\n"
    found = judge_result(Expectation(rows=rows, row_order=True), given, None)
    assert found.message.startswith("the rows stand in another order: 4 cells") is (amount == 120)
    assert found.message.endswith("4 cells differ")
    assert ("row_order" in found.hint) is (amount == 120)
    file = b"region,amount\nsouth,80\nnorth,%d\n" % amount
    assert judge_result(Expectation(file="e.csv", row_order=True), given, file) == found


def test_a_step_that_was_not_run_has_no_rows():
    assert str(judge_result(Expectation(row_count=0), b"", None).outcome) == "passed"
    assert str(judge_result(Expectation(rows=Rows(columns=(), cells=())), b"", None).outcome) == "passed"
    assert str(judge_result(Expectation(row_count=1), b"", None).outcome) == "failed"


def test_results_and_files_that_are_no_tables():
    assert str(judge_result(Expectation(row_count=0), b"\xff", None).outcome) == "failed"
    found = judge_result(Expectation(file="e.csv"), RESULT, b"\xff")
    assert (str(found.outcome), found.message) == ("error", "e.csv cannot be read as CSV: line 1 is not UTF-8")


@pytest.mark.parametrize(
    ("content", "fits"),
    [
        (RESULT, True),
        (b"amount,region\n120.0,north\n", True),
        (b"region,amount\nnorth,121\n", False),
        (b"\xff", False),
        (b"", False),
    ],
)
def test_whether_a_result_fits_a_file(content, fits):
    assert fits_file(Expectation(file="e.csv"), RESULT, content) is fits
