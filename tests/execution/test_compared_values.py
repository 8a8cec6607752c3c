from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from runner.core.check import Check, CheckKind


def objects(*cells):
    return pd.Series(list(cells), dtype="object")


def arrow(kind, *cells):
    return pd.Series(list(cells), dtype=pd.ArrowDtype(kind))


ONE_TWO = {
    "Float64": pd.Series([1.0, 2.0, None], dtype="Float64"),
    "Float32": pd.Series([1.0, 2.0, None], dtype="Float32"),
    "float32": pd.Series([1.0, 2.0, None], dtype="float32"),
    "float16": pd.Series([1.0, 2.0, None], dtype="float16"),
    "longdouble": pd.Series([1.0, 2.0, None]).astype("longdouble"),
    "UInt8": pd.Series([1, 2, None], dtype="UInt8"),
    "Int64": pd.Series([1, 2, None], dtype="Int64"),
    "sparse": pd.Series(pd.arrays.SparseArray([1.0, 2.0, np.nan])),
    "arrow double": arrow(pa.float64(), 1.0, 2.0, None),
    "arrow float": arrow(pa.float32(), 1.0, 2.0, None),
    "arrow half": arrow(pa.float16(), 1.0, 2.0, None),
    "arrow small": arrow(pa.uint8(), 1, 2, None),
    "arrow decimal": arrow(pa.decimal128(9, 2), Decimal("1.00"), Decimal("2.00"), None),
    "arrow wide decimal": arrow(pa.decimal256(50, 2), Decimal("1.00"), Decimal("2.00"), None),
    "float categories": pd.Series([1.0, 2.0, None]).astype("category"),
    "whole categories": pd.Series([1, 2, None], dtype="Int64").astype("category"),
    "decimal categories": objects(Decimal("1.0"), Decimal(2), None).astype("category"),
    "decimals": objects(Decimal("1.00"), Decimal(2), Decimal("NaN")),
    "decimals and others": objects(Decimal("1.00"), 2, 2.0, None),
    "whole objects": objects(1, np.uint8(2), None),
    "whole and not": objects(1, 2.0, np.nan),
    "short floats": objects(np.float32(1), np.float16(2), None),
    "large ones": objects(Decimal("1E+60"), Decimal("1.0"), None).where([False, True, True], 2),
}


@pytest.mark.parametrize("cells", ONE_TWO.values(), ids=ONE_TWO)
def test_numbers_are_numbers_whatever_holds_them(of_frame, cells):
    checks = (
        Check(kind=CheckKind.ACCEPTED_VALUES, columns=("x",), values=(1, "2.0")),
        Check(kind=CheckKind.MAX, columns=("x",), at_most="10"),
        Check(kind=CheckKind.MIN, columns=("x",), at_least="1.5"),
        Check(kind=CheckKind.NOT_NULL, columns=("x",)),
    )
    one = int(cells.astype("object").map({1: 1}.get).sum())
    known, below, above, gaps = of_frame(pd.DataFrame({"x": cells}), *checks)
    assert [known.passed, below.passed, above.failed_rows, gaps.failed_rows] == [True, True, one, 1]


@pytest.mark.parametrize(
    ("cells", "broken"),
    [
        (objects(Decimal("1.50")), 0),
        (objects(Decimal("1.50"), Decimal("1.5000000000000000000000000001")), 1),
        (pd.Series([1.5], dtype="float16"), 0),
        (objects(2**70, 2**70 + 1), 2),
        (objects(2**200), 1),
        (objects(Decimal("Infinity"), Decimal("1.5")), 1),
        (objects(2**200 + 1, Decimal("1.1")), 1),
        (arrow(pa.decimal128(5, -2), Decimal("1E+2"), None), 1),
    ],
)
def test_objects_that_are_numbers_are_compared_exactly(of_frame, cells, broken):
    (found,) = of_frame(pd.DataFrame({"x": cells}), Check(kind=CheckKind.MAX, columns=("x",), at_most=1.5))
    assert found.failed_rows == broken


DAY = date(2025, 1, 1)


