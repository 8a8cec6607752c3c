import textwrap
import zipfile
from datetime import UTC, date, datetime, time

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from runner.core.check import Check, CheckKind
from runner.core.job import AttachmentFormat, StepKind
from runner.core.run import FailureKind
from runner.core.source import FileType
from runner.execution.steps.faults import StepError
from runner.execution.steps.sheet import COLUMN_LIMIT, ROW_LIMIT, SheetColumn, write_sheet

FRAME = """
import datetime as dt, decimal
result = pd.DataFrame({
    "=n": [1, 2**60, -3],
    "f": [1.5, np.nan, np.inf],
    "short": np.array([0.1, 2, 3], dtype="float32"),
    "gaps": pd.array([1, None, 2**62], dtype="Int64"),
    "s": ["=1+1", "-5.3", "<r>&</r>"],
    "day": pd.to_datetime(["2025-01-02", None, "1815-06-18"]),
    "at": pd.to_datetime(["2025-01-02 12:00:00", "1900-03-01 00:00:00", "9999-12-31 23:59:59"]),
    "zone": pd.to_datetime(["2025-07-01 12:00"] * 3).tz_localize("Europe/Berlin"),
    "any": [dt.date(2025, 1, 2), decimal.Decimal("1.10"), " x\\r_x0041_ "],
    "time": [dt.time(6), "", [1]],
    "sure": [True, False, True],
    "kind": pd.Categorical(["=a", None, "b"]),
    "span": pd.to_timedelta(["1 day", None, "0 s"]),
    "huge": [10**400, None, -1],
})
"""
SALES = "category,amount\na,1\nb,2\na,3\n"
QUERY = """
SELECT * FROM (VALUES
    (1, 1152921504606846976, '=1+1', 'nan'::DOUBLE, 0.1::FLOAT, 1.10::DECIMAL(4, 2), DATE '2025-01-02',
     TIMESTAMP '2025-01-02 12:00', TIME '06:00', true, '=x'::BLOB, [1], NULL),
    (-1, 2, '-5.3', 'inf', 2, 12345678901234567.25, DATE '0044-03-15 (BC)',
     TIMESTAMP 'infinity', NULL, false, NULL, NULL, NULL)
) AS t(a, b, "+c", d, e, f, g, h, i, j, k, l, m)
"""
# Times of whole milliseconds, finer ones, and whole seconds, for four types; one of them has no finer ones.
MS = ["2025-01-02 12:00:00.123"] * 3 + ["12:00:00.123"]
FINE = ["2025-01-02 12:00:00.123456", MS[1], "2025-01-02 12:00:00.123456789", "12:00:00.123456"]
COARSE = ["2025-01-02 12:00:00"] * 3 + ["12:00:00"]
SUMS = {StepKind.SCRIPT: "result = data.assign(day=1)", StepKind.QUERY: "SELECT *, 1 AS day FROM data"}


@pytest.fixture
def attach(bench):
    """The outcome, and the path of the file that is attached."""

    def call(text="", form=AttachmentFormat.XLSX, **more):
        outcome = bench.run(text, attachment=form, **more)
        assert outcome.failure is None, f"{outcome.failure}\n{outcome.output}"
        path = bench.folder / f"run-{bench.count}" / f"result.{form}"
        assert outcome.attachment_file == path.name
        assert outcome.attachment_bytes == path.stat().st_size
        assert sorted(file.name for file in path.parent.iterdir()) == ["result.csv", path.name]
        return outcome, path

    return call


def sheet_of(path):
    sheet = openpyxl.load_workbook(path).active
    return sheet, [list(row) for row in sheet.iter_rows(values_only=True)]


