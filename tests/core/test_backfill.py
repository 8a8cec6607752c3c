from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runner.core.backfill import plan_backfill
from runner.core.run import Fire, RunState, Trigger

START = datetime(2025, 6, 1, 6, tzinfo=UTC)


def fire(day):
    moment = START + timedelta(days=day)
    return Fire(scheduled_time=moment, job_name="daily", key=f"{moment:%Y-%m-%dT%H:%M}")


@pytest.fixture
def on_record(make_run):
    def make(day, state, *, keyed=True):
        one = fire(day)
        return make_run(
            run_id=f"{day}{state}",
            scheduled_time=one.scheduled_time,
            state=state,
            fire_key=one.key if keyed else None,
        )

    return make


FIRES = tuple(fire(day) for day in range(4))


def test_what_has_not_succeeded_is_run(on_record):
    runs = (
        on_record(0, RunState.SUCCEEDED),
        on_record(1, RunState.FAILED),
        on_record(2, RunState.RUNNING),
    )
    plan = plan_backfill(FIRES, runs, again=False)
    assert plan.todo == (FIRES[1], FIRES[3])
    assert (plan.done, plan.unfinished) == ((FIRES[0],), (FIRES[2],))
    assert plan.key_of(FIRES[3]) == FIRES[3].key
    assert plan.key_of(FIRES[1]) == f"{FIRES[1].key} again 1", (
        "another backfill from these records has the same key"
    )


def test_again_runs_what_succeeded_too_but_nothing_twice_at_once(on_record):
    runs = (on_record(0, RunState.SUCCEEDED), on_record(0, RunState.QUEUED, keyed=False))
    plan = plan_backfill(FIRES, runs, again=True)
    assert plan.todo == FIRES[1:]
    assert (plan.done, plan.unfinished) == ((), (FIRES[0],))


def test_trials_do_not_count(on_record):
    by_hand = replace(on_record(3, RunState.SUCCEEDED, keyed=False), trigger=Trigger.MANUAL)
    unmailed = replace(on_record(2, RunState.SUCCEEDED), mailing=False)
    plan = plan_backfill(FIRES, (unmailed, by_hand), again=False)
    assert plan.todo == FIRES
    assert plan.key_of(FIRES[3]) == FIRES[3].key
