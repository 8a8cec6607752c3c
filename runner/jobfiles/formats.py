"""Findings as people and machines read them: text with snippets, JSON, GitHub annotations."""

import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from runner.core.diagnostic import Diagnostic, Severity

_WIDEST = 160
_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What a validation found. `texts` are the files that findings point into, by path; `seconds` the time."""

    files: int
    diagnostics: tuple[Diagnostic, ...]
    texts: Mapping[str, str]
    seconds: float

    @property
    def errors(self) -> int:
        """How many are errors."""
        return sum(found.severity is Severity.ERROR for found in self.diagnostics)

    @property
    def warnings(self) -> int:
        """How many are warnings."""
        return len(self.diagnostics) - self.errors


def choose_format(asked: str, environ: Mapping[str, str]) -> str:
    """`auto` is github under GitHub Actions and text elsewhere."""
    if asked != "auto":
        return asked
    return "github" if environ.get("GITHUB_ACTIONS") == "true" else "text"


def render(findings: Findings, format_name: str, *, colour: bool = False) -> str:
    """The findings as text that ends in a line feed."""
    if format_name == "json":
        from runner.core.documents import validation_document

        return json.dumps(validation_document(findings.files, findings.diagnostics), indent=2) + "\n"
    lines = _github_lines(findings) if format_name == "github" else _text_lines(findings, colour=colour)
    return "".join(f"{line}\n" for line in lines)


def summary(findings: Findings) -> str:
    """One line: counts and time."""
    counts = ", ".join(
        _count(number, word)
        for number, word in ((findings.errors, "error"), (findings.warnings, "warning"))
        if number
    )
    return f"{_count(findings.files, 'file')} checked in {findings.seconds:.2f} s: {counts or 'all good'}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _text_lines(findings: Findings, *, colour: bool) -> Iterator[str]:
    def painted(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    sources = {path: text.split("\n") for path, text in _needed(findings)}
    for found in findings.diagnostics:
        place = painted(f"{_clean(found.path)}:{found.line}:{found.column}:", "1")
        severity = painted(f"{found.severity}:", f"1;{_COLOURS[found.severity]}")
        yield f"{place} {severity} {_clean(found.message)} {painted(f'[{found.rule}]', '2')}"
        yield from _snippet(found, sources.get(found.path, []), painted)
        if found.hint:
            yield f"  {painted('hint:', '36')} {_clean(found.hint)}"
        yield ""
    if not findings.files:
        yield "0 files: there is no job file here (*.yaml or *.yml, not starting with _ or .)"
        yield f"  {painted('hint:', '36')} Name the folder of jobs, or set JOBS_DIR."
        return
    worst = "31" if findings.errors else "33" if findings.warnings else "32"
    yield painted(summary(findings), f"1;{worst}")


def _needed(findings: Findings) -> Iterable[tuple[str, str]]:
    paths = {found.path for found in findings.diagnostics}
    return ((path, text) for path, text in findings.texts.items() if path in paths)


def _snippet(found: Diagnostic, lines: list[str], painted: Callable[[str, str], str]) -> Iterator[str]:
    """The line and a caret below the range; of a range over several lines, its part on the first."""
    if not 1 <= found.line <= len(lines):
        return
    line = lines[found.line - 1].rstrip("\r")
    if not line.strip():
        return
    start = min(found.column - 1, len(line))
    end = min(found.end_column - 1, len(line)) if found.end_line == found.line else len(line)
    end = max(end, start + 1)
    cut = max(0, start - _WIDEST // 2)
    shown = _clean(line[cut : cut + _WIDEST])
    before = _width(_clean(line[cut:start]))
    marked = max(1, _width(_clean(line[start : min(end, cut + _WIDEST)])))
    margin = len(str(found.line))
    bar = painted("|", "2")
    yield f"  {painted(str(found.line), '2')} {bar} {shown}"
    caret = painted("^" * marked, f"1;{_COLOURS[found.severity]}")
    yield f"  {' ' * margin} {bar} {' ' * before}{caret}"


def _clean(text: str) -> str:
    """Text that no terminal takes for a command: controls are replaced, a tab is one blank."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else " " if character in "\t\n\r" else "\ufffd" for character in text
    )


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )


def _github_lines(findings: Findings) -> Iterator[str]:
    """Source: GitHub's "Workflow commands for GitHub Actions". Columns hold for a range in one line alone."""
    for found in findings.diagnostics:
        place = f"file={_property(found.path)},line={found.line},endLine={found.end_line}"
        if found.end_line == found.line:
            place += f",col={found.column},endColumn={found.end_column}"
        message = f"{found.message}\n{found.hint}" if found.hint else found.message
        yield f"::{found.severity} {place},title={_property(found.rule)}::{_data(message)}"
    yield summary(findings)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
