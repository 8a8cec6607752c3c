import logging
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace

import pytest
import requests

from runner.core.source import FileType
from runner.errors import FetchError
from runner.fetch import retries
from runner.fetch.faults import asked_too_much
from runner.fetch.retries import Retries

ROWS = b'[{"a": 1}]'


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch):
    monkeypatch.setattr(retries, "_BACKOFF_SECONDS", 0.005)
    monkeypatch.setattr(retries, "_JITTER_SECONDS", 0.005)


def answers(server, path, *heads, body=ROWS):
    """One head of an answer after the other; the last again and again. `body` follows that."""
    left = list(heads)

    def route(handler):
        head = left.pop(0) if len(left) > 1 else left[0]
        handler.wfile.write(head if head is not left[0] or left[1:] else head + body)

    server.routes[path] = route


def status(code, *headers, length=0):
    return "\r\n".join((f"HTTP/1.0 {code} X", *headers, f"Content-Length: {length}", "", "")).encode()


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504, 507, 520, 529, 599])
def test_answers_that_pass_are_asked_for_again(server, fetch_api, code):
    answers(server, "/", status(code), status(code), status(200, length=len(ROWS)))
    assert fetch_api(server.url(), retries=3).paths[0].read_bytes() == ROWS
    assert len(server.seen) == 3


@pytest.mark.parametrize("code", [400, 404, 501, 505])
def test_answers_that_last_are_not(server, fetch_api, code):
    answers(server, "/", status(code), body=b"")
    with pytest.raises(FetchError, match=f"^HTTP {code} "):
        fetch_api(server.url(), retries=3)
    assert len(server.seen) == 1


def test_the_last_answer_is_shown_with_the_number_of_requests(server, fetch_api):
    server.answer("/", b"busy", status=503)
    with pytest.raises(FetchError, match=r"^after 3 requests: HTTP 503 Service Unavailable from .*: busy$"):
        fetch_api(server.url(), retries=2)
    assert len(server.seen) == 3


@pytest.mark.parametrize(("code", "asked"), [(429, 2), (503, 2), (500, 1), (502, 1), (504, 1)])
def test_a_post_is_sent_again_where_nothing_was_done(server, fetch_api, code, asked):
    server.answer("/", status=code)
    with pytest.raises(FetchError):
        fetch_api(server.url(), method="POST", body="{}", retries=1)
    assert len(server.seen) == asked


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_who_is_forbidden_for_a_while_asks_again(server, fetch_api, method):
    """So GitHub answers who has asked too much."""
    asked_too_much = status(403, "Retry-After: 0.1")
    answers(server, "/", asked_too_much, status(200, length=len(ROWS)))
    assert fetch_api(server.url(), method=method, retries=1).paths[0].read_bytes() == ROWS
    answers(server, "/", asked_too_much, asked_too_much, body=b"")
    with pytest.raises(FetchError, match=r"^after 2 requests: HTTP 403") as fault:
        fetch_api(server.url(), method=method, retries=1)
    assert fault.value.hint.startswith("Too many requests")
    server.seen.clear()
    answers(server, "/", status(403), body=b"")
    with pytest.raises(FetchError, match=r"^HTTP 403") as fault:
        fetch_api(server.url(), method=method, retries=1)
    assert fault.value.hint.startswith("The credentials are known")
    assert len(server.seen) == 1


def test_who_is_forbidden_and_need_not_wait_asks_again(server, fetch_api):
    answers(server, "/", status(403, "Retry-After: 0"), status(200, length=len(ROWS)))
    assert fetch_api(server.url(), retries=1).paths[0].read_bytes() == ROWS


@pytest.mark.parametrize("code", [403, 429])
def test_a_quota_that_is_used_up_is_told_with_its_end(server, fetch_api, code):
    """GitHub's primary limit comes without `Retry-After`."""
    used_up = status(code, "X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1999999999")
    answers(server, "/", used_up, body=b"")
    with pytest.raises(FetchError, match=r"^the server asks to wait [0-9]+ s, and ") as fault:
        fetch_api(server.url(), retries=1)
    assert fault.value.hint.startswith(
        "The quota is used up until 2033-05-18 03:33:19 UTC. Run the job less often"
    )
    assert len(server.seen) == 1
    with pytest.raises(FetchError, match=f"^HTTP {code}") as fault:
        fetch_api(server.url(), retries=0)
    assert fault.value.hint.startswith("The quota is used up until 2033-05-18 03:33:19 UTC. Too many requests: ")


@pytest.mark.parametrize("reset", ["60", "soon", "", "1999999999999"])
def test_a_quota_whose_end_is_not_known_is_not_told(server, fetch_api, reset):
    answers(server, "/", status(403, f"X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: {reset}"), body=b"")
    with pytest.raises(FetchError, match=r"^HTTP 403") as fault:
        fetch_api(server.url(), retries=1)
    assert fault.value.hint.startswith("The credentials are known")


