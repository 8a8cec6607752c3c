import copy
import json
import re
from pathlib import Path

import jsonschema
import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.jobfiles.inspection import _SHORT
from runner.jobfiles.parse import parse
from runner.jobfiles.schema import JOB_SCHEMA
from runner.shipped import shipped_path

JOB = {
    "job_name": "sales",
    "schedule_time": "@daily",
    "tags": ["a", "b"],
    "suspend": False,
    "timeout_seconds": 10,
    "resources": {"memory_mb": 512},
    "data_source": {
        "source_type": "api",
        "location": "https://api.example.com/x",
        "method": "POST",
        "headers": {"Accept": "x"},
        "params": {"a": ["1", 2]},
        "body": {"a": 1},
        "auth": {"type": "bearer", "token": "t"},
        "pagination": {"type": "page", "param": "p"},
    },
    "checks": [{"min": {"column": "a", "value": 1}}],
    "incremental": {"cursor": "a", "initial_value": 0},
    "processing_script": "result = data",
    "consumer_emails": ["a@example.com"],
    "delivery": {"on_empty": "skip", "preview_rows": 3},
}
README = Path(__file__).parents[2] / "README.md"
WORDS = [
    "job_name",
    "location",
    "file",
    "api",
    "csv",
    "json",
    "basic",
    "GET",
    "sales\n",
    "x y",
    "",
    "a" * 64,
    "processing_query",
    "file_type",
    "records_path",
    "body",
    "username",
    "data_sources",
    "database",
    "query",
    "cursor",
    "unique",
    "size_param",
    "delimiter",
    "\t",
]
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**63), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(WORDS), st.text(max_size=5), st.just([]), st.just({}), st.just(["x", 1]), st.just({"type": "basic"}),
    st.just({"orders": JOB["data_source"]}), st.just({"type": "cursor", "param": "c"}),
)  # fmt: skip


def places_of(job):
    source, checks = job.get("data_source"), job.get("checks")
    inner = (source.get("auth"), source.get("pagination")) if isinstance(source, dict) else ()
    items = checks[:1] if isinstance(checks, list) else ()
    return (job, source, *inner, *items, job.get("resources"), job.get("delivery"), job.get("data_sources"))


@st.composite
def mutated_jobs(draw):
    job = copy.deepcopy(JOB)
    for _ in range(draw(st.integers(1, 4))):
        node = draw(st.sampled_from([place for place in places_of(job) if isinstance(place, dict)]))
        key = draw(st.sampled_from([*node, *WORDS]))
        if draw(st.booleans()):
            node.pop(key, None)
        else:
            node[key] = copy.deepcopy(draw(VALUES))
    return job


@given(mutated_jobs())
def test_both_validators_agree_and_every_fault_has_its_words(job):
    verdict = jsonschema.Draft202012Validator(JOB_SCHEMA.data).is_valid(job)
    assert JOB_SCHEMA.fits(job) == verdict
    document, findings = parse("a.yaml", json.dumps(job))
    if not findings and document.data == job:
        assert (JOB_SCHEMA.findings("a.yaml", document) == ()) == verdict


def test_the_schema_is_a_good_schema():
    jsonschema.Draft202012Validator.check_schema(JOB_SCHEMA.data)
    assert jsonschema_rs.meta.is_valid(JOB_SCHEMA.data)


def properties(node, path=()):
    for name, child in node.get("properties", {}).items():
        if child.get("not") is None:
            yield (*path, name), child
            yield from properties(child, (*path, name))
    for part in ("items", "additionalProperties"):
        if isinstance(node.get(part), dict):
            yield (*path, part), node[part]


def test_every_key_is_explained_bounded_and_closed():
    seen = dict(properties(JOB_SCHEMA.data))
    assert len(seen) >= 90
    for path, child in seen.items():
        assert {"title", "description", "examples"} <= child.keys(), path
        if "string" in child.get("type", ""):
            assert "maxLength" in child, path
        if "array" in child.get("type", "") and path[-1] != "body":
            assert "maxItems" in child, path
        if child.get("type") == "object":
            assert "additionalProperties" in child, path
        for example in child["examples"]:
            assert jsonschema.Draft202012Validator(child).is_valid(example), (path, example)


def test_every_pattern_ends_portably():
    def patterns(node):
        if isinstance(node, dict):
            if isinstance(node.get("pattern"), str):
                yield node["pattern"]
            for child in node.values():
                yield from patterns(child)
        elif isinstance(node, list):
            for child in node:
                yield from patterns(child)

    found = list(patterns(JOB_SCHEMA.data))
    assert len(found) >= 4
    assert all(pattern.startswith("^") and pattern.endswith(r"(?![\s\S])") for pattern in found)


def test_the_examples_of_the_schema_fit_it():
    assert all(JOB_SCHEMA.fits(example) for example in JOB_SCHEMA.data["examples"])
    assert all(JOB_SCHEMA.fits(example) for example in map(job_of, sources()))


def sources():
    """Every example of a source, of auth and of pagination, as a source."""
    source = JOB_SCHEMA.data["properties"]["data_source"]
    api = {"source_type": "api", "location": "https://api.example.com/sales"}
    yield from source["examples"]
    for key in ("auth", "pagination"):
        yield from ({**api, key: example} for example in source["properties"][key]["examples"])


