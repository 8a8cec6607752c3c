"""The query of a database source: one statement that reads, in which `${run:…}` stands for values, never for text.

Pure: `runner.fetch` puts the values in place, and `runner validate` says beforehand what is wrong.
"""

import re
from dataclasses import dataclass

from runner.core.references import ReferenceKind, find_references

# Databases in whose texts a backslash escapes, and in which `#` begins a comment.
MYSQL = frozenset({"mysql", "mariadb"})
# What is opened and never closed goes on to the end: looked for once, and for the database to complain of.
_BLOCK = r"/\*.*?(?:\*/|\Z)"
_ESCAPED = r"'(?:[^'\\]|\\.|'')*+(?:'|\Z)"
_DOLLARS = r"\$(?P<tag>\w*)\$.*?(?:\$(?P=tag)\$|\Z)"
_QUOTED = {
    True: rf"{_ESCAPED}|\"(?:[^\"\\]|\\.|\"\")*+(?:\"|\Z)|`[^`]*+(?:`|\Z)|#[^\n]*|--(?=\s)[^\n]*|{_BLOCK}",
    False: rf"\b[eE]{_ESCAPED}|'(?:[^']|'')*+(?:'|\Z)|\"(?:[^\"]|\"\")*+(?:\"|\Z)|{_DOLLARS}|--[^\n]*|{_BLOCK}",
}
_PATTERNS = {mysql: re.compile(pattern, re.DOTALL) for mysql, pattern in _QUOTED.items()}
_COMMENTS = ("--", "/*", "#")
_FIRST_WORD = re.compile(rf"(?:\s|\(|--[^\n]*|#[^\n]*|{_BLOCK})*+(\w*)", re.DOTALL)
_READING = frozenset(
    {"SELECT", "WITH", "VALUES", "TABLE", "FROM", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "PRAGMA"}
)
# A name in brackets, as SQL Server and SQLite write it, may hold a semicolon.
_IN_BRACKETS = re.compile(r"\[[^\[\]\n]*\]")
_END = re.compile(r"[\s;]*")
_LONGEST_SHOWN = 40


class SourceQueryError(ValueError):
    """A query that is not run. The message goes on behind what the query is called; `start` and `end` are the
    offsets of what is wrong with it, `hint` says what to do."""

    def __init__(self, message: str, start: int, end: int, hint: str) -> None:
        super().__init__(message)
        self.start = start
        self.end = end
        self.hint = hint


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceQuery:
    """A query in pieces: between `texts[n]` and `texts[n + 1]` stands the value of `facts[n]`."""

    texts: tuple[str, ...]
    facts: tuple[str, ...]


def parse_source_query(query: str, *, dialect: str) -> SourceQuery:
    """Take a query apart. A reference in a comment is text.

    Args:
        dialect: the database, such as `postgresql`: it decides what is quoted.

    Raises:
        SourceQueryError: it does not read, is several statements, or has a reference where none can stand.
        ReferenceSyntaxError: a `${…}` is no reference.
    """
    word = _FIRST_WORD.match(query)
    assert word is not None  # it matches nothing at least
    if word[1].upper() not in _READING:
        raise SourceQueryError(
            f"begins with {word[1][:_LONGEST_SHOWN] or 'no word'}: it is no query that reads",
            word.start(1),
            word.end(1),
            "Write one statement that begins with SELECT or WITH.",
        )
    quoted = [(match.start(), match.end()) for match in _PATTERNS[dialect in MYSQL].finditer(query)]
    _refuse_several(query, quoted)
    texts, facts, begin, place = [""], [], 0, 0
    for reference in find_references(query):
        while place < len(quoted) and quoted[place][1] <= reference.start:
            place += 1
        texts[-1] += query[begin : reference.start]
        begin = reference.end
        if reference.kind is not ReferenceKind.RUN:
            raise SourceQueryError(
                f"cannot hold ${{{reference.kind}:…}}: only ${{run:…}} can stand there",
                reference.start,
                reference.end,
                "Whatever is no fact of the run is written out.",
            )
        if place == len(quoted) or reference.start < quoted[place][0]:
            facts.append(reference.name)
            texts.append("")
        elif query.startswith(_COMMENTS, quoted[place][0]):
            texts[-1] += reference.name
        else:
            raise SourceQueryError(
                f"has ${{run:{reference.name}}}, which stands inside quotes",
                reference.start,
                reference.end,
                "A reference is a value of its own: write it without quotes.",
            )
    texts[-1] += query[begin:]
    return SourceQuery(texts=tuple(texts), facts=tuple(facts))


def _refuse_several(query: str, quoted: list[tuple[int, int]]) -> None:
    pieces, begin = [], 0
    for start, end in quoted:
        # What is not a comment is something, also behind a semicolon.
        blank = " " if query.startswith(_COMMENTS, start) else "x"
        pieces += [query[begin:start], blank * (end - start)]
        begin = end
    bare = _IN_BRACKETS.sub(lambda match: "x" * len(match[0]), "".join([*pieces, query[begin:]]))
    end = bare.find(";")
    if end >= 0:
        second = _END.match(bare, end)
        assert second is not None  # it matches nothing at least
        if second.end() < len(bare):
            raise SourceQueryError(
                "is several statements: a second one begins here",
                second.end(),
                second.end() + 1,
                "Keep one SELECT; WITH gives names to what comes before it.",
            )
