"""What is wrong in the text of a step."""

import ast
from collections.abc import Callable
from dataclasses import dataclass

from runner.core.diagnostic import Severity


@dataclass(frozen=True, kw_only=True, slots=True)
class StepFault:
    """A fault in the text of a step: lines and columns of that text from 1; `line` None: the text as a whole.

    `passing` where it is none of the text: it could not be looked at now.
    """

    rule: str
    message: str
    hint: str = ""
    line: int | None = None
    column: int = 1
    end_line: int = 1
    end_column: int = 2
    severity: Severity = Severity.ERROR
    passing: bool = False


# A text and the names that it may use beside the usual ones: modules for a script, tables for a query.
FindFault = Callable[[str, tuple[str, ...]], tuple[StepFault, ...]]


def fault_between(
    text: str, start: int, end: int, *, rule: str, message: str, hint: str, severity: Severity = Severity.ERROR
) -> StepFault:
    """A fault at offsets of a text."""
    line = text.count("\n", 0, start) + 1
    end_line = line + text.count("\n", start, end)
    return StepFault(
        rule=rule,
        message=message,
        hint=hint,
        line=line,
        column=start - text.rfind("\n", 0, start),
        end_line=end_line,
        end_column=end - text.rfind("\n", 0, end),
        severity=severity,
    )


def characters(line: str, offset: int) -> int:
    """An offset in bytes of UTF-8, as Python and DuckDB count, as one in characters."""
    return offset if line.isascii() else len(line.encode()[:offset].decode(errors="ignore"))


def node_fault(lines: list[str], node: ast.AST, *, rule: str, message: str, hint: str) -> StepFault:
    """A fault at a node of a script's syntax tree; of one that goes over several lines, at the first of them."""
    number, end_number = getattr(node, "lineno", 1), getattr(node, "end_lineno", None) or 1
    line = lines[min(number, len(lines)) - 1]
    start = characters(line, getattr(node, "col_offset", 0))
    end = characters(line, getattr(node, "end_col_offset", 1)) if end_number == number else len(line.rstrip())
    return StepFault(
        rule=rule,
        message=message,
        hint=hint,
        line=number,
        column=start + 1,
        end_line=number,
        end_column=max(end, start + 1) + 1,
    )
