"""The query of a database source, with its `${run:…}` references as parameters, never text."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from runner.core.bookmark import CursorValue
from runner.core.references import WHOLE_FACTS, ReferenceSyntaxError
from runner.core.source_query import MYSQL, SourceQueryError, parse_source_query
from runner.errors import FetchError

_PREFIX = "run_"
_TIMES = frozenset({"scheduled_time", "data_interval_start", "data_interval_end"})


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
        FetchError: it is no one statement that reads, or a reference is none to a fact, or stands inside quotes.
    """
    try:
        parsed = parse_source_query(query.replace("\0", " "), dialect=dialect)
    except SourceQueryError as error:
        raise FetchError(f"{key} {error}", hint=error.hint) from None
    except ReferenceSyntaxError as error:
        raise FetchError(f"{key}: {error}", hint="`runner validate` shows the place.") from None
    first, *others = (text.replace(":", "\\:") for text in parsed.texts)
    # The blanks keep what is written beside a reference apart from its name.
    bound = "".join(f" :{_PREFIX}{fact} {text}" for fact, text in zip(parsed.facts, others, strict=True))
    values = {_PREFIX + fact: _value(fact, dialect, facts, cursor) for fact in parsed.facts}
    return BoundQuery(text=(first + bound).strip().rstrip(";"), parameters=values)


def _value(name: str, dialect: str, facts: Mapping[str, str], cursor: CursorValue | None) -> int | float | str:
    if name == "cursor" and cursor is not None:
        return _without_zone(cursor) if dialect in MYSQL and isinstance(cursor, str) else cursor
    if name in WHOLE_FACTS:
        return int(facts[name])
    if name in _TIMES and dialect in MYSQL:
        return _without_zone(facts[name])
    return facts[name]


def _without_zone(value: str) -> str:
    """A time with a zone as MySQL writes it in a session in UTC, to its last digit; every other text as it is."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    return value if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
