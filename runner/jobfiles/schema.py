"""Document → findings of the JSON Schema. The verdict is jsonschema-rs's, the wording jsonschema's.

jsonschema is imported when the verdict is bad; that both agree is a property held by the tests.
"""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import jsonschema_rs

from runner.core.diagnostic import Diagnostic
from runner.jobfiles.parse import Document, Path
from runner.shipped import shipped_path

if TYPE_CHECKING:
    from runner.jobfiles.wording import Finding

JOB_SCHEMA = "schemas/job.schema.json"


@lru_cache(maxsize=1)
def schema_text() -> str:
    """The job schema as shipped."""
    return shipped_path(JOB_SCHEMA).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def job_schema() -> Mapping[str, Any]:
    """The job schema as data; not to be changed."""
    schema: Mapping[str, Any] = json.loads(schema_text())
    return schema


@lru_cache(maxsize=1)
def _compiled() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema_text())


@lru_cache(maxsize=1)
def _wordy() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(job_schema())


def fits_schema(data: Any) -> bool:
    """The verdict alone."""
    return _compiled().is_valid(data)


def schema_findings(path: str, document: Document) -> tuple[Diagnostic, ...]:
    """What the schema has against a document, each at its key or value. Values refused before are left alone."""
    if fits_schema(document.data):
        return ()
    from runner.jobfiles.wording import describe

    findings = [
        found
        for error in _wordy().iter_errors(document.data)
        for found in describe(error, job_schema())
        if not any(found.path[: len(faulty)] == faulty for faulty in document.faulty)
    ]
    # A misspelt required key is one mistake, not an unknown key and a missing one.
    renamed = {found.meant for found in findings if found.meant is not None}
    return tuple(
        _placed(path, document, found)
        for found in _once(findings)
        if not (found.rule == "missing-key" and found.missing in renamed)
    )


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
