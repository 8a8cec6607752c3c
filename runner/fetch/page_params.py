"""Where the parameters of a page go: into the address, or into the JSON body of a POST."""

from dataclasses import replace
from typing import Any

from runner.core.source import Pagination
from runner.fetch.page_reader import WrittenNumber, as_json, from_json
from runner.fetch.request import HttpRequest, with_param


def with_page_param(request: HttpRequest, pagination: Pagination, name: str, value: Any) -> HttpRequest:
    """The request with one parameter of its pages, in place of what it had there.

    Args:
        name: of the query parameter, or the path into the body.
        value: of JSON; for the address a text or a number.
    """
    if pagination.in_body:
        return replace(request, body=_with_member(request.body or b"{}", name.split("."), value))
    return with_param(request, name, value.text if isinstance(value, WrittenNumber) else str(value))


def _with_member(body: bytes, names: list[str], value: Any) -> bytes:
    """The body with a value at a path; mappings on the way are made where there are none."""
    document = node = from_json(body)
    for name in names[:-1]:
        node = node.setdefault(name, {})
    node[names[-1]] = value
    return as_json(document)
