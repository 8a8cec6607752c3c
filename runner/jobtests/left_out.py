"""A column that the step reads and no given row has: what its test can do about it."""

import re
from collections.abc import Sequence
from dataclasses import replace

from runner.core.run import RunFailure
from runner.jobtests.values import Given

# As DuckDB and pandas tell of it.
_MISSING = re.compile(
    r"Referenced column \"([^\"\n]+)\" not found|does not have a column named \"([^\"\n]+)\"|KeyError: '([^'\n]+)'"
)


def with_left_out(failure: RunFailure, given: Sequence[Given]) -> RunFailure:
    """The failure of a step with a hint, where it may be due to a column that is in none of the given rows."""
    found = _MISSING.search(failure.message)
    rows = [row for one in given if one.file is None for row in one.rows]
    if found is None or not rows:
        return failure
    name = next(filter(None, found.groups()))
    if any(name.casefold() == key.casefold() for row in rows for key, _ in row):
        return failure
    told = f"No given row has '{name}': if it is a column of the data, write `{name}: null` in a row."
    return replace(failure, hint=f"{failure.hint} {told}".strip())
