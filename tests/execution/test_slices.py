import json

import pytest

from runner.core.job import StepKind
from runner.core.source import FileType
from runner.execution.steps.slices import cut_records

RECORDS = [{"id": number, "tags": ["a]", "[b"], "note": '"data": [1], "x": "]'} for number in range(200)]
TEXT = json.dumps(RECORDS)


def cut(folder, text, records_path, *, large=0):
    source, target = folder / "body.json", folder / "records.json"
    source.write_bytes(text if isinstance(text, bytes) else text.encode())
    done = cut_records(str(source), records_path, str(target), large=large)
    assert done == target.exists()
    return json.loads(target.read_text()) if done else None


@pytest.mark.parametrize(
    ("text", "records_path"),
    [
        (f'{{"data": {TEXT}}}', "data"),
        (b"\xef\xbb\xbf" + f' {{"data" :\n{TEXT}\n, "errors": [], "data2": [1]}} \n'.encode(), "data"),
        (f'{{"note": "\\"data\\": [", "more": [1], "data": {TEXT}, "next": "]"}}', "data"),
        (f'{{"a": {{"data": [1]}}, "b": {{"data": {TEXT}, "n": [2]}}, "z": [3]}}', "b.data"),
    ],
)
def test_the_array_is_cut_out_of_what_is_around_it(tmp_path, text, records_path):
    assert cut(tmp_path, text, records_path) == RECORDS


@pytest.mark.parametrize(
    ("text", "records_path"),
    [
        (f'{{"data": {TEXT}', "data"),
        (f'{{"data": {TEXT}}}', "rows"),
        (f'{{"data": {TEXT}}}', "data[*]"),
        (f'{{"{"x" * 5000}": 1, "data": {TEXT}}}', "data"),
        ('{"data": {"rows": 1}}', "data"),
        (TEXT, None),
    ],
)
def test_what_cannot_be_found_is_left(tmp_path, text, records_path):
    assert cut(tmp_path, text, records_path) is None


def test_a_wrong_cut_is_no_array(tmp_path):
    with pytest.raises(json.JSONDecodeError):
        cut(tmp_path, f'{{"data": {TEXT}, "data": [1]}}', "data")


@pytest.mark.parametrize("again", ["", ', "data": [{"id": 5}]'])
def test_a_large_body_is_read_by_scripts_and_queries(bench, again):
    body = f'{{"data": {json.dumps([{"id": number, "pad": "x" * 50} for number in range(20_000)])}{again}}}'
    expected = "sum\n5\n" if again else "sum\n199990000\n"
    given = {"source": body, "kind_of_file": FileType.JSON, "records_path": "data"}
    script = "result = pd.DataFrame({'sum': [data['id'].sum()]})"
    assert bench.csv(script, **given) == expected
    assert bench.csv("SELECT sum(id) AS sum FROM data", kind=StepKind.QUERY, **given) == expected


def test_a_small_document_is_left(tmp_path):
    assert cut(tmp_path, f'{{"data": {TEXT}}}', "data", large=1 << 20) is None
