"""The values of a job as a plan shows them: compared as they are, shown with literal credentials masked."""

import difflib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.core.masking import MASK

Scalar = str | int | float | bool | None
Value = Scalar | tuple[Scalar, ...]

_REFERENCE = re.compile(r"(\$\{[^{}]*\})")
_SCHEME = re.compile(r"(?i)(basic|bearer|token|digest|apikey) +")
_SECRET_NAME = re.compile(
    r"(?i)authorization|cookie|credential|passw|secret|token|a(?:pi|ccess)[_-]?key"
    r"|(?:^|[.-])(?:auth|key|pass|pwd|session|sig|signature)$"
)
_USERINFO = re.compile(r"(?<=://)(?:\$\{[^{}\s]*\}|\$(?!\{)|[^\s/'\"<>?#$])+(?=@)")
_PARAMETER = re.compile(r"(?<=[?&;])([\w.-]{1,60})=([^&;\s'\"#<>]+)")
_ASSIGNED = re.compile(
    r"(?i)((?:api[_-]?key|credentials?|passwd|password|pwd|secret|token)[\w.-]{0,40}[\"']?"
    r"[ \t]{0,8}[:=][ \t]{0,8}([\"']))([^\"'\n]{1,400})(?=\2)"
)
_BEARER = re.compile(r"(?i)(\b(?:basic|bearer) +)(?=[A-Za-z_.~+/=-]{0,200}[0-9])([A-Za-z0-9._~+/=-]{12,})")
# The shapes that the large providers give their keys, and a JSON Web Token.
_KNOWN_KEY = re.compile(
    r"\b(?:A[KS]IA[0-9A-Z]{16}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{16,}|xox[abeprs]-[\w-]{10,}"
    r"|[rs]k[-_][\w-]{20,}|AIza[\w-]{30,}|eyJ[\w-]{8,500}+\.[\w-]{8,}\.[\w-]*)"
)
_NAMED_BY_PEOPLE = frozenset({"headers", "params", "body"})
# How many pairs of equal lines are compared at most: two texts of 100 equal lines each have 10,000.
_MOST_PAIRS = 20_000


@dataclass(frozen=True, kw_only=True, slots=True)
class JobValue:
    """One value of an effective job.

    `key` is the way to it in the job file, with dots; what is nested deeper than a list of scalars stands as
    indented JSON text. `origin` is the path of the file that gives it where that is not the job file itself.
    `given` is False for what is built in or comes from the settings.
    """

    key: str
    value: Value
    origin: str = ""
    given: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyChange:
    """One key of a job before and after, None where it has no value; literal credentials are masked.

    `diff` are the lines of a unified diff where one of the two has several lines. `masked`: before and after
    differ in what is masked alone. The origins are those of `JobValue`.
    """

    key: str
    before: Value = None
    after: Value = None
    diff: tuple[str, ...] = ()
    masked: bool = False
    before_origin: str = ""
    after_origin: str = ""


def changed_keys(
    before: Sequence[JobValue], after: Sequence[JobValue], *, given_only: bool = False
) -> tuple[KeyChange, ...]:
    """The keys whose value differs, in the order of `after`, those that are gone last. A value that nobody wrote
    does not come or go: it has a meaning on one side alone.

    With `given_only` values that nobody wrote are left out: for a job that is there on one side alone.
    """
    old = {one.key: one for one in before if one.given or not given_only}
    new = {one.key: one for one in after if one.given or not given_only}
    return tuple(
        _key_change(key, old.get(key), new.get(key))
        for key in dict.fromkeys((*new, *old))
        if not _same(_plain(old.get(key)), _plain(new.get(key))) and _is_written(old.get(key), new.get(key))
    )


def _is_written(old: JobValue | None, new: JobValue | None) -> bool:
    """Whether somebody wrote the one value that there is; of two values it does not matter."""
    return any(one.given for one in (old, new) if one is not None) or (old is not None and new is not None)


def _plain(value: JobValue | None) -> Value:
    return None if value is None else value.value


