"""The shipped schemas mean to other tools what they mean to us: the peers are check-jsonschema, which reads YAML with
ruamel.yaml and patterns as ECMAScript does, and what editors know of JSON Schema.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runner.jobfiles.parse import parse
from runner.jobfiles.read import JobFile, read_job_file
from runner.jobfiles.schema import DEFAULTS_SCHEMA, JOB_SCHEMA, POLICY_SCHEMA

CASES = Path(__file__).with_name("jobfiles")
SCHEMAS = Path(__file__).parents[2] / "schemas"
JOB_FILES = sorted([*(CASES / "good").glob("*.yaml"), *(CASES / "bad").glob("*.yaml")])

# What our reader refuses before any schema is asked: bytes that are no text, YAML that is broken or that two readers
# read differently, more of it than a job needs. Peers may read such a file, in their own way, or crash on it.
REFUSED_BY_THE_READER = {
    "ambiguous-value",
    "bad-character",
    "bad-key",
    "bad-value",
    "duplicate-key",
    "empty-file",
    "many-documents",
    "not-utf8",
    "too-deep",
    "too-large",
    "too-many-nodes",
    "yaml-feature",
    "yaml-syntax",
}
# YAML 1.2.2, chapter 6.2: a tab may stand before a comment and after a colon. ruamel.yaml takes none there.
THE_PEER_CANNOT_READ = {"tabs_where_they_may_stand.yaml"}

# Draft 2020-12, as far as yaml-language-server and the validators of other languages know it.
KEYWORDS = {
    *("$defs", "$ref", "$schema", "$id", "title", "description", "default", "examples"),
    *("type", "enum", "const", "minimum", "maximum", "minLength", "maxLength", "pattern"),
    *("items", "minItems", "maxItems", "uniqueItems"),
    *("properties", "required", "additionalProperties", "propertyNames", "minProperties", "maxProperties"),
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependentRequired"),
}


def check_jsonschema(*arguments):
    """What the peer says, as a program of its own."""
    return subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--output-format", "json", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def peer_verdicts(schema, paths):
    """Names of files that the peer finds wrong, and of those that it cannot read."""
    done = check_jsonschema("--schemafile", SCHEMAS / schema, *paths)
    assert done.returncode in {0, 1}, done.stderr
    report = json.loads(done.stdout)
    wrong = {Path(error["filename"]) for error in report["errors"]}
    return wrong, {Path(error["filename"]) for error in report["parse_errors"]}


def our_verdicts(check, paths):
    """Files with a finding of the schema, those without, and the rules by which others were refused before."""
    wrong, right, refused = set(), set(), set()
    for path in paths:
        job_file = read_job_file(path, path.name)
        if not isinstance(job_file, JobFile):
            refused.add(job_file.finding.rule)
            continue
        document, findings = parse(path.name, job_file.text)
        if findings:
            refused.update(found.rule for found in findings)
        elif check.findings(path.name, document):
            wrong.add(path)
        else:
            right.add(path)
    return wrong, right, refused


def agree(schema, check, paths):
    wrong, right, refused = our_verdicts(check, paths)
    assert wrong
    assert right
    peers_wrong, unreadable = peer_verdicts(schema, sorted(wrong | right))
    assert {path.name for path in unreadable} <= THE_PEER_CANNOT_READ
    assert peers_wrong - unreadable == wrong - unreadable
    return wrong, right, refused


@pytest.mark.long
def test_check_jsonschema_agrees_on_every_job_file():
    wrong, right, refused = agree("job.schema.json", JOB_SCHEMA, JOB_FILES)
    assert refused == REFUSED_BY_THE_READER
    assert len(wrong) >= 80
    assert len(right) >= 80


@pytest.mark.long
def test_what_the_peer_cannot_read_is_still_so():
    names = [CASES / "good" / name for name in THE_PEER_CANNOT_READ]
    assert peer_verdicts("job.schema.json", names)[1] == set(names)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "schema", "check"),
    [
        ("_defaults.yaml", "defaults.schema.json", DEFAULTS_SCHEMA),
        ("_policy.yaml", "policy.schema.json", POLICY_SCHEMA),
    ],
)
def test_check_jsonschema_agrees_on_what_folders_say(name, schema, check):
    paths = sorted(path for path in (CASES / "folders").rglob(name) if not is_misplaced(path))
    agree(schema, check, paths)


def is_misplaced(path):
    return path.name == "_policy.yaml" and path.parent.name != "jobs.d"


@pytest.mark.long
def test_the_schemas_are_schemas():
    paths = sorted(SCHEMAS.glob("*.json"))
    assert len(paths) == 3
    done = check_jsonschema("--check-metaschema", *paths)
    assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "ok")


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_editors_understand_the_schema(path):
    schema = json.loads(path.read_text(encoding="utf-8"))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert set(keywords(schema)) <= KEYWORDS


@pytest.mark.parametrize("path", sorted(SCHEMAS.glob("*.json")), ids=lambda path: path.stem)
def test_editors_can_explain_every_key(path):
    schema = json.loads(path.read_text(encoding="utf-8"))
    for place, property_ in described(schema, ""):
        assert {"title", "description", "examples"} <= property_.keys(), place
        assert property_["description"].endswith("."), place


def keywords(schema):
    """Every keyword of a schema and of the schemas in it, in their places."""
    if not isinstance(schema, dict):
        return
    for keyword, value in schema.items():
        yield keyword
        if keyword in {"properties", "dependentSchemas", "$defs"}:
            for inner in value.values():
                yield from keywords(inner)
        elif keyword in {"allOf", "anyOf", "oneOf"}:
            for inner in value:
                yield from keywords(inner)
        elif keyword in {"items", "additionalProperties", "propertyNames", "not", "if", "then", "else"}:
            yield from keywords(value)


def described(schema, place):
    """Every property that a file can hold, by its place; conditions only bound them."""
    for key, property_ in schema.get("properties", {}).items():
        yield f"{place}.{key}", property_
        yield from described(property_, f"{place}.{key}")
    for keyword in ("items", "additionalProperties"):
        if isinstance(schema.get(keyword), dict):
            yield from described(schema[keyword], f"{place}.*")
    for name, part in schema.get("$defs", {}).items():
        yield from described(part, f"$defs.{name}")


def test_defaults_are_what_a_job_would_say_itself():
    defaults = json.loads((SCHEMAS / "defaults.schema.json").read_text(encoding="utf-8"))["properties"]
    job = json.loads((SCHEMAS / "job.schema.json").read_text(encoding="utf-8"))["properties"]
    assert defaults == {key: job[key] for key in defaults}
