"""What is printed of strangers begins no command of a CI server."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from click.testing import CliRunner

from runner.cli import main
from runner.cli.streams import disarm_streams, verbatim_output

COMMAND = "##vso[task.setvariable variable=PATH]x"
FAILING = (
    f"job_name: cursed\nschedule_time: '@daily'\nconsumer_emails: [a@example.com]\ndescription: '{COMMAND}'\n"
    "data_source: {source_type: file, location: a.csv, file_type: csv}\n"
    "processing_script: |\n"
    f"  print('::add-mask::x')\n  print('{COMMAND}')\n"
    "  if len(data):\n    raise ValueError('first\\n  ::error file=a::hi')\n  result = data\n"
    "tests:\n  - {name: t, given: {data: [{a: 1}]}, expect: {row_count: 1}}\n"
)


@pytest.fixture
def cursed(project):
    """A job whose description, output and error are commands."""
    (project / "jobs.d" / "cursed.yaml").write_text(FAILING)
    (project / "a.csv").write_text("a\n1\n")
    return "cursed"


def is_obeyed(text):
    return any(line.lstrip().startswith("::") or "##vso[" in line for line in text.splitlines())


def test_a_test_that_fails_prints_no_command(call, cursed):
    printed = call("test", cursed).stdout
    assert ": :error file=a::hi" in printed
    assert ": :add-mask::x" in printed
    assert not is_obeyed(printed)


@pytest.mark.long
def test_machines_read_what_the_step_has_said(call, cursed):
    as_json = call("test", cursed, "--format", "json").stdout
    assert not is_obeyed(as_json)
    assert json.loads(as_json)["results"][0]["output"] == f"::add-mask::x\n{COMMAND}\n"
    as_junit = call("test", cursed, "--format", "junit").stdout
    assert not is_obeyed(as_junit)
    assert ET.fromstring(as_junit).findtext(".//system-out") == f"::add-mask::x\n{COMMAND}"


@pytest.mark.long
@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_run_prints_no_command(call, cursed, monkeypatch, log_format):
    monkeypatch.setenv("LOG_FORMAT", log_format)
    done = call("run", cursed, "--no-mail")
    assert done.exit_code == 1
    assert "# #vso[" in done.stdout
    assert not is_obeyed(done.output)


def test_documents_keep_the_value(call, cursed):
    for verb in (("list", "--json"), ("show", cursed, "--json")):
        printed = call(*verb).stdout
        assert not is_obeyed(printed), verb
        assert "\\u0023#vso[" in printed, verb


def test_formatting_changes_no_text(cursed, project):
    text = (project / "jobs.d" / f"{cursed}.yaml").read_text()
    assert COMMAND in CliRunner().invoke(main, ["fmt", "-"], input=text).stdout


def test_annotations_are_commands(call, project):
    (project / "jobs.d" / "bad.yaml").write_text("job_name: [\n")
    assert call("validate", "--format", "github").stdout.startswith("::error file=jobs.d/bad.yaml,")


def test_what_is_meant_to_be_obeyed_is(capsys, monkeypatch):
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, getattr(sys, name))
    assert verbatim_output() is sys.stdout
    disarm_streams()
    print("::error::x")
    verbatim_output().write("::error::y\n")
    print("  ::debug::z", file=sys.stderr)
    assert capsys.readouterr() == (": :error::x\n::error::y\n", "  : :debug::z\n")


def test_an_error_is_disarmed_in_a_locale_of_ascii_too(project):
    program = "from runner.cli import main; main(prog_name='runner')"
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, "show", COMMAND],
        cwd=project,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "# #vso[" in done.stderr.decode()
    assert not is_obeyed(done.stderr.decode())