def test_a_quota_is_no_matter_of_a_server_that_cannot_answer(server, fetch_api):
    broken = status(503, "X-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 1999999999")
    answers(server, "/", broken, body=b"")
    with pytest.raises(FetchError, match=r"^after 2 requests: HTTP 503 ") as fault:
        fetch_api(server.url(), retries=1)
    assert "quota" not in fault.value.hint
    assert len(server.seen) == 2
    # The wait before it is the runner's own: the server has not asked for one.
    response = answer(503, "")
    response.headers.update({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1999999999"})
    assert not asked_too_much(response)


def test_a_new_quota_is_waited_for(monkeypatch):
    monkeypatch.setattr(retries, "time", SimpleNamespace(time=lambda: 1_800_000_000.0))
    response = answer(403, "")
    response.headers["X-RateLimit-Remaining"] = "0"
    for reset, seconds in ((1_800_000_100, 101), (1_799_999_900, 1)):
        response.headers["X-RateLimit-Reset"] = str(reset)
        assert Retries(1).after_status("GET", response) == seconds
    response.headers["X-RateLimit-Remaining"] = "1"
    assert Retries(1).after_status("GET", response) is None


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_connection_is_tried_again_by_every_method(fetch_api, method):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(FetchError, match=r"^after 3 requests: no connection to 127\.0\.0\.1"):
        fetch_api(f"http://127.0.0.1:{port}/", method=method, retries=2)


def test_an_unknown_name_is_not_asked_for_again(fetch_api):
    with pytest.raises(FetchError, match=r"^the host nowhere\.invalid is not known"):
        fetch_api("http://nowhere.invalid/", retries=3, timeout_seconds=20)


def test_a_body_that_breaks_off_is_read_again_from_its_start(server, fetch_api):
    broken = status(200, length=1000) + b'{"a": 0}\n' * 9
    answers(server, "/", broken, broken, status(200, length=len(ROWS)))
    assert fetch_api(server.url(), retries=2).paths[0].read_bytes() == ROWS
    server.seen.clear()
    answers(server, "/", broken, body=b"")
    with pytest.raises(FetchError, match=r"^after 2 requests: the connection to .* broke off"):
        fetch_api(server.url(), retries=1)
    with pytest.raises(FetchError, match=r"^the connection to .* broke off"):
        fetch_api(server.url(), retries=3, method="POST", file_type=FileType.NDJSON)
    assert len(server.seen) == 3


def test_what_a_post_was_redirected_to_is_asked_again_alone(server, fetch_api):
    server.answer("/job", status=303, Location="/result")
    answers(server, "/result", status(500), status(200, length=len(ROWS)))
    fetch_api(server.url("/job"), method="POST", body="{}", retries=1)
    assert [(method, path) for method, path, *_ in server.seen] == [
        ("POST", "/job"),
        ("GET", "/result"),
        ("GET", "/result"),
    ]


def test_a_get_starts_anew_at_its_first_address(server, fetch_api):
    server.answer("/old", status=302, Location="/signed")
    answers(server, "/signed", status(503), status(200, length=len(ROWS)))
    fetch_api(server.url("/old"), retries=1)
    assert [path for _, path, *_ in server.seen] == ["/old", "/signed", "/old", "/signed"]


@pytest.mark.long
def test_the_server_is_given_the_time_it_asks_for(server, fetch_api):
    answers(server, "/", status(503, "Retry-After: 1"), status(200, length=len(ROWS)))
    began = time.monotonic()
    fetch_api(server.url(), retries=1)
    assert time.monotonic() - began >= 1.0


def answer(code, after):
    response = requests.Response()
    response.status_code = code
    if after:
        response.headers["Retry-After"] = after
    return response


def test_retry_after_may_be_a_date_and_nonsense_is_passed_over():
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True)
    assert 95 < Retries(1).after_status("GET", answer(429, date)) < 101
    assert Retries(1).after_status("GET", answer(429, " 2.5 ")) == 2.5
    assert Retries(1).after_status("GET", answer(429, "100000")) == 100_000
    past = format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)
    for value in ("soon", "-5", "9" * 5000, "0", past):
        wait = Retries(1).after_status("GET", answer(429, value))
        assert wait is not None
        assert 0 < wait < 1 or value.startswith("9")


def test_waits_grow_and_end(monkeypatch):
    monkeypatch.undo()
    left = Retries(4)
    waits = [left.after_status("GET", answer(503, "")) for _ in range(5)]
    assert waits.pop() is None
    for wait, least in zip(waits, (0, 1, 2, 4), strict=True):
        assert least <= wait <= least + 0.5
    assert left.sent == 4


def test_a_wait_past_the_deadline_fails_at_once(server, fetch_api):
    server.answer("/", b"slow down", status=429, Retry_After="120")
    began = time.monotonic()
    with pytest.raises(
        FetchError, match=r"the server asks to wait 120 s, and \d s are left .*: HTTP 429"
    ) as caught:
        fetch_api(server.url(), retries=3)
    assert time.monotonic() - began < 1.0
    assert "slow down" in caught.value.message
    assert len(server.seen) == 1


def test_a_cancelled_wait_ends_at_once(server, fetch_api):
    server.answer("/", status=503, Retry_After="20")
    cancelled = threading.Event()
    threading.Timer(0.2, cancelled.set).start()
    began = time.monotonic()
    with pytest.raises(FetchError, match="cancelled"):
        fetch_api(server.url(), retries=3, timeout_seconds=30, cancelled=cancelled)
    assert time.monotonic() - began < 1.2


@pytest.fixture
def logged():
    """What reaches the log's handlers where every logger is at DEBUG (caplog is handed more than they are)."""
    records, loggers = [], [logging.getLogger(name) for name in ("", "runner", "urllib3")]
    levels = [logger.level for logger in loggers]
    handler = logging.Handler()
    handler.emit = lambda record: records.append(handler.format(record))
    loggers[0].addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield records
    loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def test_each_further_request_is_one_line_of_the_log_without_secrets(server, fetch_api, logged):
    """urllib3 would log whole addresses, and at the level WARNING those of answers with a broken header."""
    broken_header = status(503, "no header")
    answers(server, "/k-12345/x", status(503), broken_header, status(200, length=len(ROWS)))
    fetch_api(server.url("/${env:KEY}/x"), params=(("key", "${env:KEY}"),), retries=2, environ={"KEY": "k-12345"})
    assert [line[-8:] for line in logged] == ["(1 of 2)", "(2 of 2)"]
    assert logged[0].startswith(f"HTTP 503 from {server.url('/***/x')}: asking again in 0.0 s")
