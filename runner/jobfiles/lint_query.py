"""SQL text → what is wrong with it as a processing query, by DuckDB's own parser. Nothing is run.

DuckDB is imported when there is a query to look at, and never by a folder without one.
"""

import re
from functools import lru_cache
from typing import Any

from runner.core.references import ReferenceKind, ReferenceSyntaxError, find_references
from runner.jobfiles.lint_script import StepFault

_PLACE = re.compile(r"\n\nLINE (?P<line>[0-9]+): (?P<excerpt>[^\n]*)\n(?P<indent> *)\^(?P<rest>\^*)")


def find_query_fault(text: str) -> StepFault | None:
    """Why a query cannot work: it does not parse, or is not one statement that answers with rows."""
    prepared = _prepare(text)
    if isinstance(prepared, StepFault):
        return prepared
    import duckdb

    try:
        statements = _parser().extract_statements(prepared)
    except duckdb.Error as error:
        return _syntax_fault(text, str(error))
    except (ValueError, RecursionError) as error:
        return StepFault(rule="query-syntax", message=f"SQL: {error}")
    if not statements:
        return StepFault(rule="query-syntax", message="the query is empty", hint="Write SELECT … FROM data.")
    if len(statements) != 1:
        return StepFault(
            rule="query-not-select",
            message=f"a query is one statement, this holds {len(statements)}",
            hint="Use WITH to build on a query.",
        )
    # A PIVOT without its values is a statement of several parts to DuckDB.
    if statements[0].type not in {duckdb.StatementType.SELECT, duckdb.StatementType.MULTI}:
        return StepFault(
            rule="query-not-select",
            message=f"a query answers with rows, this is {statements[0].type.name.replace('_', ' ')}",
            hint="Write SELECT … FROM data.",
        )
    return None


@lru_cache(maxsize=1)
def _parser() -> Any:
    """A connection of our own to parse with: one thread, and out of the default connection's way."""
    import duckdb

    return duckdb.connect(config={"threads": 1, "enable_external_access": "false"})


def _prepare(text: str) -> str | StepFault:
    """The text with every `${run:NAME}` as the parameter `$NAME`, of the same length."""
    if "${" not in text:
        return text
    try:
        found = find_references(text)
    except ReferenceSyntaxError as error:
        return _fault_at(text, error.start, error.end, str(error))
    for reference in found:
        if reference.kind is not ReferenceKind.RUN:
            return _fault_at(text, reference.start, reference.end, "only ${run:…} can stand in a query")
        width = reference.end - reference.start
        text = text[: reference.start] + f"${reference.name}".ljust(width) + text[reference.end :]
    return text


def _fault_at(text: str, start: int, end: int, message: str) -> StepFault:
    line = text.count("\n", 0, start) + 1
    column = start - text.rfind("\n", 0, start)
    return StepFault(
        rule="bad-reference",
        message=message,
        hint="Write ${run:scheduled_date}, without quotes around it.",
        line=line,
        column=column,
        end_line=line,
        end_column=column + end - start,
    )


def _syntax_fault(text: str, complaint: str) -> StepFault:
    """DuckDB's message with its place: it shows an excerpt of the line, and a caret below it."""
    match = _PLACE.search(complaint)
    message = "SQL: " + complaint.split("\n", 1)[0].removeprefix("Parser Error: ")
    lines = text.split("\n")
    if match is None or int(match["line"]) > len(lines):
        return StepFault(rule="query-syntax", message=message, hint="Mend the query: it does not parse.")
    line = int(match["line"])
    shown = match["excerpt"]
    offset = len(match["indent"]) - len(f"LINE {line}: ")
    bare = shown.removeprefix("...").removesuffix("...")
    start = max(lines[line - 1].find(bare), 0)
    column = start + offset - (3 if shown.startswith("...") and start else 0) + 1
    column = min(max(column, 1), len(lines[line - 1]) + 1)
    return StepFault(
        rule="query-syntax",
        message=message,
        hint="Mend the query: it does not parse.",
        line=line,
        column=column,
        end_line=line,
        end_column=column + 1 + len(match["rest"]),
    )
