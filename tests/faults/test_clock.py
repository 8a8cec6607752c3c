"""The clock jumps, the service is stopped for a while: no storm, no double, and time-outs do not mind."""

import signal
import time
from datetime import timedelta

import pytest

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
YEAR = timedelta(days=365)


@pytest.mark.long
@pytest.mark.parametrize("jump", [HOUR, YEAR], ids=["hour", "year"])
def test_the_clock_jumps_ahead_and_back(jump, project, mail_server, wait_for):
    project.job("plain")
    project.job("all", "on_missed: run_all", to="busy@example.com")
    project.job("none", "on_missed: skip")
    project.job("follower", schedule="after: [plain]")
    # Somebody whose server never takes anything must not keep the mails of others back.
    project.job("grumpy", schedule='schedule_time: "0 12 2 3 *"', to="grumpy@example.com")
    mail_server.answers["grumpy@example.com"] = ["450 not today"] * 10_000
    project.hand_clock(-SECOND)
    service = project.start(jitter=0.0, outbox_seconds=0.1)
    assert service.readiness()[0] == 200
    rested = _resting(project, service, wait_for)

    project.set_clock(SECOND)
    rested({"plain": 1, "all": 1, "none": 1, "follower": 1})
    wait_for(lambda: _mailed(project), 10, service.log)
    # A mail that is put off while the clock is ahead is due again when it is back.
    mail_server.answers["busy@example.com"] = ["450 greylisted"] * 100
    project.set_clock(jump + SECOND)
    minutes = int(jump / MINUTE)
    all_runs = min(minutes, 100)
    rested({"plain": 2, "all": 1 + all_runs, "none": 2, "follower": 2})
    notes = {(run.job_name, run.note) for run in project.runs() if run.note}
    assert ("plain", f"{minutes - 1:,} earlier fires missed and not run") in notes
    if minutes > 100:
        assert ("all", f"{minutes - 100:,} earlier fires missed and not run") in notes
    assert service.readiness()[0] == 200

    project.set_clock(2 * SECOND)
    wait_for(lambda: "The clock was set back" in service.log(), 10, service.log)
    del mail_server.answers["busy@example.com"]
    # Each may have been put off for an hour at most by the right clock.
    project.set_clock(MINUTE + SECOND)
    counts = {"plain": 3, "all": 2 + all_runs, "none": 3, "follower": 3}
    if jump == HOUR:
        # These minutes have been caught up before, so they do not run again, except those that were let go.
        counts["all"] -= 1
    rested(counts)
    if jump == HOUR:
        # A mail that is due within two hours waits for its time.
        project.set_clock(HOUR + MINUTE + 40 * SECOND)
        rested({name: count + 1 for name, count in counts.items()})
    wait_for(lambda: _mailed(project), 15, service.log)
    assert {run.state for run in project.runs()} == {"succeeded"}
    assert {one.state for one in project.deliveries() if one.recipient == "grumpy@example.com"} == {"deferred"}
    assert set(mail_server.received().values()) == {1}
    assert set(project.executed().values()) == {1}
    assert len(project.runs()) == len({(run.job_name, run.scheduled_time) for run in project.runs()})
    assert service.stop() == 0


def _mailed(project):
    return all(one.state == "sent" for one in project.deliveries() if one.recipient != "grumpy@example.com")


def _resting(project, service, wait_for):
    def rested(counts):
        def done():
            found = {name: len(project.runs(name)) for name in counts}
            unfinished = project.read("SELECT 1 FROM runs WHERE state IN ('queued', 'running')")
            return found == counts and not unfinished

        wait_for(
            done,
            60,
            lambda: f"{counts}, {[(run.job_name, run.state) for run in project.runs()]}:\n{service.log()}",
        )

    return rested


@pytest.mark.long
def test_stopped_for_longer_than_a_period(project, mail_server, wait_for):
    """SIGSTOP, ten minutes of the clock, SIGCONT: one run, which says how many fires were missed."""
    project.job("plain")
    project.job("slow")
    project.hand_clock(-SECOND)
    service = project.start()
    assert service.readiness()[0] == 200
    project.set_clock(SECOND)
    wait_for(lambda: len(project.runs()) == 2 and len(mail_server.mails) == 1, 10, service.log)
    service.send(signal.SIGSTOP)
    project.set_clock(10 * MINUTE + 30 * SECOND)
    time.sleep(0.7)
    service.send(signal.SIGCONT)
    wait_for(lambda: len(project.runs()) == 4, 10, service.log)
    (project.folder / "go-on").touch()
    wait_for(project.at_rest, 10, service.log)
    missed = "9 earlier fires missed and not run"
    assert [(run.state, run.note) for run in project.runs("plain")] == [("succeeded", ""), ("succeeded", missed)]
    first, second = project.runs("slow")
    assert (first.state, second.state) == ("succeeded", "skipped")
    assert second.note == f"the run before it was not finished (concurrency_policy: forbid); {missed}"
    assert set(mail_server.received().values()) == {1}
    assert len(mail_server.mails) == 3
    assert service.stop() == 0


@pytest.mark.long
def test_a_run_that_ends_while_the_service_is_stopped_skips_no_fire(project, mail_server, wait_for):
    """SIGSTOP, the end of the run, a minute of the clock, SIGCONT: the fire that is due then is no overlap."""
    project.job("slow")
    project.hand_clock(-SECOND)
    service = project.start()
    assert service.readiness()[0] == 200
    project.set_clock(SECOND)
    wait_for(lambda: [run.state for run in project.runs()] == ["running"], 10, service.log)
    service.send(signal.SIGSTOP)
    (project.folder / "go-on").touch()
    project.set_clock(MINUTE + SECOND)
    time.sleep(1.2)
    service.send(signal.SIGCONT)
    wait_for(lambda: len(project.runs()) == 2 and project.at_rest(), 10, service.log)
    assert [(run.state, run.note) for run in project.runs()] == [("succeeded", "")] * 2
    assert "passed unseen" in service.log()
    assert service.stop() == 0


SCRIPT = """\
processing_script: |
  import time
  time.sleep({seconds})
  result = data
timeout_seconds: {timeout}"""


@pytest.mark.long
def test_timeouts_do_not_follow_the_wall_clock(project, wait_for):
    """With real steps, while the clock jumps a year ahead and two years back."""
    yearly = 'schedule_time: "0 12 2 3 *"'
    project.job("short", SCRIPT.format(seconds=1.2, timeout=20), schedule=yearly)
    project.job("long", SCRIPT.format(seconds=30, timeout=2), schedule=yearly)
    project.hand_clock(-SECOND)
    service = project.start(quick=False)
    assert service.readiness()[0] == 200
    project.set_clock(SECOND)
    wait_for(lambda: [run.state for run in project.runs()] == ["running"] * 2, 10, service.log)
    began = time.monotonic()
    project.set_clock(YEAR - HOUR)
    time.sleep(0.3)
    project.set_clock(-YEAR + HOUR)
    wait_for(lambda: all(run.finished_at for run in project.runs()), 10, service.log)
    assert 1.5 < time.monotonic() - began < 8
    assert {run.job_name: run.state for run in project.runs()} == {"short": "succeeded", "long": "timed_out"}
    assert service.stop() == 0
