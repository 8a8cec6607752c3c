"""What a job reads with its credentials is shown to people in many places; the credentials are in none of them."""

import io
import json
import logging
import threading
from dataclasses import replace
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from runner.core.run import RunState
from runner.service.loop import Service

SECRETS = {"API_TOKEN": "planted-token-4711", "API_KEY": "planted&key=4712"}
PASSWORD = "planted-password-4713"
JOBS = """\
schedule_time: "@yearly"
consumer_emails: [analyst@example.com]
owner: owner@example.com
"""
API = """
  source_type: api
  location: http://127.0.0.1:PORT/items
  params: {key: "${env:API_KEY}"}
  headers: {X-Api-Token: "${env:API_TOKEN}"}
  retries: 0"""
# An API that answers with what it was asked is the worst case: its data itself is full of secrets.
SHOWS = f"""\
{JOBS}data_source:{API}
checks:
  - accepted_values: {{column: token, values: [nothing]}}
    on: input
    blocking: false
processing_script: |
  print(data.token[0], data.path[0])
  result = data[["items"]]
"""
RAISES = f"""\
{JOBS}data_source:{API}
processing_script: |
  result = data
  raise ValueError(data.token[0] + data.path[0])
"""
REFUSED = f"""\
{JOBS}data_source:{API.replace("/items", "/refused")}
"""
NO_DATABASE = f"""\
{JOBS}data_source: {{source_type: database, location: "${{env:LOST_URL}}", query: select 1 as items}}
"""
OTHER_PLACES = ("/", "/jobs", "/metrics", "/readyz", "/openapi.json")


@pytest.fixture
def echo_port():
    class Echo(BaseHTTPRequestHandler):
        def do_GET(self):
            seen = {"items": 7, "token": self.headers["X-Api-Token"], "path": self.path}
            assert SECRETS["API_TOKEN"] == seen["token"]
            body = json.dumps([seen]).encode()
            self.send_response(403 if self.path.startswith("/refused") else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.fixture
def service(settings, echo_port):
    settings.jobs_dir.mkdir()
    (settings.jobs_dir / "_policy.yaml").write_text("private_hosts: [127.0.0.1]\n")
    for name, text in {"shows": SHOWS, "raises": RAISES, "refused": REFUSED, "no_database": NO_DATABASE}.items():
        document = f"job_name: {name}\n{text}".replace("PORT", str(echo_port))
        (settings.jobs_dir / f"{name}.yaml").write_text(document)
    environ = {**SECRETS, "LOST_URL": f"postgresql://reader:{PASSWORD}@127.0.0.1:1/lost"}
    started = Service(replace(settings, status=replace(settings.status, port=0)), environ)
    started.start()
    loop = threading.Thread(target=started.run, daemon=True)
    loop.start()
    yield started
    started.request_stop()
    loop.join(20)
    started.stop()


def pages(service, run_ids, names):
    """Every answer of the endpoint, as a page and as JSON."""
    details = [f"/jobs/{name}" for name in names] + [f"/jobs/{name}/runs" for name in names]
    for path in (*OTHER_PLACES, *details, *(f"/runs/{run_id}" for run_id in run_ids)):
        for accept in ("text/html", "application/json"):
            yield requests.get(service.address.rstrip("/") + path, headers={"Accept": accept}, timeout=10).text


def mail_texts(folder):
    for path in folder.glob("*.eml"):
        for part in message_from_bytes(path.read_bytes(), policy=policy.default).walk():
            yield str(part.items())
            if not part.is_multipart():
                yield part.get_payload(decode=True).decode(errors="replace")


@pytest.fixture
def logged():
    """What reaches the handlers of the log where everything is told (caplog is handed more than they are)."""
    told = io.StringIO()
    handler = logging.StreamHandler(told)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s\n%(exc_text)s"))
    loggers = [logging.getLogger(name) for name in ("", "runner", "urllib3")]
    levels = [logger.level for logger in loggers]
    loggers[0].addHandler(handler)
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield told
    loggers[0].removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def test_secrets_are_nowhere(logged, service, settings, wait_until):
    names = ("shows", "raises", "refused", "no_database")
    run_ids = [service.trigger(name) for name in names]
    wait_until(lambda: all(service.find_run(run_id).state.finished for run_id in run_ids))
    wait_until(lambda: len(list(settings.mail_dir.glob("*.eml"))) == 5)
    runs = {run.job_name: run for run in map(service.find_run, run_ids)}
    shown = "\n".join(pages(service, run_ids, names))
    failures = {name: run.failure.message for name, run in runs.items() if run.failure}
    assert runs["shows"].state is RunState.SUCCEEDED, failures
    assert set(failures) == {"raises", "refused", "no_database"}
    mails = "\n".join(mail_texts(settings.mail_dir))
    for text in (shown, mails):
        assert "***" in text, "what the API echoed is shown, masked"
        assert "ValueError" in text
    assert "Run failed" in logged.getvalue()
    places = {"pages": shown, "mails": mails, "log": logged.getvalue()}
    places |= {
        str(path): path.read_bytes().decode(errors="replace")
        for path in settings.state_dir.rglob("*")
        if path.is_file()
    }
    for secret in (*SECRETS.values(), "planted%26key%3D4712", PASSWORD, "postgresql://reader"):
        assert not [place for place, text in places.items() if secret in text], secret
