"""Text → the same text in canonical form: data and comments as they were, layout by rule.

Keys in the schema's order; two spaces of indentation, lists indented under their key; texts of several lines as
literal blocks; quotes only where a reader of YAML 1.1 or 1.2 needs them, and then double ones; `[…]` and `{…}`
only where they were and fit on the line; at most one blank line in a row.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runner.core.diagnostic import Diagnostic
from runner.jobfiles.canonical.key_order import KeyOrder
from runner.jobfiles.canonical.layout import Collection, Entry, Layout, Node, Scalar
from runner.jobfiles.canonical.layout_reader import list_comments, read_layout
from runner.jobfiles.canonical.writer import write_layout
from runner.jobfiles.parse import parse


@dataclass(frozen=True, kw_only=True, slots=True)
class Canonical:
    """The canonical form of a text; None with the findings that say why there is none."""

    text: str | None
    findings: tuple[Diagnostic, ...] = ()


def canonical_form(path: str, text: str, schema: Mapping[str, Any]) -> Canonical:
    """The canonical form of a job file's text, or of that of `_defaults.yaml` or `_policy.yaml`. Never raises.

    `schema` gives the order of keys; a text need not be valid by it, but it must parse. What is written is read
    again: a form whose data or comments are not those of the text is not given out.
    """
    document, findings = parse(path, text)
    if findings or not document.complete:
        return Canonical(text=None, findings=findings)
    try:
        written = write_layout(read_layout(text), KeyOrder(schema))
        again, faults = parse(path, written)
        kept = not faults and same_data(document.data, again.data)
        kept = kept and Counter(list_comments(text)) == Counter(list_comments(written))
    except Exception as error:  # noqa: BLE001 - the file is left alone, and the others are formatted all the same
        return Canonical(text=None, findings=(_not_formatted(path, f"{type(error).__name__}: {error}"),))
    if not kept:
        return Canonical(text=None, findings=(_not_formatted(path, "data or comments would change"),))
    return Canonical(text=written)


def write_data(data: Mapping[str, Any], schema: Mapping[str, Any], *, header: Sequence[str] = ()) -> str | None:
    """A mapping of plain data in canonical form, under comment lines (each with its `#`); None where it cannot be
    written so that it is read back exactly."""
    layout = Layout(root=_node(data), header=list(header))
    text = write_layout(layout, KeyOrder(schema))
    document, findings = parse("", text)
    return text if not findings and same_data(document.data, data) else None


def same_data(one: Any, other: Any) -> bool:
    """Whether two documents are equal in values and types; the order of keys does not count."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _node(value: Any) -> Node:
    if isinstance(value, Mapping):
        entries = [Entry(key=name, value=_node(item)) for name, item in value.items()]
        return Collection(is_mapping=True, entries=entries)
    if isinstance(value, list | tuple):
        return Collection(is_mapping=False, entries=[Entry(value=_node(item)) for item in value])
    if isinstance(value, str):
        return Scalar(value=value)
    return Scalar(value=_number(value) if isinstance(value, float) else json.dumps(value), is_text=False)


def _number(value: float) -> str:
    """`1e+16` is no number to YAML 1.1: a fraction makes it one to all."""
    whole, exponent, power = repr(value).partition("e")
    if not exponent:
        return whole
    sign = power[0] if power[0] in "+-" else "+"
    return f"{whole if '.' in whole else whole + '.0'}e{sign}{power.lstrip('+-')}"


def _not_formatted(path: str, reason: str) -> Diagnostic:
    return Diagnostic(
        path=path,
        rule="not-formatted",
        message=f"this file cannot be brought into canonical form: {reason}",
        hint="It is left as it is. This is a fault of runner: please report it with the file.",
    )
