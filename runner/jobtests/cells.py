"""One expected cell against one cell of a result. Pure.

A result is CSV: its cells are text. An expected text is a cell of exactly that text; an expected number any cell
that is written as a number of that value (`00123` is no number, it is a text); true and false a cell that says so
in any case; null, and the empty text, an empty cell.
"""

import re

from runner.jobtests.values import Cell

Number = int | float

_NUMBER = re.compile(
    r"[-+]?(?:(?:0|[1-9][0-9]*)(?P<part>\.[0-9]*)?|(?P<bare>\.[0-9]+))(?P<power>[eE][-+]?[0-9]+)?"
)
# Longer ones are no numbers to calculate with.
_LONGEST = 300
_TRUTHS = {"true": True, "false": False}
# Ten significant digits and more agree; what is left of a difference of equal numbers is nothing.
_RELATIVE, _ABSOLUTE = 1e-9, 1e-12
# Up to here a float has each digit of a whole number, and what a sum of such leaves is less than one.
_LARGEST_WHOLE = 10**15


def number_of(text: str) -> Number | None:
    """The number that a text is; whole ones as int. None for any other text."""
    match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        return None
    if match.lastgroup is None:
        return int(text)
    number = float(text)
    return number if abs(number) != float("inf") else None


def truth_of(text: str) -> bool | None:
    """The truth that a text says; None for any other text."""
    return _TRUTHS.get(text.lower()) if 4 <= len(text) <= 5 else None


def typed(text: str) -> Cell:
    """What a cell of an expected CSV file means: it has no other type than its form."""
    if text == "":
        return None
    truth = truth_of(text)
    if truth is not None:
        return truth
    number = number_of(text)
    return text if number is None else number


def reach(number: Number, tolerance: float | None) -> float:
    """How far a number reaches: two that are close lie within the larger of their reaches. Never too small."""
    relative, absolute = (_RELATIVE, _ABSOLUTE) if tolerance is None else (tolerance, tolerance)
    # A little more than exact: the ends of a range are rounded.
    return max(absolute, relative * abs(number)) * (1 + 1e-9) + abs(number) * 1e-15


def close(one: Number, other: Number, tolerance: float | None) -> bool:
    """Whether two numbers are the same within a tolerance, relative to the larger and absolute.

    Without one it is a billionth part; two whole numbers must then be equal: they may be identifiers, which a step
    has as floats (`12345678901.0`) where some are missing.
    """
    if one == other:
        return True
    if tolerance is None:
        if _is_whole(one) and _is_whole(other):
            return False
        return abs(one - other) <= max(_ABSOLUTE, _RELATIVE * max(abs(one), abs(other)))
    return abs(one - other) <= max(tolerance, tolerance * max(abs(one), abs(other)))


def _is_whole(number: Number) -> bool:
    return isinstance(number, int) or (number.is_integer() and abs(number) <= _LARGEST_WHOLE)


def matches(expected: Cell, got: str, tolerance: float | None) -> bool:
    """Whether a cell of the result is what is expected."""
    if expected is None:
        return got == ""
    if isinstance(expected, str):
        return got == expected
    if isinstance(expected, bool):
        return truth_of(got) is expected
    number = number_of(got)
    return number is not None and close(expected, number, tolerance)


def shown(cell: Cell) -> str | None:
    """An expected cell as it is shown beside that of a result."""
    return None if cell is None or cell == "" else str(cell)
