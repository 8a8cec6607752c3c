"""A project folder with jobs that have tests, and the settings to run them."""

from contextlib import contextmanager

import pytest

from runner.jobtests import samples, suite
from runner.jobtests.bench import Bench
from runner.jobtests.load import select_jobs
from runner.jobtests.suite import run_tests
from runner.settings import Settings

HEAD = """\
job_name: {name}
schedule_time: "@daily"
data_source:
  source_type: api
  location: https://api.example.com/orders
  response_format: {format}
consumer_emails: [analyst@example.com]
"""
SCRIPT = """\
processing_script: |
  print("rows:", len(data))
  result = data[data["amount"] > 100]
"""


class Project:
    """A folder of jobs. `write` gives a job its step and its tests."""

    def __init__(self, folder):
        self.folder = folder
        self.jobs = folder / "jobs.d"
        self.jobs.mkdir()
        self.settings = Settings(
            jobs_dir=self.jobs,
            storage_path=folder / "data" / "runner.db",
            sandbox="best-effort",
            max_concurrent_runs=2,
        )

    def write(self, tests="", *, name="orders", step=SCRIPT, kind="csv", file=None):
        path = self.jobs / (file or f"{name}.yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEAD.format(name=name, format=kind) + step + tests)
        return path

    def put(self, location, content):
        path = self.folder / location
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def select(self, *names, folder=None):
        return select_jobs(self.settings, names, folder=folder or self.folder)

    def run(self, *names, update=False):
        return run_tests(self.select(*names), self.settings, update=update)


@pytest.fixture
def project(tmp_path, tmp_path_factory, zygote, monkeypatch):
    """A project whose tests run in one zygote for all: starting one takes most of the time."""

    @contextmanager
    def open_bench(settings, *, workers):
        yield Bench(zygote=zygote, project_dir=settings.project_dir, folder=tmp_path_factory.mktemp("runs"))

    monkeypatch.setattr(suite, "open_bench", open_bench)
    monkeypatch.setattr(samples, "open_bench", open_bench)
    return Project(tmp_path)
