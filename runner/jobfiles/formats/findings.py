"""What a validation found, as every format takes it."""

from collections.abc import Mapping
from dataclasses import dataclass

from runner.core.diagnostic import SECRET_RULE, Diagnostic, Severity, sort_diagnostics
from runner.core.words import counted


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """What a validation found.

    `files` are the paths of the job files that were checked. `diagnostics` are kept sorted, each once; they may
    point into other files too, such as scripts and `_defaults.yaml`. `texts` are the files that they point into,
    by path, as far as they could be read; `seconds` is the time it took. `strict`: warnings count as errors.
    """

    files: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]
    texts: Mapping[str, str]
    seconds: float
    strict: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "diagnostics", sort_diagnostics(self.diagnostics))

    @property
    def errors(self) -> int:
        """How many are errors."""
        return sum(found.severity is Severity.ERROR for found in self.diagnostics)

    @property
    def warnings(self) -> int:
        """How many are warnings."""
        return len(self.diagnostics) - self.errors

    @property
    def failed(self) -> bool:
        """Whether there is a finding that counts."""
        return any(self.counts(found) for found in self.diagnostics)

    def counts(self, found: Diagnostic) -> bool:
        """Whether a finding counts: errors do, warnings only where the check is strict."""
        return self.strict or found.severity is Severity.ERROR

    def lines(self) -> dict[str, list[str]]:
        """The lines of the files that findings point into, by path, without their ends. Credentials are masked,
        at the same length: a log of CI is read by more people than the file."""
        wanted = {found.path for found in self.diagnostics}
        lines = {
            path: [line.removesuffix("\r") for line in text.split("\n")]
            for path, text in self.texts.items()
            if path in wanted
        }
        for found in self.diagnostics:
            if found.rule == SECRET_RULE and found.path in lines:
                _hide(lines[found.path], found)
        return lines


def _hide(lines: list[str], found: Diagnostic) -> None:
    for number in range(found.line, min(found.end_line, len(lines)) + 1):
        line = lines[number - 1]
        start = found.column - 1 if number == found.line else 0
        end = min(found.end_column - 1, len(line)) if number == found.end_line else len(line)
        lines[number - 1] = line[:start] + "*" * (end - start) + line[end:]


def line_at(lines: Mapping[str, list[str]], path: str, number: int) -> str:
    """A line by its number from 1; empty where there is none."""
    known = lines.get(path, [])
    return known[number - 1] if 1 <= number <= len(known) else ""


def summary(findings: Findings) -> str:
    """One line: counts and time."""
    counts = ", ".join(
        counted(number, word)
        for number, word in ((findings.errors, "error"), (findings.warnings, "warning"))
        if number
    )
    return f"{counted(len(findings.files), 'file')} checked in {findings.seconds:.2f} s: {counts or 'all good'}"
