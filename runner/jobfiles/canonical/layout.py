"""The layout of a job file: its nodes as they stand in it, with every comment and blank line at its owner."""

from dataclasses import dataclass, field

BLANK = ""


@dataclass(kw_only=True, slots=True)
class Scalar:
    """A text, or a number, true, false or null as it is written.

    `spread`: it stood on several lines without being of several lines, as in a folded block.
    """

    value: str
    is_text: bool = True
    spread: bool = False


@dataclass(kw_only=True, slots=True)
class Collection:
    """A mapping or list; `tail` are the comments after its last entry, at its own indentation."""

    is_mapping: bool
    flow: bool = False
    column: int = 0
    entries: list["Entry"] = field(default_factory=list)
    tail: list[str] = field(default_factory=list)


Node = Scalar | Collection


@dataclass(kw_only=True, slots=True)
class Entry:
    """A key with its value, or an item of a list (`key` None).

    `above` are the comments on lines of their own before it, blank lines as `BLANK`; `beside` those at the end of
    its first line, of which there may be several until it is known what the line will be; `continued` those on the
    lines below, aligned with the last of them. `plain_key`: the key stands without quotes, whatever it is.
    """

    key: str | None = None
    value: Node = field(default_factory=lambda: Scalar(value="null", is_text=False))
    above: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    continued: list[str] = field(default_factory=list)
    plain_key: bool = False


@dataclass(kw_only=True, slots=True)
class Layout:
    """A file: comments that stay first, the root, comments that stay last."""

    root: Node
    header: list[str] = field(default_factory=list)
    footer: list[str] = field(default_factory=list)
