from datetime import timedelta

import pytest

from runner.core.run import RunState, Trigger
from runner.service.retention import PERIOD_SECONDS, Retention


@pytest.fixture
def ended(desk, store, clock, make_job):
    def make():
        run = desk.new_run(make_job(), trigger=Trigger.SCHEDULE, scheduled_time=clock.now, state=RunState.SKIPPED)
        store.add_run(run)
        return run.run_id

    return make


@pytest.fixture
def up():
    """Seconds on the clock that only goes forward, as the test sets them."""
    return [100.0]


@pytest.fixture
def retention(store, settings, clock, up):
    return Retention(store, settings, clock=clock, monotonic=lambda: up[0], spawn=lambda work: work())


def test_what_is_old_goes_at_the_start_and_then_every_hour(retention, ended, store, clock, up):
    old = ended()
    clock.pass_(days=100)
    ended()
    up[0] += 100 * 86400
    retention.tidy_if_due()
    assert store.run(old) is None
    assert len(store.runs()) == 1


def test_a_clock_that_is_a_year_ahead_for_a_while_costs_no_history(retention, ended, store, clock, up):
    run_id = ended()
    ended()
    retention.tidy_if_due()
    clock.pass_(days=365, hours=1)
    up[0] += PERIOD_SECONDS
    retention.tidy_if_due()
    clock.pass_(days=-365, hours=1)
    up[0] += PERIOD_SECONDS
    retention.tidy_if_due()
    assert store.run(run_id)
    clock.pass_(hours=1)
    up[0] += PERIOD_SECONDS
    retention.tidy_if_due()
    assert store.run(run_id)


def test_a_clock_that_stays_where_it_was_set_is_believed(retention, ended, store, clock, up):
    run_id = ended()
    ended()
    for step in (timedelta(days=365), timedelta(), timedelta()):
        clock.now += step + timedelta(seconds=PERIOD_SECONDS)
        up[0] += PERIOD_SECONDS
        retention.tidy_if_due()
    assert store.run(run_id) is None
