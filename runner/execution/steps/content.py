"""What a step has made: its table, in the forms that are attached beside the CSV."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import duckdb
import pandas as pd
import pyarrow as pa

from runner.execution.steps.cells import Guard
from runner.execution.steps.frame_columns import frame_column
from runner.execution.steps.parquet_columns import parquet_column
from runner.execution.steps.query_columns import END_OF_DAY, QueryColumn
from runner.execution.steps.quoting import quote_name, quote_text
from runner.execution.steps.sheet import CellStyle, SheetColumn, write_sheet
from runner.execution.steps.sheet_cells import sheet_columns, sheet_rows
from runner.execution.steps.writing import column_names, names_as_text

_ROWS_AT_ONCE = 5_000
_SEEN = "the table"
_NOTHING = "(SELECT 1 WHERE false)"
# What DuckDB makes of a sum of whole numbers, and the numbers that BIGINT and DECIMAL(38, 0) end before.
_SUMS = frozenset({"HUGEINT", "UHUGEINT"})
_BIGINT, _DECIMAL = 1 << 63, 10**38
# Parquet has spans of time that are not negative, which few can read, and times of a day without their offset.
_WITHOUT_FORM = frozenset({"INTERVAL", "TIME WITH TIME ZONE"})
# The types within lists, structs and maps; what stands in quotes is a name or a value of theirs. So is what has a
# type behind it: a field may be called HUGEINT.
_QUOTED = r"""("(?:[^"]|"")*"|'(?:[^']|'')*')"""
_INNER = re.compile(rf"{_QUOTED}|\b(?:U?HUGEINT|INTERVAL|TIME(?: WITH TIME ZONE)?)(?=[\[,)]|\Z)")
# Arrays of one length, which DuckDB writes such that other readers fail where one of them is a gap.
_ARRAY = re.compile(rf"{_QUOTED}|\[[0-9]+\]")


class Content(Protocol):
    """A table that can be written in other forms than CSV, and looked at."""

    def as_query(self, connect: Callable[[], duckdb.DuckDBPyConnection], *, timezone: str) -> "QueryContent":
        """The table as DuckDB sees it; `connect` gives a connection to one that lies elsewhere."""

    def write_parquet(self, path: str) -> None:
        """Write it with its types, its texts as they are."""

    def write_sheet(self, path: str, *, guard: Guard, folder: str) -> None:
        """Write it as a workbook; `folder` takes what is needed in between.

        Raises:
            StepError: kind ATTACHMENT, it does not fit on a sheet.
        """


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameContent:
    """The table of a script, or of JSON that is passed through."""

    frame: pd.DataFrame

    def as_query(self, connect: Callable[[], duckdb.DuckDBPyConnection], *, timezone: str) -> "QueryContent":
        """As of the protocol."""
        connection = connect()
        connection.execute(f"SET TimeZone = {quote_text(timezone)}")
        places = range(self.frame.shape[1])
        seen = [frame_column(self.frame.iloc[:, place]) for place in places]
        named = names_as_text(self.frame)
        if not seen:
            return QueryContent(connection=connection, columns=(), source=_NOTHING, total_rows=0)
        cells = {f"c{place}": column.cells for place, column in enumerate(seen)}
        connection.register(_SEEN, pd.DataFrame(cells, copy=False))
        source = quote_name(_SEEN)
        kinds = connection.execute(f"DESCRIBE FROM {source}").fetchall()
        columns = tuple(
            QueryColumn(place, name, column.kind or kind)
            for (place, name), column, (_, kind, *_) in zip(enumerate(named), seen, kinds, strict=True)
        )
        moments = {column.place: self.frame.iloc[:, column.place] for column in columns if column.is_zoned}
        return QueryContent(
            connection=connection, columns=columns, source=source, total_rows=len(self.frame), moments=moments
        )

    def write_parquet(self, path: str) -> None:
        """Write it by Arrow. A column that has no type of its own there is written as the texts of its cells."""
        # Here, as few steps need it.
        from pyarrow.parquet import write_table

        places = range(self.frame.shape[1])
        arrays = [parquet_column(self.frame.iloc[:, place]) for place in places]
        write_table(pa.Table.from_arrays(arrays, names=column_names(self.frame)), path)

    def write_sheet(self, path: str, *, guard: Guard, folder: str) -> None:
        """As of the protocol."""
        columns = sheet_columns(self.frame, column_names(self.frame), guard=guard)
        rows = sheet_rows(self.frame, guard=guard)
        write_sheet(path, columns, rows, total_rows=len(self.frame), folder=folder)


