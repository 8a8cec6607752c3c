"""Where the data comes from: location, references, the path to the rows."""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice

from runner.core.diagnostic import Severity
from runner.core.references import ReferenceSyntaxError, find_references, references_are_good
from runner.jobfiles.document import Path
from runner.jobfiles.inspection import MOST_TOLD, Inspection
from runner.jobfiles.lint.source_address import location_fault

SOURCE = "data_source"
LOCATION = (SOURCE, "location")
HEADERS = (SOURCE, "headers")
RECORDS_PATH = (SOURCE, "records_path")
_WITH_REFERENCES = ("location", "headers", "params", "body", "auth")
_PLAIN_RECORDS_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_SHELL_VARIABLE = re.compile(r"\$(?P<name>[A-Za-z_][A-Za-z0-9_]*)")
_WINDOWS_PATH = re.compile(r"[A-Za-z]:[\\/]|[^/]*\\")
_URL_START = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def check_source(inspection: Inspection) -> None:
    """Rules `bad-reference`, `same-but-for-case` of headers, `bad-location`, `missing-file` (a warning) and
    `bad-records-path`."""
    source = inspection.document.value((SOURCE,))
    if not isinstance(source, dict):
        return
    _check_references(inspection, source)
    if isinstance(source.get("headers"), dict):
        _check_header_names(inspection, source["headers"])
    location = inspection.text(*LOCATION)
    if location:
        if source.get("source_type") == "api":
            _check_url(inspection, location)
        elif source.get("source_type") == "file":
            _check_file(inspection, location)
    records_path = inspection.text(*RECORDS_PATH)
    if records_path:
        _check_records_path(inspection, records_path)


def _check_header_names(inspection: Inspection, headers: dict[str, object]) -> None:
    names: dict[str, str] = {}
    for name in headers:
        first = names.setdefault(name.lower(), name)
        if first != name:
            path = (*HEADERS, name)
            line = inspection.document.key_span((*HEADERS, first)).line
            inspection.report(
                path,
                "same-but-for-case",
                f"the header {name} stands on line {line} already, as {first}",
                "Keep one of the two: capital letters make no difference in the names of headers.",
                span=inspection.document.key_span(path),
            )


def _check_references(inspection: Inspection, source: dict[str, object]) -> None:
    text = inspection.document.text
    # Written with an escape, what is no reference in the text is one in the value.
    if "${" not in text and "\\" not in text:
        return
    found = (fault for key in _WITH_REFERENCES if key in source for fault in _bad((SOURCE, key), source[key]))
    for path, error in islice(found, MOST_TOLD):
        span = inspection.document.inside(path, error.start, error.end)
        inspection.report(path, "bad-reference", str(error), error.hint, span=span)


def _bad(path: Path, value: object) -> Iterator[tuple[Path, ReferenceSyntaxError]]:
    """The first fault of each text, with its path."""
    if isinstance(value, str):
        try:
            if not references_are_good(value):
                find_references(value)
        except ReferenceSyntaxError as error:
            yield path, error
    elif isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(item, dict | list) or (isinstance(item, str) and not references_are_good(item)):
                yield from _bad((*path, key), item)


def _check_url(inspection: Inspection, location: str) -> None:
    fault = location_fault(location)
    if fault:
        inspection.report(
            LOCATION, "bad-location", fault, "Write an address such as https://api.example.com/sales."
        )


def _check_file(inspection: Inspection, location: str) -> None:
    if "${" in location:
        return
    if "\0" in location:
        inspection.report(LOCATION, "bad-location", "a path cannot hold NUL", "Remove it.")
    elif _URL_START.match(location):
        inspection.report(
            LOCATION,
            "bad-location",
            f"{location!r} is an address, not a path",
            "Write source_type: api, or the path of a file.",
        )
    elif fault := inspection.file_fault(location):
        hint = fault[1] or _hint_for_path(location)
        inspection.report(LOCATION, "missing-file", fault[0], hint, severity=Severity.WARNING)


def _hint_for_path(location: str) -> str:
    """What to do about a path that leads to no file."""
    variable = _SHELL_VARIABLE.search(location)
    if variable is not None:
        return f"Write ${{env:{variable['name']}}} for the variable."
    if location.startswith("~"):
        return "Write the path out: ~ stands for itself."
    if _WINDOWS_PATH.match(location):
        return "Write a path with /, relative to the folder that holds the folder of jobs."
    if any(sign in location for sign in "*?"):
        return "Write the path of one file: * and ? stand for themselves."
    return "Relative paths start at the folder that holds the folder of jobs. It may still come later."


def _check_records_path(inspection: Inspection, records_path: str) -> None:
    fault = records_path_fault(records_path)
    if fault is not None:
        message, start = fault
        span = inspection.document.inside(RECORDS_PATH, start, start + 1)
        hint = _hint_for_records_path(records_path)
        inspection.report(RECORDS_PATH, "bad-records-path", message, hint, span=span)


def _hint_for_records_path(records_path: str) -> str:
    """The JMESPath for a JSONPath or a path with slashes, where it is as plain as that."""
    plain = records_path.removeprefix("$").removesuffix("[*]").replace("/", ".").strip(".")
    return f"Write JMESPath, such as {plain if _PLAIN_RECORDS_PATH.fullmatch(plain) else 'data.items'}."


@lru_cache(maxsize=4096)
def records_path_fault(records_path: str) -> tuple[str, int] | None:
    """What is wrong with a JMESPath expression, and the offset; None when it compiles."""
    if _PLAIN_RECORDS_PATH.fullmatch(records_path):
        return None
    import jmespath
    from jmespath.exceptions import JMESPathError

    try:
        jmespath.compile(records_path)
    except (JMESPathError, RecursionError) as error:
        position = getattr(error, "lex_position", None)
        start = position if isinstance(position, int) and 0 <= position < len(records_path) else 0
        return f"{records_path!r} is no JMESPath expression", start
    return None
