"""A JsonPath: a JMESPath of a job, followed in the answers of an API.

It is a stranger's text and is followed in the process of the service, which no sandbox holds: `[@, @][]` doubles
what it is given, and a chain of forty would fill any memory. So how often it may repeat an answer is bounded
beforehand; and while it is followed, what it makes of its own is, and the time.
"""

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.functions import Functions
from jmespath.visitor import Options, TreeInterpreter

from runner.core.null_records import leads_to_null
from runner.core.path_walk import ANYTHING, walk, without_filters
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
_MAKING = _SELECTING | {
    _FUNCTION,
    "projection",
    "value_projection",
    "filter_projection",
    "flatten",
    "slice",
}
# They answer with one number, truth value or name.
_SMALL_FUNCTIONS = frozenset(
    {"abs", "avg", "ceil", "contains", "ends_with", "floor", "length", "starts_with", "sum", "to_number", "type"}
)
# `é` is `\u00e9` in the text that it makes of an array.
_ESCAPED = 6
# Of a text in memory, at most.
_CHARACTER_BYTES = 4
# Nodes of the expression that are followed, some milliseconds, before somebody looks at the time again.
_STRETCH = 4096


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

    def search(self, document: Any, size: int, check: Callable[[], None]) -> Any:
        """What it leads to in a document.

        Args:
            size: how many bytes the document had.
            check: called now and then; what it raises ends the search.

        Raises:
            FetchError: a function meets a value that it does not take, or it may make too much of the document.
        """
        if self._growth * size > _MOST_BYTES:
            raise FetchError(
                f"{self._named} may make more than {size_words(_MOST_BYTES)} of an answer of {size_words(size)}",
                hint="Let it take each part of the answer once: `[@, @]` doubles it, and its kin do so too.",
            )
        try:
            return _Follower(check).visit(self._path.parsed, document)
        except _MadeTooMuchError:
            raise FetchError(
                f"{self._named} makes more than {size_words(_MOST_BYTES)} of an answer of {size_words(size)}",
                hint="Let it lead to the records and no further, or ask for fewer records a page.",
            ) from None
        except _UNFOLLOWED:
            raise FetchError(f"{self._named} cannot be followed in what the API answers", hint=_HINT) from None

    def goes_over(self, document: Any, check: Callable[[], None]) -> Any:
        """What the last projection of it goes over where no filter leaves anything out, in a document that has
        been searched: of `items[?paid].id` the `items`. Not an array or object: nobody can tell.

        Args:
            check: as for `search`.
        """
        try:
            return walk(without_filters(self.parsed), document, conditions=False, search=_Follower(check).visit)
        except (_MadeTooMuchError, *_UNFOLLOWED):
            return ANYTHING

    def leads_to_null(self, document: Any, check: Callable[[], None]) -> bool:
        """Whether what it leads to is there and is null, in a document that has been searched.

        Args:
            check: as for `search`.
        """
        return leads_to_null(self.parsed, document, _Follower(check).visit)


class _MadeTooMuchError(Exception):
    """There is no room for what an expression makes."""


class _Meter:
    """Counts the bytes of what one search makes: lists, objects and texts that are no part of the document."""

    def __init__(self) -> None:
        self._made = 0

    def take(self, size: int) -> None:
        """So much is made.

        Raises:
            _MadeTooMuchError: it is too much, with all before it.
        """
        self._made += size
        if self._made > _MOST_BYTES:
            raise _MadeTooMuchError


class _MeteredFunctions(Functions):
    """JMESPath's functions, but for a `join` that would make too much: what it puts between the parts may be a
    large text of the answer itself."""

    def __init__(self, meter: _Meter) -> None:
        self._meter = meter

    def call_function(self, function_name: str, resolved_args: Iterable[Any]) -> Any:
        match function_name, list(resolved_args):
            case "join", [str(glue), list(parts)]:
                self._meter.take(_CHARACTER_BYTES * len(glue) * len(parts))
        return super().call_function(function_name, resolved_args)


class _Follower(TreeInterpreter):
    """One search, which ends where it makes too much, or `check` says so."""

    def __init__(self, check: Callable[[], None]) -> None:
        self._meter = _Meter()
        super().__init__(Options(custom_functions=_MeteredFunctions(self._meter)))
        self._check = check
        self._followed = 0

    def visit(self, node: Any, *args: Any, **options: Any) -> Any:
        self._followed += 1
        if self._followed % _STRETCH == 0:
            self._check()
        found = super().visit(node, *args, **options)
        if node["type"] in _MAKING and found is not None:
            # A small record takes many times the bytes that it had; the names of its members are written again.
            names = sum(map(len, found)) if type(found) is dict else 0
            self._meter.take(sys.getsizeof(found) + names)
        return found


def _growth(node: Mapping[str, Any]) -> int:
    """How often, at most, one part of a document may stand in what an expression makes of that, and in all that it
    makes on the way. A text of the expression's own counts by its length, but where it is only compared."""
    kind, children = node["type"], node["children"]
    if kind == "literal":
        return len(json.dumps(node["value"]))
    if kind == "slice":
        # Its children are numbers, or nothing.
        return 1
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
