"""kill -9, at every commit and at random moments: nothing is lost, nothing is doubled."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from datetime import timedelta

import pytest

KILLS = int(os.environ.get("RUNNER_FAULT_KILLS", "6"))
RETRY = "retry: {limit: 9, backoff_seconds: 1, max_delay_seconds: 1}"
SECOND = timedelta(seconds=1)


class Seen:
    """What was on disk, and in people's mailboxes, right after a process was killed."""

    def __init__(self, project, mail_server):
        mail_server.settle()
        found = project.deliveries()
        self.received = mail_server.received()
        self.open = {(one.message_id, one.recipient) for one in found if one.state in ("pending", "deferred")}
        self.begun = {(one.message_id, one.recipient) for one in found if one.began_at is not None}
        self.cursors = {one.job_name: one.time for one in project.read("SELECT * FROM cursors")}


def check_mails(project, mail_server, seen):
    """Every mail has arrived; again only where it was open when a process was killed; held where that is asked for.

    Answers how many copies came twice.
    """
    received, extra = mail_server.received(), Counter()
    notices = Counter(mail_server.subjects("owner@example.com"))
    held = 0
    for one in project.deliveries():
        key = (one.message_id, one.recipient)
        if one.state == "held":
            held += 1
            assert one.hold_ambiguous
            assert any(key in kill.begun for kill in seen)
            assert received.pop(key, 0) <= 1
            continue
        assert one.state == "sent", one
        copies = received.pop(key, 0)
        assert copies >= 1, f"{key} is on record as sent, and never came"
        extra[key] = copies - 1
        assert copies == 1 or not one.hold_ambiguous
        assert copies - 1 <= sum(key in kill.open for kill in seen)
    assert not received, "a mail that nothing is on record of"
    told = [subject for subject in notices if subject.startswith("Mail Undelivered")]
    assert bool(held) == bool(told), notices
    return extra


def check_runs(project):
    """Every run has ended, there is one for each job and nominal time, and no attempt was begun twice."""
    runs = project.runs()
    assert {run.state for run in runs} <= {"succeeded", "lost", "skipped"}, Counter(run.state for run in runs)
    per_fire = Counter((run.job_name, run.scheduled_time) for run in runs)
    assert set(per_fire.values()) <= {1}, per_fire
    assert set(project.executed().values()) <= {1}
    per_mail = Counter((one.run_id, one.kind, one.recipient) for one in project.deliveries())
    assert all(count == 1 for (_, kind, _), count in per_mail.items() if kind != "undelivered")
    return {(run.job_name, run.scheduled_time): run for run in runs}


def three_jobs(project):
    project.job("first", "delivery: {on_ambiguous: hold}")
    project.job("flaky", "retry: {limit: 1, backoff_seconds: 1}", to="a@example.com, b@example.com")
    project.job("follower", schedule="after: [first]")
    project.faults["jitter"] = 0.0


def cycle(project, when, number):
    """A service that is killed at a commit, or has nothing left to do; answers whether it was killed."""
    ledger = project.folder / f"commits-{when}-{number}"
    service = project.start(commits={"ledger": str(ledger), "when": when, "number": number})
    while not service.ended():
        if len(project.runs()) >= 3 and project.at_rest():
            service.kill()
            return False
        time.sleep(0.02)
    assert service.code == -9, service.log()
    return True


@pytest.mark.long
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_commit_of_a_cycle(when, make_project, make_mail_server, wait_for):
    seeded = make_project("seed")
    three_jobs(seeded)
    seeded.clock(-SECOND, speed=0)
    service = seeded.start()
    assert service.readiness()[0] == 200
    service.kill()

    killed, number = True, 0
    while killed:
        number += 1
        project, mails = make_project(f"{when}-{number}"), make_mail_server()
        project.env |= {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mails.port)}
        three_jobs(project)
        shutil.copytree(seeded.state, project.state)
        # The fire of noon is due: this service has one second of it, its successor the next.
        project.clock(SECOND, speed=0)
        killed = cycle(project, when, number)
        seen = Seen(project, mails)
        project.clock(2 * SECOND, speed=0)
        again = project.start()
        wait_for(lambda: len(project.runs()) == 3 and project.at_rest(), 15, again.log)  # noqa: B023 - called here
        again.kill()

        runs = check_runs(project)
        assert {name for name, _ in runs} == {"first", "flaky", "follower"}
        by_name = {name: run for (name, _), run in runs.items()}
        assert (by_name["follower"].state == "skipped") == (by_name["first"].state == "lost")
        extra = check_mails(project, mails, [seen])
        # Twice exactly where the server had taken it, and that was not on record.
        assert {key for key, count in extra.items() if count} == {
            key for key in seen.open - seen.begun if seen.received[key]
        }
    assert number > 12, "so many commits a cycle has at least"


