"""The script's own traceback: its file, its lines, no frame of ours or of a library."""

import linecache
import traceback
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from runner.core.job import Step
from runner.core.run import FailureKind
from runner.execution.orders import cut
from runner.execution.steps.faults import StepError, memory_error
from runner.execution.steps.script_hints import hint_of

# At either end of a deep recursion, of those that do not repeat the one before.
_FRAMES_SHOWN = 20
_NOTHING: Mapping[str, tuple[str, ...]] = MappingProxyType({})
# Less than a message may have: the place stands behind it.
_SUMMARY_LIMIT = 1500


class _ScriptStack(traceback.StackSummary):
    """The frames of a script. Its text is cut in the middle, when what is repeated has been counted: without the
    frames that are left out, the count would be too low."""

    def format(self, **more: Any) -> list[str]:
        shown = super().format(**more)
        if len(shown) <= 2 * _FRAMES_SHOWN:
            return shown
        return [*shown[:_FRAMES_SHOWN], "  … more calls in between …\n", *shown[-_FRAMES_SHOWN:]]


def remember_source(step: Step) -> None:
    """Let tracebacks find the lines of the script where they stand in the job file."""
    lines = ["\n"] * (step.first_line - 1) + [f"{line}\n" for line in step.text.split("\n")]
    # No mtime: linecache takes the entry for one that is not on disk, and never reads the file itself.
    linecache.cache[file_name(step)] = (len(step.text), None, lines, file_name(step))


def file_name(step: Step) -> str:
    """The file that tracebacks name."""
    return step.path or "script"


def failure_of(
    error: BaseException, step: Step, *, kind: FailureKind, sources: Mapping[str, tuple[str, ...]] = _NOTHING
) -> StepError:
    """What a script raised, as the failure of its step; `sources` has the columns of each input by its name."""
    shown = traceback.TracebackException.from_exception(error, compact=True)
    line = _last_line(error, shown, step)
    _keep_frames(shown, file_name(step))
    text = "".join(_without_empty_heads(shown)).rstrip("\n")
    if kind is FailureKind.MEMORY:
        memory = memory_error().failure
        return StepError(kind, memory.message, hint=memory.hint, traceback=text)
    place = f" ({file_name(step)}, line {line})" if line else ""
    summary = _summary(error, shown)
    message = cut(summary, _SUMMARY_LIMIT) + place
    return StepError(kind, message, hint=hint_of(error, summary, sources), traceback=text)


def _summary(error: BaseException, shown: traceback.TracebackException) -> str:
    if isinstance(error, SystemExit):
        return f"the script called sys.exit({'' if error.code is None else repr(error.code)})"
    if isinstance(error, KeyboardInterrupt):
        return "the script raised KeyboardInterrupt"
    if isinstance(error, SyntaxError):
        return f"{type(error).__name__}: {error.msg}"
    lines = [line.rstrip("\n") for line in shown.format_exception_only()]
    return next((line for line in lines if line.strip()), type(error).__name__)


def _last_line(error: BaseException, shown: traceback.TracebackException, step: Step) -> int | None:
    if isinstance(error, SyntaxError) and error.filename == file_name(step):
        return error.lineno
    lines = [frame.lineno for frame in shown.stack if frame.filename == file_name(step)]
    return lines[-1] if lines else None


def _keep_frames(shown: traceback.TracebackException, name: str) -> None:
    """Drop every frame but the script's, here and in the chain of causes."""
    seen: set[int] = set()
    waiting = [shown]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        one.stack = _ScriptStack(_frames_in(one, name))
        if one.__cause__ is not None and _is_foreign(one.__cause__, name):
            one.__cause__ = None
        if one.__context__ is not None and _is_foreign(one.__context__, name):
            one.__context__ = None
        waiting.extend(other for other in (one.__cause__, one.__context__) if other is not None)
        waiting.extend(one.exceptions or ())


def _frames_in(shown: traceback.TracebackException, name: str) -> list[traceback.FrameSummary]:
    return [frame for frame in shown.stack if frame.filename == name]


def _is_foreign(shown: traceback.TracebackException, name: str) -> bool:
    """Raised and caught inside a library: the script has no part in it."""
    return bool(shown.stack) and not _frames_in(shown, name)


def _without_empty_heads(shown: traceback.TracebackException) -> list[str]:
    """The lines of the traceback; a head with no frame under it says nothing."""
    lines = list(shown.format())
    head = "Traceback (most recent call last):\n"
    return [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if line != head or following.startswith("  File ")
    ]
