"""Every format: its form, and that no foreign text breaks out of it."""

import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from runner import __version__
from runner.core.diagnostic import SECRET_RULE, Diagnostic, Severity
from runner.errors import RunnerError
from runner.jobfiles.formats import FORMATS, Findings, choose_format, render, summary, wants_colour
from runner.jobfiles.formats.output import write_output
from runner.jobfiles.rules import RULES

SARIF = Draft4Validator(
    json.loads((Path(__file__).parent / "foreign" / "sarif-schema-2.1.0.json").read_text("utf-8"))
)
GNU = re.compile(
    r"(?P<file>.*?):(\d+)\.(\d+)-(\d+)\.(\d+): (error|warning): (?P<message>.*) \[(?P<rule>[a-z0-9-]+)\]"
)
GITHUB = re.compile(
    r"::(error|warning) file=[^:,]+,line=\d+,endLine=\d+(,col=\d+,endColumn=\d+)?,title=[^:,]+::[^\n\r]*"
)
HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07",
    "%0A::error::x%0D%25",
    "\n::error file=x::y\r\n::set-output name=a::b",
    "]]> <![CDATA[ </failure> & ' \" <b>",
    "\0\x01\x0b\x7f\x85\x9b31m\ufffe\uffff",
    "\ud800 lone \udfff",
    "\u202egnp.exe\u2066\u2028\u2029",
    "[click](https://evil.example.com) {0} \\ {{",
    "${{ secrets.TOKEN }} `id` $(id)",
    "a:b, c;d=e",
)


def findings(*diagnostics, text="a: 1\ntag: [välue]\n", files=("a.yaml",), **more):
    return Findings(files=files, diagnostics=diagnostics, texts={"a.yaml": text}, seconds=0.25, **more)


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


def warning(**changes):
    return one(severity=Severity.WARNING, rule="missing-file", **changes)


def sarif(given):
    document = json.loads(render(given, "sarif"))
    SARIF.validate(document)
    return document["runs"][0]


def junit(given):
    return ET.fromstring(render(given, "junit").encode())


# All formats


@pytest.mark.parametrize(
    ("asked", "environ", "chosen"),
    [
        ("auto", {}, "text"),
        ("auto", {"GITHUB_ACTIONS": "true"}, "github"),
        ("auto", {"GITHUB_ACTIONS": "false"}, "text"),
        ("text", {"GITHUB_ACTIONS": "true"}, "text"),
        ("sarif", {"GITHUB_ACTIONS": "true"}, "sarif"),
    ],
)
def test_the_format_follows_the_place(asked, environ, chosen):
    assert choose_format(asked, environ) == chosen


