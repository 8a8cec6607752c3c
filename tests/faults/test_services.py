"""Several processes on one state folder: a second service, runs that people ask for, and readers."""

import json
import signal
import time
from datetime import timedelta

import pytest

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


@pytest.mark.long
def test_a_second_service_refuses_and_says_who_holds_the_folder(project, wait_for):
    project.job("plain")
    project.hand_clock(-SECOND)
    first = project.start()
    assert first.readiness()[0] == 200
    seconds = [project.start() for _ in range(3)]
    for second in seconds:
        assert second.wait() == 3
        assert f"is in use by another runner (a service, process {first.pid})" in second.log()
        assert "Stop that process" in second.log()
    project.set_clock(SECOND)
    wait_for(lambda: project.runs() and project.at_rest(), 10, first.log)
    assert sum(project.executed().values()) == 1

    # Killed, it holds nothing: of three that start at once, one comes up.
    first.kill()
    three = [project.start() for _ in range(3)]
    wait_for(lambda: sum(one.ended() for one in three) == 2, 15, lambda: "\n".join(one.log() for one in three))
    assert [one.code for one in three if one.ended()] == [3, 3]
    (last,) = [one for one in three if not one.ended()]
    assert last.readiness()[0] == 200


@pytest.mark.long
def test_runs_that_people_ask_for_go_through_the_queue_of_the_service(project, mail_server, wait_for):
    project.job("plain")
    project.job("other", schedule='schedule_time: "0 0 1 1 *"')
    project.hand_clock(-SECOND)
    service = project.start()
    assert service.readiness()[0] == 200
    asked = [
        project.runner("run", "other"),
        project.runner("backfill", "plain", "--from", "2026-03-02T11:40:00Z", "--to", "2026-03-02T11:59:00Z"),
        # The same span at the same time: no fire is run twice.
        project.runner("backfill", "plain", "--from", "2026-03-02T11:50:00Z", "--to", "2026-03-02T11:59:00Z"),
    ]
    assert [one.wait(40) for one in asked] == [0, 0, 0], "\n".join(one.log() for one in (*asked, service))
    wait_for(project.at_rest, 10, service.log)
    assert len(project.runs("plain")) == 20
    assert len({run.scheduled_time for run in project.runs("plain")}) == 20
    assert {run.trigger for run in project.runs("plain")} == {"backfill"}
    assert [run.trigger for run in project.runs("other")] == ["manual"]
    assert service.log().count("it was asked for") == 21
    assert set(project.executed().values()) == {1}
    assert set(mail_server.received().values()) == {1}
    assert len(mail_server.mails) == 21


@pytest.mark.long
def test_what_was_asked_for_survives_a_kill_of_the_service(project, mail_server, wait_for):
    retry = "retry: {limit: 3, backoff_seconds: 1, max_delay_seconds: 1}"
    project.job("plain", retry, schedule='schedule_time: "0 * * * *"')
    project.faults["jitter"] = 0.0
    project.hand_clock(-SECOND)
    service = project.start()
    assert service.readiness()[0] == 200
    asking = project.runner("backfill", "plain", "--from", "2026-03-01T13:00:00Z", "--to", "2026-03-02T11:00:00Z")
    wait_for(lambda: sum(project.executed().values()) >= 3, 10, service.log)
    service.kill()
    assert asking.wait() == 3
    assert "They are on record and begin with the next runner start" in asking.log()
    again = project.start()
    wait_for(lambda: project.at_rest() and len(project.runs()) == 23, 20, again.log)
    assert {run.state for run in project.runs()} == {"succeeded"}
    assert len({run.scheduled_time for run in project.runs()}) == 23
    assert set(project.executed().values()) == {1}
    assert len(mail_server.received()) == 23


@pytest.mark.long
def test_readers_while_the_service_writes(project, wait_for, noon):
    for number in range(4):
        project.job(f"plain-{number}", "on_missed: run_all", "concurrency_policy: allow")
    project.clock(-SECOND, speed=300.0)
    service = project.start()
    assert service.readiness()[0] == 200
    readings = 0
    deadline = time.monotonic() + 20
    while readings < 15 or (len(project.runs()) < 20 and time.monotonic() < deadline):
        reading = project.runner("history", "--json", "--limit", "200")
        assert reading.wait() == 0, reading.log()
        runs = json.loads(reading.log())["runs"]
        assert len({run["run_id"] for run in runs}) == len(runs)
        for run in runs:
            # A run and its mails are on record together.
            assert run["state"] != "succeeded" or len(run["deliveries"]) == 1
        readings += 1
    assert len(project.runs()) >= 20, "it wrote all the while"
    service.send(signal.SIGTERM)
    assert service.wait(30) == 0
    assert "ERROR" not in service.log()
    assert "locked" not in service.log()
