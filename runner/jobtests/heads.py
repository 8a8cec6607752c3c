"""The first rows of a data file, as a file of its own."""

import csv
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import time
from itertools import islice
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from runner.core.csv_cells import allow_long_cells
from runner.core.source import FileType
from runner.execution.orders import StepInput
from runner.execution.steps.packed import UNREADABLE, open_text
from runner.execution.steps.sheet_errors import cell_errors, tells_errors
from runner.execution.steps.sheet_names import sheet_names


def write_head(whole: StepInput, path: Path, count: int) -> StepInput | None:
    """Write the first `count` rows to `path`. None where the file is not what it should be: the step says why."""
    writers = {
        FileType.CSV: _write_csv,
        FileType.NDJSON: _write_ndjson,
        FileType.JSON: _write_json,
        FileType.PARQUET: _write_parquet,
        FileType.XLSX: _write_xlsx,
    }
    try:
        return writers[whole.format](whole, path, count)
    except (*UNREADABLE, TypeError, RecursionError, csv.Error):
        return None


def _write_csv(whole: StepInput, path: Path, count: int) -> StepInput:
    allow_long_cells()
    encoding = whole.table.encoding
    with (
        open_text(str(_file(whole)), encoding) as source,
        path.open("w", encoding=encoding, newline="") as head,
    ):
        taken: list[str] = []

        def lines() -> Any:
            for line in source:
                taken.append(line)
                yield line

        # Lines are copied as they stand; the reader tells where a row ends. The line of names is one more.
        for _ in islice(csv.reader(lines(), delimiter=whole.table.delimiter), count + 1):
            pass
        head.writelines(taken)
    return replace(whole, paths=(str(path),))


def _write_ndjson(whole: StepInput, path: Path, count: int) -> StepInput:
    with open_text(str(_file(whole))) as source, path.open("w", encoding="utf-8") as head:
        head.writelines(islice((line for line in source if line.strip()), count))
    return replace(whole, paths=(str(path),))


def _write_json(whole: StepInput, path: Path, count: int) -> StepInput | None:
    with open_text(str(_file(whole))) as source:
        document = json.load(source)
    if whole.records_path is not None:
        import jmespath

        document = jmespath.search(whole.records_path, document)
    if isinstance(document, list):
        document = document[:count]
    elif isinstance(document, dict) and all(isinstance(column, list | dict) for column in document.values()):
        # Written by columns: a list of cells each, or cells by the number of their row.
        document = {
            name: column[:count] if isinstance(column, list) else dict(islice(column.items(), count))
            for name, column in document.items()
        }
    else:
        return None
    path.write_text(json.dumps(document), encoding="utf-8")
    return StepInput(name=whole.name, paths=(str(path),), format=FileType.JSON)


def _write_parquet(whole: StepInput, path: Path, count: int) -> StepInput:
    from pyarrow import parquet

    with parquet.ParquetFile(_file(whole)) as source:
        batches = source.iter_batches(batch_size=count)
        first = next(batches, None)
        with parquet.ParquetWriter(path, source.schema_arrow) as head:
            if first is not None:
                head.write_batch(first)
    return replace(whole, paths=(str(path),))


def _write_xlsx(whole: StepInput, path: Path, count: int) -> StepInput:
    from xlsxwriter import Workbook  # type: ignore[import-untyped]

    name, rows = _first_rows(whole, count + 1)
    if not tells_errors(str(_file(whole))):
        raise ValueError("it is a workbook of another kind")
    with Workbook(path, {"default_date_format": "yyyy-mm-dd hh:mm:ss", "strings_to_formulas": False}) as head:
        sheet = head.add_worksheet(name)
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
        clock = head.add_format({"num_format": "h:mm:ss"})
        for cell in cell_errors(str(_file(whole)), name, lambda: _times_in(rows)):
            # The reader of rows has nothing for it, or the wrong time.
            if cell.name is None or int(cell.name.lstrip(ascii_uppercase)) > len(rows):
                continue
            if cell.error.startswith("-"):
                sheet.write_number(cell.name, float(cell.error), clock)
            else:
                # Any formula will do: what is read is its value.
                sheet.write_formula(cell.name, "=NA()", None, cell.error)
    return replace(whole, paths=(str(path),))


def _first_rows(whole: StepInput, count: int) -> tuple[str, Sequence[Sequence[Any]]]:
    """The sheet that a run would read, and its first rows.

    Raises:
        ValueError: there is none.
    """
    import python_calamine

    try:
        names = [whole.table.sheet] if whole.table.sheet else sheet_names(_file(whole)).tables
        with python_calamine.load_workbook(_file(whole)) as book:
            sheets = ((name, book.get_sheet_by_name(name)) for name in names)
            found = ((name, sheet.to_python(skip_empty_area=False, nrows=count)) for name, sheet in sheets)
            return next((name, rows) for name, rows in found if rows)
    except (python_calamine.CalamineError, StopIteration) as error:
        raise ValueError(str(error)) from error


def _times_in(rows: Sequence[Sequence[object]]) -> set[tuple[int, int]]:
    return {
        (number, column)
        for number, row in enumerate(rows)
        for column, cell in enumerate(row)
        if type(cell) is time
    }


def _file(whole: StepInput) -> Path:
    """A test gives one file for a source."""
    return Path(whole.paths[0])
