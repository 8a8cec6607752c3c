"""The script step: the user's Python over `data`, leaving `result`."""

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
from pandas.errors import ChainedAssignmentError  # type: ignore[attr-defined, unused-ignore]

from runner.core.job import Step
from runner.core.run import FailureKind
from runner.core.source import THE_SOURCE
from runner.execution.orders import StepOrder
from runner.execution.steps.faults import NO_RESULT_HINT, StepError
from runner.execution.steps.file_marks import own_files_unmarked
from runner.execution.steps.imports import guarded_imports
from runner.execution.steps.results import table_of
from runner.execution.steps.script_logs import script_logs
from runner.execution.steps.tracebacks import failure_of, file_name, remember_source

# All are there once pandas is imported.
_WARN_OF_LOST_WRITING = tuple(
    module
    for name, module in tuple(sys.modules.items())
    if name.startswith("pandas.core.") and {"ChainedAssignmentError", "warnings"} <= vars(module).keys()
)


def run_script(order: StepOrder, inputs: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Execute the script and answer with its `result` as a DataFrame whose index means nothing.

    The script has each input by its name, and the first as `data` too, unless another one is called so. What it
    logs from INFO on stands with what it prints; it imports what `core.imports` and the order allow.

    Raises:
        StepError: the script raised (kind SCRIPT, with its own traceback), ran out of memory (MEMORY), or left no
            usable `result` (RESULT).
    """
    step = order.step
    remember_source(step)
    first = next(iter(inputs.values()))
    sources = {name: tuple(map(str, frame.columns)) for name, frame in inputs.items()}
    main = ModuleType("__main__")
    names: dict[str, Any] = vars(main)
    # pd and np are given because every pandas example in the world writes them.
    names |= {"run": run_of(order), "pd": pd, "np": np, THE_SOURCE: first, **inputs}
    try:
        code = compile_script(step)
        with (
            _running(main, step),
            script_logs(),
            guarded_imports(names, order.allowed_imports),
            own_files_unmarked(),
            _lost_writing_raised(),
        ):
            exec(code, names)  # noqa: S102 - the product: a stranger's script, inside the sandbox
    except (MemoryError, duckdb.OutOfMemoryException) as error:
        raise failure_of(error, step, kind=FailureKind.MEMORY, sources=sources) from None
    except BaseException as error:  # noqa: BLE001 - sys.exit() and KeyboardInterrupt as well
        raise failure_of(error, step, kind=FailureKind.SCRIPT, sources=sources) from None
    if "result" not in names:
        raise StepError(
            FailureKind.RESULT, "the script ended without a variable named `result`", hint=NO_RESULT_HINT
        )
    return table_of(names["result"], columns={name for frame in inputs.values() for name in frame.columns})


@contextmanager
def _lost_writing_raised() -> Iterator[None]:
    """While it lasts, what is written to a copy that nothing holds is an error, as with `data["a"][rows] = 1`.

    Before pandas 3 such lines worked; now it warns, and the result is as if they were not there. So its modules
    have a `warnings` of their own: whatever filters a script sets, and whatever it does to the real one, this is
    no warning.
    """
    own = SimpleNamespace(**vars(warnings) | {"warn": _warn_or_raise})
    for module in _WARN_OF_LOST_WRITING:
        vars(module)["warnings"] = own
    try:
        yield
    finally:
        for module in _WARN_OF_LOST_WRITING:
            vars(module)["warnings"] = warnings


def _warn_or_raise(
    message: Warning | str, category: type[Warning] | None = None, stacklevel: int = 1, **more: Any
) -> None:
    if category is ChainedAssignmentError:
        raise category(message)
    warnings.warn(message, category, stacklevel + 1, **more)


@contextmanager
def _running(main: ModuleType, step: Step) -> Iterator[None]:
    """While it lasts, a script is the main module to other code too, which looks for its classes there: `pickle`,
    and who asks for type hints. It has no arguments."""
    former, arguments = sys.modules.get("__main__"), sys.argv
    sys.modules["__main__"], sys.argv = main, [file_name(step)]
    try:
        yield
    finally:
        sys.argv = arguments
        if former is not None:
            sys.modules["__main__"] = former


def compile_script(step: Step) -> CodeType:
    """The script as code whose lines are those of the job file.

    Raises:
        SyntaxError: with the file and line of the job file.
    """
    return compile("\n" * (step.first_line - 1) + step.text, step.path or "script", "exec", dont_inherit=True)


def run_of(order: StepOrder) -> SimpleNamespace:
    """What a script sees as `run`: all facts of `core.references`. Times are aware, in the job's zone; year, month
    and day are numbers; `cursor` is a number or a text, None where the load is not incremental. The first interval
    is empty: it starts where it ends."""
    facts = dict(order.facts)
    if not facts:
        return SimpleNamespace()
    zone = ZoneInfo(order.timezone)

    def moment(fact: str) -> datetime:
        return datetime.fromisoformat(facts[fact]).astimezone(zone)

    day = date.fromisoformat(facts["scheduled_date"])
    return SimpleNamespace(
        job_name=facts["job_name"],
        run_id=facts["run_id"],
        attempt=int(facts["attempt"]),
        scheduled_time=moment("scheduled_time"),
        scheduled_date=day,
        scheduled_year=day.year,
        scheduled_month=day.month,
        scheduled_day=day.day,
        data_interval_start=moment("data_interval_start"),
        data_interval_end=moment("data_interval_end"),
        cursor=order.cursor,
    )
