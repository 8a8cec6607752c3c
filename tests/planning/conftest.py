"""A real repository of jobs, and plans of it."""

import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.planning.compare import compare_commits
from runner.settings import load_settings

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
JOB = """\
job_name: {name}
schedule_time: "{schedule}"
data_source:
  source_type: api
  location: https://api.example.com/{name}
consumer_emails:
  - {to}
{more}"""


class Jobs:
    """A git repository in a folder of its own, with a folder of jobs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def start(self):
        self.path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        return self

    def git(self, *arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "protocol.file.allow=always")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.path, check=True, capture_output=True, timeout=30
        )
        return done.stdout.decode().strip()

    def write(self, name, text):
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def job(self, name, *, path=None, schedule="0 9 * * *", to="a@example.com", more=""):
        text = JOB.format(name=name, schedule=schedule, to=to, more=more)
        self.write(path or f"jobs.d/{name}.yaml", text)

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")
        return self.git("rev-parse", "HEAD")

    def plan(self, base="main", **options):
        """The comparison, and that nothing of the repository was touched."""
        settings = load_settings(options.pop("env", {}), folder=options.pop("folder", self.path))
        return compare_commits(settings, base=base, now=NOW, environ=os.environ, **options)


@pytest.fixture
def jobs(tmp_path):
    return Jobs(tmp_path / "reports").start()


@pytest.fixture
def branch(jobs):
    """The repository with two jobs committed to main, on a branch of its own."""
    jobs.job("one")
    jobs.job("two", more="owner: owner@example.com\n")
    jobs.commit()
    jobs.git("checkout", "-qb", "change")
    return jobs


@pytest.fixture
def clone(tmp_path):
    """`clone(jobs, …)` → a clone of it over file://, with these options."""

    def call(jobs, *options):
        target = tmp_path / f"clone{len(options)}"
        command = ["git", "clone", "-q", *options, f"file://{jobs.path}", target]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        return Jobs(target)

    return call
