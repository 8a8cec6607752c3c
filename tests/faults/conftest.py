"""Services as forked processes that faults are put into, a mail server that remembers, and a look at what is on disk."""

import contextlib
import json
import logging
import os
import re
import shutil
import signal
import smtplib
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
import trustme

from runner.core.job import Step, StepKind
from runner.core.source import FileType
from runner.execution.orders import StepInput, StepOrder

CHILD = Path(__file__).with_name("child.py")
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def wait_for(condition, seconds, what):
    """The first true answer of `condition`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what() if callable(what) else what}")
        time.sleep(0.02)


def processes_in(folder):
    """The processes that work in a folder, or below it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (entry / "cwd").readlink().is_relative_to(folder):
                found.append(int(entry.name))
    return found


def is_alive(pid):
    """Whether a process has not ended; one that only waits to be reaped has."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Process:
    """A forked `runner`: its id, what it says, and how it ended."""

    def __init__(self, nursery, pid, log):
        self._nursery = nursery
        self.pid = pid
        self.log_path = log
        self.code = None

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait(self, seconds=20):
        """The exit code, negative for a signal."""
        if self.code is None:
            self.code = self._nursery.ask(what="wait", pid=self.pid, seconds=seconds)
        assert self.code is not None, f"still running after {seconds} s:\n{self.log()}"
        return self.code

    def ended(self):
        if self.code is None:
            self.code = self._nursery.ask(what="wait", pid=self.pid, seconds=0)
        return self.code is not None

    def send(self, number):
        os.kill(self.pid, number)

    def kill(self):
        if self.code is None:
            with contextlib.suppress(ProcessLookupError):
                self.send(signal.SIGKILL)
            self.wait()

    def stop(self):
        """SIGTERM, and the exit code."""
        self.send(signal.SIGTERM)
        return self.wait(30)

    @property
    def url(self):
        return wait_for(self._url, 20, lambda: f"the service to be ready:\n{self.log()}")

    def _url(self):
        found = re.search(r"page at (http://\S+)/", self.log())
        assert found or not self.ended(), f"it ended with {self.code}:\n{self.log()}"
        return found and found[1]

    def readiness(self):
        """The answer of `/readyz`: its status and its document."""
        answer = requests.get(f"{self.url}/readyz", timeout=10)
        return answer.status_code, answer.json()


class Nursery:
    """The process that has everything imported, and forks."""

    def __init__(self, ca_file):
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        self._environment = {**kept, "NO_COLOR": "1", "STATUS_PORT": "0", "SMTP_USE_TLS": "false"}
        # To load the authorities of the system takes longer than all else of a start.
        self._environment["SMTP_CA_FILE"] = str(ca_file)
        self._process = subprocess.Popen(
            [sys.executable, CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._lock = threading.Lock()

    def ask(self, **request):
        with self._lock:
            self._process.stdin.write(json.dumps(request, default=str) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def start(self, arguments, *, folder, env, log, faults):
        env = {**self._environment, **env}
        pid = self.ask(what="start", arguments=arguments, folder=folder, env=env, log=log, faults=faults)
        return Process(self, pid, log)

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.kill()
        self._process.wait(10)


@pytest.fixture(scope="session")
def authority():
    """Who vouches for the mail server."""
    return trustme.CA()


@pytest.fixture(scope="session")
def nursery(authority, tmp_path_factory):
    ca_file = tmp_path_factory.mktemp("authority") / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    opened = Nursery(ca_file)
    yield opened
    opened.close()


class MailServer:
    """A real SMTP server on loopback: it keeps what it takes, and refuses what the test says.

    `mails` holds a (recipient, message) for each recipient of each mail that it has answered with 250. `answers`
    maps an address to the refusals that it gets next, first to last; a 5xx stays. `drops` says for how many mails
    whose first recipient is an address the connection breaks off, instead of the answer to their content.
    """

    def __init__(self, controller, port=0, **options):
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)
        self.mails = []
        self.answers = {}
        self.drops = Counter()
        self.on_content = None
        self._controller = controller(self, hostname="127.0.0.1", port=port, **options)
        self._controller.start()
        self.port = self._controller.port

    async def handle_RCPT(self, server, session, envelope, address, options):
        waiting = self.answers.get(address)
        if waiting:
            return waiting[0] if waiting[0].startswith("5") else waiting.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        message = message_from_bytes(envelope.original_content or envelope.content, policy=policy.default)
        self.mails += [(recipient, message) for recipient in envelope.rcpt_tos]
        if self.on_content is not None:
            self.on_content()
        if self.drops[envelope.rcpt_tos[0]]:
            self.drops[envelope.rcpt_tos[0]] -= 1
            server.transport.abort()
        return "250 kept"

    def received(self):
        """(Message-ID, recipient) → how often."""
        return Counter((message["Message-ID"], recipient) for recipient, message in list(self.mails))

    def settle(self):
        """Until everything is read that a process sent before it was killed."""
        with smtplib.SMTP("127.0.0.1", self.port, timeout=10) as asking:
            asking.noop()

    def subjects(self, recipient):
        return [message["Subject"] for to, message in list(self.mails) if to == recipient]

    def close(self):
        with contextlib.suppress(AssertionError):
            self._controller.stop()


@pytest.fixture
def mail_server(smtp_controller):
    server = MailServer(smtp_controller)
    yield server
    server.close()


@pytest.fixture
def make_mail_server(smtp_controller):
    opened = []

    def make(**options):
        opened.append(MailServer(smtp_controller, **options))
        return opened[-1]

    yield make
    for server in opened:
        server.close()


class Project:
    """A folder of jobs, its state, and the services that work on it."""

    def __init__(self, folder, nursery, *, state=None):
        self.folder = folder
        self.state = state or folder / "data"
        self.database = self.state / "runner.db"
        self.env = {"JOB_STORAGE_PATH": str(self.database)}
        self.faults = {}
        self.started = []
        self._nursery = nursery
        (folder / "jobs.d").mkdir(parents=True)
        (folder / "input.csv").write_text("category,amount\nToys,10.5\nBooks,7.25\n")

    def job(self, name, *lines, schedule='schedule_time: "* * * * *"', to="reader@example.com"):
        """Write a job that passes its input through; `lines` are more lines of its file."""
        text = f"""\
