"""YAML text → Document: plain data, and the place of every node.

A strict loader over libyaml's event stream. Events are asked for one by one and the depth is counted on the way:
libyaml looks at most 1,024 characters ahead, so that a run of 80,000 `[` ends after 2 ms at depth 32 (a composer
recurses into it and crashes). Aliases are refused and never followed.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml
from yaml import CSafeLoader

from runner.core.diagnostic import Diagnostic
from runner.jobfiles.read import find_bad_character
from runner.jobfiles.scalars import Refusal, resolve_plain
from runner.jobfiles.syntax import describe_syntax_error

MAX_DEPTH = 32
MAX_NODES = 20_000

Path = tuple[str | int, ...]


class Span(NamedTuple):
    """A range in the file; lines and columns count from 1, the end column is the first one after it."""

    line: int
    column: int
    end_line: int
    end_column: int


WHOLE_FILE = Span(1, 1, 1, 2)


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A parsed file. `data` is plain data, by the YAML 1.2 core schema.

    `keys` and `values` are the parser's events of keys and values by path (`("data_source", "location")`): their
    places are asked for through the methods, and made only then.
    `styles` tells the block scalars and quoted ones (`|`, `>`, `'`, `"`) by path. `faulty` are paths whose value
    was refused here, so that nobody complains of it again. `complete` is False when the text ended in a fault.
    """

    text: str
    data: Any = None
    complete: bool = True
    keys: dict[Path, Any] = field(default_factory=dict)
    values: dict[Path, Any] = field(default_factory=dict)
    styles: dict[Path, str] = field(default_factory=dict)
    faulty: frozenset[Path] = frozenset()

    def key_span(self, path: Path) -> Span:
        """The place of a key; of an item of a list, or where there is none, of the nearest node around it."""
        while path:
            if path in self.keys:
                return _span(self.keys[path])
            if path in self.values:
                return _span(self.values[path])
            path = path[:-1]
        return WHOLE_FILE

    def span(self, path: Path) -> Span:
        """The place to point at for a value: the scalar itself; for a mapping, a list or a block text its key."""
        event = self.values.get(path)
        if not path or type(event) is not yaml.ScalarEvent or self.styles.get(path) in {"|", ">"}:
            return self.key_span(path)
        return _span(event)

    def first_line(self, path: Path) -> int:
        """The line on which the text of a scalar starts."""
        event = self.values.get(path)
        line: int = event.start_mark.line + 1 if event is not None else 1
        return line + 1 if self.styles.get(path) in {"|", ">"} else line

    def inside(self, path: Path, start: int, end: int) -> Span:
        """The place of a part of a one-line scalar, by offsets into its value; else that of the whole."""
        event = self.values.get(path)
        whole = WHOLE_FILE if event is None else _span(event)
        if event is None or whole.line != whole.end_line:
            return self.span(path)
        source = self.text.split("\n")[whole.line - 1][whole.column - 1 : whole.end_column - 1]
        value = self.value(path)
        if source == value:
            base = whole.column
        elif source[1:-1] == value:
            base = whole.column + 1
        else:
            return whole
        return Span(whole.line, base + start, whole.line, base + max(end, start + 1))

    def at_line(self, path: Path, line: int, column: int, end_line: int, end_column: int) -> Span:
        """The place of a range inside a scalar's text, given by its own lines and columns, both from 1.

        Exact for literal blocks (`|`) and for texts of one line; otherwise the place of the whole.
        """
        if self.styles.get(path) != "|":
            if line == end_line == 1:
                return self.inside(path, column - 1, end_column - 1)
            return self.span(path)
        first = self.first_line(path)
        indent = self._indent(path, first)
        return Span(first + line - 1, indent + column, first + end_line - 1, indent + end_column)

    def value(self, path: Path) -> Any:
        """The value at a path, None where there is none."""
        node = self.data
        for part in path:
            if isinstance(node, dict):
                node = node.get(part)
            elif isinstance(node, list) and isinstance(part, int) and part < len(node):
                node = node[part]
            else:
                return None
        return node

    def _indent(self, path: Path, first: int) -> int:
        source = self.text.split("\n")
        for number, line in enumerate(str(self.value(path)).split("\n")):
            if line.strip():
                return len(source[first - 1 + number].rstrip("\r")) - len(line)
        return 0


