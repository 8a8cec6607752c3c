"""What `runner init` writes: good by our own checks and by those of the tools it is for."""

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
import yaml

from runner.cli import VERBS, main
from runner.core.job_defaults import JobDefaults
from runner.jobfiles.emptiness import is_empty_on_purpose
from runner.jobfiles.files import WorkingFiles
from runner.jobfiles.formats import Findings, render
from runner.jobfiles.paths import check_paths
from runner.scaffold import create_repository

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests" / "acceptance" / "jobfiles"
WORKFLOW = ".github/workflows/jobs.yaml"
MATCHER = ".github/runner-problem-matcher.json"
STATE = ("data/runner.db*", "data/runner.lock", "data/mail/", "data/runs/", "data/single-runs/")


@pytest.fixture
def repository(tmp_path):
    create_repository(tmp_path)
    return tmp_path


def environment():
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "PYTHONPATH") if name in os.environ}


@pytest.fixture
def runner(commands):
    return lambda *arguments, cwd: commands(*arguments, cwd=cwd, env=environment())


def tool(*arguments, cwd):
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_files_that_exist_are_kept(repository):
    (repository / ".gitignore").write_text("mine\n")
    (repository / MATCHER).unlink()
    again = create_repository(repository)
    assert again.written == (MATCHER,)
    assert ".gitignore" in again.kept
    assert (repository / ".gitignore").read_text() == "mine\n"


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "is_job"),
    [("sales.yaml", True), ("team/sales.yml", True), ("_defaults.yaml", False), ("a.md", False)],
)
def test_where_there_are_jobs_the_example_is_left_out(tmp_path, runner, name, is_job):
    (tmp_path / "jobs.d" / name).parent.mkdir(parents=True)
    (tmp_path / "jobs.d" / name).write_text("job_name: sales\n")
    done = runner("init", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "jobs.d" / "example.yaml").exists() is not is_job
    assert (tmp_path / "jobs.d" / "samples").exists() is not is_job
    assert ("left   jobs.d/example.yaml out (there are jobs already)" in done.stdout) is is_job
    assert ("runner run example" in done.stdout) is not is_job
    assert (tmp_path / "schemas" / "job.schema.json").exists()


def test_a_link_that_leads_nowhere_is_kept_and_not_written_through(tmp_path):
    folder = tmp_path / "reports"
    folder.mkdir()
    (folder / ".env.example").symlink_to(tmp_path / "elsewhere")
    assert ".env.example" in create_repository(folder).kept
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("kept", "lines"),
    [
        ("*.pyc\n", (".env", *STATE, ".venv/")),
        ("/data\n.env\n", (".venv/",)),
        (".venv\n/data/\n.env\r\n", ()),
        (".venv\n.env\n/data/runs\n" + "\n".join(STATE[:3]), (STATE[4],)),
    ],
)
def test_what_a_kept_gitignore_lets_into_git_is_said(tmp_path, runner, kept, lines):
    folder = tmp_path / "my reports"
    folder.mkdir()
    (folder / ".gitignore").write_text(kept)
    assert create_repository(folder).unignored == lines
    shown = runner("init", "my reports", cwd=tmp_path).stdout
    assert ("Add to my reports/.gitignore" in shown) == bool(lines)
    assert all(f"\n  {line}\n" in shown for line in lines)
    assert "Next:  cd 'my reports' && runner validate" in shown


@pytest.mark.parametrize(
    ("line", "is_wide"),
    [
        ("data", True),
        ("/data/", True),
        ("data/*", True),
        ("data/**", True),
        ("# data/", False),
        ("data/runs/", False),
    ],
)
def test_a_kept_gitignore_that_leaves_out_sources_too_is_said(tmp_path, runner, line, is_wide):
    (tmp_path / ".gitignore").write_text(f".env\n  {line}\r\n.venv\n")
    shown = runner("init", ".", cwd=tmp_path).stdout
    assert (f"In .gitignore the line {line} keeps sources in data/ out of git too" in shown) is is_wide
    assert all(f"\n  {name}\n" in shown for name in STATE if is_wide)
    assert ("Add to .gitignore" in shown) is not is_wide


