"""A served endpoint over real values, on a free port."""

import base64
import contextlib
import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
import requests

from runner.core.bookmark import Bookmark
from runner.core.catalog import CatalogEntry, SyncState
from runner.core.check import CheckResult
from runner.core.delivery import Delivery, DeliveryState, MailKind
from runner.core.diagnostic import Diagnostic
from runner.core.job import Job, Step, StepKind
from runner.core.preview import Preview
from runner.core.run import FailureKind, Run, RunFailure, RunState, Trigger
from runner.core.source import DataSource, FileType, SourceType
from runner.settings import Secret, StatusSettings
from runner.status.app import build_app
from runner.status.server import StatusServer
from runner.status.snapshot import JobStatus, StatusSnapshot

VERSIONS = itertools.count(1)
NOW = datetime(2025, 11, 9, 12, 30, tzinfo=UTC)

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
TRACEBACK = """Traceback (most recent call last):
  File "jobs.d/sales/broken_join.yaml", line 14, in <module>
    merged = data.merge(regions, on="regoin")
KeyError: 'regoin'
"""


def make_job(name, **changes):
    values = {
        "job_name": name,
        "schedule_time": "0 9 * * MON-FRI",
        "timezone": "Europe/Berlin",
        "data_source": DataSource(
            source_type=SourceType.API,
            location="https://api.example.com/sales?key=${env:KEY}",
            format=FileType.JSON,
        ),
        "consumer_emails": ("ann@example.com", "bob@example.com"),
        "owner": "data@example.com",
        "description": "Sales per region and day",
        "tags": ("sales",),
        "step": Step(
            kind=StepKind.SCRIPT,
            text='by_region = data.groupby("region")\nresult = by_region["amount"].sum().reset_index()',
            path=f"jobs.d/sales/{name}.yaml",
            first_line=12,
        ),
        "path": f"jobs.d/sales/{name}.yaml",
        "digest": "ab" * 32,
        "revision": "1a2b3c4d5e6f7a8b9c0d1a2b3c4d5e6f7a8b9c0d",
    }
    return Job(**{**values, **changes})


def make_entry(job, sync=SyncState.IN_FORCE, diagnostics=()):
    return CatalogEntry(
        path=job.path, job=job, sync=sync, digest="cd" * 32, job_name=job.job_name, diagnostics=diagnostics
    )


def make_delivery(number, run_id, recipient, state=DeliveryState.SENT, **changes):
    return Delivery(
        delivery_id=number,
        run_id=run_id,
        job_name="x",
        kind=MailKind.RESULTS,
        recipient=recipient,
        message_id=f"<{run_id}@example.com>",
        state=state,
        attempts=1,
        created_at=NOW,
        **changes,
    )


def make_run(number, name, state=RunState.SUCCEEDED, **changes):
    at = NOW - timedelta(hours=3, minutes=number)
    run_id = f"01k9m{number:021d}"
    values = {
        "run_id": run_id,
        "job_name": name,
        "trigger": Trigger.SCHEDULE,
        "scheduled_time": at,
        "state": state,
        "queued_at": at,
        "started_at": at + timedelta(milliseconds=40),
        "finished_at": at + timedelta(milliseconds=1480) if state.finished else None,
        "rows_in": 18204,
        "rows_out": 12,
        "revision": "1a2b3c4d5e6f7a8b9c0d",
        "digest": "ab" * 32,
        "sandbox": "landlock, seccomp",
        "deliveries": (make_delivery(number, run_id, "ann@example.com", sent_at=NOW - timedelta(hours=2)),),
    }
    return Run(**{**values, **changes})


@dataclass
class FixedSource:
    """A StatusSource whose values the test sets."""

    state: StatusSnapshot
    history: list = field(default_factory=list)
    asked: list = field(default_factory=list)
    charts: dict = field(default_factory=dict)
    cursors: dict = field(default_factory=dict)

    def snapshot(self):
        return self.state

    def runs(self, job_name, limit, before):
        self.asked.append((job_name, limit, before))
        chosen = [
            run
            for run in self.history
            if job_name in {None, run.job_name} and (before is None or run.run_id < before)
        ]
        return tuple(sorted(chosen, key=lambda run: run.run_id, reverse=True)[:limit])

    def run(self, run_id):
        return next((run for run in self.history if run.run_id == run_id), None)

    def chart(self, run):
        return self.charts.get(run.run_id)

    def cursor(self, job):
        return self.cursors.get(job.job_name)

    def change(self, **changes):
        self.state = replace(self.state, version=next(VERSIONS), **changes)


