"""`runner rules`."""

import json
import os
import subprocess
import sys

from runner.jobfiles.rules import RULES, rule_document


def call(tmp_path, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", "from runner.cli import main; main()", "rules", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env={
            **{name: value for name, value in os.environ.items() if name != "COLUMNS"},
            "NO_COLOR": "1",
            **environment,
        },
        check=False,
    )


def test_every_rule_is_one_line_of_the_table(tmp_path):
    done = call(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.rstrip().split(maxsplit=2) for line in done.stdout.splitlines() if line.strip()]
    assert rows[0] == ["rule", "severity", "what it means"]
    assert [tuple(row) for row in rows[2:]] == [(rule.name, str(rule.severity), rule.summary) for rule in RULES]


def test_a_narrow_terminal_is_told_all_of_it(tmp_path):
    shown = " ".join(call(tmp_path, COLUMNS="40").stdout.split())
    assert [rule.summary for rule in RULES if rule.summary not in shown] == []


def test_json_holds_reasons_and_examples(tmp_path):
    done = call(tmp_path, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == [rule_document(rule) for rule in RULES]
