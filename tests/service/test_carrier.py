"""Runs that are handed to the service of the state folder, and what is told of them: its store and lock are real."""

import os
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest

from runner.core.delivery import DeliveryState, Mail, MailKind
from runner.core.run import RunState, Trigger
from runner.errors import RunnerError, StoppedError
from runner.service import carrier as carriers
from runner.service.carrier import ServiceCarrier, open_carrier
from runner.store.store import Store


@pytest.fixture
def asked(settings, store, clock, make_job, wait_until):
    """A run by hand that `store`, which is the service's, has taken up; `end` waits for what its person is told."""

    class Asked:
        def __init__(self):
            self.told = None
            self.thread = threading.Thread(target=self._ask)
            self.thread.start()
            wait_until(lambda: self._taken() is not None)

        def _taken(self):
            self.run = next(iter(store.take_requests()), None)
            return self.run

        def _ask(self):
            job = make_job()
            with Store.open(settings.storage_path, beside_service=True) as beside:
                carrier = ServiceCarrier(settings, beside, lambda: False, lambda _words: None)
                run = carrier.new_run(job, trigger=Trigger.MANUAL, scheduled_time=clock.now)
                try:
                    (self.told,) = carrier.carry_out((run,), {job.job_name: job}, lambda _run: None)
                except RunnerError as error:
                    self.told = error

        def end(self):
            store.close()
            self.thread.join(10)
            return self.told

    return Asked()


def test_a_run_that_waits_begins_with_the_next_start(asked):
    assert "begin with the next runner start" in asked.end().hint


def test_a_run_by_hand_that_was_under_way_is_lost(asked, store, clock):
    store.mark_running(asked.run.run_id, clock.now)
    told = asked.end()
    assert told.message == "the service has ended, and 1 of the runs have not"
    assert "is lost" in told.hint


def test_nobody_waits_for_the_mails_of_a_service_that_has_ended(asked, store, clock):
    store.mark_running(asked.run.run_id, clock.now)
    mail = Mail(
        run_id=asked.run.run_id,
        kind=MailKind.RESULTS,
        message_id="<1@example.com>",
        sender="runner@example.com",
        recipients=("ann@example.com",),
        subject="Job Results: report",
        message=b"",
    )
    store.finish_run(replace(asked.run, state=RunState.SUCCEEDED, finished_at=clock.now), (mail,))
    told = asked.end()
    assert (told.state, told.deliveries[0].state) == (RunState.SUCCEEDED, DeliveryState.PENDING)


@pytest.fixture
def told(settings, store, make_job, clock, monkeypatch):
    """What the person is told who asks for a run and ends it then; `store` is that of a service.

    `service` is called whenever that person waits.
    """

    def run(service):
        monkeypatch.setattr(carriers, "TAKE_UP_SECONDS", 0.0)
        waits = SimpleNamespace(monotonic=time.monotonic, sleep=lambda _seconds: service())
        monkeypatch.setattr(carriers, "time", waits)
        told = []
        with open_carrier(settings, {}, lambda: bool(told), told.append) as carrier:
            asked = carrier.new_run(make_job(), trigger=Trigger.MANUAL, scheduled_time=clock.now)
            with pytest.raises(StoppedError, match="1 of the runs taken back"):
                carrier.carry_out((asked,), {}, lambda _run: None)
        assert store.run(asked.run_id).state is RunState.CANCELLED
        return told

    return run


def test_a_service_that_does_not_take_a_run_up_is_told_of(told):
    (words,) = told(lambda: None)
    assert words.startswith(
        "Nobody has taken the run up for 0 s: the service is busy, or hangs (a service, process "
    )
    assert f"process {os.getpid()})" in words
    assert words.endswith("it takes up what waits. Ctrl-C takes it back.")


def test_a_run_that_waits_for_its_turn_in_the_service_is_told_of(told, store):
    words = "The service has the run in its queue: runner status shows what goes first."
    assert told(store.take_requests) == [words]
