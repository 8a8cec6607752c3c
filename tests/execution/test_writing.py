import csv
import io
from datetime import date
from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.execution.steps import writing
from runner.execution.steps.cells import FORMULA_STARTS, defuse, leave
from runner.execution.steps.faults import StepError
from runner.execution.steps.writing import SMALL, read_preview, write_frame


@pytest.fixture(scope="session")
def connection():
    connection = duckdb.connect(config={"threads": 1})
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def write(connection, tmp_path_factory):
    path = tmp_path_factory.mktemp("results") / "result.csv"

    def writing(frame, guard=defuse):
        """By both writers, which must not differ in a byte."""
        found = []
        for small in (SMALL, -1):
            numeric = write_frame(lambda: connection, frame, str(path), guard=guard, small=small)
            found.append((path.read_bytes(), numeric))
        assert found[0] == found[1]
        return found[0][0].decode()

    return writing


def rows(text):
    return list(csv.reader(io.StringIO(text, newline="")))


SAFE = {
    "floats": pd.DataFrame(
        {"f": [1.0, 0.1 + 0.2, 1e16, 1e-5, 123456789.125, -0.0, np.nan, np.inf, 5e-324], "k": 1}
    ),
    "small floats": pd.DataFrame({"f": np.array([0.1, 10, 3], dtype="float32"), "k": 1}),
    "half floats": pd.DataFrame({"f": np.array([0.1, 2], dtype="float16"), "k": 1}),
    "whole": pd.DataFrame({"i": np.array([1, 2**63], dtype="uint64"), "j": np.array([-5, 5], dtype="int8")}),
    "nullable": pd.DataFrame(
        {"i": pd.array([1, None], dtype="Int64"), "b": pd.array([True, None], dtype="boolean")}
    ),
    "nullable floats": pd.DataFrame({"f": pd.array([1.5, None], dtype="Float64"), "k": 1}),
    "nullable unsigned": pd.DataFrame({"f": pd.array([1, None], dtype="UInt64"), "k": 1}),
    "booleans": pd.DataFrame({"b": [True, False], "o": [True, None]}),
    "days": pd.DataFrame({"d": pd.to_datetime(["2025-01-01", None]), "k": 1}),
    "seconds": pd.DataFrame({"d": pd.to_datetime(["2025-01-01 01:02:03", "2025-01-01"], format="mixed"), "k": 1}),
    "milli": pd.DataFrame({"d": pd.to_datetime(["2025-01-01 01:02:03.120", None]), "k": 1}),
    "micro": pd.DataFrame({"d": pd.to_datetime(["2025-01-01 01:02:03.123456", None]), "k": 1}),
    "nano": pd.DataFrame({"d": pd.to_datetime(["2025-01-01 01:02:03.123456789"]).as_unit("ns"), "k": 1}),
    "old days": pd.DataFrame({"d": np.array(["1815-06-18", "9999-12-31"], dtype="M8[s]"), "k": 1}),
    "zones": pd.DataFrame({"d": pd.to_datetime(["2025-07-01 12:00", None]).tz_localize("Europe/Berlin"), "k": 1}),
    "spans": pd.DataFrame({"d": pd.to_timedelta(["1 day", "5 s"]), "k": 1}),
    "periods": pd.DataFrame({"p": pd.period_range("2025-01", periods=2, freq="M"), "k": 1}),
    "categories": pd.DataFrame({"c": pd.Categorical(["b", None, "a"]), "n": pd.Categorical([1, 2, 1])}),
    "objects": pd.DataFrame({"o": [1, "a", None, 2.5, Decimal("1.10")], "k": 1}),
    "nested": pd.DataFrame({"l": [[1, 2], {"a": 1}, (1,)], "d": [date(2025, 1, 1), None, date(2025, 1, 2)]}),
    "bytes": pd.DataFrame({"b": [b"x", b"\xff"], "k": 1}),
    "complex": pd.DataFrame({"c": [1 + 2j, 3j], "k": 1}),
    "quoted": pd.DataFrame({"s": ['a"b', "a,b", "a\nb", " a ", "", None, "é漢"], "k": 1}),
    "names": pd.DataFrame({"a b": [1], 'q"x': [2], 5: [3], "select": [4], None: [5]}),
    "names in two cases": pd.DataFrame({"a": [1], "A": ["x"]}),
    "one column": pd.DataFrame({"s": ["a", None, "", "b"]}),
    "one number": pd.DataFrame({"n": [1.5, np.nan]}),
    "no rows": pd.DataFrame({"a": pd.Series(dtype="float64"), "b": pd.Series(dtype="str"), "c": []}),
    "an index of its own": pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=[7, 3]),
    "arrow": pd.DataFrame({"a": pd.array([1, None], dtype="int64[pyarrow]"), "k": 1}),
    "sparse": pd.DataFrame({"a": pd.arrays.SparseArray([0.0, 1.0]), "k": 1}),
    "sparse truths": pd.get_dummies(pd.Series(["a", "b"]), sparse=True),
}


