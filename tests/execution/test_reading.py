import gzip
import json
import weakref

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.run import FailureKind
from runner.core.source import FileType, TableOptions
from runner.execution.orders import StepInput
from runner.execution.steps import table_files
from runner.execution.steps.faults import StepError
from runner.execution.steps.reading import read_data


@pytest.fixture(scope="session")
def read(tmp_path_factory):
    path = tmp_path_factory.mktemp("inputs") / "data"

    def reading(content, kind=FileType.JSON, records_path=None):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        source = StepInput(paths=(str(path),), format=kind, records_path=records_path)
        return read_data(source)

    return reading


CELLS = st.one_of(
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.booleans(),
    st.none(),
    st.sampled_from(["", "a", "=x", "2025-01-01", "2025-01-01T00:00:00Z", "12:00:00", "007", "1e5", "null"]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=4),
    st.lists(st.integers(0, 3), max_size=2),
)


@pytest.mark.long
@settings(max_examples=80)
@given(
    records=st.lists(
        st.dictionaries(st.sampled_from(["a", "b", "A", "b_1", "json"]), CELLS, min_size=1), min_size=1, max_size=5
    )
)
@pytest.mark.parametrize("kind", [FileType.JSON, FileType.NDJSON])
def test_json_is_what_pandas_makes_of_it(read, kind, records):
    lines = [json.dumps(record) for record in records]
    text = "[" + ",".join(lines) + "]" if kind is FileType.JSON else "\n".join(lines)
    found, expected = read(text, kind), pd.DataFrame(records)
    pd.testing.assert_frame_equal(found, expected, check_dtype=True)


def test_texts_that_look_like_times_stay_texts(read):
    frame = read(
        '[{"day": "2025-01-01", "at": "2025-01-01T10:00:00Z", "id": "550e8400-e29b-41d4-a716-446655440000"}]'
    )
    assert frame.iloc[0].tolist() == ["2025-01-01", "2025-01-01T10:00:00Z", "550e8400-e29b-41d4-a716-446655440000"]


def test_a_late_fraction_is_not_rounded(read):
    records = [{"x": 1}] * 30_000 + [{"x": 1.5}]
    assert read(json.dumps(records))["x"].iloc[-1] == 1.5


def test_an_empty_array_is_an_empty_table(read):
    assert read("[]").shape == (0, 0)
    assert read("", FileType.NDJSON).shape == (0, 0)


def test_records_are_found_in_an_object(read):
    assert read('{"meta": 1, "items": [{"x": 1}]}', records_path="items")["x"].tolist() == [1]
    assert read('{"a": {"b": [{"x": 1}]}}', records_path="a.b")["x"].tolist() == [1]
    assert read('[[{"x": 1}], [{"x": 2}]]', records_path="[]")["x"].tolist() == [1, 2]


def test_an_object_by_columns_is_a_table(read):
    assert read('{"x": [1, 2], "y": ["a", "b"]}').to_dict("list") == {"x": [1, 2], "y": ["a", "b"]}
    frame = pd.DataFrame({"x": [1, 2], "y": ["a", None]})
    pd.testing.assert_frame_equal(read(frame.to_json()), frame, check_dtype=False)


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        ('{"meta": 1, "items": [{"x": 1}]}', "an object", "`records_path: items`"),
        ('{"data": {"items": [{"x": 1}]}}', "an object", "Add `records_path: data.items` to `data_source`."),
        ('{"count": 2, "status": "ok"}', "an object", "`records_path:`"),
        ("5", "a number", "JSON"),
        ("[1, 2]", "record 1 is a number", "Records are objects"),
        ('[{"x": 1}, [2]]', "record 2 is an array", "Records are objects"),
        ("[{]", "line 1, column 3", "curl"),
        ("<html>", "line 1, column 1", "curl"),
        (b"\xff\xfe", "decode", "JSON"),
    ],
)
def test_what_is_no_table_is_explained(read, content, message, hint):
    with pytest.raises(StepError) as raised:
        read(content)
    assert raised.value.failure.kind is FailureKind.FETCH
    assert message in raised.value.failure.message
    assert hint in raised.value.failure.hint


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ('{"rows": [], "total": 0}', "Set `records_path: rows`."),
        (
            '{"tags": ["a"], "rows": [{}], "data": {"items": [{}], "n": 1}}',
            "Set `records_path` to one of: rows, data.items, tags.",
        ),
        ('{"my rows": [{}], "b": []}', "Set `records_path` to one of: '\"my rows\"', b."),
        (json.dumps({f"a{number}": [] for number in range(12)}), "a8, a9, …."),
        ("[]", "Remove `records_path`: the document is the array itself."),
        ('{"total": 0}', "Look at the file, or ask the API with curl"),
        ("null", "Look at the file, or ask the API with curl"),
    ],
)
def test_a_wrong_records_path_names_those_that_lead_to_arrays(read, content, hint):
    with pytest.raises(StepError, match="finds nothing") as raised:
        read(content, records_path="items")
    assert hint in raised.value.failure.hint