def test_a_frame_becomes_a_sheet(attach):
    outcome, path = attach(FRAME)
    sheet, (header, *rows) = sheet_of(path)
    assert header[:2] == ["'=n", "f"]
    assert (sheet.freeze_panes, sheet["A1"].font.bold, sheet["A2"].font.bold) == ("A2", True, False)
    zone = "2025-07-01 12:00:00+02:00"
    day, noon = datetime(2025, 1, 2), datetime(2025, 1, 2, 12)
    end = datetime(9999, 12, 31, 23, 59, 59)
    text = " x_x000D__x005F_x0041_ "
    assert rows == [
        [1, 1.5, 0.1, 1, "'=1+1", day, noon, zone, day, time(6), True, "'=a", "1 days 00:00:00", "1" + "0" * 400],
        [str(2**60), None, 2, None, "-5.3", None, datetime(1900, 3, 1), zone, 1.1, None, False, None, None, None],
        [
            -3,
            "inf",
            3,
            str(2**62),
            "<r>&</r>",
            "1815-06-18",
            end,
            zone,
            text,
            "[1]",
            True,
            "b",
            "0 days 00:00:00",
            -1,
        ],
    ]
    assert [sheet[cell].number_format for cell in ("F2", "G2", "I2", "J2")] == [
        "yyyy-mm-dd",
        "yyyy-mm-dd hh:mm:ss",
        "yyyy-mm-dd",
        "hh:mm:ss",
    ]
    assert outcome.preview.columns[0] == "'=n"


def test_a_query_becomes_a_sheet(attach):
    _, path = attach(QUERY, kind=StepKind.QUERY)
    sheet, (header, *rows) = sheet_of(path)
    assert header == ["a", "b", "'+c", *"defghijklm"]
    noon = datetime(2025, 1, 2, 12)
    first = [1, str(2**60), "'=1+1", None, 0.1, 1.1, datetime(2025, 1, 2), noon, time(6), True, "'=x", "[1]", None]
    last = [-1, 2, "-5.3", "inf", 2, "12345678901234567.25", "0044-03-15 (BC)", "infinity", None, False]
    assert rows == [first, last + [None] * 3]
    assert sheet["G2"].number_format == "yyyy-mm-dd"


@pytest.mark.parametrize("kind", SUMS)
def test_formulas_stay_where_the_job_says_so(attach, bench, kind):
    source = "=a,b\n=1,@x\n"
    _, path = attach(SUMS[kind], kind=kind, source=source, defuse_formulas=False)
    _, rows = sheet_of(path)
    assert rows == [["=a", "b", "day"], ["=1", "@x", 1]]
    assert (path.parent / "result.csv").read_text() == "=a,b,day\n=1,@x,1\n"
    # As texts: a spreadsheet shows them, and calculates nothing.
    assert "<f>" not in zipfile.ZipFile(path).read("xl/worksheets/sheet1.xml").decode()


def test_what_passes_through_is_attached_too(attach, tmp_path):
    _, path = attach(kind=StepKind.PASS_THROUGH, source="id,n\n007,1\n008,2.5\n")
    assert sheet_of(path)[1] == [["id", "n"], ["007", 1], ["008", 2.5]]
    source = '[{"a": "=1", "n": 2}]'
    _, path = attach(kind=StepKind.PASS_THROUGH, source=source, kind_of_file=FileType.JSON)
    assert sheet_of(path)[1] == [["a", "n"], ["'=1", 2]]
    _, path = attach(kind=StepKind.PASS_THROUGH, form=AttachmentFormat.PARQUET)
    assert pq.read_table(path).to_pylist()[0] == {"category": "a", "amount": 1}


def test_a_frame_becomes_parquet(attach):
    _, path = attach(FRAME, AttachmentFormat.PARQUET)
    table = pq.read_table(path)
    first, second, _ = table.to_pylist()
    assert (first["=n"], second["=n"], first["s"], first["kind"], second["kind"]) == (1, 2**60, "=1+1", "=a", None)
    assert (second["f"], first["gaps"], second["gaps"]) == (None, 1, None)
    assert first["at"] == datetime(2025, 1, 2, 12)
    assert first["zone"] == datetime(2025, 7, 1, 10, tzinfo=UTC)
    # Cells of several types, spans of time and what is too large for a number, as texts.
    assert first["huge"] == "1" + "0" * 400
    assert (first["any"], second["any"], first["span"], second["span"]) == (
        "2025-01-02",
        "1.10",
        "1 days 00:00:00",
        None,
    )


def test_categories_without_a_type_in_parquet_are_texts(attach):
    script = """
months = pd.period_range("2026-01", periods=2, freq="M")
result = pd.DataFrame({
    "band": pd.cut(pd.Series([1, 15, None]), [0, 10, 20]),
    "month": pd.Series([months[0], None, months[1]]).astype("category"),
    "span": pd.Series(pd.to_timedelta(["1 day", None, "2 days"])).astype("category"),
    "half": pd.qcut(pd.Series([1, 2, 3]), 2, labels=["low", "high"]),
})
"""
    _, path = attach(script, AttachmentFormat.PARQUET)
    assert pq.read_table(path).to_pylist() == [
        {"band": "(0, 10]", "month": "2026-01", "span": "1 days 00:00:00", "half": "low"},
        {"band": "(10, 20]", "month": None, "span": None, "half": "low"},
        {"band": None, "month": "2026-02", "span": "2 days 00:00:00", "half": "high"},
    ]