@pytest.mark.parametrize("name", SAFE)
def test_the_values_are_those_of_to_csv(write, name):
    frame = SAFE[name]
    text = write(frame)
    assert rows(text) == rows(frame.to_csv(index=False, lineterminator="\n"))
    assert "\r\n" not in text
    assert text.endswith("\n")


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["floats", "whole", "nullable", "booleans", "micro", "zones", "categories", "quoted"]
)
def test_a_large_table_is_written_by_duckdb(connection, tmp_path, monkeypatch, name):
    monkeypatch.setattr(writing, "write_cells", None)
    frame = pd.concat([SAFE[name]] * (SMALL // len(SAFE[name])), ignore_index=True)
    path = tmp_path / "result.csv"
    write_frame(lambda: connection, frame, str(path), guard=defuse)
    assert rows(path.read_text()) == rows(frame.to_csv(index=False, lineterminator="\n"))


@pytest.mark.long
def test_what_duckdb_has_no_memory_for_is_written_all_the_same(tmp_path):
    frame = pd.DataFrame({f"c{place}": ["a" * 100] * 2000 for place in range(50)})
    with duckdb.connect(config={"threads": 1, "memory_limit": "4MB", "temp_directory": ""}) as small:
        write_frame(lambda: small, frame, str(tmp_path / "result.csv"), guard=defuse)
    assert (tmp_path / "result.csv").read_text() == frame.to_csv(index=False)


@pytest.mark.long
def test_a_table_of_few_rows_is_written_without_duckdb(tmp_path):
    # Which asks for most of the memory that a step may have to plan so many columns.
    frame = pd.DataFrame({f"c{place}": ["a"] * 30 for place in range(2000)})
    write_frame(None, frame, str(tmp_path / "result.csv"), guard=defuse)
    assert (tmp_path / "result.csv").read_text().count("a") == 60_000


@pytest.mark.long
@settings(max_examples=30)
@given(
    ticks=st.lists(st.none() | st.integers(-50_000, 50_000), min_size=1, max_size=3),
    scale=st.sampled_from(["s", "ms", "us", "ns", "D"]),
)
def test_any_time_is_that_of_to_csv(write, ticks, scale):
    for unit in ("s", "ms", "us", "ns"):
        times = np.array([np.datetime64("NaT" if tick is None else tick, scale) for tick in ticks])
        frame = pd.DataFrame({"t": times.astype(f"M8[{unit}]"), "k": 1})
        assert rows(write(frame)) == rows(frame.to_csv(index=False, lineterminator="\n"))


@pytest.mark.long
@settings(max_examples=50)
@given(
    floats=st.lists(st.floats(), min_size=1, max_size=5),
    whole=st.integers(-(2**63), 2**63 - 1),
    text=st.text(
        st.sampled_from("#,;\"\n\r\t\\ '=") | st.characters(exclude_categories=["Cs"], exclude_characters="\x00"),
        max_size=6,
    ),
)
def test_any_value_is_that_of_to_csv(write, floats, whole, text):
    frame = pd.DataFrame({"f": floats, "i": whole, "s": pd.Series([text] * len(floats), dtype="str")})
    expected = frame.assign(s=[defuse(text)] * len(floats))
    assert rows(write(frame)) == rows(expected.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_ALL))


@pytest.mark.parametrize("start", FORMULA_STARTS)
def test_formulas_are_defused_in_text_columns_alone(write, start):
    cell = f"{start}1+1"
    frame = pd.DataFrame(
        {"s": [cell], "o": pd.Series([cell], dtype=object), "c": pd.Categorical([cell]), "n": [-1]}
    )
    assert rows(write(frame))[1] == ["'" + cell] * 3 + ["-1"]
    assert rows(write(pd.DataFrame({cell: [1], cell.upper() + "A": [-2]})))[0][0] == "'" + cell
    twins = pd.DataFrame({"s": [cell], "S": [cell], "n": [-1]})
    assert rows(write(twins))[1] == ["'" + cell, "'" + cell, "-1"]
    assert rows(write(frame, leave))[1] == [cell] * 3 + ["-1"]
    assert rows(write(pd.DataFrame({cell: [cell]}), leave)) == [[cell], [cell]]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("-5.3", "-5.3"),
        ("+49", "+49"),
        ("-5,3", "-5,3"),
        ("-.5e-3", "-.5e-3"),
        ("-100:00:01", "-100:00:01"),
        ("-00:30", "-00:30"),
        ("-26:03:04.5", "-26:03:04.5"),
        ("-1:60", "'-1:60"),
        ("-A1:30", "'-A1:30"),
        ("-1:30:00:00", "'-1:30:00:00"),
        ("+49 30 1", "'+49 30 1"),
        ("-5\n", "'-5\n"),
        ("-", "'-"),
        ("-1+1", "'-1+1"),
        ("+1e5()", "'+1e5()"),
        ("-٣", "'-٣"),
        ("5-3", "5-3"),
    ],
)
def test_a_text_that_is_a_plain_number_is_no_formula(write, text, written):
    frame = pd.DataFrame({"s": [text], "o": pd.Series([text], dtype=object), "k": 1})
    assert rows(write(frame))[1] == [written, written, "1"]
    assert rows(write(pd.DataFrame({text: [1], "k": 1})))[0] == [written, "k"]


