import gzip
import json

import duckdb
import pytest

from runner.core.job import StepKind
from runner.core.run import FailureKind
from runner.core.source import FileType
from runner.execution.orders import StepInput
from runner.execution.steps.faults import StepError
from runner.execution.steps.json_tables import json_reader
from runner.execution.steps.relations import input_failure, is_input_failure
from runner.execution.steps.staged import Relation

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


@pytest.mark.parametrize("kind", [FileType.JSON, FileType.NDJSON])
@pytest.mark.parametrize(
    ("numbers", "found", "type_name"),
    [
        ([2**64 + 1, -1, None], [str(2**64 + 1), "-1", ""], "HUGEINT"),
        ([1, *[None] * MANY, -(2**64) - 1], ["1", *[""] * MANY, str(-(2**64) - 1)], "HUGEINT"),
        ([2**64 + 1, 0.5], ["1.8446744073709552e+19", "0.5"], "DOUBLE"),
        ([2**128, 1], ["3.402823669209385e+38", "1.0"], "DOUBLE"),
        ([1e3, 2], ["1000.0", "2.0"], "DOUBLE"),
    ],
)
def test_whole_numbers_of_more_than_64_bits_are_exact(query, kind, numbers, found, type_name):
    lines = query("SELECT x, typeof(x) AS kind FROM data", [{"x": number} for number in numbers], kind)
    assert lines.splitlines()[1:] == [f"{cell},{type_name}" for cell in found]


@pytest.mark.long
def test_columns_with_fractions_that_come_late_are_looked_at_together(tmp_path):
    class Counting:
        """A connection that knows how often it is asked."""

        def __init__(self):
            self.count, self._connection = 0, duckdb.connect()

        def execute(self, query):
            self.count += 1
            return self._connection.execute(query)

    def asked(columns):
        names = [f"c{number}" for number in range(columns)]
        records = [*[dict.fromkeys(names, 1)] * MANY, {**dict.fromkeys(names, 0.5), "c0": 2**64 + 1}]
        path = tmp_path / f"{columns}.ndjson"
        path.write_text("\n".join(map(json.dumps, records)))
        source = StepInput(paths=(str(path),), format=FileType.NDJSON)
        connection = Counting()
        reader = json_reader(connection, Relation(source=source, view="data", files=(str(path),)))
        found = connection.execute(f"DESCRIBE FROM {reader}").fetchall()
        assert [kind for _, kind, *_ in found] == ["HUGEINT", *["DOUBLE"] * (columns - 1)]
        return connection.count

    assert asked(2) == asked(20)


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


@pytest.mark.parametrize("kind", [FileType.JSON, FileType.NDJSON])
def test_a_name_with_a_number_changes_nothing(query, kind):
    records = [{"phone": "1", "Phone_1": "x", "sent": "01-02-2025 10:00:00"}, {"phone": "2", "Phone_1": 7}]
    assert query("FROM data", records, kind) == "phone,Phone_1,sent\n1,x,01-02-2025 10:00:00\n2,7,\n"


def test_nested_values_and_quotes_in_names(query):
    records = [{'it\'s "x"': {"a": [1, 2]}, "n": 2**62}]
    assert query('SELECT "it\'s ""x""".a[2] AS two, n FROM data', records) == f"two,n\n2,{2**62}\n"


@pytest.mark.parametrize("kind", [FileType.JSON, FileType.NDJSON])
def test_records_of_many_members_have_columns(query, kind):
    wide = [{f"k{place}": place for place in range(300)}] * 2
    assert query("SELECT count(*) AS n, sum(k299) AS s FROM data", wide, kind) == "n,s\n2,598\n"
    sparse = [{"id": place, f"k{place}": place} for place in range(60)]
    assert query("SELECT count(k7) AS n, sum(id) AS s FROM data", sparse, kind) == "n,s\n1,1770\n"
    inner = [{"json": {f"k{place}": 1 for place in range(300)}}]
    assert query("SELECT json['k7'] AS n FROM data", inner, kind) == "n\n1\n"
    assert query("SELECT count(*) AS n FROM data", [{}, {}], kind) == "n\n2\n"