def test_what_has_no_form_in_parquet_is_text(attach):
    script = """
import pyarrow as pa
rounded = pd.ArrowDtype(pa.decimal128(5, -2))
result = pd.DataFrame({
    "empty": [{}, {}, None],
    "inner": [[{}], [], None],
    "pair": pd.Categorical([(1, 2), (3, 4), None]),
    "rounded": pd.array([pa.scalar(100, rounded.pyarrow_dtype).as_py(), None, None], dtype=rounded),
    "kept": [{"n": 1}, {}, None],
})
"""
    _, path = attach(script, AttachmentFormat.PARQUET)
    assert pq.read_table(path).to_pylist() == [
        {"empty": "{}", "inner": "[{}]", "pair": "(1, 2)", "rounded": "1E+2", "kept": {"n": 1}},
        {"empty": "{}", "inner": "[]", "pair": "(3, 4)", "rounded": None, "kept": {"n": None}},
        dict.fromkeys(("empty", "inner", "pair", "rounded", "kept")),
    ]
    days = "TIMESTAMP '2026-01-01' - TIMESTAMP '2026-01-03' AS late"
    query = f"SELECT {days}, [INTERVAL 1 HOUR] AS l, '09:00:00+05'::TIMETZ AS t"
    inner = "map {'a': INTERVAL (-1) DAY} AS m, {'t': '09:00:00+05'::TIMETZ} AS s"
    _, path = attach(f"{query}, {inner}", AttachmentFormat.PARQUET, kind=StepKind.QUERY)
    assert pq.read_table(path).to_pylist() == [
        {
            "late": "-2 days",
            "l": "['01:00:00']",
            "t": "09:00:00+05",
            "m": "{a=-1 day}",
            "s": "{'t': '09:00:00+05'}",
        }
    ]


@pytest.mark.parametrize(
    ("amounts", "kind", "total"),
    [
        ([2**53, 1], pa.int64(), 2**53 + 1),
        ([], pa.int64(), None),
        ([-(2**63)], pa.int64(), -(2**63)),
        ([2**63 - 1, 2], pa.decimal128(38), 2**63 + 1),
        ([10**38 - 1], pa.decimal128(38), 10**38 - 1),
        ([-(10**38), 0], pa.string(), str(-(10**38))),
    ],
)
def test_sums_of_whole_numbers_are_exact_in_parquet(attach, amounts, kind, total):
    rows = ", ".join(f"({amount}::HUGEINT)" for amount in amounts) or "(NULL::HUGEINT)"
    query = f"SELECT sum(n) AS total, 1 AS other FROM (VALUES {rows}) AS t(n)"
    _, path = attach(query, AttachmentFormat.PARQUET, kind=StepKind.QUERY)
    table = pq.read_table(path)
    assert (table.schema.field("total").type, table.to_pylist()) == (kind, [{"total": total, "other": 1}])


@pytest.mark.parametrize(
    ("number", "kind"), [(2**53 + 1, pa.int64()), (2**64, pa.decimal128(38)), (10**38, pa.string())]
)
def test_sums_within_lists_and_structs_are_exact_in_parquet(attach, number, kind):
    some = f"[{number}::HUGEINT, NULL] AS l, map {{'a': [{number}::UHUGEINT]}} AS m"
    named = f"{{'HUGEINT''': {number}::HUGEINT}} AS s"
    _, path = attach(f"SELECT {some}, {named}", AttachmentFormat.PARQUET, kind=StepKind.QUERY)
    (row,) = pq.read_table(path).to_pylist()
    if kind == pa.string():
        assert (row["l"], row["m"]) == (f"[{number}, NULL]", f"{{a=[{number}]}}")
    else:
        assert pq.read_schema(path).field("l").type.value_type == kind
        assert row == {"l": [number, None], "m": [("a", [number])], "s": {"HUGEINT'": number}}


