"""A jsonschema error → findings in plain words: no schema talk, the nearest valid key or value in the hint."""

import difflib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from runner.jobfiles.parse import Path

_TYPE_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of keys",
    "null": "nothing",
}
# What people write who know the key by another name.
_SYNONYMS = {
    "name": "job_name",
    "cron": "schedule_time",
    "schedule": "schedule_time",
    "tz": "timezone",
    "source": "data_source",
    "url": "location",
    "uri": "location",
    "path": "location",
    "file": "location",
    "type": "source_type",
    "format": "file_type",
    "script": "processing_script",
    "sql": "processing_query",
    "query": "processing_query",
    "emails": "consumer_emails",
    "email": "consumer_emails",
    "recipients": "consumer_emails",
    "consumers": "consumer_emails",
    "timeout": "timeout_seconds",
    "memory": "memory_mb",
    "suspended": "suspend",
    "enabled": "suspend",
    "user": "username",
}
_PATTERN_WORDS = {
    "job_name": "a job_name is 1 to 63 of a-z, 0-9, _ and -, and starts with a letter or digit",
    "tags": "a tag is 1 to 63 letters, digits and . _ : / -, and starts with a letter or digit",
    "headers": "a header is one line of text",
    "tests": "the name of a test is one line of text, and starts with no blank",
}
# Names that a mapping cannot hold, by what the mapping is.
_NAME_WORDS = {"headers": "Use letters, digits and -.", "given": "Use letters, digits and _, such as data."}
_FOR_API = frozenset({"method", "headers", "params", "body", "auth", "response_format"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A finding at a path of the document. `at_key`: point at the key rather than at its value.

    `meant` is the path of the key that an unknown one probably stands for; `missing` that of a key left out.
    """

    path: Path
    rule: str
    message: str
    hint: str = ""
    at_key: bool = False
    meant: Path | None = None
    missing: Path | None = None


def describe(error: Any, schema: Mapping[str, Any]) -> Iterator[Finding]:
    """The findings of one `jsonschema.ValidationError`: several where it stands for several keys."""
    path: Path = tuple(error.absolute_path)
    if error.validator == "not":
        yield _misplaced(path, tuple(error.absolute_schema_path))
    elif "propertyNames" in error.absolute_schema_path:
        yield _bad_name((*path, str(error.instance)))
    elif error.validator == "additionalProperties":
        yield from _unknown_keys(error, path, schema)
    elif error.validator == "required":
        yield from _missing_keys(error, path, schema)
    else:
        yield from _DESCRIBERS.get(error.validator, _other)(error, path)


def nearest(given: object, known: list[str]) -> str | None:
    """The one of `known` that was probably meant."""
    lowered = str(given).lower().replace("-", "_").replace(" ", "_")
    synonym = _SYNONYMS.get(lowered)
    if synonym in known:
        return synonym
    matches = difflib.get_close_matches(lowered, known, n=1, cutoff=0.6)
    return matches[0] if matches else None


def _name(path: Path) -> str:
    """How a value is called: its key, or for an item of a list the key and its number."""
    if not path:
        return "the file"
    if isinstance(path[-1], int):
        return f"item {path[-1] + 1} of {_name(path[:-1])}"
    return path[-1]


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text if len(text) <= 40 else text[:39] + "…"
    return repr(text) if isinstance(value, str) else text


def _properties_at(path: Path, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    node: Mapping[str, Any] = schema
    for part in path:
        inner = node.get("items" if isinstance(part, int) else "additionalProperties")
        node = node.get("properties", {}).get(part) or (inner if isinstance(inner, dict) else {})
    properties: Mapping[str, Any] = node.get("properties", {})
    return properties


def _unknown_keys(error: Any, path: Path, schema: Mapping[str, Any]) -> Iterator[Finding]:
    known = list(error.schema.get("properties", {}))
    for key in error.instance:
        if key in known:
            continue
        meant = nearest(key, [name for name in known if name not in error.instance])
        yield Finding(
            path=(*path, key),
            rule="unknown-key",
            message=f"unknown key {_shown(key)}" + (f" in {_name(path)}" if path else ""),
            hint=f"Did you mean {meant}?" if meant else _where_else(key, path, error.schema, schema),
            at_key=True,
            meant=(*path, meant) if meant else None,
        )


def _where_else(key: str, path: Path, here: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Where an unknown key would be known; else what is known here. `here` is the schema at the path."""
    known = list(here.get("properties", {}))
    there = nearest(key, known)
    if there:
        return f"{there} is there already: remove this one."
    top = schema["properties"]
    if path and key in top:
        return f"{key} stands at the top of the file, not under {_name(path)}."
    for parent, child in ((one, child) for node in (here, schema) for one, child in node["properties"].items()):
        if path != (parent,) and key in child.get("properties", {}):
            return f"{key} belongs under {parent}."
        if path[:1] != (parent,) and key in child.get("items", {}).get("properties", {}):
            return f"{key} belongs to an item of {parent}."
    return f"Known here: {', '.join(known)}."


def _missing_keys(error: Any, path: Path, schema: Mapping[str, Any]) -> Iterator[Finding]:
    for key in error.validator_value:
        if key in error.instance:
            continue
        title = _properties_at(path, schema).get(key, {})
        examples = title.get("examples", [None])
        yield Finding(
            path=path,
            rule="missing-key",
            message=f"{_name(path)} needs {key}" if path else f"the key {key} is missing",
            hint=f"Add {key}, such as {key}: {json.dumps(examples[0], ensure_ascii=False)}.",
            at_key=True,
            missing=(*path, key),
        )


def _listed(types: str | list[str]) -> list[str]:
    return types if isinstance(types, list) else [types]


def _joined(words: list[str], last: str) -> str:
    """`a, b or c`."""
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _wrong_type(error: Any, path: Path) -> Iterator[Finding]:
    if path:
        yield _of_no_type(error.instance, path, _listed(error.validator_value))
        return
    empty = error.instance is None
    yield Finding(
        path=path,
        rule="empty-file" if empty else "wrong-type",
        message="the file holds no job" if empty else "a job file is a mapping of keys, this is not",
        hint="Start with job_name: and schedule_time: in the first column.",
    )


def _of_no_type(value: Any, path: Path, wanted: list[str]) -> Finding:
    expected = _joined(list(dict.fromkeys(_TYPE_WORDS[name] for name in wanted)), "or")
    if value is None:
        message, hint = f"{_name(path)} has no value", f"Write {expected}, or remove the key."
    else:
        message, hint = f"{_name(path)} must be {expected}, not {_shown(value)}", _type_hint(value, wanted)
    return Finding(path=path, rule="wrong-type", message=message, hint=hint)


def _type_hint(value: Any, wanted: list[str]) -> str:
    if "array" in wanted and isinstance(value, dict):
        return "Write a list: each item starts with - on a line of its own."
    if "string" in wanted and "array" not in wanted and isinstance(value, (bool, int, float)):
        return f'Quote it: "{json.dumps(value)}".'
    if wanted == ["array"] and isinstance(value, str):
        return f"Write a list: [{value}]."
    if isinstance(value, str) and wanted[0] in {"integer", "number", "boolean"}:
        return "Write it without quotes and units."
    return ""


def _bad_enum(error: Any, path: Path) -> Iterator[Finding]:
    allowed = [str(value) for value in error.validator_value]
    meant = nearest(error.instance, allowed)
    yield Finding(
        path=path,
        rule="bad-value",
        message=f"{_name(path)} cannot be {_shown(error.instance)}",
        hint=f"Did you mean {meant}?" if meant else f"Use one of: {', '.join(allowed)}.",
    )


def _bad_pattern(error: Any, path: Path) -> Iterator[Finding]:
    words = next((_PATTERN_WORDS[str(key)] for key in path if key in _PATTERN_WORDS), "it has another form")
    hint = ""
    if path == ("job_name",):
        mended = re.sub(r"[^a-z0-9_-]+", "_", error.instance.strip().lower()).strip("_-")[:63]
        hint = f"Write {mended}." if mended else "Write a name such as daily_report."
    yield Finding(path=path, rule="bad-value", message=f"{_shown(error.instance)} will not do: {words}", hint=hint)


def _too_long(error: Any, path: Path) -> Iterator[Finding]:
    unit = {"maxLength": "characters", "maxItems": "items", "maxProperties": "keys"}[error.validator]
    yield Finding(
        path=path,
        rule="too-long",
        message=f"{_name(path)} has {len(error.instance)} {unit}, at most {error.validator_value} are taken",
        hint="Shorten it.",
    )


def _too_short(error: Any, path: Path) -> Iterator[Finding]:
    empty = len(error.instance) == 0
    yield Finding(
        path=path,
        rule="too-short",
        message=f"{_name(path)} is empty" if empty else f"{_name(path)} is too short",
        hint="Give it a value." if empty else f"At least {error.validator_value} characters.",
    )


def _too_few_keys(error: Any, path: Path) -> Iterator[Finding]:
    empty = len(error.instance) == 0
    count = "one key" if error.validator_value == 1 else f"{error.validator_value} keys"
    yield Finding(
        path=path,
        rule="too-short",
        message=f"{_name(path)} is empty" if empty else f"{_name(path)} has too few keys",
        hint=f"Give it at least {count}, or remove it.",
    )


def _repeated(error: Any, path: Path) -> Iterator[Finding]:
    for place, item in enumerate(error.instance):
        if item in error.instance[:place]:
            yield Finding(
                path=(*path, place),
                rule="bad-value",
                message=f"{_shown(item)} stands in {_name(path)} more than once",
                hint="Name it once.",
            )


def _no_form(error: Any, path: Path) -> Iterator[Finding]:
    """`anyOf` and `oneOf`: a choice of keys, of types, or of forms that have no short name."""
    forms: list[Mapping[str, Any]] = error.validator_value
    if all(form.keys() == {"required"} for form in forms):
        yield _choice_of_keys(error, path, [key for form in forms for key in form["required"]])
        return
    types = [one.validator_value for one in error.context if one.validator == "type"]
    if len(types) == len(forms):
        yield _of_no_type(error.instance, path, [name for one in types for name in _listed(one)])
        return
    yield Finding(
        path=path,
        rule="bad-value",
        message=f"{_name(path)} cannot be {_shown(error.instance)}",
        hint="runner schema tells what it can be.",
    )


def _choice_of_keys(error: Any, path: Path, keys: list[str]) -> Finding:
    present = [key for key in keys if key in error.instance]
    if present:
        message = f"{_joined(present, 'and')} cannot stand together"
        return Finding(path=path, rule="misplaced-key", message=message, hint="Keep one of them.", at_key=True)
    # A misspelt key is told of by itself.
    meant = next((near for key in error.instance if (near := nearest(key, keys))), None)
    return Finding(
        path=path,
        rule="missing-key",
        message=f"{_name(path)} needs one of {_joined(keys, 'and')}",
        hint=f"Add {_joined(keys, 'or')}.",
        at_key=True,
        missing=(*path, meant) if meant else None,
    )


def _out_of_range(error: Any, path: Path) -> Iterator[Finding]:
    low, high = error.schema.get("minimum"), error.schema.get("maximum")
    yield Finding(
        path=path,
        rule="out-of-range",
        message=f"{_name(path)} cannot be {_shown(error.instance)}",
        hint=f"Use {low} to {high}.",
    )


def _bad_const(error: Any, path: Path) -> Iterator[Finding]:
    yield Finding(
        path=path,
        rule="bad-value",
        message=f"{_name(path)} must be {error.validator_value} where there is a body",
        hint=f"Write {_name(path)}: {error.validator_value}, or remove the body.",
    )


def _other(error: Any, path: Path) -> Iterator[Finding]:
    yield Finding(path=path, rule="bad-value", message=f"{_name(path)} cannot be {_shown(error.instance)}")


def _bad_name(path: Path) -> Finding:
    return Finding(
        path=path,
        rule="bad-key",
        message=f"{_shown(path[-1])} is no name that {_name(path[:-1])} can hold",
        hint=_NAME_WORDS.get(str(path[-2]), "Use 1 to 256 characters."),
        at_key=True,
    )


def _misplaced(path: Path, schema_path: tuple[Any, ...]) -> Finding:
    key = str(path[-1])
    if "dependentSchemas" in schema_path:
        other = schema_path[schema_path.index("dependentSchemas") + 1]
        message, hint = f"{key} cannot stand beside {other}", "Keep one of the two."
    elif key == "file_type":
        message, hint = "file_type is for source_type: file", "An API takes response_format instead."
    elif key == "records_path":
        message, hint = "records_path is for JSON alone", "Remove it."
    elif key in _FOR_API:
        message, hint = f"{key} is for source_type: api", "Remove it."
    else:
        message, hint = f"{key} is not for this type of auth", "bearer: token; basic: username and password."
    return Finding(path=path, rule="misplaced-key", message=message, hint=hint, at_key=True)


_DESCRIBERS: Mapping[str, Callable[[Any, Path], Iterator[Finding]]] = {
    "type": _wrong_type,
    "enum": _bad_enum,
    "const": _bad_const,
    "pattern": _bad_pattern,
    "maxLength": _too_long,
    "maxItems": _too_long,
    "maxProperties": _too_long,
    "minLength": _too_short,
    "minItems": _too_short,
    "minProperties": _too_few_keys,
    "uniqueItems": _repeated,
    "anyOf": _no_form,
    "oneOf": _no_form,
    "minimum": _out_of_range,
    "maximum": _out_of_range,
}
