"""Identifiers that sort by time, made from a clock and randomness given as arguments."""

from collections.abc import Callable
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
_DIGITS = 26
_SLACK = 60_000 << _RANDOM_BITS


def is_run_id(text: str) -> bool:
    """Whether a text has the form of a run identifier."""
    return len(text) == _DIGITS and set(text) <= set(_ALPHABET)


def horizon(now: datetime) -> str:
    """What the identifiers of runs that were made up to now sort before. Those beyond it were made while the clock
    was ahead: they are not the newest."""
    return _encode(_number(now, 0) + _SLACK)


class RisingIds:
    """Run identifiers that sort in the order they are made, also within one millisecond. Not safe for threads.

    Each is a ULID in lower case: 48 bits of milliseconds since 1970, 80 bits of `entropy`, as 26 digits of
    Crockford's base 32.
    Where the clock stands still, or is set back by at most a minute, the next one is one more than the last: the
    monotonic form of the ULID specification. A clock that is set back further begins anew.

    Args:
        entropy: random bits, as `secrets.randbits` gives them.
    """

    def __init__(self, entropy: Callable[[int], int]) -> None:
        self._entropy = entropy
        self._last = -1

    def __call__(self, now: datetime) -> str:
        """The next identifier."""
        number = _number(now, self._entropy(_RANDOM_BITS))
        if self._last - _SLACK <= number <= self._last:
            number = self._last + 1
        self._last = number
        return _encode(number)


def _number(now: datetime, entropy: int) -> int:
    return (int(now.timestamp() * 1000) << _RANDOM_BITS) | (entropy & ((1 << _RANDOM_BITS) - 1))


def _encode(number: int) -> str:
    digits = []
    for _ in range(_DIGITS):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
