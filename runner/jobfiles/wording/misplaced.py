"""Words on keys that a mapping knows and cannot hold: beside another key, or for what this one is."""

from collections.abc import Iterator, Mapping
from typing import Any

from runner.jobfiles.document import Path
from runner.jobfiles.wording.finding import Finding, joined

# What each key of a source is for, where that is not its type alone.
_FOR_FORMAT = {
    "records_path": "JSON alone",
    "pagination": "JSON alone",
    "sheet": "file_type: xlsx",
    "delimiter": "CSV alone",
    "encoding": "CSV alone",
    "decimal": "CSV alone",
    "columns": "CSV and XLSX alone",
    "dtypes": "CSV and XLSX alone",
    "parse_dates": "CSV and XLSX alone",
}
_OF_SOURCES = frozenset({"source_type", "file_type", "response_format"})
# The types that take each key of auth and of pagination.
_FOR_TYPES = {
    "token": ["bearer", "header"],
    "header": ["header"],
    "username": ["basic"],
    "password": ["basic"],
    "param": ["page", "offset", "cursor"],
    "in": ["page", "offset", "cursor"],
    "cursor_path": ["cursor"],
    "link_path": ["next_link"],
    "start": ["page", "offset"],
}
_FOR_SOURCE_TYPE = {"query": "database", "file_type": "file"}
_INSTEAD = {
    ("file_type", "api"): "For an API write response_format: {value}.",
    ("query", "api"): "For an API write params.",
    ("params", "database"): "Write the values in the query, such as ${{run:scheduled_date}}.",
}


def misplaced_key(error: Any, path: Path, schema: Mapping[str, Any]) -> Finding:
    """The finding of a key that cannot stand beside another, or for this kind of source, credentials or pages."""
    key = str(path[-1])
    schema_path = tuple(error.absolute_schema_path)
    if "dependentSchemas" in schema_path:
        message, hint = _beside(key, schema_path[schema_path.index("dependentSchemas") + 1])
    else:
        condition = _condition(schema_path, schema)
        message, hint = _of_source(key, condition, error) if _OF_SOURCES & condition.keys() else _of_type(key)
        if "type" in condition:
            message += f", this is {condition['type']['const']}"
    return Finding(path=path, rule="misplaced-key", message=message, hint=hint, at_key=True)


def refused_keys(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> frozenset[str]:
    """The keys that cannot stand in a mapping for what its types say."""
    return frozenset(key for part in _holding(instance, schema) for key in part.get("properties", {}))


def _holding(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What a schema says of a mapping under conditions that hold; a format may yet be written."""
    for part in schema.get("allOf", []):
        wanted = part.get("if", {}).get("properties", {})
        if wanted and all("const" in one and instance.get(key) == one["const"] for key, one in wanted.items()):
            yield part["then"]


def _condition(schema_path: tuple[str | int, ...], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The properties under whose values a schema has something against a key."""
    node: Any = schema
    for part in schema_path[: schema_path.index("then")]:
        node = node[part]
    condition: Mapping[str, Any] = node["if"]["properties"]
    return condition


def _beside(key: str, other: str | int) -> tuple[str, str]:
    if other == "after":
        return f"{key} is for schedule_time", "Remove it: this job runs when those that it comes after have run."
    return f"{key} cannot stand beside {other}", "Keep one of the two."


def _of_source(key: str, condition: Mapping[str, Any], error: Any) -> tuple[str, str]:
    given = condition.get("source_type", {}).get("const")
    # Pages are for APIs in the first place.
    if key in _FOR_FORMAT and (key != "pagination" or given is None):
        return f"{key} is for {_FOR_FORMAT[key]}", "Remove it."
    value = error.instance if isinstance(error.instance, str) else "json"
    instead = _INSTEAD.get((key, given), "Remove it.").format(value=value)
    return f"{key} is for source_type: {_FOR_SOURCE_TYPE.get(key, 'api')}", instead


def _of_type(key: str) -> tuple[str, str]:
    types = _FOR_TYPES[key]
    return f"{key} is for type: {joined(types, 'and')}", f"Remove it, or write type: {joined(types, 'or')}."
