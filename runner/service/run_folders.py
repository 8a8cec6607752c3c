"""The folders of runs: what is read from one when its run ends, what stays in it, and when it goes."""

import codecs
import csv
import io
import itertools
import logging
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from runner.core.chart import LARGEST_CHART, is_chart
from runner.core.csv_cells import allow_long_cells
from runner.core.identity import is_run_id
from runner.core.preview import Preview
from runner.core.run import FailureKind, Run, RunFailure, RunOutcome, RunState
from runner.delivery.attachment import pack
from runner.errors import ExecutionError
from runner.execution.results import RESULT_FILE, open_result, read_result
from runner.execution.trees import clear_folder, remove_tree

log = logging.getLogger(__name__)

# A larger result is not read into the service: it stays in the run's folder, and is mailed compressed or not.
LARGEST_READ = 64 << 20
_PREVIEW_BYTES = 1 << 20
_BATCH = 500


def read_outcome(run_dir: Path, outcome: RunOutcome) -> tuple[RunOutcome, bytes | None]:
    """The bytes of what is to be attached, None where there is none or too many; one that cannot be read is a
    failure."""
    name, size = outcome.result_file, outcome.result_bytes
    if outcome.attachment_file is not None:
        name, size = outcome.attachment_file, outcome.attachment_bytes
    if name is None or outcome.state is not RunState.SUCCEEDED or size > LARGEST_READ:
        return outcome, None
    try:
        return outcome, read_result(run_dir, name, max_bytes=LARGEST_READ)
    except ExecutionError as error:
        failure = RunFailure(kind=FailureKind.RESULT, message=error.message, hint=error.hint)
        return replace(outcome, state=RunState.FAILED, failure=failure, result_file=None), None


def pack_result(run_dir: Path) -> bytes | None:
    """The CSV of a run compressed; None where there is none, or no mail can carry it even so."""
    try:
        with open_result(run_dir) as file:
            return pack(file)
    except (ExecutionError, OSError) as error:
        log.warning("%s cannot be compressed: %s", run_dir / RESULT_FILE, error)
        return None


def kept_chart(run_dir: Path, run: Run) -> bytes | None:
    """The chart in a run's folder; None where there is none, or what lies in its place cannot be shown."""
    name = run.chart_file
    if name is None or Path(name).name != name:
        return None
    try:
        content = read_result(run_dir, name, max_bytes=LARGEST_CHART)
    except (ExecutionError, OSError) as error:
        log.warning("The chart of run %s cannot be shown: %s", run.run_id, error)
        return None
    return content if is_chart(content) else None


def tidy(run_dir: Path, *, keep: Collection[str] = ()) -> None:
    """Leave only the files of these names in a run's folder: an input may be large, a script may have left
    anything."""
    try:
        clear_folder(run_dir, keep=keep)
    except FileNotFoundError:
        # A run that failed before it had one.
        pass
    except OSError as error:
        log.warning("The folder %s cannot be tidied: %s", run_dir, error)


def sweep(runs_dir: Path, known: Callable[[Collection[str]], Collection[str]]) -> None:
    """Remove the folders of runs that are no longer on record, also those that an earlier try left.

    The folder may hold other things than ours, where JOB_STORAGE_PATH names a shared place: those stay.

    Args:
        known: those of some run identifiers that are on record.
    """
    found = [folder for folder in runs_dir.iterdir() if is_run_id(folder.name)] if runs_dir.is_dir() else []
    for start in range(0, len(found), _BATCH):
        folders = {folder.name: folder for folder in found[start : start + _BATCH]}
        for name in folders.keys() - set(known(folders.keys())):
            try:
                if folders[name].is_dir():
                    remove_tree(folders[name])
            except OSError as error:
                log.warning("%s cannot be removed: %s", folders[name], error)


def read_preview(run_dir: Path, run: Run, limit: int) -> Preview:
    """The first rows of a kept result; none where it is not kept. A column of numbers alone counts as numeric.

    They are those of its first mebibyte: a script may have left a line of any length.
    """
    try:
        with open_result(run_dir) as file:
            head = file.read(_PREVIEW_BYTES)
            cut = bool(file.read(1))
        header, *rows = _first_records(head, limit + 1, cut=cut)
    except (ExecutionError, OSError, ValueError, csv.Error):
        return Preview()
    columns = list(itertools.zip_longest(*rows, fillvalue=""))
    return Preview(
        columns=tuple(header),
        numeric=tuple(all(_is_number(cell) for cell in column) for column in columns) or (False,) * len(header),
        rows=tuple(tuple(row) for row in rows),
        total_rows=run.rows_out or len(rows),
        total_columns=len(header),
    )


def _first_records(head: bytes, limit: int, *, cut: bool) -> list[list[str]]:
    """The first records of a CSV; where only its head is there, without the last, which may be half of one.

    Raises:
        ValueError, csv.Error: it is none.
    """
    allow_long_cells()
    # Not `decode`: the last letter may be half of one too.
    text = io.StringIO(codecs.getincrementaldecoder("utf-8")().decode(head, final=not cut), newline="")
    records = list(itertools.islice(csv.reader(text), limit))
    return records[:-1] if cut and not text.read(1) else records


def _is_number(text: str) -> bool:
    try:
        float(text or "0")
    except ValueError:
        return False
    return True
