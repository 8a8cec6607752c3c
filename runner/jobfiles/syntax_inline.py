"""Words on faults within a value: its first character, quotes, escapes, blocks, and what stands in brackets."""

import re

from runner.jobfiles.syntax_fault import SyntaxFault, Words
from runner.jobfiles.wording.finding import cut

_REFERENCE = re.compile(r"(?:\$\{[^{}]*\}|[^\s,{}\[\]])*")
_ESCAPE = re.compile(r"\\[xuU][0-9A-Fa-f]*|\\.?")
_FOREIGN_COMMENT = re.compile(r"(?:^|(?<=[\s,{\[]))(//|/\*)")
# A quoted text, a comment, or a bracket.
_FLOW_TOKEN = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|(?<!\S)#[^\n]*|(?P<bracket>[\[\]{}])", re.DOTALL)
_DIGITS = "Give \\x 2 hexadecimal digits, \\u 4 and \\U 8."
# What a path of Windows begins with.
_DRIVE = re.compile(r"\"[A-Za-z]:[^\"]*$")
_LONGEST_ESCAPE = 10
# More is not looked at: a quote that is never closed is looked for to the end of it.
_LONGEST_FLOW = 10_000
_CLOSING = {"[": "]", "{": "}"}


def on_first_character(fault: SyntaxFault) -> Words | None:
    """A value that starts with a sign of YAML, or a tab."""
    if "a tab character" in fault.problem or ("any token" in fault.problem and fault.rest.startswith("\t")):
        if fault.before.strip():
            return fault.here("a tab cannot stand here", "Write a blank instead.")
        return fault.here("a tab cannot indent YAML", "Indent with spaces.")
    if fault.rest.startswith("```"):
        return fault.here("``` is Markdown, not YAML", "Remove the lines that start with it.")
    if "cannot start any token" in fault.problem or "mapping keys are not allowed" in fault.problem:
        message = f"a plain value cannot start with {fault.rest[:1]}"
        return fault.here(message, f"Quote it: {fault.quoted(fault.row, fault.column)}.")
    if "scanning an alias" in fault.context or "scanning an anchor" in fault.context:
        message = f"a plain value cannot start with {fault.after(fault.start_row, fault.start_column)[:1]}"
        return fault.at_start(message, f"Quote it: {fault.quoted(fault.start_row, fault.start_column)}.")
    if fault.context.endswith("ing a tag") or "tag handle" in fault.problem:
        value = fault.quoted(fault.start_row, fault.start_column)
        return fault.at_start("tags (!) are not taken", f"Quote text that starts with !: {value}.")
    return None


def on_quotes(fault: SyntaxFault) -> Words | None:
    """A quote that is never closed, and escapes that are none."""
    if "scanning a quoted scalar" in fault.context:
        return fault.at_start("this quote is never closed", "Close it, or use a `|` block for text of many lines.")
    if "parsing a quoted scalar" not in fault.context:
        return None
    column = fault.column
    if not fault.rest.startswith("\\"):
        column -= len(fault.before) - fault.before.rfind("\\")
    match = _ESCAPE.match(fault.after(fault.row, max(column, 0))[:_LONGEST_ESCAPE])
    escape = match[0] if match else "\\"
    if "unknown escape" in fault.problem:
        message, hint = f"{escape} is no escape", "Double the backslash, or put the text in single quotes."
    elif "hexdecimal" in fault.problem:
        message, hint = f"{escape} has too few digits", _DIGITS
        if _DRIVE.search(fault.before):
            hint = "Put the path in single quotes."
    else:
        message, hint = f"{escape} is no character", "Write the character itself, or \\U and its 8 digits."
    return Words(message, hint, fault.row, max(column, 0))


def on_blocks(fault: SyntaxFault) -> Words | None:
    """What stands beside the `|` or `>` of a block."""
    if "scanning a block scalar" not in fault.context:
        return None
    header = fault.after(fault.start_row, fault.start_column)
    mark = header[:1]
    if re.match(r"[|>][+-]?[0-9]", header):
        message = f"the number after {mark} is 1 to 9"
        return fault.here(message, "Leave it out: the first line of the text tells how far it is indented.")
    message = f"the text of a {mark} block starts on the next line"
    return fault.here(message, f"Put it there, indented, or remove the {mark}.")


