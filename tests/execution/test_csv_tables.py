import csv
import errno
import gzip
import os
import re
from dataclasses import replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from runner.core.job import AttachmentFormat, StepKind
from runner.core.run import FailureKind
from runner.core.source import FileType, TableOptions
from runner.execution.limits import OPEN_FILES
from runner.execution.orders import StepInput
from runner.execution.steps.csv_tables import csv_rows
from runner.execution.steps.faults import unreadable
from runner.execution.steps.staged import Relation
from runner.execution.steps.typed import refusal_in

STEPS = {StepKind.SCRIPT: "result = data", StepKind.QUERY: "FROM data", StepKind.PASS_THROUGH: ""}
SQL = [StepKind.QUERY, StepKind.PASS_THROUGH]
MANY = 30_000


def zstd(text):
    return pa.Codec("zstd").compress(text, asbytes=True)


@pytest.fixture
def query(bench):
    return lambda text, source, **more: bench.csv(text, kind=StepKind.QUERY, source=source, **more)


@pytest.fixture
def rows(tmp_path):
    """The rows of a CSV of which only a sample is looked at before: the message of what is refused."""
    path = tmp_path / "many.csv"

    def reading(text, query="FROM data"):
        path.write_text(text)
        source = StepInput(paths=(str(path),), format=FileType.CSV)
        with duckdb.connect(config={"threads": 1}) as connection:
            relation = Relation(source=source, view="data", files=(str(path),))
            connection.execute(f"CREATE VIEW data AS {csv_rows(connection, relation, light_bytes=0)}")
            try:
                return connection.execute(query).fetchall()
            except duckdb.Error as error:
                refused = refusal_in(str(error))
                return str(error) if refused is None else refused.failure.message

    return reading


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3,4\n5,6,7\n", "Expected 2 fields in line 4, saw 3"),
        ('\n\na,b\n1,"2"\n\n5,6,7\n1,2\n', "Expected 2 fields in line 6, saw 3"),
    ],
)
def test_a_file_is_a_table_as_a_whole(bench, kind, text, message):
    failure = bench.failure(STEPS[kind], kind=kind, source=text)
    assert failure.kind is FailureKind.FETCH
    assert message in failure.message
    assert "/" not in failure.message
    assert kind is StepKind.SCRIPT or "input-1.csv: Expected" in failure.message


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize("columns", [(), ("a",)])
def test_a_line_of_more_fields_than_names_is_refused(bench, kind, columns):
    for text in ("a\n1,2\n3,4\n", "a,b\n1,2,3\n4,5,6\n"):
        failure = bench.failure(STEPS[kind], kind=kind, source=text, table=TableOptions(columns=columns))
        assert failure.kind is FailureKind.FETCH
        if kind is StepKind.SCRIPT:
            assert failure.message.endswith("its lines have more fields than there are column names")
        else:
            names = text.split("\n")[0].count(",") + 1
            assert failure.message.endswith(f"Expected {names} fields in line 2, saw {names + 1}")


@pytest.mark.parametrize("kind", STEPS, ids=str)
def test_names_with_another_delimiter_are_told_from_their_rows(bench, kind):
    failure = bench.failure(STEPS[kind], kind=kind, source="\nregion;amount\r\nnorth;1,5\r\nsouth;2,5\r\n")
    assert failure.hint == 'It is one column: set `delimiter: ";"` under its source.'


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize(
    "source",
    [
        '[{"a": 1, "b": 2}]',
        '\ufeff[\n  {\n    "a": 1\n  }\n]\n',
        '{"a": 1}\n{"a": 2}\n',
        '{\n"rows": []}',
        "[]",
        "\n[ ]\n",
        "{}",
    ],
)
def test_json_is_no_table_of_column_names(bench, kind, source):
    failure = bench.failure(STEPS[kind], kind=kind, source=source)
    assert failure.message == "the data cannot be read as CSV: it is JSON"
    assert "`json`, or `ndjson`" in failure.hint
    assert bench.csv(STEPS[kind], kind=kind, source='"{a",[b\n1,2\n') == "{a,[b\n1,2\n"
    assert bench.csv(STEPS[kind], kind=kind, source="[],{}\n1,2\n") == "[],{}\n1,2\n"


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize("columns", [(), ("a", "b"), ("b",)])
def test_a_delimiter_at_the_end_of_each_line_is_no_field(bench, kind, columns):
    source = "a,b\n1,x,\n2,y,\n"
    found = bench.csv(STEPS[kind], kind=kind, source=source, table=TableOptions(columns=columns))
    assert found == ("b\nx\ny\n" if columns == ("b",) else "a,b\n1,x\n2,y\n")


