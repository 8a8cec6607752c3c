"""Text → Layout: the nodes of a file in the order they stand in, with every comment and blank line at its owner.

Made from libyaml's events, which tell where each node begins and ends: what stands between two of them is white
space, indicators and comments, so that no comment can be missed or taken out of a text. (ruamel.yaml hangs a
comment on the node before it: comments change their owner when keys are sorted, and those in flow collections are
lost.) Only for texts that `runner.jobfiles.parse` has nothing against: no anchors, aliases, tags, directives, and
at most 32 levels.
"""

import itertools
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import yaml
from yaml import CSafeLoader

from runner.jobfiles.canonical.layout import BLANK, Collection, Entry, Layout, Scalar
from runner.jobfiles.scalars import resolve_plain

# What tells an editor how to read the file: always first, never moved with a key.
_MODELINE = re.compile(r"#!|#\s*(yaml-language-server:|vim?:|ex:|-\*-)")


def read_layout(text: str) -> Layout:
    """The layout of a text that `parse` has nothing against."""
    return _Reader(text).read()


def list_comments(text: str) -> list[str]:
    """Every comment of a text, in order, without the spaces at its end.

    All scalars are cut out, and what then starts with `#` is one: another way than `read_layout` takes.
    """
    pieces: list[str] = []
    done = 0
    parser = CSafeLoader(text)
    try:
        while (event := parser.get_event()) is not None:
            if type(event) is not yaml.ScalarEvent:
                continue
            marks: Any = event
            start, end = marks.start_mark.index, marks.end_mark.index
            pieces.append(text[done:start])
            if event.style in {"|", ">"}:
                # The first line of a block text is `|`, what it says of its form, and perhaps a comment.
                pieces.append(text[start:end].split("\n", 1)[0] + "\n")
            done = end
    finally:
        parser.dispose()
    pieces.append(text[done:])
    return [line[line.index("#") :].rstrip() for line in "".join(pieces).split("\n") if "#" in line]


