"""A project folder with jobs in it, and the shortest good job."""

import os
import subprocess
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.core.job_defaults import JobDefaults
from runner.jobfiles.check import build_checked, inspect_file
from runner.jobfiles.files import WorkingFiles
from runner.jobfiles.git.objects import ObjectStore
from runner.jobfiles.git.tree import CommitFiles
from runner.jobfiles.inspection import CheckContext
from runner.jobfiles.read import JobFile, read_job_file

MINIMAL = """\
job_name: sales
schedule_time: "0 9 * * 1-5"
data_source:
  source_type: file
  location: sales.csv
  file_type: csv
consumer_emails:
  - analyst@example.com
"""


@pytest.fixture
def minimal():
    return MINIMAL


@pytest.fixture
def project(tmp_path):
    """A project folder with `jobs.d/` and the data file of the minimal job."""
    (tmp_path / "jobs.d").mkdir()
    (tmp_path / "sales.csv").write_text("category,amount\na,1\n")
    return tmp_path


@pytest.fixture
def write(project):
    """`write("jobs.d/a.yaml", text)` → the path."""

    def call(name: str, text: str | bytes) -> Path:
        path = project / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return call


@pytest.fixture
def context(project):
    """How files of the project are checked, as of a fixed day."""
    return CheckContext(
        files=WorkingFiles(project), defaults=JobDefaults(), now=datetime(2026, 11, 23, 12, tzinfo=UTC)
    )


@pytest.fixture
def check(context, write):
    """`check(extra)` → the CheckedFile of the minimal job with more keys; `check(text=…)` → of any text."""

    def call(extra: str = "", *, text: str | None = None):
        content = MINIMAL + textwrap.dedent(extra) if text is None else text
        path = write("jobs.d/sales.yaml", content)
        answer = read_job_file(path, "jobs.d/sales.yaml")
        assert isinstance(answer, JobFile)
        return build_checked(inspect_file(answer, context), context)

    return call


class GitFolder:
    """A repository in a folder of its own."""

    def __init__(self, path):
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments):
        identity = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "protocol.file.allow=always")
        done = subprocess.run(
            ["git", *identity, "-C", self.path, *arguments], check=True, capture_output=True, timeout=30
        )
        return done.stdout.decode().strip()

    def write(self, name, content="1\n"):
        path = self.path / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def link(self, name, target):
        place = self.path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(target)

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-qm", "x", "--allow-empty")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path):
    return GitFolder(tmp_path / "repo")


@pytest.fixture
def store(repo):
    with ObjectStore(repo.path) as opened:
        yield opened


@pytest.fixture
def files(repo, store):
    """`files()` → the files of a new commit of everything."""

    def call(project=None) -> CommitFiles:
        folder = os.fspath(project or repo.path)
        return CommitFiles(store, repo.commit(), root=store.root, project_dir=folder)

    return call
