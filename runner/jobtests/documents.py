"""A report of tests as machines read it: JSON, and JUnit's XML. Pure."""

import xml.etree.ElementTree as ET
from itertools import groupby
from typing import Any

from runner.core.log_commands import disarm_xml
from runner.jobfiles.formats.shown import clean
from runner.jobtests.values import Difference, DifferenceKind, JobTestOutcome, JobTestReport, JobTestResult


def report_document(report: JobTestReport) -> dict[str, Any]:
    """The answer of `test --format json`. snake_case; what is not known is null, never left out."""
    return {
        "tests": len(report.results),
        "passed": report.count(JobTestOutcome.PASSED),
        "failed": report.count(JobTestOutcome.FAILED),
        "errors": report.count(JobTestOutcome.ERROR),
        "seconds": round(report.seconds, 3),
        "jobs_without_tests": list(report.untested),
        "results": [_result_document(result) for result in report.results],
    }


def _result_document(result: JobTestResult) -> dict[str, Any]:
    return {
        "job_name": result.job_name or None,
        "path": result.path,
        "line": result.line,
        "name": result.name or None,
        "outcome": str(result.outcome),
        "seconds": round(result.seconds, 3),
        "message": result.message or None,
        "hint": result.hint or None,
        "differences": [_difference_document(one) for one in result.differences],
        "traceback": result.traceback or None,
        "output": result.output or None,
        "updated": result.updated or None,
    }


def _difference_document(one: Difference) -> dict[str, Any]:
    return {
        "kind": str(one.kind),
        "row": one.row,
        "column": one.column,
        "expected": one.expected,
        "got": one.got,
    }


def junit_text(report: JobTestReport) -> str:
    """JUnit's XML, a suite a job; ASCII alone: it is well-formed whatever it is written through."""
    root = ET.Element("testsuites", {"name": "runner test", **_counts(report.results, report.seconds)})
    for (path, job_name), results in groupby(report.results, key=lambda one: (one.path, one.job_name)):
        cases = tuple(results)
        counts = _counts(cases, sum(case.seconds for case in cases))
        suite = ET.SubElement(root, "testsuite", {"name": clean(job_name or path), **counts})
        for case in cases:
            _add_case(suite, case)
    ET.indent(root)
    content: bytes = ET.tostring(root, encoding="us-ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{disarm_xml(content.decode("ascii"))}\n'


def _counts(results: tuple[JobTestResult, ...], seconds: float) -> dict[str, str]:
    return {
        "tests": str(len(results)),
        "failures": str(sum(one.outcome is JobTestOutcome.FAILED for one in results)),
        "errors": str(sum(one.outcome is JobTestOutcome.ERROR for one in results)),
        "skipped": "0",
        "time": f"{seconds:.3f}",
    }


def _add_case(suite: ET.Element, result: JobTestResult) -> None:
    case = ET.SubElement(
        suite,
        "testcase",
        name=clean(result.name or "the job file"),
        classname=clean(result.job_name or result.path),
        file=clean(result.path),
        line=str(result.line),
        time=f"{result.seconds:.3f}",
    )
    if result.outcome is not JobTestOutcome.PASSED:
        kind = "failure" if result.outcome is JobTestOutcome.FAILED else "error"
        failure = ET.SubElement(case, kind, message=clean(result.message))
        failure.text = "\n".join(map(clean, told(result)))
    if result.output:
        ET.SubElement(case, "system-out").text = "\n".join(map(clean, result.output.splitlines()))


def told(result: JobTestResult) -> list[str]:
    """What there is to say of a test, line by line."""
    lines = [f"{result.path}:{result.line}: {result.message}"]
    lines.extend(f"  {difference_text(one)}" for one in result.differences)
    lines.extend(result.traceback.splitlines())
    if result.hint:
        lines.append(f"hint: {result.hint}")
    return lines


def difference_text(one: Difference) -> str:
    """`row 2, amount: expected 120, got 121`."""
    kind = str(one.kind).replace("_", " ")
    sides = f"expected {quoted(one.expected)}, got {quoted(one.got)}"
    match one.kind:
        case DifferenceKind.MISSING_ROW:
            return f"{kind} {one.row}: {one.expected}"
        case DifferenceKind.SURPLUS_ROW:
            return f"{kind} {one.row}: {one.got}"
        case DifferenceKind.MISSING_COLUMN | DifferenceKind.SURPLUS_COLUMN:
            return f"{kind} {quoted(one.column)}"
        case DifferenceKind.COLUMN_ORDER:
            return f"{kind}, place {one.column}: {sides}"
        case DifferenceKind.ROW_COUNT:
            return f"{kind}: {sides}"
        case DifferenceKind.CELL:
            return f"row {one.row}, {one.column}: {sides}"


def quoted(text: str | None) -> str:
    """A cell as it is told: an empty one by name, and one whose ends cannot be seen in quotes."""
    if text is None:
        return "(empty)"
    return f'"{text}"' if text != text.strip() or not text else text
