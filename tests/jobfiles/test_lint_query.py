import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.jobfiles.lint import query as lint_query
from runner.jobfiles.lint.query import find_query_faults
from runner.jobfiles.lint.query_tables import find_table_faults

DATA = ("data",)


def found_in(query, tables=DATA):
    """Rule and the text that is pointed at, of each fault."""
    lines = query.split("\n")
    return sorted(
        (
            fault.rule,
            None if fault.line is None else lines[fault.line - 1][fault.column - 1 : fault.end_column - 1],
        )
        for fault in find_query_faults(query, tables)
    )


def test_a_setting_within_a_query_is_told_where_it_belongs():
    (fault,) = find_query_faults("SET TimeZone = 'Europe/Berlin';\nSELECT * FROM data", DATA)
    assert fault.rule == "query-not-select"
    assert "`timezone`" in fault.hint


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1", "FROM data", "WITH a AS (SELECT 1) FROM a;", "VALUES (1)", "PIVOT data ON x", "SUMMARIZE data", "DESCRIBE data", "TABLE data",
        "SELECT ${run:scheduled_date} AS d FROM data", "SELECT $run_attempt + ${run:attempt}", "(SELECT 1) UNION ALL SELECT 2 -- end", "FROM Data SELECT a", 'SELECT * FROM "DATA" d',
        "SELECT * FROM main.data", "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT * FROM t, data",
        "WITH a AS MATERIALIZED (FROM data), b AS (FROM a) SELECT * FROM A JOIN B USING (x)", "SELECT * FROM (SELECT * FROM data) s",
        "SELECT * FROM data, LATERAL (SELECT data.x) l", "SELECT * FROM range(3) r(i), unnest([1, 2]) u, generate_series(1, 2)",
        "SELECT * FROM data POSITIONAL JOIN data e", "UNPIVOT data ON a, b", "PIVOT data ON x IN (1, 2) USING sum(y)",
        "PIVOT (SELECT *, extract(year FROM d) AS y FROM data) ON y USING sum(a)", "WITH s AS (FROM data) PIVOT s ON x USING sum(y)",
        "SELECT * FROM information_schema.tables", "SELECT * FROM duckdb_tables()", "SELECT * FROM sqlite_master", "SHOW TABLES",
        "SELECT extract(year FROM d), a IS DISTINCT FROM b, trim(BOTH 'x' FROM c) FROM data", "SELECT * FROM (VALUES (1), (2)) v(a)",
        "SELECT * FROM data WHERE x GLOB 'a*' ORDER BY x DESC", "-- sales\nSELECT 'FROM sales' /* FROM sales */ FROM data",
    ],
)  # fmt: skip
def test_queries_that_will_do(query):
    assert found_in(query) == []


