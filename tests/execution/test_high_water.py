import json
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml

from runner.core.job import StepKind
from runner.core.run import FailureKind
from runner.core.source import FileType, TableOptions

ROWS = (
    "id,share,day,name,at\n1,0.5,2025-01-01,b,2025-01-01T10:00:00Z\n"
    "3,,2025-01-03,,2025-01-03T10:00:00Z\n2,0.7,2025-01-02,a,2025-01-02T10:00:00Z\n"
)
TIMES = TableOptions(parse_dates=("day", "at"))


@pytest.fixture(
    params=[("result = data.head(0)", StepKind.SCRIPT), ("SELECT 1 AS one", StepKind.QUERY)],
    ids=["script", "query"],
)
def mark(bench, request):
    text, kind = request.param
    return lambda column, source=ROWS, **more: bench.run(
        text, kind=kind, source=source, cursor_column=column, **more
    )


def test_the_mark_is_the_largest_value(mark):
    assert [mark(column).cursor for column in ("id", "share", "day", "name")] == [3, 0.7, "2025-01-03", "b"]
    assert mark("id", cursor=9).cursor == 9
    assert mark("id", cursor=2).cursor == 3
    assert mark("day", cursor=0).cursor == "2025-01-03"
    assert mark("at", table=TIMES, cursor="2026-01-01T00:00:00Z").cursor == "2026-01-01T00:00:00Z"


def test_times_are_iso_texts(mark):
    assert mark("day", table=TIMES).cursor == "2025-01-03T00:00:00"
    assert mark("at", table=TIMES).cursor in {"2025-01-03T11:00:00+01:00", "2025-01-03T10:00:00Z"}


def test_a_whole_number_beside_a_gap_is_one(mark):
    found = mark("id", source="id\n1\n2\n\n").cursor
    assert (found, type(found)) == (2, int)
    below = 2**53 - 1
    assert mark("id", source=f"id,x\n{below},1\n,2\n").cursor == below


LARGE = "id,x\n9007199254740995,1\n,2\n"


def test_a_float_that_may_be_above_the_data_is_refused(bench):
    failure = bench.failure("result = data", source=f"{LARGE}0.5,3\n", cursor_column="id")
    assert failure.kind is FailureKind.FETCH
    assert "floats, which do not hold every whole number as large as 9007199254740996" in failure.message
    assert "`dtypes: {id: integer}`" in failure.hint


@pytest.mark.parametrize(
    ("text", "kind", "table"),
    [
        ("SELECT * FROM data", StepKind.QUERY, TableOptions()),
        ("result = data", StepKind.SCRIPT, TableOptions()),
        ("result = data", StepKind.SCRIPT, TableOptions(dtypes=(("id", "integer"),))),
    ],
)
def test_a_large_whole_number_is_exact_where_its_type_is_known(bench, text, kind, table):
    assert bench.run(text, kind=kind, source=LARGE, table=table, cursor_column="id").cursor == 9007199254740995


@pytest.fixture
def numbers(tmp_path):
    """A source with a column `n` of such a type."""

    def write(kind, *texts):
        path = tmp_path / "numbers.parquet"
        number = Decimal if pa.types.is_decimal(kind) else float
        cells = pa.array([text and number(text) for text in texts], kind)
        pa.parquet.write_table(pa.table({"n": cells}), path)
        return {"source": path, "kind_of_file": FileType.PARQUET}

    return write


DECIMAL = pa.decimal128(38, 3)


@pytest.mark.parametrize(
    ("largest", "cursor"),
    [
        ("10.000", 10),
        ("10.250", 10.25),
        ("9007199254740995", 9007199254740995),
        ("12345678901234567.123", "12345678901234567.123"),
    ],
)
def test_a_decimal_number_is_never_rounded(mark, numbers, largest, cursor):
    found = mark("n", **numbers(DECIMAL, "9.5", largest, None)).cursor
    assert (found, type(found)) == (cursor, type(cursor))


