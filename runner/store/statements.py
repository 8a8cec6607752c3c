"""Statements of SQLAlchemy Core, rendered once: rendering one costs several times what running it does."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

_DIALECT = sqlite.dialect(paramstyle="qmark")


class Statement:
    """A statement that is run again and again on the driver's connection. Times are microseconds.

    Args:
        clause: its values are bound parameters, named as their columns in an INSERT.
        columns: of an INSERT, those that are given; all of the table where empty.
    """

    __slots__ = ("_fixed", "_pick", "text")

    def __init__(self, clause: ClauseElement, *, columns: Sequence[str] = ()) -> None:
        compiled = clause.compile(dialect=_DIALECT, column_keys=list(columns) or None)
        assert isinstance(compiled, SQLCompiler)
        self.text = str(compiled)
        self._fixed = {name: value for name, value in compiled.params.items() if value is not None}
        # In the order of the marks: the driver is far slower at finding each by its name.
        names = tuple(compiled.positiontup or ())
        self._pick: Callable[[Mapping[str, Any]], tuple[Any, ...]] = (
            itemgetter(*names) if len(names) > 1 else lambda values: tuple(values[name] for name in names)
        )

    def run(self, connection: sqlite3.Connection, values: Mapping[str, Any] | None = None) -> sqlite3.Cursor:
        """Run it once."""
        return connection.execute(self.text, self._pick({**self._fixed, **(values or {})}))

    def run_many(self, connection: sqlite3.Connection, rows: Iterable[Mapping[str, Any]]) -> int:
        """Run it for each of many; answers how many rows were changed."""
        return connection.executemany(self.text, map(self._pick, rows)).rowcount

    def first(self, connection: sqlite3.Connection, values: Mapping[str, Any] | None = None) -> Any:
        """The first value of the first row; None where there is no row."""
        row = self.run(connection, values).fetchone()
        return None if row is None else row[0]

    def mappings(
        self, connection: sqlite3.Connection, values: Mapping[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Each row as column → value."""
        cursor = self.run(connection, values)
        names = [column[0] for column in cursor.description]
        for row in cursor.fetchall():
            yield dict(zip(names, row, strict=True))
