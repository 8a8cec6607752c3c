"""A result against what is expected of it → the differences. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from runner.jobtests.cells import matches, shown
from runner.jobtests.matching import Row, TextRow, unmatched_rows
from runner.jobtests.values import Cell, Comparison, Difference, DifferenceKind, Rows, Table

# What is kept to be shown; all are counted.
_SHOWN = 20
_LONGEST_SHOWN = 200
# Rows without a partner among which the nearest are looked for.
_NEAREST_OF = 100
_WORDS = {
    DifferenceKind.MISSING_COLUMN: ("column is missing", "columns are missing"),
    DifferenceKind.SURPLUS_COLUMN: ("column is not expected", "columns are not expected"),
    DifferenceKind.COLUMN_ORDER: ("column stands in another place", "columns stand in other places"),
    DifferenceKind.CELL: ("cell differs", "cells differ"),
    DifferenceKind.MISSING_ROW: ("row is missing", "rows are missing"),
    DifferenceKind.SURPLUS_ROW: ("row is not expected", "rows are not expected"),
}


def compare_rows(rows: Rows, table: Table, *, tolerance: float | None, row_order: bool) -> Comparison:
    """The rows of a result against expected ones: the same columns in any order, and the same rows.

    Expected rows without a column, as an empty list has, say that there is no row, whatever the columns.
    """
    if not rows.columns:
        return _found(_surplus(table, range(len(table.rows))))
    if Counter(rows.columns) != Counter(table.columns):
        return _found(_columns(rows.columns, table.columns))
    order = _places(rows.columns, table.columns)
    got = [tuple(row[place] for place in order) for row in table.rows]
    if row_order:
        return _found(_in_order(rows, got, tolerance, table))
    return _found(_in_any_order(rows, got, tolerance, table))


def compare_columns(expected: Sequence[str], table: Table) -> Comparison:
    """The names of the columns, in their order."""
    if Counter(expected) != Counter(table.columns):
        return _found(_columns(expected, table.columns))
    return _found(
        Difference(kind=DifferenceKind.COLUMN_ORDER, column=str(place), expected=wanted, got=found)
        for place, (wanted, found) in enumerate(zip(expected, table.columns, strict=True), start=1)
        if wanted != found
    )


def compare_row_count(expected: int, table: Table) -> Comparison:
    """The number of rows."""
    count = len(table.rows)
    different = Difference(kind=DifferenceKind.ROW_COUNT, expected=f"{expected}", got=f"{count}")
    return _found([different] if count != expected else [])


def together(comparisons: Iterable[Comparison]) -> Comparison:
    """Several comparisons of one result as one; what two of them found is kept once."""
    counts: Counter[DifferenceKind] = Counter()
    differences: dict[Difference, None] = {}
    for one in comparisons:
        differences.update(dict.fromkeys(one.differences))
        for kind, count in one.counts:
            counts[kind] = max(counts[kind], count)
    return Comparison(differences=tuple(differences)[:_SHOWN], counts=tuple(counts.items()))


def summary(comparison: Comparison) -> str:
    """`2 cells differ, 1 row is missing`; empty where nothing differs."""
    counts = dict(comparison.counts)
    told = [f"{counts[kind]:,} {words[counts[kind] != 1]}" for kind, words in _WORDS.items() if kind in counts]
    if DifferenceKind.ROW_COUNT in counts:
        told.insert(0, "the number of rows differs")
    return ", ".join(told)


def _found(differences: Iterable[Difference]) -> Comparison:
    counts: Counter[DifferenceKind] = Counter()
    kept: list[Difference] = []
    for one in differences:
        counts[one.kind] += 1
        if len(kept) < _SHOWN:
            kept.append(one)
    return Comparison(differences=tuple(kept), counts=tuple(counts.items()))


def _columns(expected: Sequence[str], got: Sequence[str]) -> Iterator[Difference]:
    for name in (Counter(expected) - Counter(got)).elements():
        yield Difference(kind=DifferenceKind.MISSING_COLUMN, column=name)
    for name in (Counter(got) - Counter(expected)).elements():
        yield Difference(kind=DifferenceKind.SURPLUS_COLUMN, column=name)


def _places(expected: Sequence[str], got: Sequence[str]) -> list[int]:
    """Where each expected column stands in the result."""
    waiting: dict[str, list[int]] = {}
    for place in range(len(got) - 1, -1, -1):
        waiting.setdefault(got[place], []).append(place)
    return [waiting[name].pop() for name in expected]


def _in_order(rows: Rows, got: Sequence[TextRow], tolerance: float | None, table: Table) -> Iterator[Difference]:
    for number, (wanted, found) in enumerate(zip(rows.cells, got, strict=False)):
        yield from _cells(rows.columns, number, wanted, found, tolerance)
    yield from _missing(rows, range(len(got), len(rows.cells)))
    yield from _surplus(table, range(len(rows.cells), len(got)))


def _in_any_order(
    rows: Rows, got: Sequence[TextRow], tolerance: float | None, table: Table
) -> Iterator[Difference]:
    missing, surplus = unmatched_rows(rows.cells, got, tolerance)
    pairs = _nearest(rows.cells, got, missing, surplus, tolerance)
    for number, other in pairs:
        yield from _cells(rows.columns, number, rows.cells[number], got[other], tolerance)
    wanted, found = {number for number, _ in pairs}, {other for _, other in pairs}
    yield from _missing(rows, (number for number in missing if number not in wanted))
    yield from _surplus(table, (number for number in surplus if number not in found))


def _nearest(
    expected: Sequence[Row],
    got: Sequence[TextRow],
    missing: list[int],
    surplus: list[int],
    tolerance: float | None,
) -> list[tuple[int, int]]:
    """Rows without a partner that are told as differing cells: where at least half of the cells agree."""
    if len(missing) == len(surplus) == 1:
        return [(missing[0], surplus[0])]
    free = dict.fromkeys(surplus[:_NEAREST_OF])
    pairs = []
    for number in missing[:_NEAREST_OF]:
        wanted = expected[number]
        agreeing = {other: _agreeing(wanted, got[other], tolerance) for other in free}
        best = max(agreeing, key=lambda other: agreeing[other], default=None)
        if best is not None and agreeing[best] >= max(1, len(wanted) / 2):
            pairs.append((number, best))
            del free[best]
    return pairs


def _agreeing(wanted: Row, found: TextRow, tolerance: float | None) -> int:
    return sum(matches(cell, text, tolerance) for cell, text in zip(wanted, found, strict=True))


def _cells(
    columns: Sequence[str], number: int, wanted: Row, found: TextRow, tolerance: float | None
) -> Iterator[Difference]:
    for name, cell, text in zip(columns, wanted, found, strict=True):
        if not matches(cell, text, tolerance):
            yield Difference(
                kind=DifferenceKind.CELL,
                row=number + 1,
                column=name,
                expected=_cut(shown(cell)),
                got=_cut(text or None),
            )


def _missing(rows: Rows, numbers: Iterable[int]) -> Iterator[Difference]:
    for number in numbers:
        text = _row_text(rows.columns, rows.cells[number])
        yield Difference(kind=DifferenceKind.MISSING_ROW, row=number + 1, expected=text)


def _surplus(table: Table, numbers: Iterable[int]) -> Iterator[Difference]:
    for number in numbers:
        text = _row_text(table.columns, table.rows[number])
        yield Difference(kind=DifferenceKind.SURPLUS_ROW, row=number + 1, got=text)


def _row_text(columns: Sequence[str], cells: Sequence[Cell]) -> str:
    """`region=north, amount=120`."""
    pairs = islice(zip(columns, cells, strict=True), 12)
    return _cut(", ".join(f"{name}={_cut(shown(cell)) or ''}" for name, cell in pairs)) or ""


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
