"""Findings as people and machines read them. One module a format, imported when that format is asked for."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from runner.core.log_commands import disarm_json
from runner.jobfiles.formats.findings import Findings, summary

__all__ = ["FORMATS", "Findings", "choose_format", "render", "summary", "wants_colour"]

FORMATS = ("auto", "text", "json", "github", "gnu", "junit", "sarif")
COLUMNS = 160


def choose_format(asked: str, environ: Mapping[str, str]) -> str:
    """`auto` is github under GitHub Actions and text elsewhere."""
    if asked != "auto":
        return asked
    return "github" if environ.get("GITHUB_ACTIONS") == "true" else "text"


def wants_colour(environ: Mapping[str, str], *, is_terminal: bool) -> bool:
    """Whether text is coloured: NO_COLOR forbids it, FORCE_COLOR asks for it, else a terminal that can has it.

    Sources: no-color.org and force-color.org. Both count when they are set to anything but the empty text.
    """
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (is_terminal and environ.get("TERM") != "dumb")


def render(findings: Findings, format_name: str, *, colour: bool = False, columns: int = COLUMNS) -> str:
    """The findings as text whose every line ends in a line feed.

    `colour` and `columns`, the width of snippets, are for `text` alone.

    Raises:
        ValueError: no such format.
    """
    match format_name:
        case "text":
            from runner.jobfiles.formats.text import text_lines

            return _joined(text_lines(findings, colour=colour, columns=columns))
        case "json":
            from runner.core.documents import validation_document

            return _json(validation_document(len(findings.files), findings.diagnostics))
        case "github":
            from runner.jobfiles.formats.github import github_lines

            return _joined(github_lines(findings))
        case "gnu":
            from runner.jobfiles.formats.gnu import gnu_lines

            return _joined(gnu_lines(findings))
        case "junit":
            from runner.jobfiles.formats.junit import junit_text

            return junit_text(findings)
        case "sarif":
            from runner.jobfiles.formats.sarif import sarif_document

            return _json(sarif_document(findings))
        case _:
            raise ValueError(f"there is no format {format_name!r}")


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _json(document: Any) -> str:
    """ASCII alone, so that it is the same through every encoding and no terminal obeys a part of it."""
    return disarm_json(json.dumps(document, indent=2)).replace("\x7f", "\\u007f") + "\n"
