import datetime as dt
import uuid
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.fetch.table_types import common_type, to_array
from runner.fetch.table_writer import TableWriter
from runner.fetch.worker_faults import WorkerError

BERLIN = dt.timezone(dt.timedelta(hours=1))


@pytest.fixture
def written(tmp_path):
    """The table of some chunks of one column."""

    def write(*chunks, declared=None, max_bytes=1 << 20):
        writer = TableWriter(tmp_path / "t.parquet", ["a"], [declared or pa.string()], max_bytes)
        for chunk in chunks:
            writer.add([(value,) for value in chunk])
        assert writer.finish() == (tmp_path / "t.parquet").stat().st_size
        assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]
        column = pq.read_table(tmp_path / "t.parquet").column("a")
        return str(column.type), column.to_pylist()

    return write


@pytest.mark.parametrize(
    ("values", "kind", "kept"),
    [
        ([1, None, -(2**63)], "int64", None),
        ([2**63, 1], "decimal128(19, 0)", [Decimal(2**63), Decimal(1)]),
        ([10**40], "string", [str(10**40)]),
        (
            [Decimal(10**40), Decimal("0E-20"), Decimal("1E-30"), Decimal("1E+39")],
            "string",
            [str(10**40), "0." + "0" * 20, "0." + "0" * 29 + "1", "1" + "0" * 39],
        ),
        ([1, 2.5], "double", [1.0, 2.5]),
        ([True, None], "bool", None),
        ([True, 2], "int64", [1, 2]),
        ([Decimal("1.10"), Decimal(2)], "decimal128(3, 2)", None),
        ([Decimal(1), 2.5], "double", [1.0, 2.5]),
        (["a", None], "string", None),
        (["\ud800"], "string", ["?"]),
        (["a", 1, b"\x00\xff", 1.5], "string", ["a", "1", "00ff", "1.5"]),
        ([b"\x00\xff", None], "string", ["00ff", None]),
        ([dt.date(2025, 1, 2)], "date32[day]", None),
        ([dt.datetime(2025, 1, 2, 3, 4, 5, 6)], "timestamp[us]", None),
        ([dt.time(1, 2, 3)], "time64[us]", None),
        ([dt.time(1, 2, tzinfo=BERLIN)], "string", ["01:02:00+01:00"]),
        ([dt.timedelta(hours=26, seconds=4, milliseconds=500)], "string", ["26:00:04.5"]),
        ([-dt.timedelta(seconds=1)], "string", ["-00:00:01"]),
        ([uuid.UUID(int=1)], "string", ["00000000-0000-0000-0000-000000000001"]),
        ([{"a": [1, dt.date(2025, 1, 2)]}], "string", ['{"a": [1, "2025-01-02"]}']),
        ([[dt.datetime(2025, 1, 2, 3, 4, 5)]], "string", ['["2025-01-02T03:04:05"]']),
        (
            [dt.datetime(2025, 1, 2, 3, 4, 5), "2025-00-01 00:00:00"],
            "string",
            ["2025-01-02 03:04:05", "2025-00-01 00:00:00"],
        ),
        ([[1, 2], None], "string", ["[1, 2]", None]),
        ([[Decimal("1E-10")]], "string", ['["0.0000000001"]']),
    ],
)
def test_types_are_kept_or_text(written, values, kind, kept):
    found, back = written(values)
    assert found == kind
    assert kept is ... or back == (values if kept is None else kept)


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("before", [[Decimal("12345678901234567890.12")], [7], [None], [0.5], ["a"]])
def test_what_is_no_decimal_costs_no_other_its_digits(written, odd, before):
    for pieces in ([*before, Decimal(odd)],), (before, [Decimal(odd)]):
        with pytest.raises(WorkerError, match=f"has '{odd}', which is no decimal number"):
            written(*pieces)


def test_an_instant_is_kept_as_utc(written):
    kind, (back,) = written([dt.datetime(2025, 1, 2, 3, tzinfo=BERLIN)])
    assert kind == "timestamp[us, tz=UTC]"
    assert back == dt.datetime(2025, 1, 2, 2, tzinfo=dt.UTC)


def test_a_column_widens_with_its_values(written):
    assert written([None, None], [1], [None], [2.5], [3]) == ("double", [None, None, 1.0, None, 2.5, 3.0])
    assert written([1], ["x"]) == ("string", ["1", "x"])
    assert written([Decimal("1.5")], [Decimal("100.25")], [7])[0] == "decimal128(21, 2)"
    assert written([dt.date(2025, 1, 2)], [dt.datetime(2025, 1, 2, 3)])[0] == "timestamp[us]"


@pytest.mark.parametrize(
    "values",
    [
        [dt.datetime(2025, 1, 2, 3, 4, 5), "0000-00-00 00:00:00"],
        [dt.datetime(2025, 1, 2, 3, tzinfo=dt.UTC), "never"],
        [dt.time(1, 2, 3), "24:00:00"],
        [dt.date(2025, 1, 2), "2025-02-00"],
        [1.0, "n/a"],
        [True, "n/a"],
        [Decimal("1.50"), None, "n/a"],
    ],
)
def test_a_value_has_one_text_wherever_another_one_stands(written, values):
    assert written(values[:1], values[1:]) == written(values)


def test_what_the_database_declares_counts_where_values_do_not_tell(written):
    assert written(declared=pa.int64()) == ("int64", [])
    assert written([None], declared=pa.date32()) == ("date32[day]", [None])
    wide = pa.decimal128(10, 2)
    assert written([Decimal("1.50")], [Decimal("123.45")], declared=wide)[0] == "decimal128(10, 2)"


def test_more_than_is_allowed_stops(written):
    with pytest.raises(WorkerError):
        written(["x" * 1000], ["y" * 1000], max_bytes=1500)


DECIMALS = st.decimals(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | DECIMALS


@given(st.lists(st.lists(SCALARS, min_size=1, max_size=3), min_size=1, max_size=4))
def test_whatever_comes_together_has_a_common_type(chunks):
    kind = pa.null()
    for chunk in chunks:
        array = to_array(chunk)
        assert array.null_count == chunk.count(None)
        wider = common_type(kind, array.type)
        assert wider == common_type(array.type, kind)
        pa.chunked_array([array]).cast(wider, safe=False)
        kind = wider
