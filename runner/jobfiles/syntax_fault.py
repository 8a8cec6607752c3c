"""A complaint of libyaml with the text around it, and the words for it."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from runner.jobfiles.canonical.scalar_forms import quoted
from runner.jobfiles.lint.credential_shapes import find_credentials, named_credential
from runner.jobfiles.wording.finding import SECRET_KEYS

_LONGEST_QUOTED = 60
# More of a line tells nothing, and what is matched against it may take the square of its length.
_LONGEST_LINE = 2000
_KEY = re.compile(r"(?:.*[\s,{])?[\"']?(?P<key>[\w.-]+)[\"']?\s*:\s*")


class Words(NamedTuple):
    """What is wrong, what to do, and where: row and column count from 0."""

    message: str
    hint: str
    row: int
    column: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SyntaxFault:
    """What libyaml stopped at. Rows and columns count from 0.

    `problem` and `context` are its own words; (`row`, `column`) is where it stopped, (`start_row`, `start_column`)
    where what it was reading began.
    """

    lines: tuple[str, ...]
    problem: str
    context: str
    row: int
    column: int
    start_row: int
    start_column: int

    def line(self, row: int) -> str:
        """A line without its end, as far as it is looked at; empty beyond the last."""
        return self.after(row, 0)[:_LONGEST_LINE]

    def after(self, row: int, column: int) -> str:
        """The rest of a line from a column on, without its end."""
        return self.lines[row][column:].rstrip("\r") if 0 <= row < len(self.lines) else ""

    @property
    def before(self) -> str:
        """The line up to where libyaml stopped, as far as it is looked at."""
        return self.after(self.row, 0)[: self.column][-_LONGEST_LINE:]

    @property
    def rest(self) -> str:
        """The line from there on."""
        return self.after(self.row, self.column)

    def row_above(self, row: int) -> int:
        """The nearest row above that is not blank; -1 where there is none."""
        row -= 1
        while row >= 0 and not self.line(row).strip():
            row -= 1
        return row

    def quoted(self, row: int, column: int) -> str:
        """The value that starts at a place, in double quotes; of a long one, or a credential, the first sign."""
        before = self.after(row, 0)[:column][-_LONGEST_LINE:]
        value = self.after(row, column).partition(" #")[0].strip()
        if re.search(r"[\[{]", before):
            value = re.split(r"[,\]}]", value, maxsplit=1)[0].strip()
        if len(value) > _LONGEST_QUOTED or is_secret(before, value):
            return '"…"' if value[:1].isalnum() else f'"{value[:1]}…"'
        return quoted(value)

    def here(self, message: str, hint: str) -> Words:
        """Words on the place where libyaml stopped."""
        return Words(message, hint, self.row, self.column)

    def at_start(self, message: str, hint: str) -> Words:
        """Words on the beginning of what libyaml was reading."""
        return Words(message, hint, self.start_row, self.start_column)


def indent_of(line: str) -> int:
    """How many blanks a line starts with."""
    return len(line) - len(line.lstrip(" "))


def is_secret(before: str, value: str) -> bool:
    """Whether a value is a credential, by its shape or the key before it: no part of one goes into a message."""
    from runner.core.plan_values import masked_text  # of use where something is wrong alone

    match = _KEY.fullmatch(before)
    key = match["key"] if match else ""
    if key in SECRET_KEYS or named_credential(key, value) is not None:
        return True
    return bool(find_credentials(value)) or masked_text(value) != value
