"""An effective job as a rich table."""

import json
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from runner.cli.render import foreign
from runner.core.effective import EffectiveValue, Origin
from runner.core.report import short_revision
from runner.service.overview import EffectiveJob


def effective_table(shown: EffectiveJob) -> RenderableType:
    """Key, value and origin of every value; what the job file itself says stands out, what is built in is dim."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("key", no_wrap=True)
    table.add_column("value", overflow="fold")
    table.add_column("from", overflow="fold", style="dim")
    for value in shown.values:
        style = "dim" if value.origin is Origin.BUILT_IN else ""
        table.add_row(
            Text(value.name, style=style), foreign(_value_words(value.value), style), _origin_words(value)
        )
    title = foreign(shown.job.job_name, "bold").append("  ").append_text(foreign(shown.job.path, "dim"))
    revision = short_revision(shown.job.revision) or "not in git"
    return Group(title.append(f"  {revision}", "dim"), table)


def _value_words(value: Any) -> str:
    if isinstance(value, str):
        return value.rstrip("\n")
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "\n".join(value) or "none"
    if isinstance(value, list) and all(isinstance(item, dict) and "name" in item for item in value):
        return "\n".join(str(item["name"]) for item in value)
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
