"""The checks of a job, evaluated by DuckDB where the table lies: one pass for all, one for each `unique`, and the
first rows that break each check that does not hold.

How values are compared. A column of numbers with numbers, and with texts that are numbers (`"5"`). A column of
dates or times with ISO 8601 texts; where one side has no offset, it is a time in the zone of the job. A column of
texts with texts, letter by letter; where the bound is a number, as the numbers that the texts are: a text that is
no number breaks such a check; and where it is a date or time, as the dates or times that the texts are, however
they are written: what is none is compared letter by letter. Anything else cannot be compared, and the check fails
and says so. A gap (NULL, NaN) is no value: it never breaks a check but `not_null`. An empty text is a value.

Numbers are compared exactly where DuckDB has a type for both. A short float (FLOAT) is compared with the short
float that is nearest to the bound: 0.1 is no more than 0.1.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

from runner.core.check import Check, CheckKind, CheckResult, CheckValue
from runner.core.preview import Preview
from runner.core.run import FailureKind, RunFailure
from runner.core.words import counted
from runner.execution.orders import CHECK_ROWS, PREVIEW_COLUMNS, cut
from runner.execution.steps.content import QueryContent
from runner.execution.steps.faults import column_list
from runner.execution.steps.query_columns import QueryColumn
from runner.execution.steps.quoting import quote_text

_CELL_WIDTH, _KIND_WIDTH = 200, 60
# Behind the time of a day.
_OFFSET = r":[0-9.]+ ?([Zz]|[+-][0-9:]+)$"
_CLOCKS = frozenset({"TIME", "TIME_NS"})
# A column of gaps alone has no type.
_TEXTS = re.compile(r'VARCHAR|JSON|ENUM\(.*\)|"NULL"', re.DOTALL)
_DECIMAL = re.compile(r"DECIMAL\(([0-9]+),([0-9]+)\)")
_DIGITS = 38
_LARGEST_FLOAT, _LARGEST_WHOLE = Decimal("3.4e38"), 1 << 127
# What DuckDB calls the column of an array without a record.
_NO_RECORDS = ["json"]


class _UnfitError(Exception):
    """A check that cannot be carried out on this table; its text says why. `values` is SQL that holds for the rows
    whose cells are to blame; empty where the column itself is."""

    def __init__(self, reason: str, *, values: str = "") -> None:
        super().__init__(reason)
        self.values = values


def evaluate(table: QueryContent, checks: Sequence[Check]) -> tuple[CheckResult, ...]:
    """What is found of each check.

    Raises:
        duckdb.Error: the table cannot be read.
    """
    faults: dict[int, str] = {}
    breaks: dict[int, str] = {}
    for place, check in enumerate(checks):
        try:
            breaks[place] = _condition(check, table.columns)
        except _UnfitError as error:
            faults[place] = str(error)
            breaks[place] = error.values
    wanted = [place for place, condition in breaks.items() if condition]
    counted = ", ".join(["count(*)", *(f"count(*) FILTER (WHERE {breaks[place]})" for place in wanted)])
    ((rows, *broken),) = _fetch(table, f"SELECT {counted} FROM {table.source}")  # noqa: S608 - quoted
    if not rows and [column.name for column in table.columns] in ([], _NO_RECORDS):
        faults = {}
    counts = dict(zip(wanted, broken, strict=True))
    # A column of gaps alone has the type of numbers, or of nothing: its gaps break no check but `not_null`.
    faults = {place: fault for place, fault in faults.items() if counts.get(place, 1)}
    return tuple(
        _faulty(check, faults[place])
        if place in faults
        else _result(table, check, rows=rows, broken=counts.get(place, 0), condition=breaks.get(place, ""))
        for place, check in enumerate(checks)
    )


def blocking_failure(results: Iterable[CheckResult], *, hint: str) -> RunFailure | None:
    """The failure of a step whose data is not as it must be; None where it is."""
    failed = [result for result in results if result.blocking and not result.passed]
    if not failed:
        return None
    told = [
        f"{result.words} ({counted(result.failed_rows, 'row')})"
        if result.failed_rows
        else f"{result.words}: {result.found}"
        for result in failed
    ]
    message = f"{counted(len(failed), 'check')} failed: {', '.join(told)}"
    if any(result.failed_rows for result in failed):
        hint = f"Look at the rows that fail. {hint}"
    return RunFailure(kind=FailureKind.CHECK, message=message, hint=hint)


def _faulty(check: Check, fault: str) -> CheckResult:
    return CheckResult(words=check.words, blocking=check.blocking, passed=False, found=fault)


def _result(table: QueryContent, check: Check, *, rows: int, broken: int, condition: str) -> CheckResult:
    preview, found = Preview(), ""
    if check.kind is CheckKind.ROW_COUNT:
        found = "" if _is_between(check, rows) else f"there {'is' if rows == 1 else 'are'} {counted(rows, 'row')}"
    elif check.kind is CheckKind.UNIQUE and rows:
        found, broken, preview = _duplicates(table, check)
    elif broken:
        verb = _verb(check.kind, broken) + (
            " or no number" if _is_of_numbers_in_texts(check, table.columns) else ""
        )
        found = f"{counted(broken, 'row')} of {rows:,} {verb}"
        preview = _rows(table, check, f"WHERE {condition}", broken)
    return CheckResult(
        words=check.words, blocking=check.blocking, passed=not found, found=found, failed_rows=broken, rows=preview
    )


def _verb(kind: CheckKind, count: int) -> str:
    one, many = {
        CheckKind.NOT_NULL: ("has a gap", "have a gap"),
        CheckKind.ACCEPTED_VALUES: ("has another value", "have other values"),
        CheckKind.MIN: ("is below that", "are below that"),
        CheckKind.MAX: ("is above that", "are above that"),
    }[kind]
    return one if count == 1 else many


def _is_of_numbers_in_texts(check: Check, columns: Sequence[QueryColumn]) -> bool:
    """Whether texts are compared as the numbers that they are: what is none breaks the check too."""
    bounds = {CheckKind.MIN: check.at_least, CheckKind.MAX: check.at_most}
    bound = bounds.get(check.kind)
    kinds = [column.kind for column in columns if column.name in check.columns]
    return bound is not None and not isinstance(bound, str) and any(map(_TEXTS.fullmatch, kinds))


def _is_between(check: Check, rows: int) -> bool:
    least, most = (None if bound is None else float(bound) for bound in (check.at_least, check.at_most))
    return (least is None or rows >= least) and (most is None or rows <= most)


def _condition(check: Check, columns: Sequence[QueryColumn]) -> str:
    """SQL that holds for the rows that break a check; empty where it is not about single rows."""
    known = {column.name: column for column in columns}
    missing = [name for name in check.columns if name not in known]
    if missing:
        names = ", ".join(map(repr, missing))
        raise _UnfitError(f"there is no column {names}: the table has {column_list(list(known))}")
    asked = [known[name] for name in check.columns]
    conditions: Mapping[CheckKind, Callable[[], str]] = {
        CheckKind.NOT_NULL: lambda: " OR ".join(map(_is_gap, asked)),
        CheckKind.ACCEPTED_VALUES: lambda: _is_other(asked[0], check.values),
        CheckKind.MIN: lambda: _is_beyond(asked[0], "<", check.at_least),
        CheckKind.MAX: lambda: _is_beyond(asked[0], ">", check.at_most),
    }
    return conditions[check.kind]() if check.kind in conditions else ""


def _is_gap(column: QueryColumn) -> str:
    return f"({column.key} IS NULL OR isnan({column.key}))" if column.is_float else f"({column.key} IS NULL)"


def _is_beyond(column: QueryColumn, sign: str, bound: CheckValue | None) -> str:
    number = _number(bound)
    filled = f"NOT {_is_gap(column)}"
    if column.numeric and number is not None:
        return f"{filled} AND {column.key} {sign} {_literal(column, number)}"
    if _has_moments(column):
        cells, moment = _moment(column, bound)
        if moment is not None:
            return f"{filled} AND {cells} {sign} {moment}"
    elif _TEXTS.fullmatch(column.kind) and isinstance(bound, str):
        return f"{filled} AND {_is_text_behind(f'CAST({column.key} AS VARCHAR)', sign, bound)}"
    elif _TEXTS.fullmatch(column.kind) and number is not None:
        return f"{filled} AND {_is_text_beyond(f'CAST({column.key} AS VARCHAR)', sign, number)}"
    reason = f"{column.name} holds {_held(column)}, which cannot be compared with {bound!r}"
    raise _UnfitError(reason, values=filled)


def _is_text_beyond(text: str, sign: str, number: Decimal) -> str:
    """SQL that holds for texts that are numbers beyond another one, and for those that are no numbers."""
    cells, bound = f"nullif(TRY_CAST({text} AS DOUBLE), 'nan'::DOUBLE)", f"CAST('{number}' AS DOUBLE)"
    beyond = f"{cells} {sign} {bound}"
    decimals = _DIGITS - 1 - _whole_digits(number)
    if decimals >= 0:
        # Many numbers are one DOUBLE: which of them is the larger one is told by their digits.
        kind = f"DECIMAL({_DIGITS}, {decimals})"
        exactly = f"coalesce(TRY_CAST({text} AS {kind}) {sign} CAST('{number:f}' AS {kind}), false)"
        beyond = f"CASE WHEN {cells} = {bound} THEN {exactly} ELSE {beyond} END"
    return f"coalesce({beyond}, true)"


def _is_text_behind(text: str, sign: str, bound: str) -> str:
    """SQL that holds for texts beyond another one. `2025-01-01 10:00` is later than `2025-01-01T09:00`, and
    `2025-01-01T00:30+01:00` earlier than `2025-01-01T00:00Z`: as letters it is the other way round."""
    letters = f"{text} {sign} {quote_text(bound)}"
    try:
        moment = datetime.fromisoformat(bound)
    except ValueError:
        return letters
    zoned, naive = (
        f"coalesce(TRY_CAST({text} AS {kind}) {sign} CAST({quote_text(moment.isoformat())} AS {kind}), {letters})"
        for kind in ("TIMESTAMPTZ", "TIMESTAMP")
    )
    if moment.tzinfo is not None:
        return zoned
    return f"CASE WHEN regexp_matches({text}, {quote_text(_OFFSET)}) THEN {zoned} ELSE {naive} END"


def _is_other(column: QueryColumn, values: Sequence[CheckValue]) -> str:
    if column.numeric:
        numbers = [number for number in map(_number, values) if number is not None]
        # Not IN, which makes all of them one type first.
        same = [f"{column.key} = {_literal(column, number)}" for number in numbers]
    elif _has_moments(column):
        pairs = [_moment(column, value) for value in values]
        same = [f"{cells} = {moment}" for cells, moment in pairs if moment is not None]
    else:
        known = ", ".join(quote_text(text) for value in values for text in _texts(value))
        same = [f"CAST({column.key} AS VARCHAR) IN ({known})"] if known else []
    return f"NOT {_is_gap(column)} AND NOT ({' OR '.join(same) or 'false'})"


def _held(column: QueryColumn) -> str:
    """What a column holds, for people."""
    if column.numeric:
        return "numbers"
    if _has_moments(column):
        return "dates or times"
    return "texts" if _TEXTS.fullmatch(column.kind) else f"values of the type {cut(column.kind, _KIND_WIDTH)}"


def _texts(value: CheckValue) -> tuple[str, ...]:
    """How a column of texts may write a value."""
    return (str(value), str(value).lower()) if isinstance(value, bool) else (str(value),)


def _number(value: CheckValue | None) -> Decimal | None:
    """A value that is a number, or a text of one; None for what is larger or smaller than a float can be."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = Decimal(str(value))
        near = float(number)
    except (InvalidOperation, ValueError, OverflowError):
        return None
    # A zero may be written with a million digits.
    return Decimal(0) if not number else number if near and isfinite(near) else None