@pytest.mark.parametrize(
    ("environ", "is_terminal", "coloured"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"FORCE_COLOR": ""}, False, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_colour_follows_the_place(environ, is_terminal, coloured):
    assert wants_colour(environ, is_terminal=is_terminal) is coloured


def test_an_unknown_format_is_no_text():
    with pytest.raises(ValueError, match="yaml"):
        render(findings(), "yaml")


def test_findings_are_sorted_and_each_once():
    given = findings(one(line=9, end_line=9), one(), warning(), one())
    assert [(found.line, found.rule) for found in given.diagnostics] == [
        (2, "bad-value"),
        (2, "missing-file"),
        (9, "bad-value"),
    ]


@pytest.mark.parametrize(
    ("diagnostics", "strict", "failed"),
    [((), True, False), ((warning(),), False, False), ((warning(),), True, True), ((one(),), False, True)],
)
def test_warnings_count_where_the_check_is_strict(diagnostics, strict, failed):
    assert findings(*diagnostics, strict=strict).failed is failed


def test_counts():
    assert summary(findings(files=("a", "b", "c"))) == "3 files checked in 0.25 s: all good"
    given = findings(one(), one(rule="x"), warning(), files=("a", "b"))
    assert summary(given) == "2 files checked in 0.25 s: 2 errors, 1 warning"


def check_form(given, name):
    """What must hold for the output of a format, whatever is in the findings."""
    output = render(given, name)
    assert output.isprintable() or set(filter(lambda character: not character.isprintable(), output)) == {"\n"}
    assert output.endswith("\n") or not output
    lines = output.splitlines()
    if name == "gnu":
        assert len(lines) == len(given.diagnostics)
        assert all(GNU.fullmatch(line) for line in lines)
    elif name == "github":
        assert len(lines) == len(given.diagnostics) + 1
        assert all(GITHUB.fullmatch(line) for line in lines[:-1])
        assert lines[-1] == summary(given)
    elif name == "junit":
        assert len(list(ET.fromstring(output.encode()).iter("testcase"))) == len(given.files)
    elif name == "json":
        assert len(json.loads(output)["diagnostics"]) == len(given.diagnostics)
    elif name == "sarif":
        document = json.loads(output)
        SARIF.validate(document)
        assert len(document["runs"][0]["results"]) == len(given.diagnostics)


@pytest.mark.parametrize("name", FORMATS[1:])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_foreign_text_breaks_out(name, text):
    found = one(path=text, message=text, hint=text, line=1, end_line=1)
    source = text.replace("\n", " ") + "\n"
    check_form(Findings(files=(text,), diagnostics=(found,), texts={text: source}, seconds=0.0), name)


TEXTS = st.text(st.characters(), min_size=1, max_size=20)
PLACES = st.integers(1, 12)


@pytest.mark.long
@pytest.mark.parametrize("name", FORMATS[1:])
@settings(max_examples=40)
@given(st.data())
def test_any_findings_have_a_form(name, data):
    paths = data.draw(st.lists(TEXTS, min_size=1, max_size=2, unique=True))
    found = data.draw(
        st.lists(
            st.builds(
                Diagnostic,
                path=st.sampled_from(paths),
                line=PLACES,
                column=PLACES,
                end_line=PLACES,
                end_column=PLACES,
                severity=st.sampled_from(Severity),
                rule=st.sampled_from([rule.name for rule in RULES]),
                message=TEXTS,
                hint=TEXTS | st.just(""),
            ),
            max_size=3,
        )
    )
    texts = {path: data.draw(TEXTS) for path in paths}
    check_form(Findings(files=tuple(paths), diagnostics=tuple(found), texts=texts, seconds=0.0), name)


# Text


def test_text_shows_the_place():
    assert render(findings(one()), "text") == (
        "a.yaml:2:7: error: no [bad-value]\n  2 | tag: [välue]\n    |       ^^^^^\n  hint: yes\n\n1 file checked in 0.25 s: 1 error\n"
    )


def test_colour_is_added_only_when_asked_for():
    plain, coloured = render(findings(one()), "text"), render(findings(one()), "text", colour=True)
    assert "\x1b" not in plain
    assert "\x1b[1;31m^^^^^\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


@pytest.mark.parametrize(
    ("line", "column", "end_column", "caret"),
    [
        ("漢字: x", 5, 6, "    |       ^"),
        ("x: 漢字", 4, 6, "    |    ^^^^"),
        ("a\tb", 3, 4, "    |   ^"),
        ("\t\tb", 3, 4, "    |   ^"),
        ("e\u0301: x", 5, 6, "    |    ^"),
        ("क\u0941: x", 5, 6, "    |    ^"),
        ("👍: x", 4, 5, "    |     ^"),
        ("a: x\r", 4, 9, "    |    ^"),
        ("a: x", 5, 6, "    |     ^"),
        ("a: x", 50, 60, "    |     ^"),
    ],
)
def test_carets_stand_below_wide_and_combining_characters(line, column, end_column, caret):
    text = render(findings(one(line=1, end_line=1, column=column, end_column=end_column), text=line), "text")
    assert text.split("\n")[2] == caret


def test_of_a_range_over_lines_the_first_is_marked():
    text = render(findings(one(line=1, column=1, end_line=3, end_column=2), text="abc: |\r\n  d\r\n"), "text")
    assert text.split("\n")[1:3] == ["  1 | abc: |", "    | ^^^^^^"]


@pytest.mark.parametrize(("before", "after"), [("x" * 5000, "y" * 5000), ("", "y" * 5000), ("x" * 5000, "")])
@pytest.mark.parametrize("part", ["abc", "漢字"])
@pytest.mark.parametrize("columns", [160, 80, 20])
def test_long_lines_are_cut_around_the_place(before, after, part, columns):
    column = len(before) + 1
    found = one(line=1, end_line=1, column=column, end_column=column + len(part))
    text = render(findings(found, text=before + part + after), "text", columns=columns)
    source, caret = text.split("\n")[1:3]
    shown = "".join(character * 2 if character in "漢字" else character for character in source)
    assert shown[caret.index("^") : caret.rindex("^") + 1] == "".join(
        character * 2 if character in "漢字" else character for character in part
    )
    assert len(shown) <= max(columns, 26)
    assert source.startswith("  1 | …") == bool(before)
    assert source.endswith("…") == bool(after)


def test_a_range_longer_than_the_line_shown_is_marked_as_far_as_it_is_seen():
    text = render(
        findings(one(line=1, end_line=1, column=1, end_column=5001), text="x" * 5000), "text", columns=80
    )
    source, caret = text.split("\n")[1:3]
    assert (len(source), source[-2:]) == (79, "x…")
    assert caret == "    | " + "^" * 72


def test_a_place_past_the_end_of_the_text_is_shown_without_a_line():
    assert "|" not in render(findings(one(line=9, end_line=9)), "text")
    assert "|" not in render(findings(one(path="other.yaml")), "text")
    assert "|" not in render(findings(one(), text="a: 1\n   \n"), "text")


def test_no_files_is_said_with_a_hint():
    text = render(findings(files=()), "text")
    assert text.startswith("0 files")
    assert "hint:" in text


def test_a_finding_without_a_job_file_is_still_shown():
    text = render(findings(one(path="jobs.d/_policy.yaml"), files=()), "text")
    assert text.startswith("jobs.d/_policy.yaml:2:7: error: no")
    assert text.endswith("0 files checked in 0.25 s: 1 error\n")


# JSON


def test_json_is_the_stable_document():
    assert json.loads(render(findings(one()), "json")) == {
        "files": 1,
        "errors": 1,
        "warnings": 0,
        "diagnostics": [
            {"path": "a.yaml", "line": 2, "column": 7, "end_line": 2, "end_column": 12, "severity": "error", "rule": "bad-value", "message": "no", "hint": "yes"}
        ],
    }  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_json_keeps_every_character(text):
    (found,) = json.loads(render(findings(one(message=text, hint=text, path=text)), "json"))["diagnostics"]
    assert (found["message"], found["hint"], found["path"]) == (text, text, text)


# GitHub


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


def test_github_keeps_more_than_the_ten_that_are_shown():
    found = [one(line=number, end_line=number) for number in range(1, 40)]
    assert render(findings(*found), "github").count("::error ") == 39


# GNU


@pytest.mark.parametrize(
    ("line", "place", "shown"),
    [
        ("key: [abc]", (1, 7, 1, 10), "1.7-1.9"),
        ("\tkey: x", (1, 2, 1, 5), "1.9-1.11"),
        ("abc\tx", (1, 5, 1, 6), "1.9-1.9"),
        ("漢字: x", (1, 5, 1, 6), "1.7-1.7"),
        ("漢字: x", (1, 1, 1, 3), "1.1-1.4"),
        ("e\u0301: x", (1, 5, 1, 6), "1.4-1.4"),
        ("a: |\n  漢x\n", (1, 4, 2, 5), "1.4-2.5"),
        ("a: |\n  xyz\nb: 1\n", (1, 1, 3, 1), "1.1-2.5"),
        ("a", (1, 5, 1, 6), "1.5-1.5"),
        ("a", (4, 2, 7, 1), "4.2-6.1"),
    ],
)
def test_gnu_places_are_those_of_a_screen(line, place, shown):
    found = one(**dict(zip(("line", "column", "end_line", "end_column"), place, strict=True)), hint="")
    assert render(findings(found, text=line), "gnu") == f"a.yaml:{shown}: error: no [bad-value]\n"


def test_gnu_tells_the_hint_in_the_same_line():
    assert render(findings(warning(message="it ends.")), "gnu").endswith("warning: it ends. yes [missing-file]\n")


def test_gnu_says_nothing_where_there_is_nothing():
    assert render(findings(), "gnu") == ""


# JUnit


def test_junit_has_a_test_for_every_file():
    given = findings(
        one(), one(rule="bad-key", line=1, end_line=1), one(path="steps/a.py"), files=("a.yaml", "b.yaml")
    )
    root = junit(given)
    assert root.attrib == {"name": "runner validate", "tests": "3", "failures": "2", "errors": "0", "skipped": "0", "time": "0.250"}  # fmt: skip
    tests = root.findall("./testsuite/testcase")
    assert [test.get("name") for test in tests] == ["a.yaml", "b.yaml", "steps/a.py"]
    assert {test.get("classname") for test in tests} == {"runner.validate"}
    (failure,) = tests[0]
    assert (failure.get("type"), failure.get("message")) == ("bad-key", "1:7: no (and 1 more)")
    assert failure.text == (
        "a.yaml:1:7: error: no [bad-key]\n  hint: yes\na.yaml:2:7: error: no [bad-value]\n  hint: yes"
    )
    assert list(tests[1]) == []


def test_junit_warnings_are_output_and_fail_where_the_check_is_strict():
    (test,) = junit(findings(warning())).iter("testcase")
    assert [(part.tag, part.text) for part in test] == [
        ("system-out", "a.yaml:2:7: warning: no [missing-file]\n  hint: yes")
    ]
    (test,) = junit(findings(warning(), strict=True)).iter("testcase")
    assert [part.tag for part in test] == ["failure"]


def test_junit_replaces_what_xml_cannot_hold():
    (failure,) = junit(findings(one(message="a\x1b[31m\0]]>\ud800ä", hint=""))).iter("failure")
    assert failure.text == "a.yaml:2:7: error: a\ufffd[31m\ufffd]]>\ufffdä [bad-value]"


# SARIF


def test_sarif_carries_the_catalogue():
    run = sarif(findings())
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("runner", __version__)
    assert [rule["id"] for rule in driver["rules"]] == [rule.name for rule in RULES]
    rule = next(rule for rule in driver["rules"] if rule["id"] == "unknown-key")
    assert rule["shortDescription"]["text"] == "A key is not known."
    assert rule["defaultConfiguration"]["level"] == "error"
    assert "```yaml\njob_name: daily_sales\n" in rule["help"]["markdown"]
    assert run["results"] == []
    assert run["invocations"] == [{"executionSuccessful": True, "exitCode": 0}]


def test_sarif_results():
    run = sarif(findings(one(), warning()))
    first, second = run["results"]
    assert run["columnKind"] == "unicodeCodePoints"
    assert run["invocations"][0]["exitCode"] == 1
    assert (first["ruleId"], first["level"], first["message"]) == ("bad-value", "error", {"text": "no. yes"})
    assert (second["ruleId"], second["level"]) == ("missing-file", "warning")
    for result in run["results"]:
        assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"] == {"uri": "a.yaml", "uriBaseId": "%SRCROOT%"}
    assert place["region"] == {"startLine": 2, "startColumn": 7, "endLine": 2, "endColumn": 12}
    assert "%SRCROOT%" in run["originalUriBaseIds"]


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("jobs.d/a b.yaml", {"uri": "jobs.d/a%20b.yaml", "uriBaseId": "%SRCROOT%"}),
        ("a:b#c?d%.yaml", {"uri": "a%3Ab%23c%3Fd%25.yaml", "uriBaseId": "%SRCROOT%"}),
        ("jobs.d/ä漢.yaml", {"uri": "jobs.d/%C3%A4%E6%BC%A2.yaml", "uriBaseId": "%SRCROOT%"}),
        ("/srv/jobs.d/a b.yaml", {"uri": "file:///srv/jobs.d/a%20b.yaml"}),
    ],
)
def test_sarif_addresses(path, location):
    (result,) = sarif(findings(one(path=path)))["results"]
    assert result["locations"][0]["physicalLocation"]["artifactLocation"] == location


