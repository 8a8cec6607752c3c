"""Words on keys: unknown ones and where they belong, missing ones, and those that cannot stand where they do."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from runner.jobfiles.document import Path
from runner.jobfiles.schema import DEFAULTS_SCHEMA, JOB_SCHEMA, POLICY_SCHEMA
from runner.jobfiles.wording.finding import (
    Finding,
    cut,
    example_of,
    in_yaml,
    joined,
    name_of,
    needed_keys,
    schema_at,
    shown,
)
from runner.jobfiles.wording.misplaced import refused_keys
from runner.jobfiles.wording.nearest import closest, nearest, odd_letter, same, synonym

# How much better a name elsewhere must be than one that can stand here.
_MARGIN = 0.1
_CLOSE_ELSEWHERE = 0.8
# A name so like one that can stand here is that one, whatever other tools call so elsewhere.
_ALL_BUT_A_LETTER = 0.9
# So many keys of one mapping are looked up; whoever has more unknown ones has another trouble.
_MOST_LOOKED_UP = 50
_ITEM = "[]"
_TESTS = "tests"
_KNOWN_HERE = "Known here"
# How the mapping of a property name is called, by the mapping or list around it.
_NAMED_THINGS = {
    "headers": ("a header", "Use letters, digits and -, such as X-Api-Key."),
    "params": ("a parameter", "Use 1 to 256 characters."),
    "given": ("a source", "Use letters, digits and _, such as data."),
    "data_sources": ("a source", "Use letters, digits and _, such as orders."),
    "dtypes": ("a column", "Use 1 to 256 characters."),
    _ITEM: ("a column", "Use 1 to 256 characters."),
}
_KUBERNETES = "This is a key of Kubernetes: a job file starts with job_name: and schedule_time:."
_ONE_STEP = "A job has one step: Python in processing_script, or SQL in processing_query."
# Keys of other tools for what there is no key for.
_NO_SUCH_KEY = {
    "command": _ONE_STEP,
    "commands": _ONE_STEP,
    "cmd": _ONE_STEP,
    "step": _ONE_STEP,
    "steps": _ONE_STEP,
    "tasks": _ONE_STEP,
    "stages": _ONE_STEP,
    "pipeline": _ONE_STEP,
    "env": "Write ${env:NAME} where the value is needed, and set NAME in the environment of the service.",
    "environment": "Write ${env:NAME} where the value is needed, and set NAME in the environment of the service.",
    "variables": "Write ${env:NAME} where the value is needed, and set NAME in the environment of the service.",
    "apiVersion": _KUBERNETES,
    "metadata": _KUBERNETES,
    "jobTemplate": _KUBERNETES,
    "$schema": "Write it as a comment: # yaml-language-server: $schema=…",
    "version": "Remove it: git keeps the versions of a job.",
}
_WHEN = ["schedule_time", "after"]
_WHERE = ["data_source", "data_sources"]
# Of these a mapping has one.
_CHOICES = (tuple(_WHERE),)
_KEEP_ONE = {
    "after": "Keep one: a job runs at its own times, or after the runs of other jobs.",
    "data_sources": "Keep one: data_sources names each of several, data_source is the only one.",
    "row_count": "Write an item for each.",
}
_OPPOSITES = frozenset({"enabled", "enable", "active", "isactive", "is_active"})


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """A mapping of the schema that knows some keys. Items of a list are written `[]` in its parts."""

    parts: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Here:
    """The mapping that holds unknown keys: its place, and its known keys that may still be added or are there."""

    parts: tuple[str, ...]
    free: tuple[str, ...]
    taken: tuple[str, ...]
    schema: Mapping[str, Any]


def unknown_keys(error: Any, path: Path, schema: Mapping[str, Any]) -> Iterator[Finding]:
    """A finding for each key that the mapping at a path does not take."""
    instance, known = error.instance, error.schema.get("properties", {})
    here = _Here(
        parts=tuple(_ITEM if isinstance(part, int) else part for part in path),
        free=_free_keys(instance, error.schema),
        taken=tuple(key for key in known if key in instance),
        schema=schema,
    )
    wrapper = _wrapper(instance, path, schema)
    for number, key in enumerate(key for key in instance if key not in known):
        meant: str | None = None
        hint = "Remove it, or check its name."
        if key == wrapper:
            hint = _unwrap(key, instance[key])
        elif number < _MOST_LOOKED_UP:
            meant = same(key, here.free) or synonym(key, here.free)
            hint = f"Did you mean {meant}?" if meant else _no_such_key(key, instance, here)
        if not meant and not hint:
            meant, hint = _by_spelling(key, here)
        if meant == "after" and "schedule_time" in instance:
            hint = "Did you mean after? It stands in the place of schedule_time."
        odd = "" if hint.startswith(_KNOWN_HERE) else odd_letter(key)
        yield Finding(
            path=(*path, key),
            rule="unknown-key",
            message=f"unknown key {shown(key)}"
            + (f" in {name_of(path)}" if path else "")
            + (f": its {odd}" if odd else ""),
            hint=hint,
            at_key=True,
            meant=(*path, meant) if meant else None,
        )


def missing_keys(error: Any, path: Path, schema: Mapping[str, Any]) -> Iterator[Finding]:
    """A finding for each key that the mapping at a path must have."""
    if _wrapper(error.instance, path, schema) is not None:
        return  # all of them stand one level too deep: told once, at the key around them
    for key in error.validator_value:
        if key in error.instance:
            continue
        example = in_yaml(example_of(schema_at((*path, key), schema)))
        yield Finding(
            path=path,
            rule="missing-key",
            message=f"{name_of(path)} needs {key}" if path else f"the key {key} is missing",
            hint=f"Add {key}, such as {key}: {example}.",
            at_key=True,
            missing=(*path, key),
        )


def choice_of_keys(error: Any, path: Path, keys: list[str], schema: Mapping[str, Any]) -> Iterator[Finding]:
    """The finding where at least one, or only one, of some keys must stand."""
    if not isinstance(error.instance, dict) or _wrapper(error.instance, path, schema) is not None:
        return  # told as such
    present = [key for key in keys if key in error.instance]
    if present:
        message = f"{joined(present, 'and')} cannot stand together"
        hint = _KEEP_ONE.get(keys[-1], "Keep one of them.")
        place = (*path, keys[-1]) if keys in (_WHEN, _WHERE) else path
        yield Finding(path=place, rule="misplaced-key", message=message, hint=hint, at_key=True)
        return
    # A misspelt key is told of by itself.
    known = schema_at(path, schema).get("properties", {})
    unknown = (key for key in itertools.islice(error.instance, _MOST_LOOKED_UP) if key not in known)
    meant = next((near for key in unknown if (near := nearest(key, keys))), None)
    message, hint = f"{name_of(path)} needs one of {joined(keys, 'and')}", f"Add {joined(keys, 'or')}."
    if keys in (_WHEN, _WHERE):
        example = in_yaml(example_of(schema_at((*path, keys[0]), schema)))
        message = f"the key {keys[0]} is missing"
        other = "; or after, with the jobs that it comes after" if keys == _WHEN else ""
        hint = f"Add {keys[0]}, such as {keys[0]}: {example}{other}."
        meant = meant or keys[0]
    yield Finding(
        path=path,
        rule="missing-key",
        message=message,
        hint=hint,
        at_key=True,
        missing=(*path, meant) if meant else None,
    )


def bad_name(error: Any, path: Path) -> Finding:
    """The finding of a name that a mapping of names cannot hold."""
    around = _ITEM if not path or isinstance(path[-1], int) else path[-1]
    thing, hint = _NAMED_THINGS.get(around, ("a key", "Use 1 to 256 characters."))
    return Finding(
        path=(*path, str(error.instance)),
        rule="bad-key",
        message=f"{shown(error.instance)} cannot be the name of {thing}",
        hint=hint,
        at_key=True,
    )


def _free_keys(instance: Mapping[str, Any], schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The known keys that are not there yet, and can stand beside those that are."""
    refused = refused_keys(instance, schema)
    known = schema.get("properties", {})
    free = (key for key in known if key not in instance and key not in refused)
    return tuple(
        key for key in free if not any(key in choice and _has_one(choice, instance) for choice in _CHOICES)
    )


