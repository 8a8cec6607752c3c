"""Clients that only hold connections open."""

import asyncio
import contextlib
import socket
import time
from pathlib import Path

import pytest
import requests

from runner.settings import Secret, StatusSettings
from runner.status.app import build_app
from runner.status.connections import MOST_CONNECTIONS, Connections
from runner.status.server import StatusServer

HALF_A_REQUEST = b"GET /jobs HTTP/1.1\r\nHost: localhost\r\nX-Slow: "


@pytest.fixture
def serve(source):
    with contextlib.ExitStack() as stack:

        def make(connections=None):
            app = build_app(source, token=Secret("t0ken"), version="1")
            server = StatusServer(app, StatusSettings(host="127.0.0.1", port=0), connections=connections)
            server.start()
            stack.callback(server.stop, 2.0)
            return server

        yield make


@pytest.fixture
def connect():
    with contextlib.ExitStack() as stack:
        yield lambda server: stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))


def is_open(client):
    client.setblocking(False)
    try:
        return bool(client.recv(1))
    except BlockingIOError:
        return True
    except ConnectionError:
        return False


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


def healthy(server):
    return requests.get(f"{server.url}/healthz", timeout=5).status_code == 200


def test_connections_that_are_held_open_keep_nobody_out_and_take_few_descriptors(serve, connect):
    server = serve()
    before = descriptors()
    held = [connect(server) for _ in range(MOST_CONNECTIONS + 100)]
    for client in held[::2]:
        with contextlib.suppress(ConnectionError):
            client.sendall(HALF_A_REQUEST)
    assert healthy(server)
    taken = descriptors() - before - len(held)
    assert taken < MOST_CONNECTIONS + 20
    assert healthy(server)


def test_the_one_that_was_silent_longest_makes_way(serve, connect):
    server = serve(Connections(most=3))
    first, second, third = (connect(server) for _ in range(3))
    for client in (second, third, first):
        client.sendall(HALF_A_REQUEST)
        time.sleep(0.05)
    assert healthy(server)
    assert [is_open(client) for client in (first, second, third)] == [True, False, True]


@pytest.mark.long
def test_a_connection_on_which_nothing_moves_is_broken_off(serve, connect):
    # Ten times what the slow one takes: it shares its processor with this test.
    server = serve(Connections(silence_seconds=0.5))
    silent, slow = connect(server), connect(server)
    for _ in range(26):
        slow.sendall(b"x")
        time.sleep(0.05)
    assert not is_open(silent)
    assert is_open(slow)


@pytest.mark.long
def test_a_client_that_reads_nothing_of_its_answer_is_broken_off(serve, connect, source):
    run = source.history[0]
    source.charts[run.run_id] = bytes(32 << 20)
    server = serve(Connections(silence_seconds=0.2))
    deaf = connect(server)
    deaf.sendall(
        f"GET /runs/{run.run_id}/chart.png HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t0ken\r\n\r\n".encode()
    )
    # The answer has begun.
    assert deaf.recv(1, socket.MSG_PEEK)
    time.sleep(1)
    received = 0
    with contextlib.suppress(ConnectionError):
        while more := deaf.recv(1 << 20):
            received += len(more)
    assert 0 < received < 32 << 20


@pytest.mark.long
def test_a_slow_reader_gets_all_of_its_answer(serve, connect, source):
    run = source.history[0]
    source.charts[run.run_id] = bytes(32 << 20)
    server = serve(Connections(silence_seconds=0.5))
    slow = connect(server)
    slow.sendall(f"GET /runs/{run.run_id}/chart.png HTTP/1.0\r\nAuthorization: Bearer t0ken\r\n\r\n".encode())
    received = 0
    while more := slow.recv(1 << 20, socket.MSG_WAITALL):
        received += len(more)
        time.sleep(0.06)
    assert received > 32 << 20


@pytest.mark.long
def test_a_client_waits_for_an_answer_that_takes_long(connect):
    async def slow(scope, receive, send):
        await asyncio.sleep(1)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"late"})

    connections = Connections(silence_seconds=0.1)
    server = StatusServer(slow, StatusSettings(host="127.0.0.1", port=0), connections=connections)
    server.start()
    try:
        client = connect(server)
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = client.recv(4096)
        while not answer.endswith(b"late"):
            more = client.recv(4096)
            assert more
            answer += more
        # It is its turn again.
        assert client.recv(1) == b""
    finally:
        server.stop(2.0)