def test_sarif_messages_hold_no_links_and_no_arguments():
    (result,) = sarif(findings(one(message="[a](https://x) {0} ${env:A}", hint="")))["results"]
    assert result["message"]["text"] == "[a] (https://x) {{0}} ${env:A}"


def prints(given):
    return [result["partialFingerprints"]["runnerFinding/v1"] for result in sarif(given)["results"]]


def test_sarif_fingerprints_stay_when_lines_move():
    before = prints(findings(one()))
    moved = prints(
        findings(one(line=4, end_line=4, message="other"), text="# new\n# new\na: 1\n  tag: [välue]  \n")
    )
    assert before == moved
    assert before != prints(findings(one(path="b.yaml")))
    assert before != prints(findings(one(), text="a: 1\ntag: [other]\n"))
    assert before != prints(findings(one(rule="bad-key")))


def test_sarif_fingerprints_tell_findings_of_one_line_apart():
    first, second = prints(findings(one(), one(column=9)))
    assert (first[:-1], first[-2:], second[-2:]) == (second[:-1], ":1", ":2")


# Into a file


def test_output_is_written_whole(tmp_path):
    path = tmp_path / "out.xml"
    path.write_text("before")
    write_output(path, "ä\n")
    assert path.read_text("utf-8") == "ä\n"
    assert [file.name for file in tmp_path.iterdir()] == ["out.xml"]


