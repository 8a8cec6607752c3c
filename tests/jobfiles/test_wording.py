"""Every failure that the shipped schemas can give has plain words, and so have those that none gives yet."""

import json
import re

import jsonschema
import pytest

from runner.core.diagnostic import Diagnostic
from runner.jobfiles.schema import DEFAULTS_SCHEMA, JOB_SCHEMA, POLICY_SCHEMA
from runner.jobfiles.wording.describe import describe
from runner.jobfiles.wording.finding import name_of

SCHEMAS = {"job": JOB_SCHEMA, "defaults": DEFAULTS_SCHEMA, "policy": POLICY_SCHEMA}
SCHEMA_TALK = re.compile(
    r"\b(schema|anyOf|oneOf|allOf|instance|object|array|string|integer|boolean|null|pattern|enum|const|propert\w+)\b"
)
# Values are what they are: `string` is a type of a column.
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"|\[.*\]|\{.*\}|(?<=Use one of: )[^.]+")

FILE = {"source_type": "file", "location": "a.csv", "file_type": "csv"}
API = {"source_type": "api", "location": "https://example.com/"}
DATABASE = {"source_type": "database", "location": "${env:DB_URL}"}
JOB = {"job_name": "a", "schedule_time": "@daily", "data_source": FILE, "consumer_emails": ["a@example.com"]}
TEST = {"name": "a", "given": {"data": []}, "expect": {"rows": []}}


def words(schema, data):
    schema = {"properties": {}, **schema}
    errors = jsonschema.Draft202012Validator(schema).iter_errors(data)
    return [found for error in errors for found in describe(error, schema)]


def told(schema, data):
    return [(found.path, found.rule, found.message, found.hint) for found in words(schema, data)]


def assert_plain(found):
    """One sentence without a word of JSON Schema, and something to do."""
    message = Diagnostic(path="a.yaml", rule=found.rule, message=found.message).message
    bare = QUOTED.sub("…", message)
    assert len(message) <= 200
    assert not SCHEMA_TALK.search(bare), message
    assert ". " not in bare.replace("*. ", "").replace(" . ", "")
    assert not bare.endswith(".")
    assert "\n" not in message
    assert found.hint, message
    assert found.hint[-1] in ".?…", found.hint
    assert not SCHEMA_TALK.search(QUOTED.sub("…", found.hint)), found.hint


def job_after(**keys):
    return {**{key: value for key, value in JOB.items() if key != "schedule_time"}, "after": ["b"], **keys}


def job_with_source(**keys):
    return {**JOB, "data_source": {**API, **keys}}


def job_with_expect(**keys):
    return {**JOB, "tests": [{**TEST, "expect": keys}]}


