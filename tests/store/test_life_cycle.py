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

from runner.core.delivery import DeliveryState, Mail, MailKind, SendResult
from runner.core.run import Run, RunState, Trigger
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

    @rule(job=JOBS, number=NUMBERS)
    def fire(self, job, number):
        run_id = f"{len(self.states):04d}"
        run = Run(
            run_id=run_id,
            job_name=job,
            trigger=Trigger.SCHEDULE,
            scheduled_time=self.now,
            state=RunState.QUEUED,
            fire_key=str(number),
            queued_at=self.now,
        )
        new = self.store.record_fires([run], [])
        assert bool(new) == ((job, number) not in self.fires)
        self.fires.add((job, number))
        if new:
            self.states[run_id] = RunState.QUEUED

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
        answer = self.expect(
            number, {RunState.QUEUED, RunState.RUNNING}, state, self.store.finish_run, done, [mail]
        )
        for delivery in answer.deliveries if answer else ():
            self.deliveries[delivery.delivery_id] = DeliveryState.PENDING

    @rule(state=st.sampled_from([DeliveryState.SENT, DeliveryState.DEFERRED, DeliveryState.DEAD]))
    def attempt(self, state):
        due = self.store.due_deliveries(self.now, 1)
        for delivery, _ in due:
            later = self.now + timedelta(minutes=1) if state is DeliveryState.DEFERRED else None
            result = SendResult(state=state, error="" if state is DeliveryState.SENT else "no")
            self.store.record_attempt(delivery.delivery_id, result, at=self.now, next_attempt_at=later)
            self.deliveries[delivery.delivery_id] = state

    @rule(minutes=st.integers(1, 3))
    def wait(self, minutes):
        self.now += timedelta(minutes=minutes)

    @rule()
    def restart(self):
        self.store.close()
        self.store = Store.open(self.folder / "runner.db")
        lost = {run.run_id for run in self.store.mark_lost(self.now)}
        assert lost == {run_id for run_id, state in self.states.items() if state is RunState.RUNNING}
        self.states.update(dict.fromkeys(lost, RunState.LOST))

    def expect(self, number, allowed, after, action, *arguments):
        """The action succeeds exactly from the allowed states."""
        run_id = f"{number:04d}"
        if self.states.get(run_id) in allowed:
            self.states[run_id] = after
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
        queued = {run_id for run_id, state in self.states.items() if state is RunState.QUEUED}
        assert {run.run_id for run in self.store.queued_runs()} == queued
        waiting = [d for run in runs for d in run.deliveries if d.state.open]
        times = [d.next_attempt_at for d in waiting]
        assert self.store.next_delivery_time() == min(times, default=None)

    def teardown(self):
        self.store.close()
        shutil.rmtree(self.folder)


LifeCycle.TestCase.settings = settings(
    max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
TestLifeCycle = LifeCycle.TestCase
