"""How many records a page was given with, where `records_path` leaves some of them out or takes them apart.

By that the end of the pages is known, and where the next one begins: not by how many are left of them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.core.path_walk import is_projected
from runner.fetch.json_path import JsonPath

_FILTER = "filter_projection"
_LEVELS = frozenset({"projection", "value_projection", _FILTER})


@dataclass(frozen=True, kw_only=True, slots=True)
class Given:
    """What one page was given with.

    `is_doubtful`: nothing is left of it, and nobody can tell whether it was empty.
    """

    count: int
    is_doubtful: bool = False


class GivenRecords:
    """Counts what the pages of one source were given with.

    Args:
        path: `records_path`; None: a page is the array itself.
        size: the records that a page is asked for; None: not told.
    """

    def __init__(self, path: JsonPath | None, size: int | None) -> None:
        self._path = path
        self._size = size
        kinds = tuple(_kinds(path.parsed)) if path else ()
        self._levels = sum(kind in _LEVELS for kind in kinds)
        self._has_filter = _FILTER in kinds
        self._is_plain = path is not None and self._levels == 1 and is_projected(path.parsed)

    def of(self, document: Any, left: int, check: Callable[[], None]) -> Given:
        """What a page was given with.

        Args:
            document: its answer.
            left: how many records `records_path` makes of it.
            check: as for `JsonPath.search`.
        """
        if self._path is None or not self._levels:
            return Given(count=left)
        over = self._path.goes_over(document, check)
        told = len(over) if isinstance(over, (list, dict)) else None
        if told is not None and self._is_plain:
            # Of arrays in an array `[]` makes more.
            return Given(count=max(told, left))
        if told is not None and told == self._size:
            # Of arrays within each other nothing else tells which of them comes in pages.
            return Given(count=told)
        takes_apart = self._has_filter or self._levels > 1
        return Given(count=left, is_doubtful=takes_apart and not left and told != 0)


def _kinds(node: Mapping[str, Any]) -> Iterator[str]:
    """The kinds of the parts of an expression that make what it leads to: not of conditions, nor of what is sorted
    by."""
    kind = node["type"]
    yield kind
    children = node["children"][:2] if kind == _FILTER else node["children"]
    for child in children if kind != "expref" else ():
        if isinstance(child, dict):
            yield from _kinds(child)
