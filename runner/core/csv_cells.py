"""How long a cell of a CSV may be to Python's own reader: a setting of the process, and 128 KiB unless set."""

import csv

_LONGEST = 1 << 30


def allow_long_cells() -> None:
    """Let `csv.reader` take cells of any length. Whoever calls it has bounded the text already."""
    csv.field_size_limit(_LONGEST)
