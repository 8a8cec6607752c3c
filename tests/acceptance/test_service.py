"""The main job, end to end: a file is committed and a mail arrives; then the file changes while the service runs."""

import contextlib
import json
import re
import signal
import socket
import sqlite3
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

JOB = """\
job_name: sales
description: Sales by category
schedule_time: "* * * * *"
timezone: Europe/Berlin
data_source:
  source_type: api
  location: {url}
  headers:
    Authorization: Bearer ${{env:SALES_TOKEN}}
processing_script: |
  result = data.groupby("category").sum()
consumer_emails:
  - analyst@example.com
  - sales@example.com
"""
TOKEN = "planted-token-4711"


def attachment(mail):
    (part,) = mail.iter_attachments()
    return part.get_filename(), part.get_payload(decode=True)


@pytest.mark.timeout(240)
def test_a_committed_file_becomes_a_mail_and_follows_its_edits(repository, api, mail_server, start_service):
    api.document = [
        {"category": "Toys", "amount": 10.5, "quantity": 1},
        {"category": "Books", "amount": 7.25, "quantity": 2},
        {"category": "Toys", "amount": 4.5, "quantity": 3},
    ]
    repository.write("_policy.yaml", "private_hosts: [127.0.0.1]\n")
    path = repository.write("sales.yaml", JOB.format(url=api.url))
    commit = repository.commit("Sales every minute")
    service = start_service(repository.folder, SALES_TOKEN=TOKEN, **mail_server.environment)

    job = service.job("sales")
    assert job["sync"] == "in_force"
    assert job["revision"] == commit
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:00Z", job["next_fire"])

    (mail,) = service.wait_for(lambda: mail_server.mails_to("analyst@example.com"), 75, "the first mail")
    assert re.fullmatch(r"Job Results: sales - \d{4}-\d\d-\d\d \d\d:\d\d:00", mail["Subject"])
    name, content = attachment(mail)
    assert re.fullmatch(r"sales_\d{4}-\d\d-\d\d\.csv", name)
    assert content == b"category,amount,quantity\nBooks,7.25,2\nToys,15.0,4\n"
    body = mail.get_body(("plain",)).get_content()
    assert commit[:12] in body
    assert re.search(r"Scheduled +\d{4}-\d\d-\d\d \d\d:\d\d CES?T \(\+0[12]:00\)", body)
    sent = {name.lower(): value for name, value in api.requests[0][1].items()}
    assert sent["authorization"] == f"Bearer {TOKEN}"
    recipients = {recipient for names, _, _, _ in mail_server.box.mails for recipient in names}
    assert recipients == {"analyst@example.com", "sales@example.com"}
    assert all(secure and login == mail_server.user for _, _, secure, login in mail_server.box.mails)

    (run,) = service.wait_for(
        lambda: [run for run in service.runs("sales") if all(one["state"] == "sent" for one in run["deliveries"])],
        10,
        "the deliveries to be on record",
    )
    assert (run["state"], run["trigger"], run["rows_in"], run["rows_out"]) == ("succeeded", "schedule", 3, 2)
    # Or the minute before, where that began while the file was read.
    next_fire = datetime.fromisoformat(job["next_fire"])
    assert next_fire - datetime.fromisoformat(run["scheduled_time"]) in {timedelta(0), timedelta(minutes=1)}

    edited = JOB.format(url=api.url).replace(".sum()", '.sum()[["quantity"]]')
    path.write_text(edited)
    repository.commit("Only quantities")
    service.wait_for(lambda: service.job("sales")["digest"] != job["digest"], 15, "the edit to be in force")

    path.write_text(edited.replace('schedule_time: "* * * * *"', 'schedule_time: "61 * * * *"'))
    broken = service.wait_for(
        lambda: next((one for one in service.get("/jobs")["jobs"] if one["sync"] == "invalid"), None),
        15,
        "the broken file to be shown",
    )
    assert broken["schedule_time"] == "* * * * *", "the last good version stays in force"
    assert [found["rule"] for found in broken["diagnostics"]] == ["cron-syntax"]
    assert broken["diagnostics"][0]["line"] == 3

    second = service.wait_for(
        lambda: mail_server.mails_to("analyst@example.com")[1:], 75, "the mail of the last good"
    )
    assert attachment(second[0])[1] == b"category,quantity\nBooks,2\nToys,4\n"

    path.write_text(edited)
    service.wait_for(lambda: service.job("sales")["sync"] == "in_force", 15, "the mended file")
    path.unlink()
    repository.commit("No more sales")
    service.wait_for(lambda: service.get("/jobs")["jobs"] == [], 15, "the job to be gone")

    assert service.stop() == 0
    log = service.log()
    assert "Stopped. Runs finished: 0; handed back, to start again with the service: 0" in log
    assert "[sales] Starting run" in log
    assert TOKEN not in log
    assert mail_server.password not in log
    state = [path for path in (repository.folder / "data").rglob("*") if path.is_file()]
    assert state
    assert not [path for path in state if TOKEN.encode() in path.read_bytes()]