@pytest.mark.parametrize("kind", SQL, ids=str)
def test_where_all_lines_have_as_many_fields_something_else_is_wrong(bench, kind):
    failure = bench.failure(STEPS[kind], kind=kind, source="a,b\r\n1,2\n3,4\r\n")
    assert failure.message.endswith("input-1.csv: quotes or line ends are mixed, or it is no table")


@pytest.mark.parametrize("kind", SQL, ids=str)
def test_a_line_far_down_is_named(bench, kind):
    failure = bench.failure(STEPS[kind], kind=kind, source="a,b\n" + "1,2\n" * MANY + "1,2,3\n")
    assert failure.kind is FailureKind.FETCH
    assert f"Line: {MANY + 2}. Expected Number of Columns: 2 Found: 3" in failure.message


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize("memory_mb", [512, 2048])
def test_a_line_may_be_long(bench, kind, memory_mb):
    text = "x" * 3_000_000
    found = bench.csv(STEPS[kind], kind=kind, source=f'a,b\n1,"{text}"\n2,y\n', memory_mb=memory_mb)
    assert found == f"a,b\n1,{text}\n2,y\n"


@pytest.mark.parametrize("kind", SQL, ids=str)
def test_a_line_that_is_too_long_is_told(bench, kind):
    failure = bench.failure(STEPS[kind], kind=kind, source=f'a,b\n1,"{"x" * 9_000_000}"\n')
    assert "Maximum line size of 8000000 bytes exceeded" in failure.message


@pytest.mark.long
def test_a_line_that_does_not_fit_into_memory_is_told_so(bench):
    packed = gzip.compress(b"a,b\n1," + bytes(384 << 20), 1)
    path = bench.folder / "long.csv.gz"
    path.write_bytes(packed)
    failure = bench.failure("result = data", source=path, memory_mb=256)
    assert failure.kind is FailureKind.MEMORY
    assert "resources.memory_mb" in failure.hint


@pytest.mark.parametrize("kind", SQL, ids=str)
def test_a_line_of_more_fields_is_named_below_a_long_one(bench, kind):
    failure = bench.failure(STEPS[kind], kind=kind, source=f'a,b\n1,"{"x" * 200_000}"\n2,y,z\n')
    assert failure.message.endswith("Expected 2 fields in line 3, saw 3")


@pytest.mark.parametrize("kind", STEPS, ids=str)
def test_every_line_is_a_row(bench, kind):
    text = "tag,n\n#one,1\n#two,2\nthree,3\n"
    assert bench.csv(STEPS[kind], kind=kind, source=text).replace('"', "") == text


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
@pytest.mark.parametrize("blank", ["\n", " \r\n\n", "\n" * 5000])
def test_blank_lines_at_the_beginning_are_passed_over(bench, tmp_path, kind, encoding, pack, blank):
    path = tmp_path / f"a.csv{'' if pack is bytes else '.gz'}"
    path.write_bytes(pack(f"{blank}ä,b\n1,2\n".encode(encoding)))
    table = TableOptions(encoding=encoding.removesuffix("-sig"))
    source = StepInput(paths=(str(path),), format=FileType.CSV, table=table)
    assert bench.csv(STEPS[kind], kind=kind, inputs=(source,)) == "ä,b\n1,2\n"


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff", " \n" * 3000])
def test_an_empty_file_is_no_table(bench, kind, text):
    failure = bench.failure(STEPS[kind], kind=kind, source=text)
    assert failure.message == "the data cannot be read as CSV: it is empty"
    assert failure.hint == "A CSV file starts with a line of column names."