def on_brackets(fault: SyntaxFault) -> Words | None:
    """What does not fit between [ and ] or { and }."""
    if not fault.problem.startswith("did not find expected ',' or"):
        return None
    opening = fault.after(fault.start_row, fault.start_column)[:1]
    closing = _CLOSING.get(opening, opening)
    if fault.rest.startswith("{") and fault.before.endswith("$"):
        start = fault.column - len(fault.before) + max(fault.before.rfind(sign) for sign in " ,[{") + 1
        match = _REFERENCE.match(fault.after(fault.row, start))
        hint = f'Quote it: "{cut(match[0]) if match else ""}".'
        return Words(f"a text with ${{ needs quotes between {opening} and {closing}", hint, fault.row, start)
    for row in (fault.row, fault.row - 1):
        comment = _FOREIGN_COMMENT.search(fault.line(row)) if row >= fault.start_row else None
        if comment is not None:
            hint = "Write # instead, with a blank before it."
            return Words(f"{comment[1]} starts no comment in YAML", hint, row, comment.start(1))
    if _is_closed(fault):
        message = f"this does not fit between {opening} and {closing}"
        return fault.here(
            message, "Put a comma between two items, and a text that holds , : or brackets in quotes."
        )
    return fault.at_start(
        f"this {opening} is never closed", f"Close it with {closing}; separate its items with commas."
    )


def after_value(fault: SyntaxFault) -> Words | None:
    """Text behind a closing quote or bracket."""
    before = fault.before.rstrip()
    if not re.search(r"expected (?:key|'-' indicator)", fault.problem) or not before:
        return None
    last = before[-1]
    if last in "'\"":
        inside = "''" if last == "'" else '\\"'
        message = "text stands after the closing quote"
        return fault.here(message, f"Remove it, or write {inside} for a quote within {last}…{last}.")
    if last in "]}":
        key = re.match(r"\s*(?:- +)*[^:]+:\s+", fault.line(fault.row))
        hint = f"Quote the whole value: {fault.quoted(fault.row, key.end())}." if key else "Quote the whole value."
        return fault.here(f"text stands after the closing {last}", hint)
    return None


def _is_closed(fault: SyntaxFault) -> bool:
    """Whether the bracket that libyaml was reading is closed somewhere below, every one in it by its own kind."""
    text = "\n".join(fault.lines[fault.start_row :])[fault.start_column :][:_LONGEST_FLOW]
    open_brackets: list[str] = []
    for token in _FLOW_TOKEN.finditer(text):
        bracket = token["bracket"]
        if bracket is None:
            continue
        if bracket in _CLOSING:
            open_brackets.append(_CLOSING[bracket])
        elif not open_brackets or open_brackets.pop() != bracket:
            return False
        if not open_brackets:
            return True
    return False


def on_words(fault: SyntaxFault) -> Words | None:
    """Faults that libyaml's own words tell apart."""
    for part, message, hint in _WORDS:
        if part in fault.problem or part in fault.context:
            if fault.rest.startswith(",") and not re.search(r"[\[{]", fault.before):
                return fault.here(
                    "a plain value cannot start with ,", f"Quote it: {fault.quoted(fault.row, fault.column)}."
                )
            return fault.here(message, hint)
    return None


_WORDS = (
    (
        "did not find expected node content",
        "a value is missing here",
        "Write one, or remove the comma or bracket.",
    ),
    ("found unexpected ':'", "a `:` cannot stand here", "Put a blank after it, or the text in quotes."),
    (
        "block sequence entries are not allowed",
        "a list cannot start here",
        "Put `- ` on a line of its own, below the key.",
    ),
    ("block mapping entries", "a mapping cannot start here", "Put it on a line of its own, below the key."),
)
