"""libyaml's complaints in the words of someone who writes YAML."""

import re
from typing import Any

from runner.core.diagnostic import Diagnostic
from runner.jobfiles.syntax_fault import SyntaxFault, Words, indent_of, is_secret
from runner.jobfiles.syntax_inline import (
    after_value,
    on_blocks,
    on_brackets,
    on_first_character,
    on_quotes,
    on_words,
)
from runner.jobfiles.wording.finding import ODD_BLANK_HINT, cut

_CONFLICT = re.compile(r"(?:<{7}|>{7})(?: .*)?")
_BLOCK_ABOVE = re.compile(r".*(?:^|[\s:-])[|>][-+0-9]*\s*(?:#.*)?")
_KEY_WITHOUT_BLANK = re.compile(r"\s*(?:- +)*[\w-]+:(?=[^\s:/])")
_KEY_AND_VALUE = re.compile(r"\s*(?:- +)*(?P<key>\w[\w .-]*):[ \t]+(?P<value>[^\s\"'\[{|>#])")
_KEY = re.compile(r"\s*(?:- +)*[\w-]+:(?:\s|$)")
_ASSIGNMENT = re.compile(r"\s*[\w.-]+\s*=")
_WIDE_COLON = "\uff1a"
# Blanks that look like those of YAML, at the start of a line or behind the `:` of a key.
_ODD_BLANK = re.compile(
    r"(?:[ \t]*|\s*(?:- +)*[\w-]+:[ \t]*)(?P<blank>[\xa0\u2000-\u200b\u202f\u205f\u3000\ufeff])"
)
_LONGEST_KEY = 1024


def describe_syntax_error(path: str, text: str, error: Any) -> Diagnostic:
    """The finding for a YAMLError: at the place of the fault, or of what was opened and never closed."""
    message, hint, row, column = _words(_fault(text, error))
    return Diagnostic(
        path=path,
        line=row + 1,
        column=column + 1,
        end_line=row + 1,
        rule="yaml-syntax",
        message=message,
        hint=hint,
    )


def _fault(text: str, error: Any) -> SyntaxFault:
    mark = getattr(error, "problem_mark", None)
    start = getattr(error, "context_mark", None) or mark
    return SyntaxFault(
        lines=tuple(text.split("\n")),
        problem=str(getattr(error, "problem", None) or error),
        context=str(getattr(error, "context", None) or ""),
        row=mark.line if mark else 0,
        column=mark.column if mark else 0,
        start_row=start.line if start else 0,
        start_column=start.column if start else 0,
    )


def _words(fault: SyntaxFault) -> Words:
    for find in _FINDERS:
        if words := find(fault):
            return words
    return fault.here("this is no YAML", "Check the quotes, brackets and indentation here.")


def _on_conflict(fault: SyntaxFault) -> Words | None:
    """The marks that git leaves where two versions of a file differ."""
    for row, line in enumerate(fault.lines):
        if line.startswith(("<<<<<<<", ">>>>>>>")) and _CONFLICT.fullmatch(line.rstrip("\r")):
            hint = "Keep what is right of both sides, and remove the lines with <<<<<<<, ======= and >>>>>>>."
            return Words("a merge conflict is not resolved here", hint, row, 0)
    return None


def _on_odd_blank(fault: SyntaxFault) -> Words | None:
    """A blank of another kind, as text copied from a page or a mail has them: it indents and parts nothing."""
    for near in (fault.row, fault.start_row):
        for row in (fault.row_above(near), near):
            match = _ODD_BLANK.match(fault.line(row))
            if match is not None:
                message = f"this is U+{ord(match['blank']):04X}, not a blank"
                return Words(message, ODD_BLANK_HINT, row, match.start("blank"))
    return None


def _on_directive(fault: SyntaxFault) -> Words | None:
    if "directive" not in fault.problem + fault.context and "YAML document" not in fault.problem:
        return None
    return fault.at_start("directives (%) are not taken", "Remove the line, or quote a value that starts with %.")


def _on_colon(fault: SyntaxFault) -> Words | None:
    """A `: ` where no key can end."""
    if "mapping values are not allowed" not in fault.problem:
        return None
    above = fault.row_above(fault.row)
    words = _on_key_form(fault, fault.row) or _on_key_form(fault, above)
    if words is not None:
        return words
    value = _KEY_AND_VALUE.match(fault.line(fault.row))
    if value is not None and value.start("value") < fault.column:
        hint = f"Quote it: {fault.quoted(fault.row, value.start('value'))}."
        return fault.here(f"the value of {cut(value['key'])} holds a `: `, and has no quotes", hint)
    if fault.column > _LONGEST_KEY:
        return fault.here(f"this key is longer than {_LONGEST_KEY} characters", "Shorten it.")
    deeper = indent_of(fault.line(fault.row)) > indent_of(fault.line(above))
    if deeper and _KEY_AND_VALUE.match(fault.line(above)):
        hint = "Start it in the column of the line above."
        return fault.here("this key is indented deeper than the line above, which has a value", hint)
    return fault.here(
        "a `:` cannot stand here",
        "Quote a value that holds `: `, or check the indentation of this line and the one above.",
    )


