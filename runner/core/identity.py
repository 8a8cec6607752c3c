"""Identifiers that sort by time, made from a clock and randomness given as arguments."""

from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BITS = 80
_DIGITS = 26


def is_run_id(text: str) -> bool:
    """Whether a text has the form of a run identifier."""
    return len(text) == _DIGITS and set(text) <= set(_ALPHABET)


def make_run_id(now: datetime, entropy: int) -> str:
    """A ULID in lower case: 48 bits of milliseconds since 1970, 80 bits of `entropy`.

    Sorts by time as text. Source: the ULID specification (Crockford base 32, 26 digits).
    """
    milliseconds = int(now.timestamp() * 1000)
    number = (milliseconds << _RANDOM_BITS) | (entropy & ((1 << _RANDOM_BITS) - 1))
    digits = []
    for _ in range(_DIGITS):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
