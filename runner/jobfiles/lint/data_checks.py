"""What a job expects of its data, and how it loads what is new: sources and references that there are not."""

from collections.abc import Iterator
from typing import Any

from runner.core.diagnostic import Severity
from runner.core.references import Reference, ReferenceKind, ReferenceSyntaxError, find_references
from runner.jobfiles.document import Path
from runner.jobfiles.inspection import Inspection
from runner.jobfiles.lint.source_names import SOURCES, source_names, sources_of

CHECKS = "checks"
INCREMENTAL = "incremental"
_QUERY = "processing_query"
_CURSOR = "cursor"
_WITH_REFERENCES = ("location", "query", "headers", "params", "body", "auth")
_MOST_LOOKED_AT = 100
NO_CURSOR = "the job keeps no cursor that ${run:cursor} could stand for"
NO_CURSOR_HINT = "Add incremental:, with the column that only grows as cursor, and an initial_value."


def check_data_checks(inspection: Inspection) -> None:
    """Rules `unknown-source`, `misplaced-key` of a `source` without `on: input`, and `out-of-range` of a
    `row_count` whose least is above its most."""
    items = inspection.document.value((CHECKS,))
    if not isinstance(items, list):
        return
    known = source_names(inspection.document.data)
    for place, item in enumerate(items[:_MOST_LOOKED_AT]):
        if isinstance(item, dict):
            _check_source(inspection, (CHECKS, place, "source"), item, known)
            _check_row_count(inspection, (CHECKS, place, "row_count"), item.get("row_count"))


def _check_source(inspection: Inspection, path: Path, item: dict[str, Any], known: tuple[str, ...]) -> None:
    source = inspection.text(*path)
    if source is None:
        return
    if item.get("on") != "input":
        inspection.report(
            path,
            "misplaced-key",
            "source is for on: input",
            "Write on: input, or remove it: the result is one table.",
            span=inspection.document.key_span(path),
        )
    elif source not in known:
        from runner.jobfiles.wording.nearest import nearest

        meant = known[0] if len(known) == 1 else nearest(source, known)
        inspection.report(
            path,
            "unknown-source",
            f"the job has no source {source!r}",
            f"Write {meant}." if meant else f"Its sources are {', '.join(known)}.",
        )


def _check_row_count(inspection: Inspection, path: Path, bounds: object) -> None:
    if not isinstance(bounds, dict):
        return
    low, high = bounds.get("min"), bounds.get("max")
    if isinstance(low, int | float) and isinstance(high, int | float) and low > high:
        inspection.report(
            (*path, "min"),
            "out-of-range",
            f"min is {low:g} and max is {high:g}: no number of rows is between them",
            "Raise max, or lower min.",
        )


def check_incremental(inspection: Inspection) -> None:
    """Rules `bad-reference`, of `${run:cursor}` in the sources of a job that keeps none, and, a warning,
    `idle-incremental`."""
    document = inspection.document
    text = document.text
    loads = isinstance(document.value((INCREMENTAL,)), dict)
    # Written with an escape, what is no reference in the text is one in the value.
    if loads:
        _check_use(inspection)
        return
    if "cursor" not in text and "\\" not in text:
        return
    for path, found in _cursors(inspection):
        inspection.report(
            path,
            "bad-reference",
            NO_CURSOR,
            NO_CURSOR_HINT,
            span=document.inside(path, found.start, found.end),
        )


def _check_use(inspection: Inspection) -> None:
    """A job that keeps a cursor and never asks for it loads everything each time."""
    data = inspection.document.data
    own = [data.get("processing_script"), data.get(_QUERY)]
    step_file = inspection.step_file
    own.append(step_file.text if step_file is not None else None)
    if any(isinstance(text, str) and _CURSOR in text for text in own) or any(_cursors(inspection)):
        return
    if inspection.document.has(("processing_script_file",)) and step_file is None:
        return  # it cannot be read, which is told
    first = SOURCES if SOURCES in data else "data_source"
    inspection.report(
        (INCREMENTAL,),
        "idle-incremental",
        "nothing asks for the cursor: every run loads everything",
        f"Write ${{run:cursor}} in {first} or in the query, or use run.cursor in the script.",
        severity=Severity.WARNING,
    )


def _cursors(inspection: Inspection) -> Iterator[tuple[Path, Reference]]:
    """Every `${run:cursor}` of the sources, with the path of the text that holds it."""
    data = inspection.document.data
    texts = (found for path, source in sources_of(data) for found in _texts(path, source))
    for place, text in texts:
        if _CURSOR not in text:
            continue
        try:
            references = find_references(text)
        except ReferenceSyntaxError:
            continue  # told as such
        for one in references:
            if one.kind is ReferenceKind.RUN and one.name == _CURSOR:
                yield place, one


def _texts(path: Path, source: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """The texts of a source that references may stand in."""
    todo: list[tuple[Path, object]] = [((*path, key), source[key]) for key in _WITH_REFERENCES if key in source]
    while todo:
        place, value = todo.pop(0)
        if isinstance(value, str):
            yield place, value
        elif isinstance(value, dict):
            todo.extend(((*place, key), item) for key, item in value.items())
        elif isinstance(value, list):
            todo.extend(((*place, number), item) for number, item in enumerate(value))