def test_many_keys_inside_a_record_are_a_map(query):
    records = [{"id": place, "seen": {f"user {place}": place}} for place in range(300)]
    text = "SELECT seen['user 7'] AS n, typeof(seen) AS kind FROM data WHERE id = 7"
    assert query(text, records) == 'n,kind\n7,"MAP(VARCHAR, BIGINT)"\n'


def test_a_column_of_several_types_is_one_of_texts(query):
    records = [{"a": 1, "b": [1]}, {"a": "x", "b": ["y"]}, {"a": {"k": "z"}}, {"a": None}]
    assert query("SELECT a, b[1] AS b FROM data", records) == 'a,b\n1,1\nx,y\n"{""k"":""z""}",\n,\n'
    inner = [{"a": {"JSON": 1, "x, JSON)": "u"}}, {"a": {"JSON": "v", "x, JSON)": "w"}}]
    assert query('SELECT a.JSON AS j, a."x, JSON)" AS x FROM data', inner) == "j,x\n1,u\nv,w\n"


@pytest.mark.parametrize(
    "text",
    [
        '{"n": [1, null, 3], "s": ["a", "b", null]}',
        '{"n": {"0": 1, "1": null, "2": 3}, "s": {"0": "a", "1": "b"}}',
    ],
)
def test_json_by_columns(bench, text):
    query = "SELECT *, typeof(n) AS kind FROM data"
    found = bench.csv(query, kind=StepKind.QUERY, source=text, kind_of_file=FileType.JSON)
    assert found == "n,s,kind\n1,a,BIGINT\n,b,BIGINT\n3,,BIGINT\n"
    found = bench.csv("result = data", source=text, kind_of_file=FileType.JSON)
    assert found == "n,s\n1.0,a\n,b\n3.0,\n"


@pytest.mark.parametrize("source", ['[{"a": 1}, {"a": 2', '[{"a": "' + "x" * 40_000_000 + '"}]'])
def test_what_cannot_be_read_is_told_without_advice_to_duckdb(bench, source):
    failure = bench.failure("FROM data", kind=StepKind.QUERY, source=source, kind_of_file=FileType.JSON)
    assert failure.kind is FailureKind.FETCH
    assert 'file "input-1.json"' in failure.message
    assert "Try" not in failure.message
    assert str(bench.folder) not in failure.message


def test_a_record_that_a_query_cannot_take_is_the_fault_of_the_data():
    said = (
        'Invalid Input Error: JSON transform error in file "/tmp/run/input-0-0.json", in record/value 2: Failed to '
        "cast value to numerical: \"x\"\nTry increasing 'sample_size', reducing 'maximum_depth'."
    )
    error = duckdb.InvalidInputException(said)
    assert is_input_failure(error)
    failure = input_failure(error, FileType.CSV).failure
    assert failure.kind is FailureKind.FETCH
    assert failure.message == (
        'the data cannot be read as JSON: Invalid Input Error: JSON transform error in file "input-0-0.json", in '
        'record/value 2: Failed to cast value to numerical: "x"'
    )


