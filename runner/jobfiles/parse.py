"""YAML text → Document.

A strict loader over libyaml's event stream. Events are asked for one by one and the depth is counted on the way:
libyaml looks at most 1,024 characters ahead, so that a run of 80,000 `[` ends after 2 ms at depth 32 (a composer
recurses into it and crashes). Aliases are refused and never followed.
"""

import gc
import threading
from typing import Any

import yaml
from yaml import CSafeLoader, MappingStartEvent

from runner.core.diagnostic import MOST_COLLECTED, Diagnostic
from runner.jobfiles.document import DROPPED, WHOLE_FILE, Document, Path, Span, Spot, span_of
from runner.jobfiles.read import find_bad_character
from runner.jobfiles.scalars import (
    PLAIN_KEYS,
    SIGNS_OF_NO_TEXT,
    WORDS_OF_NO_TEXT,
    Refusal,
    resolve_plain,
)
from runner.jobfiles.syntax import describe_syntax_error
from runner.jobfiles.wording.finding import is_secret_key

__all__ = ["MAX_DEPTH", "MAX_NODES", "Document", "Path", "Span", "parse"]

MAX_DEPTH = 32
MAX_NODES = 20_000

# From libyaml 0.2.6 on.
_TOO_DEEP = "exceeded maximum nesting depth"


def parse(path: str, text: str) -> tuple[Document, tuple[Diagnostic, ...]]:
    """The document of a text, and what is wrong with it as YAML. Never raises.

    After a fault of syntax the document holds what stood before it and is not `complete`.
    """
    if found := find_bad_character(path, text):
        return Document(text=text, complete=False), (found,)
    builder = _Builder(path)
    with _COLLECTION_PAUSED:
        try:
            complete = builder.read(text)
        except _NestedTooDeepError as error:
            builder = _Builder(path)
            complete = builder.read(text[: error.args[0]])
    document = Document(
        text=text,
        data=builder.root,
        complete=complete,
        root=builder.spot,
        faulty=frozenset(builder.faulty),
    )
    return document, tuple(builder.findings)


