"""One service and its outbox against every mail server that is out of order."""

import contextlib
import socket
import ssl
import threading
import time
from datetime import timedelta

import pytest
import trustme

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@contextlib.contextmanager
def raw_server(port, talk):
    """Something that listens on a port and calls `talk(connection)` for each caller."""
    listening = socket.create_server(("127.0.0.1", port))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    talk(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    thread.join(5)


def dribble(connection):
    while True:
        connection.sendall(b"2")
        time.sleep(0.05)


def closing(connection):
    connection.sendall(b"421 closing for today\r\n")
    connection.recv(100)


def server_tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.long
def test_mail_servers_out_of_order(make_project, make_mail_server, authority, wait_for):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    project = make_project()
    project.env |= {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(port), "SMTP_USE_TLS": "true"}
    once = 'schedule_time: "{} 12 2 3 *"'.format
    project.job("plain", schedule=once(0), to="a@example.com")
    project.job("refused", schedule=once(5), to="nobody@example.com")
    project.job("three", schedule=once(5), to="a@example.com, gone@example.com, c@example.com")
    project.job("dropped", schedule=once(5), to="drop@example.com")
    project.job("held", "delivery: {on_ambiguous: hold}", schedule=once(5), to="hold@example.com")
    project.hand_clock(-SECOND)
    service = project.start(jitter=0.0, smtp_seconds=0.5, outbox_seconds=0.1)
    assert service.readiness()[0] == 200
    # A check of the server at start, which does not keep the service down.
    wait_for(lambda: "Mails cannot leave" in service.log(), 10, service.log)

    def put_off(attempts, *words):
        (found,) = project.deliveries() or [None]
        if found is None or found.attempts < attempts:
            return False
        assert found.state == "deferred"
        assert any(word in found.error for word in words), found.error
        return True

    project.set_clock(SECOND)
    wait_for(lambda: put_off(1, "refused"), 10, service.log)
    untrusted = make_mail_server(port=port, tls_context=server_tls(trustme.CA()), require_starttls=True)
    project.set_clock(20 * SECOND)
    wait_for(lambda: put_off(2, "certificate"), 10, service.log)
    untrusted.close()
    plain_text = make_mail_server(port=port)
    project.set_clock(40 * SECOND)
    wait_for(lambda: put_off(3, "STARTTLS"), 10, service.log)
    plain_text.close()
    with raw_server(port, dribble):
        project.set_clock(60 * SECOND)
        wait_for(lambda: put_off(4, "0.5 s"), 10, service.log)
    with raw_server(port, closing):
        project.set_clock(80 * SECOND)
        wait_for(lambda: put_off(5, "421"), 10, service.log)
    assert not untrusted.mails
    assert not plain_text.mails

    server = make_mail_server(port=port, tls_context=server_tls(authority), require_starttls=True)
    server.answers |= {"nobody@example.com": ["550 no such user"], "gone@example.com": ["551 moved"]}
    server.drops.update({"drop@example.com": 1, "hold@example.com": 1})
    project.set_clock(5 * MINUTE + SECOND)
    # Seven mails with results, and three notices of those that come to nothing.
    wait_for(lambda: [one.attempts > 0 for one in project.deliveries()] == [True] * 10, 15, service.log)
    project.set_clock(6 * MINUTE)
    wait_for(project.at_rest, 15, service.log)

    states = {(one.kind, one.recipient): (one.state, one.attempts) for one in project.deliveries()}
    assert project.deliveries()[0].attempts == 6
    told = [one for one in project.deliveries() if one.kind == "undelivered"]
    assert states == {
        ("results", "a@example.com"): ("sent", 1),
        ("results", "nobody@example.com"): ("dead", 1),
        ("results", "gone@example.com"): ("dead", 1),
        ("results", "c@example.com"): ("sent", 1),
        ("results", "drop@example.com"): ("sent", 2),
        ("results", "hold@example.com"): ("held", 1),
        ("undelivered", "owner@example.com"): ("sent", 1),
    }
    assert len(told) == 3, "one for each that came to nothing"
    received = server.received()
    twice = {recipient for (_, recipient), copies in received.items() if copies == 2}
    assert twice == {"drop@example.com"}, "with the same Message-ID"
    assert sum(received.values()) == 2 + 1 + 2 + 1 + 3
    assert {run.state for run in project.runs()} == {"succeeded"}
    assert set(project.executed().values()) == {1}
    assert "Traceback" not in service.log()
    assert service.stop() == 0
