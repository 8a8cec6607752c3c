"""A JSON Schema → the order in which keys are written: that of its `properties`, at every level."""

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, TypeVar

T = TypeVar("T")


class KeyOrder:
    """The order of keys at one place of a document, and of the places below it.

    Keys that the schema does not name come last, in the order they have. Where it names none, as in the body of a
    request or in the rows of a test, nothing moves.
    """

    def __init__(self, schema: Any) -> None:
        self._schema: Mapping[str, Any] = schema if isinstance(schema, Mapping) else {}

    def sort(self, entries: Iterable[T], key: Callable[[T], str | None]) -> list[T]:
        """The entries in order; `key` gives the name of one."""
        return sorted(entries, key=lambda entry: self._ranks.get(key(entry), len(self._ranks)))

    def under(self, name: str | None) -> "KeyOrder":
        """The order below a key; below the items of a list for None."""
        if name is None:
            return KeyOrder(self._schema.get("items"))
        return KeyOrder(self._schema.get("properties", {}).get(name, self._schema.get("additionalProperties")))

    def knows(self, name: str | None) -> bool:
        """Whether the schema names a key here."""
        return name in self._ranks

    @cached_property
    def _ranks(self) -> Mapping[str | None, int]:
        return {name: rank for rank, name in enumerate(self._schema.get("properties", {}))}
