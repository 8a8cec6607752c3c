"""The text of a query before DuckDB has it: references become parameters, a statement ends where it ends."""

import re
from itertools import pairwise

import duckdb

from runner.core.references import Reference, ReferenceKind, ReferenceSyntaxError, substitute

PREFIX = "run_"


def bind_references(text: str) -> str:
    """The query with `${run:scheduled_date}` as the parameter `$run_scheduled_date`.

    Raises:
        ReferenceSyntaxError: a `${…}` that is no reference to a fact of the run.
        ValueError: a reference inside a quoted text, where no parameter can stand.
    """
    bound = substitute(text, _parameter)
    if bound != text:
        # Tokens are counted in bytes.
        content = bound.encode()
        tokens = [*duckdb.tokenize(bound), (len(content), None)]
        for (start, kind), (end, _) in pairwise(tokens):
            quoted = content[start:end].decode() if kind == duckdb.token_type.string_const else ""
            if f"${PREFIX}" in quoted:
                name = quoted.partition(f"${PREFIX}")[2]
                fact = re.match(r"\w*", name)
                raise ValueError(f"${{run:{fact[0] if fact else ''}}} stands inside quotes")
    return bound


def without_end(statement: str) -> str:
    """A statement up to its first `;`, as more of them and comments may follow."""
    content = statement.encode()
    starts = (start for start, _ in duckdb.tokenize(statement) if content[start : start + 1] == b";")
    return content[: next(starts, None)].decode().rstrip()


def _parameter(reference: Reference) -> str:
    if reference.kind is not ReferenceKind.RUN:
        raise ReferenceSyntaxError(
            f"${{{reference.kind}:…}} cannot stand in a query: only ${{run:…}} can",
            reference.start,
            reference.end,
        )
    return f"${PREFIX}{reference.name}"
