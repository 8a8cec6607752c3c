import json
import xml.etree.ElementTree as ET

from runner.jobtests.documents import difference_text, junit_text, report_document
from runner.jobtests.values import Difference, DifferenceKind, JobTestOutcome, JobTestReport, JobTestResult

CELL = Difference(kind=DifferenceKind.CELL, row=2, column="amount", expected="80", got="81")
PASSED = JobTestResult(
    job_name="orders", path="jobs.d/orders.yaml", line=9, name="one", outcome=JobTestOutcome.PASSED, seconds=0.25
)
FAILED = JobTestResult(
    job_name="orders",
    path="jobs.d/orders.yaml",
    line=14,
    name="two \x1b[31m <b>",
    outcome=JobTestOutcome.FAILED,
    message="1 cell differs",
    hint="Look at it.",
    differences=(CELL,),
    traceback="Traceback\n  File",
    output="printed\x00\n",
)
BROKEN = JobTestResult(
    job_name="", path="jobs.d/x.yaml", line=1, name="", outcome=JobTestOutcome.ERROR, message="not valid"
)
REPORT = JobTestReport(results=(PASSED, FAILED, BROKEN), untested=("plain",), seconds=1.5)


def test_the_json_document():
    document = report_document(REPORT)
    counts = {
        key: document[key] for key in ("tests", "passed", "failed", "errors", "seconds", "jobs_without_tests")
    }
    assert counts == {
        "tests": 3, "passed": 1, "failed": 1, "errors": 1, "seconds": 1.5, "jobs_without_tests": ["plain"],
    }  # fmt: skip
    assert document["results"][0]["message"] is None
    assert document["results"][1]["differences"] == [
        {"kind": "cell", "row": 2, "column": "amount", "expected": "80", "got": "81"}
    ]
    assert (document["results"][2]["job_name"], document["results"][2]["name"]) == (None, None)
    assert {tuple(result) for result in document["results"]} == {
        ("job_name", "path", "line", "name", "outcome", "seconds", "message", "hint", "differences", "traceback",
         "output", "updated")
    }  # fmt: skip
    json.dumps(document)


def test_junit_is_well_formed_whatever_a_script_prints():
    text = junit_text(REPORT)
    assert text.isascii()
    root = ET.fromstring(text)
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["errors"]) == ("3", "1", "1")
    assert [suite.attrib["name"] for suite in root] == ["orders", "jobs.d/x.yaml"]
    one, two = root[0]
    assert (one.attrib["classname"], one.attrib["name"], one.attrib["time"], len(one)) == (
        "orders",
        "one",
        "0.250",
        0,
    )
    assert "\x1b" not in two.attrib["name"]
    assert two.attrib["line"] == "14"
    failure = two.find("failure")
    assert failure.attrib["message"] == "1 cell differs"
    assert "  row 2, amount: expected 80, got 81\nTraceback\n" in failure.text
    assert root[1][0].find("error").attrib["message"] == "not valid"


def test_differences_in_words():
    kinds = DifferenceKind
    words = [
        Difference(kind=kinds.MISSING_ROW, row=3, expected="a=1"),
        Difference(kind=kinds.SURPLUS_ROW, row=4, got="a=2"),
        Difference(kind=kinds.MISSING_COLUMN, column="a"),
        Difference(kind=kinds.SURPLUS_COLUMN, column=" b"),
        Difference(kind=kinds.ROW_COUNT, expected="1", got="2"),
        Difference(kind=kinds.COLUMN_ORDER, column="1", expected="a", got="b"),
        Difference(kind=kinds.CELL, row=1, column="a", expected=None, got="x "),
    ]
    assert [difference_text(one) for one in words] == [
        "missing row 3: a=1",
        "surplus row 4: a=2",
        "missing column a",
        'surplus column " b"',
        "row count: expected 1, got 2",
        "column order, place 1: expected a, got b",
        'row 1, a: expected (empty), got "x "',
    ]