def test_a_wrong_records_path_names_the_members(read):
    with pytest.raises(StepError) as raised:
        read('{"rows": [], "total": 0}', records_path="items")
    assert "rows, total" in raised.value.failure.message
    with pytest.raises(StepError, match="cannot be followed"):
        read("{}", records_path="a[")


def test_a_csv_that_is_not_utf8_names_the_key(read):
    with pytest.raises(StepError, match="'utf-8' codec can't decode byte 0xe9") as raised:
        read(b"name\ncaf\xe9 au lait\n", FileType.CSV)
    assert "set `encoding: cp1252` (or latin-1) under `data_source`" in raised.value.failure.hint
    with pytest.raises(StepError) as raised:
        read(b"[\xe9]", FileType.JSON)
    assert "encoding" not in raised.value.failure.hint


def test_a_bad_line_is_named(read):
    with pytest.raises(StepError, match="line 3"):
        read('{"x": 1}\n\n{"x"\n', FileType.NDJSON)


def test_a_byte_order_mark_is_no_data(read):
    assert read('\ufeff[{"x": 1}]')["x"].tolist() == [1]
    assert read('\ufeff{"x": [1]}')["x"].tolist() == [1]


LONG = "x" * 99


@pytest.mark.parametrize(
    ("content", "kind", "shown"),
    [
        ('[{"a": 1, "b": "größe \\ud83d und"}]', FileType.JSON, "größe \\ud83d und"),
        ('{"a": 1}\n{"a": 1, "b": "\\ude00"}\n', FileType.NDJSON, "\\ude00"),
        (f'{{"b": ["{LONG}\\ud800{LONG}"]}}', FileType.JSON, f"{LONG[:20]}\\ud800{LONG[:20]}"),
        ('[{"b\\ud800": 1}]', FileType.JSON, "b\\ud800"),
    ],
)
def test_half_a_character_is_told(read, content, kind, shown):
    with pytest.raises(StepError) as caught:
        read(content, kind)
    failure = caught.value.failure
    assert failure.kind is FailureKind.FETCH
    assert f"the text '{shown}' cannot be kept: it has a half of a surrogate pair" in failure.message
    assert "emoji" in failure.hint


def test_a_whole_pair_is_a_character(read):
    assert read('[{"a": "\\ud83d\\ude00"}]')["a"].tolist() == ["\U0001f600"]


@pytest.mark.parametrize("first", ["7", "1.5", "x", "007"])
@pytest.mark.parametrize("order", [1, -1])
def test_truth_values_beside_a_file_of_others_are_texts(tmp_path, first, order):
    (tmp_path / "a.csv").write_text(f"paid,n\n{first},1\n")
    (tmp_path / "b.csv").write_text("paid,n\ntrue,1\nfalse,2\n")
    paths = tuple(str(tmp_path / name) for name in ("a.csv", "b.csv")[::order])
    frame = read_data(StepInput(paths=paths, format=FileType.CSV))
    assert list(frame["paid"]) == [cell for part in ([first], ["true", "false"])[::order] for cell in part]
    assert frame["n"].dtype == "int64"


@pytest.mark.parametrize("order", [1, -1])
def test_truth_values_stay_what_they_are_beside_a_file_without(tmp_path, order):
    (tmp_path / "a.csv").write_text("paid,n\n,1\n")
    (tmp_path / "b.csv").write_text("paid,n\ntrue,1\nfalse,2\n")
    paths = tuple(str(tmp_path / name) for name in ("a.csv", "b.csv")[::order])
    frame = read_data(StepInput(paths=paths, format=FileType.CSV))
    assert list(map(str, frame["paid"])) == [
        cell for part in (["nan"], ["True", "False"])[::order] for cell in part
    ]
    assert frame["n"].dtype == "int64"


