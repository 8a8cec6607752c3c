"""Document → the tests of its job. Pure; the document has been found free of errors."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from runner.jobfiles.document import Document
from runner.jobfiles.lint.job_tests import TESTS, parse_scheduled_time
from runner.jobtests.values import DEFAULT_TIME, Cell, Expectation, Given, JobTest, Rows


def build_tests(document: Document) -> tuple[JobTest, ...]:
    """The tests in the order of the file; none for a job without."""
    tests: Sequence[Mapping[str, Any]] = document.value((TESTS,)) or ()
    return tuple(
        JobTest(
            name=test["name"],
            line=document.key_span((TESTS, place)).line,
            given=tuple(_given(source, value) for source, value in test["given"].items()),
            expect=_expectation(test["expect"]),
            scheduled_time=_time(test.get("scheduled_time")),
        )
        for place, test in enumerate(tests)
    )


def _given(source: str, value: str | list[dict[str, Cell]]) -> Given:
    if isinstance(value, str):
        return Given(source=source, file=value)
    return Given(source=source, rows=tuple(tuple(row.items()) for row in value))


def _expectation(data: Mapping[str, Any]) -> Expectation:
    count = data.get("row_count")
    tolerance = data.get("tolerance")
    return Expectation(
        rows=_rows(data["rows"]) if "rows" in data else None,
        file=data.get("file"),
        columns=tuple(data["columns"]) if "columns" in data else None,
        # JSON Schema takes 5.0 for a whole number.
        row_count=None if count is None else int(count),
        error=data.get("error"),
        tolerance=None if tolerance is None else float(tolerance),
        row_order=data.get("row_order", False),
    )


def _rows(rows: Sequence[Mapping[str, Cell]]) -> Rows:
    columns = tuple(dict.fromkeys(name for row in rows for name in row))
    return Rows(columns=columns, cells=tuple(tuple(map(row.get, columns)) for row in rows))


def _time(text: str | None) -> datetime:
    moment = None if text is None else parse_scheduled_time(text)
    return moment or DEFAULT_TIME
