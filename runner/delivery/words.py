"""Texts of strangers made fit for a mail: nothing invisible, nothing that cannot be encoded, and its width."""

import re
import unicodedata

# Control characters but tab and line end, halves of surrogate pairs, and what turns the direction of text.
_UNFIT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """The text with unfit characters as escapes, such as `\\x1b`. Line ends become `\\n`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNFIT.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text)


def one_line(text: str) -> str:
    """As `visible`, on one line: line ends and tabs become spaces."""
    return visible(text).replace("\n", " ").replace("\t", " ").strip()


def width(text: str) -> int:
    """How many columns a text takes in a fixed-width font: East Asian wide characters take two, marks none."""
    if text.isascii():
        return len(text)
    return sum(_character_width(character) for character in text)


def shorten(text: str, limit: int) -> str:
    """The text in at most `limit` columns; an ellipsis says that something is left out."""
    if width(text) <= limit:
        return text
    taken = 0
    for index, character in enumerate(text):
        taken += _character_width(character)
        if taken > limit - 1:
            return text[:index] + "…"
    return text


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """The text with spaces up to a width: after it, or before it where it is aligned right."""
    spaces = " " * max(0, columns - width(text))
    return spaces + text if right else text + spaces


def _character_width(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