@pytest.mark.parametrize("late", ["0.49", "1e3", "x"])
def test_what_comes_late_counts(query, late):
    found = query("SELECT typeof(max(n)) AS kind, max(n) AS n FROM data", "n\n" + "0\n" * MANY + late)
    kind, most = ("VARCHAR", "x") if late == "x" else ("DOUBLE", str(float(late)))
    assert found == f"kind,n\n{kind},{most}\n"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2025-01-02", "DATE"),
        ("2025-1-2", "DATE"),
        ("2025-01-02 10:00:00", "TIMESTAMP"),
        ("2025-01-02T10:00", "TIMESTAMP"),
        ("2025-01-02T10:00:00Z", "TIMESTAMP WITH TIME ZONE"),
        ("2025-01-02T10:00:00.5+0200", "TIMESTAMP WITH TIME ZONE"),
        ("2025-01-02T10:00:00.123456000", "TIMESTAMP"),
        ("10:00:00", "TIME"),
        ("10:00:00.123456000", "TIME"),
        ("10:00:00.123456789", "VARCHAR"),
        ("2025-01-02T10:00:00.123456789", "VARCHAR"),
        ("2025-01-02T10:00:00.123456789Z", "VARCHAR"),
        ("2025-01-02 10:00:00 UTC", "VARCHAR"),
        ("2025-01-02 10:00:00 Europe/Berlin", "VARCHAR"),
        ("2025-01-02 (BC)", "VARCHAR"),
        ("01/02/2025", "VARCHAR"),
        ("1.2.23", "VARCHAR"),
        ("01-02-2025", "VARCHAR"),
        ("25-01-02", "VARCHAR"),
        ("2025/01/02", "VARCHAR"),
        ("01-02-2025 10:00:00", "VARCHAR"),
        ("01/02/2025 10:00:00", "VARCHAR"),
        (" 900-12-01", "VARCHAR"),
        ("-025-01-02 10:00:00", "VARCHAR"),
        (" 025-01-02 10:00:00Z", "VARCHAR"),
    ],
)
def test_only_iso_8601_is_a_date_or_a_time(query, rows, text, kind):
    told = "SELECT typeof(moment) AS kind FROM data WHERE n = 2"
    source = f"moment,n\n,1\n{text},2\n"
    assert query(told, source) == f"kind\n{kind}\n"
    assert rows(source, told) == [(kind,)]


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["9007199254740993", "NaN", "7"], "VARCHAR"),
        (["", "nan", "-9007199254740993"], "VARCHAR"),
        (["12", "NaN", "7"], "DOUBLE"),
        (["9007199254740993", "NaN", "1.5"], "DOUBLE"),
        (["9007199254740993", "1e3"], "DOUBLE"),
    ],
)
def test_whole_numbers_beside_nan_lose_no_digits(query, rows, cells, kind):
    source = "n,k\n" + "".join(f"{cell},1\n" for cell in cells)
    asked = "SELECT DISTINCT typeof(n) AS kind FROM data"
    assert query(asked, source) == f"kind\n{kind}\n"
    assert rows(source, asked) == [(kind,)]
    if kind == "VARCHAR":
        assert query("FROM data", source) == source


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("true", "BOOLEAN"),
        ("FALSE", "BOOLEAN"),
        ("NO", "VARCHAR"),
        ("F", "VARCHAR"),
        ("yes", "VARCHAR"),
        ("007", "VARCHAR"),
        ("-007", "VARCHAR"),
        ("0x1A", "VARCHAR"),
        ("0b1", "VARCHAR"),
        ("0", "BIGINT"),
        ("-12", "BIGINT"),
        (" 10 ", "BIGINT"),
    ],
)
def test_a_text_is_no_number_and_no_truth_by_guessing(query, rows, text, kind):
    told = "SELECT typeof(code) AS kind FROM data WHERE n = 2"
    source = f"code,n\n,1\n{text},2\n"
    assert query(told, source) == f"kind\n{kind}\n"
    assert rows(source, told) == [(kind,)]


