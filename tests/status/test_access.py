"""Who may ask, what browsers are told, and what the log says."""

import logging
import re
import socket
import time

import pytest
import requests

from runner.status import middleware


def ask(url, **arguments):
    return requests.get(url, timeout=10, **arguments)


class TestToken:
    @pytest.fixture
    def base(self, serve):
        return serve(token="s3cret-tökén")

    def test_is_asked_for_everywhere_but_by_probes(self, base):
        for path in (
            "/",
            "/jobs",
            "/jobs/daily_sales",
            "/metrics",
            "/docs",
            "/openapi.json",
            "/static/style.css",
            "/no",
        ):
            answer = ask(base + path)
            assert answer.status_code == 401, path
            assert answer.headers["WWW-Authenticate"].startswith("Basic")
            assert "STATUS_TOKEN" in answer.json()["hint"]
        assert ask(base + "/healthz").status_code == 200
        assert ask(base + "/readyz").status_code == 200
        assert requests.post(base + "/jobs/create", timeout=10).status_code == 401

    def test_as_a_bearer_or_as_the_password_of_any_user(self, base):
        token = "s3cret-tökén"
        assert ask(base + "/jobs", headers={"Authorization": f"Bearer {token}".encode()}).status_code == 200
        assert ask(base + "/", auth=(b"anyone", token.encode())).status_code == 200
        assert ask(base + "/", auth=(b"", token.encode())).status_code == 200

    @pytest.mark.parametrize(
        "header",
        ["", "Bearer", "Bearer s3cret", "Basic !!!", "Basic czNjcmV0", "s3cret", "Digest x", "Bearer \xff"],
    )
    def test_nothing_else_will_do(self, base, header):
        assert ask(base + "/jobs", headers={"Authorization": header.encode("latin-1")}).status_code == 401

    def test_the_description_says_so(self, base):
        document = ask(base + "/openapi.json", headers={"Authorization": "Bearer s3cret-tökén".encode()}).json()
        assert document["security"] == [{"bearer": []}, {"basic": []}]
        assert document["paths"]["/healthz"]["get"]["security"] == []

    def test_any_host_name_may_be_used_with_it(self, base):
        headers = {"Authorization": "Bearer s3cret-tökén".encode(), "Host": "runner.example.com"}
        assert ask(base + "/jobs", headers=headers).status_code == 200


class TestHost:
    @pytest.mark.parametrize(
        "host", ["localhost", "localhost:1234", "127.0.0.1", "127.0.0.1:1", "[::1]", "[::1]:80", "LOCALHOST:1"]
    )
    def test_of_this_machine(self, get, host):
        assert get("/jobs", headers={"Host": host}).status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            "evil.example.com",
            "evil.example.com:8000",
            "127.0.0.1.example.com",
            "localhost.example.com",
            "[fe80::1]",
            "10.0.0.1",
        ],
    )
    def test_of_others_is_refused(self, get, host):
        answer = get("/jobs", headers={"Host": host})
        assert answer.status_code == 421
        assert "STATUS_TOKEN" in answer.json()["hint"]

    def test_may_be_left_out_by_an_old_probe(self, base):
        with socket.create_connection(("127.0.0.1", int(base.rpartition(":")[2])), timeout=5) as probe:
            probe.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert probe.recv(100).startswith(b"HTTP/1.1 200")

    def test_is_not_looked_at_on_an_open_address(self, serve):
        base = serve(host="0.0.0.0")
        assert base.startswith("http://127.0.0.1:")
        assert ask(base + "/jobs", headers={"Host": "runner.example.com"}).status_code == 200


def test_browsers_are_told_to_load_nothing_from_elsewhere(get):
    for path in ("/", "/jobs", "/nowhere", "/docs", "/redoc", "/static/style.css"):
        headers = get(path).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "http" not in policy
        assert "script-src 'unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "Server" not in headers
    assert "script-src" not in get("/").headers["Content-Security-Policy"]
    assert "script-src 'self';" in get("/docs").headers["Content-Security-Policy"]


def test_assets_are_kept_and_revalidated(get):
    first = get("/static/swagger-ui-bundle.js")
    assert len(first.content) > 100_000
    assert "max-age=" in first.headers["Cache-Control"]
    assert get("/static/swagger-ui-bundle.js", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    assert get("/static/style.css").headers["Content-Type"].startswith("text/css")


class TestLog:
    @pytest.fixture
    def lines(self, caplog):
        caplog.set_level(logging.DEBUG, logger="runner")
        return lambda: [
            (record.levelname, record.getMessage())
            for record in caplog.records
            if record.name == "runner.status.app"
        ]

    def wait_for(self, lines, mark, count=1):
        """The lines with `mark` in them; they are written after the answer has left, in any order."""
        deadline = time.monotonic() + 5
        while True:
            found = sorted(line for line in lines() if mark in line[1])
            if len(found) >= count or time.monotonic() > deadline:
                return found
            time.sleep(0.01)

    def test_one_line_per_request_probes_aside(self, get, lines):
        for path in ("/jobs", "/healthz", "/readyz", "/metrics", "/nowhere"):
            get(f"{path}?count=me", "HEAD")
        found = self.wait_for(lines, "API: HEAD", 5)
        assert [(level, text.rsplit(" ", 2)[0]) for level, text in found] == [
            ("DEBUG", "API: HEAD /healthz 200"),
            ("DEBUG", "API: HEAD /metrics 200"),
            ("DEBUG", "API: HEAD /readyz 200"),
            ("INFO", "API: HEAD /jobs 200"),
            ("INFO", "API: HEAD /nowhere 404"),
        ]
        assert all(text.endswith(" ms") for _, text in found)

    def test_a_warning_when_it_took_long(self, get, lines, source, monkeypatch):
        monkeypatch.setattr(middleware, "SLOW_SECONDS", 0.05)
        quick = source.run
        source.run = lambda run_id: time.sleep(0.1) or quick(run_id)
        get("/runs/slow")
        ((level, text),) = self.wait_for(lines, "/runs/slow")
        assert level == "WARNING"
        assert re.fullmatch(r"API: GET /runs/slow 404 \d{3,} ms", text)

    def test_a_path_cannot_write_lines_of_its_own(self, get, lines):
        get("/x%0A2025-11-09%20-%20forged%1b[31m")
        ((_, text),) = self.wait_for(lines, "forged")
        assert text.startswith("API: GET /x%0A2025-11-09%20-%20forged%1B%5B31m 404")
