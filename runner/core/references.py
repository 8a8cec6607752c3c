"""`${env:NAME}`, `${file:/path}` and `${run:fact}` in the texts of a job: where they stand and what they mean.

Finding is pure and lives here; the environment and files are read by `runner.fetch` when a run starts.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from runner.core.bookmark import CursorValue
from runner.core.source import is_never_read

RUN_FACTS = (
    "job_name",
    "run_id",
    "attempt",
    "scheduled_time",
    "scheduled_date",
    "scheduled_year",
    "scheduled_month",
    "scheduled_day",
    "data_interval_start",
    "data_interval_end",
    "cursor",
)
WHOLE_FACTS = frozenset({"attempt", "scheduled_year", "scheduled_month", "scheduled_day"})
"""The facts of a run that are numbers to a query; the others are texts, the cursor either."""
OWN_SECRETS = ("SMTP_PASSWORD", "STATUS_TOKEN")
"""The settings of the runner that are secrets: its own, and no value of a job, which could send them anywhere."""
_OPENED = re.compile(r"\$\{(?P<body>[^{}]*)(?P<closed>\}?)")
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_KINDS = frozenset({"env", "file", "run"})
# A reference as `_parse` takes it.
_GOOD = re.compile(
    rf"\$\{{(?:env:(?!(?:{'|'.join(OWN_SECRETS)})\}})[A-Za-z_][A-Za-z0-9_]*"
    rf"|file:(/[^{{}}]*)|run:(?:{'|'.join(RUN_FACTS)}))\}}"
)
_LONGEST_SHOWN = 60
# What other tools write: `{ env.NAME }}` behind a `$`, `NAME:-default`, `vault.NAME`.
_TEMPLATE = re.compile(r"\{(?P<body>[^{}]*)\}\}")
_DEFAULT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*:[-=?+]")
_WORD_BEFORE = re.compile(r"(?:(?P<kind>[A-Za-z]+)\s*[:.]\s*)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:\s*:[-=?+].*)?")
MANY_SECRETS_HINT = (
    "`.env`, `.git`, /proc, /sys and what is kept of runs and mails are never a value: all that they hold would be"
    " sent. Write ${env:NAME} for one."
)
_FORMS = "Write ${env:NAME}, ${file:/path} or ${run:scheduled_date}."
_OWN_VARIABLE = "Set a variable of its own for what the job reads, such as ${env:API_TOKEN}."
_VARIABLE = "A variable has a name of letters, digits and _, such as ${env:API_TOKEN}."
_OTHER_NAMES = {
    "today": "scheduled_date",
    "now": "scheduled_time",
    "job": "job_name",
    "name": "job_name",
    "id": "run_id",
}


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
    """A `${…}` that is none of the three kinds. `start` and `end` are its offsets in the text, `hint` says what to
    write instead."""

    def __init__(self, message: str, start: int, end: int, hint: str = "") -> None:
        super().__init__(message)
        self.start = start
        self.end = end
        self.hint = hint


def find_references(text: str) -> tuple[Reference, ...]:
    """Every reference in a text, in order.

    Raises:
        ReferenceSyntaxError: a `${…}` of no known kind, with a name that kind does not take, or never closed.
    """
    return tuple(_parse(match) for match in _OPENED.finditer(text)) if "${" in text else ()


def references_are_good(text: str) -> bool:
    """Whether `find_references` finds no fault in a text; quick also where there are thousands."""
    if "${" not in text:
        return True
    found = _GOOD.findall(text)
    return len(found) == text.count("${") and not any(map(is_never_read, filter(None, found)))


def substitute(text: str, resolve: Callable[[Reference], str]) -> str:
    """The text with every reference replaced by what `resolve` answers for it.

    Raises:
        ReferenceSyntaxError: as `find_references`.
    """
    return _OPENED.sub(lambda match: resolve(_parse(match)), text) if "${" in text else text


def run_facts(
    *,
    job_name: str,
    run_id: str,
    attempt: int,
    scheduled_time: datetime,
    timezone: str,
    data_interval_start: datetime | None = None,
    cursor: CursorValue | None = None,
) -> Mapping[str, str]:
    """What `${run:…}` stands for. Dates and times are those of the job's zone; times are ISO 8601 with offset.

    The interval ends with the scheduled time; without a start it is empty. `cursor` is empty where the job has
    none.
    """
    zone = ZoneInfo(timezone)
    local = scheduled_time.astimezone(zone)
    start = (data_interval_start or scheduled_time).astimezone(zone)
    values = (
        job_name,
        run_id,
        str(attempt),
        local.isoformat(timespec="seconds"),
        local.date().isoformat(),
        f"{local.year:04d}",
        f"{local.month:02d}",
        f"{local.day:02d}",
        start.isoformat(timespec="seconds"),
        local.isoformat(timespec="seconds"),
        "" if cursor is None else str(cursor),
    )
    return dict(zip(RUN_FACTS, values, strict=True))


def nearest_fact(name: str) -> str | None:
    """The fact that a name which is none most likely means; None where it resembles none."""
    import difflib  # of use where something is wrong alone

    wanted = name.strip().lower()[:_LONGEST_SHOWN]
    ends = [fact for fact in RUN_FACTS if fact.endswith(f"_{wanted}")]
    close = difflib.get_close_matches(wanted, RUN_FACTS, n=1)
    return _OTHER_NAMES.get(wanted) or next(iter(close or ends), None)


def _parse(match: re.Match[str]) -> Reference:
    body = match["body"]
    prefix, colon, name = body.partition(":")
    start, end = match.span()
    if not match["closed"]:
        raise _unclosed(match)
    if not colon or prefix not in _KINDS:
        raise ReferenceSyntaxError(f"${{{_cut(body)}}} is no reference", start, end, _likely(body))
    kind = ReferenceKind(prefix)
    if kind is ReferenceKind.ENV and not _ENV_NAME.match(name):
        default = _DEFAULT.match(name)
        message = "a reference has no default value" if default else f"'{_cut(name)}' is no name of a variable"
        raise ReferenceSyntaxError(message, start, end, _likely(body, _VARIABLE))
    if kind is ReferenceKind.ENV and name in OWN_SECRETS:
        raise ReferenceSyntaxError(f"{name} is a secret of the runner itself", start, end, _OWN_VARIABLE)
    if kind is ReferenceKind.FILE and not name.startswith("/"):
        message = f"${{file:{_cut(name)}}} needs an absolute path"
        raise ReferenceSyntaxError(message, start, end, "Write the path from /, such as ${file:/run/secrets/key}.")
    if kind is ReferenceKind.RUN and name not in RUN_FACTS:
        raise ReferenceSyntaxError(f"a run has no '{_cut(name)}'", start, end, _likely_fact(name))
    if kind is ReferenceKind.FILE and is_never_read(name):
        raise ReferenceSyntaxError(
            f"${{file:{_cut(name)}}} holds more secrets than one", start, end, MANY_SECRETS_HINT
        )
    return Reference(kind=kind, name=name, start=start, end=end)


def _unclosed(match: re.Match[str]) -> ReferenceSyntaxError:
    """A `${` whose text goes on with another brace, or not at all."""
    start, end = match.span()
    body, behind = match["body"], match.string[end : end + _LONGEST_SHOWN]
    template = _TEMPLATE.match(behind) if not body else None
    if template is not None:
        return ReferenceSyntaxError(
            "${{ … }} is no reference", start, end + template.end(), _likely(template["body"].strip())
        )
    if behind.startswith("{") and body.endswith("$") and not body[:-1].endswith(" "):
        inner = _OPENED.match(match.string, end - 1)
        hint = _likely(inner["body"] if inner else "")
        return ReferenceSyntaxError("a reference cannot stand in another", start, end, hint)
    return ReferenceSyntaxError("this ${ is never closed", start, end, _likely(body.rstrip("$")))


def _likely(body: str, otherwise: str = _FORMS) -> str:
    """What to write for a text in braces that is no reference."""
    parts = _WORD_BEFORE.fullmatch(body.strip()[:_LONGEST_SHOWN])
    kind, name = (parts["kind"] or "", parts["name"]) if parts else ("", "")
    if kind.lower() == ReferenceKind.RUN:
        return _likely_fact(name)
    # A fact is never the name of a variable: those of a run are in small letters.
    if name in RUN_FACTS and not kind:
        return f"Write ${{run:{name}}}."
    return f"Write ${{env:{name}}}." if name else otherwise


def _likely_fact(name: str) -> str:
    """What to write for a fact that a run does not have."""
    fact = nearest_fact(name)
    return f"Write ${{run:{fact}}}." if fact else f"A run has {', '.join(RUN_FACTS)}."


def _cut(text: str) -> str:
    """A text for a message: on one line, and not long."""
    short = text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
    return short if short.isprintable() else repr(short)[1:-1]