@pytest.mark.parametrize(
    ("known", "cursor"),
    [
        ("9.125", "12345678901234567.123"),
        (12345678901234567, "12345678901234567.123"),
        (12345678901234568, 12345678901234568),
        ("12345678901234567.124", "12345678901234567.124"),
    ],
)
def test_texts_of_numbers_are_compared_as_numbers(mark, numbers, known, cursor):
    assert mark("n", **numbers(DECIMAL, "12345678901234567.123"), cursor=known).cursor == cursor


def test_texts_of_a_column_of_texts_stay_texts(mark):
    assert mark("n", source='[{"n": "10"}]', kind_of_file=FileType.JSON, cursor="9").cursor == "9"


@pytest.mark.parametrize("kind", [pa.float64(), pa.float32()], ids=str)
@pytest.mark.parametrize(
    ("cells", "cursor"),
    [("1.5 NaN 2.5", 2.5), ("1.5 inf 2.5", 2.5), ("-inf 3.5 -1.5", 3.5), ("inf NaN inf", None), ("-inf", None)],
)
def test_what_is_not_finite_is_no_mark(mark, numbers, kind, cells, cursor):
    outcome = mark("n", **numbers(kind, *cells.split()))
    assert (outcome.failure, outcome.cursor) == (None, cursor)


@pytest.mark.parametrize(
    ("column", "cursor"), [("day", "2025-01-03"), ("at", "2025-01-03T10:00:00Z"), ("local", "2025-01-03T10:00:00")]
)
def test_an_endless_time_is_no_mark(bench, column, cursor):
    source = (
        "day,at,local\n2025-01-03,2025-01-03T10:00:00Z,2025-01-03T10:00:00\n"
        "infinity,infinity,infinity\n-infinity,-infinity,-infinity\n"
    )
    table = TableOptions(dtypes=(("day", "date"), ("at", "timestamp"), ("local", "timestamp")))
    outcome = bench.run(
        "SELECT 1 AS one",
        kind=StepKind.QUERY,
        source=source,
        table=table,
        cursor_column=column,
        cursor="2025-01-01",
    )
    assert (outcome.failure, outcome.cursor) == (None, cursor)


@pytest.mark.parametrize(
    ("known", "found", "cursor"),
    [
        ("2026-01-01", "2025-01-01T00:00:00Z", "2026-01-01"),
        # The zone of the job is an hour ahead.
        ("2026-01-01", "2025-12-31T23:30:00Z", "2025-12-31T23:30:00Z"),
        ("2026-01-01T05:00:00", "2026-01-01 08:00:00", "2026-01-01 08:00:00"),
        ("2026-01-01T05:00:00Z", "2026-01-01 05:30:00", "2026-01-01T05:00:00Z"),
        ("2026-01-01T05:00:00Z", "2026-01-01T05:30:00+02:00", "2026-01-01T05:00:00Z"),
        ("2026-01-01", "2025 and later", "2026-01-01"),
    ],
)
def test_times_with_and_without_a_zone_are_moments(mark, known, found, cursor):
    outcome = mark("at", source=f'[{{"at": "{found}"}}]', kind_of_file=FileType.JSON, cursor=known)
    assert outcome.failure is None
    assert outcome.cursor == cursor


@pytest.mark.parametrize(
    ("before", "largest"),
    [
        ("2026-06-01 09:00:00", "2026-06-01 10:30:00"),
        ("2026-06-01T09:00:00-05:00", "2026-06-01T10:30:00-05:00"),
        ("2026-06-01T09:00:00Z", "2026-06-01T10:30:00.5Z"),
        ("2026-06-01T09:00:00Z", "2026-06-01T10:30:00.123456Z"),
        ("2026-06-01T09:00:00+00:00", "2026-06-01T10:30:00+00:00"),
    ],
)
@pytest.mark.parametrize("kind", [FileType.JSON, FileType.NDJSON, FileType.CSV])
def test_the_mark_of_times_is_written_as_the_source_writes_them(mark, kind, before, largest):
    source = {
        FileType.JSON: f'[{{"at": null}}, {{"at": "{largest}"}}, {{"at": "{before}"}}]',
        FileType.NDJSON: f'{{"at": "{largest}"}}\n{{"at": "{before}"}}\n',
        FileType.CSV: f"at,n\n{largest},1\n,2\n{before},3\n",
    }[kind]
    assert mark("at", source=source, kind_of_file=kind).cursor == largest


