"""How far an incremental load has got: the largest value of its cursor column."""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from runner.core.bookmark import CursorValue
from runner.core.run import FailureKind
from runner.core.source import FileType
from runner.execution.orders import StepOrder
from runner.execution.steps.content import QueryContent
from runner.execution.steps.documents import member
from runner.execution.steps.faults import StepError, no_such_column
from runner.execution.steps.query_columns import QueryColumn
from runner.execution.steps.quoting import quote_name

_KEY = "incremental.cursor"
_INTEGERS = 1 << 63
# From here on floats are further apart than whole numbers: one may be the neighbour of what the source has.
_WHOLE_FLOATS = float(1 << 53)
_FLOATS = frozenset({"FLOAT", "DOUBLE"})


def mark_of_frame(order: StepOrder, data: pd.DataFrame) -> CursorValue | None:
    """The largest value in the cursor column of a script's input, not below the cursor of the order; None where no
    load is incremental, and where there are no rows, or gaps only. What is not finite counts as a gap.

    Texts are compared as texts: dates and times as ISO 8601 writes them are in order.

    Raises:
        StepError: kind FETCH, there is no such column, or its values have no order.
    """
    name = order.cursor_column
    if name is None or data.empty:
        return None
    if name not in data.columns:
        raise _no_column(order, name, list(map(str, data.columns)))
    try:
        largest = _largest(data[name].dropna())
    except TypeError as error:
        raise _no_order(name, str(error)) from error
    return _larger(order, name, largest)


def mark_of_query(order: StepOrder, data: QueryContent, texts: str | None = None) -> CursorValue | None:
    """As `mark_of_frame`, of a query's input.

    Args:
        texts: SQL for the cells of the column as the source has written them, in a column of its name; None where
            they are no texts. A time is marked by its own text: who compares texts finds all of a day before its
            `T`, where times are written with a space.

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
        raise _no_column(order, name, [one.name for one in data.columns])
    zoned = column.is_zoned
    wanted = f"max({column.key})"
    if column.is_moment or column.kind in _FLOATS:
        wanted += f" FILTER (WHERE isfinite({column.key}))"
    if zoned:
        # As microseconds: for a time with a zone DuckDB wants a library that nobody else needs.
        wanted = f"epoch_us({wanted})"
    ((largest,),) = data.connection.execute(f"SELECT {wanted} FROM {data.source}").fetchall()  # noqa: S608 - quoted
    if zoned and largest is not None:
        largest = datetime.fromtimestamp(largest // 10**6, UTC).replace(microsecond=largest % 10**6)
    if texts is not None and isinstance(largest, datetime):
        largest = _as_written(data, texts, column, largest, order.timezone)
    return _larger(order, name, largest)


def _as_written(data: QueryContent, texts: str, column: QueryColumn, largest: datetime, timezone: str) -> Any:
    """The text of the largest time; the time itself where that is not written as ISO 8601 has it."""
    text = quote_name(column.name)
    moment = f"TRY_CAST({text} AS {column.kind})"
    wanted = f"arg_max({text}, {moment}) FILTER (WHERE isfinite({moment}))"
    ((found,),) = data.connection.execute(f"SELECT {wanted} FROM {texts}").fetchall()  # noqa: S608 - quoted
    moments = [_moment(value, timezone) for value in (found, largest.isoformat())]
    return found if None not in moments and moments[0] == moments[1] else largest


def _largest(values: pd.Series) -> Any:
    largest = values.max() if len(values) else None
    if _is_finite(largest):
        return largest
    return _largest(values[[_is_finite(value) for value in values]])


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float | Decimal | np.floating) or math.isfinite(value)


def _as_value(name: str, value: Any) -> CursorValue | None:
    if not _is_finite(value):
        raise _no_order(name, f"{value} is no number to go on from")
    if isinstance(value, float | Decimal):
        value = _as_number(name, value)
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


def _as_number(name: str, value: float | Decimal) -> CursorValue:
    """A whole number as one: many a source takes `2.0` for none of its own. A decimal number that no float holds
    is its text: rounded, it may be above the data."""
    if isinstance(value, Decimal):
        if value == value.to_integral_value():
            return int(value)
        return float(value) if Decimal(repr(float(value))) == value else format(value, "f")
    if not value.is_integer():
        return value
    if abs(value) < _WHOLE_FLOATS:
        return int(value)
    raise _no_order(
        name,
        f"its numbers are floats, which do not hold every whole number as large as {int(value)}",
        hint=f"Say what it is (CSV, xlsx): `dtypes: {{{name}: integer}}`. Or use a query (SQL), which has whole "
        "numbers as they are beside gaps too; or name another column.",
    )


def _larger(order: StepOrder, name: str, largest: Any) -> CursorValue | None:
    """A load never goes back, as it would where a source answers with less than it was asked for."""
    if isinstance(largest, np.generic):
        largest = largest.item()
    found, known = _as_value(name, largest), order.cursor
    if found is None or known is None:
        return found
    # What the column holds decides: `10` and `9` are in another order among texts.
    numeric = isinstance(largest, int | float | Decimal)
    ranks: list[Any] = [_number(value) if numeric else _moment(value, order.timezone) for value in (known, found)]
    if None in ranks:
        ranks = [known, found]
    try:
        return known if ranks[0] > ranks[1] else found
    except TypeError:
        # It was another kind of value, as a first one of 0 before times.
        return found


def _number(value: CursorValue) -> Decimal | None:
    """A number, or the text of one, exactly; None where it is none."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() else None


def _moment(value: CursorValue | None, timezone: str) -> datetime | None:
    """The moment that a text of ISO 8601 names, one without an offset in that zone; None where it names none."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    if moment is None or moment.tzinfo is not None:
        return moment
    return moment.replace(tzinfo=ZoneInfo(timezone))


def _no_column(order: StepOrder, name: str, known: Sequence[str]) -> StepError:
    """The data has no such column; of one that may be a field of another the hint says how it becomes one."""
    failure = no_such_column([name], known, asked_by=_KEY)
    whole, dot, field = name.partition(".")
    source = order.inputs[0]
    if not dot or whole not in known or source.format is not FileType.JSON:
        return failure
    field = field.rpartition(".")[2]
    records = source.records_path or ""
    records += "" if records.endswith("]") else "[]"
    path = f"{records}.{{{member(field)}: {'.'.join(map(member, name.split('.')))}, …}}"
    # In YAML, where it stands in quotes of one kind or the other.
    text = "'" + path.replace("'", "''") + "'" if '"' in path else f'"{path}"'
    hint = (
        f"Where '{whole}' has objects, make a column of their field, beside those that the job needs: "
        f"`records_path: {text}` and `cursor: {field}`."
    )
    return StepError(failure.failure.kind, failure.failure.message, hint=hint)


def _no_order(
    name: str, reason: str, *, hint: str = "Name a column of numbers, dates, times or texts that only grow."
) -> StepError:
    return StepError(
        FailureKind.FETCH,
        f"the column '{name}', which `{_KEY}` names, cannot tell how far the load has got: {reason}",
        hint=hint,
    )
