"""SQL text → what is wrong with it as a processing query, by DuckDB's own parser. Nothing is run.

DuckDB is imported when there is a query to look at, and never by a folder without one.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, islice, pairwise
from typing import Any

from runner.core.references import RUN_FACTS, ReferenceKind, ReferenceSyntaxError, find_references
from runner.jobfiles.lint.query_bounds import find_excess
from runner.jobfiles.lint.query_syntax import syntax_fault
from runner.jobfiles.lint.query_tables import find_table_faults
from runner.jobfiles.lint.step_fault import StepFault, fault_between

_ONE_TABLE = ("data",)
_MOST_TOLD = 20
_LONGEST_REMEMBERED = 4096
_REFERENCE_HINT = "Write ${run:scheduled_date}, without quotes around it."
_OPENED = re.compile(r"\$\{[^{}]*\}?")
_HINT_FOR_SETTING = (
    "Leave SET out: the job's `timezone` holds for the times of a query, its `resources` for memory."
)
# Of the commonest form of a query: a text; what names a part of it; FROM with one name, and nothing beside it.
_TEXT = re.compile(r"'[^']*'")
_PART = re.compile(r"(?i)\b([a-z_]\w*)\s+AS\s+\(")
_FROM = re.compile(r"\bfrom\b")
_FROM_ONE = re.compile(
    r"(?i)\bFROM\s+([a-z_]\w*)\s*"
    r"(?:\Z|;|\)|\b(?:WHERE|GROUP|ORDER|HAVING|LIMIT|QUALIFY|SELECT|UNION|EXCEPT|INTERSECT)\b)"
)
# Another form: other words after which a table can stand, other quotes, comments, functions that hide a table.
_OTHER_FORM = re.compile(
    r"(?i)\b(?:join|table|pivot\w*|unpivot|summarize|desc(?!\s*(?:[,;)]|nulls|limit|\Z))|describe|show|query\w*|using"
    r"|window|lateral|recursive|positional)\b|[\"\\]|--|/\*|\$\$"
)


def find_query_faults(text: str, tables: tuple[str, ...]) -> tuple[StepFault, ...]:
    """Why a query cannot work: rules `too-long`, `query-syntax`, `query-not-select`, `query-unknown-table`,
    `query-reads-outside` and `bad-reference`; 20 findings of each at most.

    Args:
        tables: the names of the job's sources.
    """
    faults = tuple(islice(_reference_faults(text), _MOST_TOLD))
    return faults or (_remembered if len(text) <= _LONGEST_REMEMBERED else _faults)(text, tables)


@lru_cache(maxsize=4096)
def _remembered(text: str, tables: tuple[str, ...]) -> tuple[StepFault, ...]:
    return _faults(text, tables)


def _faults(text: str, tables: tuple[str, ...]) -> tuple[StepFault, ...]:
    import duckdb

    excess = find_excess(text)
    if excess is not None:
        return (excess,)
    query = _with_parameters(text)
    try:
        statements = _parser().extract_statements(query)
    except duckdb.Error as error:
        return (syntax_fault(text, query, str(error), _parser().extract_statements),)
    except (ValueError, RecursionError) as error:
        return (StepFault(rule="query-syntax", message=f"SQL: {error}"),)
    fault = _statement_fault(statements)
    if fault is not None:
        return (fault,)
    # Place after place, as far as they are told: to find each takes a walk through the text before it.
    places = chain(_quoted_references(text, query), _other_parameters(text, statements[0]))
    faults = tuple(islice(places, _MOST_TOLD))
    if not faults and tables == _ONE_TABLE and _reads_data_alone(query):
        return ()
    return (*faults, *islice(find_table_faults(_parser(), query, text, tables), _MOST_TOLD))


def _statement_fault(statements: list[Any]) -> StepFault | None:
    import duckdb

    if not statements:
        return StepFault(rule="query-syntax", message="the query is empty", hint="Write SELECT … FROM data.")
    if len(statements) != 1:
        is_setting = any(statement.type == duckdb.StatementType.SET for statement in statements)
        return StepFault(
            rule="query-not-select",
            message=f"a query is one statement, this holds {len(statements)}",
            hint=_HINT_FOR_SETTING if is_setting else "Use WITH to build on a query.",
        )
    # A PIVOT without its values is a statement of several parts to DuckDB.
    if statements[0].type not in {duckdb.StatementType.SELECT, duckdb.StatementType.MULTI}:
        return StepFault(
            rule="query-not-select",
            message=f"a query answers with rows, this is {statements[0].type.name.replace('_', ' ')}",
            hint="Write SELECT … FROM data.",
        )
    return None


def _reads_data_alone(query: str) -> bool:
    """True for a query of the commonest form, which spares DuckDB's syntax tree: every FROM names `data`, or a
    part of the query, alone. False says nothing."""
    if _OTHER_FORM.search(query):
        return False
    bare = _TEXT.sub("0", query).lower()
    named = _FROM_ONE.findall(bare)
    return len(named) == len(_FROM.findall(bare)) and set(named) <= {"data", *_PART.findall(bare)}


@lru_cache(maxsize=1)
def _parser() -> Any:
    """A connection of our own to parse with: one thread, and out of the default connection's way."""
    import duckdb

    return duckdb.connect(config={"threads": 1, "enable_external_access": "false"})


def _reference_faults(text: str) -> Iterator[StepFault]:
    """Every `${…}` that cannot stand in a query."""
    if "${" not in text:
        return
    for match in _OPENED.finditer(text):
        hint = _REFERENCE_HINT
        try:
            found = find_references(match[0])
        except ReferenceSyntaxError as error:
            message = str(error)
            hint = error.hint if match[0].startswith("${run:") else hint
        else:
            if all(reference.kind is ReferenceKind.RUN for reference in found):
                continue
            message = "only ${run:…} can stand in a query"
        yield fault_between(text, *match.span(), rule="bad-reference", message=message, hint=hint)


def _quoted_references(text: str, query: str) -> Iterator[StepFault]:
    """References within a quoted text: a parameter cannot stand there, and the run would fail of it."""
    if "${" not in text:
        return
    import duckdb

    source = query.encode()
    done = start = 0
    for (offset, kind), (end, _) in pairwise([*duckdb.tokenize(query), (len(source), None)]):
        if kind == duckdb.token_type.string_const:
            start += len(source[done:offset].decode(errors="ignore"))
            done = offset
            length = len(source[offset:end].decode(errors="ignore"))
            for match in _OPENED.finditer(text, start, start + length):
                message = "a reference cannot stand inside quotes"
                yield fault_between(
                    text, *match.span(), rule="bad-reference", message=message, hint=_REFERENCE_HINT
                )


def _other_parameters(text: str, statement: Any) -> Iterator[StepFault]:
    """Parameters that are written as such, of which a run has none but its facts."""
    known = {match[0][6:-1] for match in _OPENED.finditer(text)} | {f"run_{fact}" for fact in RUN_FACTS}
    for name in sorted(set(statement.named_parameters) - known):
        message = f"the query has the parameter ${name}, and nothing to put there"
        yield StepFault(rule="bad-reference", message=message, hint=_REFERENCE_HINT)


def _with_parameters(text: str) -> str:
    """The text with every `${run:NAME}` as the parameter `$NAME`, of the same length."""
    return _OPENED.sub(lambda match: f"${match[0][6:-1]}".ljust(len(match[0])), text) if "${" in text else text
