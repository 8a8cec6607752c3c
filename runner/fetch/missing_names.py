"""A JMESPath that leads to nothing, as a name in it is not in the document: misspelt, or left out by the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.core.path_walk import NotThere, walk


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
    found = walk(parsed, document, conditions=True, search=None)
    if not isinstance(found, NotThere) or found.name is None or found.there is None:
        return None
    return MissingName(name=found.name, there=found.there)
