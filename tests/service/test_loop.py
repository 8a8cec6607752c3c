"""The service with all its real parts, driven from inside."""

import asyncio
import logging
import socket
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import requests

from runner import mounts
from runner.core.mounts import Mount
from runner.core.run import RunState
from runner.errors import StatusError, StoreError, UsageError
from runner.jobfiles.load import JobFolder
from runner.jobfiles.walk import FolderGoneError
from runner.service.lookup import find_job
from runner.service.loop import Service
from runner.service.once import RunRequest, run_once
from runner.store.store import Store

JOB = """\
job_name: report
schedule_time: "@yearly"
data_source: {source_type: file, location: a.csv, file_type: csv}
processing_script: |
  import time
  time.sleep(SECONDS)
  result = data
consumer_emails: [analyst@example.com]
"""


class Lent:
    """The zygote of all tests, as a service has its own: it neither starts nor ends it."""

    def __init__(self, zygote):
        self.level, self.missing, self.run_step = zygote.level, zygote.missing, zygote.run_step

    def launch(self): ...

    def start(self): ...

    def close(self): ...


@pytest.fixture(autouse=True)
def lent(zygote, monkeypatch):
    """There are many services here, and a zygote takes most of their start. Those of the command have their own."""
    monkeypatch.setattr("runner.service.wiring.make_step_runner", lambda **_options: Lent(zygote))


@pytest.fixture
def project(settings):
    settings.jobs_dir.mkdir()
    (settings.project_dir / "a.csv").write_text("n\n1\n")
    return settings


@pytest.fixture
def any_port(project):
    return replace(project, status=replace(project.status, port=0))


@pytest.fixture
def start():
    """Starts services with their loops; ends those that a test leaves open."""
    running = []

    def begin(settings, **options):
        service = Service(settings, {}, **options)
        service.start()
        loop = threading.Thread(target=service.run, daemon=True)
        loop.start()
        running.append((service, loop))
        return service

    yield begin
    for service, loop in running:
        end(service, loop)


def end(service, loop=None):
    if not service.stopped:
        service.request_stop()
        if loop is not None:
            loop.join(10)
        service.stop()


def readiness(service):
    return requests.get(f"{service.address}readyz", timeout=10).json()