def test_output_follows_a_link(tmp_path):
    (tmp_path / "link").symlink_to("real")
    write_output(tmp_path / "link", "a\n")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "a\n"


def test_output_into_a_device_leaves_the_device():
    write_output(Path("/dev/null"), "a\n")
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize("name", ["none/out.xml", "file/out.xml", ".", "a\0b", "x" * 300])
def test_output_that_cannot_be_written_is_said(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunnerError) as caught:
        write_output(tmp_path / name, "a\n")
    assert "cannot be written" in caught.value.message
    assert caught.value.hint
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "auto"])
def test_no_format_shows_a_credential(name):
    text = "a: https://u:hunter2hunter2@h\nb: |\n  secret-one\n  secret-two\n"
    findings = Findings(
        files=("a.yaml",),
        diagnostics=(
            Diagnostic(path="a.yaml", line=1, column=14, end_line=1, end_column=28, rule=SECRET_RULE, message="x"),
            Diagnostic(path="a.yaml", line=1, column=1, end_line=1, end_column=2, rule="unknown-key", message="y"),
            Diagnostic(path="a.yaml", line=3, column=3, end_line=4, end_column=13, rule=SECRET_RULE, message="z"),
        ),
        texts={"a.yaml": text},
        seconds=0.1,
    )
    shown = render(findings, name)
    assert "hunter2" not in shown
    assert "secret-" not in shown
