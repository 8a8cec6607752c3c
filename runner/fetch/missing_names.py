"""A JMESPath that leads to nothing, as a name in it is not in the document: misspelt, or left out by the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

# What is there but not looked into: a path may make anything of it.
_ANYTHING = object()


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingName:
    """A name of a path that is not there; `there` is the value of JSON that it was looked for in."""

    name: str
    there: Any


def missing_name(parsed: Mapping[str, Any], document: object) -> MissingName | None:
    """The first name of a path that is missing; None where all are there.

    A null on the way, and a place behind the end of an array, are nothing that is missing. What a projection goes
    over counts, of `links[?rel == 'next'].href` the `links`; of an `&&` its right side where it comes to that.
    What an `||` or a function looks at may be missing.

    Args:
        parsed: the expression as jmespath parses it.
        document: of JSON.
    """
    try:
        _value(parsed, document)
    except _MissingError as error:
        return error.missing
    return None


class _MissingError(Exception):
    """A name is not there."""

    def __init__(self, missing: MissingName) -> None:
        super().__init__()
        self.missing = missing


def _value(node: Mapping[str, Any], document: Any) -> Any:
    children = node["children"]
    match node["type"]:
        case "identity" | "current":
            return document
        case "slice":
            return None if document is None else _ANYTHING
        case "field":
            return _member(document, node["value"])
        case "index":
            if document is _ANYTHING:
                return document
            places = range(-len(document), len(document)) if isinstance(document, list) else ()
            return document[node["value"]] if node["value"] in places else None
        case "subexpression" | "pipe" | "index_expression":
            return reduce(lambda value, child: _value(child, value), children, document)
        case "projection" | "filter_projection" | "value_projection" | "flatten":
            return None if _value(children[0], document) is None else _ANYTHING
        case "and_expression":
            left = _value(children[0], document)
            # As JMESPath has it: 0 is true.
            is_false = left is None or left is False or left in ("", [], {})
            return left if is_false else _value(children[1], document)
        case _:
            return _ANYTHING


def _member(document: Any, name: str) -> Any:
    if document is None or document is _ANYTHING:
        return document
    if not isinstance(document, dict) or name not in document:
        raise _MissingError(MissingName(name=name, there=document))
    return document[name]
