import csv
import datetime as dt
import gzip
import json
import random
import re
import zipfile
from dataclasses import replace

import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter

from runner.core.job import StepKind
from runner.core.run import FailureKind
from runner.core.source import FileType, TableOptions
from runner.execution.orders import StepInput
from runner.execution.steps.faults import StepError
from runner.execution.steps.reading import read_data

STEPS = {
    StepKind.SCRIPT: "result = data",
    StepKind.QUERY: "SELECT * FROM data",
    StepKind.PASS_THROUGH: "",
}
OPTIONS = TableOptions(
    delimiter=";",
    encoding="cp1252",
    decimal=",",
    columns=("id", "place", "share", "day", "good"),
    dtypes=(("id", "string"), ("share", "number"), ("good", "boolean"), ("day", "date")),
)
TABLE = "id;junk;place;share;day;good\n007;1;Zürich €;1,5;31.01.2025;yes\nNA;2;;;;\n"


def write(path, text):
    content = text if isinstance(text, bytes) else text.encode()
    if path.suffix == ".gz":
        content = gzip.compress(content)
    if path.suffix == ".zst":
        content = pa.Codec("zstd").compress(content, asbytes=True)
    path.write_bytes(content)
    return str(path)


@pytest.fixture(params=STEPS, ids=str)
def step(bench, request):
    """The result of a step that gives its input back."""
    kind = request.param

    def run(*inputs):
        return bench.csv(STEPS[kind], kind=kind, inputs=inputs)

    run.kind = kind
    run.failure = lambda *inputs: bench.failure(STEPS[kind], kind=kind, inputs=inputs)
    return run


def test_the_options_of_a_table(step, tmp_path):
    path = write(tmp_path / "a.csv", TABLE.encode("cp1252"))
    found = step(StepInput(paths=(path,), format=FileType.CSV, table=OPTIONS))
    header, first, second = found.splitlines()
    assert header == "id,place,share,day,good"
    assert second == "NA,,,,"
    if step.kind is StepKind.PASS_THROUGH:
        assert first == '007,Zürich €,"1,5",31.01.2025,yes'
    else:
        assert first.lower() == "007,zürich €,1.5,2025-01-31,true"


@pytest.mark.parametrize("option", ["columns", "dtypes", "parse_dates"])
def test_a_column_that_is_not_there_is_named(step, tmp_path, option):
    path = write(tmp_path / "a.csv", "a,b\n1,2\n")
    names = (("c", "string"),) if option == "dtypes" else ("c",)
    failure = step.failure(StepInput(paths=(path,), format=FileType.CSV, table=TableOptions(**{option: names})))
    assert failure.kind is FailureKind.FETCH
    assert f"no column 'c', which `{option}` names" in failure.message
    assert "a, b" in failure.hint


def test_several_files_are_one_table(step, tmp_path):
    paths = (
        write(tmp_path / "a.csv", "id,x\n1,2\n"),
        write(tmp_path / "it's [b].csv.gz", "x,y\n5,a\n"),
        write(tmp_path / "c.csv.zst", "id,z\n3,w\n"),
    )
    found = step(StepInput(paths=paths, format=FileType.CSV))
    assert found.replace(".0", "") == "id,x,y,z\n1,2,,\n,5,a,\n3,,,w\n"


@pytest.mark.parametrize("end", ["", ".gz", ".zst"])
@pytest.mark.parametrize(
    ("kind", "text", "path"),
    [
        (FileType.JSON, '[{"a": 1}, {"a": 2}]', None),
        (FileType.JSON, '{"rows": [{"a": 1}, {"a": 2}]}', "rows"),
        (FileType.NDJSON, '{"a": 1}\n{"a": 2}\n', None),
    ],
)
def test_packed_json(bench, tmp_path, end, kind, text, path):
    file = write(tmp_path / f"a?.{kind}{end}", text)
    source = StepInput(paths=(file,), format=kind, records_path=path)
    for step in (StepKind.SCRIPT, StepKind.QUERY):
        assert bench.csv(STEPS[step], kind=step, inputs=(source,)) == "a\n1\n2\n"


@pytest.mark.parametrize("name", ["a.csv.gz", "a.csv.zst"])
def test_a_packed_file_that_is_none_is_told(step, tmp_path, name):
    (tmp_path / name).write_bytes(b"no archive")
    assert step.failure(StepInput(paths=(str(tmp_path / name),), format=FileType.CSV)).kind is FailureKind.FETCH
    whole = gzip.compress(b"a,b\n" + bytes(range(97, 123)) * 999)
    (tmp_path / name).write_bytes(whole[:-20])
    assert step.failure(StepInput(paths=(str(tmp_path / name),), format=FileType.CSV)).kind is FailureKind.FETCH


