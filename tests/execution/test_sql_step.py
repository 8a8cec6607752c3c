from math import nan

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from runner.core.check import Check, CheckKind
from runner.core.job import StepKind
from runner.core.run import FailureKind
from runner.core.source import FileType

JOB_PATH = "jobs.d/sales.yaml"


@pytest.fixture
def query(bench):
    return lambda text, **more: bench.csv(text, kind=StepKind.QUERY, **more)


@pytest.fixture
def fault(bench):
    return lambda text, **more: bench.failure(text, kind=StepKind.QUERY, **more)


def test_a_query_reads_the_view_data(bench):
    outcome = bench.run(
        "SELECT category, sum(amount) AS total FROM data GROUP BY ALL ORDER BY total DESC, category",
        kind=StepKind.QUERY,
    )
    assert outcome.failure is None
    assert (outcome.rows_in, outcome.rows_out) == (3, 2)
    assert outcome.preview.rows == (("a", "4"), ("b", "2"))
    assert outcome.preview.numeric == (False, True)


def test_facts_of_the_run_are_parameters(query):
    assert query("SELECT ${run:scheduled_date} AS day, ${run:attempt} + 1 AS n") == "day,n\n2025-11-09,3\n"
    dated = "day,x\n2025-11-09,1\n2025-11-10,2\n"
    assert query("SELECT x FROM data WHERE day = ${run:scheduled_date}", source=dated) == "x\n1\n"
    assert query("SELECT x FROM data WHERE x = ${run:scheduled_year} - 2024", source=dated) == "x\n1\n"
    assert query("SELECT 1 AS a -- not ${run:attempt}\n, 2 AS b") == "a,b\n1,2\n"
    assert query("SELECT 'ööööööööööö' AS a, ${run:attempt} AS b") == "a,b\nööööööööööö,2\n"


def test_a_cast_is_that_of_the_query_and_not_of_the_file(query, fault):
    source = "price,txt,flag\n1.5,a,true\n2.5,7,false\n3.5,b,true\n"
    assert query("SELECT price::INT AS n FROM data", source=source) == "n\n2\n2\n4\n"
    assert query("SELECT price::VARCHAR AS t FROM data", source="price\n80.00\n1e3\n") == "t\n80.0\n1000.0\n"
    assert query("SELECT TRY_CAST(txt AS INT) AS n FROM data", source=source) == 'n\n""\n7\n""\n'
    assert query("SELECT flag::INT AS n FROM data", source=source) == "n\n1\n0\n1\n"
    wrong = fault("SELECT\n  txt::INT AS n FROM data", source=source)
    assert wrong.kind is FailureKind.QUERY
    assert "'a'" in wrong.message


def test_columns_of_one_name_get_numbers_everywhere(bench, query):
    text = "SELECT NULL AS region, d.category AS Region FROM data AS d"
    outcome = bench.run(
        text, kind=StepKind.QUERY, checks=(Check(kind=CheckKind.NOT_NULL, columns=("region",), blocking=False),)
    )
    assert outcome.preview.columns == ("region", "Region_1")
    (checked,) = outcome.checks
    assert (checked.passed, checked.failed_rows) == (False, 3)
    assert checked.rows.columns == ("region", "Region_1")
    assert query(text).splitlines()[0] == "region,Region_1"


def test_a_fact_inside_quotes_is_explained(fault):
    failure = fault("SELECT '${run:scheduled_date}' AS day")
    assert failure.kind is FailureKind.QUERY
    assert "inside quotes" in failure.message
    assert "without quotes" in failure.hint
    assert "inside quotes" in fault("SELECT 'größer' AS a, '${run:attempt}' AS b").message
    assert "only ${run:…}" in fault("SELECT ${env:HOME} AS home").message


def test_several_statements_and_pivot(query):
    assert query("CREATE TEMP TABLE t AS SELECT 1 AS a;\n-- then\nSELECT a + 1 AS b FROM t;\n") == "b\n2\n"
    assert query("PIVOT data ON category USING sum(amount)") == "a,b\n4,2\n"
    assert query("SELECT 1 AS a -- a comment at the end") == "a\n1\n"


