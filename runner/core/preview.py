"""A Preview: the first rows of a table, as text."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Preview:
    """The first rows of a table as text. `numeric[i]` says that column i is aligned right."""

    columns: tuple[str, ...] = ()
    numeric: tuple[bool, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    total_rows: int = 0
    total_columns: int = 0