# Where a schema has a choice or a condition → data that fails there, with the rules and messages of all findings.
CONDITIONS = {
    "job $ oneOf": ({**JOB, "after": ["a"]}, ["schedule_time and after cannot stand together"]),
    "job $ if 0": (
        {**JOB, "data_sources": {"a": FILE}},
        ["data_source and data_sources cannot stand together"],
    ),
    "job $ dependentSchemas after": (
        job_after(on_missed="skip", starting_deadline_seconds=1),
        ["on_missed is for schedule_time", "starting_deadline_seconds is for schedule_time"],
    ),
    "job $ dependentSchemas processing_script": (
        {**JOB, "processing_script": "x", "processing_query": "y"},
        ["processing_query cannot stand beside processing_script"],
    ),
    "job $ dependentSchemas processing_script_file": (
        {**JOB, "processing_script_file": "x", "processing_query_file": "y"},
        ["processing_query_file cannot stand beside processing_script_file"],
    ),
    "job $ dependentSchemas processing_query": (
        {**JOB, "processing_query": "x", "processing_query_file": "y"},
        ["processing_query_file cannot stand beside processing_query"],
    ),
    "job data_source if 0": (
        {**JOB, "data_source": {"source_type": "file", "location": "a", "method": "GET"}},
        ["data_source needs file_type", "method is for source_type: api"],
    ),
    "job data_source if 1": (job_with_source(file_type="csv"), ["file_type is for source_type: file"]),
    "job data_source if 2": (
        {**JOB, "data_source": {**DATABASE, "params": {}, "sheet": "a", "dtypes": {}, "file_type": "xlsx"}},
        [
            "data_source needs query",
            "dtypes is for CSV and XLSX alone",
            "file_type is for source_type: file",
            "params is for source_type: api",
            "sheet is for file_type: xlsx",
        ],
    ),
    "job data_source if 3": (
        {**JOB, "data_source": {**FILE, "records_path": "a"}},
        ["records_path is for JSON alone"],
    ),
    "job data_source if 4": (
        {**JOB, "data_source": {**FILE, "sheet": "a"}},
        ["sheet is for file_type: xlsx"],
    ),
    "job data_source if 5": (
        {**JOB, "data_source": {**FILE, "file_type": "xlsx", "delimiter": ";"}},
        ["delimiter is for CSV alone"],
    ),
    "job data_source if 6": (
        {**JOB, "data_source": {**FILE, "file_type": "parquet", "columns": ["a"]}},
        ["columns is for CSV and XLSX alone"],
    ),
    "job data_source if 7": (
        job_with_source(response_format="csv", records_path="a", pagination={"type": "link_header"}),
        ["pagination is for JSON alone", "records_path is for JSON alone"],
    ),
    "job data_source if 8": (
        job_with_source(decimal=","),
        ["decimal is for CSV alone"],
    ),
    "job data_source.pagination if 0": (
        job_with_source(pagination={"type": "page", "cursor_path": "a"}),
        ["cursor_path is for type: cursor, this is page", "pagination needs param"],
    ),
    "job data_source.pagination if 1": (
        job_with_source(pagination={"type": "offset", "param": "a"}),
        ["pagination needs size"],
    ),
    "job data_source.pagination if 2": (
        job_with_source(pagination={"type": "cursor", "param": "a", "start": 1}),
        ["pagination needs cursor_path", "start is for type: page and offset, this is cursor"],
    ),
    "job data_source.pagination if 3": (
        job_with_source(pagination={"type": "link_header", "param": "a", "in": "body"}),
        [
            "in is for type: page, offset and cursor, this is link_header",
            "param is for type: page, offset and cursor, this is link_header",
        ],
    ),
    "job data_source.pagination if 4": (
        job_with_source(pagination={"type": "next_link", "param": "a"}),
        ["pagination needs link_path", "param is for type: page, offset and cursor, this is next_link"],
    ),
    "job data_source.pagination if 5": (
        job_with_source(pagination={"type": "link_header", "size_param": "a"}),
        ["pagination needs size"],
    ),
    "job checks.items oneOf": (
        {**JOB, "checks": [{"not_null": "a", "unique": "a"}, {"blocking": True}]},
        [
            "item 2 of checks needs one of not_null, unique, accepted_values, min, max and row_count",
            "not_null and unique cannot stand together",
        ],
    ),
    "job data_source if 9": (
        job_with_source(body={}, method="GET"),
        ["method must be POST where there is a body"],
    ),
    "job data_source.auth if 0": (
        job_with_source(auth={"type": "bearer", "username": "a"}),
        ["auth needs token", "username is for type: basic, this is bearer"],
    ),
    "job data_source.auth if 2": (
        job_with_source(auth={"type": "header", "token": "a", "password": "b"}),
        ["auth needs header", "password is for type: basic, this is header"],
    ),
    "job data_source.auth if 1": (
        job_with_source(auth={"type": "basic", "token": "a", "username": "b"}),
        ["auth needs password", "token is for type: bearer and header, this is basic"],
    ),
    "job tests.items.expect anyOf": (
        job_with_expect(tolerance=1),
        ["expect needs one of rows, file, columns, row_count and error"],
    ),
    "job tests.items.expect dependentSchemas error": (
        job_with_expect(error="x", rows=[]),
        ["rows cannot stand beside error"],
    ),
}


def conditions(name, node, place=()):
    """Every choice and condition of a schema; `not` stands within them alone."""
    label = f"{name} {'.'.join(place) or '$'}"
    for number, part in enumerate(node.get("allOf", [])):
        yield f"{label} if {number}"
        assert set(part) in ({"if", "then"}, {"oneOf"})
    for key in ("anyOf", "oneOf"):
        if key in node:
            yield f"{label} {key}"
    for key in node.get("dependentSchemas", {}):
        yield f"{label} dependentSchemas {key}"
    for key, child in node.get("properties", {}).items():
        if key != "data_sources":  # each is as data_source
            yield from conditions(name, child, (*place, key))
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), dict):
            yield from conditions(name, node[key], (*place, key))


def test_every_choice_and_condition_of_the_schemas_is_tried():
    assert {one for name, check in SCHEMAS.items() for one in conditions(name, check.data)} == set(CONDITIONS)
    for check in SCHEMAS.values():
        used = set(re.findall(r'"([$\w]+)": *[{\[]', json.dumps(check.data)))
        assert not used & {"else", "contains", "$ref", "patternProperties", "prefixItems"}, "these have no words"


@pytest.mark.parametrize("place", CONDITIONS)
def test_a_choice_or_condition_is_one_plain_sentence(place):
    data, messages = CONDITIONS[place]
    found = words(SCHEMAS[place.split()[0]].data, data)
    assert sorted(one.message for one in found) == messages
    for one in found:
        assert_plain(one)