@pytest.mark.parametrize("line", ["!data/orders.csv", "!/data/*.csv"])
def test_one_that_says_what_stays_of_the_sources_is_not_told_of(tmp_path, runner, line):
    (tmp_path / ".gitignore").write_text(f".env\n.venv\n/data/*\n{line}\n")
    shown = runner("init", ".", cwd=tmp_path).stdout
    assert "kept   .gitignore" in shown
    assert "out of git too" not in shown
    assert "Add to .gitignore" not in shown


@pytest.mark.parametrize("ignored", ["runner/scaffold/files/gitignore", ".gitignore"])
def test_git_takes_sources_beside_the_state_and_none_of_the_state(tmp_path, ignored):
    (tmp_path / ".gitignore").write_bytes((ROOT / ignored).read_bytes())
    sources = {"data/orders.csv", "data/2026/orders.csv", "data/shop.db"}
    database = {f"data/runner.db{ending}" for ending in ("", "-wal", "-shm", "-journal")}
    runs = {"data/runs/01m8/result.csv", "data/single-runs/01m8.lock", "data/mail/a.eml", "data/runner.lock"}
    for name in sources | database | runs | {".env"}:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a\n1\n")
    subprocess.run(["git", "init", "--quiet", "."], cwd=tmp_path, check=True)
    listed = ["git", "ls-files", "--others", "--exclude-standard"]
    taken = subprocess.run(listed, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert set(taken.stdout.split()) == {".gitignore", *sources}


def test_the_last_job_can_be_removed(repository):
    (repository / "jobs.d" / "example.yaml").unlink()
    assert is_empty_on_purpose(WorkingFiles(repository), str(repository / "jobs.d"))


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("validate", "--strict"), ""), (("fmt", "--check"), ""), (("test",), "1 passed")],
)
def test_the_example_passes_what_its_workflow_asks_for(repository, runner, arguments, words):
    done = runner(*arguments, cwd=repository)
    assert done.returncode == 0, done.stdout + done.stderr
    assert words in done.stdout


def test_the_schemas_are_those_that_are_shipped(repository):
    assert {path.name for path in (repository / "schemas").iterdir()} == {
        path.name for path in (ROOT / "schemas").iterdir()
    }
    example = (repository / "jobs.d" / "example.yaml").read_text()
    reference = re.match(r"# yaml-language-server: \$schema=(.*)\n", example)
    assert (repository / "jobs.d" / reference[1]).resolve().is_file()


@pytest.mark.long
def test_the_workflow_fits_the_schema_of_workflows(repository):
    arguments = ("--builtin-schema", "vendor.github-workflows", WORKFLOW)
    done = tool("-m", "check_jsonschema", *arguments, cwd=repository)
    assert done.returncode == 0, done.stdout


@pytest.mark.long
def test_the_hooks_are_what_pre_commit_takes(repository):
    assert tool("-m", "pre_commit", "validate-config", cwd=repository).returncode == 0
    assert tool("-m", "pre_commit", "validate-manifest", ROOT / ".pre-commit-hooks.yaml", cwd=ROOT).returncode == 0


def test_the_hooks_of_a_new_repository_are_those_that_this_one_offers(repository):
    config = yaml.safe_load((repository / ".pre-commit-config.yaml").read_text())
    ours = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    for hook in config["repos"][0]["hooks"]:
        assert hook.pop("additional_dependencies") == ["gitops-runner"]
        assert hook.items() <= ours[hook["id"]].items()


@pytest.mark.parametrize(
    ("path", "matches"),
    [
        ("jobs.d/sales.yaml", True),
        ("jobs.d/team/stock.yml", True),
        ("reports/jobs.d/sales.yaml", True),
        ("jobs.d/_defaults.yaml", False),
        ("jobs.d/.hidden.yaml", False),
        ("jobs.d/samples/sales.csv", False),
        (".github/workflows/jobs.yaml", False),
    ],
)
def test_the_formatter_gets_job_files_alone(path, matches):
    hooks = {hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())}
    assert bool(re.search(hooks["runner-fmt"]["files"], path)) is matches


