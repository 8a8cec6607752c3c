"""`runner rules`."""

import json
import os

import pytest

from runner.jobfiles.rules import RULES, rule_document


@pytest.fixture
def call(commands, tmp_path):
    kept = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return lambda *arguments, **environment: commands(
        "rules", *arguments, cwd=tmp_path, env={**kept, "NO_COLOR": "1", **environment}
    )


def test_every_rule_is_one_line_of_the_table(call):
    done = call()
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.rstrip().split(maxsplit=2) for line in done.stdout.splitlines() if line.strip()]
    assert rows[0] == ["rule", "severity", "what it means"]
    assert [tuple(row) for row in rows[2:]] == [(rule.name, str(rule.severity), rule.summary) for rule in RULES]


def test_a_narrow_terminal_is_told_all_of_it(call):
    shown = " ".join(call(COLUMNS="40").stdout.split())
    assert [rule.summary for rule in RULES if rule.summary not in shown] == []


def test_json_holds_reasons_and_examples(call):
    done = call("--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [rule_document(rule) for rule in RULES]
