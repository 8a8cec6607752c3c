"""The socket and the thread."""

import socket
import subprocess
import sys
import threading
import time

import pytest
import requests

from runner.errors import StatusError
from runner.settings import Secret, StatusSettings
from runner.status.app import build_app
from runner.status.server import StatusServer


@pytest.fixture
def make_server(source):
    started = []

    def make(host="127.0.0.1", port=0, token=""):
        app = build_app(source, token=Secret(token), version="1", host=host)
        started.append(StatusServer(app, StatusSettings(host=host, port=port, token=Secret(token))))
        return started[-1]

    yield make
    for server in started:
        server.stop(2.0)


def test_a_request_right_after_start_is_answered(make_server):
    server = make_server()
    server.start()
    assert server.port > 0
    assert requests.get(f"{server.url}/healthz", timeout=5).status_code == 200


def test_a_taken_port_is_named_with_the_remedy(make_server):
    first = make_server()
    first.start()
    with pytest.raises(StatusError, match=rf"127\.0\.0\.1:{first.port}: Address already in use") as caught:
        make_server(port=first.port).start()
    assert "STATUS_PORT" in caught.value.hint


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
def test_an_address_that_is_not_ours(make_server, host):
    with pytest.raises(StatusError, match=host):
        make_server(host=host).start()


@pytest.mark.parametrize(
    ("host", "token", "warned"), [("0.0.0.0", "", True), ("0.0.0.0", "t0ken", False), ("127.0.0.1", "", False)]
)
def test_an_open_address_without_a_token_is_warned_of(make_server, caplog, host, token, warned):
    make_server(host=host, token=token).start()
    assert ("set STATUS_TOKEN" in caplog.text) == warned


def test_stop_frees_the_port_and_the_thread(make_server):
    before = set(threading.enumerate())
    server = make_server()
    server.start()
    requests.get(f"{server.url}/healthz", timeout=5)
    server.stop(5.0)
    server.stop(5.0)
    assert "status" not in {thread.name for thread in set(threading.enumerate()) - before}
    again = make_server(port=server.port)
    again.start()
    assert requests.get(f"{again.url}/healthz", timeout=5).status_code == 200


def test_stop_before_start_does_nothing(make_server):
    server = make_server()
    server.stop(1.0)
    server.start()
    assert requests.get(f"{server.url}/healthz", timeout=5).status_code == 200


def test_stop_lets_a_request_finish(make_server, source):
    quick = source.run
    source.run = lambda run_id: time.sleep(0.5) or quick(run_id)
    server = make_server()
    server.start()
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(requests.get(f"{server.url}/runs/absent", timeout=5).status_code)
    )
    asking.start()
    time.sleep(0.2)
    server.stop(5.0)
    asking.join(5)
    assert answers == [404]


def test_stop_does_not_wait_for_an_idle_client(make_server):
    server = make_server()
    server.start()
    with socket.create_connection(("127.0.0.1", server.port)) as idle:
        idle.sendall(b"GET /jobs HTTP/1.1\r\n")
        time.sleep(0.1)
        began = time.monotonic()
        server.stop(1.0)
        assert time.monotonic() - began < 3


def test_ipv6_where_there_is_any(make_server):
    server = make_server(host="::1")
    try:
        server.start()
    except StatusError:
        pytest.skip("this machine has no IPv6")
    assert server.url.startswith("http://[::1]:")
    assert requests.get(f"{server.url}/jobs", timeout=5).status_code == 200


@pytest.mark.long
def test_the_values_are_imported_without_the_server_and_the_framework_never():
    code = """
import sys
import runner.status.snapshot
assert not {"starlette", "uvicorn", "jinja2"} & sys.modules.keys()
import runner.status.app
assert "fastapi" not in sys.modules and "fastapi_offline" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": ":".join(sys.path)}, check=False)
    assert done.returncode == 0
