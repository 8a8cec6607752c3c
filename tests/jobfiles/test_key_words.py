"""Where a key belongs that is not known in its place."""

import jsonschema
import pytest

from runner.jobfiles.schema import DEFAULTS_SCHEMA, JOB_SCHEMA, POLICY_SCHEMA
from runner.jobfiles.wording.describe import describe

FILE = {"source_type": "file", "location": "a.csv", "file_type": "csv"}
API = {"source_type": "api", "location": "https://example.com/"}
JOB = {"job_name": "a", "schedule_time": "@daily", "data_source": FILE, "consumer_emails": ["a@example.com"]}
TEST = {"name": "a", "given": {"data": []}, "expect": {"rows": []}}


def findings(data, check=JOB_SCHEMA):
    errors = jsonschema.Draft202012Validator(check.data).iter_errors(data)
    return [found for error in errors for found in describe(error, check.data)]


def hints(data, check=JOB_SCHEMA):
    return {found.path[-1]: found.hint for found in findings(data, check) if found.rule == "unknown-key"}


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("cpu_seconds", "cpu_seconds belongs under resources."),
        ("cpuSeconds", "Write cpu_seconds under resources."),
        ("source_type", "source_type belongs under data_source."),
        ("token", "token belongs under data_source.auth."),
        ("username", "username belongs under data_source.auth."),
        ("notify_failures", "notify_failures belongs under delivery."),
        ("onFailure", "Write notify_failures under delivery."),
        ("url", "Write location under data_source."),
        ("type", "Write source_type under data_source."),
        ("file", "Write location under data_source."),
        ("memry_mb", "Write memory_mb under resources."),
        ("given", "given belongs in an item of tests."),
        ("row_count", "row_count belongs in an item of checks."),
        ("tolerance", "tolerance belongs under expect, in an item of tests."),
        ("max_memory_mb", "max_memory_mb belongs in _policy.yaml."),
        ("tag", "Did you mean tags?"),
        ("timeout", "Did you mean timeout_seconds?"),
        ("timeoutSeconds", "Did you mean timeout_seconds?"),
        ("desciption", "Did you mean description?"),
        ("schedule", "schedule_time is there already: remove this one."),
        ("jobName", "job_name is there already: remove this one."),
        ("schedule_tme", "schedule_time is there already: remove this one."),
        ("depends_on", "Did you mean after? It stands in the place of schedule_time."),
        ("aftr", "Did you mean after? It stands in the place of schedule_time."),
        ("retries", "Did you mean retry?"),
        ("backoff", "Write backoff_seconds under retry."),
        ("notify_after", "notify_after belongs under delivery."),
        ("enabled", "Write suspend: false, which says the same."),
        ("steps", "A job has one step: Python in processing_script, or SQL in processing_query."),
    ],
)
def test_at_the_top(key, hint):
    assert hints({**JOB, key: True}) == {key: hint}


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (
            {**JOB, "resources": {"timeout_seconds": 5}},
            {"timeout_seconds": "timeout_seconds stands at the top of the file, not under resources."},
        ),
        ({**JOB, "resources": {"cpu": 5, "memory": 6}}, {"cpu": "Did you mean cpu_seconds?", "memory": "Did you mean memory_mb?"}),
        ({**JOB, "retry": {"limits": 3}}, {"limits": "Did you mean limit?"}),
        ({**JOB, "retry": {"count": 3}}, {"count": "Did you mean limit?"}),
        ({**JOB, "checks": [{"count": {"min": 1}}]}, {"count": "Did you mean row_count?"}),
        ({**JOB, "data_source": {**API, "format": "csv"}}, {"format": "Did you mean response_format?"}),
        ({**JOB, "data_source": {**FILE, "format": "csv"}}, {"format": "file_type is there already: remove this one."}),
        ({**JOB, "data_source": {"source_type": "file", "location": "a", "format": "csv"}}, {"format": "Did you mean file_type?"}),
        ({**JOB, "data_source": {**API, "token": "a"}}, {"token": "token belongs under auth."}),
        ({**JOB, "data_source": {**API, "fileType": "csv"}}, {"fileType": "Did you mean response_format?"}),
        ({**JOB, "tests": [{**TEST, "rows": []}]}, {"rows": "rows belongs under expect."}),
        ({**JOB, "tests": [{**TEST, "input": 1}]}, {"input": "given is there already: remove this one."}),
        ({**JOB, "tests": [{**TEST, "expect": {"rows": [], "given": 1}}]}, {"given": "given belongs in an item of tests."}),
        ({**JOB, "data_source": {**API, "pagination": {"type": "page", "param": "p", "per_page": 5}}}, {"per_page": "Did you mean size?"}),
        ({**JOB, "data_source": {**FILE, "seperator": ";"}}, {"seperator": "Did you mean delimiter?"}),
        ({**JOB, "checks": [{"notnull": "a"}]}, {"notnull": "Did you mean not_null?"}),
        ({**JOB, "plot": {}}, {"plot": "Did you mean chart?"}),
        ({**JOB, "delivery": {"owner": "a"}}, {"owner": "owner stands at the top of the file, not under delivery."}),
        ({**JOB, "delivery": {"zz": 1}}, {"zz": "Known here: on_empty, preview_rows, attachment, defuse_formulas, notify_failures, notify_after, on_ambiguous."}),
    ],
)  # fmt: skip
def test_deeper(data, expected):
    assert hints(data) == expected