def _whole_digits(number: Decimal) -> int:
    return max(number.adjusted() + 1, 1)


def _literal(column: QueryColumn, number: Decimal) -> str:
    """SQL for a number, of a type that is compared with the column exactly where there is one."""
    kind = "DOUBLE"
    if column.kind == "FLOAT" and abs(number) <= _LARGEST_FLOAT:
        kind = "FLOAT"
    elif column.is_whole and number == int(number) and abs(number) < _LARGEST_WHOLE:
        kind = "HUGEINT"
    elif sizes := _DECIMAL.fullmatch(column.kind):
        digits, decimals = map(int, sizes.groups())
        whole, fraction = _whole_digits(number), max(-int(number.as_tuple().exponent), 0)
        # DuckDB looks for a decimal that has both, and refuses where that is too long.
        if max(whole, digits - decimals) + max(fraction, decimals) <= _DIGITS:
            kind = f"DECIMAL({whole + fraction}, {fraction})"
    return f"CAST('{number:f}' AS {kind})"


def _has_moments(column: QueryColumn) -> bool:
    return column.is_moment or column.kind in _CLOCKS


def _moment(column: QueryColumn, value: CheckValue | None) -> tuple[str, str | None]:
    """SQL for the cells of a column, and for a value that they can be compared with."""
    is_clock = column.kind in _CLOCKS
    try:
        parse = time.fromisoformat if is_clock else datetime.fromisoformat
        moment = parse(value) if isinstance(value, str) else None
    except ValueError:
        moment = None
    if moment is None or (is_clock and moment.tzinfo is not None):
        return column.key, None
    zoned = moment.tzinfo is not None or column.is_zoned
    kind = "TIME" if is_clock else "TIMESTAMPTZ" if zoned else "TIMESTAMP"
    return f"CAST({column.key} AS {kind})", f"CAST({quote_text(moment.isoformat())} AS {kind})"


