"""Plain scalars by the YAML 1.2 core schema, less those that YAML 1.1 reads as something else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

# A plain scalar that starts with none of these, and is none of the words, is text to every YAML reader; `<<` is a
# merge key to some.
SIGNS_OF_NO_TEXT = frozenset("0123456789+-.~=<")
WORDS_OF_NO_TEXT = frozenset(
    spelling
    for word in ("", "null", "true", "false", "y", "yes", "n", "no", "on", "off")
    for spelling in (word, word.capitalize(), word.upper())
)
# Keys that YAML 1.1 takes for true, which is no key of ours: read, and written, as they are, where each is known;
# items of a list are None.
PLAIN_KEYS: Mapping[str, tuple[str | None, ...]] = MappingProxyType({"on": ("checks", None), "y": ("chart",)})
_CORE = re.compile(
    r"(?P<null>null|Null|NULL|~)"
    r"|(?P<true>true|True|TRUE)|(?P<false>false|False|FALSE)"
    r"|(?P<integer>[-+]?(?:0|[1-9][0-9]*))"
    r"|(?P<hexadecimal>0x[0-9a-fA-F]+)"
    r"|(?P<float>[-+]?[0-9]+\.[0-9]*(?:[eE][-+][0-9]+)?|\.[0-9]+(?:[eE][-+][0-9]+)?)"
    r"|(?P<infinite>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
)
# https://yaml.org/type/ (1.1) against chapter 10.3 of YAML 1.2.2: what one reads as text and the other does not.
_AMBIGUOUS = re.compile(
    r"(?P<word>y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF)"
    r"|(?P<date>[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?)"
    r"|(?P<time>[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?)"
    r"|(?P<number>[-+]?0[0-9_]+|0o[0-7]+|[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+"
    r"|[-+]?[0-9][0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9]+)?|[-+]?\.[0-9][0-9_]*(?:[eE][-+]?[0-9]+)?)"
    r"|(?P<equals>=)"
    r"|(?P<merge><<)"
)
_LARGEST_INTEGER = (1 << 63) - 1
_FIRST_DIGITS = frozenset("123456789")
_SURE_DIGITS = 18  # fewer than 64 bits, whatever they are
_LONGEST_NUMBER = 400
_LONGEST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a scalar is not read."""

    rule: str
    message: str
    hint: str


def resolve_plain(text: str) -> str | int | float | bool | Refusal | None:
    """The value of a plain scalar, or why it is refused. Numbers are finite, whole ones within 64 bits."""
    if not text:
        return None
    # The commonest of all numbers, without a pattern.
    if text[0] in _FIRST_DIGITS and text.isdecimal() and text.isascii() and len(text) <= _SURE_DIGITS:
        return int(text)
    if text not in WORDS_OF_NO_TEXT and text[0] not in SIGNS_OF_NO_TEXT:
        return text
    match = _CORE.fullmatch(text)
    if match is None:
        return _refuse_ambiguous(text)
    match match.lastgroup:
        case "null":
            return None
        case "true":
            return True
        case "false":
            return False
        case "infinite":
            return _not_a_number(text)
        case kind:
            return _number(text, str(kind))


def _number(text: str, kind: str) -> int | float | Refusal:
    if len(text) > _LONGEST_NUMBER:
        return _not_a_number(text)
    if kind == "float":
        number = float(text)
        return number if abs(number) != float("inf") else _not_a_number(text)
    whole = int(text, 16 if kind == "hexadecimal" else 10)
    return whole if abs(whole) <= _LARGEST_INTEGER else _not_a_number(text)


def _not_a_number(text: str) -> Refusal:
    shown = _cut(text)
    return Refusal("bad-value", f"{shown} is no number that can be used", f'Quote it if it is text: "{shown}".')


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def _refuse_ambiguous(text: str) -> str | Refusal:
    match = _AMBIGUOUS.fullmatch(text)
    if match is None:
        return text
    shown = _cut(text)
    kind = str(match.lastgroup)
    if kind == "word":
        message = f"{shown} is text to one YAML reader and true or false to another"
        return Refusal("ambiguous-value", message, f'Write true or false; quote it if it is text: "{shown}".')
    if kind == "number" and len(text) <= _LONGEST_SHOWN:
        message, number = _readings(text)
        return Refusal("ambiguous-value", message, f'Write {number}; quote it if it is text: "{shown}".')
    reading = {
        "date": "a date",
        "time": "a number in base 60",
        "equals": "a default value",
        "merge": "a merge key",
    }.get(kind, "a number")
    message = f"{shown} is text to one YAML reader and {reading} to another"
    return Refusal("ambiguous-value", message, f'Quote it: "{shown}".')


def _readings(text: str) -> tuple[str, str]:
    """What two YAML readers make of a number, and how it is written so that both make the same of it."""
    digits = text.replace("_", "")
    sign, bare = ("-", digits[1:]) if digits.startswith("-") else ("", digits.lstrip("+"))
    if bare.startswith("0") and text.lstrip("+-").isdigit():
        decimal = sign + (bare.lstrip("0") or "0")
        octal = f"{sign}{int(bare, 8)}" if re.fullmatch("[0-7]+", bare) else "text"
        if octal == decimal:
            return f"{text} starts with a zero: to some YAML readers that makes another number", decimal
        return f"{text} is {octal} to one YAML reader and {decimal} to another", decimal
    try:
        number = str(int(digits, 0)) if bare[:2] in {"0b", "0o", "0x"} else _plain_decimal(digits)
    except ValueError:
        return f"{text} is a number to one YAML reader and text to another", "a plain decimal number"
    return f"{text} is {number} to one YAML reader and text to another", number


def _plain_decimal(digits: str) -> str:
    """A number without exponent."""
    number = float(digits)
    if abs(number) >= 1e15 or (digits.lstrip("+-").startswith("0") and digits.isdigit()):
        raise ValueError
    return str(int(number)) if number == int(number) else repr(number)