@pytest.mark.parametrize(
    ("cells", "bound", "broken"),
    [
        (objects(DAY, date(2024, 12, 31), None), "2025-01-01T00:00:00", 1),
        (objects(DAY, pd.NaT), "2025-01-01", 0),
        (objects(DAY, date(2024, 12, 31), None).astype("category"), "2025-01-01T00:00:00", 1),
        (objects(datetime(2025, 1, 1), datetime(2024, 12, 31, 23)), "2025-01-01T00:00:00", 1),
        (objects(datetime(1, 1, 1), pd.Timestamp("2025-01-01")), "2025-01-01", 1),
        (objects(datetime(2025, 1, 1, tzinfo=UTC)), "2025-01-01T01:00:00", 0),
        (arrow(pa.date32(), DAY, None), "2025-01-01T00:00:00", 0),
        (arrow(pa.timestamp("s"), datetime(2025, 1, 1), None), "2025-01-01T00:00:00", 0),
        (objects(time(8), time(7, 59), None), "08:00", 1),
        (arrow(pa.time64("us"), time(8), time(7, 59)), "08:00", 1),
        (pd.Series(pd.period_range("2024-12", periods=2, freq="M")), "2025-01", 1),
        (objects(datetime(2025, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)), "2025", 1),
    ],
)
def test_moments_are_moments_whatever_holds_them(of_frame, cells, bound, broken):
    (found,) = of_frame(pd.DataFrame({"x": cells}), Check(kind=CheckKind.MIN, columns=("x",), at_least=bound))
    assert found.failed_rows == broken
    assert "cannot" not in found.found


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (pd.Series([timedelta(1), None]), "timedelta"),
        (objects(timedelta(1), None), "timedelta"),
        (arrow(pa.duration("us"), timedelta(1)), "timedelta"),
        (pd.Series([True, False]), "BOOLEAN"),
        (pd.Series([True, None], dtype="boolean"), "BOOLEAN"),
        (pd.Series(pd.arrays.SparseArray([True, False])), "BOOLEAN"),
        (objects(True, None), "bool"),
        (objects({"a": 1}), "dict"),
        (objects({"a": 1}, [1]), "dict or list"),
        (arrow(pa.list_(pa.int64()), [1]), "list"),
        (objects(UUID(int=1)), "uuid"),
        (pd.cut(pd.Series([1, 2]), 2), "interval"),
        (pd.Series([1j]), "complex128"),
    ],
)
@pytest.mark.parametrize("bound", [1, "1"])
def test_what_has_no_order_has_no_bound(of_frame, cells, kind, bound):
    check = Check(kind=CheckKind.MAX, columns=("x",), at_most=bound)
    gaps = Check(kind=CheckKind.NOT_NULL, columns=("x",))
    found, kept = of_frame(pd.DataFrame({"x": cells}), check, gaps)
    assert found.found == f"x holds values of the type {kind}, which cannot be compared with {bound!r}"
    assert (found.passed, kept.failed_rows) == (False, int(cells.isna().sum()))


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ("INTERVAL 1 DAY", "INTERVAL"),
        ("true", "BOOLEAN"),
        ("{'a': 1}", "STRUCT(a INTEGER)"),
        ("[1]", "INTEGER[]"),
        ("'a'::BLOB", "BLOB"),
    ],
)
def test_what_has_no_order_in_a_query_has_no_bound(of_query, cells, kind):
    found = of_query(f"SELECT {cells} AS x", kind=CheckKind.MIN, columns=("x",), at_least=1)
    assert found.found == f"x holds values of the type {kind}, which cannot be compared with 1"


@pytest.mark.parametrize(
    ("kind", "columns", "broken"),
    [
        ("not_null", ("x",), 2),
        ("unique", ("x",), 0),
        ("min", ("x",), 1),
        ("max", ("x",), 1),
        ("accepted", ("x",), 2),
    ],
)
@pytest.mark.parametrize("of", ["query", "script"])
def test_nan_is_a_gap_in_queries_and_scripts(of_query, of_frame, of, kind, columns, broken):
    check = {
        "not_null": {"kind": CheckKind.NOT_NULL},
        "unique": {"kind": CheckKind.UNIQUE},
        "min": {"kind": CheckKind.MIN, "at_least": 2},
        "max": {"kind": CheckKind.MAX, "at_most": 2},
        "accepted": {"kind": CheckKind.ACCEPTED_VALUES, "values": (2,)},
    }[kind]
    if of == "query":
        found = of_query("SELECT unnest(['nan'::DOUBLE, 'nan', 1, 3]) AS x", columns=columns, **check)
    else:
        (found,) = of_frame(pd.DataFrame({"x": [np.nan, np.nan, 1, 3]}), Check(columns=columns, **check))
    assert found.failed_rows == broken


