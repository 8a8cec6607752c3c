"""`${env:NAME}`, `${file:/path}` and `${run:fact}` in the texts of a job: where they stand and what they mean.

Finding is pure and lives here; the environment and files are read by `runner.fetch` when a run starts.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

RUN_FACTS = (
    "job_name",
    "run_id",
    "attempt",
    "scheduled_time",
    "scheduled_date",
    "scheduled_year",
    "scheduled_month",
    "scheduled_day",
)
MASK = "***"
_OPENED = re.compile(r"\$\{(?P<body>[^{}]*)(?P<closed>\}?)")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_SHORTEST_SECRET = 4


class ReferenceKind(StrEnum):
    """What a reference reads."""

    ENV = "env"
    FILE = "file"
    RUN = "run"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """One reference: `kind` and `name`, and the offsets of its text."""

    kind: ReferenceKind
    name: str
    start: int
    end: int


class ReferenceSyntaxError(ValueError):
    """A `${…}` that is none of the three kinds. `start` and `end` are its offsets in the text."""

    def __init__(self, message: str, start: int, end: int) -> None:
        super().__init__(message)
        self.start = start
        self.end = end


def find_references(text: str) -> tuple[Reference, ...]:
    """Every reference in a text, in order.

    Raises:
        ReferenceSyntaxError: a `${…}` of no known kind, with a name that kind does not take, or never closed.
    """
    return tuple(_parse(match) for match in _OPENED.finditer(text)) if "${" in text else ()


def substitute(text: str, resolve: Callable[[Reference], str]) -> str:
    """The text with every reference replaced by what `resolve` answers for it.

    Raises:
        ReferenceSyntaxError: as `find_references`.
    """
    return _OPENED.sub(lambda match: resolve(_parse(match)), text) if "${" in text else text


def run_facts(
    *, job_name: str, run_id: str, attempt: int, scheduled_time: datetime, timezone: str
) -> Mapping[str, str]:
    """What `${run:…}` stands for. Dates and times are those of the job's zone; times are ISO 8601 with offset."""
    local = scheduled_time.astimezone(ZoneInfo(timezone))
    values = (
        job_name,
        run_id,
        str(attempt),
        local.isoformat(timespec="seconds"),
        local.date().isoformat(),
        f"{local.year:04d}",
        f"{local.month:02d}",
        f"{local.day:02d}",
    )
    return dict(zip(RUN_FACTS, values, strict=True))


def mask(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret replaced by `***`, longest first.

    Values shorter than four characters are left: masking them would tear words apart and hide nothing.
    """
    for secret in sorted({value for value in secrets if len(value) >= _SHORTEST_SECRET}, key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def _parse(match: re.Match[str]) -> Reference:
    body = match["body"]
    prefix, colon, name = body.partition(":")
    start, end = match.span()
    if not match["closed"]:
        raise ReferenceSyntaxError("this ${ is never closed: write ${env:NAME}", start, end)
    if not colon or prefix not in set(ReferenceKind):
        raise ReferenceSyntaxError(
            f"${{{body}}} is no reference: write ${{env:NAME}}, ${{file:/path}} or ${{run:scheduled_date}}",
            start,
            end,
        )
    kind = ReferenceKind(prefix)
    if kind is ReferenceKind.ENV and not _ENV_NAME.match(name):
        raise ReferenceSyntaxError(f"{name!r} is no name of an environment variable", start, end)
    if kind is ReferenceKind.FILE and not name.startswith("/"):
        raise ReferenceSyntaxError(f"${{file:{name}}} needs an absolute path", start, end)
    if kind is ReferenceKind.RUN and name not in RUN_FACTS:
        raise ReferenceSyntaxError(f"a run has no {name!r}; it has {', '.join(RUN_FACTS)}", start, end)
    return Reference(kind=kind, name=name, start=start, end=end)
