import threading
from datetime import UTC, datetime

import pytest

from runner.core.job import Job
from runner.core.run import FailureKind, RunOrder, RunOutcome, RunState
from runner.core.source import DataSource, FileType, SourceType
from runner.errors import ExecutionError, ThreadError
from runner.execution.executors import LocalExecutor

NOW = datetime(2025, 11, 9, tzinfo=UTC)
JOB = Job(
    job_name="sales",
    schedule_time="@daily",
    timezone="UTC",
    data_source=DataSource(source_type=SourceType.FILE, location="x.csv", format=FileType.CSV),
    consumer_emails=("a@example.com",),
)


def order(run_id):
    return RunOrder(run_id=run_id, job=JOB, attempt=1, scheduled_time=NOW, project_dir="/p", run_dir="/r")


class Work:
    """An `execute` that waits until it is let go or cancelled, and notes what it did."""

    def __init__(self):
        self.go = threading.Event()
        self.began = threading.Event()
        self.started = []

    def __call__(self, order, cancelled):
        self.started.append(order.run_id)
        self.began.set()
        while not self.go.wait(0.005) and not cancelled.is_set():
            pass
        state = RunState.CANCELLED if cancelled.is_set() else RunState.SUCCEEDED
        return RunOutcome(run_id=order.run_id, state=state, started_at=NOW, finished_at=NOW)


@pytest.fixture
def work():
    return Work()


@pytest.fixture
def executor(work):
    executor = LocalExecutor(work, max_workers=1, clock=lambda: NOW)
    yield executor
    work.go.set()
    executor.shutdown(grace_seconds=5)


def test_orders_are_carried_out(executor, work):
    work.go.set()
    futures = [executor.submit(order(str(number))) for number in range(5)]
    assert [future.result(5).run_id for future in futures] == list("01234")
    assert {future.result().state for future in futures} == {RunState.SUCCEEDED}


def test_a_waiting_run_that_is_cancelled_never_starts(executor, work):
    first, second = executor.submit(order("1")), executor.submit(order("2"))
    assert work.began.wait(5)
    assert executor.cancel("2")
    outcome = second.result(0)
    assert (outcome.state, outcome.failure.kind) == (RunState.CANCELLED, FailureKind.CANCELLED)
    work.go.set()
    first.result(5)
    executor.shutdown(grace_seconds=5)
    assert work.started == ["1"]


def test_a_running_run_is_asked_to_stop(executor, work):
    future = executor.submit(order("1"))
    assert work.began.wait(5)
    assert executor.cancel("1")
    assert future.result(5).state is RunState.CANCELLED
    assert not executor.cancel("unknown")


def test_an_error_of_ours_is_an_outcome(caplog):
    def fail(order, cancelled):
        raise RuntimeError("boom")

    executor = LocalExecutor(fail, max_workers=1, clock=lambda: NOW)
    outcome = executor.submit(order("1")).result(5)
    executor.shutdown(grace_seconds=5)
    assert (outcome.state, outcome.failure.kind) == (RunState.FAILED, FailureKind.INTERNAL)
    assert "RuntimeError: boom" in outcome.failure.message
    assert "Traceback" in caplog.text


def test_shutdown_waits_then_cancels_and_tells(executor, work):
    told = []
    futures = [executor.submit(order(str(number))) for number in range(3)]
    for future in futures:
        future.add_done_callback(lambda done: told.append(done.result().run_id))
    assert work.began.wait(5)
    assert sorted(executor.shutdown(grace_seconds=0.05)) == ["0", "1", "2"]
    assert {future.result(0).state for future in futures} == {RunState.CANCELLED}
    assert sorted(told) == ["0", "1", "2"]
    with pytest.raises(ExecutionError):
        executor.submit(order("9"))


def test_shutdown_lets_the_running_one_finish(executor, work):
    future = executor.submit(order("1"))
    assert work.began.wait(5)
    threading.Timer(0.05, work.go.set).start()
    assert executor.shutdown(grace_seconds=5) == ()
    assert future.result(0).state is RunState.SUCCEEDED


def test_where_no_thread_can_be_started_it_says_so(use_up_threads):
    use_up_threads()
    with pytest.raises(ThreadError, match="no other thread can be started") as caught:
        LocalExecutor(Work(), max_workers=2, clock=lambda: NOW)
    assert "ulimit -u" in caught.value.hint