def _duplicates(table: QueryContent, check: Check) -> tuple[str, int, Preview]:
    """What is found of rows that share a value, how many these are, and the first of them, like beside like."""
    asked = [column for column in table.columns if column.name in check.columns]
    keys = [column.key for column in asked]
    named, whole = ", ".join(keys), " AND ".join(f"NOT {_is_gap(column)}" for column in asked)
    shared = (
        f"SELECT {named}, count(*) AS number FROM {table.source} WHERE {whole} GROUP BY {named} HAVING number > 1"  # noqa: S608
    )
    ((values, broken),) = _fetch(table, f"SELECT count(*), coalesce(sum(number), 0) FROM ({shared})")  # noqa: S608
    if not values:
        return "", 0, Preview()
    what = "value" if len(keys) == 1 else "combination"
    found = f"{counted(int(broken), 'row')} share {counted(values, what)}"
    some = f"SELECT {named} FROM ({shared}) ORDER BY {named} LIMIT {CHECK_ROWS}"  # noqa: S608
    where = f"WHERE ({named}) IN ({some}) ORDER BY {named}"
    return found, int(broken), _rows(table, check, where, int(broken))


def _rows(table: QueryContent, check: Check, rest: str, total: int) -> Preview:
    """The first rows that break a check: its columns, and others while there is room."""
    others = [column for column in table.columns if column.name not in check.columns]
    room = max(PREVIEW_COLUMNS - len(check.columns), 0)
    dropped = {column.place for column in others[room:]}
    shown = [column for column in table.columns if column.place not in dropped][:PREVIEW_COLUMNS]
    cells = ", ".join(f"CAST({column.key} AS VARCHAR)" for column in shown)
    rows = _fetch(table, f"SELECT {cells} FROM {table.source} {rest} LIMIT {CHECK_ROWS}")  # noqa: S608 - quoted
    return Preview(
        columns=tuple(cut(column.name, _CELL_WIDTH) for column in shown),
        numeric=tuple(column.numeric for column in shown),
        rows=tuple(tuple("" if cell is None else cut(cell, _CELL_WIDTH) for cell in row) for row in rows),
        total_rows=total,
        total_columns=len(table.columns),
    )


def _fetch(table: QueryContent, query: str) -> list[tuple[Any, ...]]:
    return table.connection.execute(query).fetchall()