def cut_off(text):
    """Its first blocks alone, each of them whole lines of eight bytes."""
    packed = pa.Codec("zstd").compress(text, asbytes=True)
    return packed[: len(packed) * 2 // 3]


def altered(text):
    """A digit is another one, and the checksum behind it is that of the text as it was."""
    packed = bytearray(gzip.compress(text, 0))
    packed[re.compile(rb"[0-9](?=[}\n])").search(packed, len(packed) // 2).start()] ^= 1
    return bytes(packed)


@pytest.mark.long
@pytest.mark.parametrize(("end", "damage", "words"), [("zst", cut_off, "Truncated"), ("gz", altered, "CRC")])
@pytest.mark.parametrize(
    ("kind", "first", "line"),
    [(FileType.CSV, "one,two\n", "{:03d},{:03d}\n"), (FileType.NDJSON, "", '{{"a":{0!s:.1}}}\n')],
    ids=["csv", "ndjson"],
)
def test_a_packed_file_that_is_damaged_is_no_data(step, tmp_path, end, damage, words, kind, first, line):
    draw = random.Random(7)
    lines = [line.format(*(draw.randrange(1000) for _ in range(2))) for _ in range(80_000)]
    path = tmp_path / f"a.{kind}.{end}"
    path.write_bytes(damage((first + "".join(lines)).encode()))
    failure = step.failure(StepInput(paths=(str(path),), format=kind))
    assert failure.kind is FailureKind.FETCH
    assert words in failure.message


@pytest.fixture(scope="session")
def workbook(tmp_path_factory):
    path = tmp_path_factory.mktemp("books") / "book.xlsx"
    days = pd.to_datetime(["2025-01-01", None])
    with pd.ExcelWriter(path, engine="xlsxwriter") as book:
        frame = pd.DataFrame({"id": [7, 8], "code": ["007", "NA"], "day": days, "share": [1.5, None]})
        frame.to_excel(book, sheet_name="One", index=False)
        frame.head(1).to_excel(book, sheet_name="Two", index=False)
    return str(path)


def test_a_sheet_keeps_the_types_of_its_cells(step, workbook):
    found = step(StepInput(paths=(workbook,), format=FileType.XLSX))
    assert found.replace(" 00:00:00", "") == "id,code,day,share\n7,007,2025-01-01,1.5\n8,NA,,\n"
    table = TableOptions(sheet="Two", columns=("day", "id"), dtypes=(("day", "date"), ("id", "string")))
    assert step(StepInput(paths=(workbook,), format=FileType.XLSX, table=table)) == "day,id\n2025-01-01,7\n"


def test_a_column_of_several_types_in_a_long_sheet_is_one_of_texts(bench, tmp_path):
    rows, time = 3_000, dt.time(10, 0)
    frame = pd.DataFrame({"number": range(rows), "code": range(rows), "day": [dt.datetime(2025, 1, 1)] * rows})
    frame = frame.astype("object")
    late = {"number": [1.5, "5"], "code": ["007", True], "day": ["2025-02-30", time]}
    for name, cells in late.items():
        frame.loc[[777, 1501], name] = cells
    frame["clock"] = [None] * (rows - 1) + [time]
    frame.to_excel(tmp_path / "book.xlsx", engine="xlsxwriter", index=False)
    source = StepInput(paths=(str(tmp_path / "book.xlsx"),), format=FileType.XLSX)
    query = "SELECT * FROM data WHERE number IN ('0', '1.5', '5') OR clock IS NOT NULL"
    assert bench.csv(query, kind=StepKind.QUERY, inputs=(source,)).splitlines() == [
        "number,code,day,clock",
        "0,0,2025-01-01 00:00:00,",
        "5,5,2025-01-01 00:00:00,",
        "1.5,007,2025-02-30,",
        "5,True,10:00:00,",
        "2999,2999,2025-01-01 00:00:00,10:00:00",
    ]


@pytest.mark.parametrize("order", [1, -1])
def test_every_cell_of_the_longest_of_several_sheets_is_looked_at(bench, tmp_path, order):
    for name, rows in (("long", 1_200), ("short", 2)):
        pd.DataFrame({"n": range(rows)}).to_excel(tmp_path / f"{name}.xlsx", engine="xlsxwriter", index=False)
    sources = tuple(
        StepInput(name=name, paths=(str(tmp_path / f"{name}.xlsx"),), format=FileType.XLSX)
        for name in ("long", "short")[::order]
    )
    query = "SELECT current_setting('pandas_analyze_sample') AS cells"
    assert bench.csv(query, kind=StepKind.QUERY, inputs=sources) == "cells\n1200\n"


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize("table", [TableOptions(), TableOptions(columns=("a",))], ids=["plain", "columns"])
def test_an_empty_sheet_is_no_table_and_one_of_names_is(bench, tmp_path, kind, table):
    path = tmp_path / "book.xlsx"
    source = StepInput(paths=(str(path),), format=FileType.XLSX, table=table)
    pd.DataFrame().to_excel(path, engine="xlsxwriter", index=False)
    failure = bench.failure(STEPS[kind], kind=kind, inputs=(source,))
    assert failure.message == "the data cannot be read as XLSX: its sheet is empty"
    assert failure.hint == "A sheet starts with a row of column names."
    pd.DataFrame({"a": []}).to_excel(path, engine="xlsxwriter", index=False)
    assert bench.csv(STEPS[kind], kind=kind, inputs=(source,)) == "a\n"


@pytest.mark.parametrize("table", [TableOptions(), TableOptions(columns=("a",))], ids=["plain", "columns"])
def test_one_empty_sheet_of_several_adds_nothing(step, tmp_path, table):
    paths = tuple(str(tmp_path / f"{name}.xlsx") for name in ("a", "b", "c"))
    for path, cells in zip(paths, ([7], None, [8]), strict=True):
        pd.DataFrame(cells and {"a": cells}).to_excel(path, engine="xlsxwriter", index=False)
    assert step(StepInput(paths=paths, format=FileType.XLSX, table=table)) == "a\n7\n8\n"


@pytest.mark.parametrize("table", [TableOptions(), TableOptions(columns=("a",))], ids=["plain", "columns"])
def test_the_first_sheet_with_rows_is_read_beside_others_too(step, tmp_path, table):
    paths = [str(tmp_path / f"{name}.xlsx") for name in ("a", "b")]
    for number, path in enumerate(paths, start=7):
        with pd.ExcelWriter(path, engine="xlsxwriter") as book:
            for name, frame in {"Cover": {}, "Data": {"a": [number]}, "Other": {"a": [0]}}.items():
                pd.DataFrame(frame).to_excel(book, sheet_name=name, index=False)
    assert step(StepInput(paths=(paths[0],), format=FileType.XLSX, table=table)) == "a\n7\n"
    assert step(StepInput(paths=tuple(paths), format=FileType.XLSX, table=table)) == "a\n7\n8\n"
    failure = step.failure(StepInput(paths=(paths[0],), format=FileType.XLSX, table=replace(table, sheet="Cover")))
    assert failure.message == "the data cannot be read as XLSX: its sheet is empty"


@pytest.mark.parametrize(
    ("kind", "cells"),
    [("integer", ["7", ""]), ("string", ["7", ""]), ("number", ["7.0", ""])],
)
def test_a_gap_does_not_change_the_numbers_of_a_typed_column(step, tmp_path, kind, cells):
    path = tmp_path / "gaps.xlsx"
    days = pd.to_datetime(["2025-01-01", "2025-01-02"])
    frame = pd.DataFrame({"a": pd.array([7, None], "Int64"), "b": pd.array([1, None], "Int64"), "day": days})
    frame.to_excel(path, engine="xlsxwriter", index=False)
    table = TableOptions(dtypes=(("a", kind), ("day", "string")))
    found = step(StepInput(paths=(str(path),), format=FileType.XLSX, table=table))
    # A script has floats beside gaps, as pandas does.
    whole = "1.0" if step.kind is StepKind.SCRIPT else "1"
    assert found == f"a,b,day\n{cells[0]},{whole},2025-01-01\n{cells[1]},,2025-01-02\n"


LARGE = 2**53 + 1


@pytest.mark.parametrize("nested", [False, True], ids=["plain", "nested"])
@pytest.mark.parametrize("kind", FileType, ids=str)
def test_whole_numbers_survive_a_gap(step, tmp_path, kind, nested):
    """Large ones always, small ones where pandas would not have floats for them."""
    path = tmp_path / f"gaps.{kind}"
    large = LARGE if kind is not FileType.XLSX else 2**53
    records = [{"id": large, "few": 5, "x": 1}, {"id": None, "few": None, "x": 2}]
    if nested and kind in {FileType.JSON, FileType.NDJSON}:
        records[0]["x"] = [1]
    if kind is FileType.JSON:
        path.write_text(json.dumps(records))
    elif kind is FileType.NDJSON:
        path.write_text("\n".join(map(json.dumps, records)))
    elif kind is FileType.CSV:
        path.write_text(f"id,few,x\n{large},5,1\n,,2\n")
    else:
        frame = pd.DataFrame({name: pd.array([one[name] for one in records], "Int64") for name in records[0]})
        frame.to_parquet(path) if kind is FileType.PARQUET else frame.to_excel(
            path, engine="xlsxwriter", index=False
        )
    _, first, second = step(StepInput(paths=(str(path),), format=kind)).splitlines()
    identifier, few, _ = first.split(",")
    # What a sheet has is a float already.
    assert identifier.removesuffix(".0") == str(large)
    assert few == ("5.0" if step.kind is StepKind.SCRIPT and kind is not FileType.PARQUET else "5")
    assert second.startswith(",,")


@pytest.mark.parametrize(
    "table", [TableOptions(), TableOptions(dtypes=(("x", "integer"),))], ids=["plain", "typed"]
)
@pytest.mark.parametrize("kind", [FileType.CSV, FileType.JSON, FileType.XLSX], ids=str)
@pytest.mark.parametrize(
    "cells",
    [[1, None, 2**63], [-1, 2**63, 2**62], [None, -(2**70), 3], [1, 2**64]],
    ids=["gap", "-", "far", "wide"],
)
def test_whole_numbers_past_64_bits_are_numbers_in_every_format(bench, tmp_path, kind, cells, table):
    path = tmp_path / f"large.{kind}"
    if kind is FileType.JSON:
        path.write_text(json.dumps([{"n": cell, "x": 1} for cell in cells]))
    elif kind is FileType.CSV:
        path.write_text("n,x\n" + "".join(f"{'' if cell is None else cell},1\n" for cell in cells))
    else:
        with xlsxwriter.Workbook(path) as book:
            sheet = book.add_worksheet()
            for place, row in enumerate([("n", "x"), *((cell, 1) for cell in cells)]):
                sheet.write_row(place, 0, row)
    script = "assert data.n.isna().tolist() == [cell is None for cell in CELLS], data.n\n"
    script += "assert data.n.dropna().astype(object).tolist() == [cell for cell in CELLS if cell], data.n\n"
    # A sheet has floats of them, which xlsxwriter writes with sixteen digits.
    script += "result = data[['n']]"
    held = [cell if kind is not FileType.XLSX or cell is None else int(float(f"{cell:.16G}")) for cell in cells]
    options = TableOptions() if kind is FileType.JSON else table
    found = bench.csv(script.replace("CELLS", repr(held)), source=path, kind_of_file=kind, table=options)
    assert found.replace('""', "") == "n\n" + "".join(f"{'' if cell is None else cell}\n" for cell in held)


def test_texts_with_zeros_in_front_are_made_no_numbers_of(bench, tmp_path):
    """pandas has left them texts, as one of them is too large for 64 bits beside a gap."""
    path = tmp_path / "keys.csv"
    path.write_text("n,x\n007,1\n,2\n9300000000000000000,3\n")
    found = bench.csv("result = data[['n']]", source=path, kind_of_file=FileType.CSV, table=TableOptions())
    assert found.replace('""', "") == "n\n007\n\n9300000000000000000\n"


@pytest.mark.parametrize("key", [None, "key"])
def test_whole_numbers_of_parquet_stay_in_their_rows(step, tmp_path, key):
    """pandas keeps the index of a frame in the file."""
    path = tmp_path / "kept.parquet"
    cells = {"self": [7, None, LARGE], "n": [1, 2, 3], "key": ["x", "y", "z"]}
    frame = pd.DataFrame(cells, dtype=object)
    (frame.set_index(key) if key else frame)[frame["n"].gt(1).to_numpy()].to_parquet(path)
    found = list(csv.DictReader(step(StepInput(paths=(str(path),), format=FileType.PARQUET)).splitlines()))
    assert [(row["self"], row["n"], row["key"]) for row in found] == [("", "2", "y"), (str(LARGE), "3", "z")]


@pytest.mark.parametrize(
    ("kind", "cells", "text"),
    [
        (pa.struct({"id": pa.int64()}), [{"id": LARGE}, {"id": None}], "{'id': L}"),
        (pa.struct({"id": pa.int64()}), [{"id": LARGE}, None], "{'id': L}"),
        (pa.list_(pa.int64()), [[LARGE, None], [1]], "[L, None]"),
        (pa.list_(pa.int64(), 2), [[LARGE, None], None], "[L, None]"),
        (pa.large_list(pa.struct({"id": pa.int64()})), [[{"id": LARGE}], [{"id": None}]], "[{'id': L}]"),
        (pa.map_(pa.string(), pa.uint64()), [[("a", LARGE)], [("b", None)]], "[('a', L)]"),
        (pa.list_(pa.int64()), [[5, None], [1]], "[5.0, nan]"),
    ],
)
def test_whole_numbers_within_cells_of_parquet_stay_what_they_are_to_a_script(bench, tmp_path, kind, cells, text):
    path = tmp_path / "nested.parquet"
    pq.write_table(pa.table({"n": [1, 2], "v": pa.array(cells, kind)}), path)
    found = bench.csv("result = data", source=path, kind_of_file=FileType.PARQUET)
    assert next(csv.DictReader(found.splitlines())) == {"n": "1", "v": text.replace("L", str(LARGE))}


@pytest.mark.parametrize(
    ("first", "second", "lines"),
    [
        ('[{"a": L}]', '[{"b": 1}]', {"script": "L,|,1.0", "other": "L,|,1"}),
        ('[{"a": 5}]', '[{"b": 1}]', {"script": "5.0,|,1.0", "other": "5,|,1"}),
        ('[{"a": L}, {"a": null}]', '[{"a": 1}, {"a": null}]', {"script": "L||1|", "other": "L||1|"}),
        ('[{"a": null}]', '[{"a": L}]', {"script": "|L", "other": "|L"}),
        ('[{"a": 1}]', '[{"a": 2}]', {"script": "1|2", "other": "1|2"}),
        ('[{"a": 1}, {"a": null}]', '[{"a": 0.5}]', {"script": "1.0||0.5", "other": "1.0||0.5"}),
    ],
)
def test_whole_numbers_survive_a_file_without_them(step, tmp_path, first, second, lines):
    paths = []
    for name, text in (("a", first), ("b", second)):
        paths.append(str(tmp_path / f"{name}.json"))
        (tmp_path / f"{name}.json").write_text(text.replace("L", str(LARGE)))
    found = step(StepInput(paths=tuple(paths), format=FileType.JSON)).splitlines()[1:]
    expected = lines["script" if step.kind is StepKind.SCRIPT else "other"].replace("L", str(LARGE)).split("|")
    assert [line.replace('""', "") for line in found] == expected


@pytest.mark.parametrize(
    ("texts", "table", "expected"),
    [
        (["a,a\n1,L\n2,\n"], TableOptions(), "1,L|2,"),
        (["x;a;b\nq;-L;1\nr;;2,5\n"], TableOptions(delimiter=";", decimal=",", columns=("a", "b")), "-L,1.0|,2.5"),
        (["a\nL\nNA\n0.5\n"], TableOptions(), f"{float(LARGE)}||0.5"),
        (["a\nL\nNA\n"], TableOptions(dtypes=(("a", "number"),)), f"{float(LARGE)}|"),
        (["a\nL\n", "a\n5\nNA\n"], TableOptions(), "L|5|"),
        (["a\n5\nNA\n", "a\nL\nNA\n"], TableOptions(), "5||L|"),
        (["a\n5\nNA\n", "a\n6\n"], TableOptions(), "5.0||6.0"),
        (["a\nL\n", "a\n0.5\nNA\n"], TableOptions(), f"{float(LARGE)}|0.5|"),
        ([f"a\n{-(2**63)}\n5\n", "a\n3\nNA\n"], TableOptions(), f"{-(2**63)}|5|3|"),
        (["a\n1\n", f"a\n{2**64 - 1}\n"], TableOptions(), f"1|{2**64 - 1}"),
        ([f"a\n{2**63}\n", "a\nL\n-5\n"], TableOptions(), f"{2**63}|L|-5"),
        ([f"a\n{2**63}\n", "a\n5\nNA\n"], TableOptions(), f"{2**63}|5|"),
        ([f"a\n{2**63}\n", "a\nNA\n"], TableOptions(), f"{2**63}|"),
        ([f"a\n{2**63}\n", "a\n0.5\n"], TableOptions(), f"{float(2**63)}|0.5"),
    ],
)
def test_a_script_has_the_digits_that_a_csv_has(bench, tmp_path, texts, table, expected):
    if table.dtypes:
        # Where a type is declared only nothing is a gap.
        texts = [text.replace("NA", '""') for text in texts]
    paths = [write(tmp_path / f"{number}.csv", text.replace("L", str(LARGE))) for number, text in enumerate(texts)]
    source = StepInput(paths=tuple(paths), format=FileType.CSV, table=table)
    found = bench.csv("result = data", inputs=(source,)).splitlines()[1:]
    assert [line.replace('""', "") for line in found] == expected.replace("L", str(LARGE)).split("|")


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ([2**64 - 1], pd.array([3], "int64"), np.dtype("uint64")),
        ([2**64 - 1], pd.array([3, None], "Int64"), np.dtype("object")),
        ([2**64 - 1], None, np.dtype("object")),
        ([7], pd.array([3, None], "Int64"), np.dtype("float64")),
        ([7], pd.array([-3], "int64"), np.dtype("object")),
    ],
)
def test_unsigned_numbers_in_one_file_and_others_in_another_keep_their_digits(tmp_path, first, second, kind):
    other = pd.DataFrame({"x": [1]}) if second is None else pd.DataFrame({"n": second})
    for number, frame in enumerate([pd.DataFrame({"n": np.array(first, "uint64")}), other]):
        frame.to_parquet(tmp_path / str(number))
    paths = (str(tmp_path / "0"), str(tmp_path / "1"))
    column = read_data(StepInput(paths=paths, format=FileType.PARQUET))["n"]
    expected = [*first, *([None] if second is None else second)]
    assert column.dtype == kind
    assert [None if pd.isna(cell) else int(cell) for cell in column] == [
        None if pd.isna(cell) else cell for cell in expected
    ]


@pytest.mark.parametrize("kind", [FileType.CSV, FileType.JSON, FileType.PARQUET])
def test_whole_numbers_in_one_file_and_fractions_in_another_are_floats_as_ever(tmp_path, kind):
    paths = []
    for number, cells in enumerate([pd.array([LARGE, None], "Int64"), pd.array([1.5, np.nan], "float64")]):
        frame, path = pd.DataFrame({"n": cells}), tmp_path / str(number)
        if kind is FileType.CSV:
            frame.to_csv(path, index=False)
        elif kind is FileType.JSON:
            path.write_text(json.dumps([{"n": None if pd.isna(cell) else cell} for cell in frame["n"].tolist()]))
        else:
            frame.to_parquet(path)
        paths.append(str(path))
    assert read_data(StepInput(paths=tuple(paths), format=kind))["n"].dtype == np.float64


@pytest.mark.parametrize("declared", ["number", "integer", "timestamp"])
def test_a_type_of_a_column_that_is_not_taken_says_nothing(step, tmp_path, declared):
    path = write(tmp_path / "a.csv", "a,b\n1,x\n")
    table = TableOptions(columns=("a",), dtypes=(("b", declared),))
    assert step(StepInput(paths=(path,), format=FileType.CSV, table=table)) == "a\n1\n"


def test_two_columns_of_a_sheet_that_are_called_alike(step, tmp_path):
    path = tmp_path / "alike.xlsx"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        for place, row in enumerate([[1, "1"], [1, 5], [None, None], [2, None]]):
            sheet.write_row(place, 0, row)
    source = StepInput(paths=(str(path),), format=FileType.XLSX)
    if step.kind is StepKind.QUERY:
        assert step(source).splitlines()[0] == "1,1_1"
    else:
        assert "'1'" in step.failure(source).message


def test_a_cell_with_an_error_and_no_text_is_a_gap(step, tmp_path):
    write_errors(tmp_path / "plain.xlsx", "#DIV/0!")
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(tmp_path / "plain.xlsx") as plain, zipfile.ZipFile(path, "w") as book:
        for name in plain.namelist():
            text = plain.read(name).decode()
            book.writestr(name, re.sub(r'(<c r="B2"[^>]*t="e")>.*?</c>', r"\1/>", text))
    table = TableOptions(sheet="Sales", columns=("id", "share"))
    found = step(StepInput(paths=(str(path),), format=FileType.XLSX, table=table))
    assert found.splitlines()[1].replace('""', "") == "1,"


@pytest.fixture
def charted(tmp_path):
    """A workbook that begins with a chart on a sheet of its own."""
    with xlsxwriter.Workbook(tmp_path / "charted.xlsx") as book:
        picture, sheet = book.add_chartsheet("Chart"), book.add_worksheet("Data")
        for place, row in enumerate((["a"], [1])):
            sheet.write_row(place, 0, row)
        chart = book.add_chart({"type": "bar"})
        chart.add_series({"values": "=Data!$A$2:$A$2"})
        picture.set_chart(chart)
    return str(tmp_path / "charted.xlsx")


def test_the_first_sheet_is_one_that_has_rows(step, charted):
    assert step(StepInput(paths=(charted,), format=FileType.XLSX)) == "a\n1\n"


def test_a_chart_is_no_sheet_of_rows(step, charted):
    failure = step.failure(
        StepInput(paths=(charted,), format=FileType.XLSX, table=TableOptions(sheet="Chart", columns=("a",)))
    )
    assert failure.message.endswith(": its sheet 'Chart' has no rows")
    assert failure.hint == "A chart can be a sheet. Its sheets are Data."


def test_a_sheet_that_is_not_there(step, workbook, tmp_path):
    source = StepInput(paths=(workbook,), format=FileType.XLSX, table=TableOptions(sheet="Three"))
    assert "no sheet 'Three'" in step.failure(source).message
    assert (
        step.failure(StepInput(paths=(write(tmp_path / "a.xlsx", "x"),), format=FileType.XLSX)).kind
        is FailureKind.FETCH
    )


@pytest.fixture
def two(tmp_path):
    orders = write(tmp_path / "orders.csv", "id,who\n1,9\n")
    people = write(tmp_path / "people.json", '[{"who": 9, "name": "x"}]')
    return (
        StepInput(name="orders", paths=(orders,), format=FileType.CSV),
        StepInput(name="people", paths=(people,), format=FileType.JSON),
    )


def test_sources_have_their_names(bench, two):
    joined = "id,who,name\n1,9,x\n"
    outcome = bench.run("assert data is orders\nresult = orders.merge(people)", inputs=two)
    assert (outcome.failure, outcome.rows_in) == (None, 2)
    assert bench.csv("SELECT * FROM data JOIN people USING (who)", kind=StepKind.QUERY, inputs=two) == joined
    assert bench.csv("SELECT * FROM orders JOIN people USING (who)", kind=StepKind.QUERY, inputs=two) == joined
    assert bench.csv(kind=StepKind.PASS_THROUGH, inputs=two) == "id,who\n1,9\n"


def test_another_source_may_be_called_data(bench, two):
    orders, people = two
    people = StepInput(name="data", paths=people.paths, format=people.format)
    assert bench.csv("result = data", inputs=(orders, people)) == "who,name\n9,x\n"
    assert bench.csv("SELECT name FROM data", kind=StepKind.QUERY, inputs=(orders, people)) == "name\nx\n"


def test_a_cell_far_down_that_is_no_such_value_is_the_fault_of_the_data(bench):
    rows = "n\n" + "1\n" * 30_000 + "x\n"
    table = TableOptions(dtypes=(("n", "number"),))
    failure = bench.failure("SELECT sum(n) AS s FROM data", kind=StepKind.QUERY, source=rows, table=table)
    assert failure.kind is FailureKind.FETCH
    assert failure.message.endswith("column 'n' has 'x', which is no number (line 30002)")


@pytest.mark.parametrize(
    ("cells", "decimal", "wrong"),
    [
        (["TRUE", "false"], ".", "TRUE"),
        (["1", "0", "true"], ".", "true"),
        (["1.5", "1_000"], ".", "1_000"),
        (["1,5", "1.000"], ",", "1.000"),
        (["nan"], ".", "nan"),
    ],
)
def test_a_cell_that_is_no_number_is_named(tmp_path, cells, decimal, wrong):
    path = write(tmp_path / "n.csv", "n;x\n" + "".join(f"{cell};a\n" for cell in cells))
    table = TableOptions(delimiter=";", decimal=decimal, dtypes=(("n", "number"),))
    with pytest.raises(StepError) as caught:
        read_data(StepInput(paths=(path,), format=FileType.CSV, table=table))
    assert caught.value.failure.message.endswith(f"column 'n' has '{wrong}', which is no number")


def test_numbers_that_look_like_truths_are_some(tmp_path):
    path = write(tmp_path / "n.csv", "n;x\n1,0;a\n0;a\n;a\n")
    table = TableOptions(delimiter=";", decimal=",", dtypes=(("n", "number"),))
    found = read_data(StepInput(paths=(path,), format=FileType.CSV, table=table))["n"]
    assert found.dtype == "float64"
    assert found.fillna(-1).tolist() == [1.0, 0.0, -1.0]


@pytest.mark.parametrize("kind", [FileType.JSON, FileType.NDJSON])
def test_a_script_can_write_into_its_data(bench, kind):
    lines = ['{"id": 1, "amount": 5.5}', '{"id": 2, "amount": -1.5}']
    source = f"[{','.join(lines)}]" if kind is FileType.JSON else "\n".join(lines)
    text = 'data.loc[data["amount"] < 0, "amount"] = 0.0\ndata["id"] += 1\nresult = data'
    assert bench.csv(text, source=source, kind_of_file=kind) == "id,amount\n2,5.5\n3,0.0\n"


ERRORS = ["#DIV/0!", "#REF!", "#NAME?", "#NULL!", "#NUM!", "#VALUE!"]


def write_errors(path, *errors, sheet="Sales", start=("id", "share", "note")):
    """A workbook with a formula in the second column of each row, which gave these."""
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet("Cover").write(0, 0, "title")
        one = book.add_worksheet(sheet)
        one.write_row(0, 0, start)
        for row, error in enumerate(errors, start=1):
            one.write(row, 0, row)
            one.write_formula(row, 1, "=A1/0", None, error)
            one.write(row, 2, "#REF!")
    return str(path)


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("table", [{}, {"dtypes": (("share", "number"),)}], ids=["plain", "typed"])
def test_a_cell_with_an_error_is_told(step, tmp_path, error, table):
    path = write_errors(tmp_path / "a.xlsx", 1.5, "#N/A", error, sheet="It's <1>")
    source = StepInput(paths=(path,), format=FileType.XLSX, table=TableOptions(sheet="It's <1>", **table))
    failure = step.failure(source)
    assert failure.kind is FailureKind.FETCH
    assert failure.message == (
        f"the data cannot be read as XLSX: cell B4 of the sheet 'It's <1>' holds the error {error}"
    )
    assert "IFERROR" in failure.hint


def test_a_value_that_is_not_available_is_a_gap(step, tmp_path):
    path = write_errors(tmp_path / "a.xlsx", 1.5, "#N/A")
    found = step(StepInput(paths=(path,), format=FileType.XLSX, table=TableOptions(sheet="Sales")))
    assert found == 'id,share,note\n1,1.5,"#REF!"\n2,,"#REF!"\n'


def test_a_formula_that_nobody_has_worked_out_is_told(step, tmp_path):
    book = openpyxl.Workbook()
    for row in (["id", "total", "note"], [1, 2, "x"], [2, "=SUM(B2:B2)", '=A2&""']):
        book.active.append(row)
    book.save(tmp_path / "a.xlsx")

    def source(*columns):
        table = TableOptions(columns=columns)
        return StepInput(paths=(str(tmp_path / "a.xlsx"),), format=FileType.XLSX, table=table)

    failure = step.failure(source())
    assert failure.message.endswith("cell B3 of the sheet 'Sheet' holds a formula that nobody has worked out")
    assert step(source("id")) == "id\n1\n2\n"


def write_changed(path, plain, change, *, part="xl/worksheets/"):
    """A workbook with the sheets of another one, or its parts of another name, changed."""
    with zipfile.ZipFile(plain) as plain, zipfile.ZipFile(path, "w") as book:
        for name in plain.namelist():
            text = plain.read(name).decode()
            book.writestr(name, change(text) if name.startswith(part) else text)
    return path


# As openpyxl writes it without lxml and with it, and as programs do that give a formula to several cells once.
UNWORKED = ["<f>A3+1</f><v /></c>", "<f>A3+1</f><v></v></c>", '<f t="shared" si="0"/></c>']


@pytest.mark.parametrize("prefix", ["", "x:"])
@pytest.mark.parametrize("form", UNWORKED)
def test_a_formula_without_a_value_is_told_however_it_is_written(step, tmp_path, form, prefix):
    book = openpyxl.Workbook()
    for row in (["id", "total"], [1, 2], [2, "=A3+1"]):
        book.active.append(row)
    book.save(tmp_path / "plain.xlsx")

    def change(text):
        text, count = re.subn(r"<f>A3\+1</f>.*?</c>", form, text)
        assert count == 1
        return re.sub(r"<(/?)(?=[a-z])", rf"<\1{prefix}", text).replace("xmlns=", "xmlns:x=") if prefix else text

    path = write_changed(tmp_path / "a.xlsx", tmp_path / "plain.xlsx", change)
    message = step.failure(StepInput(paths=(str(path),), format=FileType.XLSX)).message
    assert message.endswith("cell B3 of the sheet 'Sheet' holds a formula that nobody has worked out")


def test_a_formula_that_gives_an_empty_text_has_a_value(step, tmp_path):
    """Its cell is one of text: without that, as xlsxwriter writes it, programs are to work it out."""
    with xlsxwriter.Workbook(tmp_path / "plain.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "note"])
        sheet.write(1, 0, 1)
        sheet.write_formula(1, 1, '=""', None, "")

    def change(text):
        assert '<c r="B2"><f>""</f><v></v></c>' in text
        return text.replace('<c r="B2">', '<c r="B2" t="str">')

    path = write_changed(tmp_path / "a.xlsx", tmp_path / "plain.xlsx", change)
    assert step(StepInput(paths=(str(path),), format=FileType.XLSX)) == "id,note\n1,\n"


@pytest.mark.parametrize("form", ["h:mm", "yyyy-mm-dd", "hh:mm:ss"])
@pytest.mark.parametrize("formula", [False, True])
def test_a_time_below_zero_is_told(step, tmp_path, form, formula):
    with xlsxwriter.Workbook(tmp_path / "a.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["id", "balance", "hours", "rest"])
        for row, hours in enumerate([0.25, -0.25], start=1):
            sheet.write(row, 0, row)
            sheet.write(row, 1, -5, book.add_format({"num_format": "0.00"}))
            sheet.write(row, 2, hours, book.add_format({"num_format": "[h]:mm"}))
            shown = book.add_format({"num_format": form})
            if formula:
                sheet.write_formula(row, 3, "=C2-C3", shown, hours)
            else:
                sheet.write(row, 3, hours, shown)

    def source(*columns):
        table = TableOptions(columns=columns)
        return StepInput(paths=(str(tmp_path / "a.xlsx"),), format=FileType.XLSX, table=table)

    failure = step.failure(source())
    told = "cell D3 of the sheet 'Sheet1' holds the date or time -0.25, which is below zero"
    assert failure.message.endswith(told)
    assert "[h]:mm" in failure.hint
    assert step(source("id", "balance", "hours")) in {
        "id,balance,hours\n1,-5,0 days 06:00:00\n2,-5,-1 days +18:00:00\n",
        "id,balance,hours\n1,-5,06:00:00\n2,-5,-06:00:00\n",
    }


@pytest.mark.parametrize("columns", [(), ("id",)])
def test_a_sheet_in_utf16_is_told_beside_others_too(step, tmp_path, columns):
    book = openpyxl.Workbook()
    for row in (["id"], [1]):
        book.active.append(row)
    book.save(tmp_path / "plain.xlsx")
    wide = write_changed(tmp_path / "wide.xlsx", tmp_path / "plain.xlsx", lambda text: text.encode("utf-16"))
    paths = (str(tmp_path / "plain.xlsx"), str(wide))
    for some in (paths, paths[1:]):
        source = StepInput(paths=some, format=FileType.XLSX, table=TableOptions(columns=columns))
        failure = step.failure(source)
        assert "its sheet 'Sheet' is in UTF-16" in failure.message
        assert "save it" in failure.hint


@pytest.mark.parametrize("part", ["xl/workbook.xml", "xl/styles.xml", "xl/_rels/workbook.xml.rels"])
def test_another_part_of_a_workbook_in_utf16_is_told(step, tmp_path, part):
    pd.DataFrame({"id": [1]}).to_excel(tmp_path / "plain.xlsx", engine="xlsxwriter", index=False)
    path = tmp_path / "wide.xlsx"
    write_changed(path, tmp_path / "plain.xlsx", lambda text: text.encode("utf-16"), part=part)
    failure = step.failure(StepInput(paths=(str(path),), format=FileType.XLSX))
    assert failure.message == f"the data cannot be read as XLSX: its part {part} is in UTF-16, and UTF-8 is read"
    assert "save it" in failure.hint


def test_errors_of_other_columns_and_sheets_do_not_matter(step, tmp_path):
    path = write_errors(tmp_path / "a.xlsx", "#DIV/0!")
    table = TableOptions(sheet="Sales", columns=("id", "note"))
    assert step(StepInput(paths=(path,), format=FileType.XLSX, table=table)) == 'id,note\n1,"#REF!"\n'
    assert step(StepInput(paths=(path,), format=FileType.XLSX)) == "title\n"
    table = TableOptions(sheet="Sales", columns=("share",))
    assert (
        "cell B2 of the sheet 'Sales'"
        in step.failure(StepInput(paths=(path,), format=FileType.XLSX, table=table)).message
    )


def test_an_error_among_the_names_is_told_and_the_file_named(step, tmp_path):
    paths = []
    for name in ("good", "bad"):
        paths.append(str(tmp_path / f"{name}.xlsx"))
        with xlsxwriter.Workbook(paths[-1]) as book:
            sheet = book.add_worksheet()
            sheet.write(0, 0, "a")
            sheet.write_row(1, 0, [1, 2])
            if name == "bad":
                sheet.write_formula(0, 27, "=A0", None, "#REF!")
    message = step.failure(StepInput(paths=tuple(paths), format=FileType.XLSX)).message
    assert message.startswith("bad.xlsx: ")
    assert message.endswith("cell AB1 of the sheet 'Sheet1' holds the error #REF!")


def test_a_cell_far_from_all_others_is_told_as_what_takes_memory(step, tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["id"])
    book.active["XFD1048576"] = 1
    book.save(tmp_path / "a.xlsx")
    failure = step.failure(StepInput(paths=(str(tmp_path / "a.xlsx"),), format=FileType.XLSX))
    assert failure.kind is FailureKind.MEMORY
    assert re.fullmatch(r"the step crashed as it asked for [0-9,]+ MiB of memory at once \(.*\)", failure.message)
    assert "delete the rows below" in failure.hint


ODS = """<?xml version="1.0" encoding="UTF-8"?><office:document-content
xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" office:version="1.3"><office:body><office:spreadsheet>
<table:table table:name="Sales"><table:table-row>
<table:table-cell office:value-type="string"><text:p>share</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell table:formula="of:=1/0" office:value-type="string" office:string-value="">
<text:p>#DIV/0!</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet></office:body>
</office:document-content>"""


def test_a_workbook_in_which_no_error_could_be_told_is_refused(step, tmp_path):
    """The reader of rows knows other kinds, where the file is called so."""
    path = tmp_path / "a.ods"
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("mimetype", kind)
        book.writestr("content.xml", ODS.replace(">\n<", "><"))
        book.writestr("META-INF/manifest.xml", f"<manifest media-type='{kind}'/>")
    failure = step.failure(StepInput(paths=(str(path),), format=FileType.XLSX))
    assert failure.message == "the data cannot be read as XLSX: it is a workbook of another kind"
    assert "Save it as .xlsx" in failure.hint
    assert failure.kind is FailureKind.FETCH


def test_a_workbook_of_another_program_is_looked_at_too(step, tmp_path):
    """Parts with a prefix before each name, quotes of the other kind, and a path from the root."""
    path = tmp_path / "a.xlsx"
    write_errors(tmp_path / "plain.xlsx", "#DIV/0!")
    with zipfile.ZipFile(tmp_path / "plain.xlsx") as plain, zipfile.ZipFile(path, "w") as book:
        for name in plain.namelist():
            text = plain.read(name).decode()
            if name.startswith("xl/worksheets/"):
                text = re.sub(r"<(/?)(?=[a-z])", r"<\1x:", text).replace("xmlns=", "xmlns:x=")
                text = text.replace('t="e"', "t='e'")
            if name == "xl/_rels/workbook.xml.rels":
                text = text.replace('Target="worksheets/', 'Target="/xl/worksheets/')
            book.writestr(name, text)
    table = TableOptions(sheet="Sales")
    assert "cell B2 of" in step.failure(StepInput(paths=(str(path),), format=FileType.XLSX, table=table)).message


def write_part(path, part, name, text):
    """A workbook with an error in B2, one part of which has another name and text."""
    plain = path.with_name("plain.xlsx")
    write_errors(plain, "#DIV/0!")
    with zipfile.ZipFile(plain) as plain, zipfile.ZipFile(path, "w") as book:
        for one in plain.namelist():
            content = plain.read(one)
            book.writestr(name if one == part else one, content + text if one == part else content)
    return StepInput(paths=(str(path),), format=FileType.XLSX, table=TableOptions(sheet="Sales"))


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("xl/worksheets/sheet2.xml", "xl/worksheets/Sheet2.xml"),
        ("xl/worksheets/sheet2.xml", r"xl\worksheets\sheet2.xml"),
        ("xl/workbook.xml", "xl/Workbook.xml"),
        ("xl/_rels/workbook.xml.rels", r"xl\_rels\workbook.xml.rels"),
    ],
)
def test_an_error_is_told_where_names_of_parts_are_written_otherwise(step, tmp_path, part, name):
    source = write_part(tmp_path / "a.xlsx", part, name, b"")
    assert "cell B2 of the sheet 'Sales' holds the error #DIV/0!" in step.failure(source).message


def test_a_workbook_is_refused_where_its_rows_alone_can_be_read(step, tmp_path):
    parts = "xl/_rels/workbook.xml.rels"
    failure = step.failure(write_part(tmp_path / "a.xlsx", parts, parts, b"<x>"))
    assert failure.message.startswith(
        "the data cannot be read as XLSX: formulas that failed cannot be told from gaps in the sheet 'Sales': "
    )
    assert failure.hint == "Open the workbook in a spreadsheet program and save it."


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize("text", ["nan", "NaN"])
def test_a_text_that_says_it_is_no_number_is_none(bench, tmp_path, kind, text):
    path = tmp_path / "a.csv"
    path.write_text(f"n,m\n1.5,{text}\n,2\n{text},3\n")
    table = TableOptions(dtypes=(("n", "number"),))
    failure = bench.failure(
        STEPS[kind], kind=kind, inputs=(StepInput(paths=(str(path),), format=FileType.CSV, table=table),)
    )
    assert failure.kind is FailureKind.FETCH
    # What is read as a float has one spelling.
    assert failure.message.lower().endswith("column 'n' has 'nan', which is no number")


@pytest.mark.parametrize("kind", STEPS, ids=str)
def test_a_text_in_a_column_of_numbers_is_told_alike_by_each_step(bench, tmp_path, kind):
    path = write(tmp_path / "a.csv", "k,n\na,1\nb,x7\n")
    table = TableOptions(dtypes=(("n", "number"),))
    inputs = (StepInput(paths=(path,), format=FileType.CSV, table=table),)
    failure = bench.failure(STEPS[kind], kind=kind, inputs=inputs)
    told = "the data cannot be read as the job says: column 'n' has 'x7', which is no number"
    assert failure.message == told + (" (line 3)" if kind is not StepKind.SCRIPT else "")
    assert "`string`" in failure.hint


def test_two_columns_of_one_name_in_parquet_are_told_to_a_script(bench, tmp_path):
    path = tmp_path / "twice.parquet"
    pq.write_table(pa.table([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    inputs = (StepInput(paths=(str(path),), format=FileType.PARQUET),)
    failure = bench.failure("result = data", inputs=inputs)
    assert failure.message == "the data cannot be read as Parquet: it has more than one column named 'a'"
    assert '"a_1"' in failure.hint
    assert bench.csv('SELECT "a_1" AS b FROM data', kind=StepKind.QUERY, inputs=inputs) == "b\n2\n"


def test_a_sheet_whose_part_is_missing_is_named(step, workbook, tmp_path):
    path = tmp_path / "torn.xlsx"
    with zipfile.ZipFile(workbook) as whole, zipfile.ZipFile(path, "w") as torn:
        for name in whole.namelist():
            if not name.endswith("sheet1.xml"):
                torn.writestr(name, whole.read(name))
    failure = step.failure(StepInput(paths=(str(path),), format=FileType.XLSX))
    assert failure.message == "the data cannot be read as XLSX: it names a sheet 'One' that is not in it"
    assert "save it" in failure.hint


@pytest.mark.parametrize(("place", "value"), [(0, 1), (2, 99)], ids=["encrypted", "packed in another way"])
def test_a_workbook_whose_parts_cannot_be_unpacked_is_told_as_that(step, tmp_path, place, value):
    path = tmp_path / "book.xlsx"
    pd.DataFrame({"a": [1]}).to_excel(path, engine="xlsxwriter", index=False)
    content = bytearray(path.read_bytes())
    # The flags and the method of each part: in its own head, and in the list of all.
    for head, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        for found in re.finditer(re.escape(head), bytes(content)):
            content[found.start() + offset + place] = value
    path.write_bytes(content)
    failure = step.failure(StepInput(paths=(str(path),), format=FileType.XLSX, table=TableOptions()))
    assert failure.kind is FailureKind.FETCH
    assert failure.message.startswith("the data cannot be read as XLSX: ")


@pytest.mark.parametrize("ends", [("", ".gz"), (".zst", "")])
def test_a_file_without_any_column_that_is_kept_has_its_rows_all_the_same(step, tmp_path, ends):
    texts = ("a,b\n1,\n2,5\n", "a,c\n3,6\n,7\n,\n")
    paths = tuple(write(tmp_path / f"{place}.csv{ends[place]}", text) for place, text in enumerate(texts))
    found = step(StepInput(paths=paths, format=FileType.CSV, table=TableOptions(columns=("b",))))
    assert found.replace("5.0", "5") == 'b\n""\n5\n' + '""\n' * 3


def write_columns(path, names, cells, *, mark=""):
    if path.suffix == ".parquet":
        pq.write_table(pa.table([[cell] for cell in cells], names=names), path)
        return str(path)
    return write(path, f"{mark}{','.join(names)}\n{','.join(map(str, cells))}\n")


@pytest.mark.parametrize("kind", [FileType.CSV, FileType.PARQUET])
@pytest.mark.parametrize("other", ["Aa", "A"])
def test_names_in_two_cases_stand_in_one_order_in_each_file(step, tmp_path, kind, other):
    paths = (
        write_columns(tmp_path / f"1.{kind}", ["a", "A", "k"], [1, 2, 0]),
        write_columns(tmp_path / f"2.{kind}", ["k", *other], [0, 3, 4][: len(other) + 1]),
    )
    inputs = (StepInput(paths=paths, format=kind),)
    if step.kind is StepKind.SCRIPT:
        assert step(*inputs).splitlines()[2] in {"4,3,0", ",3,0"}
        return
    failure = step.failure(*inputs)
    assert failure.kind is FailureKind.FETCH
    assert "the columns 'a' and 'A' do not stand in the same order in each file" in failure.message


@pytest.mark.parametrize("kind", [FileType.CSV, FileType.PARQUET])
@pytest.mark.parametrize("others", [["a", "A"], ["a"], ["k", "a", "k_1"]])
def test_names_in_two_cases_may_stand_in_several_files(step, tmp_path, kind, others):
    paths = (
        write_columns(tmp_path / f"1.{kind}", ["a", "A"], [1, 2], mark="\ufeff"),
        write_columns(tmp_path / f"2.{kind}", others, range(3, 3 + len(others))),
    )
    header, first, second = step(StepInput(paths=paths, format=kind)).replace(".0", "").splitlines()
    assert header.startswith("a,A" if step.kind is StepKind.SCRIPT else "a,A_1")
    assert first.startswith("1,2")
    assert second.split(",")[0] == str(3 + others.index("a"))
