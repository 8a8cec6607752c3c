import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core.references import ReferenceSyntaxError
from runner.core.source_query import SourceQueryError, parse_source_query


def pieces(query, dialect="postgresql"):
    parsed = parse_source_query(query, dialect=dialect)
    return parsed.texts, parsed.facts


def fault(query, dialect="postgresql"):
    with pytest.raises(SourceQueryError) as raised:
        parse_source_query(query, dialect=dialect)
    error = raised.value
    return str(error), query[error.start : error.end]


def test_a_query_is_taken_apart_at_its_references():
    query = "SELECT * FROM o WHERE id > ${run:cursor} AND n = ${run:attempt} -- ${run:job_name}"
    assert pieces(query) == (("SELECT * FROM o WHERE id > ", " AND n = ", " -- job_name"), ("cursor", "attempt"))
    assert pieces("SELECT 1") == (("SELECT 1",), ())


@pytest.mark.parametrize(
    ("query", "message", "place"),
    [
        ("  UPDATE o SET a = 1", "begins with UPDATE: it is no query that reads", "UPDATE"),
        ("-- nothing", "begins with no word: it is no query that reads", ""),
        ("SELECT ${env:A}", "cannot hold ${env:…}: only ${run:…} can stand there", "${env:A}"),
        ("SELECT '${file:/a}'", "cannot hold ${file:…}: only ${run:…} can stand there", "${file:/a}"),
        ("SELECT ' ${run:attempt}'", "has ${run:attempt}, which stands inside quotes", "${run:attempt}"),
        ("SELECT 'open ${run:attempt}", "has ${run:attempt}, which stands inside quotes", "${run:attempt}"),
        ("SELECT 1; DELETE FROM o", "is several statements: a second one begins here", "D"),
        ("SELECT 1;\n-- first\n'x'", "is several statements: a second one begins here", "'"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(query, message, place):
    assert fault(query) == (message, place)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1;",
        "SELECT 1 ; ;\n-- ; done\n/* ; */",
        "SELECT ';', \"a;b\", [a;b], $$;x$$ FROM o",
        "WITH a AS (SELECT 1) SELECT * FROM a",
        "SELECT a[${run:attempt}] FROM o",
    ],
)
def test_one_statement_is_one(query):
    parse_source_query(query, dialect="postgresql")


def test_what_is_quoted_is_for_the_database_to_say():
    query = "SELECT 'a\\' ; ' ; SELECT 2"
    assert fault(query)[0].startswith("is several statements")
    assert fault(query, "mysql") == ("is several statements: a second one begins here", "S")
    assert pieces("SELECT 1 # ; x", "mysql") == (("SELECT 1 # ; x",), ())


def test_what_is_no_reference_is_told_as_everywhere():
    with pytest.raises(ReferenceSyntaxError):
        parse_source_query("SELECT ${today}", dialect="sqlite")


@given(
    st.lists(st.sampled_from(["'", '"', "--", "/*", "*/", "\n", ";", "$$", "a", " ", "\\", "${run:attempt}"])),
    st.sampled_from(["postgresql", "mysql"]),
)
def test_nothing_is_lost(parts, dialect):
    query = "SELECT " + "".join(parts)
    try:
        parsed = parse_source_query(query, dialect=dialect)
    except SourceQueryError as refused:
        error = refused
    else:
        error = None
    if error is not None:
        assert 0 <= error.start < error.end <= len(query)
        return
    assert len(parsed.texts) == len(parsed.facts) + 1
    told = "".join(parsed.texts) + "".join(parsed.facts)
    assert sorted(told) == sorted(query.replace("${run:attempt}", "attempt"))