def steps(repository):
    workflow = yaml.safe_load((repository / WORKFLOW).read_text())
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_every_verb_and_option_of_the_workflow_exists(repository):
    lines = [line for step in steps(repository) for line in step.get("run", "").splitlines()]
    called = [line.split() for line in lines if line.startswith("runner ")]
    assert {words[1] for words in called} == {"fmt", "validate", "test", "plan"} <= set(VERBS)
    for words in called:
        command = main.get_command(click.Context(main), words[1])
        known = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known


def test_the_workflow_asks_for_no_more_than_it_needs(repository):
    workflow = yaml.safe_load((repository / WORKFLOW).read_text())
    assert workflow["permissions"] == {"contents": "read"}
    assert "permissions" not in workflow["jobs"]["check"], "it runs the scripts of the pull request"
    assert workflow["jobs"]["plan"]["permissions"] == {"contents": "read", "pull-requests": "write"}
    # What others can choose never becomes a part of a script.
    assert not [step for step in steps(repository) if "${{" in step.get("run", "")]


def comment(repository, tmp_path, *, known):
    """What the step that comments asks of GitHub, when it has `known` for comments."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tmp_path / "plan.md").write_text("a plan")
    gh = tools / "gh"
    gh.write_text(f'#!/bin/sh\ncase "$*" in *--paginate*) printf "{known}";; *) echo "$*" >> calls;; esac\n')
    gh.chmod(0o755)
    text = next(step["run"] for step in steps(repository) if step.get("name") == "Comment")
    environ = {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "RUNNER_TEMP": ".",
        "COMMENTS": "repos/a/b/issues/1/comments",
    }
    subprocess.run(["bash", "-e", "-c", text], cwd=tmp_path, env=environ, check=True, timeout=20)
    return (tmp_path / "calls").read_text().splitlines()


def test_the_comment_is_made_once_and_then_kept_up_to_date(repository, tmp_path_factory):
    first = comment(repository, tmp_path_factory.mktemp("first"), known="")
    assert first == ["api --silent --method POST repos/a/b/issues/1/comments --field body=@./plan.md"]
    second = comment(repository, tmp_path_factory.mktemp("second"), known="https://api/1\\nhttps://api/2\\n")
    assert second == ["api --silent --method PATCH https://api/1 --field body=@./plan.md"]


def in_python(expression, lines):
    matches = [re.search(expression, line) for line in lines]
    return [match and list(match.groups()) for match in matches]


def in_javascript(expression, lines):
    if shutil.which("node") is None:
        pytest.skip("there is no node")
    program = (
        "const [e, lines] = JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(lines.map(l => { const m = new RegExp(e).exec(l); return m && m.slice(1); })))"
    )
    done = subprocess.run(
        ["node", "-e", program], input=json.dumps([expression, lines]), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def findings():
    """All that is found in the bad job files of the acceptance tests."""
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    found = check_paths([CASES / "bad"], jobs_dir=CASES / "jobs.d", folder=CASES, defaults=JobDefaults(), now=now)
    return Findings(
        files=tuple(file.path for file in found.files), diagnostics=found.diagnostics, texts=found.texts, seconds=0
    )


@pytest.mark.parametrize("format_name", ["gnu", "text"])
@pytest.mark.parametrize("search", [in_python, in_javascript])
def test_the_problem_matcher_reads_every_finding(repository, findings, search, format_name):
    [matcher] = json.loads((repository / MATCHER).read_text())["problemMatcher"]
    [pattern] = matcher["pattern"]
    groups = search(pattern["regexp"], render(findings, format_name).splitlines())
    read = [
        dict(zip(("file", "line", "column", "severity", "message", "code"), match, strict=True))
        for match in groups
        if match
    ]
    assert len(read) == len(findings.diagnostics) > 300
    for one, finding in zip(read, findings.diagnostics, strict=True):
        assert (one["file"], one["line"], one["severity"]) == (finding.path, str(finding.line), finding.severity)
        assert one["code"] == finding.rule
        assert int(one["column"]) >= finding.column or format_name == "gnu"
    assert [pattern[name] for name in ("file", "line", "column", "severity", "message", "code")] == [
        1,
        2,
        3,
        4,
        5,
        6,
    ]
