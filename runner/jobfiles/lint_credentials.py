"""Credentials that stand in a file as they are: what is in git is read by everyone who can clone it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

from runner.core.diagnostic import Diagnostic
from runner.core.references import mask
from runner.jobfiles.credentials import (
    Credential,
    find_credentials,
    named_credential,
    query_credentials,
)
from runner.jobfiles.inspection import Inspection
from runner.jobfiles.parse import Path, Span

RULE = "literal-credential"
SOURCE = "data_source"
_SCRIPTS = ("processing_script", "processing_query")
_LITERAL_OF_AUTH = ("token", "password")
_MAPPINGS = ("headers", "params", "body")
_CHANGE = "Then change the credential: git keeps the old text."


class _Found(NamedTuple):
    """A credential: its text, its place, what it is called, and the path of the value that holds it, if known."""

    text: str
    span: Span
    kind: str
    name: str
    path: Path = ()


def check_credentials(inspection: Inspection) -> None:
    """Rule `literal-credential`; to be called last: what it finds is masked in the messages of all other rules."""
    found = list(_in_source(inspection)) if SOURCE in inspection.document.data else []
    found.extend(_in_text(inspection.document.text, [one.span for one in found]))
    for one in found:
        hint = _hint(inspection, one)
        inspection.report(one.path, RULE, f"{one.kind} stands here in plain text", hint, span=one.span)
    secrets = [one.text for one in found]
    secrets.extend(_check_step_file(inspection))
    if secrets:
        inspection.findings[:] = [
            replace(one, message=mask(one.message, secrets), hint=mask(one.hint, secrets))
            for one in inspection.findings
        ]


def _in_source(inspection: Inspection) -> Iterator[_Found]:
    """What is a credential by the key that it stands at."""
    source = inspection.document.value((SOURCE,))
    if not isinstance(source, dict):
        return
    location = source.get("location")
    if isinstance(location, str) and "?" in location:
        for name, credential in query_credentials(location):
            yield _found(inspection, (SOURCE, "location"), location, credential, name)
    auth = source.get("auth")
    if isinstance(auth, dict):
        for key in _LITERAL_OF_AUTH:
            value = auth.get(key)
            if isinstance(value, str) and value.strip() and "${" not in value:
                credential = Credential(f"the {key} of auth", 0, len(value))
                yield _found(inspection, (SOURCE, "auth", key), value, credential, key)
    for key in _MAPPINGS:
        if key in source:
            yield from _in_mapping(inspection, (SOURCE, key), source[key], key)


def _in_mapping(inspection: Inspection, path: Path, value: object, name: str) -> Iterator[_Found]:
    """The same in headers, params and body; the items of a list have the name of the list."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _in_mapping(inspection, (*path, key), item, key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _in_mapping(inspection, (*path, index), item, name)
    elif isinstance(value, (str, int)) and not isinstance(value, bool):
        credential = named_credential(name, str(value))
        if credential is not None:
            yield _found(inspection, path, str(value), credential._replace(kind=f"the value of {name}"), name)


def _found(inspection: Inspection, path: Path, value: str, credential: Credential, name: str) -> _Found:
    kind = f"the value of {name}" if credential.kind == "a credential" else credential.kind
    span = inspection.document.inside(path, credential.start, credential.end)
    return _Found(value[credential.start : credential.end], span, kind, name, path)


def _in_text(text: str, told: list[Span]) -> Iterator[_Found]:
    """What is a credential by its shape, anywhere in a file, unless it has been told of already."""
    for credential in find_credentials(text):
        line = text.count("\n", 0, credential.start) + 1
        column = credential.start - text.rfind("\n", 0, credential.start)
        end = column + credential.end - credential.start
        if not any(one.line == line and one.column < end and column < one.end_column for one in told):
            secret = text[credential.start : credential.end]
            yield _Found(secret, Span(line, column, line, end), credential.kind, credential.kind)


def _check_step_file(inspection: Inspection) -> list[str]:
    """The same in the script or query file; the texts of what was found there."""
    step_file = inspection.step_file
    if step_file is None:
        return []
    found = list(_in_text(step_file.text, []))
    inspection.findings.extend(
        Diagnostic(
            path=step_file.path,
            **one.span._asdict(),
            rule=RULE,
            message=f"{one.kind} stands here in plain text",
            hint=_hint_in_step(inspection, one),
        )
        for one in found
    )
    return [one.text for one in found]


def _hint(inspection: Inspection, found: _Found) -> str:
    document = inspection.document
    for key in _SCRIPTS:
        text = document.value((key,))
        if isinstance(text, str):
            first = document.first_line((key,))
            if first <= found.span.line <= first + text.rstrip("\n").count("\n"):
                return _hint_in_step(inspection, found)
    if found.kind == "a private key":
        return f"Keep it in a file beside the service and write ${{file:/path/of/it}}. {_CHANGE}"
    return f"Write ${{env:{_variable(inspection, found)}}} and set it in the environment of the service. {_CHANGE}"


def _hint_in_step(inspection: Inspection, found: _Found) -> str:
    variable = _variable(inspection, found)
    return f"A step is never given secrets: fetch in data_source, with ${{env:{variable}}}. {_CHANGE}"


def _variable(inspection: Inspection, found: _Found) -> str:
    """A good name for the environment variable: that of the job, and what the credential is."""
    job = inspection.document.value(("job_name",))
    words = re.sub(r"[^A-Z0-9]+", "_", job.upper()).strip("_") if isinstance(job, str) else "SERVICE"
    last = re.sub(r"[^A-Z0-9]+", "_", found.name.upper()).strip("_").removeprefix("X_")
    if " " in found.name or last.endswith("AUTHORIZATION"):
        last = "PASSWORD" if "password" in found.name else "KEY" if "key" in found.name else "TOKEN"
    name = words if words.endswith(f"_{last}") else f"{words}_{last}"
    return f"JOB_{name}" if name[:1].isdigit() else name
