"""A JsonPath: a JMESPath of a job, followed in the answers of an API.

It is a stranger's text and is followed in the process of the service, which no sandbox holds: `[@, @][]` doubles
what it is given, and a chain of forty would fill any memory. So what it may make of an answer is bounded
beforehand.
"""

import json
import math
from collections.abc import Mapping
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError

from runner.core.report import size_words
from runner.errors import FetchError

_MOST_BYTES = 512 << 20
_HINT = "It is a JMESPath such as `data.items`; a function in it meets a value that it does not take."
# JMESPath's functions meet values that they do not take with errors of every kind.
_UNFOLLOWED = (
    JMESPathError,
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)
_FUNCTION = "function_expression"
_JOINING = frozenset({"pipe", "subexpression", "index_expression", "projection", "value_projection"})
_SELECTING = frozenset({"multi_select_list", "multi_select_dict"})
# They answer with one number, truth value or name.
_SMALL_FUNCTIONS = frozenset(
    {"abs", "avg", "ceil", "contains", "ends_with", "floor", "length", "starts_with", "sum", "to_number", "type"}
)
# `é` is `\u00e9` in the text that it makes of an array.
_ESCAPED = 6


class JsonPath:
    """One expression.

    Args:
        key: what a message calls it.

    Raises:
        FetchError: it is no JMESPath.
    """

    def __init__(self, key: str, expression: str) -> None:
        self._named = f"`{key}: {expression}`"
        try:
            self._path: Any = jmespath.compile(expression)
            self._growth = _growth(self._path.parsed)
        except (JMESPathError, RecursionError):
            raise FetchError(
                f"{self._named} is no JMESPath expression", hint="`runner validate` shows the place."
            ) from None

    @property
    def parsed(self) -> Mapping[str, Any]:
        """The expression as jmespath parses it."""
        parsed: Mapping[str, Any] = self._path.parsed
        return parsed

    def search(self, document: Any, size: int) -> Any:
        """What it leads to in a document.

        Args:
            size: how many bytes the document had.

        Raises:
            FetchError: a function meets a value that it does not take, or it may make too much of the document.
        """
        if self._growth * size > _MOST_BYTES:
            raise FetchError(
                f"{self._named} may make more than {size_words(_MOST_BYTES)} of an answer of {size_words(size)}",
                hint="Let it take each part of the answer once: `[@, @]` doubles it, and its kin do so too.",
            )
        try:
            return self._path.search(document)
        except _UNFOLLOWED:
            raise FetchError(f"{self._named} cannot be followed in what the API answers", hint=_HINT) from None


def _growth(node: Mapping[str, Any]) -> int:
    """How often, at most, one part of a document may stand in what an expression makes of that, and in all that it
    makes on the way. A text of the expression's own counts by its length, but where it is only compared."""
    kind, children = node["type"], node["children"]
    if kind == "literal":
        return len(json.dumps(node["value"]))
    if kind in {"comparator", "not_expression"} or (kind == _FUNCTION and node["value"] in _SMALL_FUNCTIONS):
        return max((_growth(child) for child in children if child["type"] != "literal"), default=1)
    parts = [_growth(child) for child in children]
    if kind == "filter_projection":
        left, right, condition = parts
        return left * max(right, condition)
    if kind in _JOINING:
        return math.prod(parts)
    if kind in _SELECTING:
        return sum(parts)
    if kind == _FUNCTION:
        return _growth_by_function(node, parts)
    return max(parts, default=1)


def _growth_by_function(node: Mapping[str, Any], parts: list[int]) -> int:
    name = node["value"]
    if name == "to_string":
        return _ESCAPED * sum(parts)
    if name == "join" or any(child["type"] == "expref" for child in node["children"]):
        return math.prod(parts)
    return max(1, sum(parts))
