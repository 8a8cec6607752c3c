"""One order → its outcome: reads, checks, runs the step, writes, checks again, draws. Never raises."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import duckdb
import pandas as pd

from runner.core.bookmark import CursorValue
from runner.core.check import CheckResult, CheckTarget
from runner.core.job import AttachmentFormat, StepKind
from runner.core.run import FailureKind, RunFailure
from runner.core.source import FileType
from runner.core.words import joined
from runner.execution.orders import StepOrder, StepOutcome
from runner.execution.results import RESULT_FILE
from runner.execution.steps.cells import guard_of
from runner.execution.steps.chart import chart_note
from runner.execution.steps.checks import blocking_failure, evaluate
from runner.execution.steps.content import FrameContent, QueryContent
from runner.execution.steps.database import Connect
from runner.execution.steps.faults import (
    OPEN_FILES_HINT,
    StepError,
    disk_error,
    error_words,
    is_out_of_descriptors,
    memory_error,
)
from runner.execution.steps.grouped_numbers import grouped_note
from runner.execution.steps.hidden_sheets import hidden_note
from runner.execution.steps.high_water import mark_of_frame, mark_of_query
from runner.execution.steps.no_records import NO_RECORDS, has_no_data, with_missing_columns, write_nothing
from runner.execution.steps.outputs import Written, attachment_path, chart_path, result_path
from runner.execution.steps.places import of_input, placed
from runner.execution.steps.python import run_script
from runner.execution.steps.reading import read_data
from runner.execution.steps.relations import input_failure, texts_of
from runner.execution.steps.sql import Inputs, open_inputs, pass_through, run_query
from runner.execution.steps.staged import Relation
from runner.execution.steps.writing import read_preview, write_frame


@dataclass(kw_only=True, slots=True)
class _Progress:
    """What is known of a step when it fails. `without_columns` are the inputs that have none, `input_note` is what
    a person should know of those that were read."""

    kind: StepKind
    rows_in: int | None = None
    cursor: CursorValue | None = None
    checks: tuple[CheckResult, ...] = ()
    writing: bool = False
    note: str = ""
    input_note: str = ""
    without_columns: tuple[str, ...] = ()

    def failed(self, failure: RunFailure) -> StepOutcome:
        """The outcome of a step that has no result."""
        failure = with_missing_columns(failure, self.kind, self.without_columns)
        return StepOutcome(rows_in=self.rows_in, checks=self.checks, failure=failure)


def perform(connect: Connect, order: StepOrder) -> StepOutcome:
    """Carry out an order with this process as it is; what goes wrong is in the outcome."""
    progress = _Progress(kind=order.step.kind)
    try:
        written = _write(connect, order, progress)
        preview = read_preview(
            result_path(order), rows=order.preview_rows, numeric=written.numeric, total_rows=written.rows_out
        )
        outcome = StepOutcome(
            rows_out=written.rows_out, result_file=RESULT_FILE, preview=preview, note=progress.note
        )
        outcome = _finish(connect, order, written, progress, outcome)
        outcome = replace(outcome, note=joined(outcome.note, progress.input_note))
    except StepError as error:
        return progress.failed(placed(error, order))
    except (MemoryError, duckdb.OutOfMemoryException):
        return progress.failed(memory_error().failure)
    except BaseException as error:  # noqa: BLE001 - a result whose methods raise, whatever they like
        return progress.failed(_unexpected(error, order, progress))
    return replace(outcome, rows_in=progress.rows_in, checks=progress.checks, cursor=progress.cursor)


def _write(connect: Connect, order: StepOrder, progress: _Progress) -> Written:
    """Everything up to the CSV of the result."""
    order = _needed(order)
    first = order.inputs[0]
    kind = order.step.kind
    if kind is StepKind.QUERY or (
        kind is StepKind.PASS_THROUGH and first.format in {FileType.CSV, FileType.PARQUET}
    ):
        inputs = open_inputs(connect(), order)
        progress.rows_in = inputs.rows
        with of_input(first.name):
            progress.cursor = _mark_of_query(order, inputs)
        _check_inputs(order, progress, inputs.content, inputs.relations)
        progress.without_columns = inputs.without_columns
        if has_no_data(order, progress.without_columns):
            return _write_nothing(lambda: inputs.connection, order, progress)
        return run_query(inputs, order) if kind is StepKind.QUERY else pass_through(inputs, order)
    exact = kind is StepKind.PASS_THROUGH
    frames = {source.name: read_data(source, timezone=order.timezone, exact=exact) for source in order.inputs}
    frame = frames[first.name]
    progress.rows_in = sum(map(len, frames.values()))
    with of_input(first.name):
        progress.cursor = mark_of_frame(order, frame)
    _check_inputs(order, progress, lambda name: _seen(connect, order, frames[name]))
    progress.without_columns = tuple(
        source.name
        for source in order.inputs
        if frames[source.name].shape == (0, 0) and not source.format.names_columns_always
    )
    if has_no_data(order, progress.without_columns):
        return _write_nothing(connect, order, progress)
    if kind is StepKind.SCRIPT:
        frame = run_script(order, frames)
        for path in filter(None, (result_path(order), attachment_path(order), chart_path(order))):
            _clear(path)
    progress.writing = True
    numeric = write_frame(connect, frame, result_path(order), guard=guard_of(order.defuse_formulas))
    progress.writing = False
    return Written(rows_out=len(frame), numeric=numeric, content=FrameContent(frame=frame))


def _write_nothing(connect: Connect, order: StepOrder, progress: _Progress) -> Written:
    progress.note = NO_RECORDS
    return write_nothing(result_path(order), connect)


def _needed(order: StepOrder) -> StepOrder:
    """Without the inputs that nobody reads: a job without a step has its first source as its result."""
    if order.step.kind is not StepKind.PASS_THROUGH or len(order.inputs) == 1:
        return order
    asked = {check.source for check in order.checks if check.on is CheckTarget.INPUT}
    return replace(
        order, inputs=(order.inputs[0], *(source for source in order.inputs[1:] if source.name in asked))
    )


def _mark_of_query(order: StepOrder, inputs: Inputs) -> CursorValue | None:
    if order.cursor_column is None:
        return None
    first = inputs.relations[0]
    try:
        texts = texts_of(first, order.cursor_column)
        return mark_of_query(order, inputs.content(first.view), texts)
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise input_failure(error, first.source.format, [first]) from error


def _seen(connect: Connect, order: StepOrder, frame: pd.DataFrame) -> QueryContent:
    return FrameContent(frame=frame).as_query(connect, timezone=order.timezone)


def _check_inputs(
    order: StepOrder,
    progress: _Progress,
    content: Callable[[str], QueryContent],
    relations: Sequence[Relation] = (),
) -> None:
    """The checks of the data, and the note on it: a script may remove its files.

    Args:
        content: answers with the table of an input.
        relations: the inputs, where DuckDB reads their files.

    Raises:
        StepError: kind CHECK, a blocking one does not hold.
    """
    progress.input_note = hidden_note(order.inputs)
    if order.step.kind is not StepKind.PASS_THROUGH:
        progress.input_note = joined(grouped_note(order.inputs), progress.input_note)
    first = order.inputs[0].name
    asked = [check for check in order.checks if check.on is CheckTarget.INPUT]
    for name in dict.fromkeys(check.source or first for check in asked):
        checks = [check for check in asked if (check.source or first) == name]
        if all(source.name != name for source in order.inputs):
            raise StepError(
                FailureKind.CHECK,
                f"a check is on the source '{name}', which the job does not have",
                hint=f"Its sources are {', '.join(source.name for source in order.inputs)}.",
            )
        try:
            progress.checks += evaluate(content(name), checks)
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            kind = next(source.format for source in order.inputs if source.name == name)
            asked_of = [relation for relation in relations if relation.source.name == name]
            raise input_failure(error, kind, asked_of) from error
    failure = blocking_failure(
        progress.checks, hint="The step was not run: correct the data at its source, or change the check."
    )
    if failure is not None:
        raise StepError(failure.kind, failure.message, hint=failure.hint)


def _finish(
    connect: Connect, order: StepOrder, written: Written, progress: _Progress, outcome: StepOutcome
) -> StepOutcome:
    """What is done with a result that is written: its checks, its chart, the file that is attached."""
    checks = [check for check in order.checks if check.on is CheckTarget.RESULT]
    content = None
    if checks or order.chart is not None:
        content = written.content.as_query(connect, timezone=order.timezone)
    if content is not None and checks:
        found = evaluate(content, checks)
        progress.checks += found
        failure = blocking_failure(found, hint="Correct the step or its data, or change the check.")
        if failure is not None:
            return replace(outcome, failure=failure)
    if content is not None and order.chart is not None and not progress.note:
        outcome = replace(outcome, note=chart_note(content, order.chart, chart_path(order), folder=order.run_dir))
    return replace(outcome, failure=_attach(order, written))


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
        full = disk_error(error)
        failure = (
            full.failure
            if full
            else RunFailure(
                kind=FailureKind.ATTACHMENT,
                message=f"the result cannot be written as {order.attachment}: {error_words(error)}",
                hint="Set `attachment: csv` under `delivery` in the job file.",
            )
        )
        return _kept_as_csv(order, failure)
    return None


def _kept_as_csv(order: StepOrder, failure: RunFailure) -> RunFailure:
    """The failure, with where people find what could not be attached."""
    return replace(failure, message=f"{failure.message}. As CSV it is kept at {result_path(order)}")


def _unexpected(error: BaseException, order: StepOrder, progress: _Progress) -> RunFailure:
    told = error_words(error)
    if isinstance(error, FileNotFoundError) and error.filename == result_path(order):
        return RunFailure(
            kind=FailureKind.RESULT,
            message=f"{RESULT_FILE} was removed while the runner wrote the result there",
            hint=f"A thread of the script works on after its end: let it wait for its threads, and leave the name "
            f"{RESULT_FILE} to the runner.",
        )
    full = disk_error(error) if progress.writing else None
    if full is not None:
        return full.failure
    if progress.writing and is_out_of_descriptors(error):
        return RunFailure(
            kind=FailureKind.RESULT,
            message="`result` cannot be written: the script has left too many files open",
            hint=OPEN_FILES_HINT,
        )
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
