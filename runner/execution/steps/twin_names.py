"""Columns of one file whose names differ in letter case alone.

To DuckDB they are one name, and each but the first gets a number: of `a` and `A` the second is `A_1`. Several
files are joined by names without regard to case after that: where another file has them in another order, the
cells of one would stand in the column of the other.
"""

from collections.abc import Iterable, Sequence

from runner.core.run import FailureKind
from runner.execution.steps.faults import StepError

_HINT = (
    "To a query, and in a job without a step, names that differ in letter case alone are one. Let each file have "
    "them in the same order, or a script read the files."
)


def may_be_renamed(names: Iterable[str]) -> bool:
    """Whether one of these may be a name that DuckDB gave: of keys that differ in case only, the second one gets a
    number behind it."""
    names = list(names)
    folded = {name.lower() for name in names}
    return any(
        stem.lower() in folded and number.isdigit()
        for stem, bar, number in (name.rpartition("_") for name in names)
        if bar
    )


def require_one_order(names_of_files: Sequence[Sequence[str]]) -> None:
    """Look at the names that several files have, as they stand there.

    Raises:
        StepError: kind FETCH, one file has such columns in another order than another one.
    """
    longest: dict[str, list[str]] = {}
    for names in names_of_files:
        for folded, twins in _by_case(names).items():
            longest[folded] = max(longest.get(folded, []), twins, key=len)
    for names in names_of_files:
        for folded, twins in _by_case(names).items():
            known = longest[folded]
            if len(known) > 1 and twins != known[: len(twins)]:
                told = " and ".join(map(repr, dict.fromkeys([*known, *twins])))
                message = f"the columns {told} do not stand in the same order in each file"
                raise StepError(FailureKind.FETCH, message, hint=_HINT)


def _by_case(names: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(name.lower(), []).append(name)
    return found