@pytest.mark.long
@pytest.mark.parametrize(
    "made",
    [
        "CREATE TABLE data AS FROM data WHERE amount > 1",
        "CREATE OR REPLACE TABLE data AS FROM data WHERE amount > 1",
        "CREATE OR REPLACE VIEW data AS SELECT * FROM data WHERE amount > 1",
    ],
)
def test_a_table_that_is_called_like_a_source_is_never_passed_over(fault, query, made):
    failure = fault(f"{made};\nSELECT * FROM data")
    assert failure.kind is FailureKind.QUERY
    assert "give the query's own table another" in failure.hint
    # One of the query's own has the name of no source.
    own = fault("CREATE VIEW kept AS FROM data;\nCREATE VIEW kept AS FROM data;\nFROM kept")
    assert "already exists" in own.message
    assert not own.hint
    # A temporary one comes before the source, as in any SQL.
    assert query("CREATE TEMP TABLE data AS FROM data WHERE amount > 2;\nFROM data") == "category,amount\na,3\n"


@pytest.mark.parametrize(
    "end",
    [
        ";  -- newest first",
        "; -- größte; zuerst",
        "; /* one; */ ; -- two",
        ";;\n-- last;",
        " -- none;",
    ],
)
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("SELECT amount FROM data\nORDER BY amount DESC", "amount\n3\n2\n1\n"),
        ("SELECT 'ö;' AS \"a;b\", $$;c$$ AS d -- e;\n, 1 AS f", "a;b,d,f\nö;,;c,1\n"),
        ("CREATE TEMP TABLE t AS SELECT 1 AS a; -- made;\nSELECT a FROM t", "a\n1\n"),
        ("PIVOT data ON category USING sum(amount)", "a,b\n4,2\n"),
    ],
)
def test_comments_may_stand_behind_the_end(query, text, found, end):
    assert query(text + end) == found


@pytest.mark.parametrize(
    ("text", "name"),
    [("SELECT $1", "$1"), ("SELECT ?", "$1"), ("SELECT $since AS a", "$since"), ("SELECT $b, $a", "$a")],
)
def test_a_parameter_that_is_no_fact_is_told(fault, text, name):
    failure = fault(text)
    assert failure.kind is FailureKind.QUERY
    assert f"the parameter {name}, " in failure.message
    assert "${run:scheduled_date}" in failure.hint
    assert "${run:cursor}" in failure.hint


@pytest.mark.parametrize("first_line", [1, 10])
def test_an_error_has_its_place_in_the_job_file(fault, first_line):
    failure = fault("SELECT *\nFROM data\nWHERE nope = 1", first_line=first_line)
    line = first_line + 2
    assert failure.kind is FailureKind.QUERY
    assert failure.message.startswith('Binder Error: Referenced column "nope" not found')
    assert failure.message.endswith(f"({JOB_PATH}, line {line})")
    assert failure.traceback == f'File "{JOB_PATH}", line {line}\n    WHERE nope = 1\n          ^^^^'


@pytest.mark.long
def test_a_mistake_of_many_is_told_its_remedy(fault):
    texts = fault("SELECT category / amount AS share FROM data")
    assert "'/(VARCHAR, BIGINT)'" in texts.message
    assert "Candidate functions" not in texts.message
    assert texts.message.endswith(f"({JOB_PATH}, line 10)")
    for text in ("SELECT sum(category) FROM data", "SELECT * FROM data WHERE category > CURRENT_DATE"):
        assert "TRY_CAST(amount AS DOUBLE)" in fault(text).hint
    for text in ("date_trunc('day', category)", "strftime(category, '%Y')", "category - INTERVAL 1 DAY"):
        assert "TRY_CAST(amount AS DOUBLE)" in fault(f"SELECT {text} FROM data").hint
    for text in ("contains(amount, category)", "replace(amount, category, 'x')", "upper(amount)"):
        assert not fault(f"SELECT {text} FROM data").hint
    assert "makes a gap of what cannot be converted" in fault("SELECT category::INT FROM data").hint
    assert "in single quotes: 'a'" in fault('SELECT * FROM data WHERE category = "a"').hint
    own = fault("SELECT category, sum(revenue) AS revenue FROM data GROUP BY category")
    assert own.hint == "No table here has a column 'revenue': it is only what the query calls what it makes."
    assert not fault("SELECT a FROM data").hint


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("NVL(amount, 0)", "coalesce(amount, 0)"),
        ("SYSDATE", "now()"),
        ("datediff(DATE '2026-01-01', DATE '2026-01-02')", "date_diff('day', ordered_at, shipped_at)"),
        ("datediff('day', category, category)", "TRY_CAST(amount AS DOUBLE)"),
        ("'a' + category", "name || ', ' || city"),
        ("'a' + 'b'", "||"),
        ("category + 1", "TRY_CAST(amount AS DOUBLE)"),
        ("CURRENT_DATE NOT LIKE '2026%'", "CAST(ordered_at AS VARCHAR) LIKE"),
        ("amount ILIKE '1%'", "LIKE takes texts alone"),
        ("amount::money", "DECIMAL(18, 2)"),
        ("amount::amuont", "DuckDB has other types"),
        ("DATE '01.11.2026' = CAST('01.11.2026' AS DATE)", "'2026-01-31'"),
    ],
)
def test_what_another_database_writes_is_told_as_duckdb_does(fault, written, told):
    assert told in fault(f"SELECT {written} FROM data").hint