@pytest.mark.parametrize("first", ["   ", "infinity"])
def test_what_says_nothing_of_an_offset_is_passed_over(query, first):
    source = f"a,b\n{first},x\n2025-01-31T10:00:00Z,y\n"
    table = TableOptions(dtypes=(("a", "timestamp"),))
    found = query("SELECT a FROM data WHERE b = 'y'", source, table=table)
    assert found == "a\n2025-01-31 11:00:00+01\n"


def test_a_text_that_looks_like_a_truth_stays_what_it_is(query):
    assert query("FROM data", "country,sex,n\nNO,F,1\nNO,F,2\n") == "country,sex,n\nNO,F,1\nNO,F,2\n"


@pytest.mark.parametrize("number", ["7", "0.5", "1e3", "9" * 25])
@pytest.mark.parametrize("truth", ["True", "no", "F"])
@pytest.mark.parametrize("order", [1, -1])
def test_truth_values_beside_a_file_of_numbers_are_texts(bench, tmp_path, truth, number, order):
    for name, cell in (("a.csv", truth), ("b.csv", number)):
        (tmp_path / name).write_text(f"paid,n\n{cell},1\n")
    paths = tuple(str(tmp_path / name) for name in ("a.csv", "b.csv")[::order])
    inputs = (StepInput(paths=paths, format=FileType.CSV),)
    for kind in SQL:
        written = bench.csv(STEPS[kind], kind=kind, inputs=inputs)
        assert sorted(written.splitlines()) == sorted(["paid,n", f"{truth},1", f"{number},1"])


@pytest.mark.parametrize("other", ["2025-01-02T10:00:00", "2025-01-02"])
def test_times_with_and_without_an_offset_are_texts(query, other):
    source = f"moment\n2025-01-02T10:00:00Z\n{other}\n"
    assert query("FROM data", source) == source


def test_one_date_of_another_form_makes_them_texts(query):
    told = "SELECT DISTINCT typeof(day) AS kind FROM data"
    assert query(told, "day\n2025-01-02\n25-01-02\n") == "kind\nVARCHAR\n"


@pytest.mark.parametrize(
    ("first", "late", "words"),
    [
        ("10", "0.49", "whole numbers"),
        ("10", "x", "whole numbers"),
        ("10", "9" * 19, "whole numbers"),
        ("10", "02134", "whole numbers"),
        ("10", "0x1A", "whole numbers"),
        ("true", "F", "truth values"),
        ("2025-01-02", "2025-01-02 10:00:00", "dates"),
        ("2025-01-02", "2025-02-30", "dates"),
        ("2025-01-02", "25-01-02", "dates"),
        ("2025-01-02", "infinity", "dates"),
        ("2025-01-02", "0044-03-15 (BC)", "dates"),
        ("2025-01-02", "10000-01-01", "dates"),
        ("2025-01-02", "-099-12-01", "dates"),
        ("2025-01-02 10:00:00", "-infinity", "times without an offset"),
        ("2025-01-02 10:00:00", "12345-01-01 00:00:00", "times without an offset"),
        ("2025-01-02 10:00:00", "2025-01-02 10:00:00+02", "times without an offset"),
        ("2025-01-02 10:00:00", "2025-01-02 10:00:00 UTC", "times without an offset"),
        ("2025-01-02 10:00:00", "2025-01-02 10:00:00.1234567", "times without an offset"),
        ("2025-01-02 10:00:00", "-025-01-02 10:00:00", "times without an offset"),
        ("2025-01-02 10:00:00", "2025-01-02 10:2 :30", "times without an offset"),
        ("2025-01-02T10:00:00", "2025-01-02T10: 2:30", "times without an offset"),
        ("2025-01-02T10:00:00", "2025-01-02T10:20:3Z", "times without an offset"),
        ("2025-01-02T10:00:00Z", "-025-01-02T10:00:00Z", "times with an offset"),
        ("2025-01-02T10:00:00Z", "2025-01-02T10:00:00", "times with an offset"),
        ("2025-01-02T10:00:00Z", "2025-01-02", "times with an offset"),
        ("2025-01-02T10:00:00Z", "2025-01-02T10:00:00+25:00", "times with an offset"),
        ("10:00:00", "2025-01-02 10:00:00", "times of a day"),
    ],
)
def test_of_many_rows_what_does_not_fit_the_first_ones_is_refused(rows, first, late, words):
    found = rows("amount,b\n" + f"{first},1\n" * MANY + f"{late},1\n", "SELECT max(amount) FROM data")
    assert found == (
        f"the data cannot be read as the job says: column 'amount' has '{late}', and {words} in the rows before it: "
        "name its type in `dtypes`"
    )