def job_of(source):
    return {
        "job_name": "a",
        "schedule_time": "@daily",
        "data_source": source,
        "consumer_emails": ["a@example.com"],
    }


def test_what_the_schema_shares_is_in_its_places():
    text, whole = json.loads(JOB_SCHEMA.text), JOB_SCHEMA.data
    assert "$ref" not in json.dumps(whole)
    one, several = whole["properties"]["data_source"], whole["properties"]["data_sources"]["additionalProperties"]
    assert one["properties"] == several["properties"] == text["$defs"]["source"]["properties"]
    assert one["title"] != several["title"]


def findings_of(text):
    document, _ = parse("a.yaml", text)
    return JOB_SCHEMA.findings("a.yaml", document)


def test_a_misspelt_required_key_is_told_once():
    rest = "schedule_time: x\ndata_source: {source_type: api, location: x}\nconsumer_emails: [a]\n"
    (found,) = findings_of("jobname: a\n" + rest)
    assert (found.rule, found.line, found.column, found.end_column) == ("unknown-key", 1, 1, 8)
    assert "job_name" in found.hint


def test_a_value_that_yaml_refused_is_not_complained_of_again():
    text = "job_name: no\nschedule_time: x\ndata_source: {source_type: api, location: x}\nconsumer_emails: [a]\nsuspend: yes\n"
    assert findings_of(text) == ()


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("csvv", "Did you mean csv?"),
        ("parket", "Did you mean parquet?"),
        ("xml", "csv, json, ndjson, parquet, xlsx"),
    ],
)
def test_the_nearest_value_is_told(value, hint):
    text = f"job_name: a\nschedule_time: x\ndata_source: {{source_type: file, location: x, file_type: {value}}}\nconsumer_emails: [a]\n"
    (found,) = findings_of(text)
    assert (found.rule, found.line) == ("bad-value", 3)
    assert hint in found.hint


@pytest.mark.parametrize(
    ("path", "longest"),
    [
        (("schedule_time",), 100),
        (("data_source", "location"), 2048),
        (("data_source", "headers", "X"), 8192),
        (("consumer_emails", 7), 254),
        (("tests", 0, "name"), 200),
        (("processing_script",), 65536),
    ],
)
def test_how_long_a_text_may_be(path, longest):
    assert JOB_SCHEMA.longest(path) == JOB_SCHEMA.longest(path) == longest


def test_what_has_no_bound_may_be_as_long_as_it_likes():
    assert JOB_SCHEMA.longest(("data_source", "body", "a")) > 1 << 40
    assert JOB_SCHEMA.longest(("suspend",)) > 1 << 40


def test_no_text_of_a_job_file_has_a_shorter_bound_than_the_quick_way_takes():
    bounds = [int(bound) for bound in re.findall(r'"maxLength": ([0-9]+)', JOB_SCHEMA.text)]
    assert min(bounds) >= _SHORT - 1


def test_a_look_tells_the_paths_that_findings_are_about():
    document, _ = parse(
        "a.yaml", "job_name: A\nschedule_time: '* * * * *'\ntags: [1]\nconsumer_emails: [a@example.com]\n"
    )
    findings, paths = JOB_SCHEMA.look("a.yaml", document)
    assert findings == JOB_SCHEMA.findings("a.yaml", document)
    assert {("job_name",), ("tags", 0)} <= paths
    assert ("schedule_time",) not in paths


@pytest.mark.parametrize(("row", "rules"), [("{no: 1}", []), ("{no: 1, amount: 2}", []), ("{}", ["too-short"])])
def test_a_mapping_whose_only_key_was_refused_is_not_called_empty(row, rules):
    text = (
        "job_name: sales\nschedule_time: '@daily'\nconsumer_emails: [a@example.com]\n"
        "data_source: {source_type: file, location: a.csv, file_type: csv}\n"
        f"tests: [{{name: one, given: {{data: [{row}]}}, expect: {{row_count: 1}}}}]\n"
    )
    document, refused = parse("a.yaml", text)
    assert [found.rule for found in refused] == ["bad-key"] * ("no" in row)
    assert [found.rule for found in JOB_SCHEMA.findings("a.yaml", document)] == rules


def keys_of(schema):
    """The keys that a schema allows, at any depth."""
    if isinstance(schema, list):
        return {key for part in schema for key in keys_of(part)}
    if not isinstance(schema, dict):
        return set()
    below = {key for part in schema.values() for key in keys_of(part)}
    return below | {key for key, part in schema.get("properties", {}).items() if part != {"not": {}}}


@pytest.mark.parametrize("kind", ["job", "defaults", "policy"])
def test_readme_tells_of_each_key(kind):
    code = re.findall(r"```.*?```|`[^`]+`", README.read_text("utf-8"), re.DOTALL)
    schema = json.loads(shipped_path(f"schemas/{kind}.schema.json").read_text("utf-8"))
    assert keys_of(schema) - set(re.findall(r"\w+", " ".join(code))) == set()
