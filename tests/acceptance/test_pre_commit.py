"""The hooks of this repository, as pre-commit installs and runs them: a clone, an environment of its own, a real run."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
# What the wheel is built from, and the hooks themselves.
SOURCES = (
    *("runner", "jobs.d", "schemas", ".env.example"),
    *(".pre-commit-hooks.yaml", "LICENSE", "README.md", "pyproject.toml"),
)
JOB = """\
schedule_time: "0 9 * * 1-5"
job_name: sales
data_source:
  source_type: file
  location: sales.csv
  file_type: cvs
consumer_emails:
  - analyst@example.com
"""


def git(folder, *arguments):
    identity = ("-c", "user.name=Tester", "-c", "user.email=tester@example.com")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder):
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "all")


@pytest.fixture
def hooks(tmp_path):
    """A repository of the hooks, as the working tree has them: pre-commit sees what is committed alone.

    `try-repo` installs anew each time, which takes its time: so the job is mended by a hook between two of ours.
    It runs them in the order of their ids.
    """
    folder = tmp_path / "hooks"
    folder.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    manifest = folder / ".pre-commit-hooks.yaml"
    ours = yaml.safe_load(manifest.read_text(encoding="utf-8"))
    mend = {
        "id": "then-mend",
        "name": "mend",
        "entry": "sed -i s/cvs/csv/",
        "language": "system",
        "files": "jobs.d",
    }
    again = [{**hook, "id": f"then-try-{hook['id']}", "name": f"{hook['name']} again"} for hook in ours]
    manifest.write_text(yaml.safe_dump([*ours, mend, *again]), encoding="utf-8")
    commit(folder)
    return folder


@pytest.fixture
def jobs(tmp_path):
    """A repository with one job, which has a fault and is not in canonical form."""
    folder = tmp_path / "jobs"
    (folder / "jobs.d").mkdir(parents=True)
    (folder / "jobs.d" / "sales.yaml").write_text(JOB)
    (folder / "sales.csv").write_text("category,amount\na,1\n")
    commit(folder)
    return folder


@pytest.mark.long
@pytest.mark.timeout(320)
def test_a_bad_job_is_refused_with_its_place_and_a_mended_one_passes(hooks, jobs, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    # Without what pytest and coverage set, and without a path to the package under test.
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHONPATH", "COV_", "GIT_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "try-repo", str(hooks), "--all-files"],
        cwd=jobs,
        # To compile libraries of which little is used would take half of the time.
        env={**kept, "PRE_COMMIT_HOME": str(home), "TMPDIR": str(home), "PIP_NO_COMPILE": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    before, _, after = done.stdout.partition("- hook id: then-mend\n")
    assert results(before)["runner validate"] == "Failed"
    assert "jobs.d/sales.yaml:6:14: error: file_type cannot be 'cvs' [bad-value]" in before
    assert "Did you mean csv?" in before
    # The name comes first.
    assert results(before)["runner fmt"] == "Failed"
    assert "files were modified by this hook" in before
    assert results(after) == {"runner validate again": "Passed", "runner fmt again": "Passed"}, after


def results(output):
    """Name of a hook → how it ended."""
    return dict(re.findall(r"^([a-z ]+?)\.{3,}(Passed|Failed)$", output, re.MULTILINE))