class _CollectionPaused:
    """Python's collector of cycles rests while any thread is in here. A parser makes many objects and no cycle:
    of the time that 20,000 nodes take, the collector takes more than half."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._was_on = False

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._was_on = gc.isenabled()
                gc.disable()
            self._inside += 1

    def __exit__(self, *_error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._was_on:
                gc.enable()


_COLLECTION_PAUSED = _CollectionPaused()


class _StopReadingError(Exception):
    """The rest of the text is not looked at."""


class _Frame:
    """A mapping or list that is being filled."""

    __slots__ = ("container", "dropping", "is_key", "items", "key", "key_event", "outer", "spots")

    def __init__(self, container: dict[str, Any] | list[Any], outer: "_Frame | None", *, is_key: bool) -> None:
        self.container = container
        self.items = container if type(container) is list else None
        self.spots: dict[str | int, Spot] = {}
        self.outer = outer
        self.key: str | None = None  # of a mapping: the key whose value comes next
        self.key_event: Any = None
        self.dropping = False  # the value that comes next belongs to a refused key
        self.is_key = is_key  # this collection itself stands as a key: refused, and read over

    def next_path(self) -> Path:
        """The path of the value that comes next."""
        part = len(self.items) if self.items is not None else self.key or ""
        return (*self.path(), part)

    def path(self) -> Path:
        """The path of this collection."""
        outer = self.outer
        if outer is None:
            return ()
        # It stands in the one around it already.
        part = len(outer.items) - 1 if outer.items is not None else outer.key or ""
        return (*outer.path(), part)


class _NestedTooDeepError(Exception):
    """libyaml, which looks ahead, has met its own bound on nesting before it told of the first level. Its argument
    is where: what stands before that is deep enough for ours."""


class _Builder:
    """Takes in events. The way of a good scalar is as short as it can be: there are 40 events in a common file."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.root: Any = None
        self.spot: Spot | None = None
        self.faulty: set[Path] = set()
        self.findings: list[Diagnostic] = []
        self._frame: _Frame | None = None
        self._depth = 0
        self._nodes = 0
        self._documents = 0

    def read(self, text: str) -> bool:
        """Take in every event; False when the text is not read to its end, or holds no document."""
        handlers = {
            yaml.ScalarEvent: self._scalar,
            MappingStartEvent: self._open,
            yaml.MappingEndEvent: self._close,
            yaml.SequenceStartEvent: self._open,
            yaml.SequenceEndEvent: self._close,
            yaml.AliasEvent: self._alias,
            yaml.DocumentStartEvent: self._start_document,
            yaml.DocumentEndEvent: _pass,
            yaml.StreamStartEvent: _pass,
            yaml.StreamEndEvent: _pass,
        }
        parser = CSafeLoader(text)
        get_event = parser.get_event
        try:
            while (event := get_event()) is not None:
                handlers[type(event)](event)
        except _StopReadingError:
            return False
        except yaml.YAMLError as error:
            if isinstance(error, yaml.MarkedYAMLError) and error.problem == _TOO_DEEP and error.problem_mark:
                raise _NestedTooDeepError(error.problem_mark.index) from None
            self.findings.append(describe_syntax_error(self.path, text, error))
            return False
        finally:
            parser.dispose()
        if self._documents == 0:
            hint = "Write its keys in the first column, or remove the file."
            self._report(None, "empty-file", "the file holds no keys", hint)
            return False
        return True

    def _start_document(self, event: Any) -> None:
        self._documents += 1
        if self._documents > 1:
            hint = "Remove the `---`; a second job needs a file of its own."
            self._report(event, "many-documents", "a second document starts here", hint)
            raise _StopReadingError
        if event.version or event.tags:
            self._report(event, "yaml-feature", "directives (%) are not taken", "Remove the line.")

    def _scalar(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._too_many(event)
        frame = self._frame
        value: Any = event.value
        if frame is not None and frame.items is None and frame.key is None:
            text = value not in WORDS_OF_NO_TEXT and value[0] not in SIGNS_OF_NO_TEXT
            bare = event.anchor is None and event.tag is None and (not event.style or "\0" not in value)
            if text and bare and value not in frame.spots:
                frame.key = value
                frame.key_event = event
            else:
                self._uncommon_key(frame, event)
            return
        if event.anchor is not None or event.tag is not None:
            self._refuse_properties(event)
        elif event.implicit[0] and (value in WORDS_OF_NO_TEXT or value[0] in SIGNS_OF_NO_TEXT):
            value = self._resolved(value, event)
        self._store(frame, value, event, None)
        if frame is not None:
            frame.key = None
            frame.dropping = False

    def _resolved(self, value: str, event: Any) -> Any:
        """The value of a plain scalar that may be none of text."""
        resolved = resolve_plain(value)
        if isinstance(resolved, Refusal):
            if self._frame is not None and is_secret_key(self._frame.key):
                resolved = Refusal(resolved.rule, "this is no text to every YAML reader", "Quote it.")
            self._report(event, resolved.rule, resolved.message, resolved.hint, at_value=True)
            return value
        return resolved

    def _uncommon_key(self, frame: _Frame, event: Any) -> None:
        fault = _key_fault(frame, event)
        if fault is None:
            frame.key = event.value
            frame.key_event = event
            return
        self._report(event, *fault)
        self._drop_value(frame)

    def _drop_value(self, frame: _Frame) -> None:
        # NUL cannot stand in a real key: the places of what is read over are never asked for.
        self.faulty.add((*frame.path(), DROPPED))
        frame.key = f"\0{self._nodes}"
        frame.key_event = None
        frame.dropping = True

    def _open(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._too_many(event)
        frame = self._frame
        is_key = frame is not None and frame.items is None and frame.key is None
        if frame is not None and is_key:
            self._report(
                event,
                "bad-key",
                "a key must be text",
                "Write a plain key; put text that starts with { or [ in quotes.",
            )
            self._drop_value(frame)
        if event.anchor is not None or event.tag is not None:
            self._refuse_properties(event)
        container: dict[str, Any] | list[Any] = {} if type(event) is MappingStartEvent else []
        inner = _Frame(container, frame, is_key=is_key)
        if not is_key:
            self._store(frame, container, event, inner.spots)
        self._frame = inner
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._report(event, "too-deep", f"more than {MAX_DEPTH} levels are nested", "Four or five are enough.")
            raise _StopReadingError

    def _store(self, frame: _Frame | None, value: Any, event: Any, spots: dict[str | int, Spot] | None) -> None:
        """Put a value, or a collection that begins, into the collection around it."""
        if frame is None:
            self.root, self.spot = value, (None, event, spots)
        elif frame.items is not None:
            frame.spots[len(frame.items)] = (None, event, spots)
            frame.items.append(value)
        elif not frame.dropping:
            key: Any = frame.key
            frame.container[key] = value
            frame.spots[key] = (frame.key_event, event, spots)

    def _close(self, _event: Any) -> None:
        closed = self._frame
        assert closed is not None
        self._depth -= 1
        self._frame = outer = closed.outer
        if outer is not None and not closed.is_key:
            outer.key = None
            outer.dropping = False

    def _alias(self, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._too_many(event)
        frame = self._frame
        hidden = frame is not None and is_secret_key(frame.key)
        name = "…" if hidden else event.anchor[:40]
        message = f"aliases (*{name}) are not taken"
        hint = f'Write the value out; text that starts with * needs quotes: "*{name}".'
        if frame is not None and frame.items is None and frame.key is None:
            self._report(event, "yaml-feature", message, hint)
            self._drop_value(frame)
            return
        self._report(event, "yaml-feature", message, hint, at_value=True)
        self._store(frame, None, event, None)
        if frame is not None:
            frame.key = None
            frame.dropping = False

    def _refuse_properties(self, event: Any) -> None:
        what = "anchors (&)" if event.anchor is not None else "tags (!)"
        hint = "Write the plain value; quote it if it is text."
        self._report(event, "yaml-feature", f"{what} are not taken", hint, at_value=True)

    def _too_many(self, event: Any) -> None:
        self._report(
            event, "too-many-nodes", f"more than {MAX_NODES} keys and values", "Keep data in a data file."
        )
        raise _StopReadingError

    def _report(self, event: Any, rule: str, message: str, hint: str, *, at_value: bool = False) -> None:
        if len(self.findings) >= MOST_COLLECTED:
            return
        if at_value:
            self.faulty.add(self._frame.next_path() if self._frame is not None else ())
        place = WHOLE_FILE if event is None else span_of(event)
        self.findings.append(Diagnostic(path=self.path, **place._asdict(), rule=rule, message=message, hint=hint))


def _pass(_event: Any) -> None:
    """Beginnings and ends that say nothing."""


def _is_own(frame: _Frame, name: str) -> bool:
    """Whether a key that is ambiguous elsewhere is one of ours in its place."""
    place = PLAIN_KEYS.get(name)
    return place is not None and place == tuple(part if isinstance(part, str) else None for part in frame.path())


def _key_fault(frame: _Frame, event: Any) -> tuple[str, str, str] | None:
    name = event.value
    if event.anchor or event.tag:
        what = "anchors (&)" if event.anchor else "tags (!)"
        return "yaml-feature", f"{what} are not taken", "Write the plain key."
    if event.implicit[0]:
        if name == "<<":
            return "yaml-feature", "merge keys (<<) are not taken", "Write the keys out."
        if not _is_own(frame, name) and not isinstance(resolve_plain(name), str):
            if not name:
                return "bad-key", "a key is missing here", "Write `key: value`."
            return "bad-key", f"the key {name[:40]!r} is not read as text", f'Quote it: "{name[:40]}".'
    if "\0" in name:
        return "bad-key", "a key cannot hold NUL", "Remove it."
    if name in frame.spots:
        first, again = span_of(frame.spots[name][0]).line, event.start_mark.line + 1
        where = f"on line {first} and again on line {again}" if again != first else f"twice on line {first}"
        message = f"the key {name[:40]!r} stands {where}"
        return "duplicate-key", message, "Keep one of the two."
    return None
