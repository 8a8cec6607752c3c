"""Data without a record: an array of nothing names no columns, and no step can be run over it.

So an API answers on a quiet day. It is no fault: the result is empty, and the job says what becomes of that.
"""

from dataclasses import dataclass

from runner.execution.orders import StepOrder
from runner.execution.steps.cells import Guard
from runner.execution.steps.content import QueryContent
from runner.execution.steps.database import Connect
from runner.execution.steps.sheet import write_sheet
from runner.execution.steps.sql import Written

NO_RECORDS = "The data has no records: the step was not run."
_NOTHING = "(SELECT 1 WHERE false)"


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


def may_have_none(order: StepOrder) -> bool:
    """Whether the inputs of a step, where they have no rows, have no columns either, and it is not run then."""
    return not order.always_run and not any(source.format.names_columns_always for source in order.inputs)


def write_nothing(path: str, connect: Connect) -> Written:
    """Write the empty result to `path`; `connect` gives the connection with which it can be looked at."""
    with open(path, "w", encoding="utf-8"):  # noqa: PTH123 - `path` is text
        pass
    return Written(rows_out=0, numeric=(), content=NoContent(connect=connect))
