"""The quick way over many items and keys tells what jsonschema tells."""

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.jobfiles.schema import JOB_SCHEMA
from runner.jobfiles.wording.schema_errors import errors_of

MANY = 300
GOOD_SOURCE = {"source_type": "api", "location": "https://example.com/", "method": "POST"}


def told(errors):
    return sorted(
        (list(error.absolute_path), list(error.absolute_schema_path), error.message, repr(error.instance))
        for error in errors
    )


def job(*, emails=("a@example.com",), params=None):
    source = GOOD_SOURCE if params is None else {**GOOD_SOURCE, "params": params}
    return {
        "job_name": "a",
        "schedule_time": "@daily",
        "data_source": source,
        "consumer_emails": list(emails),
        "processing_query": "SELECT 1",
    }


def assert_same(data):
    expected = told(jsonschema.Draft202012Validator(JOB_SCHEMA.data).iter_errors(data))
    assert told(errors_of(JOB_SCHEMA.data)(data)) == expected
    return expected


BAD_PLACES = st.dictionaries(
    st.integers(0, MANY - 1), st.sampled_from(["no address", 1, None, [], {}, "x" * 400]), min_size=1, max_size=5
)


@given(BAD_PLACES)
def test_items(bad):
    emails = [bad.get(number, f"a{number}@example.com") for number in range(MANY)]
    assert assert_same(job(emails=emails))


@given(BAD_PLACES)
def test_values_of_keys(bad):
    assert assert_same(job(params={f"key_{n}": bad.get(n, "value") for n in range(MANY)}))


def test_names_of_keys():
    params = {f"key_{n}": "value" for n in range(MANY)}
    assert assert_same(job(params=params | {"": "v", "x" * 3_000: "v"}))


@pytest.mark.parametrize("count", [3, MANY])
def test_many_keys_that_are_not_known(count):
    assert assert_same(job() | {f"key_{n}": n for n in range(count)})


@pytest.mark.parametrize("count", [3, MANY])
def test_what_fits_gives_no_error(count):
    assert not assert_same(job(emails=[f"a{n}@example.com" for n in range(min(count, 100))]))
