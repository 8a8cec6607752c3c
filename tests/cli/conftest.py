"""A project folder with a state folder, and verbs that are called in this process."""

import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from runner.cli import main
from runner.core.delivery import DeliveryAttempt, DeliveryState, Mail, MailKind, SendResult
from runner.core.run import FailureKind, Run, RunFailure, RunState, Trigger
from runner.settings import load_settings
from runner.store.store import Store

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
JOB = (
    "job_name: sales\nschedule_time: '0 9 * * *'\nconsumer_emails: [a@example.com]\n"
    "data_source: {source_type: file, location: a.csv, file_type: csv}\n"
)
CURSED = "550 \x1b[2Jno such user"
MESSAGE = (
    b"Date: Mon, 02 Mar 2026 12:00:00 +0000\r\nMessage-ID: <one@example.com>\r\nX-Runner-Job: sales\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nThe result \x1b[31m has 1 row.\r\n"
)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty project, as the working folder."""
    for name in ("SMTP_HOST", "STATUS_PORT", "JOBS_DIR", "JOB_STORAGE_PATH", "TIMEZONE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STATUS_PORT", "0")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jobs.d").mkdir()
    (tmp_path / "jobs.d" / "sales.yaml").write_text(JOB)
    return tmp_path


@pytest.fixture
def call(project, monkeypatch):
    """The verb's result: exit code, what it prints, what it complains of. The terminal has 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    handlers, level = logging.root.handlers[:], logging.root.level
    yield lambda *arguments: CliRunner().invoke(main, arguments, prog_name="runner")
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)


@pytest.fixture
def message():
    """The bytes of the mail in `history`."""
    return MESSAGE


@pytest.fixture
def history(project):
    """A run that failed, and a mail that one of two people has not got."""
    settings = load_settings({}, folder=project)
    mail = Mail(
        run_id="001",
        kind=MailKind.FAILURE,
        message_id="<one@example.com>",
        sender="r@example.com",
        recipients=("a@example.com", "b@example.com"),
        subject="Job Failed: sales",
        message=MESSAGE,
    )
    run = Run(
        run_id="001",
        job_name="sales",
        trigger=Trigger.SCHEDULE,
        scheduled_time=NOON,
        state=RunState.QUEUED,
        queued_at=NOON,
    )
    failed = replace(
        run,
        state=RunState.FAILED,
        started_at=NOON,
        finished_at=NOON + timedelta(seconds=3),
        failure=RunFailure(kind=FailureKind.FETCH, message="there is \x1b[31m no file"),
    )
    with Store.open(settings.storage_path) as store:
        store.record_fires([run], [])
        store.mark_running("001", NOON)
        ended, _ = store.finish_run(failed, (mail,))
        results = (SendResult(state=DeliveryState.SENT), SendResult(state=DeliveryState.DEAD, error=CURSED))
        store.record_attempts(
            [
                DeliveryAttempt(delivery_id=delivery.delivery_id, result=result, at=NOON)
                for delivery, result in zip(ended.deliveries, results, strict=True)
            ]
        )
    return settings
