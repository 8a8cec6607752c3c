"""Document → findings of the JSON Schema. The verdict is jsonschema-rs's, the wording jsonschema's.

jsonschema is imported when the verdict is bad; that both agree is a property held by the tests.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

from runner.core.diagnostic import MOST_COLLECTED, Diagnostic
from runner.jobfiles.document import Document, Path
from runner.shipped import shipped_path

_UNBOUNDED = 1 << 62

if TYPE_CHECKING:
    from runner.jobfiles.wording.describe import Finding


class SchemaCheck:
    """One shipped schema. Nothing is read or compiled before it is needed.

    Args:
        name: the shipped file, such as `schemas/job.schema.json`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._longest: dict[Path, int] = {}

    @cached_property
    def text(self) -> str:
        """The schema as shipped."""
        return shipped_path(self._name).read_text(encoding="utf-8")

    @cached_property
    def data(self) -> Mapping[str, Any]:
        """The schema as data, with what it refers to in its places; not to be changed."""
        schema: dict[str, Any] = json.loads(self.text)
        shared: Mapping[str, Any] = schema.pop("$defs", {})
        expanded: Mapping[str, Any] = _expanded(schema, shared)
        return expanded

    @cached_property
    def fits(self) -> Callable[[Any], bool]:
        """The verdict alone."""
        import jsonschema_rs

        return jsonschema_rs.Draft202012Validator(self.text).is_valid

    @cached_property
    def _errors(self) -> Callable[[Any], Iterator[Any]]:
        from runner.jobfiles.wording.schema_errors import errors_of

        return errors_of(self.data)

    def findings(self, path: str, document: Document) -> tuple[Diagnostic, ...]:
        """What the schema has against a document, at keys and values. Values refused before are left alone."""
        return self.look(path, document)[0]

    def look(self, path: str, document: Document) -> tuple[tuple[Diagnostic, ...], frozenset[Path]]:
        """The findings, and the paths that they are about."""
        if self.fits(document.data):
            return (), frozenset()
        from runner.jobfiles.wording.describe import describe

        described = (
            found
            for error in self._errors(document.data)
            for found in describe(error, self.data)
            if document.faulty.isdisjoint(found.path[:depth] for depth in range(len(found.path) + 1))
            and not (found.rule == "too-short" and document.emptied(found.path))
        )
        findings = list(islice(described, MOST_COLLECTED))
        # A misspelt required key is one mistake, not an unknown key and a missing one.
        renamed = {found.meant for found in findings if found.meant is not None}
        kept = [
            found for found in _once(findings) if not (found.rule == "missing-key" and found.missing in renamed)
        ]
        return tuple(_placed(path, document, found) for found in kept), frozenset(found.path for found in kept)

    def longest(self, path: Path) -> int:
        """How many characters the text at a path may have."""
        longest = self._longest.get(path)
        if longest is None:
            from runner.jobfiles.wording.finding import schema_at

            longest = schema_at(path, self.data).get("maxLength", _UNBOUNDED)
            # Of lists there are as many paths as items.
            if all(isinstance(part, str) for part in path):
                self._longest[path] = longest
        return longest


JOB_SCHEMA = SchemaCheck("schemas/job.schema.json")
DEFAULTS_SCHEMA = SchemaCheck("schemas/defaults.schema.json")
POLICY_SCHEMA = SchemaCheck("schemas/policy.schema.json")


def _expanded(node: Any, shared: Mapping[str, Any]) -> Any:
    """A part of a schema with `$ref` replaced by what it refers to; what stands beside it counts more."""
    if isinstance(node, list):
        return [_expanded(item, shared) for item in node]
    if not isinstance(node, dict):
        return node
    whole = {**shared[node["$ref"].rpartition("/")[2]], **node} if "$ref" in node else node
    return {key: _expanded(value, shared) for key, value in whole.items() if key != "$ref"}


def _once(findings: "list[Finding]") -> "Iterator[Finding]":
    """One finding a path and rule: a list that is no mapping needs not be told every key it lacks."""
    seen: set[tuple[Path, str, str]] = set()
    for found in findings:
        identity = (found.path, found.rule, found.message)
        if identity not in seen:
            seen.add(identity)
            yield found


def _placed(path: str, document: Document, found: "Finding") -> Diagnostic:
    span = document.key_span(found.path) if found.at_key else document.span(found.path)
    return Diagnostic(path=path, **span._asdict(), rule=found.rule, message=found.message, hint=found.hint)
