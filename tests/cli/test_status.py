"""`runner status`."""

import json
import re
import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runner.core.delivery import DeliveryAttempt, DeliveryState, SendResult
from runner.core.health import Health
from runner.core.run import Run, RunState, Trigger
from runner.jobfiles.load import JobFolder
from runner.service.doctor.state import check_service
from runner.service.lookup import find_job
from runner.service.peer import ask_service
from runner.service.standing import take_stock
from runner.settings import load_settings
from runner.store.store import Store

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_without_anything_it_says_what_to_do(call, project):
    done = call("status")
    assert done.exit_code == 1
    assert "not running: runner start starts it" in done.stdout
    assert "1 in force" in done.stdout
    assert not (project / "data").exists()


def test_one_screen_shows_what_needs_attention(call, history, project):
    (project / "jobs.d" / "broken.yaml").write_text("job_name: [")
    sales = (project / "jobs.d" / "sales.yaml").read_text()
    (project / "jobs.d" / "idle.yaml").write_text(sales.replace("sales", "idle") + "suspend: true\n")
    waiting = Run(
        run_id="002",
        job_name="sales",
        trigger=Trigger.SCHEDULE,
        scheduled_time=NOON,
        state=RunState.QUEUED,
        queued_at=NOON,
    )
    with Store.open(history.storage_path) as store:
        store.record_fires([waiting], [])
        store.record_fires([replace(waiting, run_id="003", job_name="idle")], [])
        store.mark_running("003", NOON)
    done = call("status")
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 20
    shown, label = {}, ""
    for line in lines:
        label = line[:8].strip() or label
        shown.setdefault(label, []).append(line[9:].strip())
    assert shown["Jobs"][0] == "2 in force, 1 of them suspended, 1 invalid: jobs.d/broken.yaml"
    assert re.fullmatch(r"idle for .*", shown["Running"][0])
    assert shown["Queued"] == ["sales, due 2026-03-02 12:00 UTC"]
    assert shown["Failing"] == ["sales failed, last 2026-03-02 12:00:03 UTC", r"there is \x1b[31m no file"]
    assert shown["Mails"][0] == "1 dead"
    assert shown["Next"][0].endswith("09:00 UTC  sales")
    assert "free at" in shown["Disk"][0]


def test_json_holds_the_same(call, history):
    with Store.open(history.storage_path):
        done = call("status", "--json")
    document = json.loads(done.stdout)
    assert done.exit_code == 1
    assert document["needs_attention"] is True
    assert document["service"]["running"] is True
    assert document["service"]["ready"] is None
    assert document["jobs"] == {"in_force": 1, "suspended": 0, "invalid": [], "kept": 0, "error": None}
    assert [(one["job_name"], one["failures"]) for one in document["failing"]] == [("sales", 1)]
    assert document["deliveries"] == {"dead": 1}
    assert document["next_fires"][0]["job_name"] == "sales"


def test_a_bad_edit_hides_neither_the_job_that_goes_on_nor_that_it_fails(call, history, project):
    with Store.open(history.storage_path) as store:
        job = find_job(history, "sales")
        gone = replace(job, job_name="gone", path="jobs.d/gone.yaml")
        store.save_jobs({one.path: one for one in (job, gone)})
    (project / "jobs.d" / "sales.yaml").write_text("job_name: sales\nschedule_tim: x\n")
    document = json.loads(call("status", "--json").stdout)
    assert (document["jobs"]["in_force"], document["jobs"]["kept"]) == (1, 1)
    assert document["jobs"]["invalid"] == ["jobs.d/sales.yaml"]
    assert [one["job_name"] for one in document["failing"]] == ["sales"]
    assert [one["job_name"] for one in document["next_fires"]] == ["sales"]
    assert "runner validate shows why; 1 last good version in force" in call("status").stdout
    (listed,) = json.loads(call("list", "--json").stdout)["jobs"]
    assert (listed["sync"], listed["schedule_time"], bool(listed["next_fire"])) == ("invalid", "0 9 * * *", True)


