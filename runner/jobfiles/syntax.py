"""libyaml's complaints in the words of someone who writes YAML."""

from typing import Any

from runner.core.diagnostic import Diagnostic

# A part of libyaml's problem → (what is wrong, what to do). The first part that occurs is taken.
_WORDS = (
    (
        "mapping values are not allowed",
        "a `:` cannot stand here",
        "Quote a value that holds `: `, or check the indentation of this line and the one above.",
    ),
    (
        "did not find expected key",
        "this does not fit the mapping around it",
        "Start the keys of one mapping in one column; put nothing after a closing quote.",
    ),
    (
        "did not find expected '-' indicator",
        "this does not fit the list around it",
        "Start every item with `- ` in one column.",
    ),
    ("could not find expected ':'", "a `:` is missing after this key", "Write `key: value`."),
    (
        "did not find expected node content",
        "a value is missing here",
        "Write one, or remove the comma or bracket.",
    ),
    (
        "did not find expected <document start>",
        "the document ended above, and there is more text",
        "Start all keys of the job in the first column.",
    ),
    ("found unknown escape character", "this escape is unknown", "Double the backslash, or use single quotes."),
    (
        "block sequence entries are not allowed",
        "a list cannot start here",
        "Put `- ` on a line of its own, below the key.",
    ),
    ("block mapping entries", "a mapping cannot start here", "Put it on a line of its own, below the key."),
    ("found a tab character", "a tab cannot indent YAML", "Indent with spaces."),
    ("unknown directive", "directives (%) are not taken", "Remove the line, or quote a value that starts with %."),
    ("directive", "directives (%) are not taken", "Remove the line, or quote a value that starts with %."),
)
_CLOSERS = {
    "did not find expected ',' or ']'": "[",
    "did not find expected ',' or '}'": "{",
}


def describe_syntax_error(path: str, text: str, error: Any) -> Diagnostic:
    """The finding for a YAMLError: at the place of the fault, or of what was opened and never closed."""
    problem = str(getattr(error, "problem", None) or error)
    context = str(getattr(error, "context", None) or "")
    mark = getattr(error, "problem_mark", None)
    opened = getattr(error, "context_mark", None)
    message, hint, at_opening = _words(problem, context, _character(text, mark))
    place = opened if at_opening and opened is not None else mark
    line = place.line + 1 if place is not None else 1
    column = place.column + 1 if place is not None else 1
    return Diagnostic(
        path=path,
        line=line,
        column=column,
        end_line=line,
        rule="yaml-syntax",
        message=message,
        hint=hint,
    )


def _words(problem: str, context: str, character: str) -> tuple[str, str, bool]:
    if "cannot start any token" in problem:
        if character == "\t":
            return "a tab cannot indent YAML", "Indent with spaces.", False
        return (
            f"a plain value cannot start with {character}",
            f'Quote it: "{character}…".',
            False,
        )
    if "scanning an alias" in context or "scanning an anchor" in context:
        mark = "*" if "alias" in context else "&"
        return f"a plain value cannot start with {mark}", f'Quote it: "{mark}…".', True
    if "end of stream" in problem and "quoted scalar" in context:
        return "this quote is never closed", "Close it, or use a `|` block for text of many lines.", True
    for part, bracket in _CLOSERS.items():
        if part in problem:
            return f"this {bracket} is never closed", "Close it; separate its items with commas.", True
    for part, message, hint in _WORDS:
        if part in problem or part in context:
            return message, hint, False
    return f"this is not YAML: {problem}", "", False


def _character(text: str, mark: Any) -> str:
    if mark is None:
        return ""
    lines = text.split("\n")
    line = lines[mark.line] if mark.line < len(lines) else ""
    return line[mark.column : mark.column + 1]
