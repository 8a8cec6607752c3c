"""The data of a checked file → its Checks."""

from collections.abc import Mapping, Sequence
from typing import Any

from runner.core.check import Check, CheckKind, CheckTarget


def build_checks(items: Sequence[Mapping[str, Any]]) -> tuple[Check, ...]:
    """The checks in the order of the file."""
    return tuple(_check(item) for item in items)


def one_or_more(value: str | Sequence[str]) -> tuple[str, ...]:
    """A text, or a list of them, as several."""
    return (value,) if isinstance(value, str) else tuple(value)


def _check(item: Mapping[str, Any]) -> Check:
    kind = next(kind for kind in CheckKind if kind in item)
    return Check(
        kind=kind,
        on=CheckTarget(item.get("on", CheckTarget.RESULT)),
        source=item.get("source", ""),
        blocking=item.get("blocking", True),
        name=item.get("name", ""),
        **_rule(kind, item[kind]),
    )


def _rule(kind: CheckKind, value: Any) -> dict[str, Any]:
    """What is expected, in the fields of a Check."""
    match kind:
        case CheckKind.NOT_NULL | CheckKind.UNIQUE:
            return {"columns": one_or_more(value)}
        case CheckKind.ACCEPTED_VALUES:
            return {"columns": (value["column"],), "values": tuple(value["values"])}
        case CheckKind.MIN:
            return {"columns": (value["column"],), "at_least": value["value"]}
        case CheckKind.MAX:
            return {"columns": (value["column"],), "at_most": value["value"]}
        case CheckKind.ROW_COUNT:
            # JSON Schema takes 5.0 for a whole number.
            bounds = {key: None if key not in value else int(value[key]) for key in ("min", "max")}
            return {"at_least": bounds["min"], "at_most": bounds["max"]}
