"""Where the data comes from: location, references, headers, the path to the rows."""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Any

from runner.core.references import ReferenceSyntaxError, find_references, references_are_good
from runner.jobfiles.document import Path
from runner.jobfiles.inspection import MOST_TOLD, Inspection
from runner.jobfiles.lint.source_address import location_fault
from runner.jobfiles.lint.source_database import check_database_query, check_database_url
from runner.jobfiles.lint.source_file import check_data_file
from runner.jobfiles.lint.source_names import sources_of
from runner.jobfiles.lint.source_pages import check_page_params
from runner.jobfiles.lint.source_table import check_table

_WITH_REFERENCES = ("location", "query", "headers", "params", "body", "auth")
_JSON_PATHS = (("records_path",), ("pagination", "cursor_path"), ("pagination", "link_path"))
_PLAIN_RECORDS_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")

# Such as `@odata.nextLink`.
_NAME_OF_ODATA = re.compile(r"@[A-Za-z_][A-Za-z0-9_.]*")


def check_source(inspection: Inspection) -> None:
    """Rules `bad-reference`, `same-but-for-case` of headers, `bad-location`, `missing-file` (a warning),
    `source-query`, `bad-records-path`, and those of `check_page_params` and `check_table`; of every source."""
    for path, source in sources_of(inspection.document.data):
        _check_references(inspection, path, source)
        if isinstance(source.get("headers"), dict):
            _check_header_names(inspection, (*path, "headers"), source["headers"])
        location = inspection.text(*path, "location")
        if location:
            _check_location(inspection, (*path, "location"), source, location)
        query = inspection.text(*path, "query")
        if query and source.get("source_type") == "database":
            check_database_query(inspection, (*path, "query"), query, location=location or "")
        for key in _JSON_PATHS:
            place = (*path, *key)
            expression = inspection.text(*place)
            if expression:
                _check_records_path(inspection, place, expression)
        check_page_params(inspection, path, source)
        check_table(inspection, path, source)


def _check_location(inspection: Inspection, path: Path, source: dict[str, Any], location: str) -> None:
    match source.get("source_type"):
        case "api":
            _check_url(inspection, path, location)
        case "file":
            check_data_file(inspection, path, source, location)
        case "database":
            check_database_url(inspection, path, location)


def _check_header_names(inspection: Inspection, path: Path, headers: dict[str, object]) -> None:
    names: dict[str, str] = {}
    for name in headers:
        first = names.setdefault(name.lower(), name)
        if first != name:
            line = inspection.document.key_span((*path, first)).line
            inspection.report(
                (*path, name),
                "same-but-for-case",
                f"the header {name} stands on line {line} already, as {first}",
                "Keep one of the two: capital letters make no difference in the names of headers.",
                span=inspection.document.key_span((*path, name)),
            )


def _check_references(inspection: Inspection, path: Path, source: dict[str, Any]) -> None:
    text = inspection.document.text
    # Written with an escape, what is no reference in the text is one in the value.
    if "${" not in text and "\\" not in text:
        return
    found = (fault for key in _WITH_REFERENCES if key in source for fault in _bad((*path, key), source[key]))
    for place, error in islice(found, MOST_TOLD):
        span = inspection.document.inside(place, error.start, error.end)
        inspection.report(place, "bad-reference", str(error), error.hint, span=span)


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


def _check_url(inspection: Inspection, path: Path, location: str) -> None:
    fault = location_fault(location)
    if fault:
        inspection.report(path, "bad-location", fault, "Write an address such as https://api.example.com/sales.")


def _check_records_path(inspection: Inspection, path: Path, records_path: str) -> None:
    fault = records_path_fault(records_path)
    if fault is not None:
        message, start = fault
        span = inspection.document.inside(path, start, start + 1)
        hint = _hint_for_records_path(records_path)
        inspection.report(path, "bad-records-path", message, hint, span=span)


def _hint_for_records_path(records_path: str) -> str:
    """The JMESPath for a JSONPath, a path with slashes, or a name of OData, where it is as plain as that."""
    if _NAME_OF_ODATA.fullmatch(records_path):
        return f"A name with signs stands in quotes of its own: write '\"{records_path}\"'."
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
