"""A finding about a job file, and its place."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

MESSAGE_LIMIT = 200
# Whoever shows the lines of a file shows none of what findings of this rule point at.
SECRET_RULE = "literal-credential"  # noqa: S105 - no secret
# Of one file: what is shown, and what a single check collects at most. Thousands help nobody, and take seconds.
MOST_SHOWN = 100
MOST_COLLECTED = 200


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


def cut_diagnostics(diagnostics: tuple[Diagnostic, ...]) -> tuple[Diagnostic, ...]:
    """The first findings of one file, errors before warnings, and where there are more, a last one that says so.

    Findings of `SECRET_RULE` are all kept.
    """
    if len(diagnostics) <= MOST_SHOWN:
        return diagnostics
    by_weight = sorted(
        diagnostics, key=lambda found: (found.rule != SECRET_RULE, found.severity is not Severity.ERROR)
    )
    shown, left = by_weight[:MOST_SHOWN], by_weight[MOST_SHOWN:]
    last = max(shown)
    more = Diagnostic(
        path=last.path,
        line=last.line,
        column=last.column,
        end_line=last.end_line,
        end_column=last.end_column,
        severity=left[0].severity,
        rule="more-findings",
        message=f"this file has more findings than these {MOST_SHOWN}",
        hint="Mend these first.",
    )
    return sort_diagnostics((*shown, more))


def sort_diagnostics(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """The findings by path and place, each once."""
    return tuple(sorted(set(diagnostics)))