@pytest.mark.parametrize("first_line", [1, 10])
def test_the_first_line_has_its_place_too(fault, first_line):
    failure = fault("SELEC 1", first_line=first_line)
    assert failure.traceback.splitlines()[1:] == ["    SELEC 1", "    ^^^^^"]
    long = "SELECT " + "amount + " * 40 + "nope FROM data"
    shown = fault(long, first_line=first_line).traceback.splitlines()
    assert shown[1].strip() == long
    assert shown[2].index("^") == shown[1].index("nope")


def test_what_gives_no_rows_is_refused(fault):
    assert "gives no rows" in fault("CREATE TABLE t AS SELECT 1").message
    assert "empty" in fault("-- nothing").message


def test_only_the_input_can_be_read_and_nothing_be_set(fault, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("a\n1\n")
    for text in (
        f"SELECT * FROM read_csv('{other}')",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/etc/*')",
        "SET enable_external_access = true; SELECT 1",
        "SET memory_limit = '1TB'; SELECT 1",
        "ATTACH '/tmp/other.db'; SELECT 1",
        "INSTALL httpfs; SELECT 1",
        f"COPY (SELECT 1) TO '{tmp_path}/stolen.csv'; SELECT 1",
    ):
        assert fault(text).kind is FailureKind.QUERY, text
    assert not (tmp_path / "stolen.csv").exists()


def test_a_query_that_reads_another_file_is_told_the_way(fault):
    for text in ("SELECT * FROM 'other.csv'", "SELECT * FROM read_csv('https://example.com/a.csv')"):
        assert "declare a file or an address under `data_source`" in fault(text).hint
    assert not fault("SELECT nothing FROM data").hint
    for text in ("SELECT st_point(1, 2)", "INSTALL spatial; SELECT 1", "LOAD spatial; SELECT 1"):
        assert "a step loads no extension" in fault(text).hint
    assert not fault("SELECT extension FROM data").hint
    for text in ("SET threads = 4; SELECT 1", "PRAGMA memory_limit = '1GB'; SELECT 1"):
        assert "Leave the setting out" in fault(text).hint


def test_memory_is_bounded_and_told(fault):
    failure = fault(
        "SELECT list(range) AS l, max(repeat('x', 100) || range) m FROM range(100000000)", memory_mb=64
    )
    assert failure.kind is FailureKind.MEMORY
    assert "resources.memory_mb" in failure.hint


@pytest.mark.long
def test_what_does_not_fit_into_memory_spills_into_the_folder_of_the_run(bench, query, tmp_path):
    path = tmp_path / "many.csv"
    path.write_text("n\n" + "\n".join(map(str, range(300_000))) + "\n")
    text = "SELECT count(*) AS keys FROM (SELECT DISTINCT repeat(n::VARCHAR, 100) AS key FROM data)"
    assert query(text, source=path, memory_mb=128) == "keys\n300000\n"
    assert query("SELECT current_setting('max_temp_directory_size') <> '' AS bound") == "bound\ntrue\n"


def test_formulas_are_defused_in_text_alone(query):
    text = "SELECT '=1+1' AS a, -1 AS b, 'x' AS c, '' AS d, NULL::VARCHAR AS e, '@x'::ENUM('@x') AS f"
    assert query(text) == "a,b,c,d,e,f\n'=1+1,-1,x,,,'@x\n"
    assert query(text, defuse_formulas=False) == "a,b,c,d,e,f\n=1+1,-1,x,,,@x\n"
    # A text in disguise is one; a plain number is no formula.
    other = "SELECT '=1'::BLOB AS a, '-5.3' AS b, '-1+1' AS c, -INTERVAL 1 DAY AS d, 1 AS \"=e\""
    assert query(other) == "a,b,c,d,'=e\n'=1,-5.3,'-1+1,-1 day,1\n"


def test_a_single_column_keeps_its_empty_rows(query):
    assert query("SELECT * FROM (VALUES ('a'), (NULL), ('')) AS t(x)") == 'x\na\n""\n""\n'


def test_parquet_and_json_are_read_too(query, tmp_path):
    path = tmp_path / "data.parquet"
    pd.DataFrame({"x": [1, 2], "day": pd.to_datetime(["2025-01-01", "2025-01-02"])}).to_parquet(path)
    assert (
        query("SELECT max(day)::DATE AS d FROM data", source=path, kind_of_file=FileType.PARQUET)
        == "d\n2025-01-02\n"
    )
    records = '{"items": [{"x": 1}, {"x": 2}]}'
    assert (
        query("SELECT sum(x) AS s FROM data", source=records, kind_of_file=FileType.JSON, records_path="items")
        == "s\n3\n"
    )
    assert query("SELECT sum(x) AS s FROM data", source='[{"x":1}]', kind_of_file=FileType.JSON) == "s\n1\n"
    assert (
        query("SELECT sum(x) AS s FROM data", source='{"x":1}\n{"x":4}\n', kind_of_file=FileType.NDJSON)
        == "s\n5\n"
    )


@pytest.mark.parametrize("cells", [[1.0, nan, nan, 2.0], [1.0, nan, nan, None], [1.0, nan, 1.0, nan], [nan, nan]])
@pytest.mark.parametrize("kind", ["float64", "float32"])
def test_nan_in_parquet_is_seen(query, tmp_path, cells, kind):
    # As Arrow writes it: the least and the largest value of the column leave NaN out.
    path = tmp_path / "data.parquet"
    parquet.write_table(pa.table({"n": range(len(cells)), "x": pa.array(cells, kind)}), path)

    def places(condition):
        text = query(f"SELECT n FROM data WHERE {condition}", source=path, kind_of_file=FileType.PARQUET)
        return [int(line) for line in text.split()[1:]]

    gaps = [place for place, cell in enumerate(cells) if cell != cell]
    numbers = [place for place, cell in enumerate(cells) if cell is not None and cell == cell]
    assert (places("isnan(x)"), places("NOT isnan(x)"), places("x <= 2")) == (gaps, numbers, numbers)


def test_a_path_is_no_pattern(query, tmp_path):
    folder = tmp_path / "it's [1]*"
    folder.mkdir()
    path = folder / "a?.csv"
    path.write_text("x\n5\n")
    assert query("SELECT * FROM data", source=path) == "x\n5\n"


def test_an_unreadable_input_is_told(fault):
    failure = fault("SELECT * FROM data", source=b"no parquet", kind_of_file=FileType.PARQUET)
    assert failure.kind is FailureKind.FETCH


def test_pass_through_keeps_the_text_of_a_csv(bench):
    source = "id,name,n\n007,=x,-1\n008,b,1.50\n"
    outcome = bench.run(kind=StepKind.PASS_THROUGH, source=source)
    assert outcome.failure is None
    assert (bench.folder / "run-1" / "result.csv").read_text() == "id,name,n\n007,'=x,-1\n008,b,1.50\n"
    assert (outcome.rows_in, outcome.rows_out) == (2, 2)
    assert outcome.preview.numeric == (False, False, True)


def test_pass_through_of_other_kinds(bench, tmp_path):
    path = tmp_path / "data.parquet"
    pd.DataFrame({"x": [1, 2], "s": ["a", None]}).to_parquet(path)
    assert bench.csv(kind=StepKind.PASS_THROUGH, source=path, kind_of_file=FileType.PARQUET) == "x,s\n1,a\n2,\n"
    assert bench.csv(kind=StepKind.PASS_THROUGH, source='[{"a":"1"}]', kind_of_file=FileType.JSON) == "a\n1\n"
