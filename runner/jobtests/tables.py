"""CSV bytes → Table. Pure."""

import csv
import io

from runner.core.csv_cells import allow_long_cells
from runner.jobtests.cells import typed
from runner.jobtests.values import Rows, Table


class TableError(ValueError):
    """Bytes that are no table: the message says why, and where."""


def read_table(content: bytes) -> Table:
    """The table in a CSV file: UTF-8, a line of column names first. A line with nothing on it is no row.

    Raises:
        TableError: it is something else.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise TableError(f"line {line} is not UTF-8") from error
    allow_long_cells()
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        columns = next(reader, None)
        if not columns:
            raise TableError("there is no line of column names")
        rows = []
        for cells in reader:
            if len(cells) != len(columns) and cells:
                raise TableError(f"line {reader.line_num} has {len(cells)} cells, the first has {len(columns)}")
            if cells:
                rows.append(tuple(cells))
    except csv.Error as error:
        raise TableError(f"line {reader.line_num}: {error}") from error
    return Table(columns=tuple(columns), rows=tuple(rows))


def expected_rows(table: Table) -> Rows:
    """The rows of an expected file, each cell as what it means."""
    return Rows(columns=table.columns, cells=tuple(tuple(map(typed, row)) for row in table.rows))