job_name: {name}
{schedule}
data_source: {{source_type: file, location: input.csv, file_type: csv}}
consumer_emails: [{to}]
owner: owner@example.com
"""
        (self.folder / "jobs.d" / f"{name}.yaml").write_text(text + "\n".join((*lines, "")))

    def clock(self, after=timedelta(), *, for_=None, speed=1.0, **more):
        """The clock of the next services: it goes from `after` noon, for a time, `speed` times as fast.

        Each service begins at `after`; with `real`, a real time, they share one clock that began then.
        """
        until = None if for_ is None else (NOON + after + for_).isoformat()
        base = (NOON + after).isoformat()
        self.faults["clock"] = {"base": base, "speed": speed, "until": until, **more}

    def hand_clock(self, after=timedelta(), speed=0.0):
        """A clock that stands still, `after` noon, until `set_clock`; with a speed it also goes by itself."""
        (self.folder / "clock").write_bytes(bytes(8))
        self.clock(speed=speed, offset=str(self.folder / "clock"))
        self.set_clock(after)

    def set_clock(self, after):
        """What the time is, counted from noon, for services that run and those that begin later."""
        with (self.folder / "clock").open("r+b") as file:
            file.write(struct.pack("d", after.total_seconds()))

    def runner(self, *arguments, env=None, **faults):
        """Fork `runner` with these arguments."""
        log = self.folder / f"log-{len(self.started)}"
        log.touch()
        process = self._nursery.start(
            arguments,
            folder=str(self.folder),
            env={**self.env, **(env or {})},
            log=log,
            faults={**self.faults, **faults},
        )
        self.started.append(process)
        return process

    def start(self, **faults):
        """Fork `runner start`."""
        return self.runner("start", **faults)

    def read(self, query, *values):
        """The rows of the database as it is now; none where it is not made yet."""
        if not self.database.exists():
            return []
        connection = sqlite3.connect(f"file:{self.database}?mode=ro", uri=True, timeout=10)
        try:
            connection.row_factory = sqlite3.Row
            return [SimpleNamespace(**dict(row)) for row in connection.execute(query, values)]
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise
        finally:
            connection.close()

    def runs(self, job_name="%"):
        return self.read("SELECT * FROM runs WHERE job_name LIKE ? ORDER BY scheduled_time, run_id", job_name)

    def deliveries(self):
        return self.read(
            "SELECT d.*, m.message_id, m.kind, m.run_id, m.hold_ambiguous FROM deliveries d"
            " JOIN mails m USING (mail_id) ORDER BY delivery_id"
        )

    def at_rest(self):
        """Whether nothing is left to do: no run is unfinished, no mail open."""
        runs, mails = (
            "SELECT 1 FROM runs WHERE state IN ('queued', 'running')",
            "SELECT 1 FROM deliveries WHERE state IN ('pending', 'deferred')",
        )
        return not self.read(f"{runs} UNION ALL {mails} LIMIT 1")

    def executed(self):
        """(run, attempt) → how often it was begun."""
        ledger = self.folder / "executed"
        return Counter(ledger.read_text().splitlines()) if ledger.exists() else Counter()

    def logs(self):
        return "\n".join(process.log() for process in self.started)

    def close(self):
        for process in self.started:
            with contextlib.suppress(ProcessLookupError):
                process.send(signal.SIGCONT)
            process.kill()


@pytest.fixture
def make_project(tmp_path, nursery):
    opened = []

    def make(name="project", **options):
        opened.append(Project(tmp_path / name, nursery, **options))
        return opened[-1]

    yield make
    for project in opened:
        project.close()


@pytest.fixture
def project(make_project, mail_server):
    made = make_project()
    made.env |= {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mail_server.port)}
    return made


@pytest.fixture
def tmpfs(tmp_path):
    """Mounts a file system of some bytes; skips where that is not allowed."""
    mounted = []

    def mount(size):
        folder = tmp_path / f"disk-{len(mounted)}"
        folder.mkdir()
        tool = shutil.which("mount")
        done = tool and subprocess.run(
            [tool, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, check=False
        )
        if not done or done.returncode:
            pytest.skip("no file system can be mounted here")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", folder], check=False)


@pytest.fixture
def script_order(tmp_path):
    """Makes the order of a script over one row, in a folder that is made where it is not there."""
    source = tmp_path / "in.csv"
    source.write_text("a\n1\n")

    def make(folder, text, **more):
        folder.mkdir(exist_ok=True)
        return StepOrder(
            run_id=folder.name,
            step=Step(kind=StepKind.SCRIPT, text=text, path="jobs.d/fault.yaml"),
            inputs=(StepInput(paths=(str(source),), format=FileType.CSV),),
            run_dir=str(folder),
            **{"timeout_seconds": 30.0, **more},
        )

    return make


@pytest.fixture(name="processes_in")
def the_processes_in():
    return processes_in


@pytest.fixture
def seconds_until_gone():
    """Seconds from a moment until no process works in a folder any more, and none of some others lives; a step that
    told its outcome itself is killed, and not waited for."""

    def counting(folder, since, *pids):
        while (processes_in(folder) or any(map(is_alive, pids))) and time.monotonic() - since < 10:
            time.sleep(0.005)
        return time.monotonic() - since

    return counting


@pytest.fixture(name="wait_for")
def the_wait_for():
    return wait_for


@pytest.fixture(name="noon")
def the_noon():
    return NOON