def test_a_folder_that_is_gone_is_part_of_the_answer(call, history, project):
    for file in (project / "jobs.d").iterdir():
        file.unlink()
    (project / "jobs.d").rmdir()
    done = call("status", "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, "cannot be listed" in document["jobs"]["error"]) == (1, True)
    assert [one["job_name"] for one in document["failing"]] == ["sales"]


def test_what_a_clock_that_was_ahead_has_run_is_not_the_last_word(call, history):
    ahead = Run(
        run_id="z",
        job_name="sales",
        trigger=Trigger.SCHEDULE,
        scheduled_time=NOON.replace(year=2099),
        state=RunState.QUEUED,
        queued_at=NOON.replace(year=2099),
    )
    with Store.open(history.storage_path) as store:
        store.record_fires([ahead], [])
        store.mark_running("z", ahead.queued_at)
        store.finish_run(replace(ahead, state=RunState.SUCCEEDED, finished_at=ahead.queued_at), ())
    failing = json.loads(call("status", "--json").stdout)["failing"]
    assert [(one["job_name"], one["failures"]) for one in failing] == [("sales", 1)]
    (listed,) = json.loads(call("list", "--json").stdout)["jobs"]
    assert listed["last_run"]["state"] == "failed"


def test_a_clock_that_is_behind_hides_no_failure(history):
    (failing,) = take_stock(history, now=NOON.replace(year=1970)).failing
    assert (failing.job_name, failing.failures) == ("sales", 1)


def test_a_folder_that_is_empty_all_at_once_is_told_unless_it_is_meant(call, history, project):
    with Store.open(history.storage_path) as store:
        store.save_jobs({"jobs.d/sales.yaml": find_job(history, "sales")})
    for file in (project / "jobs.d").iterdir():
        file.unlink()
    said = json.loads(call("status", "--json").stdout)["jobs"]["error"]
    assert "holds no job file any more" in said
    (project / "jobs.d" / ".gitkeep").touch()
    assert json.loads(call("status", "--json").stdout)["jobs"]["error"] is None


def test_a_folder_that_does_not_answer_is_part_of_the_answer(call, project, monkeypatch):
    answers = threading.Event()
    monkeypatch.setattr(JobFolder, "scan", lambda _self: answers.wait(60) and ())
    monkeypatch.setattr("runner.service.lookup.STUCK_SECONDS", 0.2)
    try:
        document = json.loads(call("status", "--json").stdout)
    finally:
        answers.set()
    folder = project / "jobs.d"
    assert document["jobs"]["error"] == f"the folder {folder} does not answer: it was waited for 0.2 s"


def test_all_well_ends_with_zero():
    from runner.core.health import DiskSpace, ServiceStanding, Standing

    well = Standing(
        at=NOON,
        service=ServiceStanding(running=True, ready=True),
        in_force=1,
        suspended=0,
        disk=DiskSpace(path="/", free_bytes=10**10, total_bytes=10**11),
    )
    assert not well.needs_attention
    assert replace(well, disk=DiskSpace(path="/", free_bytes=10**8, total_bytes=10**11)).needs_attention
    assert replace(well, service=ServiceStanding(running=True, ready=False)).needs_attention
    since = NOON - timedelta(hours=1)
    assert not replace(well, waiting_since=since).needs_attention
    assert replace(well, waiting_since=since - timedelta(seconds=1)).needs_attention
    # At a port of its own it cannot be asked; where it can be, no answer is one.
    unasked = ServiceStanding(running=True)
    assert not replace(well, service=unasked).needs_attention
    assert replace(well, service=replace(unasked, address="http://127.0.0.1:8000")).needs_attention


def test_a_mail_that_waits_for_long_is_told(call, history):
    """As with a password that the server refuses: it is tried for five days, and nobody has a report meanwhile."""
    result = SendResult(state=DeliveryState.DEFERRED, error="535 no")
    with Store.open(history.storage_path) as store:
        dead = store.deliveries(states=(DeliveryState.DEAD,))[0]
        store.retry_deliveries([dead.delivery_id], NOON)
        attempt = DeliveryAttempt(delivery_id=dead.delivery_id, result=result, at=NOON, next_attempt_at=NOON)
        store.record_attempts([attempt])
        shown = " ".join(call("status").stdout.split())
        document = json.loads(call("status", "--json").stdout)
    assert re.search(r"1 deferred; one waits for [\d,]+ h", shown)
    assert document["mails_waiting_since"] == "2026-03-02T12:00:00Z"


def test_a_service_that_hangs_needs_attention(call, history, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent, Store.open(history.storage_path):
        monkeypatch.setenv("STATUS_PORT", str(silent.getsockname()[1]))
        monkeypatch.setattr("runner.service.peer._TIMEOUT_SECONDS", 0.1)
        shown = call("status")
        asked = json.loads(call("status", "--json").stdout)["service"]
    assert shown.exit_code == 1
    assert "running, does not answer" in shown.stdout
    assert (asked["running"], asked["ready"], asked["address"][:17]) == (True, None, "http://127.0.0.1:")


@pytest.mark.parametrize(("ready", "code"), [(True, 0), (None, 1)])
def test_status_and_doctor_ask_a_service_where_it_listens_and_agree(call, project, monkeypatch, ready, code):
    """It was started with another STATUS_PORT than these verbs are."""
    settings = load_settings({}, folder=project)
    monkeypatch.setattr("runner.service.peer._TIMEOUT_SECONDS", 0.1 if ready is None else 5)
    with Store.open(settings.storage_path) as service, socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        service.announce(f"http://127.0.0.1:{port}")

        def serve():
            for _ in range(3):
                connection, _ = listening.accept()
                with connection:
                    connection.recv(4096)
                    connection.sendall(b'HTTP/1.0 200 OK\r\n\r\n{"ready": true}')

        if ready:
            threading.Thread(target=serve, daemon=True).start()
        for wrong in ("9", "0"):
            monkeypatch.setenv("STATUS_PORT", wrong)
            done = call("status", "--json")
            asked = json.loads(done.stdout)["service"]
            assert (asked["ready"], asked["address"]) == (ready, f"http://127.0.0.1:{port}")
            assert done.exit_code == code
        found = check_service(settings)
    assert found.health is (Health.OK if ready else Health.PROBLEM)
    assert f"127.0.0.1:{port}" in found.message


@pytest.mark.parametrize(
    "told",
    [
        "http://203.0.113.7:8080",
        "http://[::1",
        "http://a@127.0.0.1:1",
        "http://127.0.0.1:99999x",
        "http://:1",
        "http://127.0.0.1:65536",
        "\0",
    ],
)
def test_nobody_is_asked_at_what_is_no_address_of_this_machine(project, monkeypatch, told):
    settings = load_settings({"STATUS_TOKEN": "not for others", "STATUS_PORT": "0"}, folder=project)
    monkeypatch.setattr("http.client.HTTPConnection.connect", lambda _: pytest.fail("a stranger was asked"))
    with Store.open(settings.storage_path) as service:
        service.announce(told)
        asked = ask_service(settings)
    assert (asked.running, asked.address, asked.silent) == (True, "", False)


@pytest.mark.long
def test_a_service_at_any_free_port_is_not_said_to_be_silent(call, history):
    with Store.open(history.storage_path):
        shown = call("status").stdout
        found = call("doctor").stdout
    for words in (shown, found):
        assert "at a port that its log names" in " ".join(words.split())
        assert "does not answer" not in words