def test_of_many_rows_those_that_fit_are_read(rows):
    text = "n,big,day,moment,clock,x,good,sent\n"
    text += "1,2,2025-01-02,2025-01-02 10:00:00,10:00,0.5,false,2025-01-02T10:00:00Z\n" * MANY
    text += f"-7,{2**62},2025-1-3,2025-01-02T11:00:00.25,9:00:00.5,1e3,TRUE,2025-01-02T11:00:00.5-0100\n,,,,,,,\n"
    counted = (
        "SELECT min(n), max(big), max(day)::TEXT, max(moment)::TEXT, min(clock)::TEXT, max(x), max(good), "
        "epoch_ms(max(sent)) - epoch_ms(min(sent)), count(*) FROM data"
    )
    assert rows(text, counted) == [
        (-7, 2**62, "2025-01-03", "2025-01-02 11:00:00.25", "09:00:00.5", 1000.0, True, 7_200_500, MANY + 2)
    ]


def test_a_large_file_with_a_late_fraction(bench):
    text = "amount\n" + "10\n" * 2_900_000 + "0.49\n"
    failure = bench.failure("SELECT sum(amount) AS s FROM data", kind=StepKind.QUERY, source=text)
    assert failure.kind is FailureKind.FETCH
    assert "column 'amount' has '0.49', and whole numbers in the rows before it" in failure.message
    assert "`string`" in failure.hint


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize("rows", [1, 900_000])
def test_a_byte_of_another_encoding_is_told_with_its_remedy(bench, kind, rows):
    text = b"name,city\n" + b"Anna,Bonn\n" * rows + "Jörg,Köln\n".encode("latin-1")
    failure = bench.failure(STEPS[kind], kind=kind, source=text)
    assert failure.kind is FailureKind.FETCH
    assert "set `encoding: cp1252` (or latin-1) under `data_source`" in failure.hint


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize("table", [TableOptions(), TableOptions(dtypes=(("name", "string"),))])
@pytest.mark.parametrize("rows", [1, 900_000])
@pytest.mark.parametrize("mark", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_a_mark_of_another_encoding_names_it(bench, kind, table, rows, mark):
    text = ("\ufeffname,city\n" + "Jörg,Köln\n" * rows).encode(mark)
    failure = bench.failure(STEPS[kind], kind=kind, source=text, table=table)
    assert failure.kind is FailureKind.FETCH
    encoding = mark[:6]
    assert failure.hint == f"It is text in {encoding.upper()}: set `encoding: {encoding}` under `data_source`."
    if rows == 1:
        table = replace(table, encoding=encoding)
        assert bench.csv(STEPS[kind], kind=kind, source=text, table=table) == "name,city\nJörg,Köln\n"


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize(("name", "pack"), [("gzip", gzip.compress), ("zstd", zstd)])
def test_a_packed_file_whose_name_does_not_say_so(bench, kind, name, pack):
    failure = bench.failure(STEPS[kind], kind=kind, source=pack(b"name,city\n" + b"Anna,Bonn\n" * 9))
    assert failure.kind is FailureKind.FETCH
    ending = {"gzip": ".gz", "zstd": ".zst"}[name]
    assert failure.hint.startswith(
        f"It is compressed by {name}: a file is unpacked where its name ends in {ending}"
    )
    assert "encoding" not in failure.hint


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"PK\3\4\x14\0\x83", "for a workbook set `file_type: xlsx`"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "save it as .xlsx, and set `file_type: xlsx`"),
        (b"PAR1\x15\xf8", "set `file_type: parquet`"),
    ],
)
def test_a_file_of_another_kind_is_told_as_that_and_not_as_text_in_another_encoding(bench, kind, head, told):
    failure = bench.failure(STEPS[kind], kind=kind, source=head + b"\xf8\n" * 9)
    assert failure.kind is FailureKind.FETCH
    assert told in failure.hint
    assert "encoding" not in failure.hint


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize("attachment", [AttachmentFormat.CSV, AttachmentFormat.PARQUET], ids=str)
@pytest.mark.parametrize(
    ("type_", "text"), [("integer", "n"), ("integer", "1.6"), ("date", "01/02/2025"), ("number", "x")]
)
def test_types_that_the_job_names_hold(bench, kind, attachment, type_, text):
    table = TableOptions(dtypes=(("region", type_),))
    failure = bench.failure(
        STEPS[kind], kind=kind, source=f"region,b\n,1\n{text},2\n", table=table, attachment=attachment
    )
    assert failure.kind is FailureKind.FETCH
    if type_ != "number":
        words = {"integer": "integer", "date": "date such as 2025-01-31"}
        assert failure.message == (
            f"the data cannot be read as the job says: column 'region' has '{text}', which is no {words[type_]}"
        )


