"""Every file of `jobfiles/good` passes; every file of `jobfiles/bad` gives the findings of its `.expected` file.

A line of an `.expected` file is the beginning of one finding: place, severity, rule, message and hint. Where the words
come from Python, DuckDB or email-validator, and change with their versions, the line ends with the rule.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.core.job import JobDefaults
from runner.jobfiles.paths import check_paths

CASES = Path(__file__).with_name("jobfiles")
GOOD = sorted((CASES / "good").glob("*.yaml"))
BAD = sorted((CASES / "bad").glob("*.yaml"))


def validate(*paths):
    return check_paths(paths, jobs_dir=CASES / "jobs.d", folder=CASES, defaults=JobDefaults())


def line_of(found, path):
    place = "" if found.path == path else f"{found.path}:"
    place += f"{found.line}:{found.column}-{found.end_line}:{found.end_column}"
    return f"{place} {found.severity} {found.rule}: {found.message} | {found.hint}"


def call(*arguments, cwd, **environ):
    program = [sys.executable, "-c", "from runner.cli import main; main()", *map(str, arguments)]
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "PYTHONPATH", "LANG"}}
    return subprocess.run(
        program, cwd=cwd, capture_output=True, text=True, timeout=60, env={**kept, **environ}, check=False
    )


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good(path):
    validation = validate(path)
    assert validation.diagnostics == ()
    assert validation.files[0].job is not None


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad(path):
    expected = path.with_suffix(".expected").read_text(encoding="utf-8").splitlines()
    started = time.perf_counter()
    validation = validate(path)
    assert time.perf_counter() - started < 2, "no file may hold up the others"
    lines = [line_of(found, f"bad/{path.name}") for found in validation.diagnostics]
    assert len(lines) == len(expected) >= 1, "\n".join(lines)
    for line, beginning in zip(lines, expected, strict=True):
        assert line.startswith(beginning)


def test_there_are_enough_cases():
    assert len(GOOD) >= 15
    assert len(BAD) >= 50


def test_the_command_checks_every_file_and_none_stops_the_others():
    done = call("validate", "bad", "--format", "json", cwd=CASES)
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert document["files"] == len(BAD)
    assert {found["path"] for found in document["diagnostics"]} >= {
        f"bad/{path.name}" for path in BAD if "_file_" not in path.name
    }


def test_the_command_passes_good_files():
    done = call("validate", *(path.relative_to(CASES) for path in GOOD[:1]), cwd=CASES)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 file checked in ")
    assert done.stdout.endswith("all good\n")


def test_exit_codes(tmp_path):
    assert call("validate", "nothing.yaml", cwd=tmp_path).returncode == 2
    assert call("validate", "--format", "yaml", cwd=tmp_path).returncode == 2
    missing = call("validate", cwd=tmp_path)
    assert (missing.returncode, "hint:" in missing.stderr) == (3, True)
    assert call("validate", cwd=tmp_path, TIMEZONE="Moon").returncode == 3
    (tmp_path / "jobs.d").mkdir()
    empty = call("validate", cwd=tmp_path)
    assert (empty.returncode, empty.stdout[:7]) == (0, "0 files")


def test_warnings_count_when_asked_for():
    warned = CASES / "bad" / "location_missing.yaml"
    assert call("validate", warned, cwd=CASES).returncode == 0
    assert call("validate", warned, "--strict", cwd=CASES).returncode == 1


def test_github_is_spoken_under_github():
    done = call("validate", "bad/unknown_key.yaml", cwd=CASES, GITHUB_ACTIONS="true")
    assert done.stdout.startswith(
        "::error file=bad/unknown_key.yaml,line=2,endLine=2,col=1,endColumn=13,title=unknown-key::"
    )


def test_validate_imports_only_what_it_uses():
    program = (
        "import sys\nfrom runner.cli import main\ntry:\n  main()\nexcept SystemExit:\n  pass\n"
        "print(sorted({'duckdb', 'jsonschema', 'email_validator', 'jmespath', 'pandas', 'croniter', 'subprocess', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "validate", "good/minimal.yaml"],
        cwd=CASES,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_schema_is_printed():
    done = call("schema", cwd=CASES)
    assert (done.returncode, json.loads(done.stdout)["title"]) == (0, "Job file")
