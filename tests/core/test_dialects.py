"""How DuckDB writes what other databases have: each form that is told is one that it takes."""

import re

import duckdb
import pytest

from runner.core import dialects
from runner.core.dialects import hint_for_form, hint_for_function, hint_for_type

TABLE = """
SELECT 'a' AS name, 1.5 AS amount, 2 AS pieces, 3 AS seconds, '1.5' AS text, '31.01.2026' AS day,
       DATE '2026-01-31' AS ordered_at, DATE '2026-02-01' AS shipped_at
"""


@pytest.mark.parametrize("name", sorted(dialects._FUNCTIONS))
def test_duckdb_takes_each_form_that_is_told(name):
    form = re.fullmatch(r"DuckDB writes it as in (.+)\.", hint_for_function(name.upper()))[1]
    ((value,),) = duckdb.sql(f"SELECT {form} FROM ({TABLE})").fetchall()
    assert value is not None


def test_of_a_function_that_nobody_knows_nothing_is_told():
    assert hint_for_function("amuont") == ""


@pytest.mark.parametrize("name", sorted(dialects._TYPES))
def test_duckdb_has_each_type_that_is_told_and_lacks_the_other(name):
    ours = re.fullmatch(r"DuckDB has (.+) in its place\.", hint_for_type(name.upper()))[1]
    assert duckdb.sql(f"SELECT CAST(NULL AS {ours})").fetchall() == [(None,)]
    with pytest.raises(duckdb.CatalogException, match=f"Type with name {name} does not exist"):
        duckdb.sql(f"SELECT CAST(NULL AS {name})")


def test_of_a_type_that_nobody_knows_all_are_told():
    for name in re.findall(r"[A-Z]{4,}(?:\(\d+, \d+\))?", hint_for_type("amuont")):
        assert duckdb.sql(f"SELECT CAST(NULL AS {name})").fetchall() == [(None,)]


@pytest.mark.parametrize(
    ("query", "at", "told"),
    [
        ("SELECT TOP 5 * FROM data", "5", "LIMIT 5"),
        ("SELECT * FROM data LIMIT 5, 10", ",", "LIMIT 10 OFFSET 5"),
        ("SELECT group_concat(a SEPARATOR ',') FROM data", "SEPARATOR", "string_agg(name, ', ')"),
        ("SELECT * FROM data WHERE a REGEXP 'x'", "'x'", "regexp_matches(name, '^a')"),
        ("SELECT 1 MINUS SELECT 2", "SELECT 2", "EXCEPT"),
        ("SELECT * FROM data WITH (NOLOCK)", "WITH", "Leave it out"),
        ("SELECT a AS [my a] FROM data", "[", "double quotes"),
        ("SELECT * FROM data WHERE at > 01.11.2026", "01", "DATE '2026-01-31'"),
        ("SELECT * FROM {{ ref('orders') }}", "{", "no template"),
        ("{% set x = 1 %}", "{", "no template"),
        ("# all of it\nSELECT 1", "#", "two dashes"),
        ("SELECT a, #the pieces\nb FROM data", "the", "two dashes"),
        ("SELECT * FROM data WHERE at > :start", ":", "no parameters"),
        ("SELECT * FROM data WHERE a > 1, GROUP BY b", ",", "Leave the comma out"),
        ("SELECT if(a > 1; 'x'; 'y') FROM data", ";", "commas"),
        ("=SUM(A1:A10)", "=", "no formula"),
        ("result = data.head()", "result", "processing_script"),
    ],
)
def test_what_other_databases_write_is_told_at_its_place_alone(query, at, told):
    assert told in hint_for_form(query, query.index(at))
    if query[0] not in "=r":
        # Else it must be what the query begins with.
        assert hint_for_form(" " * 5_000 + query, 5_000 + query.index(at)) == hint_for_form(query, query.index(at))
    assert hint_for_form(query + " " * 200 + "GROUP a", len(query) + 207) == ""


@pytest.mark.parametrize(
    ("query", "at"),
    [
        ("SELECT '# of orders' FROM data WHER amount > 1", "amount"),
        ("SELECT count(*) FROM data GROUP BY a ORDER BY #1 x", "x"),
        ("WITH x AS (SELECT 1; SELECT 2) FROM x", ";"),
    ],
)
def test_what_is_no_slip_of_that_form_is_told_nothing_of_it(query, at):
    assert hint_for_form(query, query.index(at)) == ""
