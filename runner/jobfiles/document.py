"""A Document: the plain data of a YAML file, and the place of every node."""

from functools import lru_cache
from typing import Any, NamedTuple

import msgspec

from runner.jobfiles.common_form import first_line_of

Path = tuple[str | int, ...]
# The parser's events of a node's key (None of an item of a list, and of the root) and of its value, and the spots
# inside it, by key or number. A plain tuple: it is made for every node of every file.
Spot = tuple[Any, Any, "dict[str | int, Spot] | None"]

# Where a path in `faulty` ends with it, the mapping lacks a key that was refused: NUL stands in no real one.
DROPPED = "\0"
_BLOCK_STYLES = frozenset({"|", ">"})


class Span(NamedTuple):
    """A range in the file; lines and columns count from 1, the end column is the first one after it."""

    line: int
    column: int
    end_line: int
    end_column: int


WHOLE_FILE = Span(1, 1, 1, 2)


def span_of(event: Any) -> Span:
    """The range of a parser's event; of a mapping, list or document that begins, on one line alone."""
    start, end = event.start_mark, event.end_mark
    # Of all events a scalar alone has a style, and goes on to its end.
    if end.line != start.line and not hasattr(event, "style"):
        end = start
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed file. `data` is plain data, by the YAML 1.2 core schema; paths are such as
    `("data_source", "location")`.

    `root` has the places of all nodes: they are asked for through the methods, and made only then. `faulty` are
    paths whose value was refused by the parser, so that nobody complains of it again. `complete` is False when the
    text ended in a fault.
    """

    text: str
    data: Any = None
    complete: bool = True
    root: Spot | None = None
    faulty: frozenset[Path] = frozenset()

    def emptied(self, path: Path) -> bool:
        """Whether there is a mapping at a path of which no key was left: each was refused."""
        return self.value(path) == {} and (*path, DROPPED) in self.faulty

    def has(self, path: Path) -> bool:
        """Whether there is a node at a path."""
        return self._spot(path) is not None

    def style(self, path: Path) -> str | None:
        """How the scalar at a path is written: `|`, `>`, `'` or `"`; None of a plain one, and of none."""
        spot = self._spot(path)
        return getattr(spot[1], "style", None) or None if spot is not None else None

    def key_span(self, path: Path) -> Span:
        """The place of a key; of an item of a list, or where there is none, of the nearest node around it."""
        while path:
            spot = self._spot(path)
            if spot is not None:
                return span_of(spot[0] or spot[1])
            path = path[:-1]
        return WHOLE_FILE

    def span(self, path: Path) -> Span:
        """The place to point at for a value: the scalar itself; for a mapping, a list or a block text its key."""
        spot = self._spot(path)
        if not path or spot is None or spot[2] is not None or self.style(path) in _BLOCK_STYLES:
            return self.key_span(path)
        return span_of(spot[1])

    def first_line(self, path: Path) -> int:
        """The line on which the text of a scalar starts; without places, of a key at the top of the common form
        alone.
        """
        if self.root is None and self.data is not None:
            return first_line_of(self.text, str(path[0]))
        spot = self._spot(path)
        line: int = spot[1].start_mark.line + 1 if spot is not None else 1
        return line + 1 if self.style(path) in _BLOCK_STYLES else line

    def inside(self, path: Path, start: int, end: int) -> Span:
        """The place of a part of a one-line scalar, by offsets into its value; else that of the whole."""
        spot = self._spot(path)
        whole = WHOLE_FILE if spot is None else span_of(spot[1])
        if spot is None or whole.line != whole.end_line:
            return self.span(path)
        source = _lines(self.text)[whole.line - 1][whole.column - 1 : whole.end_column - 1]
        value = self.value(path)
        if source == value:
            base = whole.column
        elif source[1:-1] == value:
            base = whole.column + 1
        else:
            return whole
        return Span(whole.line, base + start, whole.line, base + max(end, start + 1))

    def at_line(self, path: Path, line: int, column: int, end_line: int, end_column: int) -> Span:
        """The place of a range inside a scalar's text, given by its own lines and columns, both from 1.

        Exact for literal blocks (`|`) and for texts of one line; otherwise the place of the whole.
        """
        if self.style(path) != "|":
            if line == end_line == 1:
                return self.inside(path, column - 1, end_column - 1)
            return self.span(path)
        first = self.first_line(path)
        indent = self._indent(path, first)
        return Span(first + line - 1, indent + column, first + end_line - 1, indent + end_column)

    def value(self, path: Path) -> Any:
        """The value at a path, None where there is none."""
        node = self.data
        for part in path:
            if isinstance(node, dict):
                node = node.get(part)
            elif isinstance(node, list) and isinstance(part, int) and part < len(node):
                node = node[part]
            else:
                return None
        return node

    def _spot(self, path: Path) -> Spot | None:
        spot = self.root
        for part in path:
            if spot is None or spot[2] is None:
                return None
            spot = spot[2].get(part)
        return spot

    def _indent(self, path: Path, first: int) -> int:
        value = str(self.value(path))
        blank = value[: len(value) - len(value.lstrip())]
        if len(blank) == len(value):
            return 0
        start = blank.rfind("\n") + 1
        end = value.find("\n", start)
        length = (len(value) if end < 0 else end) - start
        return len(_lines(self.text)[first - 1 + blank.count("\n")].rstrip("\r")) - length


@lru_cache(maxsize=1)
def _lines(text: str) -> list[str]:
    """The lines of the text that is looked at: there may be many findings in one."""
    return text.split("\n")