def _has_one(choice: tuple[str, ...], instance: Mapping[str, Any]) -> bool:
    return any(key in instance for key in choice)


def _no_such_key(key: str, instance: Mapping[str, Any], here: _Here) -> str:
    """What to do with a key that stands for none of this mapping; empty where its name does not tell."""
    value = instance[key]
    if key in _OPPOSITES and "suspend" in here.free and isinstance(value, bool):
        return f"Write suspend: {in_yaml(not value)}, which says the same."
    if there := same(key, here.taken) or synonym(key, here.taken):
        return f"{there} is there already: remove this one."
    if not here.parts and (key in _NO_SUCH_KEY or (key == "kind" and "apiVersion" in instance)):
        return _NO_SUCH_KEY.get(key, _KUBERNETES)
    places = _by_distance(here)
    if closest(key, here.free)[1] >= _ALL_BUT_A_LETTER and not any(same(key, place.keys) for place in places):
        return ""
    for place in places:
        name = same(key, place.keys)
        # The words of tests are too common to be what is meant by another word elsewhere.
        if name is None and (_TESTS in here.parts or _TESTS not in place.parts):
            name = synonym(key, place.keys)
        if name is not None:
            return _stands(name, key, place, here)
    for identity, file, keys in _files():
        if identity != here.schema.get("$id") and (found := same(key, keys) or synonym(key, keys)):
            return f"{found} belongs in {file}."
    return ""


