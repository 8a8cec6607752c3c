"""`runner validate` as a user types it: options, files written, colour, exit codes."""

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import xml.etree.ElementTree as ET

import click
import pytest

from runner.cli.validate import command
from runner.jobfiles.formats import FORMATS
from runner.jobfiles.rules import find_rule

PROGRAM = [sys.executable, "-c", "from runner.cli import main; main()"]
GOOD = find_rule("yaml-syntax").good


def environment(**more):
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "PYTHONPATH", "LANG"}}
    return {**kept, **more}


@pytest.fixture
def call(tmp_path, commands):
    """`call("--strict", NO_COLOR="1")` → the finished command in a project whose data file is not there yet."""
    (tmp_path / "jobs.d").mkdir()
    (tmp_path / "jobs.d" / "sales.yaml").write_text(GOOD)

    def run(*arguments, **more):
        return commands("validate", *arguments, cwd=tmp_path, env=environment(**more))

    return run


def break_job(tmp_path):
    (tmp_path / "jobs.d" / "sales.yaml").write_text(GOOD.replace("schedule_time", "shedule_time"))


def test_the_formats_are_those_that_there_are():
    (option,) = [one for one in command.params if one.name == "format_name"]
    assert isinstance(option.type, click.Choice)
    assert tuple(option.type.choices) == FORMATS


@pytest.mark.parametrize("name", ["junit", "sarif", "json", "gnu", "github", "text"])
def test_output_goes_into_the_file_and_the_counts_to_the_terminal(call, tmp_path, name):
    break_job(tmp_path)
    done = call("--format", name, "--output", "report.out")
    assert (done.returncode, done.stderr) == (1, "")
    assert re.fullmatch(
        r"1 file checked in \d+\.\d\d s: 1 error, 1 warning; written to report\.out\n", done.stdout
    )
    content = (tmp_path / "report.out").read_text(encoding="utf-8")
    assert "shedule_time" in content
    assert "\x1b" not in content
    assert sorted(file.name for file in tmp_path.iterdir()) == ["jobs.d", "report.out"]
    if name == "junit":
        assert ET.fromstring(content.encode()).get("failures") == "1"
    elif name in {"json", "sarif"}:
        json.loads(content)


def test_auto_is_also_what_is_written(call, tmp_path):
    done = call("--output", "out.txt", GITHUB_ACTIONS="true")
    assert done.returncode == 0
    assert (tmp_path / "out.txt").read_text().startswith("::warning file=jobs.d/sales.yaml,")


def test_a_dash_is_standard_output(call, tmp_path):
    done = call("--format", "json", "--output", "-")
    assert json.loads(done.stdout)["warnings"] == 1
    assert [file.name for file in tmp_path.iterdir()] == ["jobs.d"]


def test_standard_output_can_be_named(call):
    done = call("--format", "gnu", "--output", "/dev/stdout")
    first, second = done.stdout.splitlines()
    assert first.startswith("jobs.d/sales.yaml:5.13-5.26: warning:")
    assert second.endswith("written to /dev/stdout")


def test_output_that_cannot_be_written_is_exit_code_three(call):
    done = call("--output", "none/out.txt")
    assert done.returncode == 3
    assert "none/out.txt cannot be written" in done.stderr
    assert "hint:" in done.stderr


@pytest.mark.long
def test_strict_counts_warnings_in_every_format(call):
    assert call().returncode == 0
    done = call("--strict", "--format", "junit")
    assert done.returncode == 1
    assert ET.fromstring(done.stdout.encode()).get("failures") == "1"


@pytest.mark.long
@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_a_pipe_is_plain_unless_colour_is_forced(call, environ, coloured):
    assert ("\x1b[" in call(**environ).stdout) is coloured
    assert "\x1b" not in call("--format", "gnu", **environ).stdout


def on_terminal(folder, *arguments, **more):
    """What a command shows on a terminal of 60 columns."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    process = subprocess.Popen(
        [*PROGRAM, "validate", *arguments], cwd=folder, stdout=follower, env=environment(TERM="xterm", **more)
    )
    os.close(follower)
    shown = b""
    try:
        while piece := os.read(leader, 4096):
            shown += piece
    except OSError:  # the other side is closed: how a terminal ends on Linux
        pass
    os.close(leader)
    assert process.wait(timeout=60) == 0
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.long
def test_a_terminal_has_colour_and_snippets_of_its_width(call, tmp_path):
    long = GOOD.replace("data/sales.csv", "data/" + "long_" * 40 + ".csv")
    (tmp_path / "jobs.d" / "sales.yaml").write_text(long)
    shown = on_terminal(tmp_path)
    assert "\x1b[1;33mwarning:\x1b[0m" in shown
    assert "\x1b" not in on_terminal(tmp_path, NO_COLOR="1")
    snippet = [
        line for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).split("\n") if line.startswith("  ") and "|" in line
    ]
    assert len(snippet) == 2
    assert all(len(line) <= 60 for line in snippet)


def test_explain_tells_a_rule_and_checks_nothing(call, tmp_path):
    break_job(tmp_path)
    done = call("--explain", "unknown-key", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("unknown-key (error)\n\nA key is not known.\n")
    rule = find_rule("unknown-key")
    for title, example in (("Wrong:", rule.bad), ("Right:", rule.good)):
        assert f"{title}\n" + "".join(f"  {line}\n" for line in example.splitlines()) in done.stdout
    assert "\x1b" not in done.stdout


def test_explain_says_why_a_rule_has_no_example(call):
    done = call("--explain", "not-utf8")
    assert "No example: bytes that are not UTF-8" in done.stdout
    assert "Wrong:" not in done.stdout


def test_explain_of_an_unknown_rule_names_the_nearest(call):
    done = call("--explain", "unknwon-key")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no rule 'unknwon-key'" in done.stderr
    assert "Did you mean unknown-key?" in done.stderr


@pytest.mark.long
@pytest.mark.parametrize("name", ["text", "json", "gnu"])
def test_plain_formats_import_nothing_they_do_not_need(tmp_path, call, name):
    program = (
        "import sys\nfrom runner.cli import main\ntry:\n  main()\nexcept SystemExit:\n  pass\n"
        "sys.stderr.write(' '.join(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "validate", "--format", name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        check=True,
    )
    loaded = set(done.stderr.split())
    assert not {"rich", "xml.etree.ElementTree", "runner.jobfiles.rules", "urllib.request"} & loaded
