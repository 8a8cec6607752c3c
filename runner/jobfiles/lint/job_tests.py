"""The tests of a job: their names, the sources and files they name, the time they are for."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

from runner.core.diagnostic import Severity
from runner.core.source import is_never_read
from runner.jobfiles.document import Path
from runner.jobfiles.inspection import Inspection
from runner.jobfiles.lint.source_names import source_names
from runner.jobfiles.read import NOT_OF_A_JOB, NOT_OF_A_JOB_HINT

TESTS = "tests"
# As in the schema, which refuses other names.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def check_tests(inspection: Inspection) -> None:
    """Rules `duplicate-test-name`, `unknown-source`, `bad-time`, `outside-project` and `missing-file`, which is a
    warning for a file that is expected: `runner test --update` writes it."""
    tests = inspection.document.value((TESTS,))
    if not isinstance(tests, list):
        return
    _check_names(inspection, tests)
    for place, test in enumerate(tests):
        if isinstance(test, dict):
            _check_given(inspection, (TESTS, place, "given"), test.get("given"))
            _check_time(inspection, (TESTS, place, "scheduled_time"))
            _check_expected_file(inspection, (TESTS, place, "expect", "file"))


def parse_scheduled_time(text: str) -> datetime | None:
    """An ISO 8601 time with an offset, of the years 1970 to 9000; None for any other text."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    # Near the ends of the calendar a time cannot be told in every zone.
    return moment if moment.tzinfo is not None and 1970 <= moment.year <= 9000 else None


def is_inside_project(location: str) -> bool:
    """Whether a location is a path below the project folder, as git knows it."""
    path = PurePosixPath(location)
    return "\0" not in location and not path.is_absolute() and ".." not in path.parts


def is_csv_name(location: str) -> bool:
    """Whether `runner test --update` writes a file of this name."""
    return PurePosixPath(location).suffix.lower() == ".csv"


def expected_file_hint(location: str) -> str:
    """What to do where there is no such expected file, or one that is no CSV."""
    if is_csv_name(location):
        return "runner test --update writes it from what comes out."
    return "An expected file is a CSV: name one that ends in .csv, and runner test --update writes it."


def _check_names(inspection: Inspection, tests: list[Any]) -> None:
    lines: dict[str, int] = {}
    for place, _ in enumerate(tests):
        path = (TESTS, place, "name")
        name = inspection.text(*path)
        if name is None:
            continue
        if name in lines:
            inspection.report(
                path,
                "duplicate-test-name",
                f"the test on line {lines[name]} has the name {name!r} already",
                "Give each test of a file its own name.",
            )
        else:
            lines[name] = inspection.document.span(path).line


def _check_given(inspection: Inspection, path: Path, given: object) -> None:
    if not isinstance(given, dict):
        return
    known = source_names(inspection.document.data)
    for name, value in given.items():
        if name not in known and _NAME.fullmatch(name):
            _report_unknown(inspection, (*path, name), known)
        elif isinstance(value, str) and value:
            _check_file(inspection, (*path, name), value)
    for name in _missing(given, known):
        inspection.report(
            path,
            "unknown-source",
            f"the test gives nothing for {name}",
            f"Add {name} under given: its rows, or the path of a file.",
            span=inspection.document.key_span(path),
        )


def _missing(given: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[str]:
    """The sources that no rows are given for. A name that is not known stands for one of them, most likely."""
    missing = [name for name in known if name not in given]
    misspelt = sum(name not in known for name in given)
    return iter(missing[misspelt:])


def _report_unknown(inspection: Inspection, path: Path, known: tuple[str, ...]) -> None:
    from runner.jobfiles.wording.nearest import nearest

    meant = known[0] if len(known) == 1 else nearest(path[-1], list(known))
    inspection.report(
        path,
        "unknown-source",
        f"the job has no source {path[-1]!r}",
        f"Write {meant}." if meant else f"Its sources are {', '.join(known)}.",
        span=inspection.document.key_span(path),
    )


def _check_time(inspection: Inspection, path: Path) -> None:
    text = inspection.text(*path)
    if text and parse_scheduled_time(text) is None:
        inspection.report(
            path,
            "bad-time",
            f"{text!r} is no ISO 8601 time with an offset",
            'Write a time such as "2026-01-31T09:00:00Z".',
        )


def _check_expected_file(inspection: Inspection, path: Path) -> None:
    location = inspection.text(*path)
    if location:
        _check_file(
            inspection,
            path,
            location,
            hint=expected_file_hint(location),
            severity=Severity.WARNING,
        )


def _check_file(
    inspection: Inspection,
    path: Path,
    location: str,
    *,
    hint: str = "Relative paths start at the folder that holds the folder of jobs.",
    severity: Severity = Severity.ERROR,
) -> None:
    if not is_inside_project(location):
        inspection.report(
            path,
            "outside-project",
            f"{location!r} is not inside the project",
            "Name a file below the folder that holds the folder of jobs, so that git knows it.",
        )
        return
    if is_never_read(location):
        inspection.report(path, "outside-project", NOT_OF_A_JOB, NOT_OF_A_JOB_HINT)
        return
    fault = inspection.file_fault(path, location)
    if fault is not None:
        inspection.report(path, "missing-file", fault[0], fault[1] or hint, severity=severity)
