"""How long the loop sleeps, and that it settles where that took longer."""

from datetime import UTC, datetime, timedelta

import pytest

from runner.service import waiting
from runner.service.waiting import Waiting

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Machine:
    """The loop's surroundings, whose time passes only while somebody sleeps; all seconds."""

    def __init__(self):
        self.passed = 0.0
        self.slept = []
        self.oversleeps = 0.0
        self.rescan, self.fire, self.attempt = 60.0, None, None
        self.under_way = 0
        self.stopping = False
        self.call = None

    def utc_now(self):
        return NOW + timedelta(seconds=self.passed)

    def monotonic(self):
        return self.passed

    def sleep(self, seconds):
        self.passed += seconds

    # As `Events`.
    def take(self, timeout):
        self.slept.append(timeout)
        self.passed += timeout + self.oversleeps
        return self.call

    # As `OpenRuns`.
    def seconds_to_next(self):
        return self.attempt

    def begun_count(self):
        return self.under_way


@pytest.fixture
def machine(monkeypatch):
    machine = Machine()
    monkeypatch.setattr(waiting, "utc_now", machine.utc_now)
    monkeypatch.setattr(waiting, "time", machine)
    return machine


@pytest.fixture
def take(machine):
    return Waiting(
        machine,
        machine,
        seconds_to_rescan=lambda: machine.rescan,
        next_time=lambda: None if machine.fire is None else NOW + timedelta(seconds=machine.fire),
        stopping=lambda: machine.stopping,
    ).take


@pytest.mark.parametrize(
    ("rescan", "fire", "attempt", "seconds"),
    [
        (60.0, None, None, 1.0),
        (0.25, 0.5, 0.75, 0.25),
        (0.5, 0.25, None, 0.25),
        (0.5, 30.0, 0.125, 0.125),
        (60.0, -5.0, None, 0.0),
        (60.0, 86_400.0, 3600.0, 1.0),
    ],
)
def test_it_sleeps_until_the_first_of_what_is_due(machine, take, rescan, fire, attempt, seconds):
    machine.rescan, machine.fire, machine.attempt = rescan, fire, attempt
    assert take() is None
    assert machine.slept == [seconds]


def test_what_was_asked_for_is_given(machine, take):
    machine.call = take
    assert take() is take


@pytest.mark.parametrize("fire", [None, -3600.0])
def test_after_a_suspension_the_ends_of_runs_have_time(machine, take, fire, caplog):
    """However long ago a fire was due: that it is late is no suspension."""
    caplog.set_level("INFO")
    machine.under_way, machine.fire = 1, fire
    take()
    assert machine.passed == machine.slept[0]
    assert not caplog.records
    machine.oversleeps, before = 50.0, machine.passed
    take()
    assert machine.passed - before == pytest.approx(machine.slept[1] + 50.0 + 3.0, abs=0.1)
    assert [record.message.partition(":")[0] for record in caplog.records] == ["50 s have passed unseen"]


@pytest.mark.parametrize(("under_way", "stopping"), [(0, False), (1, True)])
def test_it_settles_no_longer_than_it_must(machine, take, under_way, stopping):
    machine.oversleeps, machine.under_way, machine.stopping = 50.0, under_way, stopping
    take()
    assert machine.passed == 51.0
