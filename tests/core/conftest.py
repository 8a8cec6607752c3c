import importlib.util
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.core.job import Job
from runner.core.run import Run, RunState, Trigger
from runner.core.source import DataSource, FileType, SourceType

TESTS = Path(__file__).parents[1]


def load_module(path):
    spec = importlib.util.spec_from_file_location(f"{path.parent.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def oracle():
    """The project's brute-force cron oracle."""
    return load_module(TESTS / "oracles" / "cron_oracle.py")


@pytest.fixture(scope="session")
def shared_oracle():
    """A second oracle, of another hand, in a folder that may lie beside the repository."""
    path = TESTS.parents[1] / "shared" / "oracles" / "cron_oracle.py"
    if not path.is_file():
        pytest.skip("no second oracle beside the repository")
    return load_module(path)


@pytest.fixture
def make_job():
    """A valid Job, with what the test says in place of the defaults."""

    def make(job_name="daily", **changes):
        values = {
            "job_name": job_name,
            "schedule_time": "0 6 * * *",
            "timezone": "UTC",
            "data_source": DataSource(source_type=SourceType.FILE, location="data/sales.csv", format=FileType.CSV),
            "consumer_emails": ("team@example.com",),
            "path": f"jobs.d/{job_name}.yaml",
            "digest": f"digest of {job_name}",
        }
        return Job(**{**values, **changes})

    return make


@pytest.fixture
def make_run():
    """A Run that succeeded, with what the test says in place of the defaults."""

    def make(**changes):
        scheduled = datetime(2025, 11, 9, 13, tzinfo=UTC)
        values = {
            "run_id": "01jc8r1v9k0000000000000000",
            "job_name": "daily",
            "trigger": Trigger.SCHEDULE,
            "scheduled_time": scheduled,
            "state": RunState.SUCCEEDED,
            "queued_at": scheduled,
            "started_at": scheduled + timedelta(seconds=1),
            "finished_at": scheduled + timedelta(seconds=3.5),
            "rows_in": 18_204,
            "rows_out": 12,
        }
        return Run(**{**values, **changes})

    return make
