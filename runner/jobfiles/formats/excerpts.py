"""Lines of job files as they may be shown: what may be a credential is hidden, at the same length.

Goes by the text alone, as the file may be none that parses, and where it does a value may stand at any key by
mistake. In `auth` and `headers` only what is known to be none is shown; elsewhere what stands at a telling name,
and before the @ of an address, is hidden. Lines of scripts and queries are shown.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from runner.core.plan_values import is_telling_name
from runner.core.secret_names import is_secret_name
from runner.jobfiles.formats.findings import Findings

_JOB_FILES = (".yaml", ".yml")
_STEPS = frozenset({"processing_script", "processing_query"})
_CLOSED = frozenset({"auth", "headers"})
_OPEN = frozenset({"params", "body"})
# What a line without a key of its own may begin with, and be no text that goes on.
_MARKS = ("#", "-", "{", "}", "]")
_NAME = r"[\"']?(?P<name>[\w.$-]{1,60})[\"']?"
_KEY = re.compile(rf"(?P<indent>[ \t]*(?:- +)*){_NAME}[ \t]{{0,20}}:(?=\s|$)[ \t]*")
_LIST_ITEM = re.compile(r"[ \t]*-[ \t]")
_REFERENCE = r"\$\{(?:env|file|run):[\w./-]{1,200}\}"
# In a line of auth or headers: a reference, a key where one can stand, a value that says nothing, and brackets.
_KNOWN = re.compile(
    rf"{_REFERENCE}"
    r"|(?:^|(?<=[{,]))[ \t]*(?:- +)*[\"']?(?:"
    r"(?:type|header)[\"']?[ \t]{0,20}:[ \t]+[\"']?[A-Z][A-Z-]{0,30}[\"']?(?=[ \t]*(?:[,}]|$))"
    r"|(?:username|accept(?:-\w+)?|content-type|user-agent|cache-control)[\"']?[ \t]{0,20}:[ \t]+[^,}]{1,80}"
    r"|[A-Z][\w-]{0,40}[\"']?[ \t]{0,20}:(?=[\s{\[\"']|$))"
    r"|(?<![\w-])(?:basic|bearer|token)[ \t]+(?=\$\{)"
    r"|[\s{}\[\],\"']",
    re.IGNORECASE,
)
_KEPT = re.compile(rf"{_REFERENCE}|[\s{{}}\[\]\"']")
_NAMED = re.compile(rf"(?<![\w.$-]){_NAME}[ \t]{{0,20}}[:=][ \t]*")
_VALUE = re.compile(rf"(?:{_REFERENCE}|[^&\s\"'#,;}}])+|[\"'][^\"']*")
# Of a location also where it is written wrongly: with a blank in the password, or too few slashes.
_IN_LOCATION = re.compile(
    r"(?<=location)[\"']?[ \t]{0,20}:[ \t]+[\"']?(?:[A-Za-z][\w+.-]{0,30}:?/{1,3})?+(?:[^\s/:@,\"'#]{0,100}):"
    rf"(?P<password>(?:{_REFERENCE}|[^@,{{}}\"'#]){{1,300}})(?=@)"
)
_BEFORE_AT = re.compile(r"(?<!/)//([^\s\"'<>]{0,300})(?=@)")


def excerpts(findings: Findings) -> dict[str, list[str]]:
    """The lines of the files that findings point into, by path; those of job files with what may be a credential
    hidden, and without what no finding points at."""
    wanted: defaultdict[str, set[int]] = defaultdict(set)
    for found in findings.diagnostics:
        wanted[found.path].add(found.line)
    return {
        path: list(_shown(lines, wanted[path])) if path.lower().endswith(_JOB_FILES) else lines
        for path, lines in findings.lines().items()
    }


def _shown(lines: list[str], wanted: AbstractSet[int]) -> Iterator[str]:
    # The keys that a line stands below, each with the column where it begins.
    above: list[tuple[int, str]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            yield line
            continue
        key = _KEY.match(line)
        start = len(line) - len(line.lstrip())
        # A list may stand as far to the left as its key.
        while above and (above[-1][0] > start or (above[-1][0] == start and not _LIST_ITEM.match(line))):
            above.pop()
        yield _hidden(line, [name for _, name in above], key) if number in wanted else ""
        if key:
            above.append((len(key["indent"]), key["name"].lower()))


def _hidden(line: str, above: list[str], key: "re.Match[str] | None") -> str:
    if not _STEPS.isdisjoint(above):
        return line
    name = key["name"].lower() if key else ""
    if any(_is_telling(one) for one in above if one not in _CLOSED):
        line = _starred(line, _KEPT)
    elif not _CLOSED.isdisjoint((name, *above)):
        line = _starred(line, _KNOWN)
    elif key is None and not _OPEN.isdisjoint(above) and not line.lstrip().startswith(_MARKS):
        line = _starred(line, _KEPT)
    elif key and _is_telling(name):
        line = line[: key.end()] + _starred(line[key.end() :], _KEPT)
    else:
        line = _BEFORE_AT.sub(lambda match: f"//{_starred(match[1], _KEPT)}", line)
        line = _without_values(_IN_LOCATION.sub(_without_password, line))
    return line


def _without_password(match: "re.Match[str]") -> str:
    return match[0].removesuffix(match["password"]) + _starred(match["password"], _KEPT)


def _without_values(line: str) -> str:
    """The line without the values of telling names, such as parameters of an address and items of `{…}`."""
    parts, end = [], 0
    for match in _NAMED.finditer(line):
        value = _VALUE.match(line, match.end()) if match.end() > end and _is_telling(match["name"]) else None
        if value is not None:
            parts += [line[end : value.start()], _starred(value[0], _KEPT)]
            end = value.end()
    return "".join(parts) + line[end:]


def _is_telling(name: str) -> bool:
    return is_secret_name(name) or is_telling_name(name)


def _starred(text: str, kept: "re.Pattern[str]") -> str:
    """The text with a star for each sign but those of what is kept."""
    parts, end = [], 0
    for match in kept.finditer(text):
        parts += ["*" * (match.start() - end), match[0]]
        end = match.end()
    return "".join(parts) + "*" * (len(text) - end)
