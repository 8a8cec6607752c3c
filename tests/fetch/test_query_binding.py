import pytest

from runner.errors import FetchError
from runner.fetch.query_binding import bind_query

FACTS = {
    "cursor": "17",
    "attempt": "2",
    "scheduled_date": "2025-11-09",
    "scheduled_time": "2025-11-09T14:00:00+01:00",
}


def bind(query, *, dialect="postgresql", cursor=None):
    bound = bind_query(query, dialect=dialect, facts=FACTS, cursor=cursor, key="data_source.query")
    return " ".join(bound.text.split()), bound.parameters


def test_references_are_parameters_and_keep_their_types():
    query = "select * from o where id>${run:cursor}and d = ${run:scheduled_date} and a = ${run:attempt};"
    text, parameters = bind(query, cursor=17)
    assert text == "select * from o where id> :run_cursor and d = :run_scheduled_date and a = :run_attempt"
    assert parameters == {"run_cursor": 17, "run_scheduled_date": "2025-11-09", "run_attempt": 2}
    assert isinstance(bind(query, cursor=1.5)[1]["run_cursor"], float)
    assert bind(query, cursor="2025-01-01T00:00:00Z")[1]["run_cursor"] == "2025-01-01T00:00:00Z"


def test_times_are_utc_for_a_session_that_is():
    query = "select ${run:scheduled_time}"
    assert bind(query)[1]["run_scheduled_time"] == "2025-11-09T14:00:00+01:00"
    assert bind(query, dialect="mysql")[1]["run_scheduled_time"] == "2025-11-09 13:00:00"


@pytest.mark.parametrize(
    ("cursor", "bound"),
    [
        ("2025-01-01T00:00:00Z", "2025-01-01 00:00:00"),
        ("2025-11-09T14:00:00.123456+01:00", "2025-11-09 13:00:00.123456"),
        ("2025-01-01T00:00:00", "2025-01-01T00:00:00"),
        ("A-17", "A-17"),
    ],
)
def test_a_time_as_cursor_is_written_as_mysql_reads_it(cursor, bound):
    assert bind("select ${run:cursor}", dialect="mysql", cursor=cursor)[1] == {"run_cursor": bound}


def test_every_colon_of_the_user_is_text():
    assert bind("select a::int, ' :b', '12:30'")[0] == r"select a\:\:int, ' \:b', '12\:30'"


@pytest.mark.parametrize(
    "query",
    [
        "select '${run:cursor}'",
        'select "${run:cursor}"',
        "select 'it''s ${run:cursor}'",
        r"select E'it\'s ${run:cursor}'",
        "select $x$ ${run:cursor} $x$",
    ],
)
def test_a_reference_in_quotes_is_refused(query):
    with pytest.raises(FetchError, match="stands inside quotes"):
        bind(query)


def test_quotes_are_those_of_the_dialect():
    assert bind("select '\\', ${run:cursor} -- '")[1] == {"run_cursor": "17"}
    with pytest.raises(FetchError, match="stands inside quotes"):
        bind("select '\\', ${run:cursor} -- '", dialect="mysql")


def test_a_comment_has_no_parameters():
    text, parameters = bind("-- since ${run:cursor}\nselect 1 /* ${run:attempt} */")
    assert (text, parameters) == ("-- since cursor select 1 /* attempt */", {})


@pytest.mark.parametrize(
    "query", ["delete from o", "", "/* select */ drop table o", "commit; select 1", "-- select"]
)
def test_what_does_not_read_is_refused(query):
    with pytest.raises(FetchError, match="no query that reads"):
        bind(query)


@pytest.mark.parametrize(
    "query", ["(select 1) union (select 2)", "WITH x AS (select 1) select * from x", "values (1)"]
)
def test_what_reads_is_taken(query):
    assert bind(query)[0] == query


def test_secrets_do_not_stand_in_a_query():
    with pytest.raises(FetchError, match=r"only \$\{run:…\} can"):
        bind("select ${env:PASSWORD}")