def _same(one: Value, other: Value) -> bool:
    """True is not 1 here, but 5.0 is 5, as in JSON Schema."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _key_change(key: str, old: JobValue | None, new: JobValue | None) -> KeyChange:
    before, after = masked_value(key, _plain(old)), masked_value(key, _plain(new))
    masked = before == after and type(before) is type(after)
    return KeyChange(
        key=key,
        before=before,
        after=after,
        diff=() if masked else _diff(before, after),
        masked=masked,
        before_origin=old.origin if old else "",
        after_origin=new.origin if new else "",
    )


def masked_value(key: str, value: Value) -> Value:
    """The value with literal credentials replaced by `***`; references such as `${env:TOKEN}` stay."""
    if isinstance(value, tuple):
        return tuple(masked_scalar(key, one) for one in value)
    return masked_scalar(key, value)


def masked_scalar(key: str, value: Scalar) -> Scalar:
    """As `masked_value`, for one scalar."""
    if not isinstance(value, str):
        return MASK if value is not None and not isinstance(value, bool) and _is_secret(key) else value
    return _masked_literals(value) if _is_secret(key) else masked_text(value)


def masked_nested(key: str, value: Any) -> Any:
    """As `masked_value`, for plain data of any depth: names of mappings go on the key."""
    if isinstance(value, Mapping):
        return {name: masked_nested(f"{key}.{name}", one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [masked_nested(key, one) for one in value]
    return masked_scalar(key, value)


def masked_text(text: str) -> str:
    """Any text with what looks like a credential replaced by `***`: in addresses, assignments and headers."""
    if "://" in text:
        text = _USERINFO.sub(lambda match: _masked_literals(match[0]), text)
    text = _PARAMETER.sub(_masked_parameter, text)
    text = _ASSIGNED.sub(lambda match: match[1] + _masked_literals(match[3]), text)
    text = _BEARER.sub(lambda match: match[1] + MASK, text)
    return _KNOWN_KEY.sub(MASK, text)


def is_telling_name(name: str) -> bool:
    """Whether a name is one that credentials have, as far as one can tell: better one too many than too few."""
    return _SECRET_NAME.search(name) is not None


def _is_secret(key: str) -> bool:
    """Whether the value of a key is one: all of `auth` but its type and the name of its header; headers and
    parameters of telling names."""
    parts = key.split(".")
    if "auth" in parts[:-1]:
        return parts[-1] not in {"type", "header"}
    return any(one in _NAMED_BY_PEOPLE for one in parts[:-1]) and bool(_SECRET_NAME.search(key))


def _masked_parameter(match: re.Match[str]) -> str:
    name, value = match.groups()
    return f"{name}={_masked_literals(value) if _SECRET_NAME.search(name) else value}"


def _masked_literals(text: str) -> str:
    """References and the name of a scheme (`Bearer`) stay, all else is masked."""
    scheme = _SCHEME.match(text)
    start = scheme.end() if scheme else 0
    parts = _REFERENCE.split(text[start:])
    hidden = (part if place % 2 or not part.strip(" :") else MASK for place, part in enumerate(parts))
    return text[:start] + "".join(hidden)


def _diff(before: Value, after: Value) -> tuple[str, ...]:
    """A unified diff of texts, where one of them has several lines; without the two lines that name files."""
    texts = [one if isinstance(one, str) else "" for one in (before, after)]
    if not any("\n" in text for text in texts):
        return ()
    old, new = (text.splitlines() for text in texts)
    if _is_costly(old, new):
        return (f"@@ -1,{len(old)} +1,{len(new)} @@", *(f"-{line}" for line in old), *(f"+{line}" for line in new))
    lines = list(difflib.unified_diff(old, new, n=3, lineterm=""))[2:]
    return tuple(lines) if lines else ("@@ the end of the last line alone @@",)


def _is_costly(old: Sequence[str], new: Sequence[str]) -> bool:
    """Whether so many lines are like each other that comparing them would take seconds."""
    counts: Mapping[str, int] = Counter(new)
    # difflib passes over lines that make up more than a hundredth of a long text.
    popular = len(new) // 100 + 1 if len(new) >= 200 else len(new)
    pairs = sum(count * counts[line] for line, count in Counter(old).items() if 0 < counts[line] <= popular)
    return pairs > _MOST_PAIRS
