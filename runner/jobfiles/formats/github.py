"""Findings as annotations of a GitHub workflow run.

Source of the form: GitHub's "Workflow commands for GitHub Actions". Columns hold for a range in one line alone.
GitHub shows ten errors and ten warnings a step; the log has them all.
"""

from collections.abc import Iterator

from runner.core.diagnostic import Diagnostic
from runner.jobfiles.formats.findings import Findings, summary
from runner.jobfiles.formats.shown import clean


def github_lines(findings: Findings) -> Iterator[str]:
    """One command a finding, and the summary."""
    for found in findings.diagnostics:
        yield clean(_command(found))
    yield summary(findings)


def _command(found: Diagnostic) -> str:
    place = f"file={_property(found.path)},line={found.line},endLine={found.end_line}"
    if found.end_line == found.line:
        place += f",col={found.column},endColumn={found.end_column}"
    message = f"{found.message}\n{found.hint}" if found.hint else found.message
    return f"::{found.severity} {place},title={_property(found.rule)}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