@pytest.mark.parametrize(
    ("type_", "cell", "decimal", "number"),
    [
        ("number", "1.234,50", ",", "1234.5"),
        ("number", "-1,234,567.25", ".", "-1234567.25"),
        ("number", "1\u202f234,50", ",", "1234.5"),
        ("integer", "12'345", ".", "12345.0"),
    ],
)
def test_a_sign_for_thousands_is_told_with_what_takes_it_out(bench, type_, cell, decimal, number):
    table = TableOptions(delimiter=";", decimal=decimal, dtypes=(('sum "x"', type_),))
    text = f'"sum ""x""";b\n1;2\n{cell};3\n'
    hints = {kind: bench.failure(STEPS[kind], kind=kind, source=text, table=table).hint for kind in STEPS}
    (hint,) = set(hints.values())
    in_script, in_query = re.search(r"in a script by (.*), in a query by (.*)\.$", hint).groups()
    steps = {
        StepKind.SCRIPT: f"result = pd.DataFrame({{'n': data.iloc[1:, 0]{in_script}}}, index=[1])",
        StepKind.QUERY: f"SELECT {in_query} AS n FROM data WHERE b = 3",
    }
    table = replace(table, dtypes=(('sum "x"', "string"),))
    for kind, step in steps.items():
        assert f"\n{number}\n" in bench.csv(step, kind=kind, source=text, table=table)


@pytest.mark.parametrize("kind", STEPS, ids=str)
def test_names_that_are_not_plain(bench, kind):
    text = 'it\'s,"x ""y""",select\n1,2,a\n'
    assert bench.csv(STEPS[kind], kind=kind, source=text) == text


@pytest.mark.long
@pytest.mark.parametrize("kind", STEPS, ids=str)
def test_a_source_of_many_files_is_read_as_a_whole(bench, tmp_path, kind):
    count = OPEN_FILES + 20
    paths = tuple(str(tmp_path / f"{number}.csv") for number in range(count))
    for path in paths:
        Path(path).write_text("n\n1\n")
    twice = "SELECT a.n FROM data AS a POSITIONAL JOIN data"
    text = twice if kind is StepKind.QUERY else STEPS[kind]
    inputs = (StepInput(paths=paths, format=FileType.CSV),)
    assert bench.csv(text, kind=kind, inputs=inputs) == "n\n" + "1\n" * count


@pytest.mark.long
def test_files_of_a_source_leave_a_script_no_more_to_open(bench, tmp_path):
    paths = (str(tmp_path / "a.csv"),) * 300
    Path(paths[0]).write_text("n\n1\n")
    script = "import resource\nresult = pd.DataFrame({'n': resource.getrlimit(resource.RLIMIT_NOFILE)})"
    inputs = (StepInput(paths=paths, format=FileType.CSV),)
    assert bench.csv(script, inputs=inputs) == f"n\n{OPEN_FILES}\n{OPEN_FILES}\n"


