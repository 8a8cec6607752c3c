"""The turns of the loop: each step on its own, whatever it raises."""

from runner.errors import RunnerError
from runner.service import turns
from runner.service.turns import Turns


def test_the_trouble_of_one_step_keeps_no_other_from_its_work(monkeypatch, caplog):
    monkeypatch.setattr(turns, "_TROUBLED_SECONDS", 0.0)
    done = []

    def refused():
        raise RunnerError("the disk is full", hint="Make room.")

    def unforeseen():
        raise KeyError("amount")

    calls = iter([None, unforeseen, lambda: done.append("call")])
    steps = (refused, unforeseen, lambda: done.append("step"))
    Turns(steps, take=lambda: next(calls), stopping=lambda: "call" in done).run()
    assert done == ["step", "step", "step", "call"]
    assert caplog.text.count("the disk is full Make room.") == 3
    assert caplog.text.count("KeyError: 'amount'") == 4


def test_none_begins_once_a_stop_is_asked_for():
    done = []
    Turns((lambda: done.append("step"),), take=lambda: None, stopping=lambda: True).run()
    assert done == []
