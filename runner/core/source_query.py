"""The query of a database source: one statement that reads, in which `${run:…}` stands for values, never for text.

Pure: `runner.fetch` puts the values in place, and `runner validate` says beforehand what is wrong. Databases do
not agree on what is quoted: to one that is not known here, or not named, a query is wrong if all readings say so.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from runner.core.references import Reference, ReferenceKind, find_references

MYSQL = frozenset({"mysql", "mariadb"})
_OPENING = re.compile(
    r"(?P<escaped>\b[eE]')|(?P<single>')|(?P<double>\")|(?P<tick>`)|(?P<bracket>\[)"
    r"|(?P<dollars>(?<![\w$])\$(?:[^\W\d]\w*)?\$)|(?P<line>--)|(?P<hash>\#)|(?P<block>/\*)"
)
_COMMENTS = frozenset({"line", "hash", "block"})
# What may open something, or be a sign of its own.
_DOUBTFUL = frozenset({"bracket", "line"})
_ESCAPED = r"'(?:[^'\\]|\\.|'')*+'"
_TICKS = re.compile(r"`(?:[^`]|``)*+`")
# A name, as SQL Server and SQLite write it; what has a brace in it is no such name, and may hold a reference.
_BRACKETS = re.compile(r"\[(?:[^\[\]{}]|\]\])*+\]")
_LINE = re.compile(r"[^\n]*")
_BLOCK_ENDS = re.compile(r"/\*|\*/")
_STANDARD: Mapping[str, re.Pattern[str]] = {
    "escaped": re.compile(rf"[eE]{_ESCAPED}", re.DOTALL),
    "single": re.compile(r"'(?:[^']|'')*+'"),
    "double": re.compile(r'"(?:[^"]|"")*+"'),
    "tick": _TICKS,
    "bracket": _BRACKETS,
    "line": _LINE,
}
_WITH_BACKSLASHES: Mapping[str, re.Pattern[str]] = {
    "single": re.compile(_ESCAPED, re.DOTALL),
    "double": re.compile(r'"(?:[^"\\]|\\.|"")*+"', re.DOTALL),
    "tick": _TICKS,
    "line": re.compile(r"--(?=\s|\Z)[^\n]*"),
    "hash": _LINE,
}
_FIRST_WORD = re.compile(r"(?:\s|\(|--[^\n]*|#[^\n]*|/\*.*?(?:\*/|\Z))*+(\w*)", re.DOTALL)
_READING = frozenset(
    {"SELECT", "WITH", "VALUES", "TABLE", "FROM", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "PRAGMA"}
)
# Oracle's own functions in a query have statements of their own.
_WITH_STATEMENTS = re.compile(r"(?i)\bWITH\s+(?:FUNCTION|PROCEDURE)\b")
_BEHIND = re.compile(r"[\s;]*")
# What MySQL and MariaDB carry out although it looks like a comment, and how they write a file on their machine.
_CARRIED_OUT = re.compile(r"/\*M?!")
_INTO_FILE = re.compile(r"(?i)\bINTO\s+(?:OUTFILE|DUMPFILE)\b")
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


@dataclass(frozen=True, kw_only=True, slots=True)
class _Reading:
    """What a database takes for quoted, by its opening; whether comments nest and dollars quote, as in PostgreSQL;
    and whether `/*! … */` is none, as in MySQL."""

    closed: Mapping[str, re.Pattern[str]]
    postgres: bool = False
    mysql: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class _Quoted:
    """A part of a query that is no code: a text, a name in quotes, or a comment. One that is never `closed` goes
    on to the end: what is wrong there is the database's to say."""

    start: int
    end: int
    comment: bool = False
    closed: bool = True


_PLAIN, _POSTGRES, _BACKSLASHES = (
    _Reading(closed=_STANDARD),
    _Reading(closed=_STANDARD, postgres=True),
    _Reading(closed=_WITH_BACKSLASHES, mysql=True),
)
_READINGS: Mapping[str, tuple[_Reading, ...]] = {
    "postgresql": (_POSTGRES,),
    "mssql": (_PLAIN, _POSTGRES),
    "sqlite": (_PLAIN,),
    "oracle": (_PLAIN,),
    **dict.fromkeys(MYSQL, (_BACKSLASHES,)),
}


def parse_source_query(query: str, *, dialect: str) -> SourceQuery:
    """Take a query apart. A reference in a comment is text.

    Args:
        dialect: the database, such as `postgresql`; empty where it is not known.

    Raises:
        SourceQueryError: it does not read, is several statements, writes a file, or has a reference where none can
            stand.
        ReferenceSyntaxError: a `${…}` is no reference.
    """
    _require_reading(query)
    references = find_references(query)
    faults = []
    for reading in _READINGS.get(dialect, (_PLAIN, _POSTGRES, _BACKSLASHES)):
        quoted = tuple(_quoted(query, reading))
        try:
            parsed = _taken_apart(query, references, quoted)
            bare = _bare(query, quoted)
            _refuse_several(bare)
            _refuse_file(bare)
        except SourceQueryError as error:
            faults.append(error)
        else:
            return parsed
    raise faults[0]


