import subprocess
import sys
import textwrap

import pytest

from runner.jobfiles.lint.query import find_query_faults
from runner.jobfiles.lint.query_bounds import MOST_TOKENS, find_excess


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("SELECT " + "(" * 130, "brackets"),
        ("SELECT " + "[" * 101 + "]" * 101, "brackets"),
        ("SELECT " + "{'a': " * 101, "brackets"),
        ("SELECT " + "CASE WHEN " * 101, "brackets"),
        ("SELECT " + "(CASE WHEN a THEN " * 60, "brackets"),
        ("SELECT " + "- " * 101 + "1", "signs"),
        ("SELECT " + "NOT " * 101 + "a", "signs"),
        ("WITH a AS (" + "DESCRIBE " * 200, "signs"),
        ("FROM " + "(PIVOT a ON " * 12, "PIVOT"),
        ("FROM " + "(pivot_wider a ON " * 9, "PIVOT"),
        ("FROM " + "(WITH a AS (" * 12, "WITH"),
        ("FROM " + "(WITH a AS (SELECT 1), b AS (PIVOT c ON " * 5, "WITH"),
        ("SELECT 1" + ", 1" * (MOST_TOKENS // 2), "words"),
        ("SELECT 1 /* " + "x" * 70_000 + " */" + ", 1" * (MOST_TOKENS // 2), "words"),
        ("SELECT 1 -- (\0", "NUL"),
    ],
)
def test_what_is_not_parsed(query, word):
    (fault,) = find_query_faults(query, ("data",))
    assert word in fault.message
    assert fault.rule == ("too-long" if word == "words" else "query-syntax")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT " + "(" * 99 + "1" + ")" * 99,
        "SELECT " + "(a)," * 2_000 + "1",
        "SELECT '" + "(" * 500 + "'",
        "SELECT E'\\'" + "(" * 500 + "'",
        "SELECT $$" + "(" * 500 + "$$",
        'SELECT "' + "(" * 500 + '"',
        "SELECT 1 -- " + "(" * 500,
        "SELECT 1 /* " + "(" * 500 + "*/",
        "SELECT 1 - 2 + 3" + " - 2" * 500,
        "SELECT " + "CASE WHEN a THEN b END, " * 300 + "1",
        "SELECT " + "NOT a, " * 300 + "1",
        "WITH " + ", ".join(f"t{n} AS (SELECT 1)" for n in range(300)) + " SELECT 1",
        "SELECT * FROM data " + "PIVOT (sum(a) FOR b IN (1, 2)) " * 20,
        "SELECT '" + "a " * 30_000 + "'",
        "-- a comment\n" * 4_000 + "SELECT 1",
        "SELECT 'é" + "(" * 200 + "', ü",
    ],
)
def test_what_people_write_is_parsed(query):
    assert find_excess(query) is None


def test_twenty_unknown_tables_are_told_in_their_order():
    faults = find_query_faults("SELECT * FROM " + ", ".join(f"t{n}" for n in range(30)), ("data",))
    assert [fault.message for fault in faults] == [f"there is no table t{n}" for n in range(20)]


@pytest.mark.parametrize("count", [10, 2_000])
def test_a_large_query_has_its_tables_read_from_its_words(count):
    query = "SELECT a" + ", a" * count + " FROM other JOIN data USING (a)"
    assert [fault.message for fault in find_query_faults(query, ("data",))] == ["there is no table other"]


def test_references_within_texts_are_found_behind_any_letters():
    query = "SELECT 'é', '𝔘 ${run:attempt}' FROM data"
    (fault,) = find_query_faults(query, ("data",))
    assert query[fault.column - 1 : fault.end_column - 1] == "${run:attempt}"


SEARCH = """
    import random, signal, time
    import duckdb
    from runner.jobfiles.lint.query_bounds import find_excess
    connection = duckdb.connect(config={"threads": 1})
    words = (
        "( ) [ ] { } ' \\" $$ -- /* */ , . ; SELECT FROM WITH PIVOT UNPIVOT ON AS CASE WHEN THEN END NOT - + a 1 IN"
        " USING JOIN VALUES ( ( ( [ {'a': :: -> IS NULL OVER EXISTS UNION ALL * 'a' E'\\\\' DESCRIBE SUMMARIZE FOR"
        " sum( LATERAL RECURSIVE ORDER BY GROUP CAST( ARRAY MAP INTERVAL COLUMNS( LIKE BETWEEN AND OR"
    ).split(" ")
    chance = random.Random(7)
    # Ends the process in the middle of a parse, which no exception could.
    for _ in range(3_000):
        base = [chance.choice(words) for _ in range(chance.choice((3, 6, 12)))]
        query = chance.choice(("SELECT ", "SELECT * FROM ", "")) + " ".join(base * chance.choice((1, 5, 20, 60)))
        if find_excess(query) is None:
            signal.setitimer(signal.ITIMER_PROF, 1.0)
            try:
                connection.extract_statements(query)
            except duckdb.Error:
                pass
            signal.setitimer(signal.ITIMER_PROF, 0)
"""


@pytest.mark.long
def test_what_is_parsed_holds_up_no_parser():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SEARCH)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
