import socket
import time

import pytest

from runner.connecting import connect_first


def found(*addresses):
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]


def remaining(seconds):
    end = time.monotonic() + seconds
    return lambda: end - time.monotonic()


@pytest.fixture
def live():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()


@pytest.fixture
def closed():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()


def test_a_silent_address_holds_up_no_other(silent, live):
    began = time.monotonic()
    with connect_first(found(silent, silent, live), remaining(20)) as connected:
        assert time.monotonic() - began < 3
        assert connected.getpeername() == live
        assert 15 < connected.gettimeout() <= 20


def test_the_first_that_answers_is_taken_and_nothing_else_stays_open(silent, live, closed, monkeypatch):
    opened = []

    class Kept(socket.socket):
        def __init__(self, *args):
            super().__init__(*args)
            opened.append(self)

    monkeypatch.setattr("runner.connecting.socket.socket", Kept)
    options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
    with connect_first(found(closed, silent, live, closed), remaining(20), options) as connected:
        assert connected.getpeername() == live
        assert connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert [one for one in opened if one.fileno() >= 0] == [connected]
    assert len(opened) == 3


@pytest.mark.long
def test_where_nothing_answers_the_fault_is_that_of_the_first(silent, closed):
    with pytest.raises(ConnectionRefusedError):
        connect_first(found(closed, silent), remaining(0.5))
    with pytest.raises(TimeoutError):
        connect_first(found(silent, closed), remaining(0.5))
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        connect_first(found(silent), remaining(0.5))
    assert 0.4 < time.monotonic() - began < 3


def test_an_address_of_no_kind_that_the_machine_knows_is_passed_over(live):
    unknown = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::ffff:ffff:ffff:ffff%none", 80, 0, 0))
    with connect_first([unknown, *found(live)], remaining(20)) as connected:
        assert connected.getpeername() == live