def test_a_field_that_is_called_like_a_type_keeps_its_name_and_value_in_parquet(attach):
    query = "SELECT {'HUGEINT': 7::HUGEINT, 'INTERVAL': 8} AS s"
    _, path = attach(query, AttachmentFormat.PARQUET, kind=StepKind.QUERY)
    assert pq.read_table(path).to_pylist() == [{"s": {"HUGEINT": 7, "INTERVAL": 8}}]


def test_arrays_of_one_length_beside_gaps_are_lists_in_parquet(attach):
    cells = "[1, 2]::INTEGER[2] AS a, [[[3, NULL], NULL]]::HUGEINT[2][2][] AS h, {'[2]': ['x']::VARCHAR[1]} AS s"
    query = f"SELECT * FROM (SELECT 0 AS n, {cells}) FULL JOIN (VALUES (1), (0)) AS t(n) USING (n) ORDER BY n"
    _, path = attach(query, AttachmentFormat.PARQUET, kind=StepKind.QUERY)
    first, second = pq.read_table(path).to_pylist()
    assert first == {"n": 0, "a": [1, 2], "h": [[[3, None], None]], "s": {"[2]": ["x"]}}
    assert second == {"n": 1, "a": None, "h": None, "s": None}


def test_an_array_in_a_cell_of_a_sheet_is_whole(attach):
    _, path = attach("result = pd.DataFrame({'a': [np.arange(1500)]})")
    assert sheet_of(path)[1][1] == [str(list(range(1500)))]


def test_a_query_becomes_parquet(attach):
    text = "SELECT 1::UTINYINT AS a, '=1' AS s, DATE '2025-01-02' AS d, random() AS r, 2 AS a"
    _, path = attach(text, AttachmentFormat.PARQUET, kind=StepKind.QUERY)
    (row,) = pq.read_table(path).to_pylist()
    assert (row["a"], row["s"], row["d"], row["a_1"]) == (1, "=1", date(2025, 1, 2), 2)
    # The query was run once.
    assert str(row["r"]) in (path.parent / "result.csv").read_text()


def test_moments_of_every_kind(attach):
    kinds = ("DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
    cells = ", ".join(f"'2025-01-02'::{kind}, '1815-06-18'::{kind}" for kind in kinds)
    _, path = attach(f"SELECT {cells}, '2025-01-02 12:00+00'::TIMESTAMPTZ", kind=StepKind.QUERY)
    (row,) = sheet_of(path)[1][1:]
    assert row[0:10:2] == [datetime(2025, 1, 2)] * 5
    assert [text[:10] for text in row[1:10:2]] == ["1815-06-18"] * 5
    assert row[10].startswith("2025-01-02 13:00:00+01")


def test_pivot_is_attached_too(attach):
    _, path = attach("PIVOT data ON category USING sum(amount)", kind=StepKind.QUERY)
    assert sheet_of(path)[1] == [["a", "b"], [4, 2]]


@pytest.mark.parametrize("form", [AttachmentFormat.CSV, AttachmentFormat.CSV_GZ])
def test_csv_needs_no_other_file(bench, form):
    outcome = bench.run("result = data", attachment=form)
    assert (outcome.failure, outcome.attachment_file, outcome.attachment_bytes) == (None, None, 0)


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("result = pd.DataFrame({'a': np.zeros(1_048_576)})", StepKind.SCRIPT, "1,048,576 rows and 1 column, and"),
        ("SELECT 1 AS a FROM range(1048576)", StepKind.QUERY, "holds 1,048,575 rows below its header"),
        ("result = pd.DataFrame({'a': ['x' * 32_768]})", StepKind.SCRIPT, "a text of 32,768 characters"),
    ],
)
def test_a_result_that_is_too_large_for_a_sheet_is_kept_as_csv(bench, text, kind, told):
    outcome = bench.run(text, kind=kind, attachment=AttachmentFormat.XLSX)
    failure = outcome.failure
    assert failure.kind is FailureKind.ATTACHMENT
    assert told in failure.message
    assert failure.message.endswith(f"As CSV it is kept at {bench.folder}/run-1/result.csv")
    assert "attachment: csv" in failure.hint
    assert (outcome.result_file, outcome.attachment_file) == ("result.csv", None)
    assert outcome.result_bytes > 0
    assert outcome.preview.total_rows == outcome.rows_out > 0


