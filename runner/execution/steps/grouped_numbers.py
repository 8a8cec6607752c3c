"""Numbers with a sign for thousands in a CSV, which are texts to a step: told where nothing fails by them."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice

from runner.core.csv_cells import allow_long_cells
from runner.core.source import FileType
from runner.execution.orders import StepInput, cut
from runner.execution.steps.packed import head_of
from runner.execution.steps.typed import grouped_hint, types_of

# The first rows tell how a column is written: so much of a file is looked at, and so many lines of that.
_HEAD_BYTES, _ROWS = 64 << 10, 100
_CELL_WIDTH = 40


def grouped_note(inputs: Sequence[StepInput]) -> str:
    """What a person should know of the first column of texts whose first cells are numbers such as `1.234,50`, and
    whose type the job does not name: the largest of them is that of texts. Empty where there is none."""
    for source in inputs:
        if source.format is FileType.CSV:
            for name, cell in _grouped_columns(source):
                whose = f" of the source '{source.name}'" if len(inputs) > 1 else ""
                told = f"the column '{name}'{whose} has texts such as '{cell}', which sort and compare as texts"
                return f"{told}: {grouped_hint(cell, name)}"
    return ""


def _grouped_columns(source: StepInput) -> Iterator[tuple[str, str]]:
    """The columns all of whose first cells look so, of which one at least is no number as it stands; with that."""
    table = source.table
    names, *rows = _first_rows(source) or [[]]
    types = types_of(table)
    # Possessive: a long cell must not be looked at again and again.
    plain = re.compile(rf"[+-]?[0-9]*+{re.escape(table.decimal)}?[0-9]*+")
    for place, name in enumerate(names):
        if name in types or (table.columns and name not in table.columns):
            continue
        cells = list(filter(None, (row[place].strip() for row in rows if place < len(row))))
        text = next((cell for cell in cells if not plain.fullmatch(cell)), "")
        if text and all(plain.fullmatch(cell) or grouped_hint(cell, name) for cell in cells):
            yield name, cut(text, _CELL_WIDTH)


def _first_rows(source: StepInput) -> list[list[str]]:
    """The names of the columns and the first rows of the first file, as far as these are read; none where it is no
    such text."""
    allow_long_cells()
    head = head_of(source.paths[0], _HEAD_BYTES)
    with suppress(UnicodeError, csv.Error):
        encoding = "utf-8-sig" if source.table.encoding == "utf-8" else source.table.encoding
        text = head.decode(encoding, errors="ignore" if len(head) == _HEAD_BYTES else "strict")
        lines = text.splitlines(keepends=True)
        # The last line may be a part of one.
        whole = "".join(lines[:-1] if len(head) == _HEAD_BYTES else lines)
        rows = csv.reader(io.StringIO(whole, newline=""), delimiter=source.table.delimiter)
        return list(islice(filter(None, rows), _ROWS + 1))
    return []
