import duckdb
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.execution.steps.faults import StepError
from runner.execution.steps.typed import convert, has_offset, refusal_in, sql_cell

ZONE = "Europe/Berlin"


@pytest.fixture(scope="session")
def connection():
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(f"SET TimeZone = '{ZONE}'")
        yield connection


def by_pandas(texts, kind):
    """The values, None for a gap, or the message of what is refused."""
    frame = pd.DataFrame({"x": pd.Series(texts, dtype="str")})
    try:
        found = convert(frame, {"x": kind}, timezone=ZONE)["x"]
    except StepError as error:
        return f"{error.failure.kind}: {error.failure.message}"
    return [None if pd.isna(value) else value for value in found]


def by_sql(connection, texts, kind):
    aware = any(has_offset(text) for text in texts[:1])
    rows = ", ".join(f"('{text}')" for text in texts)
    cells = sql_cell("x", kind, aware=aware)
    try:
        found = connection.execute(
            f"SELECT epoch_us(x) FROM (SELECT {cells} FROM (VALUES {rows}) AS t(x))"
        ).fetchall()
    except duckdb.Error as error:
        refused = refusal_in(str(error))
        assert refused is not None
        return f"{refused.failure.kind}: {refused.failure.message}"
    return [value for (value,) in found]


MOMENTS = [
    "2025-03-30T01:30:00",
    "2025-01-31 10:00",
    "31.01.2025",
    "1.2.2025 07:05",
    "2025-01-31",
    "2025/01/31",
    "20250131",
    "",
    " 2025-01-31 ",
]


@pytest.mark.long
@given(st.lists(st.sampled_from(MOMENTS), min_size=1, max_size=4), st.sampled_from(["date", "timestamp"]))
def test_both_libraries_read_the_same_moments(connection, texts, kind):
    found = by_pandas(texts, kind)
    assert by_sql(connection, texts, kind) == [value and value.value // 1000 for value in found]


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-31T10:00:00Z",
        "2025-01-31T10:00:00.25+02:00",
        "2025-01-31 10:00:00-0500",
        "2025-01-31 10:00:00 +0200",
        "2025-01-31 10:00 -02",
    ],
)
def test_a_time_with_an_offset_is_a_moment_in_the_zone_of_the_job(connection, text):
    (found,) = by_pandas([text], "timestamp")
    assert found == pd.Timestamp(text)
    assert str(found.tz) == ZONE
    assert by_sql(connection, [text], "timestamp") == [found.value // 1000]


@pytest.mark.parametrize(
    ("first", "other", "words"),
    [
        ("2025-07-01 10:00:00", "2025-07-01T10:00:00+05:00", "an offset"),
        ("2025-07-01T10:00:00Z", "2025-07-01 10:00:00", "no offset"),
        ("2025-07-01T10:00:00Z", "01.07.2025 10:00", "no offset"),
    ],
)
def test_all_times_of_a_column_have_an_offset_or_none_has(connection, first, other, words):
    refused = (
        f"fetch: the data cannot be read as the job says: column 'x' has '{other}', which has {words}, unlike those "
        "before it"
    )
    assert by_pandas([first, "", other], "timestamp") == refused
    assert by_sql(connection, [first, "", other], "timestamp") == refused


@pytest.mark.parametrize("kind", ["date", "timestamp"])
@pytest.mark.parametrize(
    "text",
    [
        "01/02/2025",
        "soon",
        "now",
        "today",
        "epoch",
        "2025-02-30",
        "2025-01-31 (BC)",
        "31.13.2025",
        "it''s",
        "2025-01-31 10:00 PM",
        "2025-01-31 10:00:00 UTC",
        "2025-01-31 10:00:00 EST",
        "2025-01-31 10:00:00 Europe/Berlin",
        "2025-01-31T10:00:00+02:00:30",
        "2025-01-31T10:00:00+25:00",
        "2025-01-31T10:00:00+02:75",
        "2025-01-31 24:00:00",
        "2025-01-31T25:00",
        "2025-01-31 and more",
        "31.01.2025 10:00 PM",
        "1.1.25",
        "2025",
        "2025-01",
        "2025.01.31",
        "20250231",
    ],
)
def test_both_refuse_the_same_in_the_same_words(connection, kind, text):
    found = by_pandas([text.replace("''", "'")], kind)
    assert f"column 'x' has '{text.replace(chr(39) * 2, chr(39))}', which is no" in found
    assert found.startswith("fetch: ")
    assert by_sql(connection, [text], kind) == found


@pytest.mark.parametrize(
    ("kind", "texts", "values"),
    [
        ("integer", ["5", " -7 ", "+07", "", str(2**62)], [5, -7, 7, None, 2**62]),
        ("number", ["5", "1e3", ""], [5.0, 1000.0, None]),
        ("boolean", ["TRUE", "no", "y", "0", ""], [True, False, True, False, None]),
        ("string", ["007", "NA", " x"], ["007", "NA", " x"]),
    ],
)
def test_other_types(kind, texts, values):
    assert by_pandas(texts, kind) == values


def test_both_libraries_have_the_same_truths(connection):
    texts = ["TRUE", " t ", "Yes", "y", "1", "false", "F", "no ", "N", "0", "", " "]
    truths = [True] * 5 + [False] * 5 + [None] * 2
    assert by_pandas(texts, "boolean") == truths
    rows = ", ".join(f"('{text}')" for text in texts)
    found = connection.execute(f"SELECT {sql_cell('x', 'boolean', aware=False)} FROM (VALUES {rows}) AS t(x)")
    assert [truth for (truth,) in found.fetchall()] == truths
    for text in ("on", "1.0", "ja", "00"):
        with pytest.raises(duckdb.Error, match=f"column 'x' has '{text}', which is no boolean"):
            connection.execute(
                f"SELECT {sql_cell('x', 'boolean', aware=False)} FROM (VALUES ('{text}')) AS t(x)"
            ).fetchall()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("integer", "1.5"),
        ("integer", "0x1A"),
        ("integer", "+-7"),
        ("integer", "9" * 20),
        ("boolean", "maybe"),
        ("number", "1,5"),
    ],
)
def test_what_is_no_such_value_is_named(kind, text):
    assert f"column 'x' has '{text}', which is no {kind}" in by_pandas(["1", text], kind)