def patterns(node, place=()):
    for key in ("properties", "items", "additionalProperties", "propertyNames"):
        child = node.get(key)
        if key == "properties":
            for name, inner in (child or {}).items():
                yield from patterns(inner, (*place, name))
        elif isinstance(child, dict):
            if "pattern" in child:
                yield key, (*place, 0 if key == "items" else "x")
            yield from patterns(child, (*place, 0 if key == "items" else "x"))
    if "pattern" in node and place and isinstance(place[-1], str) and place[-1] != "x":
        yield "value", place


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_pattern_of_the_schemas_has_words(name):
    schema = SCHEMAS[name].data
    found = list(patterns(schema))
    assert found or name == "policy"
    for kind, place in found:
        value = {"bad\nname": 1} if kind == "propertyNames" else "bad\nname ;"
        around = place[:-1] if kind == "propertyNames" else place
        for one in words(schema, nested(around, value)):
            if one.path[: len(around)] == around and one.rule in {"bad-value", "bad-key"}:
                assert "another form" not in one.message
                assert "name of a key" not in one.message
                assert_plain(one)
                break
        else:
            pytest.fail(f"{kind} at {place} is not refused")


def nested(place, value):
    for part in reversed(place):
        value = [value] if isinstance(part, int) else {part: value}
    return value


def places(node, place=()):
    """The path of every value that a schema knows."""
    yield place
    for key, child in node.get("properties", {}).items():
        # Each of data_sources is as data_source.
        yield from [(*place, key)] if key == "data_sources" else places(child, (*place, key))
    if isinstance(node.get("items"), dict):
        yield from places(node["items"], (*place, 0))
    if isinstance(node.get("additionalProperties"), dict):
        yield from places(node["additionalProperties"], (*place, "x"))


VALUES = (
    None, "", "x", " ä\n", "5 min", "-a -b", "x" * 70_000, 0, -1, 1.5, 10**14, True, [], {}, [1], ["a", "a"], ["x"] * 200,
    {"zz": 1}, [{"zz": 1}], {f"k{number}": 1 for number in range(60)}, {"\n": [[]]}, [None],
)  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize("name", SCHEMAS)
def test_whatever_stands_anywhere_is_told_in_one_plain_sentence(name):
    schema = SCHEMAS[name].data
    validator = jsonschema.Draft202012Validator(schema)
    tried = 0
    for place in places(schema):
        for value in VALUES:
            for error in validator.iter_errors(nested(place, value)):
                for found in describe(error, schema):
                    assert_plain(found)
                    tried += 1
    assert tried > 200


def test_a_key_without_value_is_to_be_removed_where_it_may_be():
    data = {**JOB, "job_name": None, "owner": None, "consumer_emails": [None], "resources": {"memory_mb": None}}
    assert {name_of(one[0]): one[3] for one in told(JOB_SCHEMA.data, data)} == {
        "job_name": "Write text, such as daily_sales_report.",
        "owner": "Write text, such as data-team@example.com, or remove the key.",
        "item 1 of consumer_emails": "Write text, such as analyst@example.com, or remove the item.",
        "memory_mb": "Write a whole number, such as 4096, or remove the key.",
    }
    data = job_with_source(auth={"type": "bearer", "token": None})
    assert told(JOB_SCHEMA.data, data)[0][3] == "Write text, such as ${env:SALES_API_TOKEN}."


@pytest.mark.parametrize(
    ("name", "file", "start"),
    [
        ("job", "a job file", "job_name: and schedule_time:"),
        ("defaults", "_defaults.yaml", "a key such as timezone:"),
        ("policy", "_policy.yaml", "a key such as allowed_hosts:"),
    ],
)
def test_a_file_that_is_no_mapping_is_called_by_its_kind(name, file, start):
    schema = SCHEMAS[name].data
    hint = f"Start with {start} in the first column."
    assert told(schema, None) == [((), "empty-file", "the file holds no keys", hint)]
    assert told(schema, "x") == [((), "wrong-type", f"{file} is a mapping of keys, this is text", hint)]
    assert told(schema, 5)[0][2:] == (f"{file} is a mapping of keys, this is 5", hint)
    assert told(schema, [])[0][2:] == (f"{file} is a mapping of keys, this is a list", hint)
    assert "without -" in told(schema, [{"a": 1}])[0][3]
    assert "a : where = stands" in told(schema, "a = b")[0][3]


