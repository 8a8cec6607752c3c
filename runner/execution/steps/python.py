"""The script step: the user's Python over `data`, leaving `result`."""

from collections.abc import Mapping
from datetime import date, datetime
from types import CodeType, SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd

from runner.core.job import Step
from runner.core.run import FailureKind
from runner.execution.orders import StepOrder
from runner.execution.steps.faults import StepError
from runner.execution.steps.tracebacks import failure_of, remember_source

_NO_RESULT_HINT = 'Assign the table to mail to `result`, as in: result = data.groupby("category").sum()'


def run_script(order: StepOrder, data: pd.DataFrame) -> pd.DataFrame:
    """Execute the script and answer with its `result` as a DataFrame whose index means nothing.

    Raises:
        StepError: the script raised (kind SCRIPT, with its own traceback), ran out of memory (MEMORY), or left no
            usable `result` (RESULT).
    """
    step = order.step
    remember_source(step)
    columns = tuple(map(str, data.columns))
    try:
        code = compile_script(step)
        # pd and np are given because every pandas example in the world writes them.
        names: dict[str, Any] = {
            "__name__": "__main__",
            "data": data,
            "run": run_of(dict(order.facts), order.timezone),
            "pd": pd,
            "np": np,
        }
        exec(code, names)  # noqa: S102 - the product: a stranger's script, inside the sandbox
    except (MemoryError, duckdb.OutOfMemoryException) as error:
        raise failure_of(error, step, kind=FailureKind.MEMORY, columns=columns) from None
    except BaseException as error:  # noqa: BLE001 - sys.exit() and KeyboardInterrupt as well
        raise failure_of(error, step, kind=FailureKind.SCRIPT, columns=columns) from None
    if "result" not in names:
        raise StepError(
            FailureKind.RESULT, "the script ended without a variable named `result`", hint=_NO_RESULT_HINT
        )
    return table_of(names["result"])


def compile_script(step: Step) -> CodeType:
    """The script as code whose lines are those of the job file.

    Raises:
        SyntaxError: with the file and line of the job file.
    """
    return compile("\n" * (step.first_line - 1) + step.text, step.path or "script", "exec", dont_inherit=True)


def run_of(facts: Mapping[str, str], timezone: str) -> SimpleNamespace:
    """What a script sees as `run`; the scheduled time is aware, in the job's zone."""
    if not facts:
        return SimpleNamespace()
    return SimpleNamespace(
        job_name=facts["job_name"],
        run_id=facts["run_id"],
        attempt=int(facts["attempt"]),
        scheduled_time=datetime.fromisoformat(facts["scheduled_time"]).astimezone(ZoneInfo(timezone)),
        scheduled_date=date.fromisoformat(facts["scheduled_date"]),
    )


def table_of(result: object) -> pd.DataFrame:
    """A result as a DataFrame whose index can be dropped.

    An index that means something becomes columns: one with names, such as the keys of a groupby, and an unnamed
    one of texts or times, as column `index`. An unnamed index of numbers is what filtering and sorting leave, and
    is dropped. A Series becomes a table of one column; a number, text or date one cell.

    Raises:
        StepError: kind RESULT, it is nothing that a table can be made of.
    """
    if isinstance(result, pd.Series):
        result = result.to_frame("result" if result.name is None else result.name)
    elif isinstance(result, pd.Index | np.ndarray | pd.api.extensions.ExtensionArray):
        result = _array_table(result)
    elif pd.api.types.is_scalar(result) and result is not None and result is not pd.NaT:
        return pd.DataFrame({"result": [result]})
    if not isinstance(result, pd.DataFrame):
        raise StepError(
            FailureKind.RESULT,
            f"`result` is {_name_type(result)}, not a DataFrame",
            hint="Make it one with pd.DataFrame(…)." if result is not None else _NO_RESULT_HINT,
        )
    return _keep_meaningful_index(result)


def _keep_meaningful_index(frame: pd.DataFrame) -> pd.DataFrame:
    index = frame.index
    named = [name is not None for name in index.names]
    if index.nlevels == 1 and not named[0]:
        if isinstance(index, pd.RangeIndex) or pd.api.types.is_numeric_dtype(index.dtype):
            return frame
        if not len(index):
            return frame
        index = index.rename("index")
    # A key that is a column as well, as groupby(..., as_index=True) with the key kept, stands there already.
    names = [(f"level_{place}" if name is None else name) for place, name in enumerate(index.names)]
    kept = [place for place, name in enumerate(names) if name not in frame.columns]
    rest = ("",) * (frame.columns.nlevels - 1)
    body = frame.reset_index(drop=True)
    for place in reversed(kept):
        label = (names[place], *rest) if rest else names[place]
        body.insert(0, label, index.get_level_values(place), allow_duplicates=True)
    return body


def _array_table(values: Any) -> object:
    if getattr(values, "ndim", 1) > 2:
        return values
    if isinstance(values, pd.Index):
        return values.to_frame(index=False, name="result" if values.name is None else values.name)
    if values.ndim == 2:
        return pd.DataFrame(values)
    return pd.DataFrame({"result": np.atleast_1d(values)})


def _name_type(value: object) -> str:
    return "None" if value is None else f"a {type(value).__name__}"
