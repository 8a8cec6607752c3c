"""Every file of `jobfiles/good` passes; every file of `jobfiles/bad` gives the findings of its `.expected` file.

A line of an `.expected` file is the beginning of one finding: place, severity, rule, message and hint. Where the words
come from Python, DuckDB or email-validator, and change with their versions, the line ends with the rule.

`jobfiles/folders` are whole projects: a folder of jobs with its `_defaults.yaml` and `_policy.yaml`. Their `expected`
files hold all findings of the project, each with its path, then a line for every job that cannot be in force.
"""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.core.job_defaults import JobDefaults
from runner.jobfiles.paths import check_paths

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CASES = Path(__file__).with_name("jobfiles")
GOOD = sorted((CASES / "good").glob("*.yaml"))
BAD = sorted((CASES / "bad").glob("*.yaml"))
FOLDERS = sorted((CASES / "folders").iterdir())


def validate(*paths):
    return check_paths(paths, jobs_dir=CASES / "jobs.d", folder=CASES, defaults=JobDefaults(), now=NOW)


def validate_project(folder):
    return check_paths((), jobs_dir=folder / "jobs.d", folder=folder, defaults=JobDefaults(), now=NOW)


def line_of(found, path):
    place = "" if found.path == path else f"{found.path}:"
    place += f"{found.line}:{found.column}-{found.end_line}:{found.end_column}"
    return f"{place} {found.severity} {found.rule}: {found.message} | {found.hint}"


@pytest.fixture
def call(commands):
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "PYTHONPATH", "LANG"}}
    return lambda *arguments, cwd, **environ: commands(*arguments, cwd=cwd, env={**kept, **environ})


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.stem)
def test_good(path):
    validation = validate(path)
    assert validation.diagnostics == ()
    assert validation.files[0].good


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.stem)
def test_bad(path, cpu_seconds):
    expected = path.with_suffix(".expected").read_text(encoding="utf-8").splitlines()
    validation, seconds = cpu_seconds(validate, path)
    assert seconds < 2, "no file may hold up the others"
    lines = [line_of(found, f"bad/{path.name}") for found in validation.diagnostics]
    assert len(lines) == len(expected) >= 1, "\n".join(lines)
    for line, beginning in zip(lines, expected, strict=True):
        assert line.startswith(beginning)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_folder(folder):
    expected = (folder / "expected").read_text(encoding="utf-8").splitlines()
    validation = validate_project(folder)
    lines = [f"{found.path}:{line_of(found, found.path)}" for found in validation.diagnostics]
    lines += [f"{verdict.path} is not good" for verdict in validation.files if not verdict.good]
    assert len(lines) == len(expected), "\n".join(lines)
    for line, beginning in zip(lines, expected, strict=True):
        assert line.startswith(beginning)


def test_paths_that_differ_only_in_case(tmp_path):
    """Not a case of `jobfiles`: half of all file systems could not hold it."""
    minimal = (
        (CASES / "good" / "minimal.yaml").read_text(encoding="utf-8").replace("samples/", f"{CASES}/samples/")
    )
    for number, name in enumerate(
        ("sales.yaml", "Sales.yaml", "Team/stock.yaml", "team/Stock.yaml", "team/a.yaml")
    ):
        path = tmp_path / "jobs.d" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(minimal.replace("job_name: sales", f"job_name: job_{number}"))
    if len(list((tmp_path / "jobs.d").iterdir())) != 4:
        pytest.skip("this file system takes them for one")
    found = validate_project(tmp_path).diagnostics
    assert {(one.path, one.rule) for one in found} == {
        (f"jobs.d/{name}", "same-but-for-case")
        for name in ("sales.yaml", "Sales.yaml", "Team/stock.yaml", "team/Stock.yaml")
    }


def test_every_bad_file_says_what_is_expected_and_nothing_else_does():
    assert {path.with_suffix(".expected") for path in BAD} == set((CASES / "bad").glob("*.expected"))
    assert not [path for path in (CASES / "good").iterdir() if path.suffix != ".yaml"]


def test_there_are_enough_cases():
    assert len(GOOD) >= 60
    assert len(BAD) >= 160
    assert len(FOLDERS) >= 30


@pytest.mark.long
def test_the_command_checks_every_file_and_none_stops_the_others(call):
    done = call("validate", "bad", "--format", "json", cwd=CASES)
    document = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert document["files"] == len(BAD)
    assert {found["path"] for found in document["diagnostics"]} >= {
        f"bad/{path.name}" for path in BAD if "_file_" not in path.name
    }


@pytest.mark.long
def test_the_command_passes_good_files(call):
    done = call("validate", *(path.relative_to(CASES) for path in GOOD[:1]), cwd=CASES)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 file checked in ")
    assert done.stdout.endswith("all good\n")


@pytest.mark.long
def test_exit_codes(call, tmp_path):
    assert call("validate", "nothing.yaml", cwd=tmp_path).returncode == 2
    assert call("validate", "--format", "yaml", cwd=tmp_path).returncode == 2
    missing = call("validate", cwd=tmp_path)
    assert (missing.returncode, "hint:" in missing.stderr) == (3, True)
    assert call("validate", cwd=tmp_path, TIMEZONE="Moon").returncode == 3
    (tmp_path / "jobs.d").mkdir()
    empty = call("validate", cwd=tmp_path)
    assert (empty.returncode, empty.stdout[:7]) == (0, "0 files")
    (tmp_path / "jobs.d" / "_policy.yaml").write_text("max_timeout_seconds: 5\n")
    policy = call("validate", "jobs.d/_policy.yaml", cwd=tmp_path)
    assert (policy.returncode, policy.stdout[:15], policy.stdout[-9:]) == (0, "1 file checked ", "all good\n")


@pytest.mark.long
def test_warnings_count_when_asked_for(call):
    warned = CASES / "bad" / "location_missing.yaml"
    assert call("validate", warned, cwd=CASES).returncode == 0
    assert call("validate", warned, "--strict", cwd=CASES).returncode == 1


@pytest.mark.long
def test_github_is_spoken_under_github(call):
    done = call("validate", "bad/unknown_key.yaml", cwd=CASES, GITHUB_ACTIONS="true")
    assert done.stdout.startswith(
        "::error file=bad/unknown_key.yaml,line=2,endLine=2,col=1,endColumn=13,title=unknown-key::"
    )


@pytest.mark.long
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


def test_the_schema_is_printed(call):
    done = call("schema", cwd=CASES)
    assert (done.returncode, json.loads(done.stdout)["title"]) == (0, "Job file")
