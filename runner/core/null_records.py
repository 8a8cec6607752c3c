"""A null in the place of records: how some servers, those in Go among them, write an array that has none."""

from collections.abc import Mapping
from functools import reduce
from typing import Any

ERRORS_HINT = "Its list `errors` says why: ask the API with curl, and see in its documentation what that means."
_MISSING = object()


def leads_to_null(parsed: Mapping[str, Any], document: object) -> bool:
    """Whether a JMESPath leads to what is there and is null: not to a member that is missing.

    What a projection goes over counts, of `items[*].order` the `items`. A path with anything but names, places
    and projections in it leads to no such null. Beside a list of `errors` a null is none that says that there are
    no records: so GraphQL (section 7.1 of its specification) and JSON:API tell that they have failed.

    Args:
        parsed: the expression as jmespath parses it.
        document: of JSON.
    """
    return not errors_of(document) and _value(parsed, document) is None


def errors_of(document: object) -> list[Any]:
    """What an API says has gone wrong, by the list `errors` at the top of its answer."""
    found = document.get("errors") if isinstance(document, dict) else None
    return found if isinstance(found, list) else []


def _value(node: Mapping[str, Any], document: Any) -> Any:
    children = node["children"]
    match node["type"]:
        # What a slice goes over counts.
        case "identity" | "current" | "slice":
            return document
        case "field":
            return document.get(node["value"], _MISSING) if isinstance(document, dict) else _MISSING
        case "index":
            places = range(-len(document), len(document)) if isinstance(document, list) else ()
            return document[node["value"]] if node["value"] in places else _MISSING
        # Of `a.b.c` all three are children of one node, as are the places of `a[0][1]`.
        case "subexpression" | "pipe" | "index_expression":
            return reduce(lambda value, child: _value(child, value), children, document)
        case "projection" | "filter_projection" | "value_projection" | "flatten":
            return _value(children[0], document)
        case _:
            return _MISSING
