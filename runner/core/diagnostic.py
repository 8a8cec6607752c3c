"""A finding about a job file, and its place."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

MESSAGE_LIMIT = 200


class Severity(StrEnum):
    """How bad a finding is: an error keeps the file out of force, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Diagnostic:
    """One finding: where, how bad, which rule, what is wrong, what to write instead.

    Lines and columns count from 1; `end_column` is the first column after the range. The field order is the
    sort order of a listing.
    """

    path: str
    line: int = 1
    column: int = 1
    end_line: int = 1
    end_column: int = 1
    severity: Severity = Severity.ERROR
    rule: str
    message: str
    hint: str = ""

    def __post_init__(self) -> None:
        if len(self.message) > MESSAGE_LIMIT:
            object.__setattr__(self, "message", self.message[: MESSAGE_LIMIT - 1] + "…")
        if self.end_line < self.line:
            object.__setattr__(self, "end_line", self.line)
        if self.end_line == self.line and self.end_column <= self.column:
            object.__setattr__(self, "end_column", self.column + 1)

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}: {self.severity}: {self.message} [{self.rule}]"


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """True when one of the findings is an error."""
    return any(found.severity is Severity.ERROR for found in diagnostics)


def sort_diagnostics(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The findings by path and place, each once."""
    return tuple(sorted(set(diagnostics)))
