"""Stores on a real disk, and the values that go into them."""

from datetime import UTC, datetime, timedelta

import pytest

from runner.core.delivery import Mail, MailKind
from runner.core.run import Run, RunState, Trigger
from runner.store import Store

NOON = datetime(2025, 11, 9, 12, 0, tzinfo=UTC)


@pytest.fixture
def noon():
    return NOON


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "runner.db"


@pytest.fixture
def store(path):
    with Store.open(path) as opened:
        yield opened


@pytest.fixture
def make_run():
    def make(number=1, *, job_name="daily_report", fire_key=None, state=RunState.QUEUED, **changes):
        at = NOON + timedelta(minutes=number)
        values = {
            "run_id": f"run{number:05d}",
            "job_name": job_name,
            "trigger": Trigger.SCHEDULE,
            "scheduled_time": at,
            "state": state,
            "fire_key": fire_key,
            "queued_at": at,
        }
        return Run(**{**values, **changes})

    return make


@pytest.fixture
def make_mail():
    def make(run, *recipients, kind=MailKind.RESULTS, message=b"Subject: x\r\n\r\nbody\r\n"):
        return Mail(
            run_id=run.run_id,
            kind=kind,
            message_id=f"<{run.run_id}.{kind}@example.com>",
            sender="runner@example.com",
            recipients=recipients or ("ann@example.com",),
            subject="Job Results: daily_report",
            message=message,
        )

    return make
