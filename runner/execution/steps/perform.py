"""One order → its outcome: reads, runs the step, writes. Never raises."""

from collections.abc import Callable
from dataclasses import dataclass

import duckdb

from runner.core.job import FileType, StepKind
from runner.core.run import FailureKind, RunFailure
from runner.execution.orders import StepOrder, StepOutcome
from runner.execution.results import RESULT_FILE
from runner.execution.steps.faults import StepError, memory_error
from runner.execution.steps.python import run_script
from runner.execution.steps.reading import read_data
from runner.execution.steps.sql import Written, pass_through, result_path, run_query
from runner.execution.steps.writing import read_preview, write_frame


@dataclass(kw_only=True, slots=True)
class _Progress:
    """What is known of a step when it fails."""

    rows_in: int | None = None
    writing: bool = False


def perform(connect: Callable[[], duckdb.DuckDBPyConnection], order: StepOrder) -> StepOutcome:
    """Carry out an order with this process as it is; what goes wrong is in the outcome.

    `connect` is called by the steps that need DuckDB; it may be called more than once.
    """
    progress = _Progress()
    try:
        written = _write(connect, order, progress)
        preview = read_preview(
            result_path(order), rows=order.preview_rows, numeric=written.numeric, total_rows=written.rows_out
        )
    except StepError as error:
        return StepOutcome(rows_in=progress.rows_in, failure=error.failure)
    except MemoryError:
        return StepOutcome(rows_in=progress.rows_in, failure=memory_error().failure)
    except Exception as error:  # noqa: BLE001 - a result whose methods raise, whatever they like
        return StepOutcome(rows_in=progress.rows_in, failure=_unexpected(error, progress))
    return StepOutcome(
        rows_in=written.rows_in, rows_out=written.rows_out, result_file=RESULT_FILE, preview=preview
    )


def _write(connect: Callable[[], duckdb.DuckDBPyConnection], order: StepOrder, progress: _Progress) -> Written:
    kind = order.step.kind
    if kind is StepKind.QUERY:
        return run_query(connect(), order)
    if kind is StepKind.PASS_THROUGH and order.format in {FileType.CSV, FileType.PARQUET}:
        return pass_through(connect(), order)
    frame = read_data(connect, order.input_path, order.format, order.records_path)
    progress.rows_in = len(frame)
    if kind is StepKind.SCRIPT:
        frame = run_script(order, frame)
    progress.writing = True
    numeric = write_frame(connect, frame, result_path(order))
    return Written(rows_in=progress.rows_in, rows_out=len(frame), numeric=numeric)


def _unexpected(error: Exception, progress: _Progress) -> RunFailure:
    told = f"{type(error).__name__}: {error}"
    if progress.writing:
        return RunFailure(
            kind=FailureKind.RESULT,
            message=f"`result` cannot be written as CSV: {told}",
            hint="Look at what its columns hold: each cell must be a value that can be shown as text.",
        )
    return RunFailure(
        kind=FailureKind.INTERNAL,
        message=f"the step could not be carried out: {told}",
        hint="This is likely not the job's fault; the run can be repeated.",
    )
