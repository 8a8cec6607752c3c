from collections import Counter
from dataclasses import replace
from math import nan

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from runner.core.check import Check, CheckKind, CheckTarget
from runner.core.job import AttachmentFormat, StepKind
from runner.core.run import FailureKind
from runner.core.source import FileType
from runner.execution.orders import StepInput

NOT_NEGATIVE = Check(kind=CheckKind.MIN, columns=("amount",), at_least=0)
UNIQUE = Check(kind=CheckKind.UNIQUE, columns=("category",))
KINDS = [StepKind.SCRIPT, StepKind.QUERY, StepKind.PASS_THROUGH]
TEXTS = {StepKind.SCRIPT: "result = data", StepKind.QUERY: "SELECT * FROM data", StepKind.PASS_THROUGH: ""}
ROWS = "category,amount\na,-1\na,2\n"


CELLS = st.lists(st.tuples(st.none() | st.integers(-3, 3), st.none() | st.sampled_from("abc")), max_size=12)


@pytest.mark.long
@given(CELLS, st.integers(-3, 3))
def test_what_is_found_is_what_counting_by_hand_finds(of_frame, rows, bound):
    frame = pd.DataFrame(
        {"n": pd.array([n for n, _ in rows], dtype="Int64"), "s": pd.Series([s for _, s in rows], dtype="str")}
    )
    checks = (
        Check(kind=CheckKind.NOT_NULL, columns=("n", "s")),
        Check(kind=CheckKind.UNIQUE, columns=("n", "s")),
        Check(kind=CheckKind.MIN, columns=("n",), at_least=bound),
        Check(kind=CheckKind.MAX, columns=("n",), at_most=bound),
        Check(kind=CheckKind.ACCEPTED_VALUES, columns=("s",), values=("a", "b")),
    )
    pairs = Counter(row for row in rows if None not in row)
    expected = [
        sum(None in row for row in rows),
        sum(count for count in pairs.values() if count > 1),
        sum(n is not None and n < bound for n, _ in rows),
        sum(n is not None and n > bound for n, _ in rows),
        sum(s == "c" for _, s in rows),
    ]
    found = of_frame(frame, *checks)
    assert [one.failed_rows for one in found] == expected
    assert [one.passed for one in found] == [not count for count in expected]
    assert [len(one.rows.rows) for one in found] == expected
    assert all(bool(one.found) is not one.passed for one in found)


@pytest.mark.parametrize(
    ("kind", "cells", "bound", "found"),
    [
        (CheckKind.MIN, ["1.234,50", "99,90", "7"], 0, "2 rows of 3 are below that or no number"),
        (CheckKind.MAX, ["1.234,50", "7"], 10, "1 row of 2 is above that or no number"),
        (CheckKind.MIN, ["b", "a"], "b", "1 row of 2 is below that"),
        (CheckKind.MIN, [1, 2], 2, "1 row of 2 is below that"),
    ],
)
def test_texts_that_are_no_numbers_are_not_said_to_be_below_or_above_one(of_frame, kind, cells, bound, found):
    check = Check(kind=kind, columns=("n",), at_least=bound, at_most=bound)
    (one,) = of_frame(pd.DataFrame({"n": cells}), check)
    assert one.found == found


@pytest.mark.parametrize("flat", ["", ".to_flat_index()"])
def test_a_column_is_called_as_in_the_csv(bench, flat):
    text = f"""
result = data.groupby("category").agg({{"amount": ["sum", "max"]}})
result.columns = result.columns{flat}
"""
    outcome = bench.run(
        text, checks=(replace(NOT_NEGATIVE, columns=("amount_sum",)), replace(UNIQUE, columns=("amount_max",)))
    )
    assert (outcome.failure, [check.passed for check in outcome.checks]) == (None, [True, True])
    assert outcome.preview.columns == ("category", "amount_sum", "amount_max")


