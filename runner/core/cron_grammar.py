"""The grammar of cron expressions: strict, so that nothing is read in another way than it was meant."""

import re
import unicodedata
from dataclasses import dataclass, field
from functools import lru_cache

from runner.core.words import counted

LENGTH_LIMIT = 100
MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
}
_MACRO_HINTS = {
    "@midnight": "Write @daily.",
    "@annually": "Write @yearly.",
    "@reboot": "There is no such moment here: write when the job is due, such as @daily.",
    "@every": "Write the interval as a step, such as */15 * * * * for every 15 minutes.",
}
_FIELDS_HINT = "Write minute hour day-of-month month day-of-week, such as 0 6 * * MON-FRI."


class CronSyntaxError(ValueError):
    """An expression that is refused.

    Args:
        message: what is wrong. hint: what to write instead. start, end: offsets of the wrong part.
    """

    def __init__(self, message: str, *, hint: str, start: int, end: int) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.start = start
        self.end = end


@dataclass(frozen=True, kw_only=True, slots=True)
class CronSchedule:
    """One parsed expression.

    `expression` is as written; `canonical` has five numeric fields, and equal canonicals fire at the same moments.
    `minutes` are the minutes of a matching day, 0 to 1439, in order; `days` the three day fields for croniter.
    """

    expression: str
    canonical: str
    fixed_time: bool
    minutes: tuple[int, ...] = field(repr=False, compare=False)
    days: str = field(repr=False, compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Field:
    label: str
    low: int
    high: int
    names: tuple[str, ...] = ()


_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_FIELDS = (
    _Field(label="minute", low=0, high=59),
    _Field(label="hour", low=0, high=23),
    _Field(label="day-of-month", low=1, high=31),
    _Field(label="month", low=1, high=12, names=_MONTHS),
    _Field(label="day-of-week", low=0, high=7, names=_WEEKDAYS),
)
_WORD = re.compile(r"[^ \t]+")
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
# What word processors make of - and of quotes.
_DASHES_AND_QUOTES = str.maketrans(
    "\u2010\u2011\u2012\u2013\u2014\u2212", "------", "\u2018\u2019\u201c\u201d\xab\xbb"
)
_STRAY = re.compile(r"[^0-9A-Za-z*,/@?# \t-]")
_ELEMENT = re.compile(r"(?P<first>\*|[0-9A-Za-z]+)(?:-(?P<last>[0-9A-Za-z]+))?(?:/(?P<step>[0-9]+))?")
_FOREIGN = (
    (re.compile(r".*\?.*"), "`?` is not cron", "Write * instead."),
    (
        re.compile(r".*#.*"),
        "`#` (the n-th weekday) is not cron",
        "Name the days of the month it can fall on, or leave the day out and test the date in the script.",
    ),
    (
        re.compile(r"(?i)\d*L(-\d+)?|LW|[A-Z]{3}L"),
        "`L` (the last day) is not cron",
        "Run on the first day of the next month, or test the date in the script.",
    ),
    (
        re.compile(r"(?i)\d+W|W\d*"),
        "`W` (the nearest weekday) is not cron",
        "Write the weekdays, such as MON-FRI.",
    ),
    (
        re.compile(r"(?i)[HR](/\d+)?"),
        "`H` and `R` (a hashed or random time) are not cron",
        "Write a number: every run can then be foretold.",
    ),
)


@lru_cache(maxsize=16384)
def parse_cron(expression: str) -> CronSchedule:
    """The schedule of an expression; the answer is remembered.

    Taken are five fields parted by blanks or tabs, each of numbers, ranges, lists and steps; months and weekdays
    also by their English names of three letters, in any case; 7 is Sunday; and `@hourly @daily @weekly @monthly
    @yearly`. Everything that other crons add or quietly misread is refused.

    Raises:
        CronSyntaxError: anything else.
    """
    _check_text(expression)
    text = _expand_macro(expression)
    words = list(_WORD.finditer(text))
    if len(words) != len(_FIELDS):
        _refuse_field_count(expression, len(words))
    fields = [_parse_field(word[0], spec, word.start()) for word, spec in zip(words, _FIELDS, strict=True)]
    minutes, hours = fields[0][1], fields[1][1]
    return CronSchedule(
        expression=expression,
        canonical=" ".join(canonical for canonical, _ in fields),
        fixed_time=not (words[0][0].startswith("*") or words[1][0].startswith("*")),
        minutes=tuple(60 * hour + minute for hour in sorted(hours) for minute in sorted(minutes)),
        days=" ".join(_for_croniter(*parsed) for parsed in fields[2:]),
    )


def _check_text(expression: str) -> None:
    if not expression.strip():
        raise CronSyntaxError("the schedule is empty", hint=_FIELDS_HINT, start=0, end=len(expression))
    if len(expression) > LENGTH_LIMIT:
        raise CronSyntaxError(
            f"the schedule is longer than {LENGTH_LIMIT} characters",
            hint="Use ranges and steps, or split the job in two.",
            start=LENGTH_LIMIT,
            end=len(expression),
        )
    stray = _STRAY.search(expression)
    if stray is not None:
        message, hint = _on_stray(stray[0], expression)
        raise CronSyntaxError(message, hint=hint, start=stray.start(), end=stray.end())
    if expression != expression.strip(" \t"):
        at = 0 if expression[0] in " \t" else len(expression.rstrip(" \t"))
        raise CronSyntaxError(
            "the schedule has blanks around it", hint=f"Write {expression.strip()!r}.", start=at, end=at + 1
        )


def _on_stray(character: str, expression: str) -> tuple[str, str]:
    """Message and hint on a character that no expression holds."""
    if character.isspace():
        return (
            f"{character!r} is no blank between fields",
            "Put one blank between two fields, and none after the last.",
        )
    if not character.isprintable():
        return f"the character U+{ord(character):04X} has no meaning in cron", "Remove it."
    if not character.isascii():
        plain = _plain(expression)
        message = f"{character!r} (U+{ord(character):04X}) has no meaning in cron"
        return message, f"Write {plain}." if not _STRAY.search(plain) else _FIELDS_HINT
    message = f"{character!r} has no meaning in cron"
    time = _TIME.fullmatch(expression)
    if time is not None:
        return message, f"For {expression} every day write {int(time[2])} {int(time[1])} * * *."
    if character == "$":
        return message, "A schedule holds no references: write the fields out."
    return message, _FIELDS_HINT


def _plain(text: str) -> str:
    """The text in ASCII, where its digits, dashes and quotes have a form there."""
    plain = unicodedata.normalize("NFKC", text.translate(_DASHES_AND_QUOTES)).strip()
    return "".join(str(unicodedata.decimal(one)) if one.isdecimal() else one for one in plain)


def _expand_macro(expression: str) -> str:
    if not expression.startswith("@"):
        return expression
    if expression in MACROS:
        return MACROS[expression]
    known = expression.lower()
    hint = f"Write {known}." if known in MACROS else _MACRO_HINTS.get(known.split()[0])
    if hint is None:
        import difflib  # of use where something is wrong alone

        close = difflib.get_close_matches(known, MACROS, n=1, cutoff=0.75)
        hint = f"Write {close[0]}." if close else None
    raise CronSyntaxError(
        f"{expression!r} is no known macro",
        hint=hint or f"Use one of {' '.join(MACROS)}, or five fields.",
        start=0,
        end=len(expression),
    )


def _refuse_field_count(expression: str, count: int) -> None:
    extra = ""
    if count == len(_FIELDS) + 1 and expression[0].isdigit():
        extra = f" There are no seconds: without the first field this is {expression.split(maxsplit=1)[1]}."
    elif count > len(_FIELDS):
        extra = " There are no seconds and no years."
    raise CronSyntaxError(
        f"the schedule has {counted(count, 'field')}, not 5",
        hint=_FIELDS_HINT + extra,
        start=0,
        end=len(expression),
    )


def _parse_field(word: str, spec: _Field, start: int) -> tuple[str, frozenset[int]]:
    """The canonical text of one field, and the values it stands for."""
    parts: list[tuple[int, int, int, str]] = []
    texts = word.split(",")
    for text in texts:
        if text.startswith("*") and len(texts) > 1:
            raise _refusal(
                f"`*` cannot stand in a list, as in the {spec.label} {word!r}",
                f"Write * alone, or a list of numbers from {spec.low} to {spec.high}.",
                start,
                text,
            )
        parts.append(_parse_element(text, spec, start))
        start += len(text) + 1
    values = frozenset(value for first, last, step, _ in parts for value in range(first, last + 1, step))
    return ",".join(dict.fromkeys(part[3] for part in sorted(parts))), values


def _parse_element(text: str, spec: _Field, start: int) -> tuple[int, int, int, str]:
    """First, last and step of one element of a list, and its canonical text."""
    match = _ELEMENT.fullmatch(text)
    if match is None or (match["first"] == "*" and match["last"]):
        raise _unreadable(text, spec, start)
    if match["first"] == "*":
        first, last, canonical = spec.low, spec.high, "*"
    else:
        first = _value(match["first"], text, spec, start)
        last = _value(match["last"], text, spec, start) if match["last"] else first
        canonical = f"{first}-{last}" if match["last"] else str(first)
        if match["last"] and last <= first:
            raise _bad_range(text, first, last, spec, start)
    if match["step"] is None:
        # A lone 7 is a Sunday like 0; in a range it must stay behind 6.
        return (0, 0, 1, "0") if spec.high == 7 and canonical == "7" else (first, last, 1, canonical)
    step = int(match["step"])
    if match["first"] != "*" and not match["last"]:
        last = spec.high
    if not 1 <= step <= last - first:
        raise _refusal(
            f"a step of {step} never steps within {first} to {last} in the {spec.label} {text!r}",
            f"Write {first} alone, or a step from 1 to {last - first}."
            if last > first
            else f"Write {first} alone.",
            start,
            text,
        )
    # A step of 1 is none, save after a lone number: `5/1` is all from 5 on.
    redundant = step == 1 and (match["last"] or match["first"] == "*")
    return first, last, step, canonical if redundant else f"{canonical}/{step}"


def _value(word: str, text: str, spec: _Field, start: int) -> int:
    if word.upper() in spec.names:
        return spec.names.index(word.upper()) + spec.low
    if not word.isdigit():
        raise _unreadable(text, spec, start)
    if len(word) > 2 or not spec.low <= int(word) <= spec.high:
        raise _refusal(
            f"{word} is out of range in the {spec.label} {text!r}",
            f"Write a number from {spec.low} to {spec.high}, in at most two digits.",
            start,
            text,
        )
    return int(word)


def _bad_range(text: str, first: int, last: int, spec: _Field, start: int) -> CronSyntaxError:
    if first == last:
        return _refusal(
            f"the range {text!r} is a single {spec.label}", f"Write {first} without a range.", start, text
        )
    if spec.high == 7 and last == 0:
        hint = (
            f"Write {first}-7: at the end of a range Sunday is 7." if first < 7 else "Write SUN without a range."
        )
    else:
        low = f"{spec.low}-{last}" if last > spec.low else f"{spec.low}"
        top = 6 if spec.high == 7 else spec.high
        high = f"{first}-{top}" if first < top else f"{first}"
        hint = f"Write the smaller one first; to go past the end, write {high},{low}."
    return _refusal(f"the range {text!r} runs backwards in the {spec.label}", hint, start, text)


def _unreadable(text: str, spec: _Field, start: int) -> CronSyntaxError:
    for pattern, message, hint in _FOREIGN:
        if pattern.fullmatch(text):
            return _refusal(f"{message}, as in the {spec.label} {text!r}", hint, start, text)
    if text.isalpha() and text[:3].upper() in spec.names:
        return _refusal(f"the {spec.label} {text!r} cannot be read", f"Write {text[:3].upper()}.", start, text)
    names = f", or {spec.names[0]} to {spec.names[-1]}" if spec.names else ""
    return _refusal(
        f"the {spec.label} {text!r} cannot be read"
        if text
        else f"the {spec.label} has an empty place in its list",
        f"Write *, a number from {spec.low} to {spec.high}{names}, a range such as 2-5, or a step such as */2.",
        start,
        text,
    )


def _refusal(message: str, hint: str, start: int, text: str) -> CronSyntaxError:
    return CronSyntaxError(message, hint=hint, start=start, end=start + max(len(text), 1))


def _for_croniter(canonical: str, values: frozenset[int]) -> str:
    """The field in a form that leaves croniter nothing to guess: its own reading of ranges differs."""
    return canonical if canonical.startswith("*") else ",".join(str(value) for value in sorted(values))