@pytest.mark.long
def test_the_bounds_of_the_step_hold_for_its_attachment(bench):
    text = "result = pd.DataFrame({f'c{n}': np.arange(300_000) for n in range(9)})"
    assert bench.failure(text, attachment=AttachmentFormat.XLSX, timeout_seconds=1).kind is FailureKind.TIMEOUT


@pytest.mark.parametrize(
    "trick",
    [
        "os.symlink('own', NAME)",
        "os.symlink('/etc/hostname', NAME)",
        "os.symlink('nowhere', NAME)",
        "os.link('own', NAME)",
        "os.makedirs(NAME + '/a/b'); open(NAME + '/a/file', 'w').close(); os.symlink('../own', NAME + '/link')",
        "open(NAME, 'w').write('mine')",
    ],
)
def test_what_a_script_puts_in_the_place_of_a_result_is_replaced(bench, trick):
    lines = ["import os", "open('own', 'w').write('kept')"]
    lines += [trick.replace("NAME", f"'result.{form}'") for form in ("csv", "xlsx")]
    outcome = bench.run("\n".join([*lines, "result = data"]), attachment=AttachmentFormat.XLSX)
    assert (outcome.failure, outcome.attachment_file) == (None, "result.xlsx")
    folder = bench.folder / "run-1"
    assert (folder / "result.csv").read_text() == SALES
    assert sheet_of(folder / "result.xlsx")[1][1] == ["a", 1]
    assert (folder / "own").read_text() == "kept"
    assert not (folder / "nowhere").exists()


def test_a_result_that_a_thread_of_the_script_removes_is_told_as_that(bench):
    failure = bench.failure(
        """
        import contextlib, os, threading
        def remove():
            while True:
                with contextlib.suppress(OSError):
                    os.unlink("result.csv")
        threading.Thread(target=remove, daemon=True).start()
        result = pd.DataFrame({"a": range(300_000)})
        """.replace("\n        ", "\n")
    )
    assert failure.kind is FailureKind.RESULT
    assert failure.message == "result.csv was removed while the runner wrote the result there"
    assert "let it wait for its threads" in failure.hint


def test_what_cannot_be_replaced_is_named(bench):
    failure = bench.failure(
        "import os, shutil\nos.makedirs('result.xlsx/a')\nshutil.rmtree = os.rmdir\nresult = data",
        attachment=AttachmentFormat.XLSX,
    )
    assert failure.kind is FailureKind.RESULT
    assert "the script made result.xlsx itself" in failure.message
    assert "leave the name result.xlsx to the runner" in failure.hint


def test_times_finer_than_a_sheet_knows_are_texts(attach):
    frame = """
import datetime as dt
def times(first):
    return pd.to_datetime([first, None, "2025-01-02 12:00:00"], format="ISO8601")
fine = times("2025-01-02 12:00:00.123456")
result = pd.DataFrame({
    "ms": times("2025-01-02 12:00:00.123"),
    "us": fine,
    "ns": fine + pd.Timedelta(1, "ns"),
    "any": [dt.datetime(2025, 1, 2, 12, 0, 0, 123456), dt.time(6, 0, 0, 1), dt.time(6, 0, 0, 5000)],
    "kind": pd.Categorical(fine),
})
"""
    outcome, path = attach(frame)
    sheet, rows = sheet_of(path)
    exact = "2025-01-02 12:00:00.123456"
    assert rows[1] == [datetime(2025, 1, 2, 12, 0, 0, 123000), exact, f"{exact}001", exact, exact]
    assert rows[2] == [None, None, None, "06:00:00.000001", None]
    noon = datetime(2025, 1, 2, 12)
    assert rows[3] == [noon, "2025-01-02 12:00:00.000000", f"{noon}.000000001", time(6, 0, 0, 5000), noon]
    assert (sheet["A2"].number_format, sheet["D4"].number_format) == ("yyyy-mm-dd hh:mm:ss.000", "hh:mm:ss.000")
    assert outcome.preview.rows[0][1] == rows[1][1]