@pytest.mark.parametrize(
    ("check", "key", "hint"),
    [
        (DEFAULTS_SCHEMA, "data_source", "data_source belongs in a job file."),
        (DEFAULTS_SCHEMA, "dataSource", "data_source belongs in a job file."),
        (DEFAULTS_SCHEMA, "cron", "schedule_time belongs in a job file."),
        (DEFAULTS_SCHEMA, "allowed_hosts", "allowed_hosts belongs in _policy.yaml."),
        (DEFAULTS_SCHEMA, "memory_mb", "memory_mb belongs under resources."),
        (POLICY_SCHEMA, "timeout_seconds", "Did you mean max_timeout_seconds?"),
        (POLICY_SCHEMA, "owner", "owner belongs in a job file."),
        (POLICY_SCHEMA, "allowedHost", "Did you mean allowed_hosts?"),
    ],
)
def test_the_files_around_jobs(check, key, hint):
    assert hints({key: 1}, check) == {key: hint}


@pytest.mark.parametrize(
    ("data", "key", "hint"),
    [
        ({"job": JOB}, "job", "One job a file: write its keys in the first column, without job: around them."),
        ({"jobs": [JOB]}, "jobs", "One job a file: write its keys in the first column, without jobs: around them."),
        ({"jobs": [JOB, JOB]}, "jobs", "Write each job in a file of its own, with its keys in the first column."),
        ({"jobs": {"a": JOB}}, "jobs", "One job a file: write its keys in the first column, without jobs: around them."),
        ({"sales": JOB, "tags": []}, "sales", "One job a file: write its keys in the first column, without sales: around them."),
        ({"version": 1, "spec": {"schedule": "x"}}, "spec", "One job a file: write its keys in the first column, without spec: around them."),
    ],
)  # fmt: skip
def test_what_stands_around_a_whole_job_is_the_one_thing_to_remove(data, key, hint):
    assert hints(data)[key] == hint
    assert not [found for found in findings(data) if found.rule == "missing-key"]


@pytest.mark.parametrize("data", [{}, {"jobs": []}, {"jobs": {}}, {"sales": {"region": "north"}}, {"job": "x"}])
def test_what_holds_no_job_lacks_its_keys(data):
    assert {found.missing for found in findings(data) if found.rule == "missing-key"} == {(key,) for key in JOB}


def test_kubernetes_is_known():
    data = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "a"}, "spec": {"schedule": "x"}}
    assert [key for key, hint in hints(data).items() if "Kubernetes" in hint] == ["apiVersion", "kind", "metadata"]


def test_a_deceiving_letter_is_named():
    found = findings({**JOB, "timez\u043ene": "UTC"})
    assert [(one.message, one.hint) for one in found] == [
        (
            "unknown key 'timez\u043ene': its character 6 is U+043E (Cyrillic small letter o)",
            "Did you mean timezone?",
        )
    ]
    # One that is no misspelling is a word of its own language.
    assert findings({**JOB, "\u043a\u043b\u044e\u0447": 1})[0].message == "unknown key '\u043a\u043b\u044e\u0447'"


def test_many_unknown_keys_take_no_time(lines_run):
    data = {**JOB, **{f"key_number_{number}": number for number in range(5000)}, "x" * 200_000: 1}
    found, lines = lines_run(findings, data)
    assert len(found) == 5001
    assert lines < 300 * len(found), "no key is held against the others of the file"
