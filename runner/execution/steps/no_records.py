"""Data without a record: an array of nothing names no columns, and no step can be run over it.

So an API answers on a quiet day. It is no fault: the result is empty, and the job says what becomes of that.
Beside a source that has columns the step is run, as it may do without those of the other one; where it fails, its
hint says so.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from runner.core.job import StepKind
from runner.core.run import FailureKind, RunFailure
from runner.execution.orders import StepOrder
from runner.execution.steps.cells import Guard
from runner.execution.steps.content import QueryContent
from runner.execution.steps.database import Connect
from runner.execution.steps.outputs import Written
from runner.execution.steps.quoting import quote_name
from runner.execution.steps.sheet import write_sheet

NO_RECORDS = "The data has no records: the step was not run."
_NOTHING = "(SELECT 1 WHERE false)"
_OF_THE_STEP = frozenset({FailureKind.QUERY, FailureKind.SCRIPT, FailureKind.RESULT})


@dataclass(frozen=True, kw_only=True, slots=True)
class NoContent:
    """A table without rows and columns; meets the protocol Content."""

    connect: Connect

    def as_query(self, connect: Connect, *, timezone: str) -> QueryContent:  # noqa: ARG002
        """As of the protocol, over a connection that may be confined already."""
        return QueryContent(connection=self.connect(), columns=(), source=_NOTHING, total_rows=0)

    def write_parquet(self, path: str) -> None:
        """As of the protocol."""
        # Here, as few steps need it.
        import pyarrow as pa
        from pyarrow.parquet import write_table

        write_table(pa.table({}), path)

    def write_sheet(self, path: str, *, guard: Guard, folder: str) -> None:  # noqa: ARG002
        """As of the protocol."""
        write_sheet(path, (), (), total_rows=0, folder=folder)


def has_no_data(order: StepOrder, without_columns: Collection[str]) -> bool:
    """Whether no input of a step has columns, and it is not run then. The result of a job without a step is its
    first source.

    Args:
        without_columns: the names of the inputs that have none.
    """
    asked = order.inputs[:1] if order.step.kind is StepKind.PASS_THROUGH else order.inputs
    return not order.always_run and all(source.name in without_columns for source in asked)


def with_missing_columns(failure: RunFailure, kind: StepKind, without_columns: Sequence[str]) -> RunFailure:
    """The failure of a query or script, and in its hint the inputs without columns: these may well be why."""
    if not without_columns or kind is StepKind.PASS_THROUGH or failure.kind not in _OF_THE_STEP:
        return failure
    first, *others = without_columns
    named = f"The sources {', '.join(without_columns)} have" if others else f"The source {first} has"
    if kind is StepKind.QUERY:
        named_here = f"(SELECT NULL AS a WHERE false UNION ALL BY NAME FROM {quote_name(first)})"  # noqa: S608 - quoted
        todo = f"Name those that the query needs, as in: FROM {named_here}"
    else:
        todo = f"Let the script see to that, as in: if {first}.empty: result = pd.DataFrame(columns=['a'])"
    return replace(failure, hint=f"{failure.hint} {named} no records, and so no columns. {todo}".lstrip())


def write_nothing(path: str, connect: Connect) -> Written:
    """Write the empty result to `path`; `connect` gives the connection with which it can be looked at."""
    with open(path, "w", encoding="utf-8"):  # noqa: PTH123 - `path` is text
        pass
    return Written(rows_out=0, numeric=(), content=NoContent(connect=connect))
