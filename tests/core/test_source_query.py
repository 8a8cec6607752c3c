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
        ("\n -- nothing\n", "begins with no word: it is no query that reads", "-- nothing"),
        (" \n ", "begins with no word: it is no query that reads", " \n "),
        ("SELECT ${file:/a;b}", "cannot hold ${file:…}: only ${run:…} can stand there", "${file:/a;b}"),
        ("SELECT ${env:A}", "cannot hold ${env:…}: only ${run:…} can stand there", "${env:A}"),
        ("SELECT '${file:/a}'", "cannot hold ${file:…}: only ${run:…} can stand there", "${file:/a}"),
        ("SELECT ' ${run:attempt}'", "has ${run:attempt}, which stands inside quotes", "${run:attempt}"),
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
        "SELECT 1 /* a /* b */ ; it's */ AS x",
        "SELECT 'open ; ${run:attempt}",
        "SELECT $1 ; ",
    ],
)
def test_one_statement_is_one(query):
    texts, facts = pieces(query)
    assert "${run:attempt}".join(texts) == query
    assert set(facts) <= {"attempt"}


@pytest.mark.parametrize(
    ("dialect", "query"),
    [
        ("mssql", "SELECT [customer's name] FROM t"),
        ("mssql", "SELECT [a]];b], [c\n;d] FROM t"),
        ("sqlite", "SELECT `it's`, `a;b`, [it's] FROM t"),
        ("snowflake", r"SELECT 'it\'s;' FROM t"),
        ("clickhouse", r"SELECT 'a\';b' FROM t"),
        ("bigquery", "SELECT `a;b` FROM t # it's"),
        ("oracle", "SELECT a$b$c, q'[it's]' FROM t"),
        ("oracle", "WITH FUNCTION f RETURN NUMBER IS BEGIN RETURN 1; END; SELECT f FROM dual"),
        ("postgresql", "SELECT a$b$c, a$1$b FROM t"),
        ("postgresql", "SELECT $x$ it's ; $x$ FROM t"),
        ("postgresql", "SELECT ARRAY['it''s ;'] FROM t"),
        ("mysql", r"""SELECT 'it\'s ;', "a\";" FROM t -- it's"""),
        ("", "SELECT [customer's name] FROM t"),
        ("", "SELECT `it's` FROM t"),
        ("", r"SELECT 'it\'s;' FROM t"),
        ("", "SELECT a$b$c FROM t"),
    ],
)
def test_what_is_quoted_is_as_in_the_database(dialect, query):
    text = f"{query}\nWHERE n = ${{run:attempt}};"
    assert pieces(text, dialect) == ((f"{query}\nWHERE n = ", ";"), ("attempt",))


def test_texts_end_where_those_of_the_database_end():
    query = "SELECT 'a\\' ; ' ; SELECT 2"
    assert fault(query) == ("is several statements: a second one begins here", "'")
    assert fault(query, "mysql") == ("is several statements: a second one begins here", "S")
    assert fault(query, "")[0] == "is several statements: a second one begins here"
    assert fault("SELECT '${run:attempt}' FROM t", "")[0].endswith("stands inside quotes")


@pytest.mark.parametrize(
    "where", ["INTO OUTFILE 'x.csv'", "into /* a */ dumpfile 'x'", "FROM t\n INTO\tOUTFILE 'x'"]
)
def test_no_query_writes_a_file(where):
    for dialect in ("mysql", "mariadb", ""):
        message, place = fault(f"SELECT a {where}", dialect)
        assert message == "writes a file on the machine of the database"
        assert place.lower().startswith("into")
    assert pieces("SELECT 'INTO OUTFILE' -- INTO OUTFILE", "mysql") == (
        ("SELECT 'INTO OUTFILE' -- INTO OUTFILE",),
        (),
    )


def test_what_mysql_carries_out_is_no_comment():
    assert fault("SELECT 1 /*! INTO OUTFILE 'x' */", "mysql")[0].startswith("writes a file")
    assert fault("SELECT 1 /*M!100100 ; SELECT 2 */", "mariadb")[0].startswith("is several statements")
    assert pieces("SELECT 1 /*! + ${run:attempt} */", "mysql") == (("SELECT 1 /*! + ", " */"), ("attempt",))
    assert pieces("SELECT 1 /*! INTO OUTFILE ; */", "sqlite") == (("SELECT 1 /*! INTO OUTFILE ; */",), ())


def test_a_comment_is_text():
    assert pieces("SELECT 1 -- ${env:A} ; ${run:attempt}") == (("SELECT 1 -- A ; attempt",), ())


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
