from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from runner.core.job import ConcurrencyPolicy, Job
from runner.core.run import Trigger
from runner.core.run_queue import RunQueue
from runner.core.source import DataSource, FileType, SourceType

ALLOW = ConcurrencyPolicy.ALLOW


@pytest.fixture
def add(make_job, make_run):
    def put(queue, run_id, job_name="a", *, policy=ConcurrencyPolicy.FORBID, trigger=Trigger.SCHEDULE, **values):
        job = make_job(job_name, concurrency_policy=policy)
        queue.add(make_run(run_id=run_id, job_name=job_name, trigger=trigger), job, **values)

    return put


def taken(queue, now=0.0):
    return [run.run_id for run, _ in queue.take(now)]


def test_no_more_runs_than_slots(add):
    queue = RunQueue(2)
    for name in "abc":
        add(queue, f"{name}1", name)
    assert taken(queue) == ["a1", "b1"]
    assert taken(queue) == []
    assert queue.end("b1")
    assert taken(queue) == ["c1"]
    assert (queue.begun_count(), len(queue)) == (2, 2)


def test_jobs_take_turns_so_that_a_backlog_starves_nobody(add):
    queue = RunQueue(1)
    for number in range(100):
        add(queue, f"long{number}", "long", policy=ALLOW)
    add(queue, "short0", "short")
    order = []
    for _ in range(3):
        (run_id,) = taken(queue)
        order.append(run_id)
        queue.end(run_id)
    assert order == ["long0", "short0", "long1"]


def test_runs_of_one_job_wait_for_each_other_unless_it_allows_overlap(add):
    queue = RunQueue(9)
    for number in (1, 2):
        add(queue, f"alone{number}", "alone")
        add(queue, f"free{number}", "free", policy=ALLOW)
    assert sorted(taken(queue)) == ["alone1", "free1", "free2"]
    queue.end("alone1")
    assert taken(queue) == ["alone2"]


def test_what_is_caught_up_by_hand_comes_after_what_is_due(add):
    queue = RunQueue(1)
    for number in range(3):
        add(queue, f"old{number}", trigger=Trigger.BACKFILL)
    assert taken(queue) == ["old0"]
    add(queue, "due")
    queue.end("old0")
    assert taken(queue) == ["due"]
    queue.end("due")
    assert taken(queue) == ["old1"]


def test_a_run_that_waits_for_its_next_attempt_holds_up_no_other(add):
    queue = RunQueue(1)
    add(queue, "failed", not_before=10.0)
    add(queue, "other")
    assert queue.next_time() == 10.0
    assert taken(queue, 9.9) == ["other"]
    add(queue, "third")
    queue.end("other")
    assert taken(queue, 10.0) == ["failed"], "it has waited longest"
    assert queue.next_time() is None


def test_a_dropped_run_never_begins(add):
    queue = RunQueue(1)
    add(queue, "later", not_before=5.0)
    add(queue, "now")
    assert queue.end("later")
    assert queue.end("now")
    assert not queue.end("now")
    assert queue.next_time() is None
    assert taken(queue, 9.0) == []
    assert len(queue) == 0


def test_a_change_of_the_job_is_for_what_has_not_begun(add, make_job):
    queue = RunQueue(1)
    add(queue, "first")
    add(queue, "second")
    queue.take(0.0)
    queue.change_job(make_job("a", description="new"))
    assert [queue.find(run_id)[1].description for run_id in ("first", "second")] == ["", "new"]


def test_a_newer_value_of_a_run_is_kept(add):
    queue = RunQueue(1)
    add(queue, "one")
    run, _ = queue.find("one")
    queue.update(replace(run, note="changed"))
    assert queue.of_job("a") == (replace(run, note="changed"),)
    assert queue.find("nobody") is None


def _job(name, policy):
    source = DataSource(source_type=SourceType.FILE, location="a.csv", format=FileType.CSV)
    return Job(
        job_name=name,
        timezone="UTC",
        data_source=source,
        consumer_emails=("a@example.com",),
        concurrency_policy=policy,
    )


JOBS = (_job("alone", ConcurrencyPolicy.FORBID), _job("newest", ConcurrencyPolicy.REPLACE), _job("free", ALLOW))
SLOTS = 3


class Runs(RuleBasedStateMachine):
    """Whatever is added, ended and dropped: bounds and order hold, and nothing is forgotten."""

    def __init__(self):
        super().__init__()
        self.queue = RunQueue(SLOTS)
        self.waiting, self.begun = {}, {}
        self.now, self.number = 0.0, 0

    @rule(job=st.sampled_from(JOBS), delay=st.sampled_from([None, None, 1.0, 5.0]), old=st.booleans())
    def add(self, job, delay, old):
        self.number += 1
        run = _run(f"{self.number:04}", job.job_name, Trigger.BACKFILL if old else Trigger.SCHEDULE)
        due = None if delay is None else self.now + delay
        self.queue.add(run, job, not_before=due)
        self.waiting[run.run_id] = (run, job, due or 0.0)

    @rule(seconds=st.sampled_from([0.0, 0.5, 4.0]))
    def take(self, seconds):
        self.now += seconds
        for run, job in self.queue.take(self.now):
            _, _, due = self.waiting.pop(run.run_id)
            assert due <= self.now
            if job.concurrency_policy is not ALLOW:
                assert job.job_name not in [other.job_name for other, _ in self.begun.values()]
            self.begun[run.run_id] = (run, job)
        if len(self.begun) < SLOTS:
            busy = {run.job_name for run, _ in self.begun.values()}
            ready = [
                run_id
                for run_id, (run, job, due) in self.waiting.items()
                if due <= self.now and (job.concurrency_policy is ALLOW or run.job_name not in busy)
            ]
            assert ready == [], "a free slot is never left while a run may begin"

    @precondition(lambda self: self.begun or self.waiting)
    @rule(data=st.data())
    def end(self, data):
        run_id = data.draw(st.sampled_from(sorted({*self.begun, *self.waiting})))
        assert self.queue.end(run_id)
        self.begun.pop(run_id, None)
        self.waiting.pop(run_id, None)

    @invariant()
    def agrees(self):
        assert self.queue.begun_count() == len(self.begun) <= SLOTS
        assert set(self.queue.run_ids()) == {*self.begun, *self.waiting}
        counts = Counter(run.job_name for run, *_ in (*self.begun.values(), *self.waiting.values()))
        assert {name: len(self.queue.of_job(name)) for name in self.queue.job_names()} == counts


def _run(run_id, job_name, trigger):
    from datetime import UTC, datetime

    from runner.core.run import Run, RunState

    noon = datetime(2025, 6, 1, 12, tzinfo=UTC)
    return Run(
        run_id=run_id,
        job_name=job_name,
        trigger=trigger,
        scheduled_time=noon,
        queued_at=noon,
        state=RunState.QUEUED,
    )


Runs.TestCase.settings = settings(stateful_step_count=30)
TestRuns = Runs.TestCase
