import json

import pytest

from runner.core.diagnostic import Diagnostic, Severity
from runner.jobfiles.formats import Findings, choose_format, render, summary


def findings(*diagnostics, text="a: 1\nkey: [välue]\n", files=1):
    return Findings(files=files, diagnostics=diagnostics, texts={"a.yaml": text}, seconds=0.25)


def one(**changes):
    values = {
        "path": "a.yaml",
        "line": 2,
        "column": 7,
        "end_line": 2,
        "end_column": 12,
        "rule": "bad-value",
        "message": "no",
        "hint": "yes",
    }
    return Diagnostic(**{**values, **changes})


def test_text_shows_the_place():
    assert render(findings(one()), "text") == (
        "a.yaml:2:7: error: no [bad-value]\n  2 | key: [välue]\n    |       ^^^^^\n  hint: yes\n\n1 file checked in 0.25 s: 1 error\n"
    )


def test_colour_is_added_only_when_asked_for():
    plain, coloured = render(findings(one()), "text"), render(findings(one()), "text", colour=True)
    assert "\x1b" not in plain
    assert "\x1b[1;31m^^^^^\x1b[0m" in coloured


@pytest.mark.parametrize(
    ("line", "column", "end_column", "caret"),
    [("漢字: x", 5, 6, "    |       ^"), ("a\tb", 3, 4, "    |   ^"), ("e\u0301: x", 5, 6, "    |    ^")],
)
def test_carets_stand_below_wide_and_combining_characters(line, column, end_column, caret):
    text = render(findings(one(line=1, end_line=1, column=column, end_column=end_column), text=line), "text")
    assert text.split("\n")[2] == caret


def test_long_lines_are_cut_around_the_place():
    text = render(
        findings(one(line=1, end_line=1, column=5001, end_column=5004), text="x" * 5000 + "abc" + "y" * 5000),
        "text",
    )
    source, caret = text.split("\n")[1:3]
    assert len(source) < 200
    assert source[caret.index("^") : caret.rindex("^") + 1] == "abc"


def test_nothing_of_a_file_reaches_the_terminal_as_a_command():
    found = one(line=1, end_line=1, message="bad \x1b[2J", path="\x1b]0;x.yaml")
    shown = render(Findings(files=1, diagnostics=(found,), texts={found.path: "a \x1b[31m"}, seconds=0.0), "text")
    assert "\x1b" not in shown


def test_a_place_past_the_end_of_the_text_is_shown_without_a_line():
    assert "|" not in render(findings(one(line=9, end_line=9)), "text")


def test_no_files_is_said_with_a_hint():
    text = render(findings(files=0), "text")
    assert text.startswith("0 files")
    assert "hint:" in text


def test_counts():
    warning = one(severity=Severity.WARNING, rule="missing-file")
    assert summary(findings(files=3)) == "3 files checked in 0.25 s: all good"
    assert (
        summary(findings(one(), one(rule="x"), warning, files=2))
        == "2 files checked in 0.25 s: 2 errors, 1 warning"
    )


def test_json_is_the_stable_document():
    assert json.loads(render(findings(one()), "json")) == {
        "files": 1,
        "errors": 1,
        "warnings": 0,
        "diagnostics": [
            {"path": "a.yaml", "line": 2, "column": 7, "end_line": 2, "end_column": 12, "severity": "error", "rule": "bad-value", "message": "no", "hint": "yes"}
        ],
    }  # fmt: skip


def test_github_annotations_are_escaped():
    found = one(path="a,b:c.yaml", message="50% of\nit", hint="a: b, c")
    line = render(findings(found), "github").split("\n")[0]
    assert (
        line
        == "::error file=a%2Cb%3Ac.yaml,line=2,endLine=2,col=7,endColumn=12,title=bad-value::50%25 of%0Ait%0Aa: b, c"
    )


def test_github_columns_are_left_out_of_ranges_over_lines():
    line = render(findings(one(end_line=3)), "github").split("\n")[0]
    assert line.startswith("::error file=a.yaml,line=2,endLine=3,title=")


@pytest.mark.parametrize(
    ("asked", "environ", "chosen"),
    [
        ("auto", {}, "text"),
        ("auto", {"GITHUB_ACTIONS": "true"}, "github"),
        ("text", {"GITHUB_ACTIONS": "true"}, "text"),
        ("json", {}, "json"),
    ],
)
def test_the_format_follows_the_place(asked, environ, chosen):
    assert choose_format(asked, environ) == chosen
