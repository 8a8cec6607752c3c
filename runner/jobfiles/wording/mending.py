"""A value that will not do → how it would be written right, where that can be told."""

import re
from typing import Any

from runner.jobfiles.canonical.scalar_forms import one_line
from runner.jobfiles.wording.finding import in_yaml
from runner.jobfiles.wording.nearest import plain_letters

_LONGEST = 200
_NUMBER = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*([A-Za-z]*)\.?")
_RANGE = re.compile(r"[0-9a-fA-F.:]+/[0-9]{1,3}")
# How many of what a key counts in one unit; a key that counts nothing of the kind has no units.
_SECONDS = {
    name: seconds
    for names, seconds in (
        ("s sec secs second seconds", 1),
        ("m min mins minute minutes", 60),
        ("h hr hrs hour hours", 3600),
        ("d day days", 86400),
    )
    for name in names.split()
}
_BYTES = {
    name: factor
    for names, factor in (
        ("b byte bytes", 1),
        ("k kb kib", 1 << 10),
        ("m mb mib", 1 << 20),
        ("g gb gib", 1 << 30),
        ("t tb tib", 1 << 40),
    )
    for name in names.split()
}
_UNITS = (("_seconds", _SECONDS, 1), ("_bytes", _BYTES, 1), ("_mb", _BYTES, 1 << 20))


def mended_number(key: str, text: str, *, whole: bool) -> str | None:
    """The number that a text stands for, in the unit of its key: `5 min` of timeout_seconds is 300."""
    match = _NUMBER.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if match is None:
        return None
    number, unit = float(match[1]), match[2].lower()
    if unit:
        known, size = next(((units, size) for end, units, size in _UNITS if key.endswith(end)), ({}, 1))
        if unit not in known:
            return None
        number = number * known[unit] / size
    if number == int(number):
        return str(int(number))
    return None if whole else f"{number:g}"


def mended_list(text: str) -> str | None:
    """The list that a text was meant for: parted by commas or semicolons, or with `-` before each part."""
    if len(text) > _LONGEST:
        return None
    if text.startswith("-"):
        parts = re.split(r"\s+-|^-", text)
    elif re.fullmatch(r"\S+@\S+(?:\s+\S+@\S+)+", text):
        parts = text.split()
    else:
        parts = re.split(r"[,;]", text)
    items = [one_line(part.strip(" \t,;"), flow=True) for part in parts if part.strip(" \t,;")]
    return f"[{', '.join(items)}]" if items else None


def mended_text(value: Any) -> str | None:
    """The text that another value was meant for: a number in quotes, a list of one text without brackets."""
    if isinstance(value, bool | int | float):
        return f'"{in_yaml(value)}"'
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], str) and len(value[0]) <= _LONGEST:
        return one_line(value[0])
    return None


def mended_name(kind: str, text: str) -> str:
    """A text in the form of a name of its kind, as near to it as can be; it may still be none."""
    plain = plain_letters(text[:_LONGEST]).strip()
    match kind:
        case "after":
            return mended_name("job_name", re.sub(r".*/|\.ya?ml$", "", plain))
        case "job_name":
            return re.sub(r"[^a-z0-9_-]+", "_", plain.lower()).strip("_-")[:63]
        case "tags":
            return re.sub(r"[^A-Za-z0-9._:/-]+", "_", plain).strip("_-./:")[:63]
        case "name" | "title":
            return " ".join(re.sub(r"[\x00-\x20\x7f]+", " ", text[:_LONGEST]).split())
        case "allowed_hosts" | "private_hosts":
            # Of a range its first address is not what was meant.
            return "" if _RANGE.fullmatch(plain) else re.sub(r"^[a-z]+://|[:/].*", "", plain.lower())
        case "recipient_domains":
            return re.sub(r"^[^@]*@|[:/].*", "", plain.lower())
        case "allowed_imports":
            return plain.partition(";")[0].removeprefix("import ").strip()
    return ""
