"""`runner doctor`."""

import io
import json

from rich.console import Console

from runner.cli.render_health import findings_table
from runner.core.health import Finding, Health

SUBJECTS = [
    "settings",
    "jobs",
    "git",
    "state",
    "database",
    "service",
    "mail",
    "time zones",
    "sandbox",
    "resources",
    "spreadsheets",
    "clock",
]


def test_every_part_is_one_line_with_a_hint_where_it_is_not_well(call, project):
    done = call("doctor")
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    heads = [line for line in lines if line.startswith(("ok ", "warning ", "problem "))]
    assert [line[9:23].strip() for line in heads] == SUBJECTS
    assert "→ Set SMTP_HOST" in done.stdout
    assert lines[-1].endswith(("warnings.", "warning."))
    assert done.exit_code == 0, "warnings alone are no problem"
    assert not (project / "data").exists(), "it changes nothing"


def test_a_problem_ends_with_one(call, project):
    (project / ".env").write_text("SANDBOX=maybe\n")
    done = call("doctor", "--json")
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert (document["problems"], document["warnings"]) == (1, 0)
    assert document["findings"] == [
        {
            "subject": "settings",
            "health": "problem",
            "message": "SANDBOX='maybe' is not known",
            "hint": "Use one of: strict, best-effort, off.",
        }
    ]


def test_texts_of_others_steer_nothing():
    cursed = "[/oops] \x1b[2J\x9b31m"
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, color_system=None, width=80, highlight=False)
    console.print(findings_table([Finding(subject="mail", health=Health.PROBLEM, message=cursed, hint=cursed)]))
    assert not {"\x1b", "\x9b"} & set(stream.getvalue())
    assert stream.getvalue().count("[/oops]") == 2