NO_OBJECTS = [
    (FileType.JSON, "[[1, 2]]", 1, "an array"),
    (FileType.JSON, "[1, 2]", 1, "a number"),
    (FileType.JSON, "[1.5]", 1, "a number"),
    (FileType.JSON, "[true]", 1, "a boolean"),
    (FileType.JSON, '["{"]', 1, "a text"),
    (FileType.JSON, "[null]", 1, "nothing"),
    (FileType.JSON, '[{}, {"a": 1}, null]', 3, "nothing"),
    (FileType.JSON, '[{"a": 1}, {"a": 2}, "x"]', 3, "a text"),
    (FileType.JSON, '[{"a": 1}, [2]]', 2, "an array"),
    (FileType.JSON, '[{"a": 1, "A": 2}, null]', 2, "nothing"),
    (FileType.JSON, '[{"json": 1}, null]', 2, "nothing"),
    (FileType.JSON, "[" + '{"a": null}, ' * 3000 + "null]", 3001, "nothing"),
    (FileType.JSON, '{"rows": [{"a": 1}, null]}', 2, "nothing"),
    (FileType.NDJSON, '[{"a": 1}, {"a": 2}]', 1, "an array"),
    (FileType.NDJSON, '\n{"a": 1}\n  null\n', 2, "nothing"),
    (FileType.NDJSON, '{"a": 1}\n[{"a": 2}]\n', 2, "an array"),
    (FileType.NDJSON, "\ufeffnull\n", 1, "nothing"),
]


@pytest.mark.parametrize("step", [StepKind.QUERY, StepKind.SCRIPT, StepKind.PASS_THROUGH])
@pytest.mark.parametrize(("kind", "source", "place", "what"), NO_OBJECTS)
def test_records_that_are_no_objects_are_refused(bench, step, kind, source, place, what):
    text = {StepKind.QUERY: "SELECT count(*) AS n FROM data", StepKind.SCRIPT: "result = data"}.get(step, "")
    path = "rows" if source.startswith("{") and kind is FileType.JSON else None
    failure = bench.failure(text, kind=step, source=source, kind_of_file=kind, records_path=path)
    assert failure.kind is FailureKind.FETCH
    assert failure.message == f"the data cannot be read as JSON: record {place} is {what}, not an object"
    assert failure.hint == 'Records are objects: [{"name": "a", "amount": 1}, …].'


@pytest.mark.parametrize("step", [StepKind.QUERY, StepKind.SCRIPT, StepKind.PASS_THROUGH])
def test_a_record_on_each_line_is_told_what_it_is(bench, step):
    text = {StepKind.QUERY: "SELECT count(*) AS n FROM data", StepKind.SCRIPT: "result = data"}.get(step, "")
    failure = bench.failure(text, kind=step, source='{"a": 1}\n{"a": 2}\n', kind_of_file=FileType.JSON)
    assert failure.message == "the data cannot be read as JSON: Extra data at line 2, column 1"
    assert failure.hint.startswith("Where each line is a record of its own, it is `ndjson`")
    failure = bench.failure(text, kind=step, source='{"a": 1} x\n', kind_of_file=FileType.JSON)
    assert "ndjson" not in failure.hint


@pytest.mark.parametrize("step", [StepKind.QUERY, StepKind.SCRIPT])
def test_a_record_that_is_no_object_is_found_in_its_file(bench, tmp_path, step):
    paths = [tmp_path / name for name in ("good.json", "bad.json.gz")]
    paths[0].write_text('[{"a": 1}, {"a": 2}]')
    paths[1].write_bytes(gzip.compress(b'[{"a": 1}, null]'))
    inputs = (StepInput(name="data", paths=tuple(map(str, paths)), format=FileType.JSON),)
    message = bench.failure(
        "FROM data" if step is StepKind.QUERY else "result = data", kind=step, inputs=inputs
    ).message
    assert message == "bad.json.gz: the data cannot be read as JSON: record 2 is nothing, not an object"


@pytest.mark.parametrize("text", ["[1]", "[[1]]", '[{"a": 1}, 2]', "[null]"])
def test_the_columns_tell_without_counting(table_connection, tmp_path, text):
    path = tmp_path / "a.json"
    path.write_text(text)
    source = StepInput(paths=(str(path),), format=FileType.JSON)
    with pytest.raises(StepError, match="not an object"):
        json_reader(table_connection, Relation(source=source, view="data", files=source.paths))


