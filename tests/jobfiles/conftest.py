"""A project folder with jobs in it, and the shortest good job."""

import textwrap
from pathlib import Path

import pytest

from runner.core.job import JobDefaults
from runner.jobfiles.check import check_file
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
def check(project, write):
    """`check(extra)` → the CheckedFile of the minimal job with more keys; `check(text=…)` → of any text."""

    def call(extra: str = "", *, text: str | None = None):
        content = MINIMAL + textwrap.dedent(extra) if text is None else text
        path = write("jobs.d/sales.yaml", content)
        answer = read_job_file(path, "jobs.d/sales.yaml")
        assert isinstance(answer, JobFile)
        return check_file(answer, project_dir=project, defaults=JobDefaults()).file

    return call