def test_times_of_a_query_finer_than_a_sheet_knows_are_texts(attach):
    kinds = ("TIMESTAMP", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIME")
    ms = ", ".join(f"'{moment}'::{kind}" for kind, moment in zip(kinds, MS, strict=True))
    fine = ", ".join(f"'{moment}'::{kind}" for kind, moment in zip(kinds, FINE, strict=True))
    coarse = ", ".join(f"'{moment}'::{kind}" for kind, moment in zip(kinds, COARSE, strict=True))
    text = f"SELECT {ms}, {fine}, 'infinity'::TIMESTAMP UNION ALL SELECT {coarse}, {coarse}, NULL"
    _, path = attach(text, kind=StepKind.QUERY)
    sheet, (_, first, second) = sheet_of(path)
    exact = datetime(2025, 1, 2, 12, 0, 0, 123000)
    assert first == [exact] * 3 + [time(12, 0, 0, 123000), FINE[0], exact, *FINE[2:], "infinity"]
    noon = datetime(2025, 1, 2, 12)
    assert second == [noon] * 3 + [time(12), str(noon), noon, str(noon), "12:00:00", None]
    fraction = "yyyy-mm-dd hh:mm:ss.000"
    assert [sheet.cell(2, place).number_format for place in range(1, 5)] == [fraction] * 3 + ["hh:mm:ss.000"]


@pytest.mark.parametrize("size", [(ROW_LIMIT, 1), (1, COLUMN_LIMIT + 1)])
def test_a_sheet_has_its_limits(tmp_path, size):
    rows, columns = size
    with pytest.raises(StepError, match="holds 1,048,575 rows below its header and 16,384 columns"):
        write_sheet(
            str(tmp_path / "a.xlsx"), [SheetColumn("a")] * columns, [], total_rows=rows, folder=str(tmp_path)
        )


@pytest.mark.parametrize("kind", [StepKind.SCRIPT, StepKind.QUERY])
def test_a_number_in_a_sheet_has_all_its_digits(attach, kind):
    numbers = [0.1 + 0.2, -123456789.12345679, 5e-324, 1.7976931348623157e308, 0.0, 9007199254740991.0]
    exact = "0.12345678901234568"
    text = {
        StepKind.SCRIPT: f"result = pd.DataFrame({{'f': {numbers}}}).assign(d=decimal.Decimal('{exact}'))",
        StepKind.QUERY: f"SELECT unnest({numbers}::DOUBLE[]) AS f, {exact}::DECIMAL(18, 17) AS d",
    }[kind]
    _, path = attach("import decimal\n" * (kind is StepKind.SCRIPT) + text, kind=kind)
    assert sheet_of(path)[1][1:] == [[number, float(exact)] for number in numbers]


@pytest.mark.parametrize("dtype", ["float32", "float[pyarrow]"])
def test_a_short_float_in_a_sheet_is_the_number_that_is_meant(attach, dtype):
    _, path = attach(f"result = pd.DataFrame({{'f': pd.Series([50331648, 0.1, 8388607.5], dtype='{dtype}')}})")
    assert sheet_of(path)[1][1:] == [[50331648], [0.1], [8388607.5]]


def test_a_decimal_that_a_sheet_would_round_is_a_text_of_plain_digits(attach):
    _, path = attach(
        "import decimal\nresult = pd.DataFrame({'d': [decimal.Decimal('1.00000000000000000001E-9')]})"
    )
    assert sheet_of(path)[1][1] == ["0.00000000100000000000000000001"]


def test_a_text_too_long_for_a_cell_is_measured_as_a_sheet_does(attach, bench):
    _, path = attach("result = pd.DataFrame({'a': ['😀' * 16_383 + 'x']})")
    assert sheet_of(path)[1][1] == ["😀" * 16_383 + "x"]
    script = "result = pd.DataFrame({'a': ['😀' * 16_384]})"
    failure = bench.run(script, attachment=AttachmentFormat.XLSX).failure
    assert "a text of 32,768 characters in row 1, column 1" in failure.message


def test_an_empty_table_has_its_header(attach):
    _, path = attach("result = data.head(0)")
    assert sheet_of(path)[1] == [["category", "amount"]]
    assert pd.read_parquet(attach("result = data.head(0)", AttachmentFormat.PARQUET)[1]).empty


def test_numbers_with_their_bytes_the_other_way_round(attach):
    script = "result = pd.DataFrame({k: np.array([1, 2, -3], dtype=k) for k in ('>i4', '>f4', '>f8')})"
    check = Check(kind=CheckKind.MIN, columns=(">i4",), at_least=-3)
    outcome, path = attach(script, AttachmentFormat.PARQUET, checks=(check,))
    assert [one.passed for one in outcome.checks] == [True]
    assert pq.read_table(path).schema.types == [pa.int32(), pa.float32(), pa.float64()]
    assert pq.read_table(path).to_pylist()[2] == {">i4": -3, ">f4": -3.0, ">f8": -3.0}


@pytest.mark.parametrize("method", ["", ".df()"])
def test_gaps_in_the_lists_of_duckdb_are_gaps(attach, method):
    lists = "[1, NULL] AS n, [[true], [NULL]] AS b, [DATE '2025-01-02', NULL] AS d"
    others = "['x', NULL] AS s, [{'n': 1}, NULL] AS o"
    text = f'import duckdb\nresult = duckdb.sql("SELECT {lists}, {others}"){method}'
    _, path = attach(text, AttachmentFormat.PARQUET)
    (row,) = pq.read_table(path).to_pylist()
    assert row == {
        "n": [1, None],
        "b": [[True], [None]],
        "d": [datetime(2025, 1, 2), None],
        "s": ["x", None],
        "o": [{"n": 1}, None],
    }
    written = (path.parent / "result.csv").read_text().splitlines()[1]
    assert "masked" not in written
    assert written.startswith('"[1, None]","[[True], [None]]",')


def test_categories_in_the_lists_of_duckdb_are_their_texts(attach):
    script = """\
        import duckdb
        data["kind"] = pd.Categorical(["it's", None, "b"])
        result = duckdb.sql("SELECT list(kind) AS l, [[min(kind)]] AS m, list({'k': kind}) AS s, 1.5 AS d FROM data")
    """
    _, path = attach(textwrap.dedent(script), AttachmentFormat.PARQUET)
    (row,) = pq.read_table(path).to_pylist()
    assert (row["l"], row["m"], row["s"][0]) == (["it's", None, "b"], [["b"]], {"k": "it's"})


def test_arrays_of_several_dimensions_are_lists_of_lists(attach):
    script = """\
        cells = np.empty(4, dtype=object)
        cells[0] = np.array([["a", "b"], ["c", None]], dtype=object)
        cells[1] = np.ma.array([[1, 2], [3, 4]], mask=[[False, True], [False, False]])
        cells[2] = np.empty(1, dtype=object)
        cells[2][0] = cells[2]
        result = pd.DataFrame({"texts": cells[[0]], "gaps": cells[[1]], "itself": cells[[2]]})
    """
    outcome, path = attach(textwrap.dedent(script), AttachmentFormat.PARQUET)
    assert outcome.failure is None
    (row,) = outcome.preview.rows
    assert row[:2] == ("[['a', 'b'], ['c', None]]", "[[1, None], [3, 4]]")
    assert pq.read_table(path).to_pylist()[0]["gaps"] == [[1, None], [3, 4]]


def test_the_end_of_a_day_is_not_its_beginning(attach):
    opened = {"kind": StepKind.QUERY, "source": "opens,closes,late\n08:00,24:00,\n00:00,17:30,18:00\n"}
    _, path = attach("SELECT * FROM data", **opened)
    assert sheet_of(path)[1][1:] == [[time(8), "24:00:00", None], [time(0), time(17, 30), time(18)]]
    _, path = attach("SELECT * FROM data", AttachmentFormat.PARQUET, **opened)
    assert pq.read_table(path).to_pylist() == [
        {"opens": time(8), "closes": "24:00:00", "late": None},
        {"opens": time(0), "closes": "17:30:00", "late": time(18)},
    ]


def test_the_end_of_a_day_within_lists_and_structs_is_not_its_beginning(attach):
    cells = "[TIME '08:00', TIME '24:00'] AS l, {'TIME': TIME '24:00', 'n': 1::HUGEINT} AS s, [TIME '17:30'] AS k"
    _, path = attach(f"SELECT {cells}", AttachmentFormat.PARQUET, kind=StepKind.QUERY)
    (row,) = pq.read_table(path).to_pylist()
    assert (row["l"], row["k"]) == ("['08:00:00', '24:00:00']", [time(17, 30)])
    assert "24:00:00" in row["s"]
    _, path = attach(
        "SELECT {'at': TIME '08:00', 'n': 1::HUGEINT} AS s", AttachmentFormat.PARQUET, kind=StepKind.QUERY
    )
    assert pq.read_table(path).to_pylist() == [{"s": {"at": time(8), "n": 1}}]
