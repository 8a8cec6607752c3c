"""Sources that ask for runs to be skipped where nothing has changed, in jobs where none ever is."""

from typing import Any

from runner.core.diagnostic import Severity
from runner.core.source import CONDITION_HEADERS
from runner.jobfiles.inspection import Inspection
from runner.jobfiles.lint.source_names import sources_of

_KEY = "on_unchanged"
_REMOVE = "Remove on_unchanged."


def check_unchanged(inspection: Inspection) -> None:
    """Rule `idle-on-unchanged`, a warning: the runs are those of `Job.skips_unchanged`."""
    sources = list(sources_of(inspection.document.data))
    silent = [path[-1] for path, source in sources if not _asks(source) or _fault(source)]
    for path, source in sources:
        if not _asks(source) or not silent:
            continue
        message, hint = _fault(source) or (
            f"no run is ever skipped: {silent[0]} cannot say that it has not changed",
            "Remove on_unchanged: it has an effect only where every source is an API with on_unchanged: skip.",
        )
        inspection.report((*path, _KEY), "idle-on-unchanged", message, hint, severity=Severity.WARNING)


def _asks(source: dict[str, Any]) -> bool:
    return source.get("source_type") == "api" and source.get(_KEY) == "skip"


def _fault(source: dict[str, Any]) -> tuple[str, str] | None:
    """Why an API is never asked whether it has changed, as `DataSource.tells_unchanged` has it, and a hint."""
    if "pagination" in source:
        return "no run is ever skipped: what is asked page by page cannot say that it has not changed", _REMOVE
    if source.get("method") == "POST":
        return "no run is ever skipped: a POST cannot ask whether anything has changed", _REMOVE
    headers = source.get("headers")
    own = [name for name in headers if name.lower() in CONDITION_HEADERS] if isinstance(headers, dict) else []
    if own:
        return f"no run is ever skipped: the header {own[0]} of the job asks in its place", f"Remove {own[0]}."
    return None
