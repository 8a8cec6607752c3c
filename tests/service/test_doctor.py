import json
import os
import socket
import sqlite3
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import islice
from pathlib import Path

import pytest

from runner import mounts
from runner.core.health import Health
from runner.core.job import AttachmentFormat, DeliveryOptions, Resources
from runner.core.mounts import Mount
from runner.jobfiles.git.repository import clean_environment
from runner.service.doctor import clock as clock_check
from runner.service.doctor import diagnose
from runner.service.doctor.clock import check_clock, is_synchronized
from runner.service.doctor.machine import (
    check_resources,
    check_sandbox,
    check_spreadsheets,
    check_zones,
    group_bounds,
)
from runner.service.doctor.mail import check_mail
from runner.service.doctor.project import check_git, check_jobs, read_jobs
from runner.service.doctor.settings import read_settings
from runner.service.doctor.state import check_database, check_service, check_state
from runner.service.peer import ask_service
from runner.settings import Secret, SmtpSettings, StatusSettings
from runner.store.migrations import NEWEST
from runner.store.store import Store

JOB = (
    "job_name: {name}\nschedule_time: '@daily'\nconsumer_emails: [a@example.com]\n"
    "data_source: {{source_type: file, location: a.csv, file_type: csv}}\n"
)


@pytest.fixture
def jobs_dir(settings):
    settings.jobs_dir.mkdir()
    (settings.jobs_dir / "good.yaml").write_text(JOB.format(name="good"))
    return settings.jobs_dir


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def git(folder, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(
        ["git", *identity, *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
        env=clean_environment(os.environ),
    )


def test_settings_are_read_and_misspelt_ones_are_found(tmp_path):
    env_file = tmp_path / ".env"
    found, finding = read_settings(tmp_path)
    assert (finding.health, found is None, "no .env" in finding.message) == (Health.OK, False, True)
    env_file.write_text("SMTP_HOTS=mail.example.com\nORDERS=1\n")
    _, finding = read_settings(tmp_path)
    assert (finding.health, "SMTP_HOTS" in finding.message, "SMTP_HOST" in finding.hint) == (
        Health.WARNING,
        True,
        True,
    )
    env_file.write_text("ORDERS_TOKEN=s3cret\n")
    env_file.chmod(0o644)
    _, finding = read_settings(tmp_path)
    assert (finding.health, "ORDERS_TOKEN" in finding.message) == (Health.WARNING, True)
    assert "s3cret" not in f"{finding}"
    env_file.chmod(0o600)
    assert read_settings(tmp_path)[1].health is Health.OK
    env_file.write_text("LOG_LEVEL=loud\n")
    found, finding = read_settings(tmp_path)
    assert (found, finding.health, "LOG_LEVEL='loud'" in finding.message) == (None, Health.PROBLEM, True)
    # All else depends on them.
    assert list(diagnose(tmp_path)) == [finding]


def test_jobs_are_counted(settings, jobs_dir):
    assert check_jobs(settings, read_jobs(settings)[0]).message == f"1 valid in {jobs_dir}"
    (jobs_dir / "bad.yaml").write_text("job_name: [")
    finding = check_jobs(settings, read_jobs(settings)[0])
    assert (finding.health, "1 invalid: jobs.d/bad.yaml" in finding.message) == (Health.PROBLEM, True)
    for file in jobs_dir.iterdir():
        file.unlink()
    finding = check_jobs(settings, read_jobs(settings)[0])
    assert (finding.health, finding.message) == (Health.WARNING, f"no job files in {jobs_dir}")
    assert finding.hint == "runner init makes a first one."
    jobs_dir.rmdir()
    finding = read_jobs(settings).unreadable
    assert (finding.health, str(jobs_dir) in finding.message) == (Health.PROBLEM, True)


def test_a_folder_that_does_not_answer_is_told_soon_and_git_is_not_asked(tmp_path, mount):
    mount.path = tmp_path / "jobs.d"
    mount.goes()
    began = time.monotonic()
    findings = {finding.subject: finding for finding in islice(diagnose(tmp_path), 3)}
    assert time.monotonic() - began < 10
    assert (findings["jobs"].health, "does not answer" in findings["jobs"].message) == (Health.PROBLEM, True)
    assert (findings["git"].health, "git is not asked" in findings["git"].message) == (Health.WARNING, True)


def test_git_is_looked_at(settings, jobs_dir, monkeypatch):
    finding = check_git(settings)
    assert (finding.health, "is in no repository" in finding.message) == (Health.WARNING, True)
    git(settings.project_dir, "init", "-q")
    assert "no commit yet" in check_git(settings).message
    git(settings.project_dir, "add", "jobs.d")
    git(settings.project_dir, "commit", "-qm", "a")
    assert check_git(settings).health is Health.OK
    (jobs_dir / "more.yaml").write_text(JOB.format(name="more"))
    finding = check_git(settings)
    assert (finding.health, "1 file of jobs.d is not as committed" in finding.message) == (Health.WARNING, True)
    monkeypatch.setenv("PATH", "/nowhere")
    finding = check_git(settings)
    assert (finding.health, "Install git" in finding.hint) == (Health.WARNING, True)


def test_a_repository_of_another_user_is_explained(settings, jobs_dir, monkeypatch, tmp_path):
    git(settings.project_dir, "init", "-q")
    tools = tmp_path / "tools"
    tools.mkdir()
    # As git answers in a repository that belongs to another user.
    (tools / "git").write_text(
        '#!/bin/sh\ncase "$*" in *--version*) echo git version 2.39.5; exit 0;; esac\n'
        "echo \"fatal: detected dubious ownership in repository at '$PWD'\" >&2; exit 128\n"
    )
    (tools / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    finding = check_git(settings)
    assert (finding.health, "safe.directory" in finding.hint) == (Health.PROBLEM, True)


def test_the_state_folder_is_tried_and_left_as_it_was(settings, tmp_path):
    assert "is made when the service starts" in check_state(settings).message
    assert not settings.state_dir.exists()
    settings.state_dir.mkdir()
    assert check_state(settings).health is Health.OK
    assert list(settings.state_dir.iterdir()) == []
    blocked = replace(settings, storage_path=tmp_path / "file" / "runner.db")
    (tmp_path / "file").write_text("no folder")
    finding = check_state(blocked)
    assert (finding.health, "is no folder" in finding.message) == (Health.PROBLEM, True)


def test_state_that_other_machines_may_reach_is_warned_of(settings, tmp_path, monkeypatch):
    listed = (Mount(point="/", kind="ext4"), Mount(point=str(tmp_path.resolve()), kind="nfs4"))
    monkeypatch.setattr(mounts, "read_mounts", lambda: listed)
    to_be_made = check_state(settings)
    settings.state_dir.mkdir()
    made = check_state(settings)
    assert "is made when the service starts, but lies on a mount of type nfs4" in to_be_made.message
    for finding in (to_be_made, made):
        assert (finding.health, "is not refused" in finding.message) == (Health.WARNING, True)
        assert "other machines, or the host of this one, may use" in finding.message
        assert finding.hint == "Set JOB_STORAGE_PATH to a file on a disk of this machine."


def test_the_database_is_checked_and_left_as_it_was(settings):
    assert "none yet" in check_database(settings).message
    Store.open(settings.storage_path).close()
    assert f"whole, schema {NEWEST}" in check_database(settings).message
    with sqlite3.connect(settings.storage_path) as other:
        other.execute("UPDATE schema_migrations SET number = number + 7")
    other.close()
    finding = check_database(settings)
    assert (finding.health, "newer runner" in finding.message) == (Health.PROBLEM, True)
    with sqlite3.connect(settings.storage_path) as other:
        other.execute("DELETE FROM schema_migrations WHERE number > (SELECT min(number) FROM schema_migrations)")
        other.execute("UPDATE schema_migrations SET number = 1")
    other.close()
    finding = check_database(settings)
    assert (finding.health, "older runner" in finding.message) == (Health.WARNING, True)
    settings.storage_path.write_bytes(b"nonsense")
    assert check_database(settings).health is Health.PROBLEM


def test_a_damaged_database_is_found(settings):
    with Store.open(settings.storage_path):
        pass
    content = bytearray(settings.storage_path.read_bytes())
    content[4096 * 3 : 4096 * 6] = b"\xff" * 4096 * 3
    settings.storage_path.write_bytes(content)
    finding = check_database(settings)
    assert (finding.health, "damaged" in finding.message) == (Health.PROBLEM, True)


def test_the_status_port_must_be_free(settings, closed_port):
    status = StatusSettings(port=closed_port)
    assert f"127.0.0.1:{closed_port} is free" in check_service(replace(settings, status=status)).message
    with socket.socket() as other:
        other.bind(("127.0.0.1", closed_port))
        other.listen()
        finding = check_service(replace(settings, status=status))
    assert (finding.health, "STATUS_PORT" in finding.hint) == (Health.PROBLEM, True)


@pytest.mark.parametrize(
    ("answer", "health", "told"),
    [
        ({"ready": True, "reasons": []}, Health.OK, "ready, page at"),
        ({"ready": False, "reasons": ["the disk is full"]}, Health.PROBLEM, "not ready: the disk is full"),
        ("something else", Health.PROBLEM, "does not answer"),
    ],
)
def test_a_running_service_is_asked(settings, answer, health, told):
    asked = []

    class Endpoint(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.path, self.headers["Authorization"].encode("latin-1").decode()))
            body = json.dumps(answer).encode()
            self.send_response(200 if health is Health.OK else 503)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Endpoint)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    status = StatusSettings(host="0.0.0.0", port=server.server_port, token=Secret("t0ken日"))
    try:
        with Store.open(settings.storage_path):
            finding = check_service(replace(settings, status=status))
    finally:
        server.shutdown()
        server.server_close()
    assert (finding.health, told in finding.message) == (health, True)
    assert f"a service, process {os.getpid()}" in finding.message
    assert asked == [("/readyz", "Bearer t0ken日")]


def test_a_single_run_is_no_service(settings, closed_port):
    status = StatusSettings(port=closed_port)
    with Store.open(settings.storage_path, beside_service=True):
        assert not ask_service(replace(settings, status=status)).running
    with Store.open(settings.storage_path):
        found = ask_service(replace(settings, status=status))
    assert (found.running, found.ready) == (True, None)


def test_mail_is_tried(settings, closed_port):
    finding = check_mail(settings)
    assert (finding.health, str(settings.mail_dir) in finding.message) == (Health.WARNING, True)
    assert not settings.state_dir.exists()
    away = replace(settings, smtp=SmtpSettings(host="127.0.0.1", port=closed_port))
    finding = check_mail(away)
    assert (finding.health, f"127.0.0.1:{closed_port}" in finding.message) == (Health.PROBLEM, True)
    broken = replace(settings, smtp=SmtpSettings(host="127.0.0.1", ca_file=settings.project_dir / "none.pem"))
    assert "SMTP_CA_FILE" in check_mail(broken).message


def test_another_user_than_that_of_the_service_gets_every_finding(settings):
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        state = Path(name) / "data"
        state.mkdir(mode=0o700)
        elsewhere = replace(settings, storage_path=state / "runner.db")
        if os.geteuid() == 0:
            os.seteuid(65534)
        else:
            state.chmod(0)
        try:
            findings = [check(elsewhere) for check in (check_state, check_database, check_mail)]
        finally:
            if os.getuid() == 0:
                os.seteuid(0)
            state.chmod(0o700)
    assert [found.health for found in findings] == [Health.PROBLEM, Health.PROBLEM, Health.WARNING]


@pytest.mark.parametrize("trouble", ["file", "link"])
def test_a_folder_that_takes_no_mails_is_a_problem(settings, trouble):
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    if trouble == "file":
        settings.mail_dir.write_text("a file where the folder should be")
    else:
        settings.mail_dir.symlink_to(settings.state_dir / "away")
    finding = check_mail(settings)
    assert finding.health is Health.PROBLEM
    assert finding.message.startswith(f"{settings.mail_dir} takes no mails: ")


def test_a_server_that_takes_mails_needs_a_sender(settings, smtp_controller):
    controller = smtp_controller(object(), hostname="127.0.0.1", port=0)
    controller.start()
    try:
        smtp = SmtpSettings(host="127.0.0.1", port=controller.port, use_tls=False)
        finding = check_mail(replace(settings, smtp=smtp))
        assert (finding.health, "SMTP_FROM_EMAIL" in finding.hint) == (Health.PROBLEM, True)
        smtp = replace(smtp, from_email="reports@example.com")
        assert check_mail(replace(settings, smtp=smtp)).health is Health.OK
    finally:
        controller.stop()


@pytest.mark.long
def test_zones_sandbox_memory_and_spreadsheets(settings, make_job, monkeypatch):
    now = datetime.now(UTC)
    assert check_zones(settings, [make_job(timezone="Europe/Berlin")], now=now).message.startswith("2 in use")
    finding = check_zones(settings, [make_job(timezone="Mars/Base")], now=now)
    assert (finding.health, "Mars/Base" in finding.message) == (Health.PROBLEM, True)
    assert check_zones(settings, [], now=now + timedelta(days=9 * 366)).health is Health.WARNING

    assert "SANDBOX=off" in check_sandbox(replace(settings, sandbox="off")).message
    best = check_sandbox(replace(settings, sandbox="best-effort"))
    assert ("namespaces" in best.message.partition(" (")[0]) != ("no namespaces: " in best.message)

    two = replace(settings, max_concurrent_runs=2)
    jobs = [make_job(f"j{number}", resources=Resources(memory_mb=1 << number)) for number in range(30)]
    finding = check_resources(two, jobs)
    assert (finding.health, f"{(1 << 29) + (1 << 28):,} MiB" in finding.message) == (Health.WARNING, True)
    assert check_resources(two, jobs[:3]).health is Health.OK

    sheet = make_job(delivery=DeliveryOptions(attachment=AttachmentFormat.XLSX))
    assert "1 job attaches xlsx" in check_spreadsheets([sheet]).message
    monkeypatch.setattr("runner.service.doctor.machine.util.find_spec", lambda _name: None)
    assert check_spreadsheets([sheet]).health is Health.PROBLEM
    assert check_spreadsheets([make_job()]).health is Health.WARNING


@pytest.mark.parametrize(
    ("line", "files", "bounds"),
    [
        ("0::/a.slice/b.service", {"a.slice/b.service/memory.max": "2", "a.slice/memory.max": "3"}, [2, 3]),
        ("0::/b.service", {"b.service/memory.max": "max", "memory.max": "4"}, [4]),
        ("4:cpu,memory:/b", {"memory/b/memory.limit_in_bytes": "5", "memory.max": "6"}, [5]),
        ("3:cpu:/b", {"cpu/b/memory.limit_in_bytes": "7"}, []),
        # A group of another namespace, as a container sees it.
        ("0::/../b.service", {"memory.max": "8"}, [8]),
    ],
)
def test_memory_is_bounded_by_each_control_group(tmp_path, line, files, bounds):
    (tmp_path / "groups").write_text(f"{line}\n")
    for name, text in files.items():
        (tmp_path / "fs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "fs" / name).write_text(f"{text}\n")
    assert group_bounds(tmp_path / "groups", tmp_path / "fs") == bounds
    assert group_bounds(tmp_path / "none", tmp_path / "fs") == []


def test_the_clock_is_looked_at(monkeypatch):
    assert is_synchronized() in {True, False, None}
    begun = datetime(2026, 3, 2, tzinfo=UTC)
    steady = 100.0
    monkeypatch.setattr(clock_check.time, "monotonic", lambda: steady + 5)
    for moved, health in ((0, Health.OK), (3, Health.WARNING), (-3600, Health.WARNING)):
        moment = begun + timedelta(seconds=5 + moved)
        monkeypatch.setattr(clock_check, "utc_now", lambda moment=moment: moment)
        monkeypatch.setattr(clock_check, "_made_at", lambda: begun)
        monkeypatch.setattr(clock_check, "is_synchronized", lambda: True)
        assert check_clock(begun, steady).health is health
    monkeypatch.setattr(clock_check, "utc_now", lambda: begun + timedelta(seconds=5))
    for kept, health, told in ((None, Health.OK, "cannot be told"), (False, Health.WARNING, "no time service")):
        monkeypatch.setattr(clock_check, "is_synchronized", lambda kept=kept: kept)
        finding = check_clock(begun, steady)
        assert (finding.health, told in finding.message) == (health, True)
    monkeypatch.setattr(clock_check, "_made_at", lambda: begun + timedelta(days=365))
    assert check_clock(begun, steady).health is Health.PROBLEM
