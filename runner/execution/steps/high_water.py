"""How far an incremental load has got: the largest value of its cursor column."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from runner.core.bookmark import CursorValue
from runner.core.run import FailureKind
from runner.execution.orders import StepOrder
from runner.execution.steps.content import QueryContent
from runner.execution.steps.faults import StepError, no_such_column

_KEY = "incremental.cursor"
_INTEGERS = 1 << 63


def mark_of_frame(order: StepOrder, data: pd.DataFrame) -> CursorValue | None:
    """The largest value in the cursor column of a script's input, not below the cursor of the order; None where no
    load is incremental, and where there are no rows, or gaps only.

    Texts are compared as texts: dates and times as ISO 8601 writes them are in order.

    Raises:
        StepError: kind FETCH, there is no such column, or its values have no order.
    """
    name = order.cursor_column
    if name is None or data.empty:
        return None
    if name not in data.columns:
        raise no_such_column([name], list(map(str, data.columns)), asked_by=_KEY)
    try:
        values = data[name].dropna()
        largest = values.max() if len(values) else None
    except TypeError as error:
        raise _no_order(name, str(error)) from error
    return _larger(order, _as_value(name, largest))


def mark_of_query(order: StepOrder, data: QueryContent) -> CursorValue | None:
    """As `mark_of_frame`, of a query's input.

    Raises:
        StepError: as `mark_of_frame`.
        duckdb.Error: the input cannot be read.
    """
    name = order.cursor_column
    if name is None:
        return None
    column = next((one for one in data.columns if one.name == name), None)
    if column is None:
        if not data.connection.execute(f"SELECT 1 FROM {data.source} LIMIT 1").fetchall():  # noqa: S608 - quoted
            return None
        raise no_such_column([name], [one.name for one in data.columns], asked_by=_KEY)
    zoned = column.kind == "TIMESTAMP WITH TIME ZONE"
    # As microseconds: for a time with a zone DuckDB wants a library that nobody else needs.
    wanted = f"epoch_us(max({column.key}))" if zoned else f"max({column.key})"
    ((largest,),) = data.connection.execute(f"SELECT {wanted} FROM {data.source}").fetchall()  # noqa: S608 - quoted
    if zoned and largest is not None:
        largest = datetime.fromtimestamp(largest // 10**6, UTC).replace(microsecond=largest % 10**6)
    return _larger(order, _as_value(name, largest))


def _as_value(name: str, value: Any) -> CursorValue | None:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Decimal):
        value = int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, bool):
        value = int(value)
    if isinstance(value, datetime) and value.utcoffset() == timedelta():
        # As nearly every API writes it: a source that compares texts would find `+00:00` before `Z`.
        return value.replace(tzinfo=None).isoformat() + "Z"
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, int) and not -_INTEGERS <= value < _INTEGERS:
        raise _no_order(name, f"{value} is too large a number")
    if value is None or isinstance(value, int | float | str):
        return value
    raise _no_order(name, f"it holds {type(value).__name__} values")


def _larger(order: StepOrder, found: CursorValue | None) -> CursorValue | None:
    """A load never goes back, as it would where a source answers with less than it was asked for."""
    known = order.cursor
    if found is None or known is None:
        return found
    try:
        return known if _rank(known) > _rank(found) else found
    except TypeError:
        # It was another kind of value, as a first one of 0 before times.
        return found


def _rank(value: CursorValue) -> Any:
    """What a value is compared by: a time with a zone by its moment."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return value
    return value if moment.tzinfo is None else moment


def _no_order(name: str, reason: str) -> StepError:
    return StepError(
        FailureKind.FETCH,
        f"the column '{name}', which `{_KEY}` names, cannot tell how far the load has got: {reason}",
        hint="Name a column of numbers, dates, times or texts that only grow.",
    )
