"""Decimals of more than 38 digits, which Parquet may have: DuckDB makes floats of them.

A column of them is left what it is where each float is the very value that the file has. Else it is refused where
it is read, and there alone: a query over the other columns goes on.
"""

from typing import TYPE_CHECKING

import duckdb

from runner.execution.steps.quoting import quote_name, quote_text
from runner.execution.steps.typed import DIGITS_LOST, REFUSED

if TYPE_CHECKING:
    import pyarrow.parquet as pq

_MOST_DIGITS = 38
_AT_ONCE = 1 << 16


def refused_cells(connection: duckdb.DuckDBPyConnection, paths: tuple[str, ...]) -> list[str]:
    """SQL for the cells of each column of Parquet files that has digits which DuckDB would round: it fails.

    Raises:
        duckdb.Error, OSError, ValueError: a file is damaged.
    """
    every = f"[{', '.join(map(quote_text, paths))}]"
    wide = f"SELECT DISTINCT file_name FROM parquet_schema({every}) WHERE precision > {_MOST_DIGITS}"  # noqa: S608
    found: dict[str, str] = {}
    for (path,) in connection.execute(wide).fetchall():
        for name, kind in _rounded(connection, path).items():
            said = f"{REFUSED}: column '{name}' has decimals of more than {_MOST_DIGITS} digits, {DIGITS_LOST}"
            # DuckDB joins the columns of several files by their names in any case.
            found.setdefault(name.casefold(), f"CAST(error({quote_text(said)}) AS {kind}) AS {quote_name(name)}")
    return list(found.values())


def _rounded(connection: duckdb.DuckDBPyConnection, path: str) -> dict[str, str]:
    """The columns of a file that have digits which DuckDB would round: of what type it takes each for, by name."""
    # Here, as few files have them.
    import pyarrow.parquet as pq
    from pyarrow.types import is_decimal256

    rows = f"FROM read_parquet({quote_text(path)})"
    described = connection.execute(f"DESCRIBE {rows}").fetchall()
    found = {}
    with pq.ParquetFile(path) as file:
        # Behind those of the file DuckDB has columns of its folders, such as `year=2026`.
        for (name, kind, *_), field in zip(described, file.schema_arrow, strict=False):
            if is_decimal256(field.type):
                cells = connection.execute(f"SELECT {quote_name(name)} {rows}")
                if name != field.name or not _is_exact(file, name, cells):
                    found[name] = kind
            elif "decimal256" in str(field.type):
                # Within its cells, which are not looked at.
                found[name] = kind
    return found


def _is_exact(file: "pq.ParquetFile", name: str, cells: duckdb.DuckDBPyConnection) -> bool:
    """Whether the floats of a column, which `cells` answers with, are the decimals that it has in the file."""
    import pyarrow as pa
    import pyarrow.compute as pc

    for batch in file.iter_batches(batch_size=_AT_ONCE, columns=[name]):
        decimals = batch.column(0)
        floats = pa.array([cell for (cell,) in cells.fetchmany(len(decimals))], pa.float64())
        try:
            same = pc.equal(floats.cast(pa.string()).cast(decimals.type), decimals)
        except pa.ArrowInvalid:
            # Digits that the decimals have no place for.
            return False
        if not pc.all(same, min_count=0).as_py():
            return False
    return True
