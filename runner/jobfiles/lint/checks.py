"""The checks of meaning, in their order."""

from collections.abc import Callable
from dataclasses import replace

from runner.core.diagnostic import Diagnostic
from runner.jobfiles.document import Document
from runner.jobfiles.inspection import CheckContext, Inspection
from runner.jobfiles.layers import NO_LAYERS, CheckLayer
from runner.jobfiles.lint.credentials import check_credentials
from runner.jobfiles.lint.data_checks import check_data_checks, check_incremental
from runner.jobfiles.lint.fires import check_fires
from runner.jobfiles.lint.job_tests import check_tests
from runner.jobfiles.lint.people import check_owner, check_people
from runner.jobfiles.lint.policy import check_policy
from runner.jobfiles.lint.retry import check_retry
from runner.jobfiles.lint.schedule import check_schedule, check_timezone
from runner.jobfiles.lint.source import check_source
from runner.jobfiles.lint.source_host import check_hosts
from runner.jobfiles.lint.source_names import check_source_names
from runner.jobfiles.lint.source_unchanged import check_unchanged
from runner.jobfiles.lint.step import check_step

CHECKS: tuple[Callable[[Inspection], None], ...] = (
    check_schedule,
    check_timezone,
    check_fires,
    check_retry,
    check_source_names,
    check_source,
    check_hosts,
    check_unchanged,
    check_step,
    check_incremental,
    check_data_checks,
    check_people,
    check_owner,
    check_policy,
    check_tests,
    check_credentials,  # last: it masks what it finds in the findings of the others
)
# What a file of defaults can be wrong in by itself.
_CHECKS_OF_DEFAULTS = (check_timezone, check_owner, check_credentials)


def lint(inspection: Inspection) -> None:
    """Run every check. A document that breaks the schema is checked as far as it can be read."""
    if not isinstance(inspection.document.data, dict):
        return
    for check in CHECKS:
        check(inspection)


def checker_of_defaults(context: CheckContext) -> CheckLayer:
    """What finds the faults of meaning in a `_defaults.yaml`."""

    def check_defaults(path: str, document: Document) -> tuple[Diagnostic, ...]:
        inspection = Inspection(path=path, document=document, context=replace(context, layers=NO_LAYERS))
        for check in _CHECKS_OF_DEFAULTS:
            check(inspection)
        return tuple(inspection.findings)

    return check_defaults