def test_negative_numbers_of_any_type_are_no_formulas(write):
    frame = pd.DataFrame(
        {
            "short": np.array([-0.5], dtype="float32"),
            "nullable": pd.array([-0.5], dtype="Float64"),
            "decimal": [Decimal("-0.50")],
            "mixed": pd.Series([-1], dtype=object),
            "category": pd.Categorical([-1]),
        }
    )
    assert write(frame).splitlines()[1] == "-0.5,-0.5,-0.50,-1,-1"


def test_a_span_back_in_time_is_no_formula(write):
    spans = pd.Series([pd.Timedelta(hours=-1)])
    frame = pd.DataFrame({"s": spans, "o": spans.astype(object), "c": spans.astype("category"), "k": 1})
    assert write(frame).splitlines()[1] == "-1 days +23:00:00,-1 days +23:00:00,-1 days +23:00:00,1"
    assert rows(write(pd.DataFrame({"t": ["-1 days +23:00:00"], "k": 1})))[1] == ["'-1 days +23:00:00", "1"]


def test_decimals_are_plain_digits(write):
    fine = pa.array([Decimal(0), Decimal("0.0000000001")], pa.decimal128(18, 10))
    frame = pd.DataFrame(
        {
            "object": [Decimal("0E-10"), Decimal("1E-10")],
            "arrow": pd.Series(fine, dtype=pd.ArrowDtype(fine.type)),
            "mixed": [Decimal("-0E-9"), "x"],
            "category": pd.Categorical([Decimal("1E-7"), Decimal("NaN")]),
        }
    )
    assert write(frame).splitlines()[1:] == [
        "0.0000000000,0.0000000000,-0.000000000,0.0000001",
        "0.0000000001,0.0000000001,x,",
    ]