@pytest.mark.parametrize(
    ("query", "rule", "place"),
    [
        ("SELEC 1", "query-syntax", (1, 1)),
        ("SELECT a\nFROM data\nGROUP a", "query-syntax", (3, 7)),
        ("SELECT " + "a, " * 100 + "\nb FROM\n  x y z w", "query-syntax", (3, 7)),
        ("SELECT " + "abc, " * 60 + "1 FROM x y z", "query-syntax", (1, 319)),
        ("SELECT 'a", "query-syntax", (1, 8)),
        ("-- nothing", "query-syntax", None),
        ("SELECT 1; SELECT 2", "query-not-select", None),
        ("DROP TABLE data", "query-not-select", None),
        ("COPY data TO 'x'", "query-not-select", None),
        ("SELECT\n ${env:X}", "bad-reference", (2, 2)),
        ("SELECT ${x}", "bad-reference", (1, 8)),
        ("SELECT '${run:scheduled_date}' FROM data", "bad-reference", (1, 9)),
        ("SELECT ? FROM data", "bad-reference", None),
        ("SELECT $day, ${run:attempt} FROM data", "bad-reference", None),
        ("PIVOT (FROM data WHERE a > $1) ON b IN (1)", "bad-reference", None),
    ],
)
def test_queries_that_will_not(query, rule, place):
    (fault,) = find_query_faults(query, DATA)
    assert fault.rule == rule
    assert (None if fault.line is None else (fault.line, fault.column)) == place


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("SELECT * FROM sales", [("query-unknown-table", "sales")]),
        ("SELECT *\nFROM data d,\n  'größe' g, Sales", [("query-unknown-table", "'größe'"), ("query-unknown-table", "Sales")]),
        ('SELECT * FROM data JOIN "b c" USING (x)', [("query-unknown-table", '"b c"')]),
        ("SELECT * FROM other.data, data.x", [("query-unknown-table", "data.x"), ("query-unknown-table", "other.data")]),
        ("SELECT (SELECT max(x) FROM a) FROM data WHERE y IN (FROM b)", [("query-unknown-table", "a"), ("query-unknown-table", "b")]),
        ("PIVOT sales ON x", [("query-unknown-table", "sales")]),
        ("WITH p AS (PIVOT sales ON x) SELECT * FROM p", [("query-unknown-table", "sales")]),
        ("UNPIVOT dta ON a, b", [("query-unknown-table", "dta")]),
        ("DESCRIBE dta", [("query-unknown-table", "dta")]),
        ("FROM 'x.csv'", [("query-reads-outside", "'x.csv'")]),
        ('SELECT * FROM "x.parquet", \'s3://a/b\'', [("query-reads-outside", '"x.parquet"'), ("query-reads-outside", "'s3://a/b'")]),
        ("SELECT * FROM read_csv('x'), glob('*')", [("query-reads-outside", "glob"), ("query-reads-outside", "read_csv")]),
        ("SELECT * FROM READ_PARQUET(['a', 'b'])", [("query-reads-outside", "READ_PARQUET")]),
        ("SELECT * FROM sqlite_scan('x', 'y')", [("query-reads-outside", "sqlite_scan")]),
        ("SELECT ${env:A}, ${x}", [("bad-reference", "${env:A}"), ("bad-reference", "${x}")]),
    ],
)  # fmt: skip
def test_every_table_that_is_no_source_is_told(query, found):
    assert found_in(query) == sorted(found)


def test_named_sources_are_tables_and_data_is_then_none():
    assert found_in("SELECT * FROM Orders JOIN stock USING (x)", ("orders", "stock")) == []
    (fault,) = find_query_faults("SELECT * FROM data JOIN order_ USING (x)", ("orders", "stock"))[1:]
    assert "orders" in fault.hint
    assert found_in("SELECT * FROM data", ("orders", "stock")) == [("query-unknown-table", "data")]


QUERIES = st.lists(
    st.sampled_from(
        ["SELECT a", "*", ",", "FROM data", "FROM sales", "FROM a", "WITH a AS (", ")", "WHERE x = 'FROM b'", "GROUP BY a", "ORDER BY a DESC",
         "d", "JOIN sales", "(", "UNION", "FROM 'x.csv'", "extract(year FROM b)", "IN", "LIMIT 1", ";", "x.y", "(DESCRIBE sales)", "AS", "c"]
    ),
    min_size=1,
    max_size=7,
).map(" ".join)  # fmt: skip


@given(QUERIES)
def test_the_short_way_passes_only_what_the_long_way_passes(query):
    if find_query_faults(query, DATA) == () and lint_query._reads_data_alone(query):
        assert list(find_table_faults(lint_query._parser(), query, query, DATA)) == []


def test_the_common_query_takes_the_short_way():
    assert lint_query._reads_data_alone(
        "SELECT a, sum(b) FROM data WHERE c = 'x' GROUP BY a ORDER BY a DESC LIMIT 3"
    )
    assert lint_query._reads_data_alone("WITH a AS (SELECT x FROM data) SELECT * FROM a")


@given(st.text(max_size=40))
def test_any_query_gives_an_answer(query):
    assert all(fault.message for fault in find_query_faults(query, DATA))


def test_of_thousands_in_quotes_those_that_are_told_are_looked_up_alone(lines_run):
    query = "SELECT " + ",".join(["'${run:attempt}'"] * 3_000)
    found_in("SELECT '${run:attempt}'")
    found, lines = lines_run(find_query_faults, query, DATA)
    assert {fault.rule for fault in found} == {"bad-reference"}
    assert lines < 80 * 3_000