def test_what_cannot_be_checked_fails_and_says_why(of_query):
    missing = of_query("SELECT 1 AS a, 2 AS b", kind=CheckKind.UNIQUE, columns=("A",))
    assert (missing.passed, missing.failed_rows) == (False, 0)
    assert missing.found == "there is no column 'A': the table has the columns a, b"
    assert (
        "cannot be compared with 'x'"
        in of_query("SELECT 1 AS a", kind=CheckKind.MAX, columns=("a",), at_most="x").found
    )
    day = of_query("SELECT DATE '2025-01-01' AS a", kind=CheckKind.MAX, columns=("a",), at_most=5)
    assert "dates or times" in day.found
    assert of_query("SELECT 1 AS a", kind=CheckKind.ROW_COUNT, at_least=2).found == "there is 1 row"
    assert of_query("SELECT 1 AS a", kind=CheckKind.ROW_COUNT, at_least=1, at_most=1).passed
    # A column without a value has nothing that could not be compared.
    for gap in ("NULL::DOUBLE", "'nan'::DOUBLE", "NULL::INTEGER"):
        assert of_query(f"SELECT {gap} AS a", kind=CheckKind.MAX, columns=("a",), at_most="2025-01-01").passed
    some = "SELECT unnest([NULL, 'nan'::DOUBLE, 1]) AS a"
    assert not of_query(some, kind=CheckKind.MAX, columns=("a",), at_most="2025-01-01").passed
    # An array without a record has no columns: there is nothing that could be wrong.
    assert of_query("SELECT NULL AS json WHERE false", kind=CheckKind.NOT_NULL, columns=("id",)).passed


def test_the_rows_that_fail_are_shown(of_query):
    wide = ", ".join(f"x AS c{place}" for place in range(20))
    found = of_query(
        f"SELECT {wide}, x - 30 AS last FROM range(100) t(x)", kind=CheckKind.MIN, columns=("last",), at_least=0
    )
    assert (found.failed_rows, len(found.rows.rows), found.rows.total_rows) == (30, 20, 30)
    assert (len(found.rows.columns), found.rows.columns[-1], found.rows.total_columns) == (12, "last", 21)
    assert found.rows.rows[0][-1] == "-30"
    twice = of_query("SELECT x % 3 AS k, x AS n FROM range(7) t(x)", kind=CheckKind.UNIQUE, columns=("k",))
    assert twice.found == "7 rows share 3 values"
    assert [row[0] for row in twice.rows.rows] == ["0", "0", "0", "1", "1", "2", "2"]


def test_a_table_of_the_wrong_size_has_no_rows_to_look_at(bench):
    few = Check(kind=CheckKind.ROW_COUNT, at_least=100, blocking=True)
    failure = bench.run("result = data", checks=(few,)).failure
    assert failure.message.endswith("there are 3 rows")
    assert failure.hint == "Correct the step or its data, or change the check."


@pytest.mark.parametrize("kind", KINDS)
def test_a_blocking_check_keeps_the_result_as_csv_alone(bench, kind):
    outcome = bench.run(
        TEXTS[kind],
        kind=kind,
        source=ROWS,
        attachment=AttachmentFormat.XLSX,
        checks=(NOT_NEGATIVE, replace(UNIQUE, blocking=False)),
    )
    assert outcome.failure.kind is FailureKind.CHECK
    assert outcome.failure.message == "1 check failed: amount is at least 0 (1 row)"
    assert outcome.failure.hint.startswith("Look at the rows that fail. Correct the step")
    assert (outcome.result_file, outcome.attachment_file, outcome.rows_out) == ("result.csv", None, 2)
    assert [(one.passed, one.blocking, one.failed_rows) for one in outcome.checks] == [
        (False, True, 1),
        (False, False, 2),
    ]
    assert outcome.checks[0].rows.rows == (("a", "-1"),)


