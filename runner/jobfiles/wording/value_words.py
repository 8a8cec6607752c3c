"""Words on values: of a wrong type, none of those allowed, of a wrong form, too long, too small."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from runner.jobfiles.canonical.scalar_forms import one_line
from runner.jobfiles.document import Path
from runner.jobfiles.wording.finding import (
    Finding,
    example_of,
    in_yaml,
    joined,
    may_be_secret,
    name_of,
    needed_keys,
    schema_at,
    shown,
)
from runner.jobfiles.wording.key_words import choice_of_keys
from runner.jobfiles.wording.mending import mended_list, mended_name, mended_number, mended_text
from runner.jobfiles.wording.nearest import nearest, odd_letter

_TYPE_WORDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping of keys",
    "null": "nothing",
}
# The kinds of file, by the end of their schemas' identities.
_FILE_WORDS = {
    "job": ("a job file", "job_name: and schedule_time:"),
    "defaults": ("_defaults.yaml", "a key such as timezone:"),
    "policy": ("_policy.yaml", "a key such as allowed_hosts:"),
}
# The form of each value that has one: by its key, or that of the list or mapping it stands in.
_FORM_WORDS = {
    "job_name": "a job_name is 1 to 63 of a-z, 0-9, _ and -, and starts with a letter or digit",
    "after": "a job_name is 1 to 63 of a-z, 0-9, _ and -, and starts with a letter or digit",
    "tags": "a tag is 1 to 63 letters, digits and . _ : / -, and starts with a letter or digit",
    "headers": "a header is one line of text",
    "header": "a header has a name such as X-Api-Key",
    "delimiter": 'a delimiter is one character, or "\\t" for a tab',
    "source": "the name of a source has letters, digits and _",
    "name": "a name is one line of text, and starts with no blank",
    "title": "a title is one line of text, and starts with no blank",
    "private_hosts": "a host is a name in small letters or an address, without scheme and path; *. may precede it",
    "allowed_hosts": "a host is a name in small letters or an address, without scheme and path; *. may precede it",
    "recipient_domains": "a domain is in small letters and without @ and port; *. may precede it",
    "allowed_imports": "a module has a name such as scipy or sklearn.linear_model",
}
# Mappings whose keys are names that people choose.
_UNDER_NAMES = {
    "data_sources": "Write each source under its name, such as orders:, and without a - before it.",
    "given": "Write the rows under the name of their source, such as data:.",
}
# Cells of rows in tests, which hold no lists and mappings.
_CELL_WORDS = {
    "given": "In place of the rows name a file in the format of the source: JSON has lists and mappings.",
    "expect": "Write it in quotes, as it stands in the CSV that is mailed.",
}
# Where their forms are given beside the names of columns.
_DATES_HINT = (
    "Write the names of the columns alone, such as [ordered_at]: 2026-12-31 and 31.12.2026 are read as they are; "
    "the step makes dates of other forms."
)
_MOST_REPEATED = 20
_LONGEST_EXAMPLE = 50


def wrong_type(error: Any, path: Path, schema: Mapping[str, Any]) -> Iterator[Finding]:
    """A value that is of none of the types it may be of."""
    types = error.validator_value
    if path:
        yield of_no_type(error.instance, path, types if isinstance(types, list) else [types], schema)
    else:
        yield _no_mapping(error.instance, schema)


def _no_mapping(value: Any, schema: Mapping[str, Any]) -> Finding:
    file, start = _FILE_WORDS.get(str(schema.get("$id")).rpartition(":")[2], ("the file", "a key"))
    hint = f"Start with {start} in the first column."
    if value is None:
        return Finding(path=(), rule="empty-file", message="the file holds no keys", hint=hint)
    if isinstance(value, list):
        kind = "a list"
        if any(isinstance(item, dict) for item in value[:1]):
            hint = "Write one in a file, with its keys in the first column and without -."
    else:
        kind = "text" if isinstance(value, str) else shown(value)
        if isinstance(value, str) and re.match(r"\w+ *=", value):
            hint = "Write key: value, with a : where = stands."
    return Finding(path=(), rule="wrong-type", message=f"{file} is a mapping of keys, this is {kind}", hint=hint)


def of_no_type(value: Any, path: Path, wanted: list[str], schema: Mapping[str, Any]) -> Finding:
    """The finding of a value at a path that is of none of the types wanted there."""
    expected = joined(list(dict.fromkeys(_TYPE_WORDS[name] for name in wanted)), "or")
    example = example_of(schema_at(path, schema))
    if value is None:
        message = f"{name_of(path)} has no value"
        hint = f"{_wanted(path, wanted, expected, example)}{_or_remove(path, schema)}."
    elif may_be_secret(path, value):
        message, hint = f"{name_of(path)} must be {expected}", f"{_wanted(path, wanted, expected, example)}."
    else:
        message = f"{name_of(path)} must be {expected}, not {shown(value)}"
        hint = _type_hint(value, path, wanted) or f"{_wanted(path, wanted, expected, example)}."
    return Finding(path=path, rule="wrong-type", message=message, hint=hint)


def _or_remove(path: Path, schema: Mapping[str, Any]) -> str:
    """What may be done instead of giving a value; nothing where the key must stand."""
    if isinstance(path[-1], int):
        return ", or remove the item"
    around = schema_at(path[:-1], schema)
    needed = {key for part in (around, *_consequences(around)) for key in needed_keys(part)}
    return "" if path[-1] in needed else ", or remove the key"


def _consequences(schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [part["then"] for part in schema.get("allOf", []) if "then" in part]


def _wanted(path: Path, wanted: list[str], expected: str, example: Any) -> str:
    """What to write, whatever stands there: by an example."""
    if wanted[0] == "object" and isinstance(example, dict):
        key, value = next(iter(example.items()))
        below = f" below {name_of(path)}:, indented" if isinstance(path[-1], str) else ""
        return f"Write keys{below}, such as {key}: {in_yaml(value)}"
    if example is None or len(str(example)) > _LONGEST_EXAMPLE or wanted == ["boolean"]:
        return f"Write {expected}"
    return f"Write {expected}, such as {_example(example)}"


def _type_hint(value: Any, path: Path, wanted: list[str]) -> str:
    """How the value itself would be written as one of the types; empty where nobody can tell."""
    if isinstance(value, str):
        return _hint_for_text(value, path, wanted)
    if path[-1] == "parse_dates" and isinstance(value, dict):
        return _DATES_HINT
    if "array" in wanted and "object" not in wanted and isinstance(value, dict):
        return "Write a list: each item starts with - on a line of its own."
    if "object" in wanted and isinstance(value, list) and any(isinstance(item, dict) for item in value[:1]):
        return _UNDER_NAMES.get(str(path[-1]), "Write its keys without a - before them.")
    if isinstance(value, list | dict) and "number" in wanted and path[0] == "tests":
        return _CELL_WORDS.get(str(path[2]), "")
    if "string" in wanted and "array" not in wanted and (text := mended_text(value)):
        return f"Write {text}." if isinstance(value, list) else f"Quote it: {text}."
    return ""


def _hint_for_text(value: str, path: Path, wanted: list[str]) -> str:
    if value.startswith(("{", "[")) and {"object", "array"} & set(wanted):
        return "Write it without the quotes around it."
    if "array" in wanted and "object" not in wanted and (items := mended_list(value)):
        return f"Put a blank after each -, or write {items}." if value[0] == "-" else f"Write a list: {items}."
    if wanted[0] in {"integer", "number"}:
        number = mended_number(str(path[-1]), value, whole="number" not in wanted)
        without = ", without quotes" if number == value else ""
        return f"Write {number}{without}." if number else "Write it without quotes and units."
    return "Write true or false, without quotes." if wanted == ["boolean"] else ""


def _example(value: Any) -> str:
    return one_line(value) if isinstance(value, str) else in_yaml(value)


def bad_enum(error: Any, path: Path, _schema: Mapping[str, Any]) -> Iterator[Finding]:
    """A value that is none of those allowed."""
    allowed = [str(value) for value in error.validator_value]
    value = error.instance
    given = value[0] if isinstance(value, list) and len(value) == 1 else value
    meant = nearest(given, allowed) if isinstance(given, str) else None
    odd = odd_letter(value) if isinstance(value, str) else ""
    if value is None:
        message = f"{name_of(path)} has no value"
    else:
        message = f"{name_of(path)} cannot be {'this' if may_be_secret(path, value) else shown(value)}"
    yield Finding(
        path=path,
        rule="bad-value",
        message=message + (f": its {odd}" if odd else ""),
        hint=f"Did you mean {meant}?" if meant else f"Use one of: {', '.join(allowed)}.",
    )


def bad_pattern(error: Any, path: Path, _schema: Mapping[str, Any]) -> Iterator[Finding]:
    """A text of another form than it must have."""
    value = error.instance
    if not value and error.schema.get("minLength"):
        return  # told as empty
    kind = next((str(key) for key in reversed(path) if key in _FORM_WORDS), "")
    words = _FORM_WORDS.get(kind, "it has another form")
    hidden = may_be_secret(path, value)
    odd = odd_letter(value)
    mended = "" if hidden else mended_name(kind, value)
    example = example_of(error.schema)
    if value == "*":
        hint = f"Remove {name_of(path[:-1])}: what is left out bounds nothing."
    elif mended and mended != value and re.search(error.validator_value, mended):
        hint = f"Write {one_line(mended)}."
    else:
        hint = f"Write one such as {_example(example)}."
    what = f"the value of {name_of(path)}" if hidden else shown(value)
    message = f"{what} will not do: {f'its {odd}; ' if odd else ''}{words}"
    yield Finding(path=path, rule="bad-value", message=message, hint=hint)


def too_long(error: Any, path: Path, _schema: Mapping[str, Any]) -> Iterator[Finding]:
    """A text, list or mapping with more than the most it may have."""
    unit = {"maxLength": "characters", "maxItems": "items", "maxProperties": "keys"}[error.validator]
    yield Finding(
        path=path,
        rule="too-long",
        message=f"{name_of(path)} has {len(error.instance)} {unit}, at most {error.validator_value} are taken",
        hint="Shorten it.",
    )


def too_short(error: Any, path: Path, _schema: Mapping[str, Any]) -> Iterator[Finding]:
    """A text, list or mapping with less than the least it must have."""
    least = error.validator_value
    unit = {"minLength": "character", "minItems": "item", "minProperties": "key"}[error.validator]
    count = f"one {unit}" if least == 1 else f"{least} {unit}s"
    empty = len(error.instance) == 0
    if unit == "key":
        hint = f"Give it at least {count}, or remove it."
    else:
        hint = "Give it a value." if empty else f"Give it at least {count}."
    message = f"{name_of(path)} is empty" if empty else f"{name_of(path)} has less than {count}"
    yield Finding(path=path, rule="too-short", message=message, hint=hint)


def repeated(error: Any, path: Path, _schema: Mapping[str, Any]) -> Iterator[Finding]:
    """Items that stand in a list of different ones more than once."""
    seen: set[str] = set()
    found = 0
    for place, item in enumerate(error.instance):
        written = in_yaml(item)
        if written in seen and found < _MOST_REPEATED:
            found += 1
            yield Finding(
                path=(*path, place),
                rule="bad-value",
                message=f"{shown(item)} stands in {name_of(path)} more than once",
                hint="Name it once.",
            )
        seen.add(written)


def no_form(error: Any, path: Path, schema: Mapping[str, Any]) -> Iterator[Finding]:
    """`anyOf` and `oneOf`: a choice of keys, of types, or of forms that have no short name."""
    forms: list[Mapping[str, Any]] = error.validator_value
    if all(form.keys() == {"required"} for form in forms):
        yield from choice_of_keys(error, path, [key for form in forms for key in form["required"]], schema)
        return
    types = [one.validator_value for one in error.context if one.validator == "type"]
    if len(types) == len(forms):
        wanted = [name for one in types for name in (one if isinstance(one, list) else [one])]
        yield of_no_type(error.instance, path, wanted, schema)
        return
    yield from other(error, path, schema)


def out_of_range(error: Any, path: Path, _schema: Mapping[str, Any]) -> Iterator[Finding]:
    """A number below the least or above the most it may be."""
    low, high = error.schema.get("minimum"), error.schema.get("maximum")
    yield Finding(
        path=path,
        rule="out-of-range",
        message=f"{name_of(path)} cannot be {shown(error.instance)}",
        hint=f"Use {low} to {high}.",
    )


def bad_const(error: Any, path: Path, _schema: Mapping[str, Any]) -> Iterator[Finding]:
    """A value that must be a certain one because another key stands there."""
    yield Finding(
        path=path,
        rule="bad-value",
        message=f"{name_of(path)} must be {error.validator_value} where there is a body",
        hint=f"Write {name_of(path)}: {error.validator_value}, or remove the body.",
    )


def other(error: Any, path: Path, _schema: Mapping[str, Any]) -> Iterator[Finding]:
    """A value that cannot be, for a reason without words of its own."""
    example = example_of(error.schema)
    given = "this" if may_be_secret(path, error.instance) else shown(error.instance)
    yield Finding(
        path=path,
        rule="bad-value",
        message=f"{name_of(path)} cannot be {given}",
        hint="runner schema tells what it can be."
        if example is None
        else f"Write one such as {_example(example)}.",
    )


DESCRIBERS: Mapping[str, Callable[[Any, Path, Mapping[str, Any]], Iterator[Finding]]] = {
    "type": wrong_type,
    "enum": bad_enum,
    "const": bad_const,
    "pattern": bad_pattern,
    "maxLength": too_long,
    "maxItems": too_long,
    "maxProperties": too_long,
    "minLength": too_short,
    "minItems": too_short,
    "minProperties": too_short,
    "uniqueItems": repeated,
    "anyOf": no_form,
    "oneOf": no_form,
    "minimum": out_of_range,
    "maximum": out_of_range,
}
