"""`runner run` and `runner backfill`: through the running service's queue, or in a process of their own."""

import asyncio
import json
import os
import re
import signal
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

JOB = """\
job_name: sales
schedule_time: "0 6 * * *"
timezone: Europe/Berlin
data_source: {source_type: file, location: input.csv, file_type: csv}
consumer_emails: [analyst@example.com]
"""
AFTER = """\
job_name: summary
after: [sales]
data_source: {source_type: file, location: input.csv, file_type: csv}
consumer_emails: [boss@example.com]
"""
SPAN = ("--from", "2025-11-01", "--to", "2025-11-04")


@pytest.fixture
def project(repository):
    repository.write("sales.yaml", JOB)
    repository.write("summary.yaml", AFTER)
    (repository.folder / "input.csv").write_text("category,amount\nToys,1\nBooks,-2\n")
    return repository.folder


@pytest.mark.long
def test_without_a_service_they_run_here_and_jobs_that_come_after_follow(project, runner):
    plan = runner("backfill", "sales", *SPAN, "--dry-run", cwd=project)
    assert plan.returncode == 0, plan.stderr
    assert plan.stdout.splitlines()[0] == "4 fires to run"
    assert "2025-11-01 06:00 CET (+01:00)" in plan.stdout

    done = runner("backfill", "sales", *SPAN, "--json", cwd=project)
    assert done.returncode == 0, done.stderr
    runs = json.loads(done.stdout)["runs"]
    assert [run["scheduled_time"] for run in runs] == [f"2025-11-0{day}T05:00:00Z" for day in (1, 2, 3, 4)]
    assert {(run["trigger"], run["state"]) for run in runs} == {("backfill", "succeeded")}
    assert len(list((project / "data" / "mail").glob("*.eml"))) == 8

    history = json.loads(runner("history", "summary", "--json", cwd=project).stdout)["runs"]
    assert sorted(run["scheduled_time"] for run in history) == [run["scheduled_time"] for run in runs]

    again = runner("backfill", "sales", *SPAN, cwd=project)
    assert again.returncode == 0
    assert "0 fires to run; 4 succeeded before" in again.stderr


LARGE = """\
job_name: large
schedule_time: "0 * * * *"
data_source: {source_type: file, location: input.csv, file_type: csv}
processing_query: SELECT repeat('x', 100) AS a FROM range(300000)
consumer_emails: [analyst@example.com]
"""


@pytest.mark.long
def test_a_long_backfill_holds_one_result_at_a_time(repository, project, peak):
    repository.write("large.yaml", LARGE)
    hours = ("--from", "2025-11-01T00:00", "--to", "2025-11-01T23:00")
    output, mib = peak("backfill", "large", *hours, "--no-mail", cwd=project)
    assert "24 succeeded" in output
    assert mib < 400, "24 results of 30 MB are 720 MB"


@pytest.mark.long
def test_a_service_that_runs_another_version_of_a_job_is_told_of(project, runner, start_service, tmp_path):
    """As where its folder does not answer; here it has another one."""
    start_service(project)
    jobs = tmp_path / "checkout" / "jobs.d"
    jobs.mkdir(parents=True)
    (jobs / "sales.yaml").write_text(JOB)
    env = {"JOBS_DIR": str(jobs), "JOB_STORAGE_PATH": str(project / "data" / "runner.db")}
    same = runner("run", "sales", "--no-mail", cwd=project, env=env)
    assert (same.returncode, same.stderr.count("in force")) == (0, 0)

    (jobs / "sales.yaml").write_text(JOB.replace("analyst", "other"))
    other = runner("run", "sales", "--no-mail", cwd=project, env=env)
    assert other.returncode == 0
    assert f"the version of sales that it has in force, which is not the one in {jobs}" in other.stderr


@pytest.mark.long
def test_beside_a_service_they_go_through_its_queue(project, runner, start_service):
    service = start_service(project)
    done = runner("run", "sales", "--json", "--output", "result.csv", cwd=project)
    assert done.returncode == 0, done.stderr
    run = json.loads(done.stdout)
    assert (run["trigger"], run["state"]) == ("manual", "succeeded")
    assert [one["state"] for one in run["deliveries"]] == ["sent"]
    assert (project / "result.csv").read_text() == "category,amount\nToys,1\nBooks,-2\n"
    assert re.search(rf"\[sales\] Run {run['run_id']} queued: it was asked for", service.log())

    shown = runner("run", "sales", "--no-mail", "--at", "2025-11-09T06:00:00Z", cwd=project)
    assert shown.returncode == 0, shown.stderr
    assert "Books" in shown.stdout, "the first rows are shown"
    assert service.runs("sales")[0]["deliveries"] == []

    filled = runner("backfill", "sales", *SPAN, cwd=project)
    assert filled.returncode == 0, filled.stderr
    assert "4 succeeded, 0 did not" in filled.stdout
    service.wait_for(lambda: len(service.runs("summary")) == 4, 20, "the job that comes after")
    assert service.stop() == 0