@pytest.mark.parametrize("target", CheckTarget, ids=str)
@pytest.mark.parametrize("kind", KINDS)
def test_nan_in_parquet_is_a_gap_whatever_the_file_says_of_its_least_value(bench, kind, target):
    path = bench.folder / "x.parquet"
    parquet.write_table(pa.table({"n": [0, 1, 2, 3], "x": [1.0, nan, nan, 2.0]}), path)
    checks = (
        Check(kind=CheckKind.NOT_NULL, columns=("x",)),
        Check(kind=CheckKind.UNIQUE, columns=("x",)),
        Check(kind=CheckKind.MAX, columns=("x",), at_most=1),
        Check(kind=CheckKind.ACCEPTED_VALUES, columns=("x",), values=(1,)),
    )
    checks = tuple(replace(check, on=target, blocking=False) for check in checks)
    found = bench.run(TEXTS[kind], kind=kind, source=path, kind_of_file=FileType.PARQUET, checks=checks).checks
    assert [[row[0] for row in one.rows.rows] for one in found] == [["1", "2"], [], ["3"], ["3"]]
    assert [one.failed_rows for one in found] == [2, 0, 1, 1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_check_that_does_not_block_is_listed_alone(bench, kind):
    checks = (replace(NOT_NEGATIVE, blocking=False), replace(UNIQUE, on=CheckTarget.INPUT, blocking=False))
    outcome = bench.run(TEXTS[kind], kind=kind, source=ROWS, attachment=AttachmentFormat.XLSX, checks=checks)
    assert (outcome.failure, outcome.attachment_file) == (None, "result.xlsx")
    assert [one.passed for one in outcome.checks] == [False, False]


@pytest.mark.parametrize("kind", KINDS)
def test_a_blocking_check_of_the_data_comes_before_the_step(bench, kind):
    other = bench.folder / "other.json"
    other.write_text('[{"amount": -5}]')
    path = bench.folder / "first.csv"
    path.write_text("amount\n1\n")
    inputs = (
        StepInput(name="first", paths=(str(path),), format=FileType.CSV),
        StepInput(name="other", paths=(str(other),), format=FileType.JSON),
    )
    check = replace(NOT_NEGATIVE, on=CheckTarget.INPUT)
    text = TEXTS[kind] if kind is not StepKind.SCRIPT else "print('ran')\nresult = data"
    assert bench.run(text, kind=kind, inputs=inputs, checks=(check,)).failure is None
    outcome = bench.run(text, kind=kind, inputs=inputs, checks=(replace(check, source="other"),))
    assert outcome.failure.kind is FailureKind.CHECK
    assert "other: amount is at least 0 (1 row)" in outcome.failure.message
    assert (outcome.result_file, outcome.rows_out, outcome.output) == (None, None, "")
    assert outcome.checks[0].rows.rows == (("-5",),)
    missing = bench.failure(text, kind=kind, inputs=inputs, checks=(replace(check, source="nobody"),))
    assert "'nobody'" in missing.message


@pytest.mark.parametrize("name", ["runner_result", "runner_table", "whole"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_source_may_be_called_anything(bench, kind, name):
    path = bench.folder / "first.csv"
    path.write_text("category,amount\na,-1\na,2\n")
    inputs = (StepInput(name=name, paths=(str(path),), format=FileType.CSV),)
    checks = (replace(NOT_NEGATIVE, blocking=False), replace(UNIQUE, on=CheckTarget.INPUT, blocking=False))
    text = f"SELECT * FROM {name}" if kind is StepKind.QUERY else TEXTS[kind]
    outcome = bench.run(text, kind=kind, inputs=inputs, attachment=AttachmentFormat.PARQUET, checks=checks)
    assert (outcome.failure, outcome.rows_out, outcome.attachment_file) == (None, 2, "result.parquet")
    assert [one.failed_rows for one in outcome.checks] == [2, 1]


def test_sources_of_workbooks_and_others_keep_apart(bench):
    book, table = bench.folder / "a.xlsx", bench.folder / "a.csv"
    pd.DataFrame({"n": [1]}).to_excel(book, index=False)
    table.write_text("n\n2\n")
    inputs = (
        StepInput(name="input_a", paths=(str(table),), format=FileType.CSV),
        StepInput(name="a", paths=(str(book),), format=FileType.XLSX),
    )
    text = "SELECT input_a.n + 10 * a.n AS n FROM a, input_a"
    assert bench.csv(text, kind=StepKind.QUERY, inputs=inputs) == "n\n12\n"


@pytest.mark.parametrize("kind", [StepKind.SCRIPT, StepKind.QUERY], ids=str)
@pytest.mark.parametrize("target", CheckTarget, ids=str)
def test_gaps_alone_break_no_bound_of_dates(bench, kind, target):
    text = {StepKind.SCRIPT: "result = data", StepKind.QUERY: "FROM data"}[kind]
    bounds = (Check(kind=CheckKind.MIN, columns=("refunded",), at_least="2025-01-01", on=target),)
    outcome = bench.run(text, kind=kind, source="id,refunded\n1,\n2,\n", checks=bounds)
    assert (outcome.failure, [check.passed for check in outcome.checks]) == (None, [True])
