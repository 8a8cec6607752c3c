"""An input of a query, as DuckDB is given it."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from runner.core.source import FileType
from runner.execution.orders import StepInput
from runner.execution.steps.packed import duckdb_packing, is_packed, size_of
from runner.execution.steps.quoting import quote_text

# So much smaller a text is when it is compressed, about.
_PACKING = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class Relation:
    """One input as DuckDB reads it: files, or a table in memory.

    `view` is what a query calls it; `sparing` says that there is little memory for it. `line_end` is that of a
    CSV, where DuckDB has to be told.
    """

    source: StepInput
    view: str
    files: tuple[str, ...] = ()
    frame: pd.DataFrame | None = None
    sparing: bool = False
    line_end: str = ""


def files_of(relation: Relation) -> str:
    """The files as the first arguments of a reader. For a name with a `?` DuckDB does not see its end."""
    if relation.source.format is FileType.PARQUET:
        packing = ""
    else:
        packing = f", compression = '{duckdb_packing(relation.files)}'"
    if len(relation.files) == 1:
        return quote_text(relation.files[0]) + packing
    return f"[{', '.join(map(quote_text, relation.files))}], union_by_name = true{packing}"


def weight_of(files: Sequence[str]) -> int:
    """About how many bytes of text there are in files."""
    return sum(size_of(path) * (_PACKING if is_packed(path) else 1) for path in files)
