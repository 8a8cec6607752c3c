"""The catalogue of rules is complete, and each of its examples shows what it says."""

import ast
import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import runner
from runner.core.diagnostic import Severity
from runner.core.job_defaults import JobDefaults
from runner.errors import UsageError
from runner.jobfiles.check import inspect_file
from runner.jobfiles.paths import check_paths
from runner.jobfiles.read import MAX_BYTES, read_job_file
from runner.jobfiles.rules import RULES, RULES_BY_NAME, find_rule, rule_document
from runner.jobfiles.rules.rule import FILE_MARK

PACKAGE = Path(runner.__file__).parent
EXPECTED = Path(__file__).parents[1] / "acceptance" / "jobfiles" / "bad"
# Given by a run of the step, not by reading the file: shown where the samples are run.
BY_RUNNING = frozenset({"sample-run-failed"})
# Given by `fmt`, when a file cannot be replaced.
BY_WRITING = frozenset({"unwritable"})
# Faults of runner itself.
FAULTS = frozenset({"internal-error", "not-formatted"})
WITH_EXAMPLE = [rule for rule in RULES if rule.bad]
WITHOUT = [rule for rule in RULES if not rule.bad]


def example_files(text):
    """An example → its files by path: one job file, or one below each `# file:` line."""
    if not text.startswith(FILE_MARK):
        return {"jobs.d/daily_sales.yaml": text}
    parts = re.split(rf"^{FILE_MARK}(.+)\n", text, flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def validate(project):
    return check_paths(
        (),
        jobs_dir=project / "jobs.d",
        folder=project,
        defaults=JobDefaults(),
        now=datetime(2026, 11, 23, 12, tzinfo=UTC),
    ).diagnostics


@pytest.fixture
def findings(tmp_path):
    """`findings(example)` → what the check of a project with these files finds."""

    def call(text):
        for place in ("data/sales.csv", "private/sales.csv"):
            (tmp_path / place).parent.mkdir(exist_ok=True)
            (tmp_path / place).write_text("category,amount\na,1\n")
        for place, content in example_files(text).items():
            (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place).write_text(content)
        return validate(tmp_path)

    return call


@pytest.mark.parametrize(
    "rule", [rule for rule in WITH_EXAMPLE if rule.name not in BY_RUNNING], ids=lambda rule: rule.name
)
def test_a_bad_example_gives_its_rule_and_no_other_error(rule, findings):
    found = findings(rule.bad)
    assert {one.severity for one in found if one.rule == rule.name} == {rule.severity}
    assert {one.rule for one in found if one.severity is Severity.ERROR} <= {rule.name}


@pytest.mark.parametrize("rule", WITH_EXAMPLE, ids=lambda rule: rule.name)
def test_a_good_example_gives_nothing(rule, findings):
    assert findings(rule.good) == ()


@pytest.mark.parametrize("rule", WITH_EXAMPLE, ids=lambda rule: rule.name)
def test_the_examples_differ_and_are_short(rule):
    assert rule.good
    assert rule.good != rule.bad
    assert not rule.no_example
    for text in (rule.bad, rule.good):
        assert text.endswith("\n")
        assert all(len(line) <= 100 for line in text.splitlines())


def not_utf8(path):
    path.write_bytes(b"job_name: caf\xe9\n")


def bad_character(path):
    path.write_text("job_name: a\x1bb\n")


def too_large(path):
    path.write_text("#" * MAX_BYTES + "\n")


def too_many_nodes(path):
    path.write_text(f"tags: [{'a,' * 20_000}]\n")


def not_a_file(path):
    os.mkfifo(path)


def unreadable(path):
    path.symlink_to(path.name)


MADE = {
    "not-utf8": not_utf8,
    "bad-character": bad_character,
    "too-large": too_large,
    "too-many-nodes": too_many_nodes,
    "not-a-file": not_a_file,
    "unreadable": unreadable,
}


@pytest.mark.parametrize(("name", "make"), MADE.items(), ids=MADE)
def test_what_no_text_can_show_gives_its_rule(project, name, make):
    make(project / "jobs.d" / "daily_sales.yaml")
    assert [found.rule for found in validate(project)] == [name]


def test_what_is_too_much_to_show_gives_its_rule(project):
    (project / "jobs.d" / "a.yaml").write_text("".join(f"key_{number}: 1\n" for number in range(300)))
    found = validate(project)
    assert len(found) == 101
    assert [one.rule for one in found if one.rule == "more-findings"] == ["more-findings"]


def test_a_file_system_that_does_not_answer_gives_its_rule(project, write, minimal, mount):
    write("jobs.d/a.yaml", minimal.replace("sales.csv", "mount/sales.csv"))
    mount.goes()
    assert [found.rule for found in validate(project)] == ["no-answer"]


def test_a_fault_of_the_checker_gives_its_rule(project, write, context):
    def fail(text):
        raise ZeroDivisionError

    path = write("jobs.d/a.yaml", find_rule("query-syntax").good)
    inspected = inspect_file(read_job_file(path, "jobs.d/a.yaml"), replace(context, query_fault=fail))
    assert [found.rule for found in inspected.verdict.diagnostics] == ["internal-error"]


def test_only_what_no_text_can_show_has_no_example():
    assert {rule.name for rule in WITHOUT} == {*MADE, *BY_WRITING, *FAULTS, "more-findings", "no-answer"}
    assert all(rule.no_example.endswith(".") for rule in WITHOUT)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_words(rule):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", rule.name)
    assert rule.summary.endswith(".")
    assert len(rule.summary) <= 90
    assert "\n" not in rule.summary + rule.reason
    assert rule.reason.endswith(".")
    assert 60 <= len(rule.reason) <= 400
    assert "  " not in rule.reason


def test_names_are_sorted_and_each_once():
    names = [rule.name for rule in RULES]
    assert names == sorted(set(names))
    assert list(RULES_BY_NAME) == names


def constants(node):
    """The texts that an expression may be: itself, or the branches of a condition."""
    if isinstance(node, ast.IfExp):
        return constants(node.body) | constants(node.orelse)
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def reported_names(tree):
    """The names in the places where a rule stands: `rule=`, the second argument of `report`, the first of a Refusal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            yield from (name for given in node.keywords if given.arg == "rule" for name in constants(given.value))
            position = {"report": 1, "_report": 1, "Refusal": 0}.get(called)
            if position is not None and len(node.args) > position:
                yield from constants(node.args[position])
        elif isinstance(node, ast.Tuple) and len(node.elts) >= 3:
            # (rule, message, hint …), as some checks answer.
            yield from (name for name in constants(node.elts[0]) if re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", name))


def sources():
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.parent != PACKAGE / "jobfiles" / "rules":
            yield path, ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.long
def test_every_rule_that_is_reported_is_in_the_catalogue():
    folders = {PACKAGE / "jobfiles", PACKAGE / "jobfiles" / "lint", PACKAGE / "core"}
    reported = {name for path, tree in sources() if path.parent in folders for name in reported_names(tree)}
    assert {"unreadable", "cron-syntax", "yaml-feature", "empty-file", "duplicate-job-name"} <= reported
    assert reported - RULES_BY_NAME.keys() == set()


@pytest.mark.long
def test_every_rule_of_the_catalogue_is_reported():
    texts = {
        node.value
        for _, tree in sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert RULES_BY_NAME.keys() - texts <= BY_RUNNING


def test_every_rule_of_the_acceptance_cases_is_in_the_catalogue():
    lines = [line for path in EXPECTED.glob("*.expected") for line in path.read_text("utf-8").splitlines()]
    names = {re.match(r"\S+ (?:error|warning) ([a-z0-9-]+)", line)[1] for line in lines}
    assert len(names) > 30
    assert names - RULES_BY_NAME.keys() == set()


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("unknwon-key", "unknown-key"),
        ("Unknown_Key", "unknown-key"),
        ("cron", "cron-syntax"),
        ("yaml", "yaml-syntax"),
    ],
)
def test_an_unknown_rule_names_the_nearest(asked, meant):
    with pytest.raises(UsageError) as caught:
        find_rule(asked)
    assert f"Did you mean {meant}?" in caught.value.hint


def test_a_rule_that_resembles_none_names_the_list():
    with pytest.raises(UsageError) as caught:
        find_rule("\x1b[2J")
    assert caught.value.hint == "runner rules lists all of them."


def test_documents():
    document = rule_document(find_rule("unknown-key"))
    assert list(document) == ["name", "severity", "summary", "reason", "bad", "good"]
    assert (document["name"], document["severity"]) == ("unknown-key", "error")
    assert "timeout: 60" in document["bad"]
    document = rule_document(find_rule("not-utf8"))
    assert (document["bad"], document["good"]) == (None, None)
