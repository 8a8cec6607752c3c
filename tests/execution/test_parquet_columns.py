from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.execution.steps.cells import leave, texts_of
from runner.execution.steps.content import FrameContent

NOON, DAY = datetime(2025, 7, 1, 12), date(2025, 7, 1)
SUMMER = timezone(timedelta(hours=2))
MOMENT = NOON.replace(tzinfo=SUMMER)
ENDLESS: list[object] = []
ENDLESS.append(ENDLESS)

# What Arrow would make one type of, and change on the way.
CHANGED = {
    "a day before a time": [DAY, NOON],
    "a time with an offset before one without": [MOMENT, NOON],
    "a time without an offset before one with": [NOON, MOMENT],
    "clocks with an offset": [time(12, tzinfo=SUMMER), time(13)],
    "nanoseconds": [pd.Timestamp("2025-07-01 12:00:00.123456789")],
    "spans of time": [timedelta(days=-1), timedelta(1)],
    "a truth among floats": [2.5, True],
    "a large unsigned number among floats": [2.5, np.uint64(2**64 - 1)],
    "a short float before a whole number": [np.float16(0.5), 70_000],
    "bytes among texts": ["a", b"b"],
    "infinite decimals": [Decimal("1.5"), Decimal("Infinity")],
    "within lists": [[DAY], [NOON]],
    "within one list": [[2.5, True]],
    "within dicts": [{"at": DAY}, {"at": NOON}],
    "spans within arrays": [np.array([1], "m8[s]")],
    "itself": [ENDLESS],
}
KEPT = {
    "days": ([DAY], pa.date32()),
    "times": ([NOON, pd.Timestamp(NOON)], pa.timestamp("us")),
    "moments": ([MOMENT, MOMENT.replace(tzinfo=UTC)], pa.timestamp("us", "+02:00")),
    "clocks": ([time(12)], pa.time64("us")),
    "truths": ([True, np.bool_(False)], pa.bool_()),
    "numbers": ([1, 2.5], pa.float64()),
    "unsigned numbers": ([np.uint64(2**64 - 1), np.uint64(1)], pa.uint64()),
    "decimals": ([Decimal("1.5"), 2], pa.decimal128(2, 1)),
    "bytes": ([b"a", bytearray(b"b")], pa.binary()),
    "arrays": ([np.arange(2), np.array([]), [None, 0.5]], pa.list_(pa.field("element", pa.float64()))),
    "gaps inside": ([["a", np.nan, pd.NA], [None]], pa.list_(pa.field("element", pa.string()))),
    "gaps beside lists": (
        [[[1], None], [pd.NA]],
        pa.list_(pa.field("element", pa.list_(pa.field("element", pa.int64())))),
    ),
    "dicts": (
        [{"at": NOON, "day": DAY}, {"n": 1}],
        pa.struct({"at": pa.timestamp("us"), "day": pa.date32(), "n": pa.int64()}),
    ),
}


@pytest.fixture
def written(tmp_path):
    """What a reader finds of one column: its type, and its cells."""

    def call(series):
        path = str(tmp_path / "result.parquet")
        FrameContent(frame=pd.DataFrame({"v": series})).write_parquet(path)
        column = pq.read_table(path).column("v")
        return column.type, column.to_pylist()

    return call


@pytest.mark.parametrize("cells", CHANGED.values(), ids=CHANGED)
def test_cells_of_several_kinds_are_the_texts_of_the_csv(written, cells):
    series = pd.Series([*cells, None], dtype=object)
    assert written(series) == (pa.string(), [*texts_of(series, guard=leave)[:-1], None])


def test_categories_of_several_kinds_are_the_texts_of_the_csv(written):
    series = pd.Series(pd.Categorical([DAY, None, NOON], categories=[DAY, NOON]))
    assert written(series) == (pa.string(), ["2025-07-01", None, "2025-07-01 12:00:00"])


@pytest.mark.parametrize(("cells", "kind"), KEPT.values(), ids=KEPT)
def test_cells_of_one_kind_keep_their_type(written, cells, kind):
    found, values = written(pd.Series([*cells, None], dtype=object))
    assert (found, values[-1]) == (kind, None)
