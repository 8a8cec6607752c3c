"""Where a JMESPath leads in a document, as far as its names and places tell: without jmespath itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

Search = Callable[[Any, Any], Any]
"""What jmespath makes of a part of an expression, as it parses it, in a document."""

_PROJECTIONS = frozenset({"projection", "filter_projection", "value_projection", "flatten"})
# Of `a.b.c` all three are children of one node, as are the places of `a[0][1]`.
_CHAINS = frozenset({"subexpression", "pipe", "index_expression"})
# What is there but is not looked into: a path may make anything of it.
ANYTHING: Final = object()


@dataclass(frozen=True, kw_only=True, slots=True)
class NotThere:
    """Where a path left the document: at a name, or at a place of an array, where `name` is None.

    `there` is the value of JSON that it was looked for in.
    """

    name: str | None
    there: Any


def without_filters(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """An expression as jmespath parses it, in which each filter lets all through."""
    children = [without_filters(child) if isinstance(child, dict) else child for child in node["children"]]
    if node["type"] == "filter_projection":
        return {"type": "projection", "children": children[:2]}
    return {**node, "children": children}


def walk(parsed: Mapping[str, Any], document: object, *, conditions: bool, search: Search | None) -> Any:
    """The value that a path leads to, `NotThere`, or `ANYTHING` where that is for jmespath to say.

    What a projection or a slice goes over counts, of `items[*].order` the `items`: it leads nowhere, or to
    null, where that does.

    Args:
        parsed: the expression as jmespath parses it.
        document: of JSON.
        conditions: whether of an `&&` the side counts that it comes to; otherwise it is `ANYTHING`.
        search: makes what a projection makes, where the path goes on behind it; of one that ends the path what it
            goes over stands for that. None: what a projection makes is `ANYTHING`.
    """
    follow = partial(walk, conditions=conditions, search=search)
    children = parsed["children"]
    match parsed["type"]:
        case "identity" | "current":
            return document
        case "field":
            return _member(document, parsed["value"])
        case "index":
            return _item(document, parsed["value"])
        case "slice":
            return document if search else _gone_over(document)
        case kind if kind in _CHAINS:
            return _along(children, document, follow, search)
        case kind if kind in _PROJECTIONS:
            over = follow(children[0], document)
            return over if search else _gone_over(over)
        case "and_expression" if conditions:
            left = follow(children[0], document)
            return left if _is_false(left) else follow(children[1], document)
        case _:
            return ANYTHING


def _along(nodes: Sequence[Mapping[str, Any]], document: Any, follow: Search, search: Search | None) -> Any:
    *before, last = nodes
    for node in before:
        found = follow(node, document)
        if isinstance(found, NotThere):
            return found
        if search and found is not None and is_projected(node):
            found = _made(search(node, document), found)
        document = found
    return follow(last, document)


def is_projected(node: Mapping[str, Any]) -> bool:
    """Whether what a part of a path comes to is what a projection makes.

    Args:
        node: an expression as jmespath parses it.
    """
    kind: str = node["type"]
    return kind in _PROJECTIONS or (kind in _CHAINS and is_projected(node["children"][-1]))


def _made(value: Any, over: Any) -> Any:
    """What a projection makes of what it goes over; that may be no array, and then no null is there either."""
    return NotThere(name=None, there=over) if value is None else value


def _member(document: Any, name: str) -> Any:
    if document is ANYTHING:
        return document
    found = isinstance(document, dict) and name in document
    return document[name] if found else NotThere(name=name, there=document)


def _item(document: Any, place: int) -> Any:
    if document is ANYTHING:
        return document
    places = range(-len(document), len(document)) if isinstance(document, list) else ()
    return document[place] if place in places else NotThere(name=None, there=document)


def _gone_over(value: Any) -> Any:
    return value if value is None or isinstance(value, NotThere) else ANYTHING


def _is_false(value: Any) -> bool:
    """As JMESPath has it: 0 is true."""
    return value is None or value is False or isinstance(value, NotThere) or value in ("", [], {})
