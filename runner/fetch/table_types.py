"""Values of a database driver → Arrow columns, and the type that two pieces of one column share.

Kept as they are: whole numbers, floats, decimals, truth values, texts, dates, times, and timestamps; those with a
zone are instants, kept as UTC. Bytes become hexadecimal text. Everything else becomes text: JSON and arrays as
JSON, UUIDs and intervals as they are written. A column whose values have several types gets the narrowest that
holds them all, in the end text.
"""

import datetime as dt
import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

_LONGEST_DECIMAL = 38
_WHOLE_DIGITS = 19
_NAIVE, _AWARE = pa.timestamp("us"), pa.timestamp("us", tz="UTC")


class OffCalendar(str):
    """No date or time of the years 1 to 9999, such as `infinity` or `24:00`, as the database writes it.

    Not made a text: all other values of its column would look otherwise from then on.
    """

    __slots__ = ()


class NoTypeError(Exception):
    """A column has a value that there is no type for; the argument says which, and what it is not."""


def to_array(values: Sequence[Any]) -> pa.Array:
    """One piece of a column. All of them None: an array of the null type.

    Raises:
        NoTypeError: one of them is a date or time of no calendar, or NaN or infinity among decimals: as floats the
            others would lose digits.
    """
    kinds = {type(value) for value in values}
    kinds.discard(type(None))
    if OffCalendar in kinds:
        odd = next(value for value in values if isinstance(value, OffCalendar))
        raise NoTypeError(f"{str(odd)!r}, which is no date or time of the years 1 to 9999")
    if Decimal in kinds:
        # Whatever stands beside it: what becomes of a value is no matter of where a piece ends.
        for value in values:
            if isinstance(value, Decimal) and not value.is_finite():
                raise NoTypeError(f"'{value}', which is no decimal number")
    if not kinds:
        return pa.nulls(len(values))
    make = _MAKERS.get(next(iter(kinds))) if len(kinds) == 1 else None
    if make is None and kinds <= {int, float, Decimal, bool}:
        make = _decimals if kinds <= {int, Decimal} else _numbers
    try:
        return (make or _texts)(values)
    except (ValueError, TypeError, OverflowError):
        return _texts(values)


def common_type(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    """The narrowest type that holds the values of both."""
    if first == second or pa.types.is_null(second):
        return first
    if pa.types.is_null(first):
        return second
    if _is_number(first) and _is_number(second):
        return _common_number(first, second)
    pair = {first, second}
    return _NAIVE if pair == {pa.date32(), _NAIVE} else pa.string()


def first_type(declared: pa.DataType, found: pa.DataType) -> pa.DataType:
    """The type of a column whose first values are of the type `found`: decimals as wide as the database says."""
    if pa.types.is_decimal(declared) and pa.types.is_decimal(found):
        wide = common_type(declared, found)
        return wide if pa.types.is_decimal(wide) else found
    return found


def cast(column: pa.ChunkedArray, wanted: pa.DataType) -> pa.ChunkedArray:
    """A column as another type, which `common_type` has named. The texts are those of a piece that is all text."""
    if pa.types.is_string(wanted) and not pa.types.is_null(column.type):
        # Not Arrow's own: a time would look otherwise further up than further down.
        return pa.chunked_array([_texts(column.to_pylist())])
    # Whole numbers past 2⁵³ lose their last digits where floats stand in the same column.
    return pc.cast(column, wanted, safe=False)


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_decimal(kind)
        or pa.types.is_boolean(kind)
    )


def _common_number(first: pa.DataType, second: pa.DataType) -> pa.DataType:
    pair = (first, second)
    if any(map(pa.types.is_floating, pair)):
        return pa.float64()
    if not any(map(pa.types.is_decimal, pair)):
        return pa.int64()
    if any(map(pa.types.is_boolean, pair)):
        return pa.string()
    whole = max(kind.precision - kind.scale if pa.types.is_decimal(kind) else _WHOLE_DIGITS for kind in pair)
    scale = max(kind.scale if pa.types.is_decimal(kind) else 0 for kind in pair)
    return pa.decimal128(whole + scale, scale) if whole + scale <= _LONGEST_DECIMAL else pa.string()


def _whole(values: Sequence[Any]) -> pa.Array:
    try:
        return pa.array(values, pa.int64())
    except OverflowError:
        return _decimals(values)


def _numbers(values: Sequence[Any]) -> pa.Array:
    if all(value is None or isinstance(value, int) for value in values):
        return _whole([None if value is None else int(value) for value in values])
    return pa.array([None if value is None else float(value) for value in values], pa.float64())


def _decimals(values: Sequence[Any]) -> pa.Array:
    found = [value if value is None else Decimal(value) for value in values]
    array = pa.array(found)
    return array if array.type.precision <= _LONGEST_DECIMAL else _texts(values)


def _moments(values: Sequence[Any]) -> pa.Array:
    aware = {value.tzinfo is not None for value in values if value is not None}
    if len(aware) > 1:
        return _texts(values)
    return pa.array(values, _AWARE if aware.pop() else _NAIVE)


def _times(values: Sequence[Any]) -> pa.Array:
    if any(value is not None and value.tzinfo is not None for value in values):
        return _texts(values)
    return pa.array(values, pa.time64("us"))


def _texts(values: Sequence[Any]) -> pa.Array:
    return pa.array([None if value is None else _text(value) for value in values], pa.string())


def _text(value: Any) -> str:
    """One value as text. Surrogates, which no file of text can hold, are replaced."""
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).hex()
    if isinstance(value, dt.datetime):
        # As databases write it: beside a day that there is not, which is a text of theirs, it looks the same.
        return value.isoformat(" ")
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, dt.timedelta):
        return _interval(value)
    if isinstance(value, Decimal):
        # Every digit in its place: `0E-20` and `1E+39` are nothing for people, nor for a script's `astype`.
        return format(value, "f")
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False, default=_inner_text)
    return str(value).encode("utf-8", "replace").decode("utf-8")


def _inner_text(value: Any) -> str:
    """One value within JSON as text: a time as ISO 8601 has it."""
    return value.isoformat() if isinstance(value, dt.datetime) else _text(value)


def _interval(value: dt.timedelta) -> str:
    """`26:03:04.5`, `-00:00:01`: hours, minutes and seconds."""
    sign = "-" if value < dt.timedelta(0) else ""
    seconds, rest = divmod(abs(value), dt.timedelta(seconds=1))
    minutes, second = divmod(seconds, 60)
    fraction = f".{rest.microseconds:06d}".rstrip("0") if rest else ""
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}:{second:02d}{fraction}"


_MAKERS: dict[type, Callable[[Sequence[Any]], pa.Array]] = {
    bool: lambda values: pa.array(values, pa.bool_()),
    int: _whole,
    float: lambda values: pa.array(values, pa.float64()),
    Decimal: _decimals,
    str: lambda values: pa.array(values, pa.string()),
    dt.date: lambda values: pa.array(values, pa.date32()),
    dt.datetime: _moments,
    dt.time: _times,
}
