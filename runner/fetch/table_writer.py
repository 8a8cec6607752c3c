"""Rows that arrive one chunk after the other → one Parquet file, in memory that does not grow."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from runner.fetch.table_types import NoTypeError, cast, common_type, first_type, to_array
from runner.fetch.worker_faults import WorkerError
from runner.fetch.worker_orders import FaultKind

_BATCH_ROWS = 10_000


class TableWriter:
    """Writes a table whose column types show only as its rows arrive.

    Where a chunk does not fit the types so far, a new file is begun with wider ones; in the end all are joined
    to one. Most tables are one file from the start.

    Args:
        path: the Parquet file; `{path}.1`, … are used on the way.
        names: the columns.
        declared: what the database says of each column: the type of one that has no value at all.
        max_bytes: how much the columns may take, before they are compressed.
    """

    def __init__(self, path: Path, names: Sequence[str], declared: Sequence[pa.DataType], max_bytes: int) -> None:
        self._path = path
        self._names = list(names)
        self._declared = declared
        self._max_bytes = max_bytes
        self._schema = pa.schema([(name, pa.null()) for name in names])
        self._parts: list[Path] = []
        self._writer: pq.ParquetWriter | None = None
        self.bytes = 0
        self.rows = 0

    def add(self, rows: Sequence[Sequence[Any]]) -> int:
        """Write some rows; how many bytes they take.

        Raises:
            WorkerError: they are more than `max_bytes` allows, or one is of no type.
            OSError: they cannot be written.
        """
        columns = [_array(name, values) for name, values in zip(self._names, zip(*rows, strict=True), strict=True)]
        table = pa.table(columns, names=self._names)
        self.bytes += table.nbytes
        self.rows += len(rows)
        if self.bytes > self._max_bytes:
            raise WorkerError(FaultKind.SIZE, "")
        wider = self._wider(table.schema)
        if self._writer is None or wider != self._schema:
            self._open_part(wider)
        self._write(table)
        return int(table.nbytes)

    def finish(self) -> int:
        """Close the file, with every column of a type; its size in bytes.

        Raises:
            OSError: it cannot be written.
        """
        kinds = (
            declared if pa.types.is_null(kind) else kind
            for kind, declared in zip(self._schema.types, self._declared, strict=True)
        )
        schema = pa.schema(list(zip(self._names, kinds, strict=True)))
        if len(self._parts) == 1 and schema == self._schema:
            self._close()
            self._parts[0].replace(self._path)
        else:
            self._close()
            self._join(schema)
        return self._path.stat().st_size

    def _wider(self, found: pa.Schema) -> pa.Schema:
        """The narrowest types that hold what was written, and a next piece."""
        return pa.schema(
            [
                (
                    one.name,
                    first_type(declared, other) if pa.types.is_null(one.type) else common_type(one.type, other),
                )
                for one, other, declared in zip(self._schema, found.types, self._declared, strict=True)
            ]
        )

    def _open_part(self, schema: pa.Schema) -> None:
        self._close()
        self._schema = schema
        self._parts.append(self._path.with_name(f"{self._path.name}.{len(self._parts) + 1}"))
        self._writer = pq.ParquetWriter(self._parts[-1], schema)

    def _write(self, table: pa.Table) -> None:
        if self._writer is not None:
            self._writer.write_table(_as(table, self._schema))

    def _close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _join(self, schema: pa.Schema) -> None:
        with pq.ParquetWriter(self._path, schema) as writer:
            for part in self._parts:
                for batch in _batches(part):
                    writer.write_table(_as(batch, schema))
                part.unlink()


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    try:
        return to_array(values)
    except NoTypeError as error:
        raise WorkerError(FaultKind.NO_TYPE, f"its column {name!r} has {error}") from None


def _batches(part: Path) -> Iterator[pa.Table]:
    with pq.ParquetFile(part) as file:
        for batch in file.iter_batches(_BATCH_ROWS):
            yield pa.Table.from_batches([batch])


def _as(table: pa.Table, schema: pa.Schema) -> pa.Table:
    if table.schema == schema:
        return table
    columns = [cast(column, field.type) for column, field in zip(table.columns, schema, strict=True)]
    return pa.table(columns, schema=schema)
