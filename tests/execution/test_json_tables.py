import json

import pytest

from runner.core.job import StepKind
from runner.core.source import FileType

MANY = 25_000


@pytest.fixture
def query(bench):
    def run(text, records, kind=FileType.JSON):
        lines = [json.dumps(record) for record in records]
        source = f"[{','.join(lines)}]" if kind is FileType.JSON else "\n".join(lines)
        return bench.csv(text, kind=StepKind.QUERY, source=source, kind_of_file=kind)

    return run


@pytest.mark.parametrize("kind", [FileType.JSON, FileType.NDJSON])
def test_what_comes_late_counts(query, kind):
    records = [{"x": 1}] * MANY + [{"x": 1.5, "late": "here"}]
    found = query("SELECT max(x) AS x, max(late) AS late, count(*) AS n FROM data", records, kind)
    assert found == f"x,late,n\n1.5,here,{MANY + 1}\n"


def test_a_text_among_times_makes_them_texts(query):
    records = [{"moment": "2025-01-01T10:00:00Z"}] * MANY + [{"moment": "soon"}]
    assert (
        query("SELECT max(moment) AS moment, typeof(max(moment)) AS kind FROM data", records)
        == "moment,kind\nsoon,VARCHAR\n"
    )


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("2025-01-02", "DATE"),
        ("2025-01-02 10:00:00", "TIMESTAMP"),
        ("2025-01-02T10:00:00", "TIMESTAMP"),
        ("2025-01-02T10:00:00Z", "TIMESTAMP WITH TIME ZONE"),
        ("10:00:00", "TIME"),
        ("01-02-2025", "VARCHAR"),
        ("01-02-2025 10:00:00", "VARCHAR"),
        ("02/01/2025", "VARCHAR"),
        ("007", "VARCHAR"),
    ],
)
def test_only_iso_8601_is_a_date_or_a_time(query, text, kind):
    records = [{"moment": None, "n": 1}, {"moment": text, "n": 2}, {"n": 3}]
    found = query(
        "SELECT typeof(moment) AS kind, CAST(moment AS VARCHAR) AS moment FROM data WHERE n = 2", records
    )
    shown = {"TIMESTAMP": text.replace("T", " "), "TIMESTAMP WITH TIME ZONE": "2025-01-02 11:00:00+01"}
    assert found == f"kind,moment\n{kind},{shown.get(kind, text)}\n"


def test_keys_that_differ_in_case_only_keep_their_values(query):
    assert query('SELECT a, "A_1" FROM data', [{"a": 1, "A": 2}]) == "a,A_1\n1,2\n"


def test_nested_values_and_quotes_in_names(query):
    records = [{'it\'s "x"': {"a": [1, 2]}, "n": 2**62}]
    assert query('SELECT "it\'s ""x""".a[2] AS two, n FROM data', records) == f"two,n\n2,{2**62}\n"


def test_an_array_without_a_record_is_an_empty_table(query):
    assert query("SELECT count(*) AS n FROM data", []) == "n\n0\n"