@pytest.mark.parametrize(
    ("first", "late"), [("12", "x"), ("1.50", "x"), ("true", "F"), ("12", "True"), ("true", "1"), ("007", "x")]
)
@pytest.mark.parametrize("options", [TableOptions(), TableOptions(dtypes=(("n", "integer"),))])
@pytest.mark.parametrize("pack", [bytes, pytest.param(gzip.compress, marks=pytest.mark.long)])
def test_a_late_text_makes_texts_of_a_whole_column(tmp_path, first, late, options, pack):
    # Pandas reads in pieces, here of more than 100,000 rows.
    count = 300_000
    path = tmp_path / f"a.csv{'.gz' if pack is gzip.compress else ''}"
    path.write_bytes(pack(b"v,n\n" + f"{first},1\n".encode() * count + f"{late},1\n".encode()))
    frame = read_data(StepInput(paths=(str(path),), format=FileType.CSV, table=options))
    assert frame["v"].value_counts().to_dict() == {first: count, late: 1}


def test_what_was_read_in_pieces_is_let_go_before_it_is_read_as_a_whole(tmp_path, monkeypatch):
    kept = []

    def parsed(path, options):
        assert not any(piece() for piece in kept)
        if "low_memory" in options:
            return pd.DataFrame({"v": ["12", "x"]})
        pieces = pd.DataFrame({"v": [12]})
        kept.append(weakref.ref(pieces))
        raise pd.errors.DtypeWarning("mixed types")

    monkeypatch.setattr(table_files, "_parsed", parsed)
    (tmp_path / "a.csv").touch()
    frame = read_data(StepInput(paths=(str(tmp_path / "a.csv"),), format=FileType.CSV))
    assert (len(kept), list(frame["v"])) == (1, ["12", "x"])


@pytest.mark.parametrize("number", ["12", "1.50", "007", "9" * 25])
@pytest.mark.parametrize("options", [TableOptions(), TableOptions(columns=("v", "n"))])
@pytest.mark.parametrize("order", [1, -1])
def test_numbers_beside_a_file_with_texts_are_texts(tmp_path, number, options, order):
    (tmp_path / "a.csv").write_text(f"n,v\n1,{number}\n2,\n")
    (tmp_path / "b.csv").write_text(f"v,n\n{number},3\nx,4\n")
    paths = tuple(str(tmp_path / name) for name in ("a.csv", "b.csv")[::order])
    frame = read_data(StepInput(paths=paths, format=FileType.CSV, table=options))
    assert frame["v"].value_counts(dropna=False).to_dict() == {number: 2, "x": 1, np.nan: 1}
    assert frame["n"].dtype == "int64"


@pytest.mark.parametrize(
    ("cell", "kind"), [("1", "int64"), ("1.5", "float64"), ("true", "bool"), ("x", None), ("2025-01-01", None)]
)
@pytest.mark.parametrize("order", [1, -1])
def test_a_file_without_rows_makes_no_other_columns_of_those_of_the_others(tmp_path, cell, kind, order):
    (tmp_path / "a.csv").write_text("more,v\n")
    (tmp_path / "b.csv").write_text(f"v,n\n{cell},1\n")
    paths = tuple(str(tmp_path / name) for name in ("a.csv", "b.csv")[::order])
    frame = read_data(StepInput(paths=paths, format=FileType.CSV))
    alone = read_data(StepInput(paths=(str(tmp_path / "b.csv"),), format=FileType.CSV))
    assert list(frame.columns) == (["more", "v", "n"] if order == 1 else ["v", "n", "more"])
    assert frame["v"].dtype == alone["v"].dtype == (kind or alone["v"].dtype)
    assert frame["n"].dtype == "int64"
    assert frame["more"].isna().all()


def test_times_finer_than_python_has_are_told_with_their_column(tmp_path):
    times = pa.array([1_000_000_001], pa.time64("ns"))
    columns = {"id": [1], "at": times, "list": pa.array([[1_000_000_001]], pa.list_(times.type))}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(StepError) as caught:
        read_data(StepInput(paths=(str(tmp_path / "a.parquet"),), format=FileType.PARQUET))
    told = "it has times of a day with nanoseconds, which a script lacks, in 'at', 'list'"
    assert caught.value.failure.message == f"the data cannot be read as Parquet: {told}"
    assert "Let a query read them" in caught.value.failure.hint