class _Note(NamedTuple):
    """A comment or blank line between two nodes."""

    text: str
    column: int
    beside: bool  # on the line that the node before it, or the dash before it, stands on


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        # libyaml places what ends the file on the line after the last, also where no line end leads to it.
        self._lines = [line.removesuffix("\r") for line in f"{text}\n".split("\n")]
        self._cursor = (0, 0)  # line and column up to which everything has been taken
        self._stack: list[Collection] = []
        self._owners: list[Entry] = []  # the entries whose values the collections of the stack are
        self._pending: list[Entry | None] = []  # of each mapping on the stack: the key whose value comes next
        self._closed: list[Collection] = []  # block collections that end where the cursor is, deepest first
        self._last: Entry | None = None  # whose line the cursor is on
        self._lead: list[str] = []  # comments before the first entry of a block collection
        self._root = Entry()

    def read(self) -> Layout:
        handlers = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._open,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceStartEvent: self._open,
            yaml.SequenceEndEvent: self._close,
        }
        parser = CSafeLoader(self._text)
        try:
            while (event := parser.get_event()) is not None:
                handler = handlers.get(type(event))
                if handler is not None:
                    handler(event)
        finally:
            parser.dispose()
        root = self._root.value
        notes, _ = self._gap(len(self._lines) - 1, len(self._lines[-1]))
        column = root.column if isinstance(root, Collection) else 0
        footer = self._settle(notes, column)
        header, first = _split_header(self._root.above)
        if isinstance(root, Collection) and root.entries:
            root.entries[0].above[:0] = first
        else:
            header += first
        return Layout(root=root, header=[*header, *self._root.beside, *self._root.continued], footer=footer)

    def _scalar(self, event: Any) -> None:
        if self._stack and self._stack[-1].is_mapping and self._pending[-1] is None:
            notes, _ = self._gap(event.start_mark.line, event.start_mark.column)
            entry = Entry(key=event.value)
            self._add(entry, self._settle(notes, self._stack[-1].column))
            self._pending[-1] = entry
        else:
            entry, inner = self._begin_value(event)
            entry.above += filter(None, inner)
            entry.value = _scalar(event)
            if self._pending:
                self._pending[-1] = None
        self._last = entry
        self._cursor = (event.end_mark.line, event.end_mark.column)
        if event.style in {"|", ">"}:
            self._end_block_text(event, entry)

    def _end_block_text(self, event: Any, entry: Entry) -> None:
        """Take the comment beside the `|`, and leave the blank lines that are not of the text."""
        first = event.start_mark.line
        form, mark, comment = self._lines[first][event.start_mark.column :].partition("#")
        if mark:
            entry.beside.append((mark + comment).rstrip())
        if event.style == "|":
            last = first + event.value.count("\n") + bool(event.value and not event.value.endswith("\n"))
        else:
            last = event.end_mark.line
            if not self._lines[last][: event.end_mark.column].strip():
                last -= 1
            while "+" not in form and last > first and not self._lines[last].strip():
                last -= 1
        last = min(max(last, first), len(self._lines) - 1)
        self._cursor = (last, len(self._lines[last]))

    def _open(self, event: Any) -> None:
        flow = bool(event.flow_style)
        entry, inner = self._begin_value(event)
        collection = Collection(
            is_mapping=type(event) is yaml.MappingStartEvent, flow=flow, column=event.start_mark.column
        )
        entry.value = collection
        if flow:
            entry.above += filter(None, inner)
        else:
            self._lead = inner
        self._stack.append(collection)
        self._owners.append(entry)
        self._pending.append(None)
        self._last = entry
        mark = event.end_mark if flow else event.start_mark
        self._cursor = (mark.line, mark.column)

    def _close(self, event: Any) -> None:
        collection = self._stack.pop()
        entry = self._owners.pop()
        self._pending.pop()
        if collection.flow:
            notes, _ = self._gap(event.start_mark.line, event.start_mark.column)
            collection.tail += self._settle(notes, 0)
            if collection.tail[-1:] == [BLANK]:
                del collection.tail[-1]
            self._cursor = (event.end_mark.line, event.end_mark.column)
            self._last = entry
        elif self._stack:
            self._closed.append(collection)
        if self._pending:
            self._pending[-1] = None

    def _begin_value(self, event: Any) -> tuple[Entry, list[str]]:
        """The entry a value belongs to, and the comments between it and its value, those on its line taken."""
        line, column = event.start_mark.line, event.start_mark.column
        if not self._stack:
            notes, _ = self._gap(line, column)
            self._root.above = _collapse(note.text for note in notes)
            return self._root, []
        top, entry = self._stack[-1], self._pending[-1]
        if entry is not None:
            notes, _ = self._gap(line, column)
            return entry, self._beside(entry, notes)
        entry = Entry()
        notes, after = self._gap(line, column, dash=not top.flow)
        self._add(entry, self._settle(notes, top.column))
        return entry, self._beside(entry, after)

    def _add(self, entry: Entry, above: list[str]) -> None:
        entry.above = [*self._lead, *above]
        self._lead = []
        self._stack[-1].entries.append(entry)

    def _beside(self, entry: Entry, notes: list[_Note]) -> list[str]:
        entry.beside += [note.text for note in notes if note.beside]
        return _collapse(note.text for note in notes if not note.beside)

    def _settle(self, notes: list[_Note], column: int) -> list[str]:
        """Give each comment before an entry at `column` to its owner; the rest stands above that entry.

        A comment that is indented more than the entry belongs to the collection before that is indented as much.
        """
        closed, self._closed = self._closed, []
        notes = self._settle_beside(notes)
        blank = False
        for index, note in enumerate(notes):
            if note.text == BLANK:
                blank = True
                continue
            home = next((place for place in closed if place.column <= note.column), None)
            if note.column <= column or home is None:
                return _collapse([BLANK] * blank + [rest.text for rest in notes[index:]])
            # Of a list and the mapping that it stands in at one column, the mapping.
            home = [place for place in closed if place.column == home.column][-1]
            closed = closed[closed.index(home) :]
            home.tail += [BLANK] * blank + [note.text]
            blank = False
        return [BLANK] * blank

    def _settle_beside(self, notes: list[_Note]) -> list[_Note]:
        """Give the comment on the line before, and those aligned below it, to that line; the others are left."""
        if not notes or not notes[0].beside or self._last is None:
            return notes
        self._last.beside.append(notes[0].text)
        aligned = itertools.takewhile(lambda note: note.text and note.column == notes[0].column, notes[1:])
        self._last.continued = [note.text for note in aligned]
        return notes[1 + len(self._last.continued) :]

    def _gap(self, line: int, column: int, *, dash: bool = False) -> tuple[list[_Note], list[_Note]]:
        """The comments and blank lines from the cursor to a place; with `dash`, those before and after the `-`."""
        first, start = self._cursor
        before: list[_Note] = []
        after: list[_Note] = []
        notes = before
        for number in range(first, line + 1):
            begin = start if number == first else 0
            piece = self._lines[number][begin : column if number == line else None]
            code, mark, comment = piece.partition("#")
            found_dash = dash and notes is before and "-" in code
            if found_dash:
                notes = after
            if mark:
                beside = found_dash or (number == first and self._last is not None)
                notes.append(_Note((mark + comment).rstrip(), begin + len(code), beside))
            elif not code.strip() and first < number < line:
                notes.append(_Note(BLANK, 0, beside=False))
        self._cursor = (line, column)
        return before, after


def _scalar(event: Any) -> Scalar:
    spread = event.style == ">" or (event.style != "|" and event.start_mark.line != event.end_mark.line)
    if event.implicit[0]:
        value = resolve_plain(event.value)
        if value is None or isinstance(value, bool):
            return Scalar(value={None: "null", True: "true", False: "false"}[value], is_text=False)
        if not isinstance(value, str):
            return Scalar(value=event.value, is_text=False)
    return Scalar(value=event.value, spread=spread)


def _split_header(notes: list[str]) -> tuple[list[str], list[str]]:
    """What stays at the top, up to the last blank line or else the lines for editors; what the first entry has."""
    while notes and notes[0] == BLANK:
        notes = notes[1:]
    end = len(notes) - notes[::-1].index(BLANK) if BLANK in notes else 0
    if end == 0:
        while end < len(notes) and _MODELINE.match(notes[end]):
            end += 1
    return notes[:end], notes[end:]


def _collapse(notes: Iterable[str]) -> list[str]:
    """Runs of blank lines as one."""
    kept: list[str] = []
    for note in notes:
        if note != BLANK or not kept or kept[-1] != BLANK:
            kept.append(note)
    return kept
