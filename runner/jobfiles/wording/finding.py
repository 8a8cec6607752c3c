"""A finding of the schema, and the phrases that all of them share."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.core.secret_names import is_secret_name
from runner.jobfiles.document import Path

_ENCODER = json.JSONEncoder(ensure_ascii=False)
_SHOWN_LENGTH = 40
_LOOKED_AT = 1000
# Keys whose value goes into no message, whatever it is.
SECRET_KEYS = frozenset({"token", "password"})
ODD_BLANK_HINT = "Type a blank in its place: such signs come in with text that is copied from a page or a mail."
_SOURCES = frozenset({"data_source", "data_sources"})
# Mappings of a source whose values may be credentials; as a whole they are text or a list by mistake.
_WITH_SECRETS = frozenset({"auth", "headers", "params", "body"})
# Of a type and of the name of a header what has such a sign, or is as long, is in the wrong place.
_LIKE_A_SECRET = re.compile(r"[:=]|\w{20}|(?i:bearer|basic|token) ")
# A blank is missing, so that the value is a part of the key.
_NO_BLANK = re.compile(r"((?P<name>[\w.-]{1,60})[:=])[^\s\"'$*,}]+")
_NAMED = re.compile(r"(?P<name>[\w.-]{1,60})[\"']?\s*[:=]")


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


def name_of(path: Path) -> str:
    """How a value is called: its key, or for an item of a list the key and its number."""
    if not path:
        return "the file"
    if isinstance(path[-1], int):
        return f"item {path[-1] + 1} of {name_of(path[:-1])}"
    key = cut(_masked(path[-1]))
    return key if key.isprintable() and key.strip() == key != "" else repr(key)


def cut(text: str) -> str:
    """A text of at most 40 characters: the beginning of a longer one."""
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"


def shown(value: Any) -> str:
    """A value as it is named in a message: at most 40 characters of it, without what looks like a credential."""
    if isinstance(value, str):
        return repr(cut(_masked(value)))
    return cut(_masked(_beginning(value)))


def _beginning(value: Any) -> str:
    """The beginning of a value as JSON; the rest is never written out."""
    text = ""
    for piece in _ENCODER.iterencode(value):
        text += piece[:_LOOKED_AT]
        if len(text) > _LOOKED_AT:
            break
    return text


def _masked(text: str) -> str:
    from runner.core.plan_values import masked_text  # of use where something is wrong alone

    text = masked_text(text[:_LOOKED_AT])
    return _NO_BLANK.sub(lambda match: f"{match[1]}***" if is_secret_name(match["name"]) else match[0], text)


def is_secret_key(key: str | None) -> bool:
    """Whether the value of a key is a credential by that name alone; False for an item of a list."""
    return key is not None and (key in SECRET_KEYS or is_secret_name(key))


def may_be_secret(path: Path, value: Any) -> bool:
    """Whether a value is, or holds, a credential by where it stands: no part of it goes into a message."""
    if path and path[-1] in SECRET_KEYS:
        return True
    place = next((place for place, key in enumerate(path) if key in _WITH_SECRETS), None)
    if place is None or path[0] not in _SOURCES:
        return False
    if path[-1] == "username":
        return False
    if path[-1] in {"type", "header"} and isinstance(value, str):
        return _LIKE_A_SECRET.search(value) is not None
    from runner.core.plan_values import masked_nested  # of use where something is wrong alone

    key = ".".join(map(str, path))
    if place == len(path) - 1 and path[place] != "auth":
        text = value if isinstance(value, str) else _beginning(value)
        return any(is_secret_name(match["name"]) for match in _NAMED.finditer(text)) or _masked(text) != text
    return bool(masked_nested(f"{key}.auth.value" if path[place] == "auth" else key, value) != value)


def joined(words: list[str], last: str) -> str:
    """`a, b or c`."""
    return f" {last} ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def schema_at(path: Path, schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a schema says of the value at a path; empty where it says nothing."""
    node: Mapping[str, Any] = schema
    for part in path:
        inner = node.get("items" if isinstance(part, int) else "additionalProperties")
        node = node.get("properties", {}).get(part) or (inner if isinstance(inner, dict) else {})
    return node


def needed_keys(schema: Mapping[str, Any]) -> list[str]:
    """The keys that a mapping must have: each of these, or of a choice of them one."""
    parts = (schema, *schema.get("allOf", []))
    choice = [key for part in parts for form in part.get("oneOf", []) for key in form.get("required", [])]
    return [*schema.get("required", []), *choice]


def example_of(schema: Mapping[str, Any]) -> Any:
    """The first example of a schema, None where it has none."""
    examples = schema.get("examples")
    return examples[0] if examples else None


def in_yaml(value: Any) -> str:
    """A value on one line of YAML."""
    return json.dumps(value, ensure_ascii=False)
