"""What a test reads and writes: the files of the project, and the input of its step."""

import csv
import json
import os
import stat
from contextlib import suppress
from pathlib import Path, PurePosixPath

from runner.core.source import DataSource, FileType, SourceType, TableOptions
from runner.errors import RunnerError
from runner.execution.orders import StepInput
from runner.jobfiles.lint.job_tests import is_csv_name, is_inside_project
from runner.jobfiles.read import NOT_OF_A_JOB, NOT_OF_A_JOB_HINT
from runner.jobtests.values import Cell, Given
from runner.opened import why_none_for_a_job

# Neither a file that is expected nor a result is read into memory beyond this.
LARGEST_TABLE = 64 << 20
_INPUT = "input"
# JMESPath for the whole document: said aloud, a few rows are read without the start of a DuckDB connection.
_WHOLE = "@"


class InputError(RunnerError):
    """What a test names cannot be read."""


def project_file(project_dir: Path, location: str) -> Path:
    """The one way to a file that a test names: a regular file below the project folder that can be read. Links
    may not lead out of it.

    Raises:
        InputError: it is none.
    """
    path = _place(project_dir, location)
    try:
        # Opened rather than looked at: only this proves that it may be read. Non-blocking: a FIFO cannot hold it.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            regular = stat.S_ISREG(os.fstat(handle).st_mode)
        finally:
            os.close(handle)
    except FileNotFoundError:
        raise InputError(f"there is no file {location!r} in {project_dir}") from None
    except OSError as error:
        raise InputError(f"{location} cannot be read: {error.strerror}") from None
    if not regular:
        raise InputError(f"{location} is no regular file", hint="Name a file.")
    return path


def read_expected(project_dir: Path, location: str) -> bytes:
    """The bytes of an expected file.

    Raises:
        InputError: it cannot be read, or is too large to be compared.
    """
    path = project_file(project_dir, location)
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_TABLE + 1)
    except OSError as error:
        raise InputError(f"{location} cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_TABLE:
        raise InputError(
            f"{location} is larger than {LARGEST_TABLE >> 20} MiB", hint="Let the test give less to the step."
        )
    return content


def write_expected(project_dir: Path, location: str, content: bytes) -> None:
    """Write an expected file whole or not at all: aside, then in its place. Folders above it are made.

    A job file may come from anybody, and names what is written: a CSV of the project, links resolved, and nothing
    else.

    Raises:
        InputError: it cannot be written.
    """
    path = _place(project_dir, location)
    if not is_csv_name(location):
        raise InputError(
            f"{location} is not written: an expected file is a CSV of the project",
            hint="Name a file that ends in .csv.",
        )
    aside = path.with_name(f".{path.name[:200]}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(content)
        aside.replace(path)
    except OSError as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        raise InputError(f"{location} cannot be written: {error.strerror}") from None


def real_place(path: Path) -> Path:
    """Where a path leads, links resolved. Not `resolve`, which has an error of its own for links in a circle."""
    return Path(os.path.realpath(path))


def _place(project_dir: Path, location: str) -> Path:
    path = project_dir / location
    if not is_inside_project(location):
        raise InputError(f"{location!r} is not inside the project", hint="Name a file below the project folder.")
    # A job file and a link may come from anybody: tests run before anyone has agreed to them.
    if not real_place(path).is_relative_to(real_place(project_dir)):
        raise InputError(
            f"{location} is a link that leads out of the project", hint="Put the file itself into the project."
        )
    if why_none_for_a_job(path, str(real_place(path))):
        raise InputError(NOT_OF_A_JOB, hint=NOT_OF_A_JOB_HINT)
    return path


def step_input(
    given: Given,
    source: DataSource,
    *,
    is_query: bool,
    project_dir: Path,
    run_dir: Path,
    first_rows: int | None = None,
) -> StepInput:
    """The input that a test gives for a source: the file in place, read as the source is, or its rows as a file in
    the run's folder, whose columns have the types that the source declares.

    Args:
        is_query: the step is a query.
        first_rows: give no more rows than this.

    Raises:
        InputError: the file cannot be read.
    """
    if given.file is None:
        return _rows_input(given, source, is_query=is_query, run_dir=run_dir, first_rows=first_rows)
    path = project_file(project_dir, given.file)
    whole = StepInput(
        name=source.name,
        paths=(str(path),),
        format=_format(source, given.file),
        records_path=source.records_path,
        table=source.table,
    )
    if first_rows is None:
        return whole
    from runner.jobtests.heads import write_head

    head = write_head(whole, run_dir / f"{_INPUT}-{source.name}", first_rows)
    return head or whole


def _rows_input(
    given: Given, source: DataSource, *, is_query: bool, run_dir: Path, first_rows: int | None
) -> StepInput:
    """Rows as JSON, in which cells have types; no rows of known columns as the head of a CSV."""
    table = TableOptions(dtypes=source.table.dtypes, parse_dates=source.table.parse_dates)
    declared = dict.fromkeys((*dict(table.dtypes), *table.parse_dates))
    columns = source.table.columns or tuple(declared)
    if columns and not given.rows:
        path = run_dir / f"{_INPUT}-{source.name}.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerow(columns)
        return StepInput(name=source.name, paths=(str(path),), format=FileType.CSV, table=table)
    decimals = {name: source.table.decimal for name, kind in table.dtypes if kind == "number"}
    rows = [
        # The columns that are read, in the order of the source; a row may leave one out.
        dict.fromkeys(source.table.columns)
        | {name: _as_text(cell, decimals.get(name, ".")) if name in declared else cell for name, cell in row}
        for row in given.rows[:first_rows]
    ]
    for row in rows:
        # Those whose types are known have no order: what a row leaves out is behind what it has.
        row.update((name, None) for name in columns if name not in row)
    path = run_dir / f"{_INPUT}-{source.name}.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    records_path = None if is_query else _WHOLE
    return StepInput(
        name=source.name, paths=(str(path),), format=FileType.JSON, records_path=records_path, table=table
    )


def _as_text(cell: Cell, decimal: str) -> str | None:
    """A cell as the text from which the declared type is read; an empty one is a gap there. A text has the decimal
    sign of the source, as its data has."""
    text = cell.replace(decimal, ".") if isinstance(cell, str) else json.dumps(cell) if cell is not None else None
    return text or None


def _format(source: DataSource, file: str) -> FileType:
    """The rows of a database are in any file that tells by its name what it is; else in Parquet."""
    if source.source_type is SourceType.DATABASE:
        ending = PurePosixPath(file.lower().removesuffix(".gz").removesuffix(".zst")).suffix.removeprefix(".")
        return FileType(ending) if ending in {*FileType} else source.format
    return source.format
