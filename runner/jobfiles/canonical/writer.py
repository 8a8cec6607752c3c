"""Layout → text in canonical form. Changes the layout on the way: each comment goes to a line that can hold it."""

from runner.jobfiles.canonical.key_order import KeyOrder
from runner.jobfiles.canonical.layout import BLANK, Collection, Entry, Layout, Node, Scalar
from runner.jobfiles.canonical.scalar_forms import folded, literal, one_line, quoted
from runner.jobfiles.scalars import PLAIN_KEYS

WIDTH = 100
_STEP = 2
_SCRIPTS = frozenset({"processing_script", "processing_query"})
_QUOTED = frozenset({"schedule_time"})


def write_layout(layout: Layout, order: KeyOrder) -> str:
    """The text, with one LF at its end."""
    root = layout.root
    lines = list(layout.header)
    if isinstance(root, Collection) and root.entries:
        _sort(root, order)
        root.flow = False
        _arrange(root, 0)
        lines += [*_block(root, 0), *root.tail]
    else:
        comments = root.tail if isinstance(root, Collection) else []
        lines += [*comments, _flow(root)]
    footer = layout.footer
    while footer and footer[-1] == BLANK:
        footer = footer[:-1]
    for line in footer:
        _add_note(lines, line)
    text = "\n".join(lines) + "\n"
    # Blank lines that belong to a text must not be taken for those at the end of the file.
    return text + "...\n" if text.endswith("\n\n") else text


def _sort(collection: Collection, order: KeyOrder) -> None:
    if collection.is_mapping:
        collection.entries = order.sort(collection.entries, lambda entry: entry.key)
    for entry in collection.entries:
        entry.plain_key = entry.key in PLAIN_KEYS and order.knows(entry.key)
        if isinstance(entry.value, Collection):
            _sort(entry.value, order.under(entry.key))


def _arrange(collection: Collection, indent: int) -> None:
    """Decide which collections below a block stay on one line, and move comments to where they can stand."""
    for entry in collection.entries:
        value = entry.value
        if isinstance(value, Collection):
            value.flow = _stays_flow(value, indent + len(_prefix(entry)) + 1)
            if not value.entries:
                entry.above += value.tail
                value.tail = []
            elif not value.flow:
                _arrange(value, indent + _STEP)
                if entry.key is None:
                    # The first line of such an item is that of its first entry.
                    first = value.entries[0]
                    entry.above += [*entry.beside, *entry.continued, *first.above]
                    entry.beside, entry.continued, first.above = [], [], []
        if entry.continued and not _is_one_line(entry, indent):
            entry.above += [*entry.beside, *entry.continued]
            entry.beside, entry.continued = [], []
        # A line has room for one comment.
        entry.above += entry.beside[:-1]
        entry.beside = entry.beside[-1:]


def _is_one_line(entry: Entry, indent: int) -> bool:
    """Whether nothing of an entry comes below its first line."""
    if isinstance(entry.value, Scalar):
        return not _scalar(entry.value, _root_key(entry, indent), indent)[1]
    return entry.value.flow


def _stays_flow(collection: Collection, column: int) -> bool:
    if not collection.entries:
        return True
    if not collection.flow or not _is_simple(collection):
        return False
    return column + len(_flow(collection)) <= WIDTH


def _is_simple(node: Node) -> bool:
    """Without comments and texts of several lines."""
    if isinstance(node, Scalar):
        return not node.is_text or "\n" not in node.value
    if node.tail:
        return False
    return not any(entry.above or entry.beside or not _is_simple(entry.value) for entry in node.entries)


def _flow(node: Node) -> str:
    """A node on one line."""
    if isinstance(node, Scalar):
        return one_line(node.value, flow=True) if node.is_text else node.value
    if node.is_mapping:
        pairs = (f"{_key(entry, flow=True)}: {_flow(entry.value)}" for entry in node.entries)
        return "{" + ", ".join(pairs) + "}"
    return "[" + ", ".join(_flow(entry.value) for entry in node.entries) + "]"


def _block(collection: Collection, indent: int) -> list[str]:
    """The lines of a block collection, without its tail."""
    lines: list[str] = []
    margin = " " * indent
    for entry in collection.entries:
        for note in entry.above:
            _add_note(lines, note and margin + note)
        lines += _entry(entry, indent)
    return lines


def _add_note(lines: list[str], note: str) -> None:
    """A comment; or a blank line, where none stands already and something stands above it."""
    if note != BLANK or (lines and lines[-1] != BLANK):
        lines.append(note)


def _entry(entry: Entry, indent: int) -> list[str]:
    value = entry.value
    prefix = " " * indent + _prefix(entry)
    if isinstance(value, Scalar):
        head, content = _scalar(value, _root_key(entry, indent), indent)
    elif value.flow:
        head, content = _flow(value), []
    else:
        content = _block(value, indent + _STEP)
        for note in value.tail:
            _add_note(content, note and " " * (indent + _STEP) + note)
        if entry.key is None:
            return [prefix + " " + content[0][indent + _STEP :], *content[1:]]
        head = ""
    line = f"{prefix} {head}" if head else prefix
    aligned = " " * (len(line) + 2)
    return ["  ".join([line, *entry.beside]), *(aligned + note for note in entry.continued), *content]


def _key(entry: Entry, *, flow: bool = False) -> str:
    name = entry.key or ""
    return name if entry.plain_key else one_line(name, flow=flow)


def _prefix(entry: Entry) -> str:
    return "-" if entry.key is None else f"{_key(entry)}:"


def _root_key(entry: Entry, indent: int) -> str | None:
    return entry.key if indent == 0 else None


def _scalar(scalar: Scalar, root_key: str | None, indent: int) -> tuple[str, list[str]]:
    """What stands beside the key, and the lines below it. `root_key` is the key of a value of the root."""
    text = scalar.value
    if not scalar.is_text:
        return text, []
    if root_key in _QUOTED:
        return quoted(text), []
    margin = " " * (indent + _STEP)
    block = None
    if scalar.spread and root_key not in _SCRIPTS and len(margin) + len(text) > WIDTH:
        block = folded(text, WIDTH - len(margin))
    if block is None and ("\n" in text or root_key in _SCRIPTS):
        block = literal(text)
    if block is None:
        return one_line(text), []
    return block[0], [line and margin + line for line in block[1]]
