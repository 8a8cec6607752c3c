"""The columns of a DuckDB result, by their types: the SQL for their cells in a CSV and on a sheet."""

import re
from typing import NamedTuple

import duckdb

from runner.execution.steps.cells import Guard
from runner.execution.steps.sheet import CellStyle
from runner.execution.steps.writing import Column, text_cells

_WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER")
_NUMBERS = re.compile(rf"{_WHOLE.pattern}|FLOAT|DOUBLE|DECIMAL\(.*\)")
_MOMENTS = re.compile(r"DATE|TIMESTAMP(_S|_MS|_NS)?")
# No value of these types is a formula; all others are handled as texts.
_HARMLESS = re.compile(
    rf"{_NUMBERS.pattern}|{_MOMENTS.pattern}|TIME(_NS)?|(TIME|TIMESTAMP) WITH TIME ZONE|BOOLEAN|INTERVAL|UUID|BIT"
    r"|(STRUCT|MAP)\(.*\)|.*\[[0-9]*\]",
    re.DOTALL,
)
# Days from 1899-12-30 to 1970-01-01; milliseconds in a day.
_EPOCH_DAYS, _DAY_MS = 25_569, 86_400_000.0


class QueryColumn(NamedTuple):
    """One column of a result whose columns are c0, c1, …: its place, the name it gets, and its type."""

    place: int
    name: str
    kind: str

    @property
    def key(self) -> str:
        """What it is called in SQL."""
        return f"c{self.place}"

    @property
    def numeric(self) -> bool:
        """Whether its cells are numbers."""
        return bool(_NUMBERS.fullmatch(self.kind))

    @property
    def style(self) -> CellStyle | None:
        """How its cells are shown on a sheet, where they are moments."""
        if self.kind == "TIME":
            return CellStyle.CLOCK
        if self.kind == "DATE":
            return CellStyle.DAY
        return CellStyle.SECOND if _MOMENTS.fullmatch(self.kind) else None

    def csv(self, guard: Guard) -> Column:
        """The column as it is written to a CSV."""
        cells = self.key if self._harmless else self._text(guard)
        return Column(name=self.name, cells=cells, numeric=self.numeric)

    def sheet(self, guard: Guard) -> str:
        """SQL for its cells on a sheet: numbers, truths, texts; moments as the number of their day."""
        if self.kind == "FLOAT":
            # By its text, which is shorter than the long number of its value.
            return f"CAST(CAST({self.key} AS VARCHAR) AS DOUBLE)"
        if self.kind == "BOOLEAN" or self.numeric:
            return self.key
        if self.kind == "TIME":
            return f"epoch_ms({self.key}) / {_DAY_MS}"
        if _MOMENTS.fullmatch(self.kind):
            either = "UNION(serial DOUBLE, shown VARCHAR)"
            known = f"isfinite({self.key}) AND {self.key} >= DATE '1900-03-01' AND year({self.key}) <= 9999"
            serial = f"CAST(epoch_ms({self.key}) / {_DAY_MS} + {_EPOCH_DAYS} AS {either})"
            shown = f"CAST({self._text(guard)} AS {either})"
            return f"CASE WHEN {self.key} IS NULL THEN NULL WHEN {known} THEN {serial} ELSE {shown} END"
        return self._text(guard)

    @property
    def _harmless(self) -> bool:
        return bool(_HARMLESS.fullmatch(self.kind))

    def _text(self, guard: Guard) -> str:
        text = f"CAST({self.key} AS VARCHAR)"
        return text if self._harmless else text_cells(text, guard=guard)


def describe(
    connection: duckdb.DuckDBPyConnection, query: str, values: dict[str, int | str]
) -> tuple[QueryColumn, ...]:
    """The columns of a query.

    Raises:
        duckdb.Error: it is wrong.
    """
    rows = connection.execute(f"DESCRIBE {query}", values).fetchall()
    return tuple(QueryColumn(place, name, kind) for place, (name, kind, *_) in enumerate(rows))
