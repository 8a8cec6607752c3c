"""Document → findings of meaning: what a schema cannot say. One function a topic, each in its own module."""

from collections.abc import Callable

from runner.jobfiles.inspection import Inspection
from runner.jobfiles.lint_people import check_people
from runner.jobfiles.lint_schedule import check_schedule
from runner.jobfiles.lint_source import check_source
from runner.jobfiles.lint_step import check_step

CHECKS: tuple[Callable[[Inspection], None], ...] = (check_schedule, check_source, check_step, check_people)


def lint(inspection: Inspection) -> None:
    """Run every check. A document that breaks the schema is checked as far as it can be read."""
    if not isinstance(inspection.document.data, dict):
        return
    for check in CHECKS:
        check(inspection)
