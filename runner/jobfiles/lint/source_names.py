"""The sources of a job: where each stands in its file, what it is called, and what cannot be a name."""

import keyword
from collections.abc import Iterator, Mapping
from typing import Any

from runner.core.source import THE_SOURCE
from runner.jobfiles.document import Path
from runner.jobfiles.inspection import Inspection

SOURCE = "data_source"
SOURCES = "data_sources"
# What a step has beside its sources.
_TAKEN = frozenset({"run", "result", "pd", "np"})
# https://duckdb.org/docs/stable/sql/keywords_and_identifiers: these need quotes in a query.
SQL_WORDS = frozenset({
    "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "both", "case", "cast", "check",
    "collate", "column", "constraint", "create", "default", "deferrable", "desc", "describe", "distinct", "do",
    "else", "end", "except", "false", "fetch", "for", "foreign", "from", "group", "having", "in", "initially",
    "intersect", "into", "lambda", "lateral", "leading", "limit", "not", "null", "offset", "on", "only", "or",
    "order", "pivot", "pivot_longer", "pivot_wider", "placing", "primary", "qualify", "references", "returning",
    "select", "show", "some", "summarize", "symmetric", "table", "then", "to", "trailing", "true", "union",
    "unique", "unpivot", "using", "variadic", "when", "where", "window", "with",
})  # fmt: skip


def sources_of(data: Mapping[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The path of each source and what stands there, in the order of the file."""
    one = data.get(SOURCE)
    if isinstance(one, dict):
        yield (SOURCE,), one
    several = data.get(SOURCES)
    if isinstance(several, dict):
        for name, source in several.items():
            if isinstance(source, dict):
                yield (SOURCES, name), source


def source_names(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The names by which tests and checks know the sources of a job."""
    named = data.get(SOURCES)
    return tuple(named) if isinstance(named, dict) and named else (THE_SOURCE,)


def table_names(data: Mapping[str, Any]) -> tuple[str, ...]:
    """The names by which a step knows them: the first is `data` too."""
    names = source_names(data)
    return names if THE_SOURCE in names else (*names, THE_SOURCE)


def check_source_names(inspection: Inspection) -> None:
    """Rule `source-name`."""
    named = inspection.document.data.get(SOURCES)
    if not isinstance(named, dict):
        return
    seen: dict[str, str] = {}
    for name in named:
        first = seen.setdefault(name.lower(), name)
        fault = _fault(name)
        if first != name:
            line = inspection.document.key_span((SOURCES, first)).line
            fault = f"{name} is {first} of line {line} to a query, for which capital letters make no difference"
        if fault:
            path = (SOURCES, name)
            inspection.report(
                path,
                "source-name",
                fault,
                "Choose another name for the source.",
                span=inspection.document.key_span(path),
            )


def _fault(name: str) -> str | None:
    if name.lower() in _TAKEN:
        return f"{name} is something else in a step: no source can be called so"
    if keyword.iskeyword(name):
        return f"{name} is a word of Python: a script cannot use it as a name"
    if name.lower() in SQL_WORDS:
        return f"{name} is a word of SQL: a query cannot use it as a name"
    return f"{name} is a name that Python keeps for itself" if name.startswith("__") else None
