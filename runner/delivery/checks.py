"""What a mail says of the checks of a run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from runner.core.check import CheckResult
from runner.core.preview import Preview
from runner.core.report import count_words
from runner.core.words import counted
from runner.delivery.table import tidy
from runner.delivery.words import one_line, shorten

ROWS_SHOWN = 20
TABLES_SHOWN = 10
_CHARACTERS = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckPart:
    """One check that failed: what was expected, what was found, and the first rows that break it."""

    words: str
    found: str
    table: Preview | None = None


def failed_parts(checks: Sequence[CheckResult], *, with_rows: bool) -> tuple[CheckPart, ...]:
    """The checks that failed, those that block first; `with_rows` also their rows, of the first ten.

    Rows are data: they are for those who look after the job.
    """
    failed = sorted((one for one in checks if not one.passed), key=lambda one: not one.blocking)
    mixed = len({one.blocking for one in failed}) > 1
    return tuple(
        CheckPart(
            words=_short(one.words) + (" (does not block)" if mixed and not one.blocking else ""),
            found=_found_words(one),
            table=_failing_rows(one) if with_rows and place < TABLES_SHOWN else None,
        )
        for place, one in enumerate(failed)
    )


def passed_note(checks: Sequence[CheckResult], *, named: bool) -> str:
    """`2 other checks passed: …`: the rest, in one line; empty where all failed, or none."""
    passed = [one for one in checks if one.passed]
    if not passed or len(passed) == len(checks):
        return ""
    note = f"{counted(len(passed), 'other check')} passed"
    names = "; ".join(one_line(one.words) for one in passed)
    return shorten(f"{note}: {names}", _CHARACTERS) if named else f"{note}."


def _found_words(check: CheckResult) -> str:
    found, count = _short(check.found).rstrip("."), count_words(check.failed_rows)
    if not check.failed_rows or count in found:
        return found
    rows = counted(check.failed_rows, "row")
    return f"{found} ({rows})" if found else rows


def _failing_rows(check: CheckResult) -> Preview | None:
    if not check.rows.rows or not check.rows.columns:
        return None
    return replace(tidy(check.rows, ROWS_SHOWN), total_rows=max(check.failed_rows, len(check.rows.rows)))


def _short(text: str) -> str:
    return shorten(one_line(text), _CHARACTERS)