def test_a_key_called_json_is_a_column(query):
    assert query("SELECT json FROM data", [{"json": 1}, {"json": None}, {}]) == 'json\n1\n""\n""\n'
    assert query("SELECT json[1] AS a FROM data", [{"json": [1]}, {"json": [2]}]) == "a\n1\n2\n"


@pytest.mark.parametrize("kind", [FileType.JSON, FileType.NDJSON])
@pytest.mark.parametrize("order", [1, -1])
def test_records_without_members_in_a_file_of_their_own_are_gaps(tmp_path, kind, order):
    around = "[{}]" if kind is FileType.JSON else "{}"
    for name, record in {"a": '{"e": "x"}', "b": "{}"}.items():
        (tmp_path / name).write_text(around.replace("{}", record))
    files = tuple(str(tmp_path / name) for name in ("a", "b")[::order])
    relation = Relation(source=StepInput(paths=files, format=kind), view="data", files=files)
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT e FROM {json_reader(connection, relation)}").fetchall()
    assert rows == [("x",), (None,)][::order]


@pytest.mark.parametrize("kind", [FileType.JSON, FileType.NDJSON])
@pytest.mark.parametrize(
    ("records", "place"), [([{"": 1, " ": 2}], 1), ([{"a": 1}, {"a": 2, "": 3}], 2), ([{"json": 1, "": 2}], 1)]
)
def test_a_key_of_no_letters_is_refused_and_costs_no_columns(bench, kind, records, place):
    lines = [json.dumps(record) for record in records]
    source = f"[{','.join(lines)}]" if kind is FileType.JSON else "\n".join(lines)
    failure = bench.failure("FROM data", kind=StepKind.QUERY, source=source, kind_of_file=kind)
    assert failure.kind is FailureKind.FETCH
    assert failure.message == (
        f'the data cannot be read as JSON: record {place} has the key "", which can be no column of a query'
    )
    assert "data.rename(columns={'': 'name'})" in failure.hint


def test_a_key_of_no_letters_is_a_column_of_a_script(bench):
    text = "result = data.rename(columns={'': 'name'})"
    assert bench.csv(text, source='[{"": 1, " ": 2}]', kind_of_file=FileType.JSON) == "name, \n1,2\n"


def test_an_object_with_a_key_twice_is_refused_in_a_query(bench):
    failure = bench.failure(
        "FROM data", kind=StepKind.QUERY, source='[{"a": 1, "a": 2}]', kind_of_file=FileType.JSON
    )
    assert 'has duplicate key "a"' in failure.message
    assert failure.hint == "Have it written once in each object. A script takes the last value of such a key."
    assert bench.csv("result = data", source='[{"a": 1, "a": 2}]', kind_of_file=FileType.JSON) == "a\n2\n"


def test_a_key_of_no_letters_is_found_in_its_file(bench, tmp_path):
    paths = [tmp_path / name for name in ("good.json", "bad.json")]
    paths[0].write_text('[{"a": 1}]')
    paths[1].write_text('[{"a": 1}, {"": 1}]')
    inputs = (StepInput(name="data", paths=tuple(map(str, paths)), format=FileType.JSON),)
    message = bench.failure("FROM data", kind=StepKind.QUERY, inputs=inputs).message
    assert message.startswith("bad.json: the data cannot be read as JSON: record 2 has the key")


@pytest.mark.parametrize("kind", [FileType.JSON, FileType.NDJSON])
@pytest.mark.parametrize(("text", "type_name"), [("10:00:00.123456789", "VARCHAR"), ("10:00:00.123456", "TIME")])
def test_a_time_of_a_day_is_as_fine_as_its_text(query, kind, text, type_name):
    found = query(
        "SELECT clock, typeof(clock) AS kind FROM data",
        [{"clock": None}, {"clock": "10:00:00"}, {"clock": text}],
        kind,
    )
    assert found.splitlines()[1:] == [f",{type_name}", f"10:00:00,{type_name}", f"{text},{type_name}"]
