"""A null in the place of records: how some servers, those in Go among them, write an array that has none."""

from collections.abc import Mapping
from typing import Any

from runner.core.path_walk import Search, walk

ERRORS_HINT = "Its list `errors` says why: ask the API with curl, and see in its documentation what that means."


def leads_to_null(parsed: Mapping[str, Any], document: object, search: Search) -> bool:
    """Whether a JMESPath leads to what is there and is null: not to a member that is missing.

    What a projection goes over counts, of `items[*].order` the `items`. A path with anything but names, places
    and projections in it leads to no such null. Beside a list of `errors` a null is none that says that there are
    no records: so GraphQL (section 7.1 of its specification) and JSON:API tell that they have failed.

    Args:
        parsed: the expression as jmespath parses it.
        document: of JSON.
        search: follows a part of the expression, where it goes on behind a projection.
    """
    return not errors_of(document) and walk(parsed, document, conditions=False, search=search) is None


def errors_of(document: object) -> list[Any]:
    """What an API says has gone wrong, by the list `errors` at the top of its answer."""
    found = document.get("errors") if isinstance(document, dict) else None
    return found if isinstance(found, list) else []
