"""The common form of a job file → its data, three times as fast as by the events of a YAML parser.

Most job files are lines of `key: value`, one level of keys below some of them, lists of texts, and a script as a
`|` block. What is written so, and means one thing to every YAML reader, is read here; everything else is left to
`parse`, which alone knows places and faults. That both read the same is a property held by the tests.
"""

import re
from collections.abc import Mapping
from typing import Any

from runner.jobfiles.scalars import WORDS_OF_NO_TEXT

# Far below the bound on keys and values of `parse`.
_MOST_LINES = 5000
_END = r"(?: +(?:#[^\n]*)?)?\n"
# One line, and the block that follows it. Values are plain texts of harmless characters, whole numbers, quoted
# texts without escapes, and blocks of lines deeper than their key. Of a comment alone no group matches.
_LINE = re.compile(
    r"(  )?(?:([a-z_][a-z0-9_]*):|(-)(?= ))"  # 1: the margin, 2: a key, 3: the mark of an item
    r"(?: +(?:"
    r"((?:[A-Za-z/]|\./)[A-Za-z0-9_./@+ -]*)"  # 4: a plain text, with the blanks behind it
    r"|(\"[^\"\\\n]*\"|'[^'\n]*')"  # 5: a quoted text
    r"|(0|[1-9][0-9]{0,15})"  # 6: a number
    r")?)?"
    + _END
    + r"|(  )?([a-z_][a-z0-9_]*): +\|"
    + _END  # 7: the margin, 8: a key
    + r"((?:(?:(?(7)  ) +[^\n]*)?\n)*)"  # 9: its block
    r"| *(?:#[^\n]*)?\n"
    r"|([^\n]*\n)"  # 10: any other line
)

_ITEM = re.compile(r" *- +")


class _OtherFormError(Exception):
    """The text is not in the common form."""


def read_common_form(text: str) -> Mapping[str, Any] | None:
    """The data of a text in the common form; None where it is not, which says nothing against it."""
    # A last line without an end may be one of a block: whether that counts as ended is the parser's matter.
    if not text.endswith("\n") or text.count("\n") > _MOST_LINES or not text.replace("\n", "").isprintable():
        return None
    reader = _Reader()
    try:
        for margin, key, item, plain, quoted, number, block_margin, block_key, block, other in _LINE.findall(text):
            if plain:
                reader.take(margin, key, _plain_value(plain))
            elif key or item:
                reader.take(margin, key, quoted[1:-1] if quoted else int(number) if number else None)
            elif block_key:
                reader.take(block_margin, block_key, _dedented(block))
            elif other:
                return None
        return reader.finish()
    except _OtherFormError:
        return None


def _plain_value(plain: str) -> str | bool:
    plain = plain.rstrip(" ")
    if plain not in WORDS_OF_NO_TEXT:
        return plain
    if plain in {"true", "false"}:
        return plain == "true"
    raise _OtherFormError


def _dedented(block: str) -> str:
    """The text of a block."""
    margin = block[: len(block) - len(block.lstrip(" "))]
    lines = block.split("\n")
    # Lines that are neither blank nor as deep as the first one: the parser knows what they are.
    if not margin or any(line and not line.startswith(margin) for line in lines):
        raise _OtherFormError
    width = len(margin)
    return "\n".join([line[width:] for line in lines]).rstrip("\n") + "\n"


def place_of_value(text: str, key: str) -> tuple[int, int]:
    """Line and column, both from 1, of the value of a key at the top of a text in the common form."""
    start = _start_of(text, key)
    behind = text[start + len(key) + 1 : text.find("\n", start)]
    return text.count("\n", 0, start) + 1, len(key) + 2 + len(behind) - len(behind.lstrip(" "))


def first_line_of(text: str, key: str) -> int:
    """The line, from 1, on which the text of a key at the top of a text in the common form starts."""
    line, column = place_of_value(text, key)
    return line + 1 if text[_start_of(text, key) + column - 1] == "|" else line


def _start_of(text: str, key: str) -> int:
    return 0 if text.startswith(f"{key}:") else text.index(f"\n{key}:") + 1


def places_of_items(text: str, key: str, count: int) -> list[tuple[int, int]]:
    """As `place_of_value`, for each of the `count` texts of a list."""
    start = _start_of(text, key)
    number = text.count("\n", 0, start) + 1
    found: list[tuple[int, int]] = []
    for line in text[start:].split("\n")[1:]:
        number += 1
        item = _ITEM.match(line)
        if item:
            found.append((number, item.end() + 1))
        if len(found) == count:
            break
    return found


class _Reader:
    """Puts lines together."""

    __slots__ = ("_margin", "_open", "_top")

    def __init__(self) -> None:
        self._top: dict[str, Any] = {}
        self._open = ""  # the key of the top whose values stand on lines of their own
        self._margin = ""  # of the items of the open key

    def take(self, margin: str, key: str, value: Any) -> None:
        """A line: the key is empty for an item, the value None where there is none."""
        if not key:
            self._take_item(margin, value)
        elif key in WORDS_OF_NO_TEXT:
            raise _OtherFormError
        elif margin:
            below = self._opened(dict)
            if value is None or key in below:
                raise _OtherFormError
            below[key] = value
        else:
            if key in self._top or (self._open and self._top[self._open] is None):
                raise _OtherFormError
            self._top[key] = value
            self._open = key if value is None else ""

    def finish(self) -> Mapping[str, Any]:
        """The data. A key without any value is the parser's matter."""
        if not self._top or (self._open and self._top[self._open] is None):
            raise _OtherFormError
        return self._top

    def _take_item(self, margin: str, value: Any) -> None:
        items = self._opened(list)
        if not items:
            self._margin = margin
        if value is None or margin != self._margin:
            raise _OtherFormError
        items.append(value)

    def _opened(self, kind: type[list[Any]] | type[dict[str, Any]]) -> Any:
        """The list or mapping of the open key."""
        if not self._open:
            raise _OtherFormError
        opened = self._top[self._open]
        if opened is None:
            opened = self._top[self._open] = kind()
        if type(opened) is not kind:
            raise _OtherFormError
        return opened
