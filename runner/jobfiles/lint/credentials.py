"""Credentials that stand in a file as they are: what is in git is read by everyone who can clone it."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import NamedTuple, cast

from runner.core.diagnostic import MOST_COLLECTED, SECRET_RULE, Diagnostic
from runner.core.masking import masker
from runner.core.secret_names import is_secret_name
from runner.core.source import AuthType, SourceType
from runner.jobfiles.document import Path, Span
from runner.jobfiles.inspection import MOST_TOLD, Inspection
from runner.jobfiles.lint.credential_shapes import (
    Credential,
    database_credential,
    find_credentials,
    named_credential,
    query_credentials,
    scheme_credential,
)
from runner.jobfiles.lint.source_names import sources_of
from runner.jobfiles.wording.finding import cut, may_be_secret

_SCRIPTS = ("processing_script", "processing_query")
_LITERAL_OF_AUTH = ("token", "password")
_MAPPINGS = ("headers", "params", "body")
_COLLECTION = (dict, list)
_SCALAR = (str, int)
_WITH_SECRETS = frozenset({*_MAPPINGS, "auth"})
# What is told already, and the keys of auth that hold none, or are written for those.
_NO_SECRETS_OF_AUTH = frozenset({*_LITERAL_OF_AUTH, "header", "username", "user", "login", "name"})
_NO_SECRETS = frozenset(AuthType)
# What stands in `auth` by mistake, as other tools have it there.
_WORDS_OF_AUTH = frozenset({"type", "scheme", "client_id", "none", "digest", "kerberos", "oauth", "oauth2"})
# Nothing shorter is masked in any message.
_SHORTEST = 4
_OTHER_SIGNS = re.compile(r"[^A-Z0-9]+")
_LONGEST_NAME = 63
_CHANGE = "Then change the credential: git keeps the old text."


class _Found(NamedTuple):
    """A credential: its text, its place, what it is called, and the path of the value that holds it, if known."""

    text: str
    span: Span
    kind: str
    name: str
    path: Path = ()


def check_credentials(inspection: Inspection) -> None:
    """Rule `literal-credential`; to be called last: what it finds is masked in the messages of all other rules.

    20 are told one by one, and where there are more, a last finding goes over all that is left: so no line with
    one of them is shown. A file with 200 is told nothing else: nobody can mask so much in every message.
    """
    text = inspection.document.text
    data = inspection.document.data
    found: list[_Found] = []
    for path, source in sources_of(data) if isinstance(data, dict) else ():
        # Written with an escape, a ? is none in the text.
        is_database = source.get("source_type") == SourceType.DATABASE
        if "?" in text or "\\" in text or is_database or not _WITH_SECRETS.isdisjoint(source):
            found.extend(islice(_in_source(inspection, path, source), MOST_COLLECTED - len(found)))
    if inspection.findings and isinstance(data, dict):
        found.extend(islice(_misplaced(inspection, data), MOST_COLLECTED))
    shapes = find_credentials(text)
    if shapes:
        found.extend(islice(_in_text(text, shapes, found), MOST_COLLECTED))
    step_file = inspection.step_file
    in_step: list[_Found] = []
    if step_file is not None:
        in_step.extend(islice(_in_text(step_file.text, find_credentials(step_file.text), []), MOST_COLLECTED))
    if not found and not in_step:
        return
    others = inspection.findings if len(found) + len(in_step) < MOST_COLLECTED else []
    masked = masker(form for one in (*found, *in_step) for form in _forms(one.text))
    own = [_diagnostic(inspection.path, one, _hint(inspection, one)) for one in _told(found, text)]
    if step_file is not None:
        told = _told(in_step, step_file.text)
        own.extend(_diagnostic(step_file.path, one, _hint_in_step(inspection, one)) for one in told)
    inspection.findings[:] = [
        replace(one, message=masked(one.message), hint=masked(one.hint)) for one in (*others, *own)
    ]


def _forms(text: str) -> tuple[str, ...]:
    """A text, and how a message that names a key may have it."""
    return text, cut(text).removesuffix("…"), repr(cut(text).removesuffix("…"))[1:-1]


def _told(found: list[_Found], text: str) -> list[_Found]:
    """What is told of what was found, by place; the last one stands for all that is left."""
    found = sorted(found, key=lambda one: one.span)
    told, rest = found[:MOST_TOLD], found[MOST_TOLD:]
    if rest:
        first, end_line, end_column = rest[0], rest[-1].span.end_line, rest[-1].span.end_column
        if len(found) >= MOST_COLLECTED:
            end_line, end_column = text.count("\n") + 1, len(text) - text.rfind("\n")
        span = Span(first.span.line, first.span.column, end_line, max(end_column, 2))
        told.append(first._replace(span=span, kind=f"{first.kind}, and more below,"))
    return told


def _diagnostic(path: str, found: _Found, hint: str) -> Diagnostic:
    return Diagnostic(
        path=path,
        **found.span._asdict(),
        rule=SECRET_RULE,
        message=f"{found.kind} stands here in plain text",
        hint=hint,
    )


def _in_source(inspection: Inspection, path: Path, source: dict[str, object]) -> Iterator[_Found]:
    """What is a credential by the key that it stands at."""
    location = inspection.text(*path, "location")
    if location and "?" in location:
        for name, credential in query_credentials(location):
            yield _found(inspection, (*path, "location"), location, credential, name)
    if location and source.get("source_type") == SourceType.DATABASE:
        password = database_credential(location)
        if password is not None:
            yield _found(inspection, (*path, "location"), location, password, password.kind)
    auth = source.get("auth")
    if isinstance(auth, dict):
        for key in _LITERAL_OF_AUTH:
            value = auth.get(key)
            if isinstance(value, str) and value.strip() and "${" not in value:
                credential = Credential(f"the {key} of auth", 0, len(value))
                yield _found(inspection, (*path, "auth", key), value, credential, key)
    for key in _MAPPINGS:
        if isinstance(source.get(key), dict | list):
            yield from _in_values(inspection, (*path, key), source[key], key)


def _in_values(inspection: Inspection, path: Path, values: object, name: str) -> Iterator[_Found]:
    """The same in headers, params and body; the items of a list have the name of the list."""
    keys: list[str | int] = []
    left = [(name, _items(values))]
    while left:
        name, items = left[-1]
        for key, item in items:
            item_name = key if isinstance(key, str) else name
            if isinstance(item, _COLLECTION):
                keys.append(key)
                left.append((item_name, _items(item)))
                break
            if is_secret_name(item_name) and isinstance(item, _SCALAR) and not isinstance(item, bool):
                credential = named_credential(item_name, str(item))
                if credential is not None:
                    credential = credential._replace(kind=f"the value of {cut(item_name)}")
                    yield _found(inspection, (*path, *keys, key), str(item), credential, item_name)
        else:
            left.pop()
            del keys[-1:]


def _misplaced(inspection: Inspection, data: dict[str, object]) -> Iterator[_Found]:
    """What stands where no credential can, in a file that is not valid: at a key that is not known, in `auth` at
    one that it does not have, and in a text or list where `auth`, `headers`, `params` and `body` are mappings."""
    sources = tuple(sources_of(data))
    for path, mapping in (((), data), *sources):
        for key, value in mapping.items():
            if isinstance(value, _SCALAR) and is_secret_name(key):
                yield from _literal(inspection, (*path, key), value, key)
    for path, source in sources:
        yield from _in_keys(inspection, path, source)
        for key in _WITH_SECRETS & source.keys():
            value, place = source[key], (*path, key)
            if isinstance(value, dict) and key == "auth":
                for name, inner in value.items():
                    if (name not in _NO_SECRETS_OF_AUTH or isinstance(inner, list)) and may_be_secret(
                        (*place, name), inner
                    ):
                        yield from _literal(inspection, (*place, name), inner, name)
            elif not isinstance(value, dict) and may_be_secret(place, value):
                yield from _literal(inspection, place, value, key)


def _in_keys(inspection: Inspection, path: Path, source: dict[str, object]) -> Iterator[_Found]:
    """Keys that are credentials, as a value stands in the place of one: `auth: {abc}` or `Bearer abc:`."""
    for place in ("auth", "headers"):
        mapping = source.get(place)
        for key, value in mapping.items() if isinstance(mapping, dict) else ():
            found = scheme_credential(key)
            if found is None and value is None and _is_bare(key, place):
                found = Credential("what may be a credential", 0, len(key))
            if found is not None:
                span = inspection.document.key_span((*path, place, key))
                yield _Found(key[found.start : found.end], span, found.kind, "token", (*path, place, key))


def _is_bare(key: str, place: str) -> bool:
    """Whether a key without a value may be one: of `auth` each that it does not know, of headers what has a digit
    and none of their dashes. A reference is none, nor is the name of one, such as `api_key`."""
    if "${" in key or is_secret_name(key):
        return False
    if place == "headers":
        return "-" not in key and any(map(str.isdigit, key))
    return len(key) >= _SHORTEST and key.lower() not in _NO_SECRETS_OF_AUTH | _NO_SECRETS | _WORDS_OF_AUTH


def _literal(inspection: Inspection, path: Path, value: object, name: str) -> Iterator[_Found]:
    """The texts of a value that is, or holds, a credential; what has a reference is none."""
    if isinstance(value, _COLLECTION):
        for key, item in _items(value):
            yield from _literal(inspection, (*path, key), item, name)
    elif isinstance(value, _SCALAR) and "${" not in (text := str(value)) and len(text.strip()) >= _SHORTEST:
        if isinstance(value, bool) or text in _NO_SECRETS:
            return
        credential = Credential(f"the value of {cut(name)}", 0, len(text))
        yield _found(inspection, path, text, credential, name)


def _items(values: object) -> Iterator[tuple[str | int, object]]:
    """Keys and values, or numbers and items."""
    return iter(values.items()) if isinstance(values, dict) else enumerate(cast("list[object]", values))


def _found(inspection: Inspection, path: Path, value: str, credential: Credential, name: str) -> _Found:
    kind = f"the value of {name}" if credential.kind == "a credential" else credential.kind
    span = inspection.document.inside(path, credential.start, credential.end)
    return _Found(value[credential.start : credential.end], span, kind, name, path)


def _in_text(text: str, credentials: Iterable[Credential], told: list[_Found]) -> Iterator[_Found]:
    """What is a credential by its shape, anywhere in a file, unless it has been told of already."""
    taken: dict[int, list[Span]] = defaultdict(list)
    for one in told:
        taken[one.span.line].append(one.span)
    line, counted = 1, 0
    for credential in credentials:
        line += text.count("\n", counted, credential.start)
        counted = credential.start
        column = credential.start - text.rfind("\n", 0, credential.start)
        end = column + credential.end - credential.start
        if not any(span.column < end and column < span.end_column for span in taken[line]):
            secret = text[credential.start : credential.end]
            yield _Found(secret, Span(line, column, line, end), credential.kind, credential.kind)


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
    words = _OTHER_SIGNS.sub("_", job[:_LONGEST_NAME].upper()).strip("_") if isinstance(job, str) else "SERVICE"
    last = _OTHER_SIGNS.sub("_", found.name[:_LONGEST_NAME].upper()).strip("_").removeprefix("X_")
    if " " in found.name or last.endswith("AUTHORIZATION"):
        last = "PASSWORD" if "password" in found.name else "KEY" if "key" in found.name else "TOKEN"
    name = words if words.endswith(f"_{last}") else f"{words}_{last}"
    return f"JOB_{name}" if name[:1].isdigit() else name