@pytest.mark.long
@pytest.mark.parametrize(
    ("on_ambiguous", "copies", "states"), [("resend", 2, {"sent"}), ("hold", 1, {"held", "sent"})]
)
def test_killed_between_the_mail_and_its_record(on_ambiguous, copies, states, project, mail_server, wait_for):
    project.job("plain", f"delivery: {{on_ambiguous: {on_ambiguous}}}")
    project.hand_clock(-SECOND)
    service = project.start()
    assert service.readiness()[0] == 200
    mail_server.on_content = lambda: os.kill(service.pid, signal.SIGKILL)
    project.set_clock(SECOND)
    wait_for(lambda: mail_server.mails, 10, service.log)
    service.wait()
    mail_server.on_content = None
    (before,) = project.deliveries()
    assert before.state == "pending"
    assert project.runs()[0].state == "succeeded"
    again = project.start()
    wait_for(project.at_rest, 15, again.log)
    again.kill()
    assert mail_server.received()[before.message_id, "reader@example.com"] == copies
    assert {one.state for one in project.deliveries()} == states
    told = ["Mail Undelivered: plain - 2026-03-02 12:00:01"] if on_ambiguous == "hold" else []
    assert mail_server.subjects("owner@example.com") == told
    assert list(project.executed().values()) == [1]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_killed_at_a_commit_of_the_very_first_start(when, number, project, mail_server, wait_for):
    three_jobs(project)
    project.clock(-SECOND, speed=0)
    service = project.start(commits={"ledger": str(project.folder / "ledger"), "when": when, "number": number})
    assert service.wait() == -9
    known = set(Seen(project, mail_server).cursors)
    project.clock(SECOND, speed=0)
    again = project.start()
    assert again.readiness()[0] == 200
    # A job whose schedule was on record has missed nothing; the others are new, and go on from now.
    expected = 3 if "first" in known else 0
    wait_for(lambda: len(project.runs()) == expected and project.at_rest(), 10, again.log)
    check_runs(project)
    check_mails(project, mail_server, [])


@pytest.mark.long
@pytest.mark.timeout(600)
def test_random_kills_under_load(project, mail_server, wait_for, noon):
    """Fires of eleven jobs at 240 times the speed of the clock, kills at random, and a recount at the end."""
    plain = [f"plain-{number}" for number in range(6)]
    for name in plain:
        project.job(
            name, "on_missed: run_all", "concurrency_policy: allow", RETRY, to="a@example.com, b@example.com"
        )
    for name in ("flaky-1", "flaky-2"):
        project.job(name, "on_missed: run_all", "concurrency_policy: allow", RETRY, to="busy@example.com")
    project.job("held", "on_missed: run_all", "concurrency_policy: allow", RETRY, "delivery: {on_ambiguous: hold}")
    project.job("source", "on_missed: run_all", "concurrency_policy: allow", RETRY)
    project.job("follower", "concurrency_policy: allow", RETRY, schedule="after: [source]")
    project.faults["jitter"] = 0.0
    mail_server.answers["busy@example.com"] = ["451 not now"] * 11
    project.clock(speed=0)
    service = project.start()
    assert service.readiness()[0] == 200
    service.kill()
    cursors = {one.job_name: one.time for one in project.read("SELECT * FROM cursors")}

    began, seen = time.time(), []
    project.clock(speed=240.0, real=began)
    for _ in range(KILLS):
        service = project.start()
        time.sleep(random.uniform(0.05, 0.9))
        service.kill()
        seen.append(Seen(project, mail_server))
    minutes = int((time.time() - began) * 240.0 / 60)
    project.clock(speed=240.0, real=began, for_=timedelta(minutes=minutes + 1, seconds=30))
    last = project.start()
    end = int((noon + timedelta(minutes=minutes + 1)).timestamp() * 1e6)

    def all_run():
        reached = project.read("SELECT min(time) AS time FROM cursors")[0].time
        return reached >= end and not project.read("SELECT 1 FROM runs WHERE state IN ('queued', 'running')")

    wait_for(all_run, 60, last.log)
    assert last.stop() == 0
    # What was put off before is due now; no fire is.
    mail_server.answers.clear()
    project.clock(timedelta(minutes=minutes + 1, seconds=50), speed=0)
    last = project.start()
    wait_for(project.at_rest, 20, last.log)
    last.kill()

    runs = check_runs(project)
    minute = 60_000_000
    fires = {
        (name, time)
        for name, start in cursors.items()
        for time in range(start // minute * minute + minute, end + 1, minute)
    }
    assert len(cursors) == 10
    succeeded = {time for (name, time), run in runs.items() if name == "source" and run.state == "succeeded"}
    following = {time for (name, time), run in runs.items() if name == "follower" and run.state != "skipped"}
    assert {key for key in runs if key[0] != "follower"} == fires, "each fire has its run"
    assert following == succeeded, "a follower for each that it follows"
    extra = check_mails(project, mail_server, seen)
    doubled = {message_id for (message_id, _), count in extra.items() if count}
    assert len(doubled) <= KILLS, "only what was under way when the process was killed"
    assert "Traceback" not in project.logs()
    states = Counter(run.state for run in runs.values())
    attempts = sum(project.executed().values())
    print(
        f"\nkills {KILLS}, fires {len(fires)}, runs {len(runs)} {dict(states)}, attempts {attempts}, "
        f"deliveries {len(project.deliveries())}, mails received {len(mail_server.mails)}, "
        f"twice {sum(extra.values())} copies of {len(doubled)} mails, "
        f"held {sum(one.state == 'held' for one in project.deliveries())}"
    )
