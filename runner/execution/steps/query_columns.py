"""The columns of a DuckDB result, by their types: the SQL for their cells in a CSV and on a sheet."""

import re
from collections.abc import Mapping
from typing import NamedTuple

import duckdb

from runner.execution.steps.cells import Guard
from runner.execution.steps.sheet import CellStyle
from runner.execution.steps.writing import Column, text_cells

_WHOLE = re.compile(r"U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER")
_NUMBERS = re.compile(rf"{_WHOLE.pattern}|FLOAT|DOUBLE|DECIMAL\(.*\)")
_MOMENTS = re.compile(r"DATE|TIMESTAMP(_S|_MS|_NS)?")
# Those whose cells may have parts of a second.
_FINE = re.compile(r"TIME|TIMESTAMP(_MS|_NS)?")
# No value of these types is a formula; all others are handled as texts.
_HARMLESS = re.compile(
    rf"{_NUMBERS.pattern}|{_MOMENTS.pattern}|TIME(_NS)?|(TIME|TIMESTAMP) WITH TIME ZONE|BOOLEAN|INTERVAL|UUID|BIT"
    r"|(STRUCT|MAP)\(.*\)|.*\[[0-9]*\]",
    re.DOTALL,
)
# Days from 1899-12-30 to 1970-01-01; microseconds in a day. Not milliseconds: `epoch_ms` of DuckDB 2.0.1 takes no
# TIMESTAMP_S, TIMESTAMP_MS and TIMESTAMP_NS.
_EPOCH_DAYS, _DAY_US = 25_569, 86_400_000_000.0
# What ISO 8601 and DuckDB have, and most others take for the beginning of the day.
END_OF_DAY = "TIME '24:00:00'"
# By whether a column has whole seconds, milliseconds or finer times: a sheet has no number for these.
_MOMENT_STYLES = (CellStyle.SECOND, CellStyle.FRACTION, None)
_CLOCK_STYLES = (CellStyle.CLOCK, CellStyle.CLOCK_FRACTION, None)


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
    def is_whole(self) -> bool:
        """Whether its cells are whole numbers."""
        return bool(_WHOLE.fullmatch(self.kind))

    @property
    def is_float(self) -> bool:
        """Whether a cell may be NaN."""
        return self.kind in {"FLOAT", "DOUBLE"}

    @property
    def is_zoned(self) -> bool:
        """Whether its cells are moments, which a clock shows by its zone."""
        return self.kind == "TIMESTAMP WITH TIME ZONE"

    @property
    def is_moment(self) -> bool:
        """Whether its cells are dates or times of a day."""
        return bool(_MOMENTS.fullmatch(self.kind)) or self.is_zoned

    @property
    def fineness(self) -> str | None:
        """SQL over all its cells: 0 where they are whole seconds, 1 where they are milliseconds, 2 where they are
        finer; None where that is no question."""
        if not _FINE.fullmatch(self.kind):
            return None
        ticks, per_ms = ("epoch_ns", 1_000_000) if self.kind == "TIMESTAMP_NS" else ("epoch_us", 1000)
        left = f"{ticks}({self.key}) %"
        return f"max(CASE WHEN {left} {per_ms} <> 0 THEN 2 WHEN {left} {1000 * per_ms} <> 0 THEN 1 ELSE 0 END)"

    def style(self, fineness: int) -> CellStyle | None:
        """How its cells are shown on a sheet, where they are moments."""
        if self.kind == "TIME":
            return _CLOCK_STYLES[fineness]
        if self.kind == "DATE":
            return CellStyle.DAY
        return _MOMENT_STYLES[fineness] if _MOMENTS.fullmatch(self.kind) else None

    def csv(self, guard: Guard) -> Column:
        """The column as it is written to a CSV."""
        cells = self.key if self._harmless else self._text(guard)
        return Column(name=self.name, cells=cells, numeric=self.numeric)

    def sheet(self, guard: Guard, style: CellStyle | None) -> str:
        """SQL for its cells on a sheet: numbers, truths, texts; moments that have a style as the number of their
        day."""
        if self.kind == "FLOAT":
            # By its text, which is shorter than the long number of its value.
            return f"CAST(CAST({self.key} AS VARCHAR) AS DOUBLE)"
        if self.kind == "BOOLEAN" or self.numeric:
            return self.key
        if style is None:
            return self._text(guard)
        day = f"epoch_us({self.key}) / {_DAY_US}"
        known = f"isfinite({self.key}) AND {self.key} >= DATE '1900-03-01' AND year({self.key}) <= 9999"
        if self.kind == "TIME":
            # A whole day would be shown as 00:00:00.
            known = f"{self.key} < {END_OF_DAY}"
        else:
            day += f" + {_EPOCH_DAYS}"
        either = "UNION(serial DOUBLE, shown VARCHAR)"
        serial, shown = f"CAST({day} AS {either})", f"CAST({self._text(guard)} AS {either})"
        return f"CASE WHEN {self.key} IS NULL THEN NULL WHEN {known} THEN {serial} ELSE {shown} END"

    @property
    def _harmless(self) -> bool:
        return bool(_HARMLESS.fullmatch(self.kind))

    def _text(self, guard: Guard) -> str:
        text = f"CAST({self.key} AS VARCHAR)"
        return text if self._harmless else text_cells(text, guard=guard)


def describe(
    connection: duckdb.DuckDBPyConnection, query: str, values: Mapping[str, int | float | str | None]
) -> tuple[QueryColumn, ...]:
    """The columns of a query. Of several with one name all but the first get a number, as in the CSV: `region_1`.

    Raises:
        duckdb.Error: it is wrong.
    """
    rows = connection.execute(f"DESCRIBE {query}", dict(values)).fetchall()
    if len({name.lower() for name, *_ in rows}) < len(rows):
        # The names that DuckDB gives them where they have to differ.
        rows = connection.execute(f"DESCRIBE FROM ({query}\n)", dict(values)).fetchall()
    return tuple(QueryColumn(place, name, kind) for place, (name, kind, *_) in enumerate(rows))
