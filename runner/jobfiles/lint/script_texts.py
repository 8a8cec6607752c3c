"""A script's syntax tree → the references in its texts, which nobody fills in."""

import ast
import re
from bisect import bisect_right
from collections.abc import Iterator

from runner.core.diagnostic import Severity
from runner.jobfiles.lint.step_fault import StepFault, characters, fault_between

_REFERENCE = re.compile(r"\$\{(?P<kind>env|file|run):[^{}\n]*\}")


def find_idle_references(text: str, tree: ast.Module) -> Iterator[StepFault]:
    """Warnings `bad-reference`, for each reference within a text of the script; in a comment it does no harm."""
    if "${" not in text:
        return
    texts = sorted(_texts(text, tree))
    for match in _REFERENCE.finditer(text):
        before = bisect_right(texts, (match.start(), len(text)))
        if before and match.start() < texts[before - 1][1]:
            hint = "A script is never given secrets: use the reference in data_source, and data here."
            if match["kind"] == "run":
                hint = "Use run, such as run.scheduled_date."
            yield fault_between(
                text,
                *match.span(),
                rule="bad-reference",
                message=f"${{{match['kind']}:…}} is not filled in within a script",
                hint=hint,
                severity=Severity.WARNING,
            )


def _texts(text: str, tree: ast.Module) -> Iterator[tuple[int, int]]:
    """The offsets of the texts of a script."""
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and "${" in node.value:
            first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
            if last < len(lines):
                start = starts[first] + characters(lines[first], node.col_offset)
                yield start, starts[last] + characters(lines[last], node.end_col_offset or 0)
