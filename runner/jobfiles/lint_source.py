"""Where the data comes from: location, references, the path to the rows."""

import re
from functools import lru_cache
from urllib.parse import urlsplit

from runner.core.diagnostic import Severity
from runner.core.references import ReferenceSyntaxError, find_references
from runner.jobfiles.inspection import Inspection
from runner.jobfiles.parse import Path

SOURCE = "data_source"
LOCATION = (SOURCE, "location")
HEADERS = (SOURCE, "headers")
RECORDS_PATH = (SOURCE, "records_path")
_WITH_REFERENCES = ("location", "headers", "params", "body", "auth")
_PLAIN_RECORDS_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_URL_START = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def check_source(inspection: Inspection) -> None:
    """Rules `bad-reference`, `same-but-for-case` of headers, `bad-location`, `missing-file` (a warning) and
    `bad-records-path`."""
    source = inspection.document.value((SOURCE,))
    if not isinstance(source, dict):
        return
    for key in _WITH_REFERENCES:
        if key in source:
            _check_references(inspection, (SOURCE, key), source[key])
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


def _check_references(inspection: Inspection, path: Path, value: object) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            _check_references(inspection, (*path, key), item)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_references(inspection, (*path, index), item)
    elif isinstance(value, str) and "${" in value:
        _check_reference_text(inspection, path, value)


def _check_reference_text(inspection: Inspection, path: Path, value: str) -> None:
    hint = "Write ${env:NAME}, ${file:/path} or ${run:scheduled_date}."
    try:
        found = find_references(value)
    except ReferenceSyntaxError as error:
        span = inspection.document.inside(path, error.start, error.end)
        inspection.report(path, "bad-reference", str(error), hint, span=span)
        return
    start = value.find("${")
    while start >= 0:
        if not any(reference.start <= start < reference.end for reference in found):
            span = inspection.document.inside(path, start, start + 2)
            inspection.report(path, "bad-reference", "this ${ is never closed", hint, span=span)
            return
        start = value.find("${", start + 1)


def _check_url(inspection: Inspection, location: str) -> None:
    if location.startswith("${"):
        return  # what stands for the start of the address is known when the run starts
    fault = _url_fault(location)
    if fault:
        inspection.report(
            LOCATION, "bad-location", fault, "Write an address such as https://api.example.com/sales."
        )


def _url_fault(location: str) -> str | None:
    if re.search(r"\s", location):
        return "an address cannot hold white space; write %20"
    if not location.lower().startswith(("http://", "https://")):
        return f"{location!r} is no http or https address"
    # References may hold what an address cannot, braces and colons among it: a digit reads well in every part.
    bare = re.sub(r"\$\{[^{}]*\}", "1", location)
    try:
        parts = urlsplit(bare)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        return f"{location!r} is no address: {error}"
    return None if host else f"{location!r} names no host"


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
    elif not inspection.exists(location):
        inspection.report(
            LOCATION,
            "missing-file",
            f"there is no file {location!r}",
            "Relative paths start at the folder that holds the folder of jobs. It may still come later.",
            severity=Severity.WARNING,
        )


def _check_records_path(inspection: Inspection, records_path: str) -> None:
    fault = records_path_fault(records_path)
    if fault is not None:
        message, start = fault
        span = inspection.document.inside(RECORDS_PATH, start, start + 1)
        inspection.report(
            RECORDS_PATH, "bad-records-path", message, "Write JMESPath, such as data.items.", span=span
        )


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
