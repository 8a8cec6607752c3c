"""One order → its outcome: reads, runs the step, writes. Never raises."""

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace

import duckdb

from runner.core.job import AttachmentFormat, StepKind
from runner.core.run import FailureKind, RunFailure
from runner.core.source import FileType
from runner.execution.orders import StepOrder, StepOutcome
from runner.execution.results import RESULT_FILE
from runner.execution.steps.cells import guard_of
from runner.execution.steps.content import FrameContent
from runner.execution.steps.faults import StepError, memory_error
from runner.execution.steps.python import run_script
from runner.execution.steps.reading import read_data
from runner.execution.steps.sql import Written, attachment_path, pass_through, result_path, run_query
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
    outcome = StepOutcome(
        rows_in=written.rows_in, rows_out=written.rows_out, result_file=RESULT_FILE, preview=preview
    )
    return replace(outcome, failure=_attach(order, written))


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
        for path in filter(None, (result_path(order), attachment_path(order))):
            _clear(path)
    progress.writing = True
    numeric = write_frame(connect, frame, result_path(order), guard=guard_of(order.defuse_formulas))
    content = FrameContent(frame=frame)
    return Written(rows_in=progress.rows_in, rows_out=len(frame), numeric=numeric, content=content)


def _clear(path: str) -> None:
    """Remove what a script has left at the place of a result: a writer would follow a link.

    Raises:
        StepError: kind RESULT, it cannot be removed.
    """
    try:
        try:
            os.unlink(path)  # noqa: PTH108 - `path` is text
        except IsADirectoryError:
            shutil.rmtree(path)
        except FileNotFoundError:
            pass
    except (OSError, RecursionError) as error:
        name = os.path.basename(path)  # noqa: PTH119
        raise StepError(
            FailureKind.RESULT,
            f"the script made {name} itself, and it cannot be replaced",
            hint=f"Let the script leave the name {name} to the runner, which writes the result there.",
        ) from error


def _attach(order: StepOrder, written: Written) -> RunFailure | None:
    """Write the file that is attached, where that is not the CSV; answers what went wrong."""
    path = attachment_path(order)
    try:
        if path is not None and order.attachment is AttachmentFormat.PARQUET:
            written.content.write_parquet(path)
        elif path is not None:
            guard = guard_of(order.defuse_formulas)
            written.content.write_sheet(path, guard=guard, folder=order.run_dir)
    except StepError as error:
        return _kept_as_csv(order, error.failure)
    except (MemoryError, duckdb.OutOfMemoryException):
        return memory_error().failure
    except Exception as error:  # noqa: BLE001 - as above
        failure = RunFailure(
            kind=FailureKind.ATTACHMENT,
            message=f"the result cannot be written as {order.attachment}: {type(error).__name__}: {error}",
            hint="Set `attachment: csv` under `delivery` in the job file.",
        )
        return _kept_as_csv(order, failure)
    return None


def _kept_as_csv(order: StepOrder, failure: RunFailure) -> RunFailure:
    """The failure, with where people find what could not be attached."""
    return replace(failure, message=f"{failure.message}. As CSV it is kept at {result_path(order)}")


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