@dataclass(frozen=True, kw_only=True, slots=True)
class QueryContent:
    """The table of a query, or a file that is passed through. `source` is a table expression: columns c0, c1, …

    `moments` are the columns, by their places, whose times have a zone of their own: that of the session says
    nothing about them.
    """

    connection: duckdb.DuckDBPyConnection
    columns: Sequence[QueryColumn]
    source: str
    total_rows: int
    moments: Mapping[int, pd.Series] = field(default_factory=dict)

    def as_query(self, connect: Callable[[], duckdb.DuckDBPyConnection], *, timezone: str) -> "QueryContent":  # noqa: ARG002
        """Itself: it lies in a database, whose zone is set."""
        return self

    def write_parquet(self, path: str) -> None:
        """Write it by DuckDB, which gives the second of two columns of one name another."""
        arrays = {one.place: kind for one in self.columns if (kind := _with_lists(one.kind)) != one.kind}
        kinds = arrays | self._kinds_of_sums() | self._kinds_of_inner_sums() | self._kinds_without_form()
        cells = {place: f"CAST(c{place} AS {kind})" for place, kind in kinds.items()}
        named = ", ".join(
            f"{cells.get(column.place, column.key)} AS {quote_name(column.name)}" for column in self.columns
        )
        query = f"SELECT {named} FROM {self.source}"  # noqa: S608 - quoted
        self.connection.execute(f"COPY ({query}) TO {quote_text(path)} (FORMAT parquet, USE_TMP_FILE false)")

    def _kinds_of_sums(self) -> dict[int, str]:
        """As what the columns are written, by their places, whose type Parquet lacks: DuckDB would round them."""
        asked = [column for column in self.columns if column.kind in _SUMS]
        if not asked:
            return {}
        ends = ", ".join(f"min({column.key}), max({column.key})" for column in asked)
        found = self.connection.execute(f"SELECT {ends} FROM {self.source}").fetchone() or ()  # noqa: S608 - quoted
        return {
            column.place: _kind_between(found[2 * number] or 0, found[2 * number + 1] or 0)
            for number, column in enumerate(asked)
        }

    def _kinds_without_form(self) -> dict[int, str]:
        """As texts the columns, by their places, for which Parquet has no good form: as a script's spans are. It
        has none either for the end of a day, which most take for its beginning."""
        clocks = [column for column in self.columns if "TIME" in _inner(column.kind)]
        found: tuple[bool | None, ...] | None = None
        if clocks:
            ends = ", ".join(f"bool_or({_ends_day(column)})" for column in clocks)
            found = self.connection.execute(f"SELECT {ends} FROM {self.source}").fetchone()  # noqa: S608 - quoted
        places = [column.place for column, ends_day in zip(clocks, found or (), strict=True) if ends_day]
        places += [column.place for column in self.columns if _inner(column.kind) & _WITHOUT_FORM]
        return dict.fromkeys(places, "VARCHAR")

    def _kinds_of_inner_sums(self) -> dict[int, str]:
        """As what the columns are written, by their places, within whose lists, structs or maps are such sums."""
        asked = [column for column in self.columns if column.kind not in _SUMS and _inner(column.kind) & _SUMS]
        return {
            column.place: next(filter(partial(self._fits, column), _without_sums(_with_lists(column.kind))))
            for column in asked
        }

    def _fits(self, column: QueryColumn, kind: str) -> bool:
        try:
            self.connection.execute(f"SELECT count(CAST({column.key} AS {kind})) FROM {self.source}")  # noqa: S608
        except (duckdb.ConversionException, duckdb.ParserException):
            # A number is too large; or the type cannot be written in SQL.
            return False
        return True

    def write_sheet(self, path: str, *, guard: Guard, folder: str) -> None:
        """As of the protocol."""
        columns = [
            SheetColumn(guard(column.name), style)
            for column, style in zip(self.columns, self._styles(), strict=True)
        ]
        write_sheet(path, columns, self._rows(columns, guard), total_rows=self.total_rows, folder=folder)

    def _styles(self) -> list[CellStyle | None]:
        asked = {column.place: column.fineness for column in self.columns if column.fineness}
        found: tuple[int | None, ...] | None = None
        if asked:
            query = f"SELECT {', '.join(asked.values())} FROM {self.source}"  # noqa: S608 - quoted
            found = self.connection.execute(query).fetchone()
        finest = dict(zip(asked, found or (), strict=True))
        # A column without a single time has no fineness.
        return [column.style(finest.get(column.place) or 0) for column in self.columns]

    def _rows(self, shown: Sequence[SheetColumn], guard: Guard) -> Iterator[tuple[Any, ...]]:
        cells = ", ".join(column.sheet(guard, one.style) for column, one in zip(self.columns, shown, strict=True))
        self.connection.execute(f"SELECT {cells} FROM {self.source}")  # noqa: S608 - quoted
        while rows := self.connection.fetchmany(_ROWS_AT_ONCE):
            yield from rows


def _kind_between(least: int, most: int) -> str:
    """The first type of Parquet that has all whole numbers between these."""
    if least >= -_BIGINT and most < _BIGINT:
        return "BIGINT"
    return "DECIMAL(38, 0)" if least > -_DECIMAL and most < _DECIMAL else "VARCHAR"


def _ends_day(column: QueryColumn) -> str:
    """SQL for whether a cell is the end of a day, or has one within it: its text tells."""
    if column.kind == "TIME":
        return f"{column.key} = {END_OF_DAY}"
    return f"contains(CAST({column.key} AS VARCHAR), '24:00:00')"


def _inner(kind: str) -> frozenset[str]:
    """Which of the types that Parquet lacks a type is, or holds. TIME is one of them: it lacks its last time."""
    return frozenset(found.group() for found in _INNER.finditer(kind) if not found[1])


def _with_lists(kind: str) -> str:
    """A type with lists in the place of arrays of one length."""
    return _ARRAY.sub(lambda found: found[1] or "[]", kind)


def _without_sums(kind: str) -> Iterator[str]:
    """A type with others in the place of those of sums, the best one first."""
    for whole in ("BIGINT", "DECIMAL(38, 0)"):
        yield _INNER.sub(lambda found, whole=whole: whole if found[0] in _SUMS else found[0], kind)  # type: ignore[misc]
    yield "VARCHAR"
