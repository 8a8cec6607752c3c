import asyncio
import contextlib
import logging
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
import trustme
from aiosmtpd.smtp import AuthResult

from runner.core.delivery import Mail, MailKind
from runner.core.job import Job
from runner.core.preview import Preview
from runner.core.report import Report
from runner.core.run import FailureKind, Run, RunFailure, RunState, Trigger
from runner.core.source import DataSource, FileType, SourceType
from runner.delivery.attachment import attach
from runner.delivery.compose import compose
from runner.delivery.smtp import SmtpTransport
from runner.settings import Secret, SmtpSettings

NOON = datetime(2025, 11, 9, 13, 0, tzinfo=UTC)
PASSWORD = "s3cret-passwörd"


@pytest.fixture
def make_report():
    def make(*, job=None, run=None, preview=None, result=b"a,b\n1,2\n", failed=False, **report):
        values = {
            "job_name": "daily_sales",
            "schedule_time": "0 14 * * *",
            "timezone": "Europe/Berlin",
            "data_source": DataSource(source_type=SourceType.FILE, location="x.csv", format=FileType.CSV),
            "consumer_emails": ("anna@example.com", "bert@example.org"),
            "path": "jobs.d/daily_sales.yaml",
        }
        the_job = Job(**{**values, **(job or {})})
        values = {
            "run_id": "01k9mabcdefghjkmnpqrstvwxy",
            "job_name": the_job.job_name,
            "trigger": Trigger.SCHEDULE,
            "scheduled_time": NOON,
            "queued_at": NOON,
            "started_at": NOON,
            "finished_at": NOON + timedelta(seconds=32, milliseconds=400),
            "state": RunState.FAILED if failed else RunState.SUCCEEDED,
            "rows_in": 20000,
            "rows_out": None if failed else 18204,
            "revision": "1a2b3c4d5e6f7788",
        }
        if failed:
            values["failure"] = RunFailure(
                kind=FailureKind.SCRIPT,
                message="the script raised KeyError: 'amuont'",
                hint="Did you mean 'amount'?",
                traceback='Traceback (most recent call last):\n  File "jobs.d/daily_sales.yaml", line 12\nKeyError',
            )
        if preview is None:
            preview = Preview(
                columns=("region", "revenue"),
                numeric=(False, True),
                rows=(("Süd", "1234.5"), ("Nord", "7")),
                total_rows=18204,
                total_columns=5,
            )
        the_run = Run(**{**values, **(run or {})})
        return Report(run=the_run, job=the_job, preview=preview, result=None if failed else result, **report)

    return make


@pytest.fixture
def make_mail(make_report):
    def make(run_id="01k9mabcdefghjkmnpqrstvwxy", **job):
        report = make_report(run={"run_id": run_id}, job=job)
        return compose(
            report,
            attached=attach(report, kept_at=None),
            sender="Reports <runner@example.com>",
            message_domain="example.com",
        )

    return make


@pytest.fixture
def small_mail():
    return Mail(
        run_id="r1",
        kind=MailKind.RESULTS,
        message_id="<r1.results@example.com>",
        sender="runner@example.com",
        recipients=("anna@example.com",),
        subject="Job Results: j - t",
        message=b"Date: Sun, 09 Nov 2025 13:00:00 +0000\r\nSubject: x\r\nX-Runner-Job: j\r\n\r\nbody\r\n",
    )


class Inbox:
    """What an SMTP server was given, and how it answers. `answers` maps an address to a refusal."""

    def __init__(self):
        self.envelopes = []
        self.sessions = []
        self.answers = {}
        self.data_answer = "250 taken"
        self.mail_answer = None
        self.drop_after_data = False
        self.answers_after = 0.0

    async def handle_MAIL(self, server, session, envelope, address, options):
        self.sessions.append(session)
        if self.mail_answer:
            return self.mail_answer
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if self.drop_after_data:
            server.transport.close()
            return "250 too late"
        await asyncio.sleep(self.answers_after)
        if self.data_answer.startswith("250"):
            self.envelopes.append(envelope)
        return self.data_answer


def _authenticate(server, session, envelope, mechanism, auth_data):
    good = auth_data.login == b"robot" and auth_data.password == PASSWORD.encode()
    # `handled=False` lets aiosmtpd give the 535 answer.
    return AuthResult(success=good, handled=good)


@pytest.fixture
def inbox():
    return Inbox()


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def other_authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def server_tls(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def ca_file(authority, tmp_path):
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def make_server(smtp_controller, inbox):
    """A real SMTP server on a free port; keywords are those of aiosmtpd."""
    logging.getLogger("mail.log").setLevel(logging.CRITICAL)
    running = []

    def make(*, auth=False, **options):
        if auth:
            options |= {"authenticator": _authenticate, "auth_required": True}
        controller = smtp_controller(inbox, hostname="127.0.0.1", port=0, **options)
        controller.start()
        running.append(controller)
        return controller.port

    yield make
    for controller in running:
        controller.stop()


@pytest.fixture
def raw_server():
    """A server that says what a test tells it: `talk(connection)` is called with the accepted socket."""
    import socket

    ended = threading.Event()
    opened, threads = [], []

    def make(talk):
        listening = socket.create_server(("127.0.0.1", 0))
        opened.append(listening)

        def serve():
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                opened.append(connection)
                with connection:
                    try:
                        talk(connection, ended)
                    except OSError:
                        continue

        threads.append(threading.Thread(target=serve, daemon=True))
        threads[-1].start()
        return listening.getsockname()[1]

    yield make
    ended.set()
    for one in opened:
        # A connection may be closed already.
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
    # One that goes on would take its time from all tests to come.
    for thread in threads:
        thread.join(5)
    assert not [thread for thread in threads if thread.is_alive()]


@pytest.fixture
def make_transport():
    opened = []

    def make(port, *, total_timeout=5.0, host="127.0.0.1", **settings):
        values = {"host": host, "port": port, "use_tls": False, "from_email": "runner@example.com", **settings}
        if "password" in values:
            values["password"] = Secret(values["password"])
        transport = SmtpTransport(SmtpSettings(**values), total_timeout=total_timeout)
        opened.append(transport)
        return transport

    yield make
    for transport in opened:
        transport.close()
