"""Any table as CSV → each cell is, to a script and to a query, the value that its text says, or that very text."""

import csv
import io
from datetime import date, time
from decimal import Decimal, InvalidOperation

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.source import FileType
from runner.execution.orders import StepInput
from runner.execution.steps.cells import leave, texts_of
from runner.execution.steps.csv_tables import csv_rows
from runner.execution.steps.reading import read_data
from runner.execution.steps.staged import Relation

# To a script these are gaps.
GAPS = frozenset(["", "NA", "null", "NaN"])
POOLS = [
    st.integers(-(10**6), 10**6).map(str),
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.integers(-(10**30), 10**30).map(str),
    st.decimals(-(10**9), 10**9, places=3).map(str),
    st.floats(-1e300, 1e300).map(repr),
    st.dates().map(str),
    st.times().map(str),
    st.sampled_from(["10:00:00.123456789", "09:05:00", "23:59:59.5"]),
    st.sampled_from(["true", "false", "TRUE", "yes", "F", "1", "0"]),
    st.sampled_from(["007", "0x1A", "1_000", "1.234,50", "+3", "1e5", "=1+1", "epoch", "01/02/2025"]),
    st.text(st.sampled_from("ab,;\"'\n#é漢\U0001f600|"), min_size=1, max_size=5),
]
NAMES = ["a", "b b", "漢", "x,y"]


def cells_of(count):
    def beside(pool):
        return st.lists(pool | st.sampled_from(sorted(GAPS)), min_size=count, max_size=count)

    alone = st.sampled_from(POOLS).flatmap(lambda pool: st.lists(pool, min_size=count, max_size=count))
    return alone | st.sampled_from(POOLS).flatmap(beside) | beside(st.one_of(POOLS))


TABLES = st.integers(1, 5).flatmap(lambda count: st.lists(cells_of(count), min_size=2, max_size=len(NAMES)))


def number(text):
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def says(text, shown, column):
    """Whether what is shown is the text, or its value: a whole number among such ones exactly, others as a float."""
    if shown == text:
        return True
    known = [number(cell) for cell in column if cell not in GAPS]
    if None not in known:
        is_whole = all(cell == cell.to_integral_value() and "e" not in f"{cell}".lower() for cell in known)
        is_whole = is_whole and all(cell.lstrip("+-").isdigit() for cell in column if cell not in GAPS)
        same = number(shown)
        return same is not None and (same == number(text) if is_whole else float(same) == float(text))
    for kind in (date, time):
        try:
            return kind.fromisoformat(shown) == kind.fromisoformat(text) and len(text) <= len("00:00:00.000000")
        except ValueError:
            continue
    return text.lower() in {"true", "false"} and shown.lower() == text.lower()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A table in as many files, and as a query has it: the input, and all cells as texts."""
    folder = tmp_path_factory.mktemp("tables")

    def writing(rows, names, files):
        paths = []
        for place in range(files):
            path = folder / f"{place}.csv"
            text = io.StringIO(newline="")
            csv.writer(text, quoting=csv.QUOTE_ALL).writerows([names, *rows[place::files]])
            path.write_bytes(text.getvalue().encode())
            paths.append(str(path))
        return StepInput(paths=tuple(paths), format=FileType.CSV), [
            row for place in range(files) for row in rows[place::files]
        ]

    return writing


@settings(max_examples=15)
@given(columns=TABLES, files=st.sampled_from([1, 1, 2]))
def test_each_cell_is_what_its_text_says(written, table_connection, columns, files):
    names = NAMES[: len(columns)]
    source, rows = written(list(zip(*columns, strict=True)), names, files)
    relation = Relation(source=source, view="data", files=source.paths)
    asked = csv_rows(table_connection, relation)
    texts = ", ".join(f'CAST("{name}" AS VARCHAR)' for name in names)
    by_query = table_connection.execute(f"SELECT {texts} FROM ({asked})").fetchall()
    frame = read_data(source)
    assert list(frame.columns) == names
    by_script = list(zip(*(texts_of(frame[name], guard=leave) for name in names), strict=True))
    assert len(by_query) == len(by_script) == len(rows)
    for place in range(len(names)):
        column = [row[place] for row in rows]
        for text, queried, scripted in zip(
            column, (row[place] or "" for row in by_query), (row[place] for row in by_script), strict=True
        ):
            assert says(text, queried, column)
            assert scripted == "" if text in GAPS else says(text, scripted, column)


@pytest.mark.long
@settings(max_examples=120)
@given(columns=TABLES, files=st.sampled_from([1, 2, 3]))
def test_each_cell_of_many_tables_is_what_its_text_says(written, table_connection, columns, files):
    test_each_cell_is_what_its_text_says.hypothesis.inner_test(written, table_connection, columns, files)