def _on_missing_colon(fault: SyntaxFault) -> Words | None:
    """A line among keys that has no `: `."""
    if "could not find expected ':'" not in fault.problem:
        return None
    above = fault.line(fault.row_above(fault.start_row))
    if _BLOCK_ABOVE.fullmatch(above) and indent_of(above) == fault.start_column:
        return fault.at_start("this line is not indented", "Indent the text of a | block by two blanks.")
    words = _on_key_form(fault, fault.start_row)
    if words is not None:
        return words
    if fault.start_row == fault.row and fault.column - fault.start_column > _LONGEST_KEY:
        return fault.at_start(f"this key is longer than {_LONGEST_KEY} characters", "Shorten it.")
    sign = fault.after(fault.start_row, fault.start_column)[:1]
    if sign in {"{", "["}:
        return fault.at_start(f"this {sign} is never closed", "Close it, or quote text that starts with it.")
    if sign in {"'", '"'} and fault.row > fault.start_row:
        return fault.at_start("this quote is not closed on its line", "Close it, or write the `:` of the key.")
    return fault.at_start("a `:` is missing after this key", "Write `key: value`.")


def _on_key_form(fault: SyntaxFault, row: int) -> Words | None:
    """A line that was meant to be `key: value`, and has no `: `."""
    line = fault.line(row)
    if _WIDE_COLON in line:
        return Words("this is U+FF1A, not a colon", "Write : and a blank.", row, line.index(_WIDE_COLON))
    if _KEY.match(line):
        return None
    tight = _KEY_WITHOUT_BLANK.match(line)
    if tight is not None:
        value = line[tight.end() :].strip()
        written = "…" if is_secret(tight[0], value) else cut(value)
        return Words(
            "a blank is missing after this `:`", f"Write {tight[0].strip()} {written}.", row, tight.end() - 1
        )
    if _ASSIGNMENT.match(line):
        return Words("YAML has no =", "Write `key: value`.", row, line.index("="))
    return None


def _on_layout(fault: SyntaxFault) -> Words | None:
    """A line that fits neither the mapping nor the list it stands in."""
    among_keys = "did not find expected key" in fault.problem
    if not among_keys and "expected '-' indicator" not in fault.problem:
        return None
    if fault.before.strip():
        return fault.here("this does not fit here", "Put it on a line of its own, or quote the whole value.")
    if fault.rest.startswith(":"):
        return fault.here("a key is missing before this `:`", "Write `key: value`.")
    if among_keys and re.match(r"-(?:\s|$)", fault.rest):
        hint = "Give the list a key of its own, or indent its items alike."
        return fault.here("an item of a list cannot stand among keys", hint)
    if _below_block(fault):
        hint = "Indent all lines of a block at least as far as its first."
        return fault.here("this line is indented less than the block above", hint)
    if not among_keys and fault.column == indent_of(fault.line(fault.start_row)):
        hint = "Start every item with `- ` in one column."
        return fault.here("a key cannot stand among the items of a list", hint)
    hint = "Start the keys of one mapping, and the items of one list, in one column."
    return fault.here("this line is indented unlike the lines above", hint)


def _below_block(fault: SyntaxFault) -> bool:
    """Whether the lines above are the text of a block, and indented further."""
    row = fault.row_above(fault.row)
    while row >= 0 and indent_of(fault.line(row)) > fault.column:
        row = fault.row_above(row)
    line = fault.line(row)
    return row >= 0 and indent_of(line) < fault.column and _BLOCK_ABOVE.fullmatch(line) is not None


def _on_document(fault: SyntaxFault) -> Words | None:
    """Text behind the end of the document."""
    if "did not find expected <document start>" not in fault.problem:
        return None
    words = _on_key_form(fault, fault.row)
    if words is not None:
        return words
    if any(line.rstrip() == "..." for line in fault.lines[: fault.row]):
        return fault.here(
            "the document ended above, and there is more text", "Write one job a file, without `...`."
        )
    return fault.here("this line is no part of the text above", "Write `key: value` from the first line on.")


_FINDERS = (
    _on_conflict,
    _on_odd_blank,
    on_first_character,
    _on_directive,
    on_quotes,
    on_blocks,
    on_brackets,
    after_value,
    _on_colon,
    _on_missing_colon,
    _on_layout,
    _on_document,
    on_words,
)
