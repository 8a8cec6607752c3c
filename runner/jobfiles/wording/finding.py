"""A finding of the schema, and the phrases that all of them share."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runner.jobfiles.document import Path

_ENCODER = json.JSONEncoder(ensure_ascii=False)
_SHOWN_LENGTH = 40
# Keys whose value goes into no message, whatever it is.
SECRET_KEYS = frozenset({"token", "password"})
ODD_BLANK_HINT = "Type a blank in its place: such signs come in with text that is copied from a page or a mail."


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
    key = cut(path[-1])
    return key if key.isprintable() and key.strip() == key != "" else repr(key)


def cut(text: str) -> str:
    """A text of at most 40 characters: the beginning of a longer one."""
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 1] + "…"


def shown(value: Any) -> str:
    """A value as it is named in a message: at most 40 characters of it; the rest is never written out."""
    if isinstance(value, str):
        return repr(cut(value))
    text = ""
    for piece in _ENCODER.iterencode(value):
        text += piece
        if len(text) > _SHOWN_LENGTH:
            break
    return cut(text)


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
