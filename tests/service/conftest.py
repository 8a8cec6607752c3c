"""A store, a desk and a clock that tests turn by hand; runs are carried out by an executor that tests release."""

import itertools
import threading
import time
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from runner.core.job import Job
from runner.core.run import RunOrder, RunOutcome, RunState
from runner.core.source import DataSource, FileType, SourceType
from runner.service.intake import Intake
from runner.service.runs import RunDesk
from runner.settings import load_settings
from runner.store.store import Store

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


class HandClock:
    """The time, as the test sets it."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, **amount: float) -> datetime:
        self.now += timedelta(**amount)
        return self.now


class HandExecutor:
    """Meets the Executor Protocol; an order ends when the test says so."""

    def __init__(self) -> None:
        self.orders: dict[str, RunOrder] = {}
        self.futures: dict[str, Future] = {}
        self.lock = threading.Lock()
        self.on_begin = None

    def submit(self, order: RunOrder) -> Future:
        self.orders[order.run_id] = order
        self.futures[order.run_id] = Future()
        self.on_begin(order)
        return self.futures[order.run_id]

    def end(self, run_id: str, state: RunState = RunState.SUCCEEDED, **values) -> None:
        order = self.orders.pop(run_id)
        moment = order.scheduled_time
        if state is RunState.SUCCEEDED and not values:
            (Path(order.run_dir) / "result.csv").write_text("a\n1\n")
            values = {"rows_in": 1, "rows_out": 1, "result_file": "result.csv", "result_bytes": 4}
        self.futures.pop(run_id).set_result(
            RunOutcome(run_id=run_id, state=state, started_at=moment, finished_at=moment, **values)
        )

    def cancel(self, run_id: str) -> bool:
        if run_id not in self.orders:
            return False
        self.end(run_id, RunState.CANCELLED)
        return True

    def shutdown(self, *, grace_seconds: float) -> tuple[str, ...]:
        cancelled = tuple(self.orders)
        for run_id in cancelled:
            self.cancel(run_id)
        return cancelled


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def executor():
    return HandExecutor()


@pytest.fixture
def settings(tmp_path):
    return load_settings({"MAX_CONCURRENT_RUNS": "100"}, folder=tmp_path)


@pytest.fixture
def store(settings):
    with Store.open(settings.storage_path) as opened:
        yield opened


@pytest.fixture
def make_desk(settings, store, executor, clock):
    numbers = itertools.count(1)

    def make(**changes):
        values = {
            "settings": settings,
            "store": store,
            "executor": executor,
            "clock": clock,
            "monotonic": lambda: clock.now.timestamp(),  # noqa: PLW0108 - the clock moves
            "random": lambda: 1.0,
            "entropy": lambda _bits: next(numbers),
            "on_change": lambda _run: None,
        }
        desk = RunDesk(**{**values, **changes})
        executor.on_begin = lambda order: desk.prepare(order, threading.Event())
        return desk

    return make


@pytest.fixture
def desk(make_desk):
    return make_desk()


@pytest.fixture
def make_job():
    def make(job_name="report", **changes) -> Job:
        values = {
            "schedule_time": "0 * * * *",
            "timezone": "UTC",
            "data_source": DataSource(source_type=SourceType.FILE, location="a.csv", format=FileType.CSV),
            "consumer_emails": ("analyst@example.com",),
            "path": f"jobs.d/{job_name}.yaml",
        }
        return Job(job_name=job_name, **{**values, **changes})

    return make


@pytest.fixture
def wait_until():
    def wait(condition, seconds=20):
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "waited in vain"
            time.sleep(0.02)

    return wait


@pytest.fixture
def take_in(store):
    """An Intake over a desk and jobs (name → Job); their folder is as it was read."""

    def make(desk: RunDesk, jobs: dict[str, Job]) -> Intake:
        return Intake(store=store, desk=desk, jobs=lambda: jobs, refresh=lambda: 0, refreshed=lambda _number: True)

    return make
