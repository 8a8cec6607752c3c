"""Texts made fit for a mail: as `runner.core.words` makes them, and their width."""

import unicodedata

from runner.core.words import one_line, squeezed, visible

__all__ = ["one_line", "pad", "shorten", "squeezed", "visible", "width"]


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