ONE_OF_TWO = {"oneOf": [{"required": ["token"]}, {"required": ["password"]}]}
EITHER_TYPE = {"properties": {"cell": {"anyOf": [{"type": "string"}, {"type": ["number", "null"]}]}}}
OTHER = {"properties": {"cell": {"anyOf": [{"type": "string"}, {"enum": [1, 2]}]}}}
KEYS = {"properties": {"auth": {"minProperties": 2}, "given": {"minProperties": 1}}}
UNIQUE = {"properties": {"columns": {"uniqueItems": True}}}
DATES = {"properties": {"parse_dates": {"type": "array"}}}
MULTIPLE = {"properties": {"rows": {"multipleOf": 2, "examples": [4]}}}


@pytest.mark.parametrize(
    ("schema", "data", "found"),
    [
        (
            ONE_OF_TWO,
            {},
            (
                (),
                "missing-key",
                "the file needs one of token and password",
                "Add token or password.",
            ),
        ),
        (
            ONE_OF_TWO,
            {"token": 1, "password": 2},
            ((), "misplaced-key", "token and password cannot stand together", "Keep one of them."),
        ),
        (
            EITHER_TYPE,
            {"cell": [1]},
            (
                ("cell",),
                "wrong-type",
                "cell must be text, a number or nothing, not [1]",
                "Write text, a number or nothing.",
            ),
        ),
        (OTHER, {"cell": 3}, (("cell",), "bad-value", "cell cannot be 3", "runner schema tells what it can be.")),
        (
            DATES,
            {"parse_dates": {"day": "%d.%m.%Y"}},
            (
                ("parse_dates",),
                "wrong-type",
                'parse_dates must be a list, not {"day": "%d.%m.%Y"}',
                (
                    "Write the names of the columns alone, such as [ordered_at]: 2026-12-31 and 31.12.2026 are read "
                    "as they are; the step makes dates of other forms."
                ),
            ),
        ),
        (MULTIPLE, {"rows": 3}, (("rows",), "bad-value", "rows cannot be 3", "Write one such as 4.")),
        (
            KEYS,
            {"auth": {"a": 1}},
            (("auth",), "too-short", "auth has less than 2 keys", "Give it at least 2 keys, or remove it."),
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
        (
            UNIQUE,
            {"columns": [1, True, {"a": 1}, {"a": 1}]},
            (("columns", 3), "bad-value", '{"a": 1} stands in columns more than once', "Name it once."),
        ),
    ],
)
def test_what_no_shipped_schema_gives_yet(schema, data, found):
    assert told(schema, data) == [found]


def test_a_large_value_is_not_written_out():
    found = told({"properties": {"a": {"type": "string"}}}, {"a": {"k" * 50: "x" * 1_000_000}})
    assert found[0][2] == "a must be text, not " + json.dumps({"k" * 50: ""})[:39] + "…"


SECRET = "q7Wx9Kd2LmPq8RsTv4YzAb6CdEf"


@pytest.mark.parametrize(
    "source",
    [
        {"auth": f"Bearer {SECRET}"},
        {"auth": ["report", SECRET]},
        {"auth": f"report:{SECRET}"},
        {"auth": {"type": f"Bearer {SECRET}"}},
        {"auth": {"type": "header", "header": f"X-Key: {SECRET}", "token": "${env:TOKEN}"}},
        {"headers": f"Authorization: Bearer {SECRET}"},
        {"headers": [f"X-Api-Key: {SECRET}"]},
        {"headers": {"Authorization": f"Bearer {SECRET}\n"}},
        {"headers": {"X-Api-Key": {"value": SECRET}}},
        {"headers": {f"Authorization: Bearer {SECRET}": "x"}},
        {"params": f"api_key={SECRET}"},
        {"body": f"client_secret={SECRET}", "method": "POST"},
        {"headers": {f"Bearer {SECRET}": None}},
        {"source_type": f"postgresql://report:{SECRET}@example.com/sales"},
    ],
)
def test_a_credential_in_a_wrong_place_is_not_shown(source):
    found = told(JOB_SCHEMA.data, {**JOB, "data_source": API | source})
    assert found
    assert SECRET[:8] not in "".join(message + hint for _, _, message, hint in found)


def test_what_is_no_credential_is_shown_in_the_same_places():
    source = {**API, "auth": {"type": "baerer"}, "params": {"day": {"of": "monday"}}}
    messages = [message for _, _, message, _ in told(JOB_SCHEMA.data, {**JOB, "data_source": source})]
    assert "type cannot be 'baerer'" in messages
    assert any('{"of": "monday"}' in message for message in messages)


def test_a_credential_of_another_type_is_not_shown():
    data = job_with_source(auth={"type": "basic", "username": "ann", "password": 20251109})
    assert [one[2] for one in told(JOB_SCHEMA.data, data)] == ["password must be text"]
    assert "20251109" not in str(told(JOB_SCHEMA.data, data))
