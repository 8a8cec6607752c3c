"""A user's world: the installed command, a git repository of jobs, a real SMTP server and a real HTTP API."""

import contextlib
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

RUNNER = Path(sys.executable).with_name("runner")


def clean_environment(**extra: str) -> dict[str, str]:
    """What a user's shell has, without any setting of the machine the tests run on."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "NO_COLOR": "1", "STATUS_PORT": "0", **extra}


@pytest.fixture
def runner():
    """Runs the installed command to its end: `runner("validate", cwd=…)` → CompletedProcess with texts."""
    assert RUNNER.exists(), f"{RUNNER} is missing: install the project before its acceptance tests"

    def call(
        *arguments: str, cwd: Path, env: dict[str, str] | None = None, timeout: float = 60, text: str | None = None
    ):
        return subprocess.run(
            [RUNNER, *arguments],
            cwd=cwd,
            env=clean_environment(**(env or {})),
            input=text,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return call


# From a small process: the memory of one that starts another counts as that one's, too.
PEAK = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
print(done.stdout, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)
"""


@pytest.fixture
def peak():
    """Runs the installed command to a good end: what it prints, and the most MiB that one of its processes had."""

    def call(*arguments: str, cwd: Path) -> tuple[str, int]:
        done = subprocess.run(
            [sys.executable, "-c", PEAK, RUNNER, *arguments],
            cwd=cwd,
            env=clean_environment(),
            stdout=subprocess.PIPE,
            text=True,
            timeout=60,
            check=True,
        )
        output, _, mib = done.stdout.rstrip().rpartition(" ")
        return output, int(mib)

    return call


@pytest.fixture
def spawn():
    """Starts the installed command and goes on; ends what a test leaves running."""
    started = []

    def call(*arguments: str, cwd: Path, env: dict[str, str] | None = None) -> subprocess.Popen:
        process = subprocess.Popen(
            [RUNNER, *arguments],
            cwd=cwd,
            env=clean_environment(**(env or {})),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.wait(10)
        process.stdout.close()


class Repository:
    """A git repository of jobs in a temporary folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.jobs = folder / "jobs.d"
        self.jobs.mkdir(parents=True)
        (folder / ".gitignore").write_text("data/\n.env\n")
        self.git("init", "-q", "-b", "main")
        self.commit("start")

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=tests", "-c", "user.email=tests@example.com", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.folder, check=True, capture_output=True, text=True, timeout=30
        )
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        """Commit everything; the full commit id."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def write(self, name: str, text: str) -> Path:
        path = self.jobs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path / "reports")


class _Mailbox:
    """What an SMTP server received, for aiosmtpd."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], bytes, bool, str]] = []

    async def handle_DATA(self, server, session, envelope):
        secure = isinstance(session.ssl, dict) or session.ssl is not None
        login = session.auth_data.login.decode() if session.auth_data else ""
        self.mails.append((list(envelope.rcpt_tos), envelope.original_content or envelope.content, secure, login))
        return "250 kept"


class MailServer:
    """A real SMTP server on loopback with STARTTLS and AUTH, as most companies have."""

    user = "runner@example.com"
    password = "correct horse battery"

    def __init__(self, controller, folder: Path) -> None:
        authority = trustme.CA()
        self.ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(context)
        self.box = _Mailbox()
        self.controller = controller(
            self.box,
            hostname="127.0.0.1",
            port=0,
            tls_context=context,
            require_starttls=True,
            auth_required=True,
            authenticator=self._check,
            decode_data=False,
        )

    def _check(self, _server: SMTP, _session, _envelope, _mechanism, data) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (
            self.user.encode(),
            self.password.encode(),
        )
        return AuthResult(success=good, auth_data=data)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "SMTP_HOST": "localhost",
            "SMTP_PORT": str(self.controller.port),
            "SMTP_USER": self.user,
            "SMTP_PASSWORD": self.password,
            "SMTP_CA_FILE": str(self.ca_file),
        }

    def mails_to(self, recipient: str):
        return [
            message_from_bytes(content, policy=policy.default)
            for recipients, content, _, _ in list(self.box.mails)
            if recipient in recipients
        ]


@pytest.fixture
def mail_server(smtp_controller, tmp_path):
    server = MailServer(smtp_controller, tmp_path)
    server.controller.start()
    yield server
    server.controller.stop()


class Api:
    """A real HTTP API whose answer the test sets; it remembers what it was asked."""

    def __init__(self) -> None:
        self.status, self.document = 200, []
        self.requests: list[tuple[str, dict[str, str]]] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                api.requests.append((self.path, dict(self.headers)))
                body = json.dumps(api.document).encode()
                self.send_response(api.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/sales"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture
def api():
    served = Api()
    yield served
    served.close()


class RunningService:
    """`runner start` as a child process, and its HTTP endpoint."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.log_path = folder.parent / f"service-{time.monotonic_ns()}.log"
        with self.log_path.open("w") as log:
            self.process = subprocess.Popen(
                [RUNNER, "start"], cwd=folder, env=clean_environment(**env), stdout=log, stderr=subprocess.STDOUT
            )

    def wait_ready(self) -> None:
        self.url = self.wait_for(self._address, 30, "the service to be ready")

    def log(self) -> str:
        return self.log_path.read_text()

    def _address(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the service ended with {self.process.returncode}:\n{self.log()}")
        found = re.search(r"page at (http://\S+)/", self.log())
        return found[1] if found else None

    def get(self, path: str):
        answer = requests.get(self.url + path, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def job(self, name: str):
        return next((job for job in self.get("/jobs")["jobs"] if job["job_name"] == name), None)

    def runs(self, name: str):
        return self.get(f"/jobs/{name}/runs")["runs"]

    def wait_for(self, condition, seconds: float, what: str):
        """The first true answer of `condition`."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = condition()
            if answer:
                return answer
            time.sleep(0.1)
        raise AssertionError(f"waited {seconds} s in vain for {what}; the log says:\n{self.log()}")

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.process.wait(40)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)


@pytest.fixture
def start_service():
    """Starts services, and ends those that a test leaves running."""
    started = []

    def start(folder: Path, **env: str) -> RunningService:
        service = RunningService(folder, env)
        started.append(service)
        service.wait_ready()
        return service

    yield start
    for service in started:
        with contextlib.suppress(subprocess.TimeoutExpired):
            if service.process.poll() is None:
                service.process.kill()
                service.process.wait(10)
