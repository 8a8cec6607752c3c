"""Words for failures that no shipped schema gives yet, or that the cases of tests/acceptance do not reach."""

import jsonschema
import pytest

from runner.jobfiles.wording import describe

ONE_OF_TWO = {"oneOf": [{"required": ["data_source"]}, {"required": ["data_sources"]}]}
EITHER_TYPE = {"properties": {"cell": {"anyOf": [{"type": "string"}, {"type": ["number", "null"]}]}}}
OTHER = {"properties": {"cell": {"anyOf": [{"type": "string"}, {"enum": [1, 2]}]}}}
KEYS = {"properties": {"auth": {"minProperties": 2}, "given": {"minProperties": 1}}}
UNIQUE = {"properties": {"columns": {"uniqueItems": True}}}


def words(schema, data):
    schema = {"properties": {}, **schema}
    errors = jsonschema.Draft202012Validator(schema).iter_errors(data)
    return [
        (found.path, found.rule, found.message, found.hint)
        for error in errors
        for found in describe(error, schema)
    ]


@pytest.mark.parametrize(
    ("schema", "data", "found"),
    [
        (
            ONE_OF_TWO,
            {},
            (
                (),
                "missing-key",
                "the file needs one of data_source and data_sources",
                "Add data_source or data_sources.",
            ),
        ),
        (
            ONE_OF_TWO,
            {"data_source": 1, "data_sources": 2},
            ((), "misplaced-key", "data_source and data_sources cannot stand together", "Keep one of them."),
        ),
        (
            EITHER_TYPE,
            {"cell": [1]},
            (("cell",), "wrong-type", "cell must be text, a number or nothing, not [1]", ""),
        ),
        (OTHER, {"cell": 3}, (("cell",), "bad-value", "cell cannot be 3", "runner schema tells what it can be.")),
        (
            KEYS,
            {"auth": {"a": 1}},
            (("auth",), "too-short", "auth has too few keys", "Give it at least 2 keys, or remove it."),
        ),
        (
            KEYS,
            {"given": {}},
            (("given",), "too-short", "given is empty", "Give it at least one key, or remove it."),
        ),
        (
            UNIQUE,
            {"columns": ["a", "b", "a"]},
            (("columns", 2), "bad-value", "'a' stands in columns more than once", "Name it once."),
        ),
    ],
)
def test_one_plain_sentence(schema, data, found):
    assert words(schema, data) == [found]