def parse(path: str, text: str) -> tuple[Document, tuple[Diagnostic, ...]]:
    """The document of a text, and what is wrong with it as YAML. Never raises.

    After a fault of syntax the document holds what stood before it and is not `complete`.
    """
    if found := find_bad_character(path, text):
        return Document(text=text, complete=False), (found,)
    builder = _Builder(path)
    complete = builder.read(text)
    document = Document(
        text=text,
        data=builder.root,
        complete=complete,
        keys=builder.keys,
        values=builder.values,
        styles=builder.styles,
        faulty=frozenset(builder.faulty),
    )
    return document, tuple(builder.findings)


class _StopReadingError(Exception):
    """The rest of the text is not looked at."""


class _Frame:
    """A mapping or list that is being filled."""

    __slots__ = ("container", "dropping", "is_key", "key", "path")

    def __init__(self, container: dict[str, Any] | list[Any], path: Path, *, is_key: bool) -> None:
        self.container = container
        self.path = path
        self.key: str | None = None  # of a mapping: the key whose value comes next
        self.dropping = False  # the value that comes next belongs to a refused key
        self.is_key = is_key  # this collection itself stands as a key: refused, and read over


class _Builder:
    def __init__(self, path: str) -> None:
        self.path = path
        self.root: Any = None
        self.keys: dict[Path, Any] = {}
        self.values: dict[Path, Any] = {}
        self.styles: dict[Path, str] = {}
        self.faulty: set[Path] = set()
        self.findings: list[Diagnostic] = []
        self._stack: list[_Frame] = []
        self._nodes = 0
        self._documents = 0

    def read(self, text: str) -> bool:
        """Take in every event; False when the text is not read to its end, or holds no document."""
        handlers = {
            yaml.ScalarEvent: self._scalar,
            yaml.MappingStartEvent: self._open,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceStartEvent: self._open,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._start_document,
        }
        parser = CSafeLoader(text)
        try:
            while (event := parser.get_event()) is not None:
                handler = handlers.get(type(event))
                if handler is not None:
                    handler(event)
        except _StopReadingError:
            return False
        except yaml.YAMLError as error:
            self.findings.append(describe_syntax_error(self.path, text, error))
            return False
        finally:
            parser.dispose()
        if self._documents == 0:
            self._report(None, "empty-file", "the file holds no job", "Write a job in it, or remove the file.")
            return False
        return True

    def _start_document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            self._report(
                event, "many-documents", "a second document starts here", "One job a file: remove the `---`."
            )
            raise _StopReadingError
        if event.version or event.tags:
            self._report(event, "yaml-feature", "directives (%) are not taken", "Remove the line.")

    def _scalar(self, event: Any) -> None:
        frame = self._stack[-1] if self._stack else None
        if frame is not None and frame.key is None and isinstance(frame.container, dict):
            self._key(frame, event)
            return
        path = self._place(frame, event)
        value: Any = event.value
        if event.style:
            self.styles[path] = event.style
        if self._plain_node(event, path) and event.implicit[0]:
            value = resolve_plain(event.value)
            if isinstance(value, Refusal):
                self._report(event, value.rule, value.message, value.hint, path)
                value = event.value
        self._store(frame, value)

    def _key(self, frame: _Frame, event: Any) -> None:
        name = event.value
        path = (*frame.path, name)
        fault = self._key_fault(event, path)
        if fault is None:
            self.keys[path] = event
            frame.key = name
            return
        self._report(event, *fault)
        self._drop_value(frame)

    def _key_fault(self, event: Any, path: Path) -> tuple[str, str, str] | None:
        name = event.value
        if event.anchor or event.tag:
            return "yaml-feature", "anchors and tags are not taken", "Write the plain key."
        if event.implicit[0]:
            if name == "<<":
                return "yaml-feature", "merge keys (<<) are not taken", "Write the keys out."
            if not isinstance(resolve_plain(name), str):
                shown = f"the key {name!r}" if name else "an empty key"
                return "bad-key", f"{shown} is not read as text", f'Quote it: "{name}".'
        if "\0" in name:
            return "bad-key", "a key cannot hold NUL", "Remove it."
        if path in self.keys:
            first = _span(self.keys[path])
            return (
                "duplicate-key",
                f"the key {name!r} stands on line {first.line} and again on line {event.start_mark.line + 1}",
                "Keep one of the two.",
            )
        return None

    def _drop_value(self, frame: _Frame) -> None:
        # NUL cannot stand in a real key: the places of what is read over are never asked for.
        frame.key = f"\0{self._nodes}"
        frame.dropping = True

    def _open(self, event: Any) -> None:
        frame = self._stack[-1] if self._stack else None
        is_key = frame is not None and frame.key is None and isinstance(frame.container, dict)
        if is_key and frame is not None:
            self._report(event, "bad-key", "a key must be text", "Write a plain key, without [ ] { } ? or -.")
            self._drop_value(frame)
        path = self._place(frame, event)
        self._plain_node(event, path)
        container: dict[str, Any] | list[Any] = {} if type(event) is yaml.MappingStartEvent else []
        if not is_key:
            self._store(frame, container, keep_key=True)
        self._stack.append(_Frame(container, path, is_key=is_key))
        if len(self._stack) > MAX_DEPTH:
            self._report(
                event, "too-deep", f"more than {MAX_DEPTH} levels are nested", "A job file needs four or five."
            )
            raise _StopReadingError

    def _close(self, _event: Any) -> None:
        closed = self._stack.pop()
        if self._stack and not closed.is_key:
            parent = self._stack[-1]
            parent.key = None
            parent.dropping = False

    def _alias(self, event: Any) -> None:
        frame = self._stack[-1] if self._stack else None
        hint = f'Write the value out; text that starts with * needs quotes: "*{event.anchor}".'
        if frame is not None and frame.key is None and isinstance(frame.container, dict):
            self._report(event, "yaml-feature", f"aliases (*{event.anchor}) are not taken", hint)
            self._drop_value(frame)
            return
        path = self._place(frame, event)
        self._report(event, "yaml-feature", f"aliases (*{event.anchor}) are not taken", hint, path)
        self._store(frame, None)

    def _plain_node(self, event: Any, path: Path) -> bool:
        """True when a node carries neither an anchor nor a tag."""
        if event.anchor is None and event.tag is None:
            return True
        what = "anchors (&)" if event.anchor is not None else "tags (!)"
        self._report(
            event, "yaml-feature", f"{what} are not taken", "Write the plain value; quote it if it is text.", path
        )
        return False

    def _place(self, frame: _Frame | None, event: Any) -> Path:
        """Count the node, and note its place."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._report(event, "too-many-nodes", f"more than {MAX_NODES} values", "Keep data in a data file.")
            raise _StopReadingError
        if frame is None:
            path: Path = ()
        elif isinstance(frame.container, list):
            path = (*frame.path, len(frame.container))
        else:
            path = (*frame.path, frame.key or "")
        self.values[path] = event
        return path

    def _store(self, frame: _Frame | None, value: Any, *, keep_key: bool = False) -> None:
        if frame is None:
            self.root = value
            return
        if isinstance(frame.container, list):
            frame.container.append(value)
        elif not frame.dropping:
            frame.container[frame.key or ""] = value
        if not keep_key:
            frame.key = None
            frame.dropping = False

    def _report(self, event: Any, rule: str, message: str, hint: str, path: Path | None = None) -> None:
        if path is not None:
            self.faulty.add(path)
        self.findings.append(
            Diagnostic(
                path=self.path,
                **(WHOLE_FILE if event is None else _span(event))._asdict(),
                rule=rule,
                message=message,
                hint=hint,
            )
        )


def _span(event: Any) -> Span:
    start, end = event.start_mark, event.end_mark
    return Span(start.line + 1, start.column + 1, end.line + 1, end.column + 1)