def _require_reading(query: str) -> None:
    word = _FIRST_WORD.match(query)
    assert word is not None  # it matches nothing at least
    if word[1].upper() in _READING:
        return
    start, end = word.span(1)
    if start == end:
        first_line = query.strip().partition("\n")[0] or query
        start = query.index(first_line)
        end = start + len(first_line)
    raise SourceQueryError(
        f"begins with {word[1][:_LONGEST_SHOWN] or 'no word'}: it is no query that reads",
        start,
        end,
        "Write one statement that begins with SELECT or WITH.",
    )


def _quoted(query: str, reading: _Reading) -> Iterator[_Quoted]:
    """All that is no code, in order."""
    position = 0
    while opening := _OPENING.search(query, position):
        kind, start = str(opening.lastgroup), opening.start()
        position = start + 1
        if kind == "block" and reading.mysql and _CARRIED_OUT.match(query, start):
            continue
        if kind == "block":
            end = _end_of_block(query, start, nesting=reading.postgres)
        elif kind == "dollars" and reading.postgres:
            end = _behind(query, opening[0], opening.end())
        elif kind in reading.closed:
            found = reading.closed[kind].match(query, start)
            end = found.end() if found else start if kind in _DOUBTFUL else -1
        else:
            continue
        if end < 0:
            yield _Quoted(start=start, end=len(query), closed=False)
            return
        if end > start:
            position = end
            yield _Quoted(start=start, end=end, comment=kind in _COMMENTS)


def _end_of_block(query: str, start: int, *, nesting: bool) -> int:
    """Where a comment ends; -1 where it does not."""
    if not nesting:
        return _behind(query, "*/", start + 2)
    depth = 0
    for found in _BLOCK_ENDS.finditer(query, start):
        depth += 1 if found[0] == "/*" else -1
        if depth == 0:
            return found.end()
    return -1


def _behind(query: str, text: str, start: int) -> int:
    """The offset behind a text, looked for from `start` on; -1 where there is none."""
    found = query.find(text, start)
    return found if found < 0 else found + len(text)


def _taken_apart(query: str, references: tuple[Reference, ...], quoted: tuple[_Quoted, ...]) -> SourceQuery:
    texts, facts, begin, place = [""], [], 0, 0
    for reference in references:
        texts[-1] += query[begin : reference.start]
        begin = reference.end
        while place < len(quoted) and quoted[place].end <= reference.start:
            place += 1
        around = quoted[place] if place < len(quoted) and quoted[place].start <= reference.start else None
        if around is not None and around.comment:
            texts[-1] += reference.name
            continue
        _require_value(reference, within=around)
        facts.append(reference.name)
        texts.append("")
    texts[-1] += query[begin:]
    return SourceQuery(texts=tuple(texts), facts=tuple(facts))


def _require_value(reference: Reference, *, within: _Quoted | None) -> None:
    """Refuse a reference that cannot stand for a value in a query."""
    if reference.kind is not ReferenceKind.RUN:
        raise SourceQueryError(
            f"cannot hold ${{{reference.kind}:…}}: only ${{run:…}} can stand there",
            reference.start,
            reference.end,
            "Whatever is no fact of the run is written out.",
        )
    if within is not None and within.closed:
        raise SourceQueryError(
            f"has ${{run:{reference.name}}}, which stands inside quotes",
            reference.start,
            reference.end,
            "A reference is a value of its own: write it without quotes.",
        )


def _bare(query: str, quoted: tuple[_Quoted, ...]) -> str:
    """A query with as many blanks for each comment, and something for all else that is no code."""
    pieces, begin = [], 0
    for one in quoted:
        # What is not a comment is something, also behind a semicolon.
        pieces += [query[begin : one.start], (" " if one.comment else "x") * (one.end - one.start)]
        begin = one.end
    return "".join([*pieces, query[begin:]])


def _refuse_several(bare: str) -> None:
    end = bare.find(";")
    behind = _BEHIND.match(bare, end) if end >= 0 else None
    if behind is not None and behind.end() < len(bare) and not _WITH_STATEMENTS.search(bare):
        raise SourceQueryError(
            "is several statements: a second one begins here",
            behind.end(),
            behind.end() + 1,
            "Keep one SELECT; WITH gives names to what comes before it.",
        )


def _refuse_file(bare: str) -> None:
    """Refuse what a read-only session does not."""
    found = _INTO_FILE.search(bare)
    if found is not None:
        raise SourceQueryError(
            "writes a file on the machine of the database",
            found.start(),
            found.end(),
            "Leave INTO out: the rows of the query are what a source gives.",
        )