def test_short_floats_have_all_digits_that_they_are_known_by(write):
    """`to_csv` has 6.55e+04 and 5.033165e+07, which are other numbers to who reads them."""
    short = np.array([50331648, 0.1, 8388607.5, np.inf], dtype="float32")
    frame = pd.DataFrame(
        {
            "half": np.array([65504, 0.1, 6e-8, 1000], dtype="float16"),
            "short": short,
            "nullable": pd.array([1e10, None, 2**80, -3], dtype="Float32"),
            "category": pd.Categorical(short),
            "arrow": pd.Series(short, dtype=pd.ArrowDtype(pa.float32())),
            "arrow half": pd.Series([65504, 0.1, None, 6e-8], dtype=pd.ArrowDtype(pa.float16())),
            "object": [short[0], "x", np.float16(65504), None],
            "list": [list(short)] * 4,
        }
    )
    listed = '"[50331648.0, 0.1, 8388607.5, inf]"'
    assert write(frame).splitlines()[1:] == [
        f"65504.0,50331648.0,10000000000.0,50331648.0,50331648.0,65504.0,50331648.0,{listed}",
        f"0.1,0.1,,0.1,0.1,0.1,x,{listed}",
        f"6e-08,8388607.5,1.2089258e+24,8388607.5,8388607.5,,65504.0,{listed}",
        f"1000.0,inf,-3.0,inf,inf,6e-08,,{listed}",
    ]


def test_a_category_of_numbers_may_have_gaps(write):
    assert write(pd.DataFrame({"c": pd.Categorical([2, None]), "k": 1})) == "c,k\n2,1\n,1\n"


def test_names_of_two_levels_are_joined(write):
    frame = pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("key", ""), ("amount", "sum")]))
    assert write(frame) == "key,amount_sum\n1,2\n"


def test_a_table_without_columns_is_refused(write):
    with pytest.raises(StepError, match="no columns"):
        write(pd.DataFrame())


LONG = list(range(1500))


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (np.array(["a", "b"], dtype="object"), "['a', 'b']"),
        (np.array(LONG), str(LONG)),
        (np.zeros((2, 1)), "[[0.0], [0.0]]"),
        (np.array([0.1, np.nan], dtype="float32"), "[0.1, nan]"),
        (np.array(["2026-01-31", "NaT"], dtype="M8[s]"), "['2026-01-31T00:00:00', 'NaT']"),
        ({"q": np.array([b"x"]), "n": (np.int64(1),)}, "{'q': [b'x'], 'n': (1,)}"),
        ([np.float64(2), np.float32(0.1), np.bool_(True), np.str_("x")], "[2.0, 0.1, True, 'x']"),
        (np.array([np.array([1]), None], dtype="object"), "[[1], None]"),
        (pd.array(list("ab") * 99, dtype="str"), str(list("ab") * 99)),
        (pd.array([1, None], dtype="Int64"), "[1, <NA>]"),
        (pd.Categorical(["x", "y"]), "['x', 'y']"),
        (pd.Index([1.5, 2]), "[1.5, 2.0]"),
    ],
)
def test_an_array_in_a_cell_is_whole(write, cell, text):
    """`str` leaves out the middle of a long one."""
    assert rows(write(pd.DataFrame({"a": [cell, None], "k": 1}))) == [["a", "k"], [text, "1"], ["", "1"]]
    around = [1]
    around.append(around)
    assert rows(write(pd.DataFrame({"a": [around], "k": 1})))[1] == ["[1, [...]]", "1"]


def test_the_preview_is_the_head_of_the_file(connection, tmp_path):
    frame = pd.DataFrame({f"c{place}": ["x" * 500, "=a\nb", "z"] for place in range(20)} | {"c1": [1, 2, 3]})
    path = str(tmp_path / "result.csv")
    numeric = write_frame(lambda: connection, frame, path, guard=defuse)
    preview = read_preview(path, rows=2, numeric=numeric, total_rows=3)
    assert preview.columns == tuple(f"c{place}" for place in range(12))
    assert preview.numeric[:3] == (False, True, False)
    assert [row[1] for row in preview.rows] == ["1", "2"]
    assert preview.rows[1][0] == "'=a\nb"
    assert len(preview.rows[0][0]) == 200
    assert (preview.total_rows, preview.total_columns) == (3, 20)


def test_a_large_table_keeps_its_order(tmp_path):
    frame = pd.DataFrame({"n": range(300_000), "text": "a"})
    with duckdb.connect(config={"threads": 2}) as connection:
        write_frame(lambda: connection, frame, str(tmp_path / "result.csv"), guard=defuse)
    assert pd.read_csv(tmp_path / "result.csv")["n"].is_monotonic_increasing
