"""The common form of a job file → its data, three times as fast as by the events of a YAML parser.

Most job files are lines of `key: value`, one level of keys below some of them, lists of texts, and a script as a
`|` block. What is written so, and means one thing to every YAML reader, is read here; everything else is left to
`parse`, which alone knows places and faults. That both read the same is a property held by the tests.
"""

import re
from collections.abc import Mapping
from typing import Any

from runner.jobfiles.scalars import WORDS_OF_NO_TEXT

# Far below the bound on values of `parse`.
_MOST_LINES = 5000
# One line: a key, or the mark of an item, and a value. Values are plain texts of harmless characters, whole
# numbers, quoted texts without escapes, or the mark of a block.
_LINE = re.compile(
    r"(?P<indent>(?:  )?)(?:(?P<key>[a-z_][a-z0-9_]*):|(?P<item>-)(?= ))"
    r"(?: +(?:"
    r"(?P<plain>(?:[A-Za-z/]|\./)[A-Za-z0-9_./@+-]*(?: [A-Za-z0-9_./@+-]+)*)"
    r"|(?P<number>0|[1-9][0-9]{0,15})"
    r"|\"(?P<double>[^\"\\]*)\"|'(?P<single>[^']*)'"
    r"|(?P<block>\|)"
    r"))?(?: +(?:#.*)?)?"
)
_NOTHING = re.compile(r" *(?:#.*)?")


class _OtherFormError(Exception):
    """The text is not in the common form."""


def read_common_form(text: str) -> Mapping[str, Any] | None:
    """The data of a text in the common form; None where it is not, which says nothing against it."""
    lines = text.split("\n")
    # A last line without an end may be one of a block: whether that counts as ended is the parser's matter.
    if lines[-1] or len(lines) > _MOST_LINES or not "".join(lines).isprintable():
        return None
    reader = _Reader(lines)
    try:
        return reader.read()
    except _OtherFormError:
        return None


def place_of_value(text: str, key: str) -> tuple[int, int]:
    """Line and column, both from 1, of the value of a key at the top of a text in the common form."""
    start = 0 if text.startswith(f"{key}:") else text.index(f"\n{key}:") + 1
    behind = text[start + len(key) + 1 : text.find("\n", start)]
    return text.count("\n", 0, start) + 1, len(key) + 2 + _indent(behind)


class _Reader:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0  # the line that comes next
        self._top: dict[str, Any] = {}
        self._open: str | None = None  # the key of the top whose values stand on lines of their own
        self._margin = ""  # of the items of the open key

    def read(self) -> Mapping[str, Any]:
        lines = self._lines
        while self._at < len(lines):
            line = lines[self._at]
            self._at += 1
            match = _LINE.fullmatch(line)
            if match is not None:
                self._take(match)
            elif not _NOTHING.fullmatch(line):
                raise _OtherFormError
        self._close()
        if not self._top:
            raise _OtherFormError
        return self._top

    def _take(self, match: re.Match[str]) -> None:
        indent, key = match["indent"], match["key"]
        value = self._value(match, indent)
        if key is None:
            self._take_item(indent, value)
        elif key in WORDS_OF_NO_TEXT:
            raise _OtherFormError
        elif indent:
            self._take_below(key, value)
        else:
            self._close()
            if key in self._top:
                raise _OtherFormError
            self._top[key] = value
            self._open = key if value is None else None

    def _value(self, match: re.Match[str], indent: str) -> Any:
        """The value on a line, None where there is none."""
        kind: Any = match.lastgroup
        text = match[kind]
        match kind:
            case "plain":
                if text not in WORDS_OF_NO_TEXT:
                    return text
                if text in {"true", "false"}:
                    return text == "true"
                raise _OtherFormError
            case "double" | "single":
                return text
            case "number":
                return int(text)
            case "block":
                return self._block(len(indent))
        return None

    def _take_item(self, margin: str, value: Any) -> None:
        items = self._opened(list)
        if not items:
            self._margin = margin
        if value is None or margin != self._margin:
            raise _OtherFormError
        items.append(value)

    def _take_below(self, key: str, value: Any) -> None:
        below = self._opened(dict)
        if value is None or key in below:
            raise _OtherFormError
        below[key] = value

    def _opened(self, kind: type[list[Any]] | type[dict[str, Any]]) -> Any:
        """The list or mapping of the open key."""
        if self._open is None:
            raise _OtherFormError
        opened = self._top[self._open]
        if opened is None:
            opened = self._top[self._open] = kind()
        if type(opened) is not kind:
            raise _OtherFormError
        return opened

    def _close(self) -> None:
        """A key without any value is the parser's matter."""
        if self._open is not None and self._top[self._open] is None:
            raise _OtherFormError

    def _block(self, indent: int) -> str:
        """The text of a block that starts on the next line and belongs to a key of that indent."""
        lines, start = self._lines, self._at
        width = _indent(lines[start]) if start < len(lines) else 0
        if width <= indent:
            raise _OtherFormError
        margin = lines[start][:width]
        at = start
        while at < len(lines) and (not lines[at] or lines[at].startswith(margin)):
            at += 1
        # Neither of the block nor of the key's own depth: the parser knows what it is.
        if at < len(lines) and _indent(lines[at]) > indent:
            raise _OtherFormError
        self._at = at
        return "\n".join([line[width:] for line in lines[start:at]]).rstrip("\n") + "\n"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))