def _by_spelling(key: str, here: _Here) -> tuple[str | None, str]:
    """The key of this mapping that is spelt most alike, or None; and what to do."""
    meant, likeness = closest(key, here.free)
    there, other = closest(key, here.taken)
    if there and other > likeness + _MARGIN:
        meant, likeness = None, other
    for place in _by_distance(here):
        name, other = closest(key, place.keys)
        if name and other >= _CLOSE_ELSEWHERE and other > likeness + _MARGIN:
            return None, _stands(name, key, place, here)
    if meant:
        return meant, f"Did you mean {meant}?"
    if there:
        return None, f"{there} is there already: remove this one."
    known = [key for key in here.free if key != "after" or "schedule_time" not in here.taken]
    return None, f"{_KNOWN_HERE}: {', '.join(known or here.taken)}."


def _by_distance(here: _Here) -> list[_Place]:
    """The other mappings that know keys: those inside this one first, then those around it, tests last."""

    def distance(place: _Place) -> tuple[bool, bool, bool, int]:
        inside = place.parts[: len(here.parts)] == here.parts
        around = here.parts[: len(place.parts)] == place.parts
        return not inside, not around, _TESTS in place.parts, len(place.parts)

    return sorted((place for place in _places((), here.schema) if place.parts != here.parts), key=distance)


def _places(parts: tuple[str, ...], node: Mapping[str, Any]) -> Iterator[_Place]:
    """Every mapping of a schema that knows keys."""
    properties = node.get("properties", {})
    if properties:
        yield _Place(parts=parts, keys=tuple(properties))
    for key, child in properties.items():
        yield from _places((*parts, key), child)
    if isinstance(node.get("items"), dict):
        yield from _places((*parts, _ITEM), node["items"])


def _stands(name: str, given: str, place: _Place, here: _Here) -> str:
    """Where a key stands that is not known here."""
    parts = place.parts
    if not parts:
        return f"{name} stands at the top of the file, not under {_inner(here.parts)}."
    if parts[:-1] == here.parts or parts[-1] == _ITEM:
        where = _inner(parts)
    elif _ITEM in parts:
        where = f"{parts[-1]}, in {_inner(parts[: parts.index(_ITEM) + 1])}"
    else:
        where = ".".join(parts)
    preposition = "in" if parts[-1] == _ITEM else "under"
    return f"{name} belongs {preposition} {where}." if name == given else f"Write {name} {preposition} {where}."


def _inner(parts: tuple[str, ...]) -> str:
    return f"an item of {parts[-2]}" if parts[-1] == _ITEM else parts[-1]


@cache
def _files() -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Identity of each kind of file, how it is called, and its keys."""
    kinds = ((JOB_SCHEMA, "a job file"), (DEFAULTS_SCHEMA, "_defaults.yaml"), (POLICY_SCHEMA, "_policy.yaml"))
    return tuple((check.data["$id"], name, tuple(check.data["properties"])) for check, name in kinds)


def _wrapper(instance: Mapping[str, Any], path: Path, schema: Mapping[str, Any]) -> str | None:
    """The key at the top below which the whole job stands, one level too deep; None where there is none."""
    required = needed_keys(schema)
    if path or not required or len(instance) > _MOST_LOOKED_UP:
        return None
    if any(same(key, required) or synonym(key, required) for key in instance):
        return None
    scores = {
        key: _likeness(value, required)
        for key, value in instance.items()
        if key not in schema["properties"] and key not in _NO_SUCH_KEY and isinstance(value, dict | list)
    }
    best = max(scores, key=lambda key: scores[key], default=None)
    return best if best is not None and scores[best] else None


def _likeness(value: Any, required: list[str]) -> int:
    """How many keys that a job must have stand in a mapping, in the first of a list, or one level below."""
    inner = value[0] if isinstance(value, list) and value else value
    if not isinstance(inner, dict):
        return 0
    keys = list(itertools.islice(inner, _MOST_LOOKED_UP))
    count = len({name for key in keys if (name := same(key, required) or synonym(key, required))})
    below = next((one for one in inner.values() if isinstance(one, dict)), None)
    if count == 0 and below is not None:
        keys = list(itertools.islice(below, _MOST_LOOKED_UP))
        count = sum(1 for key in keys if same(key, required))
    return count


def _unwrap(key: str, value: Any) -> str:
    if isinstance(value, list) and len(value) > 1:
        return "Write each job in a file of its own, with its keys in the first column."
    return f"One job a file: write its keys in the first column, without {cut(key)}: around them."