def test_without_rows_there_is_no_mark(mark):
    assert mark("id", source="id\n", cursor=3).cursor is None
    assert mark("id", source="[]", kind_of_file=FileType.JSON).cursor is None
    assert mark("id", source='[{"id": null}]', kind_of_file=FileType.JSON).cursor is None


def test_a_column_that_cannot_tell_is_a_failure(mark):
    missing = mark("nope").failure
    assert missing.kind is FailureKind.FETCH
    assert "'nope', which `incremental.cursor` names" in missing.message
    assert "id, share, day" in missing.hint
    lists = mark("id", source='[{"id": [1]}, {"id": [2]}]', kind_of_file=FileType.JSON).failure
    assert "cannot tell how far" in lists.message


@pytest.mark.parametrize(
    ("column", "cursor"), [("id", 1), ("day", "2025-01-01T12:00:00Z"), ("at", "2025-01-01T10:00:00Z")]
)
def test_a_query_compares_the_cursor_with_any_column(bench, column, cursor):
    text = f'SELECT id FROM data WHERE "{column}" > ${{run:cursor}} ORDER BY id'
    assert bench.csv(text, kind=StepKind.QUERY, source=ROWS, cursor=cursor) == "id\n2\n3\n"


@pytest.mark.parametrize(
    ("kind", "text"), [(StepKind.SCRIPT, "result = data"), (StepKind.QUERY, "SELECT * FROM data")], ids=str
)
def test_a_field_within_a_column_is_told_how_to_become_one(bench, kind, text):
    more = {
        "kind": kind,
        "source": '{"items": [{"id": 1, "meta": {"at": "2026-01-01"}}]}',
        "kind_of_file": FileType.JSON,
    }
    failure = bench.failure(text, records_path="items", cursor_column="meta.at", **more)
    assert failure.message == "the data has no column 'meta.at', which `incremental.cursor` names"
    assert '`records_path: "items[].{at: meta.at, …}"` and `cursor: at`' in failure.hint
    outcome = bench.run(text, records_path="items[].{at: meta.at, id: id}", cursor_column="at", **more)
    assert (outcome.failure, outcome.cursor) == (None, "2026-01-01")
    other = bench.failure(text, records_path="items", cursor_column="nope.at", **more)
    assert other.hint == "It has the columns id, meta."


@pytest.mark.parametrize(
    ("records_path", "name", "told"),
    [
        ('"my-items"', "meta.at", "'\"my-items\"[].{at: meta.at, …}'"),
        ("a[?k=='x']", "meta.at", "\"a[?k=='x'].{at: meta.at, …}\""),
        ("a[?k=='x']", "meta.set-at", "'a[?k==''x''].{\"set-at\": meta.\"set-at\", …}'"),
    ],
)
def test_what_is_told_of_a_field_can_be_written_as_it_is(bench, records_path, name, told):
    records = [{"id": 1, "k": "x", "meta": {"at": 3, "set-at": 3}}]
    more = {"source": json.dumps({"my-items": records, "a": records}), "kind_of_file": FileType.JSON}
    failure = bench.failure("result = data", records_path=records_path, cursor_column=name, **more)
    assert f"`records_path: {told}`" in failure.hint
    path, column = yaml.safe_load(told.replace(", …", "")), name.removeprefix("meta.")
    outcome = bench.run("result = data", records_path=path, cursor_column=column, **more)
    assert (outcome.failure, outcome.cursor) == (None, 3)