@pytest.fixture
def source():
    """Four jobs: one well, one whose last run failed, one with a broken file, one suspended."""
    good, failing, broken, asleep = (
        make_job("daily_sales"),
        make_job("broken_join", description="Sales joined with regions", timezone="UTC"),
        make_job(
            "inventory",
            description="Stock of every store",
            schedule_time="*/15 * * * *",
            timezone="America/New_York",
            tags=(),
        ),
        make_job("yearly_close", schedule_time="@yearly", suspend=True, description=""),
    )
    finding = Diagnostic(
        path=broken.path,
        line=3,
        column=16,
        rule="cron-syntax",
        message="'*/0 * * * *' is no cron expression: a step of 0",
        hint="Write a step of 1 or more, such as */5.",
    )
    failure = RunFailure(
        kind=FailureKind.SCRIPT, message="KeyError: 'regoin'", hint="Look at line 14.", traceback=TRACEBACK
    )
    runs = [make_run(number, "daily_sales") for number in range(1, 61)]
    failed = make_run(
        90,
        "broken_join",
        RunState.FAILED,
        failure=failure,
        rows_out=None,
        output="rows: 18204\n<script>alert('printed')</script>\n",
        deliveries=(
            make_delivery(90, "r", "ann@example.com", sent_at=NOW),
            make_delivery(
                91,
                "r",
                "bob@example.com",
                DeliveryState.DEFERRED,
                next_attempt_at=NOW + timedelta(minutes=4),
                error="451 4.7.1 Try again later",
            ),
            make_delivery(92, "r", "cy@example.com", DeliveryState.DEAD, error="550 5.1.1 No such user"),
        ),
    )
    working = make_run(95, "inventory", RunState.RUNNING, rows_in=None, rows_out=None, deliveries=())
    snapshot = StatusSnapshot(
        version=next(VERSIONS),
        generation=7,
        jobs=(
            JobStatus(entry=make_entry(failing), next_fire=NOW + timedelta(minutes=90), last_run=failed),
            JobStatus(entry=make_entry(good), next_fire=NOW + timedelta(hours=19, minutes=30), last_run=runs[-1]),
            JobStatus(
                entry=make_entry(broken, SyncState.INVALID, (finding,)),
                next_fire=NOW + timedelta(minutes=15),
                last_run=working,
                running=True,
            ),
            JobStatus(entry=make_entry(asleep)),
        ),
        facts=(
            ("jobs_folder", "/srv/reports/jobs.d"),
            ("revision", "1a2b3c4d5e6f"),
            ("time_zone", "Europe/Berlin"),
            ("sandbox", "landlock, seccomp, namespaces"),
            ("mail", "smtp.example.com:587 with STARTTLS"),
            ("started", "2025-11-09 08:00 CET (+01:00)"),
        ),
        finished=(("succeeded", 60), ("failed", 1)),
    )
    return FixedSource(state=snapshot, history=[*runs, failed, working])


@pytest.fixture
def checked_run(source):
    """A run of daily_sales with a chart, and with checks of which two failed."""
    rows = Preview(
        columns=("order <id>", "amount"),
        numeric=(False, True),
        rows=(("A-17", "-3"), ("<b>A-18</b>", "-0.5")),
        total_rows=2,
        total_columns=2,
    )
    checks = (
        CheckResult(words="order_id is unique", blocking=True, passed=True),
        CheckResult(
            words="amount is at least 0",
            blocking=True,
            passed=False,
            found="341 rows are below 0",
            failed_rows=341,
            rows=rows,
        ),
        CheckResult(words="there are at least 10 rows", blocking=False, passed=False, found="there are 3 rows"),
    )
    failure = RunFailure(kind=FailureKind.CHECK, message="1 check failed", hint="Mend the data or the check.")
    run = make_run(
        97,
        "daily_sales",
        RunState.FAILED,
        failure=failure,
        checks=checks,
        chart_file="chart.png",
        bookmark=Bookmark(cursor=0),
    )
    source.history.append(run)
    source.charts[run.run_id] = PNG
    return run


@pytest.fixture
def serve(source):
    """Serve the source on a free port; answers the address."""
    with contextlib.ExitStack() as stack:

        def start(*, token="", host="127.0.0.1", given=source, app=None):
            secret = Secret(token)
            app = app or build_app(given, token=secret, version="1.2.3", host=host, clock=lambda: NOW)
            server = StatusServer(app, StatusSettings(host=host, port=0, token=secret))
            server.start()
            stack.callback(server.stop, 2.0)
            return server.url

        yield start


class CurrentSource:
    """Stands before the source of the test that runs, so that one server serves them all."""

    source = None

    def __getattr__(self, name):
        return getattr(self.source, name)


@pytest.fixture(scope="session")
def shared_server():
    current = CurrentSource()
    app = build_app(current, token=Secret(""), version="1.2.3", clock=lambda: NOW)
    server = StatusServer(app, StatusSettings(port=0))
    server.start()
    yield current, server.url
    server.stop(2.0)


@pytest.fixture
def base(shared_server, source):
    """The address of an endpoint without a token."""
    current, url = shared_server
    current.source = source
    return url


@pytest.fixture
def get(base):
    """Ask the endpoint for a path."""
    with requests.Session() as session:

        def ask(path, method="GET", **arguments):
            return session.request(method, base + path, timeout=10, allow_redirects=False, **arguments)

        yield ask
