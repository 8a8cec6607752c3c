"""A model of runs and deliveries beside the real store: any order of events, with restarts in between."""

import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from runner.core.delivery import DeliveryAttempt, DeliveryState, Mail, MailKind, SendResult
from runner.core.run import Attempt, FailureKind, FollowingRun, Run, RunFailure, RunState, Trigger
from runner.errors import StoreError
from runner.store import Store

START = datetime(2025, 11, 9, 12, tzinfo=UTC)
JOBS = st.sampled_from(["one", "two"])
NUMBERS = st.integers(0, 5)


class LifeCycle(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.store = Store.open(self.folder / "runner.db")
        self.now = START
        self.states = {}
        self.fires = set()
        self.deliveries = {}
        self.attempts = {}
        self.requested = set()
        self.under_way = set()

    def new_run(self, job, number):
        """A run that stands for the same nominal time as all others of its number."""
        return Run(
            run_id=f"{len(self.states):04d}",
            job_name=job,
            trigger=Trigger.SCHEDULE,
            scheduled_time=START + timedelta(days=number),
            state=RunState.QUEUED,
            fire_key=str(number),
            queued_at=self.now,
        )

    def expect_new(self, run, recorded):
        """A run is recorded unless its fire is known."""
        fire = (run.job_name, run.fire_key)
        assert bool(recorded) == (fire not in self.fires)
        self.fires.add(fire)
        if recorded:
            self.states[run.run_id] = RunState.QUEUED
            self.attempts[run.run_id] = 1

    @rule(job=JOBS, number=NUMBERS)
    def fire(self, job, number):
        run = self.new_run(job, number)
        self.expect_new(run, self.store.record_fires([run], []))

    @rule(job=JOBS, number=NUMBERS)
    def ask(self, job, number):
        run = self.new_run(job, number)
        with Store.open(self.folder / "runner.db", beside_service=True) as other:
            recorded = other.add_requests([run])
        self.expect_new(run, recorded)
        self.requested.update(one.run_id for one in recorded)

    @rule()
    def take_requests(self):
        taken = {run.run_id for run in self.store.take_requests()}
        assert taken == {run_id for run_id in self.requested if self.states[run_id] is RunState.QUEUED}
        self.requested -= taken

    @rule(number=NUMBERS)
    def retry(self, number):
        run_id = f"{number:04d}"
        run = self.store.run(run_id)
        if run is None:
            return
        failure = RunFailure(kind=FailureKind.SCRIPT, message="no")
        attempt = Attempt(
            number=run.attempt, state=RunState.FAILED, started_at=None, finished_at=self.now, failure=failure
        )
        waiting = replace(run, state=RunState.QUEUED, attempt=run.attempt + 1, next_attempt_at=self.now)
        allowed = {RunState.QUEUED, RunState.RUNNING}
        if self.states[run_id] in allowed:
            self.attempts[run_id] += 1
        self.expect(number, allowed, RunState.QUEUED, self.store.retry_run, waiting, attempt)

    @rule(number=NUMBERS)
    def start(self, number):
        self.expect(
            number, {RunState.QUEUED}, RunState.RUNNING, self.store.mark_running, f"{number:04d}", self.now
        )

    @rule(
        number=NUMBERS, recipients=st.integers(0, 2), state=st.sampled_from([RunState.SUCCEEDED, RunState.FAILED])
    )
    def finish(self, number, recipients, state):
        run_id = f"{number:04d}"
        run = self.store.run(run_id)
        if run is None:
            return
        mail = Mail(
            run_id=run_id,
            kind=MailKind.RESULTS,
            message_id=f"<{run_id}@example.com>",
            sender="r@example.com",
            recipients=("a@example.com", "b@example.com")[:recipients],
            subject="s",
            message=b"m",
        )
        done = replace(run, state=state, finished_at=self.now, deliveries=())
        after = replace(self.new_run("after both", 0), scheduled_time=run.scheduled_time, fire_key=run.fire_key)
        following = FollowingRun(run=after, needs=("one", "two"))
        allowed = {RunState.QUEUED, RunState.RUNNING}
        answer = self.expect(number, allowed, state, self.store.finish_run, done, [mail], [following])
        if answer is None:
            return
        for delivery in answer[0].deliveries:
            self.deliveries[delivery.delivery_id] = DeliveryState.PENDING
        ended = self.store.runs(limit=100)
        nominal = {
            one.job_name
            for one in ended
            if one.state is RunState.SUCCEEDED and one.scheduled_time == run.scheduled_time
        }
        if {"one", "two"} <= nominal:
            self.expect_new(after, answer[1])
        else:
            assert answer[1] == ()

    @rule(state=st.sampled_from([DeliveryState.SENT, DeliveryState.DEFERRED, DeliveryState.DEAD]))
    def attempt(self, state):
        due = self.store.due_deliveries(self.now, 2)
        later = self.now + timedelta(minutes=1) if state is DeliveryState.DEFERRED else None
        result = SendResult(state=state, error="" if state is DeliveryState.SENT else "no")
        attempts = [
            DeliveryAttempt(delivery_id=one.delivery_id, result=result, at=self.now, next_attempt_at=later)
            for one, _ in due
        ]
        now = self.store.record_attempts(attempts)
        assert [one.state for one in now] == [state] * len(due)
        ids = {one.delivery_id for one, _ in due}
        self.deliveries.update(dict.fromkeys(ids, state))
        self.under_way -= ids

    @rule()
    def begin(self):
        ids = [delivery.delivery_id for delivery, _ in self.store.due_deliveries(self.now, 1)]
        self.store.begin_attempt(ids, self.now)
        self.under_way.update(ids)

    @rule(delivery_id=st.integers(1, 4))
    def hold(self, delivery_id):
        held = self.store.hold_deliveries([delivery_id], self.now)
        known = self.deliveries.get(delivery_id)
        assert bool(held) == (known is not None and known.open)
        self.deliveries.update({one.delivery_id: DeliveryState.HELD for one in held})
        self.under_way -= {one.delivery_id for one in held}

    @rule(delivery_id=st.integers(1, 4))
    def send_again(self, delivery_id):
        again = self.store.retry_deliveries([delivery_id], self.now)
        assert bool(again) == (self.deliveries.get(delivery_id) not in {None, DeliveryState.SENT})
        self.deliveries.update({one.delivery_id: DeliveryState.PENDING for one in again})
        self.under_way -= {one.delivery_id for one in again}

    @rule(minutes=st.integers(1, 3))
    def wait(self, minutes):
        self.now += timedelta(minutes=minutes)

    @rule()
    def restart(self):
        self.store.close()
        self.store = Store.open(self.folder / "runner.db")
        left = {run.run_id for run in self.store.running_runs()}
        assert left == {run_id for run_id, state in self.states.items() if state is RunState.RUNNING}
        due = self.store.due_deliveries(self.now + timedelta(days=1), 10_000)
        assert {delivery.delivery_id for delivery, _ in due if delivery.began_at} == self.under_way

    def expect(self, number, allowed, after, action, *arguments):
        """The action succeeds exactly from the allowed states."""
        run_id = f"{number:04d}"
        if self.states.get(run_id) in allowed:
            self.states[run_id] = after
            if action != self.store.mark_queued:
                self.requested.discard(run_id)
            return action(*arguments)
        with pytest.raises(StoreError):
            action(*arguments)
        return None

    @rule(number=NUMBERS)
    def hand_back(self, number):
        self.expect(
            number, {RunState.QUEUED, RunState.RUNNING}, RunState.QUEUED, self.store.mark_queued, f"{number:04d}"
        )

    @invariant()
    def the_store_agrees(self):
        runs = self.store.runs(limit=100)
        assert {run.run_id: run.state for run in runs} == self.states
        assert {d.delivery_id: d.state for run in runs for d in run.deliveries} == self.deliveries
        assert {run.run_id: run.attempt for run in runs} == self.attempts
        assert all(len(run.attempts) == run.attempt - 1 for run in runs)
        queued = {run_id for run_id, state in self.states.items() if state is RunState.QUEUED} - self.requested
        assert {run.run_id for run in self.store.queued_runs()} == queued
        waiting = [d for run in runs for d in run.deliveries if d.state.open]
        times = [d.next_attempt_at for d in waiting]
        assert self.store.open_deliveries() == len(waiting)
        assert {d.delivery_id for d in waiting if d.began_at} == self.under_way
        assert self.store.next_delivery_time() == min(times, default=None)

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.folder)


LifeCycle.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, suppress_health_check=list(HealthCheck), database=None
)
TestLifeCycle = pytest.mark.long(LifeCycle.TestCase)