SLOW = """\
job_name: slow
schedule_time: "* * * * *"
data_source:
  source_type: file
  location: input.csv
  file_type: csv
processing_script: |
  import time
  time.sleep(600)
  result = data
consumer_emails: [analyst@example.com]
owner: owner@example.com
timeout_seconds: 900
"""


def descendants(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            child = int(stat.parent.name)
            found += [child, *descendants(child)]
    return found


def alive(pid: int) -> bool:
    """Whether a process still runs; one that has ended and waits for its parent to notice does not."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.long
@pytest.mark.timeout(240)
def test_kill_and_restart_loses_nothing_unsaid(repository, mail_server, start_service):
    (repository.folder / "input.csv").write_text("a\n1\n")
    path = repository.write("slow.yaml", SLOW)
    repository.commit("A slow job")
    service = start_service(repository.folder, **mail_server.environment)
    service.wait_for(lambda: [run for run in service.runs("slow") if run["state"] == "running"], 75, "the run")
    (run,) = service.runs("slow")
    children = descendants(service.process.pid)
    assert children
    service.kill()

    path.write_text(SLOW.replace("job_name: slow", "job_name: slow\nno_such_key: 1"))
    again = start_service(repository.folder, **mail_server.environment)
    assert not [pid for pid in children if alive(pid)]
    after = {one["run_id"]: one for one in again.runs("slow")}
    assert after[run["run_id"]]["state"] == "lost"
    mails = again.wait_for(lambda: mail_server.mails_to("owner@example.com"), 15, "the mail about the lost run")
    assert mails[0]["Subject"].startswith("Job Failed: slow - ")

    kept = again.job("slow")
    assert kept["sync"] == "invalid"
    assert kept["schedule_time"] == "* * * * *", "the last good version survives the restart"

    path.unlink()
    (path.parent / ".gitkeep").touch()
    again.wait_for(lambda: not again.get("/jobs")["jobs"], 15, "the job to be gone")
    again.process.send_signal(signal.SIGINT)
    assert again.process.wait(40) == 0


@pytest.mark.long
def test_a_second_service_refuses_to_start(repository, start_service, runner):
    service = start_service(repository.folder)
    second = runner("start", cwd=repository.folder)
    assert second.returncode == 3
    assert str(service.process.pid) in second.stderr
    assert service.get("/healthz")


@pytest.mark.long
def test_a_start_where_there_is_no_folder_of_jobs_says_what_to_do(tmp_path, runner):
    done = runner("start", cwd=tmp_path)
    assert done.returncode == 3
    assert "jobs.d cannot be listed" in done.stderr
    assert "set JOBS_DIR" in done.stderr


@pytest.mark.long
def test_hup_reloads_at_once(repository, start_service):
    service = start_service(repository.folder)
    service.process.send_signal(signal.SIGHUP)
    service.wait_for(lambda: "Reload asked for" in service.log(), 10, "the reload")
    assert service.stop() == 0


@pytest.mark.long
def test_without_a_mail_server_mails_are_kept_and_that_is_said(repository, start_service):
    service = start_service(repository.folder)
    (line,) = [line for line in service.log().splitlines() if "Mails:" in line]
    assert str(repository.folder / "data" / "mail") in line


ONCE = """\
job_name: once
schedule_time: "@yearly"
data_source: {source_type: file, location: input.csv, file_type: csv}
processing_script: |
  import time
  time.sleep(SECONDS)
  result = data
consumer_emails: [analyst@example.com]
"""


@pytest.mark.long
def test_a_single_run_beside_a_service_is_mailed_once_even_over_its_restart(
    repository, mail_server, start_service, spawn
):
    (repository.folder / "input.csv").write_text("a\n1\n")
    repository.write("once.yaml", ONCE.replace("SECONDS", "6"))
    repository.commit("A job")
    service = start_service(repository.folder, **mail_server.environment)
    single = spawn("run", "once", cwd=repository.folder, env=mail_server.environment)
    service.wait_for(lambda: [run for run in service.runs("once") if run["state"] == "running"], 20, "the run")
    assert service.stop() == 0
    again = start_service(repository.folder, **mail_server.environment)
    assert single.wait(40) == 0, single.stdout.read()
    (run,) = again.wait_for(
        lambda: [one for one in again.runs("once") if [mail["state"] for mail in one["deliveries"]] == ["sent"]],
        15,
        "the delivery",
    )
    assert run["state"] == "succeeded"
    assert len(mail_server.mails_to("analyst@example.com")) == 1


@pytest.mark.long
def test_a_single_run_that_is_ended_from_outside_is_cancelled(repository, spawn, runner):
    (repository.folder / "input.csv").write_text("a\n1\n")
    repository.write("once.yaml", ONCE.replace("SECONDS", "60"))
    single = spawn("run", "once", cwd=repository.folder)
    deadline = time.monotonic() + 20
    states = []
    while states != ["running"] and time.monotonic() < deadline:
        listed = runner("history", "--json", cwd=repository.folder)
        states = [run["state"] for run in json.loads(listed.stdout)["runs"]]
    single.terminate()
    assert single.wait(20) == 130
    (run,) = json.loads(runner("history", "--json", cwd=repository.folder).stdout)["runs"]
    assert (run["state"], run["deliveries"]) == ("cancelled", [])


@pytest.mark.long
def test_two_single_runs_at_once_are_both_mailed(repository, mail_server, spawn):
    (repository.folder / "input.csv").write_text("a\n1\n")
    repository.write("once.yaml", ONCE.replace("SECONDS", "1"))
    repository.commit("A job")
    runs = [spawn("run", "once", cwd=repository.folder, env=mail_server.environment) for _ in range(2)]
    assert [run.wait(40) for run in runs] == [0, 0]
    assert len(mail_server.mails_to("analyst@example.com")) == 2


@pytest.mark.long
def test_a_mail_that_could_not_be_sent_outlives_a_kill_and_stays_the_same_mail(
    repository, mail_server, start_service, runner
):
    (repository.folder / "input.csv").write_text("a\n1\n")
    repository.write("once.yaml", ONCE.replace("SECONDS", "0"))
    repository.commit("A job")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = str(closed.getsockname()[1])
    service = start_service(repository.folder, **{**mail_server.environment, "SMTP_PORT": nobody})
    single = runner("run", "once", cwd=repository.folder, env={**mail_server.environment, "SMTP_PORT": nobody})
    assert single.returncode == 1
    assert "1 of 1 mail not sent: 1 deferred." in single.stderr
    (run,) = service.wait_for(
        lambda: [
            one for one in service.runs("once") if [mail["state"] for mail in one["deliveries"]] == ["deferred"]
        ],
        15,
        "the first attempt",
    )
    service.kill()
    with contextlib.closing(sqlite3.connect(repository.folder / "data" / "runner.db")) as database:
        # The next attempt is minutes away: no test waits for that.
        database.execute("UPDATE deliveries SET next_attempt_at = 0")
        database.commit()
    again = start_service(repository.folder, **mail_server.environment)
    (mail,) = again.wait_for(lambda: mail_server.mails_to("analyst@example.com"), 15, "the mail")
    assert mail["Message-ID"] == run["deliveries"][0]["message_id"]
    again.wait_for(lambda: again.runs("once")[0]["deliveries"][0]["state"] == "sent", 10, "the record of it")
