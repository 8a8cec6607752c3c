import pytest

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
