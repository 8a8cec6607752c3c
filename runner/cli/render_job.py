"""An effective job as a rich table."""

import json
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from runner.cli.fitting import FittingTable
from runner.cli.render import foreign
from runner.core.bookmark import CursorValue
from runner.core.effective import EffectiveValue, Origin
from runner.core.job import Incremental
from runner.core.plan_values import masked_nested
from runner.core.report import short_revision
from runner.delivery.words import one_line
from runner.service.listing import EffectiveJob


def effective_table(shown: EffectiveJob) -> RenderableType:
    """Key, value and origin of every value; what the job file itself says stands out, what is built in is dim.

    Literal credentials are masked.
    """
    table = FittingTable()
    table.add_column("key", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold", style="dim")
    for value in shown.values:
        style = "dim" if value.origin is Origin.BUILT_IN else ""
        words = _value_words(masked_nested(value.name, value.value))
        table.add_row(Text(value.name, style=style), foreign(words, style), _origin_words(value))
    title = foreign(shown.job.job_name, "bold").append("  ").append_text(foreign(one_line(shown.job.path), "dim"))
    revision = short_revision(shown.job.revision) or "not in git"
    parts: list[RenderableType] = [title.append(f"  {revision}", "dim"), table]
    if shown.job.incremental is not None:
        parts.append(_cursor_words(shown.job.incremental, shown.cursor))
    return Group(*parts)


def _cursor_words(incremental: Incremental, cursor: CursorValue | None) -> Text:
    if cursor is None:
        return foreign(f"{incremental.cursor}: nothing is delivered yet; starts at {incremental.initial_value}")
    return foreign(f"{incremental.cursor}: delivered up to {cursor}")


def _value_words(value: Any) -> str:
    if isinstance(value, str):
        return value.rstrip("\n")
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value) or "none"
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        # Of a test its name is enough: its rows may be many.
        return "\n".join(str(item["name"]) if "expect" in item else _json(item) for item in value)
    if isinstance(value, dict) and value and all(isinstance(item, dict) for item in value.values()):
        return "\n".join(f"{name}: {_json(item)}" for name, item in value.items())
    return _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _origin_words(value: EffectiveValue) -> Text:
    match value.origin:
        case Origin.FILE | Origin.DEFAULTS:
            return foreign(f"{value.source}:{value.line}", "" if value.origin is Origin.FILE else "cyan")
        case Origin.POLICY:
            return foreign(value.source, "yellow")
        case Origin.SETTING:
            return foreign(f"setting {value.source}")
        case Origin.BUILT_IN:
            return Text("built in")