def test_a_machine_that_allows_too_few_files_is_named_with_its_remedy():
    error = unreadable("CSV", f'IO Error: Cannot open file "9.csv": {os.strerror(errno.EMFILE)}')
    assert "ulimit -Hn" in error.failure.hint


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "marked"])
@pytest.mark.parametrize("within", ["\n", "\r", "\r\n"], ids=repr)
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=repr)
@pytest.mark.parametrize("names", ['"net{0}weight"', '"net{0}weight",b', 'a,"net{0}weight"'])
def test_a_name_may_have_a_line_break_in_it(bench, names, end, within, mark, kind):
    cells = "1,2" if "," in names else "1"
    text = mark + names.format(within) + end + cells + end + cells + end
    found = bench.csv(STEPS[kind], kind=kind, source=text.encode())
    assert found.startswith(names.format(within))
    assert found.endswith(f'weight"{",b" if names.endswith("b") else ""}\n{cells}\n{cells}\n')


@pytest.mark.parametrize("kind", STEPS, ids=str)
@pytest.mark.parametrize("name", ['"a,b"', '"a""b"', '"a b"', "a", '"a"'])
def test_a_byte_order_mark_before_quotes_cuts_off_no_name(bench, name, kind):
    found = bench.csv(STEPS[kind], kind=kind, source=f"\ufeff{name},c\nx,2\n".encode())
    assert next(csv.reader([found.splitlines()[0]])) == next(csv.reader([f"{name},c"]))
    assert found.endswith("\nx,2\n")


@pytest.mark.parametrize("others", ["1.5", "2", "9" * 40])
@pytest.mark.parametrize("text", ["inf", "Infinity", "0x1A", "0b1"])
@pytest.mark.parametrize("order", [1, -1])
def test_what_is_a_number_to_duckdb_alone_is_a_text_wherever_it_stands(query, text, others, order):
    cells = [text, others][::order]
    assert query("FROM data", "a,b\n" + "".join(f"{cell},x\n" for cell in cells)).splitlines()[1:] == [
        f"{cell},x" for cell in cells
    ]


@pytest.mark.parametrize(
    ("text", "kind"),
    [("-inf", "VARCHAR"), ("+inf", "VARCHAR"), ("-0x1A", "VARCHAR"), ("-0b1", "VARCHAR"), ("-0", "DOUBLE")],
)
def test_so_it_is_with_a_sign_among_numbers_of_each_kind(query, text, kind):
    source = "a\n" + "".join(f"{cell}\n" for cell in ("0.5", "0", "-0.5", "-2", "1e5", text))
    assert query("SELECT DISTINCT typeof(a) AS kind FROM data", source) == f"kind\n{kind}\n"


@pytest.mark.parametrize("kinds", [("10:00", text) for text in ("1", "1.5", "false", "0x1A")], ids=str)
@pytest.mark.parametrize("order", [1, -1])
def test_times_of_a_day_in_one_file_are_texts_where_another_has_none(bench, tmp_path, kinds, order):
    assert of_two_files(bench, tmp_path, kinds[::order]) == ["a", *kinds[::order]]


@pytest.mark.parametrize("other", ["007", "2025-01-31", "2025-01-31T10:00:00Z", "10:00", "abc"])
@pytest.mark.parametrize("order", [1, -1])
def test_very_large_numbers_in_one_file_are_texts_where_another_has_none(bench, tmp_path, other, order):
    cells = ["9" * 40, other][::order]
    assert of_two_files(bench, tmp_path, cells) == ["a", *cells]


def of_two_files(bench, folder, cells):
    paths = []
    for number, cell in enumerate(cells):
        path = folder / f"{number}.csv"
        path.write_text(f"a\n{cell}\n")
        paths.append(str(path))
    inputs = (StepInput(paths=tuple(paths), format=FileType.CSV),)
    return bench.csv("FROM data", kind=StepKind.QUERY, inputs=inputs).splitlines()