@pytest.mark.parametrize(
    ("cells", "most", "broken"),
    [
        ("0.1::FLOAT", 0.1, 0),
        ("0.1::FLOAT", "0.1", 0),
        ("0.10000001::FLOAT", 0.1, 1),
        ("1e30::FLOAT", 1e300, 0),
        ("1e30::FLOAT", -1e300, 1),
        ("9007199254740993", "9007199254740992", 1),
        ("9007199254740993", "9007199254740993", 0),
        ("18446744073709551615::UBIGINT", 18446744073709551614, 1),
        ("3", 2.5, 1),
        ("0.1::DECIMAL(28,28)", 10**20, 0),
        ("9007199254740993.5::DECIMAL(18,1)", "9007199254740993.4", 1),
        ("'9007199254740993'", 9007199254740992, 1),
        ("'9007199254740993'", 9007199254740993, 0),
        ("'9007199254740993.0'", 9007199254740993, 0),
        ("'0.1'", 0.1, 0),
        ("'0.10000000000000000001'", 0.1, 1),
        ("'1e3'", 999, 1),
        ("'1e300'", 1e300, 0),
        ("'1e300'", 1e299, 1),
        ("'nan'", 1, 1),
        ("NULL", 1, 0),
        ("time '10:00'", "10:00:00.5", 0),
    ],
)
def test_bounds_are_compared_exactly(of_query, cells, most, broken):
    found = of_query(f"SELECT {cells} AS x", kind=CheckKind.MAX, columns=("x",), at_most=most)
    assert (found.failed_rows, found.passed) == (broken, not broken)


@pytest.mark.parametrize("bound", ["1e400", "1e-999999999", "inf", "ten"])
def test_a_bound_that_no_float_can_be_is_refused(of_query, bound):
    found = of_query("SELECT 1 AS x", kind=CheckKind.MAX, columns=("x",), at_most=bound)
    assert found.found == f"x holds numbers, which cannot be compared with '{bound}'"
    assert of_query("SELECT 0 AS x", kind=CheckKind.MAX, columns=("x",), at_most="0e-999999999").passed


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        ("0.1::FLOAT", (0.1, 1e300)),
        ("9007199254740993", ("9007199254740993", 1.5)),
        ("0.1::DECIMAL(28,28)", ("0.1", 10**20)),
        ("time '10:00'", ("10:00",)),
    ],
)
def test_accepted_values_are_compared_exactly(of_query, cells, values):
    query = f"SELECT {cells} AS x"
    assert of_query(query, kind=CheckKind.ACCEPTED_VALUES, columns=("x",), values=values).passed
    assert not of_query(query, kind=CheckKind.ACCEPTED_VALUES, columns=("x",), values=values[1:]).passed


@pytest.mark.parametrize(
    ("cells", "value", "broken"),
    [
        ("1, 5.5", "2", 1),
        ("1::DECIMAL(9,2), 2", 2, 1),
        ("DATE '2025-01-01', DATE '2025-02-01'", "2025-01-15", 1),
        ("DATE '2025-01-01', DATE '2025-01-02'", "2025-01-01T23:30:00Z", 2),
        ("TIMESTAMPTZ '2025-01-01 00:00:00+00', TIMESTAMPTZ '2025-01-02 00:00:00+00'", "2025-01-01T01:00:00", 0),
        ("TIMESTAMP '2025-01-01 10:00:00', TIMESTAMP '2025-01-01 12:00:00'", "2025-01-01T10:00:00Z", 1),
        ("'b', 'B'", "a", 1),
        ("'2025-01-01', '2025-02-01'", "2025-01-15", 1),
        ("'2025-01-01 10:00:00', '2025-01-01 08:00:00'", "2025-01-01T09:00:00", 1),
        ("'2025-01-01T00:30:00+01:00', '2025-01-01T01:00+01:00'", "2025-01-01T00:00:00Z", 1),
        ("'2025-01-01T08:30:00Z', '2025-01-01T07:30:00Z'", "2025-01-01 09:00", 1),
        ("'2025-01-01', '2024-12-31'", "2025-01-01T00:00:00", 1),
        ("'01.02.2025', 'today'", "2025-01-01", 1),
        ("'2025-03-30 02:30:00', '2025-03-30 03:00:00'", "2025-03-30T03:00", 1),
        ("'9', '10'", 10, 1),
        ("'9', 'many'", 1, 1),
    ],
)
def test_a_bound_is_compared_by_the_type_of_the_column(of_query, cells, value, broken):
    first, second = cells.split(", ", 1)
    query = f"SELECT * FROM (VALUES ({first}), ({second}), (NULL)) AS t(x)"
    found = of_query(query, kind=CheckKind.MIN, columns=("x",), at_least=value)
    assert (found.failed_rows, found.passed) == (broken, not broken)


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        ("1", ("1",)),
        ("'1'", (1,)),
        ("true", (True,)),
        ("'True'", (True,)),
        ("1.5", (1.5, "x")),
        ("DATE '2025-01-01'", ("2025-01-01", 5)),
    ],
)
def test_values_are_the_same_whatever_they_are_written_as(of_query, cells, values):
    query = f"SELECT {cells} AS x"
    assert of_query(query, kind=CheckKind.ACCEPTED_VALUES, columns=("x",), values=values).passed
    assert not of_query(query, kind=CheckKind.ACCEPTED_VALUES, columns=("x",), values=("other", 2)).passed
