"""What the REST service stored → what a job file says; nothing is lost without a note."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.jobfiles.canonical.form import write_data
from runner.jobfiles.parse import parse
from runner.jobfiles.predecessor.conversion import convert_jobs
from runner.jobfiles.predecessor.keys import NoteKind
from runner.jobfiles.predecessor.stored_jobs import StoredJobsError, read_stored_jobs
from runner.jobfiles.schema import JOB_SCHEMA

KNOWN = JOB_SCHEMA.data["properties"]
JOB = {
    "job_name": "daily_sales",
    "schedule_time": "0 9 * * 1-5",
    "data_source": {"source_type": "file", "location": "./data/input.csv", "file_type": "csv"},
    "processing_script": "result = data\n",
    "consumer_emails": ["analyst@example.com"],
}


def read(document):
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_stored_jobs(content, "jobs.json")


def convert(*jobs):
    return convert_jobs(read(list(jobs)), known_keys=KNOWN)


def changed(**changes):
    """The one job with other values (None: without the key) → (data of its file, its notes as kind and key)."""
    job = {key: value for key, value in {**JOB, **changes}.items() if value is not None}
    (conversion,) = convert(job)
    return conversion.data, [(str(note.kind), note.key) for note in conversion.notes]


def source(**changes):
    data, notes = changed(data_source={**JOB["data_source"], **changes})
    return data["data_source"], notes


@pytest.mark.parametrize(
    "document",
    [
        [JOB],
        {"daily_sales": JOB},
        {"daily_sales": {key: JOB[key] for key in JOB if key != "job_name"}},
        {"jobs": [JOB]},
        {"jobs": {"daily_sales": JOB}, "version": 1},
        JOB,
    ],
)
def test_every_shape_of_the_file_gives_the_job_as_it_was(document):
    (conversion,) = convert_jobs(read(document), known_keys=KNOWN)
    assert (conversion.data, conversion.notes) == (JOB, ())
    assert conversion.job_name == conversion.old_name == "daily_sales"


@pytest.mark.parametrize("document", [[], {}, {"jobs": []}])
def test_a_file_without_jobs_gives_none(document):
    assert read(document) == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings_that_say_what_they_are_are_read(encoding):
    (job,) = read(json.dumps([{**JOB, "description": "zoë"}], ensure_ascii=False).encode(encoding))
    assert job.data["description"] == "zoë"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "jobs.json:1:1: this is no JSON: expecting value"),
        (b'[\n {"a": 1,2}]', "jobs.json:2:10: this is no JSON: expecting property name"),
        (b'["a": 1]', "jobs.json:1:5: this is no JSON: expecting ',' delimiter"),
        (b'"\xff"', "jobs.json is not UTF-8: byte 2 does not fit"),
        ('["zoë"]'.encode("latin-1"), "jobs.json is not UTF-8: byte 5 does not fit"),
        (b"\xff\xfe\x00", "jobs.json is not UTF-16: "),
        (b"[" * 200_000, "jobs.json is nested too deeply"),
        (b"3", "jobs.json holds neither a list nor a mapping of jobs"),
        (b"null", "jobs.json holds neither a list nor a mapping of jobs"),
        (b" " * (64 * 1024 * 1024 + 1), "jobs.json is larger than 64 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_with_its_place(content, message):
    with pytest.raises(StoredJobsError) as caught:
        read(content)
    assert caught.value.message.startswith(message)
    assert caught.value.exit_code == 3
    assert caught.value.hint


def test_what_json_alone_allows_is_carried_over_as_text():
    text = json.dumps([JOB]).replace('"0 9 * * 1-5"', "NaN").replace('"csv"', "9" * 5000)
    (conversion,) = convert_jobs(read(text.encode()), known_keys=KNOWN)
    assert conversion.data["schedule_time"] == "nan"
    assert conversion.data["data_source"]["file_type"] == "9" * 5000


def test_keys_that_stand_twice_are_told_of():
    text = json.dumps([JOB])[:-2] + ', "schedule_time": "@daily"}]'
    (conversion,) = convert_jobs(read(text.encode()), known_keys=KNOWN)
    assert conversion.data["schedule_time"] == "@daily"
    assert [(note.kind, note.key) for note in conversion.notes] == [(NoteKind.TO_DO, "schedule_time")]


def test_jobs_of_one_name_in_a_mapping_are_both_kept():
    text = f'{{"a": {json.dumps({**JOB, "job_name": None})}, "a": {json.dumps({**JOB, "job_name": "a", "tags": ["x"]})}}}'
    jobs = convert_jobs(read(text.replace('"job_name": null, ', "").encode()), known_keys=KNOWN)
    assert [job.job_name for job in jobs] == ["a", "a_2"]


@pytest.mark.parametrize(
    "entry", [3, None, "daily", [], {}, {"job_name": 3}, {"job_name": " "}, {"schedule_time": "@daily"}]
)
def test_what_is_no_job_is_told_of(entry):
    before, conversion = convert(JOB, entry)
    assert before.job_name == "daily_sales"
    assert (conversion.place, conversion.job_name, conversion.data) == ("item 2", None, {})
    assert [note.kind for note in conversion.notes] == [NoteKind.TO_DO]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Daily Sales Report!", "daily_sales_report"),
        ("Täglich", "taglich"),
        ("日報", "job"),
        ("_x_", "x_"),
        ("a" * 80, "a" * 63),
        ("a/../../etc/passwd", "a_etc_passwd"),
        ("A\nB", "a_b"),
    ],
)
def test_names_are_made_to_fit(old, new):
    (conversion,) = convert({**JOB, "job_name": old})
    assert (conversion.old_name, conversion.job_name) == (old, new)
    assert [(note.kind, note.key) for note in conversion.notes] == [(NoteKind.CHANGED, "job_name")]


def test_a_name_that_fits_is_kept_and_others_get_numbers():
    names = [
        job.job_name
        for job in convert(
            *({**JOB, "job_name": name} for name in ("A b", "a_b", "a-b", "A B", "a" * 63, "A" * 63))
        )
    ]
    assert names == ["a_b_2", "a_b", "a-b", "a_b_3", "a" * 63, "a" * 61 + "_2"]


def test_one_job_that_stands_twice_makes_one_file():
    first, second = convert(JOB, JOB)
    assert (first.job_name, second.job_name) == ("daily_sales", None)
    assert [note.message for note in second.notes] == ["the same job as item 1"]


@pytest.mark.parametrize(
    ("changes", "key", "value", "notes"),
    [
        ({"schedule_time": " 0 9 * * * "}, "schedule_time", "0 9 * * *", []),
        ({"schedule_time": "0 0 9 * * 1"}, "schedule_time", "0 0 9 * * 1", []),
        ({"schedule_time": None}, "schedule_time", None, []),
        (
            {"processing_script": "a = 1\r\nresult = a"},
            "processing_script",
            "a = 1\nresult = a\n",
            [("changed", "processing_script")],
        ),
        ({"processing_script": " \n"}, "processing_script", None, [("changed", "processing_script")]),
        (
            {"consumer_emails": "a@example.com, b@example.com"},
            "consumer_emails",
            ["a@example.com", "b@example.com"],
            [("changed", "consumer_emails")],
        ),
        (
            {"consumer_emails": ["A <a@example.com>"]},
            "consumer_emails",
            ["a@example.com"],
            [("changed", "consumer_emails")],
        ),
        (
            {"consumer_emails": ["a@example.com", "A@example.com "]},
            "consumer_emails",
            ["a@example.com"],
            [("changed", "consumer_emails")],
        ),
        ({"consumer_emails": None}, "consumer_emails", None, []),
        ({"timezone": "Europe/Berlin"}, "timezone", "Europe/Berlin", []),
        ({"enabled": False}, "suspend", True, [("changed", "enabled")]),
        ({"enabled": True}, "suspend", None, [("left_out", "enabled")]),
        ({"created_at": "2024-01-01"}, "created_at", None, [("left_out", "created_at")]),
        ({"priority": 3}, "priority", None, [("to_do", "priority")]),
        ({"data_source": "x"}, "data_source", "x", []),
    ],
)
def test_keys_of_a_job(changes, key, value, notes):
    data, found = changed(**changes)
    assert (data.get(key), found) == (value, notes)


@pytest.mark.parametrize(
    ("changes", "key", "value", "notes"),
    [
        ({"file_type": None}, "file_type", "csv", [("changed", "data_source.file_type")]),
        (
            {"file_type": None, "location": "a.jsonl"},
            "file_type",
            "ndjson",
            [("changed", "data_source.file_type")],
        ),
        ({"file_type": None, "location": "a"}, "file_type", None, []),
        ({"file_type": "CSV"}, "file_type", "csv", []),
        ({"file_type": ".jsonl"}, "file_type", "ndjson", [("changed", "data_source.file_type")]),
        ({"file_type": "xml"}, "file_type", "xml", [("to_do", "data_source.file_type")]),
        ({"file_type": "excel"}, "file_type", "xlsx", [("changed", "data_source.file_type")]),
        (
            {"source_type": "api", "file_type": "xlsx"},
            "response_format",
            None,
            [("left_out", "data_source.file_type")],
        ),
        (
            {"source_type": "API", "file_type": "csv"},
            "response_format",
            "csv",
            [("changed", "data_source.file_type")],
        ),
        (
            {"source_type": "api", "file_type": "json"},
            "response_format",
            None,
            [("left_out", "data_source.file_type")],
        ),
        ({"source_type": "api", "file_type": "csv"}, "file_type", None, [("changed", "data_source.file_type")]),
        ({"headers": {"Accept": "text/csv"}}, "headers", {"Accept": "text/csv"}, []),
        ({"worksheets": 1}, "worksheets", None, [("to_do", "data_source.worksheets")]),
    ],
)
def test_keys_of_a_data_source(changes, key, value, notes):
    data, found = source(**changes)
    assert (data.get(key), found) == (value, notes)


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*JOB, *JOB["data_source"], "x"]), inner, max_size=6)
    ),
    max_leaves=12,
)


@settings(max_examples=50)
@given(st.lists(TREES, max_size=3) | TREES)
def test_no_content_breaks_the_import_and_no_entry_is_dropped(document):
    try:
        jobs = read(json.dumps(document).encode())
    except StoredJobsError:
        assert not isinstance(document, list | dict)
        return
    conversions = convert_jobs(jobs, known_keys=KNOWN)
    assert [job.place for job in conversions] == [job.place for job in jobs]
    names = [job.job_name for job in conversions if job.job_name is not None]
    assert len(set(names)) == len(names)
    for job in conversions:
        assert job.job_name is not None or job.notes
        text = write_data(job.data, JOB_SCHEMA.data)
        assert text is None or parse("a", text)[0].data == job.data
