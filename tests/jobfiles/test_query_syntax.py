"""What is said of a query that does not parse."""

import pytest

from runner.jobfiles.lint.query import find_query_faults

WORDS = "Words of SQL stand in double quotes where they are names of columns: "


def said(query):
    (fault,) = find_query_faults(query, ("data",))
    assert fault.rule == "query-syntax"
    return fault.hint.removeprefix("Mend the query: it does not parse.").removeprefix(" ")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT max(at) FROM data", '"at"'),
        ("SELECT order FROM data", '"order"'),
        ("SELECT id, end FROM data", '"end"'),
        ("SELECT from, to FROM data", '"from", "to"'),
        ("SELECT Ö, at\nFROM data\nWHERE end > ${run:cursor}\nORDER BY order", '"at", "end", "order"'),
    ],
)
def test_columns_with_the_name_of_a_word_of_sql_are_to_be_quoted(query, words):
    assert said(query) == f"{WORDS}{words}."


@pytest.mark.parametrize(
    "query",
    [
        "SELECT a FROM data GROUP a",
        "SELECT a FROM data WHERE a = 1 AND ORDER BY a",
        "SELECT * FROM (SELECT a FROM data WHERE) AS b",
        "SELECT a FROM data WHERE NOT",
        "SELECT a FROM data LIMIT 3 WHERE a > 3",
        "SELECT (a FROM data",
        "SELEC a FROM data",
        "SELECT FROM data",
        "SELECT from, to, end, order, group, at FROM data",
    ],
)
def test_quotes_are_not_asked_for_where_they_would_mend_nothing(query):
    assert said(query) == ""


def test_what_another_database_writes_is_told_as_duckdb_does():
    (fault,) = find_query_faults("SELECT TOP 5 * FROM data", ("data",))
    assert fault.hint == "DuckDB has no TOP: write LIMIT 5 at the end of the query."


def test_many_words_before_a_name_are_not_looked_at():
    values = ", ".join(["'" + "é" * 20 + "'"] * 4_500)
    assert said(f"SELECT a FROM data WHERE a IN ({values}) AND max(at) > 1") == f'{WORDS}"at".'
