"""The query of a database source: its `${run:…}` references become parameters, never text."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from runner.core.bookmark import CursorValue
from runner.core.references import Reference, ReferenceKind, ReferenceSyntaxError, substitute
from runner.errors import FetchError

_PREFIX = "run_"
_WHOLE_FACTS = frozenset({"attempt", "scheduled_year", "scheduled_month", "scheduled_day"})
_TIMES = frozenset({"scheduled_time", "data_interval_start", "data_interval_end"})
_MYSQL = frozenset({"mysql", "mariadb"})
# A character that no query holds stands for a reference while quotes and comments are looked for.
_MARK = "\0"
_MARKED = re.compile(rf"{_MARK}(\w+){_MARK}")
_BLOCK = r"/\*.*?\*/"
_ESCAPED = r"'(?:[^'\\]|\\.|'')*'"
_DOLLARS = r"\$(?P<tag>\w*)\$.*?\$(?P=tag)\$"
_QUOTED = {
    True: rf"{_ESCAPED}|\"(?:[^\"\\]|\\.|\"\")*\"|`[^`]*`|#[^\n]*|--(?=\s)[^\n]*|{_BLOCK}",
    False: rf"\b[eE]{_ESCAPED}|'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|{_DOLLARS}|--[^\n]*|{_BLOCK}",
}
_COMMENTS = ("--", "/*", "#")
_FIRST_WORD = re.compile(rf"(?:\s|\(|--[^\n]*|#[^\n]*|{_BLOCK})*(\w*)", re.DOTALL)
_READING = frozenset(
    {"SELECT", "WITH", "VALUES", "TABLE", "FROM", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "PRAGMA"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class BoundQuery:
    """`text` is for `sqlalchemy.text`: every colon that is not a parameter's is escaped."""

    text: str
    parameters: Mapping[str, int | float | str]


def bind_query(
    query: str, *, dialect: str, facts: Mapping[str, str], cursor: CursorValue | None, key: str
) -> BoundQuery:
    """A query with its references as parameters.

    The cursor keeps its type; attempt, year, month and day are numbers; everything else is text. MySQL, whose
    session is in UTC, gets times as it writes them: `2025-11-09 13:00:00`.

    Args:
        key: what a message calls the query: `data_source.query`.

    Raises:
        FetchError: it is no statement that reads, or a reference is none to a fact, or stands inside quotes.
    """
    first = _FIRST_WORD.match(query)
    if first is None or first[1].upper() not in _READING:
        raise FetchError(
            f"{key} begins with {first[1][:40] if first and first[1] else 'no word'}: it is no query that reads",
            hint="Write one statement that begins with SELECT or WITH.",
        )
    try:
        marked = substitute(query.replace(_MARK, " "), _mark)
    except ReferenceSyntaxError as error:
        raise FetchError(f"{key}: {error}", hint="`runner validate` shows the place.") from None
    pattern = re.compile(_QUOTED[dialect in _MYSQL], re.DOTALL)
    escaped = pattern.sub(lambda match: _without_references(match[0], key), marked).replace(":", "\\:")
    names = set(_MARKED.findall(escaped))
    values = {_PREFIX + name: _value(name, dialect, facts, cursor) for name in names}
    # The blanks keep what is written beside a reference apart from its name.
    return BoundQuery(text=_MARKED.sub(rf" :{_PREFIX}\1 ", escaped).strip().rstrip(";"), parameters=values)


def _mark(reference: Reference) -> str:
    if reference.kind is not ReferenceKind.RUN:
        raise ReferenceSyntaxError(
            f"${{{reference.kind}:…}} cannot stand in a query: only ${{run:…}} can", reference.start, reference.end
        )
    return f"{_MARK}{reference.name}{_MARK}"


def _without_references(quoted: str, key: str) -> str:
    """A comment without the references in it, or a quoted text, which has none."""
    found = _MARKED.search(quoted)
    if found is not None and not quoted.startswith(_COMMENTS):
        raise FetchError(
            f"{key}: ${{run:{found[1]}}} stands inside quotes",
            hint="A reference is a value of its own: write it without quotes.",
        )
    return _MARKED.sub(r"\1", quoted)


def _value(name: str, dialect: str, facts: Mapping[str, str], cursor: CursorValue | None) -> int | float | str:
    if name == "cursor" and cursor is not None:
        return _without_zone(cursor) if dialect in _MYSQL and isinstance(cursor, str) else cursor
    if name in _WHOLE_FACTS:
        return int(facts[name])
    if name in _TIMES and dialect in _MYSQL:
        return _without_zone(facts[name])
    return facts[name]


def _without_zone(value: str) -> str:
    """A time with a zone as MySQL writes it in a session in UTC, to its last digit; every other text as it is."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    return value if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
