"""A comparison in the format asked for."""

import json

from runner.core.plan import Comparison

FORMATS = ("text", "markdown", "json")


def render(comparison: Comparison, format_name: str, *, colour: bool = False) -> str:
    """The comparison as text whose every line ends in a line feed; `colour` is for `text` alone.

    Raises:
        ValueError: no such format.
    """
    match format_name:
        case "text":
            from runner.planning.text import text_of

            return text_of(comparison, colour=colour)
        case "markdown":
            from runner.planning.markdown import markdown_of

            return markdown_of(comparison).rstrip("\n") + "\n"
        case "json":
            from runner.core.documents import plan_document
            from runner.core.log_commands import disarm_json

            # ASCII alone, so that no terminal obeys a part of it.
            return disarm_json(json.dumps(plan_document(comparison), indent=2)).replace("\x7f", "\\u007f") + "\n"
        case _:
            raise ValueError(f"there is no format {format_name!r}")
