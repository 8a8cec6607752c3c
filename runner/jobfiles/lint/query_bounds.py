"""SQL text → whether DuckDB's parser is given it at all: nothing holds the parser up once it has begun.

It goes back and tries again where a text does not parse. Each open bracket adds to that, and each WITH and PIVOT
within another doubles it: a text of 200 characters would take minutes. Beside that every word takes its time.
"""

import re

from runner.jobfiles.lint.step_fault import StepFault

# 10,000 words and signs are about 50 KiB of SQL, and take DuckDB 50 ms and 40 MiB.
MOST_TOKENS = 10_000
_MOST_NESTED = 100
_MOST_DOUBLING = 8
_MOST_SIGNS = 100
_PIECE = 64 * 1024
_SHORT = 120

_OPENING, _CLOSING, _SIGNS = (
    frozenset({b"(", b"[", b"{"}),
    frozenset({b")", b"]", b"}"}),
    frozenset({b"-", b"+", b"~", b"!", b"@"}),
)
# What to count where DuckDB is not to be asked where a text or comment begins.
_NOTABLE = re.compile(r"(?i)[(\[{~!@]|[-+](?=\s*[-+(\w])|with|pivot|case|not|desc|show|summ|expl|anal")
_WORD = re.compile(rb"\w*")
# Words and signs that can stand before themselves.
_BEFORE_ITSELF = frozenset({b"NOT", b"DESCRIBE", b"DESC", b"SHOW", b"SUMMARIZE", b"EXPLAIN", b"ANALYZE"})


def find_excess(text: str) -> StepFault | None:
    """Why a query is not parsed: rules `too-long` and `query-syntax`. None for all that people write."""
    if "\0" in text:
        return StepFault(rule="query-syntax", message="a query cannot hold NUL", hint="Remove it.")
    if len(text) <= MOST_TOKENS and (len(text) <= _SHORT or len(_NOTABLE.findall(text)) <= _MOST_DOUBLING):
        return None
    tokens = _tokens(text)
    if len(tokens) > MOST_TOKENS:
        message = f"the query has more than {MOST_TOKENS} words and signs"
        return StepFault(rule="too-long", message=message, hint="Keep long lists in a data file, and join it.")
    return _find_depth(text.encode(), tokens)


def is_large(text: str, most: int) -> bool:
    """Whether a query has more words and signs than that."""
    return len(text) > most and len(_tokens(text)) > most


def _tokens(text: str) -> list[int]:
    """The offsets in UTF-8 of words, texts and signs; of a query with too many, the first."""
    import duckdb

    found: list[int] = []
    for end in range(_PIECE, len(text) + _PIECE, _PIECE):
        found = [offset for offset, kind in duckdb.tokenize(text[:end]) if kind != duckdb.token_type.comment]
        if len(found) > MOST_TOKENS:
            break
    return found


def _find_depth(source: bytes, tokens: list[int]) -> StepFault | None:
    # Of each bracket and CASE that is open: whether it is a CASE, and whether a WITH or PIVOT stands in it by now.
    opened = [[False, False]]
    doubled = signs = 0
    for offset in tokens:
        sign = source[offset : offset + 1]
        word = _WORD.match(source, offset)[0].upper()  # type: ignore[index]  # of a sign the empty word
        signs = signs + 1 if sign in _SIGNS or word in _BEFORE_ITSELF else 0
        if sign in _OPENING or word == b"CASE":
            opened.append([word == b"CASE", False])
        elif sign in _CLOSING or (word == b"END" and opened[-1][0]):
            doubled -= _close(opened, bracket=sign in _CLOSING)
        elif (word == b"WITH" or b"PIVOT" in word) and not opened[-1][1]:
            opened[-1][1] = True
            doubled += 1
        if len(opened) > _MOST_NESTED + 1:
            return _too_deep(f"more than {_MOST_NESTED} brackets and CASEs stand in each other")
        if signs > _MOST_SIGNS:
            return _too_deep(f"more than {_MOST_SIGNS} signs, NOTs or the like stand in a row")
        if doubled > _MOST_DOUBLING:
            return _too_deep(f"more than {_MOST_DOUBLING} WITHs and PIVOTs stand in each other")
    return None


def _close(opened: list[list[bool]], *, bracket: bool) -> int:
    """Close the innermost CASE, or the innermost bracket with every CASE in it: how many WITHs and PIVOTs end."""
    ended = 0
    while len(opened) > 1:
        is_case, doubles = opened.pop()
        ended += doubles
        if not (bracket and is_case):
            break
    return ended


def _too_deep(message: str) -> StepFault:
    return StepFault(rule="query-syntax", message=message, hint="Give parts of the query names: WITH part AS (…).")