@pytest.mark.long
def test_a_failure_and_a_span_that_cannot_be_run(project, runner):
    (project / "input.csv").unlink()
    failed = runner("backfill", "sales", "--from", "2025-11-01", "--to", "2025-11-01", cwd=project)
    assert failed.returncode == 1
    assert "0 succeeded, 1 did not" in failed.stdout
    assert "input.csv" in failed.stdout

    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    for arguments, words in (
        (("summary", *SPAN), "comes after sales"),
        (("sales", "--from", "2025-11-01", "--to", tomorrow), "ends in the future"),
        (("sales", "--from", "2025-11-03", "--to", "2025-11-01"), "ends before it begins"),
        (("nosuch", *SPAN), "there is no job 'nosuch'"),
    ):
        refused = runner("backfill", *arguments, cwd=project)
        assert refused.returncode == 2
        assert words in refused.stderr
        if words == "ends in the future":
            now = refused.stderr.partition("--to ")[2].split()[0]
            assert (
                runner("backfill", "sales", "--from", now, "--to", now, "--dry-run", cwd=project).returncode == 0
            )


SLOW = """\
job_name: slow
schedule_time: "0 6 * * *"
data_source: {source_type: file, location: input.csv, file_type: csv}
processing_script: |
  import time
  time.sleep(60)
  result = data
consumer_emails: [analyst@example.com]
"""


@pytest.mark.long
@pytest.mark.parametrize("beside", [False, True])
def test_ctrl_c_takes_back_what_has_not_begun_and_says_what_goes_on(
    repository, project, runner, spawn, start_service, beside
):
    repository.write("slow.yaml", SLOW)
    service = start_service(project) if beside else None
    asked = spawn("backfill", "slow", *SPAN, "--no-mail", cwd=project)

    def states():
        runs = json.loads(runner("history", "slow", "--json", cwd=project).stdout)["runs"]
        return sorted(run["state"] for run in runs)

    wait_for(lambda: "running" in states())
    asked.send_signal(signal.SIGINT)
    assert asked.wait(30) == 130
    words = asked.stdout.read()
    if service is None:
        assert "stopped: 4 of the runs cancelled" in words
        assert states() == ["cancelled"] * 4
    else:
        assert "stopped: 3 of the runs taken back, 1 go on in the service" in words
        assert "or at their timeout_seconds; a service that is stopped begins them anew" in " ".join(words.split())
        assert states() == ["cancelled"] * 3 + ["running"]
        # Not stopped: it would wait for the run that goes on.
        service.kill()


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


class SlowMailbox:
    """An SMTP server, for aiosmtpd, that takes its time with each mail."""

    def __init__(self):
        self.began = []

    async def handle_DATA(self, server, session, envelope):
        self.began.append(envelope.rcpt_tos)
        await asyncio.sleep(1.5)
        return "250 kept"


@pytest.mark.long
def test_ctrl_c_while_mails_are_sent_waits_for_no_more_than_the_one_under_way(
    project, runner, spawn, smtp_controller
):
    box = SlowMailbox()
    server = smtp_controller(box, hostname="127.0.0.1", port=0)
    server.start()
    env = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(server.port), "SMTP_USE_TLS": "false"}
    asked = spawn("backfill", "sales", *SPAN, cwd=project, env=env)
    wait_for(lambda: box.began)
    asked.send_signal(signal.SIGINT)
    assert asked.wait(10) == 1
    words = " ".join(asked.stdout.read().split())
    server.stop()
    assert "3 of 4 mails not sent: 3 pending." in words
    assert "What waits is tried again by the service, or with the next runner run." in words
    ledger = json.loads(runner("mail", "list", "--json", cwd=project).stdout)["deliveries"]
    assert sorted(one["state"] for one in ledger) == ["pending"] * 7 + ["sent"]
    assert len(box.began) == 1


@pytest.mark.long
def test_what_waits_for_a_server_is_kept_as_no_file_where_a_shell_names_none(project, runner):
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        away = {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(nobody.getsockname()[1]), "SMTP_USE_TLS": "false"}
    assert runner("run", "summary", cwd=project, env=away).returncode == 1

    def states():
        ledger = json.loads(runner("mail", "list", "--json", cwd=project).stdout)["deliveries"]
        return {(one["job_name"], one["state"]) for one in ledger}

    assert states() == {("summary", "deferred")}
    # Its time has come.
    with sqlite3.connect(project / "data" / "runner.db") as database:
        database.execute("UPDATE deliveries SET next_attempt_at = 0")
    database.close()
    done = runner("run", "sales", cwd=project)
    assert done.returncode == 0, done.stderr
    assert states() == {("summary", "deferred"), ("sales", "sent")}
    assert len(list((project / "data" / "mail").glob("*.eml"))) == 1


@pytest.mark.long
def test_a_service_that_starts_during_a_run_by_hand_waits_for_it(
    repository, project, runner, spawn, start_service
):
    # It goes on until its input has a second name.
    source = project / "input.csv"
    waiting = f"while os.stat({str(source)!r}).st_nlink < 2:\n      time.sleep(0.05)"
    repository.write(
        "slow.yaml", SLOW.replace("import time", "import os, time").replace("time.sleep(60)", waiting)
    )
    asked = spawn("run", "slow", "--no-mail", cwd=project)
    wait_for(lambda: "Starting run" in asked.stdout.readline())
    with ThreadPoolExecutor() as pool:
        starting = pool.submit(start_service, project)
        logs = project.parent.glob
        wait_for(lambda: any("waiting at most 60 s for it" in log.read_text() for log in logs("service-*.log")))
        os.link(source, project / "second.csv")
        service = starting.result()
    assert asked.wait(10) == 0
    assert service.stop() == 0
