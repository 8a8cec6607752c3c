"""What wakes the loop: in order, from anywhere, and never later than it was told to look again."""

import signal
import threading
import time

import pytest

from runner.service.events import Events


@pytest.fixture
def at_alarm():
    """Has a function called in the main thread by a signal, after some seconds."""
    before = signal.getsignal(signal.SIGALRM)

    def call(function, seconds):
        signal.signal(signal.SIGALRM, lambda *_: function())
        signal.setitimer(signal.ITIMER_REAL, seconds)

    yield call
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def numbered(found, number):
    return lambda: found.append(number)


def take_all(events):
    while (call := events.take(0.0)) is not None:
        call()


def test_calls_come_in_their_order():
    events, found = Events(), []
    for number in range(5):
        events.put(numbered(found, number))
    take_all(events)
    assert found == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("timeout", [-1.0, 0.0, 0.05])
def test_nothing_within_the_time(timeout):
    began = time.monotonic()
    assert Events().take(timeout) is None
    assert time.monotonic() - began >= timeout


def test_a_call_wakes_the_one_that_waits():
    events, found = Events(), []
    threading.Timer(0.05, events.put, [numbered(found, 1)]).start()
    call = events.take(60.0)
    assert call is not None
    call()
    assert found == [1]


@pytest.mark.timeout(20)
def test_a_signal_at_the_end_of_the_time(at_alarm):
    """Its handler outlasts the time: the wait has ended then."""
    at_alarm(lambda: time.sleep(0.2), 0.1)
    assert Events().take(0.2) is None


@pytest.mark.timeout(20)
def test_a_time_of_microseconds_after_a_call():
    events = Events()
    for number in range(5000):
        events.put(print)
        assert events.take(1.0) is print
        assert events.take(number % 100 * 5e-8) is None


def test_a_signal_handler_wakes_its_own_thread(at_alarm):
    events = Events()
    at_alarm(lambda: events.put(print), 0.05)
    assert events.take(60.0) is print


def test_no_call_of_many_threads_is_lost():
    events, found = Events(), []
    threads = [
        threading.Thread(target=lambda first=first: [events.put(numbered(found, first + n)) for n in range(500)])
        for first in range(0, 4000, 500)
    ]
    for thread in threads:
        thread.start()
    while len(found) < 4000:
        call = events.take(10.0)
        assert call is not None
        call()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(4000))
    assert events.take(0.0) is None
