"""A query that does not parse → the finding, at the place that DuckDB's complaint shows."""

import re
from collections.abc import Callable
from typing import Any

from runner.core.dialects import hint_for_form
from runner.jobfiles.lint.step_fault import StepFault

_PLACE = re.compile(r"\n\nLINE (?P<line>[0-9]+): (?P<excerpt>[^\n]*)\n(?P<indent> *)\^(?P<rest>\^*)")
_HINT = "Mend the query: it does not parse."
_MOST_QUOTED = 5
# What a clause or a condition begins with is half of one where the query does not parse, and never a column.
_NO_NAMES = frozenset({"and", "having", "not", "or", "select", "where", "with"})


def syntax_fault(text: str, query: str, complaint: str, parse: Callable[[str], Any]) -> StepFault:
    """DuckDB's message with its place.

    Args:
        text: the query as it was written; `query` is what was parsed, each line as long.
        parse: raises `duckdb.Error` at what does not parse.
    """
    message = "SQL: " + complaint.split("\n", 1)[0].removeprefix("Parser Error: ")
    place = _place(text, complaint)
    if place is None:
        return StepFault(rule="query-syntax", message=message, hint=_HINT)
    line, column, length = place
    words = _words_as_names(query, complaint, parse)
    hint = f"{_HINT} {_as_names(words)}" if words else hint_for_form(query, _offset(query, complaint)) or _HINT
    return StepFault(
        rule="query-syntax",
        message=message,
        hint=hint,
        line=line,
        column=column,
        end_line=line,
        end_column=column + length,
    )


def _as_names(words: tuple[str, ...]) -> str:
    quoted = ", ".join(f'"{word}"' for word in words)
    return f"Words of SQL stand in double quotes where they are names of columns: {quoted}."


def _place(text: str, complaint: str) -> tuple[int, int, int] | None:
    """Line, column and length: the complaint shows an excerpt of the line, and a caret below it."""
    match = _PLACE.search(complaint)
    lines = text.split("\n")
    if match is None or int(match["line"]) > len(lines):
        return None
    line = int(match["line"])
    shown = match["excerpt"]
    offset = len(match["indent"]) - len(f"LINE {line}: ")
    bare = shown.removeprefix("...").removesuffix("...")
    start = max(lines[line - 1].find(bare), 0)
    column = start + offset - (3 if shown.startswith("...") and start else 0) + 1
    return line, min(max(column, 1), len(lines[line - 1]) + 1), 1 + len(match["rest"])


def _words_as_names(query: str, complaint: str, parse: Callable[[str], Any]) -> tuple[str, ...]:
    """The words, such as `order` and `at`, with which the query parses once they stand in double quotes.

    DuckDB complains of such a word, or of what stands behind it: `near ")"` for `max(at)`.
    """
    import duckdb

    quoted: list[str] = []
    while len(quoted) < _MOST_QUOTED:
        further: list[tuple[int, str, str, str]] = []
        for word, attempt in _with_one_quoted(query, complaint):
            try:
                parse(attempt)
            except duckdb.Error as error:
                further.append((_offset(attempt, str(error)), word, attempt, str(error)))
            else:
                return tuple(dict.fromkeys([*quoted, word]))
        before = _offset(query, complaint)
        reached, word, query, complaint = max(further, default=(-1, "", "", ""))
        # The quotes themselves moved it by two.
        if reached <= before + 2:
            return ()
        quoted.append(word)
    return ()


def _with_one_quoted(query: str, complaint: str) -> list[tuple[str, str]]:
    """The word at the place of the complaint, and the one before it: each with the query in which it is quoted."""
    import duckdb

    tokens = duckdb.tokenize(query)
    source = query.encode()
    ends = [*(start for start, _ in tokens[1:]), len(source)]
    # DuckDB counts bytes. A query may have thousands of words: only those at the place are made texts.
    place = len(query[: _offset(query, complaint)].encode())
    at = next((index for index, (start, _) in enumerate(tokens) if start == place), None)
    if at is None:
        return []
    attempts: list[tuple[str, str]] = []
    for (start, kind), end in list(zip(tokens, ends, strict=True))[max(at - 1, 0) : at + 1]:
        word = source[start:end].decode(errors="ignore").rstrip()
        if kind == duckdb.token_type.keyword and word.lower() not in _NO_NAMES:
            begin = len(source[:start].decode(errors="ignore"))
            attempts.append((word, f'{query[:begin]}"{word}"{query[begin + len(word) :]}'))
    return attempts


def _offset(query: str, complaint: str) -> int:
    """The place in the whole query, from 0; -1 where the complaint has none."""
    place = _place(query, complaint)
    if place is None:
        return -1
    line, column, _ = place
    return sum(len(each) + 1 for each in query.split("\n")[: line - 1]) + column - 1