def wait_for(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError("waited in vain")


@pytest.mark.long
def test_a_start_says_that_other_machines_may_reach_its_state(any_port, start, caplog, monkeypatch):
    listed = (Mount(point=str(any_port.state_dir.resolve().parent), kind="nfs4"),)
    monkeypatch.setattr(mounts, "read_mounts", lambda: listed)
    start(any_port)
    warned = [record for record in caplog.records if "lies on a mount of type nfs4" in record.getMessage()]
    assert [record.levelname for record in warned] == ["WARNING"]
    assert "JOB_STORAGE_PATH" in warned[0].getMessage()


@pytest.mark.long
def test_a_stop_hands_back_a_run_and_the_next_service_ends_it(any_port, start, caplog):
    caplog.set_level(logging.INFO, "runner")
    (any_port.jobs_dir / "report.yaml").write_text(JOB.replace("SECONDS", "2"))
    first = start(any_port, grace_seconds=0.2)
    run_id = first.trigger("report")
    wait_for(lambda: first.find_run(run_id).state is RunState.RUNNING)
    end(first)
    assert f"Handed back: run {run_id}" in caplog.text
    assert "Runs finished: 0; handed back, to start again with the service: 1" in caplog.text

    second = start(any_port)
    run = wait_for(lambda: (found := second.find_run(run_id)).state.finished and found)
    assert run.state is RunState.SUCCEEDED
    assert "it was queued when the service ended" in caplog.text
    kept = wait_for(lambda: list(any_port.mail_dir.glob("*.eml")))
    assert len(kept) == 1


@pytest.mark.long
@pytest.mark.parametrize("threads", ["free", "used up"])
def test_a_stop_lets_a_short_run_end(any_port, start, caplog, use_up_threads, threads):
    caplog.set_level(logging.INFO, "runner")
    (any_port.jobs_dir / "report.yaml").write_text(JOB.replace("SECONDS", "0.5"))
    service = start(any_port, grace_seconds=20)
    run_id = service.trigger("report")
    wait_for(lambda: "Starting script step" in caplog.text)
    if threads == "used up":
        use_up_threads()
    end(service)
    assert "Runs finished: 1; handed back, to start again with the service: 0" in caplog.text
    with Store.open_reader(any_port.storage_path) as history:
        run = history.run(run_id)
    assert run.state is RunState.SUCCEEDED
    assert [delivery.state for delivery in run.deliveries] == ["sent"]


@pytest.fixture
def slow_inbox(any_port, smtp_controller):
    """A mail server that answers half a second after it has a mail, and the settings of a service that uses it."""
    mails = []

    class Inbox:
        async def handle_DATA(self, _server, _session, envelope):
            mails.append(envelope)
            await asyncio.sleep(0.5)
            return "250 taken"

    controller = smtp_controller(Inbox(), hostname="127.0.0.1", port=0)
    controller.start()
    smtp = replace(any_port.smtp, host="127.0.0.1", port=controller.port, use_tls=False)
    yield replace(any_port, smtp=smtp), mails
    controller.stop()


@pytest.mark.long
@pytest.mark.parametrize(("stops", "state"), [(1, "sent"), (2, "pending")])
def test_a_stop_waits_for_the_mail_that_is_being_sent(slow_inbox, start, monkeypatch, stops, state):
    monkeypatch.setattr("runner.service.loop.MAIL_SECONDS", 0.05)
    settings, mails = slow_inbox
    (settings.jobs_dir / "report.yaml").write_text(JOB.replace("SECONDS", "0"))
    service = start(settings)
    run_id = service.trigger("report")
    wait_for(lambda: mails)
    for _ in range(stops):
        service.request_stop()
    service.stop()
    with Store.open_reader(settings.storage_path) as history:
        assert [delivery.state for delivery in history.run(run_id).deliveries] == [state]


def test_an_address_that_is_taken_stops_the_start_before_anything_runs(project):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        service = Service(replace(project, status=replace(project.status, port=port)), {})
        with pytest.raises(StatusError, match=str(port)):
            service.start()
    # Everything that was open is closed again: the state folder is free.
    Store.open(project.storage_path).close()


@pytest.mark.long
def test_a_bad_turn_of_the_loop_does_not_end_it(any_port, start, monkeypatch, caplog):
    service = start(any_port)
    failures = iter([StoreError("the disk is full"), RuntimeError("unforeseen")])

    def take_requests(self):
        failure = next(failures, None)
        if failure:
            raise failure
        return ()

    monkeypatch.setattr(Store, "take_requests", take_requests)
    service.request_reload()
    wait_for(lambda: "The loop met something unforeseen" in caplog.text or service.request_reload())
    assert "the disk is full" in caplog.text
    (any_port.jobs_dir / "report.yaml").write_text(JOB.replace("SECONDS", "0"))
    assert wait_for(lambda: "report" in service.job_names())


def test_a_job_that_is_not_in_force_cannot_be_triggered(any_port, start):
    with pytest.raises(UsageError, match="nosuch"):
        start(any_port).trigger("nosuch")


@pytest.mark.long
def test_a_folder_that_is_not_there_yet_at_a_restart_loses_nothing(any_port, start, caplog):
    caplog.set_level(logging.INFO, "runner")
    (any_port.jobs_dir / "report.yaml").write_text(JOB.replace("SECONDS", "0"))
    first = start(any_port)
    end(first)
    with Store.open(any_port.storage_path) as store:
        before = store.cursors()
    away = any_port.project_dir / "away"
    any_port.jobs_dir.rename(away)
    second = start(any_port)
    assert second.job_names() == ("report",)
    assert "every job keeps running as it was" in caplog.text
    away.rename(any_port.jobs_dir)
    second.request_reload()
    wait_for(lambda: "is read again" in caplog.text or second.request_reload())
    end(second)
    with Store.open(any_port.storage_path) as store:
        assert store.cursors() == before


@pytest.mark.long
def test_a_reload_that_meets_a_locked_store_does_not_end_the_service(any_port, start, monkeypatch, caplog):
    service = start(any_port)
    (any_port.jobs_dir / "report.yaml").write_text(JOB.replace("SECONDS", "0"))
    save = Store.save_jobs
    locked = iter([True, True])

    def save_jobs(self, jobs):
        if next(locked, False):
            raise StoreError("the database is locked")
        save(self, jobs)

    monkeypatch.setattr(Store, "save_jobs", save_jobs)
    service.request_reload()
    assert wait_for(lambda: "report" in service.job_names())
    wait_for(lambda: caplog.text.count("the database is locked") == 2)
    wait_for(service._store.load_jobs)
    assert service.find_run(service.trigger("report"))


@pytest.mark.long
def test_a_reload_that_fails_does_not_end_the_service_and_is_tried_again(any_port, start, monkeypatch, caplog):
    service = start(any_port)
    (any_port.jobs_dir / "report.yaml").write_text(JOB.replace("SECONDS", "0"))
    wait_for(lambda: "report" in service.job_names())
    scan = JobFolder.scan
    failures = iter([OSError("too many open files"), RuntimeError("unforeseen")])

    def fail(self):
        failure = next(failures, None)
        if failure:
            raise failure
        return scan(self)

    monkeypatch.setattr(JobFolder, "scan", fail)
    # Nothing but the reload tells of the change.
    service._keeper._watcher.stop()
    (any_port.jobs_dir / "report.yaml").write_text(JOB.replace("SECONDS", "0").replace(": report", ": other"))
    service.request_reload()
    assert wait_for(lambda: service.job_names() == ("other",), 5)
    assert caplog.text.count("The loop met something unforeseen") == 2


@pytest.mark.long
def test_a_folder_that_does_not_answer_holds_up_no_run_and_is_told(any_port, start, monkeypatch):
    """As on a network file system whose server is away."""
    (any_port.jobs_dir / "report.yaml").write_text(JOB.replace("SECONDS", "0"))
    service = start(any_port)
    scan, answers, asked = JobFolder.scan, threading.Event(), threading.Event()

    def hang(self):
        asked.set()
        assert answers.wait(60)
        return scan(self)

    monkeypatch.setattr(JobFolder, "scan", hang)
    monkeypatch.setattr("runner.service.folder.STUCK_SECONDS", 0.3)
    (any_port.jobs_dir / "other.yaml").write_text(JOB.replace("SECONDS", "0").replace(": report", ": other"))
    service.request_reload()
    assert asked.wait(10)
    run = service.trigger("report")
    try:
        assert wait_for(lambda: service.find_run(run).state is RunState.SUCCEEDED)
        (reason,) = wait_for(lambda: readiness(service)["reasons"])
        assert reason.startswith(f"the folder {any_port.jobs_dir} does not answer")
    finally:
        answers.set()
    assert wait_for(lambda: "other" in service.job_names())
    assert wait_for(lambda: readiness(service)["ready"])


@pytest.mark.long
@pytest.mark.parametrize("known", [True, False])
def test_a_folder_that_does_not_answer_at_a_start_holds_up_nobody(any_port, start, monkeypatch, caplog, known):
    (any_port.jobs_dir / "report.yaml").write_text(JOB.replace("SECONDS", "0"))
    if known:
        end(start(any_port))
    scan, answers = JobFolder.scan, threading.Event()

    def hang(self):
        assert answers.wait(60)
        return scan(self)

    monkeypatch.setattr(JobFolder, "scan", hang)
    monkeypatch.setattr("runner.service.folder.STUCK_SECONDS", 0.3)
    try:
        service = start(any_port)
        assert service.job_names() == (("report",) if known else ())
        (reason,) = readiness(service)["reasons"]
        assert reason.startswith(f"the folder {any_port.jobs_dir} does not answer")
        assert "or where a script or query of a job lies" in reason
        assert caplog.text.count("does not answer") == 1
        if known:
            run = service.trigger("report")
            assert wait_for(lambda: service.find_run(run).state is RunState.SUCCEEDED)
    finally:
        answers.set()
    assert wait_for(lambda: service.job_names() == ("report",))
    assert wait_for(lambda: readiness(service)["ready"])


def test_a_folder_that_turns_out_to_be_gone_after_the_start_is_told(any_port, start, monkeypatch, caplog):
    answers = threading.Event()

    def vanish(_self):
        assert answers.wait(60)
        raise FolderGoneError(any_port.jobs_dir, OSError("no such folder"))

    monkeypatch.setattr(JobFolder, "scan", vanish)
    monkeypatch.setattr("runner.service.folder.STUCK_SECONDS", 0.3)
    try:
        start(any_port)
    finally:
        answers.set()
    wait_for(lambda: "cannot be listed: no such folder" in caplog.text)


@pytest.mark.long
def test_a_stop_while_the_first_reading_does_not_answer_is_heard(any_port, monkeypatch):
    answers = threading.Event()
    monkeypatch.setattr(JobFolder, "scan", lambda _self: answers.wait(60))
    service = Service(any_port, {})
    stopping = threading.Timer(0.5, service.request_stop)
    stopping.start()
    began = time.monotonic()
    try:
        service.start()
        service.run()
        service.stop()
        assert time.monotonic() - began < 10
    finally:
        answers.set()
        stopping.join()


@pytest.mark.long
def test_a_run_that_is_asked_for_is_of_the_job_as_it_was_just_edited(any_port, start):
    """A script outside of the folder of jobs: nothing but the regular rescan tells of its edits."""
    script = any_port.project_dir / "step.py"
    script.write_text("result = data.assign(version=1)\n")
    text = (
        JOB.partition("processing_script")[0]
        + "processing_script_file: step.py\nconsumer_emails: [a@example.com]\n"
    )
    (any_port.jobs_dir / "report.yaml").write_text(text)
    start(any_port)
    for version in (2, 3):
        script.write_text(f"result = data.assign(version={version})\n")
        report = run_once(any_port, {}, RunRequest(job_name="report", mailing=False), lambda: False, print)
        assert report.run.digest == find_job(any_port, "report").digest
        assert report.preview.rows == (("1", str(version)),)


@pytest.mark.long
@pytest.mark.parametrize(("before", "state"), [(100, RunState.TIMED_OUT), (1, RunState.SUCCEEDED)])
def test_a_run_that_is_asked_for_is_of_the_defaults_as_they_were_just_edited(any_port, start, before, state):
    """They are no part of the file of the job, whose digest stays. That they are gone has to be seen twice."""
    (any_port.jobs_dir / "report.yaml").write_text(JOB.replace("SECONDS", "2"))
    defaults = any_port.jobs_dir / "_defaults.yaml"
    defaults.write_text(f"timeout_seconds: {before}\n")
    service = start(any_port)
    # Nothing but the run tells of the change.
    service._keeper._watcher.stop()
    if state is RunState.TIMED_OUT:
        defaults.write_text("timeout_seconds: 1\n")
    else:
        defaults.unlink()
    report = run_once(any_port, {}, RunRequest(job_name="report", mailing=False), lambda: False, print)
    assert report.run.state is state


@pytest.mark.long
def test_runs_that_are_asked_for_again_and_again_do_not_wait_for_one_another(any_port, start, monkeypatch):
    """The folder is read for each of them, slowly: one that comes meanwhile waits for the next reading, alone."""
    (any_port.jobs_dir / "report.yaml").write_text(JOB.replace("SECONDS", "0"))
    service = start(any_port)
    scan, ended = JobFolder.scan, threading.Event()

    def read_slowly(self):
        time.sleep(0.5)
        return scan(self)

    def ask_on():
        while not ended.wait(0.1):
            service.trigger("report")

    monkeypatch.setattr(JobFolder, "scan", read_slowly)
    run_id = service.trigger("report")
    others = threading.Thread(target=ask_on)
    others.start()
    try:
        assert wait_for(lambda: service.find_run(run_id).state is RunState.SUCCEEDED, 10)
    finally:
        ended.set()
        others.join()


@pytest.mark.long
def test_a_stop_does_not_wait_for_a_folder_that_does_not_answer(any_port, start, monkeypatch):
    service = start(any_port)
    answers, asked = threading.Event(), threading.Event()
    monkeypatch.setattr(JobFolder, "scan", lambda self: (asked.set(), answers.wait(60)))
    service.request_reload()
    assert asked.wait(10)
    began = time.monotonic()
    try:
        end(service)
    finally:
        answers.set()
    assert time.monotonic() - began < 10


def test_a_new_job_that_comes_due_while_the_service_comes_up_runs(any_port, start):
    now = datetime.now(UTC)
    due = now - timedelta(minutes=2)
    schedule = f"{due.minute} {due.hour} * * *"
    (any_port.jobs_dir / "report.yaml").write_text(JOB.replace("@yearly", schedule).replace("SECONDS", "0"))
    start(any_port, began=now - timedelta(minutes=5))
    with Store.open_reader(any_port.storage_path) as store:
        (run,) = wait_for(store.runs)
    assert run.scheduled_time == due.replace(second=0, microsecond=0)


@pytest.mark.long
def test_a_job_that_is_removed_takes_its_queue_along(any_port, start):
    path = any_port.jobs_dir / "report.yaml"
    path.write_text(JOB.replace("SECONDS", "3"))
    (any_port.jobs_dir / ".gitkeep").touch()
    service = start(any_port)
    running, waiting = service.trigger("report"), service.trigger("report")
    wait_for(lambda: service.find_run(running).state is RunState.RUNNING)
    path.unlink()
    service.request_reload()
    ended = wait_for(lambda: (found := service.find_run(waiting)).state.finished and found)
    assert ended.state is RunState.CANCELLED
    assert wait_for(lambda: service.find_run(running).state is RunState.SUCCEEDED), "what has begun may end"


def test_folders_of_runs_that_are_forgotten_go_and_no_others(any_port, start):
    for name in ("01k9m" + "0" * 21, "my-own-folder", "0" * 25):
        (any_port.runs_dir / name).mkdir(parents=True)
        (any_port.runs_dir / name / "a.txt").write_text("x")
    start(any_port)
    wait_for(lambda: not (any_port.runs_dir / ("01k9m" + "0" * 21)).exists())
    assert {path.name for path in any_port.runs_dir.iterdir()} == {"my-own-folder", "0" * 25}
