"""A full disk, no descriptors, a state folder that is gone: nothing starts that cannot be recorded, and it goes on."""

import contextlib
import os
import resource
import shutil
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)


class FullDisk:
    """The state folder on a file system of 3 MB, which is filled and emptied."""

    def __init__(self, folder):
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, _service):
        file = os.open(self._filler, os.O_WRONLY | os.O_CREAT)
        try:
            while True:
                os.write(file, bytes(4096))
        except OSError:
            os.close(file)

    def make_room(self, _service):
        self._filler.unlink()


class FileSizeLimit:
    """A process that may make no file longer than the log of the database is."""

    def __init__(self, folder):
        self.folder = folder

    def fill(self, service):
        size = (self.folder / "data" / "runner.db-wal").stat().st_size
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def make_room(self, service):
        resource.prlimit(service.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@pytest.fixture(params=["tmpfs", "file-size"])
def disk(request, tmp_path):
    if request.param == "tmpfs":
        return FullDisk(request.getfixturevalue("tmpfs")("3m"))
    return FileSizeLimit(tmp_path)


@pytest.mark.long
def test_disk_full(disk, make_project, mail_server, wait_for):
    project = make_project(state=disk.folder / "data")
    project.env |= {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mail_server.port)}
    project.job("plain", "on_missed: run_all", "concurrency_policy: allow")
    project.job("slow", schedule='schedule_time: "0 * * * *"')
    project.hand_clock(-SECOND)
    service = project.start()
    assert service.readiness()[0] == 200

    # While a run is under way, and another has just been mailed.
    mail_server.on_content = lambda: disk.fill(service)
    project.set_clock(SECOND)
    wait_for(lambda: mail_server.mails, 10, service.log)
    mail_server.on_content = None
    (project.folder / "go-on").touch()
    status, answer = wait_for(lambda: _not_ready(service, "cannot be recorded yet"), 10, service.log)
    assert status == 503, answer
    project.set_clock(MINUTE + SECOND)
    status, answer = wait_for(lambda: _not_ready(service, "due runs cannot be recorded"), 10, service.log)
    assert "disk is full" in str(answer) or "disk I/O error" in str(answer), answer
    project.set_clock(2 * MINUTE + SECOND)
    time.sleep(0.6)
    assert sum(project.executed().values()) == 2, "nothing begins that cannot be recorded"
    assert len(mail_server.mails) == 1, "nothing is sent while it is not on record what was"
    assert not service.ended()

    disk.make_room(service)
    project.set_clock(2 * MINUTE + 10 * SECOND)
    wait_for(lambda: len(project.runs("plain")) == 3 and project.at_rest(), 20, service.log)
    assert service.readiness()[0] == 200
    assert [run.state for run in project.runs()] == ["succeeded"] * 4
    assert [one.state for one in project.deliveries()] == ["sent"] * 4
    assert sorted(mail_server.received().values()) == [1] * 4
    assert set(project.executed().values()) == {1}
    assert "Traceback" not in "".join(line for line in service.log().splitlines() if "loop" in line)
    assert service.stop() == 0


def _not_ready(service, reason):
    status, answer = service.readiness()
    return (status, answer) if any(reason in one for one in answer.get("reasons", ())) else None


@pytest.mark.long
def test_any_single_commit_finds_the_disk_full(make_project, make_mail_server, wait_for):
    """As many services as a cycle has commits; each has another one of them refused."""
    seeded = make_project("seed")
    _jobs_of_all_kinds(seeded)
    seeded.clock(-3 * MINUTE - SECOND, speed=0)
    service = seeded.start()
    assert service.readiness()[0] == 200
    service.kill()

    every, commits, number = [], 2, 1
    while number <= commits:
        project, mails = make_project(f"full-{number}"), make_mail_server()
        project.env |= {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": str(mails.port)}
        _jobs_of_all_kinds(project)
        shutil.copytree(seeded.state, project.state)
        # Fast enough for what is tried again later, and it stops before the next fire: not too soon for so many
        # services that come up at once.
        project.clock(SECOND, speed=10, for_=50 * SECOND)
        project.start(commits={"ledger": str(project.folder / "ledger"), "when": "full", "number": number})
        every.append((project, mails))
        if number == 1:
            # It cannot begin; the next one finds nothing wrong, and shows how many commits there are.
            assert project.started[-1].wait() == 3
            project.start(commits={"ledger": str(project.folder / "ledger")})
            assert _waits_or_ends(project) is None
            commits = (project.folder / "ledger").stat().st_size
        number += 1
    whole = {"first": 1, "flaky": 1, "follower": 1, "late": 1, "after-late": 1, "replacing": 4}
    refused = 0
    for project, mails in every:
        if _waits_or_ends(project) == 3:
            # It could not begin: that is said, and whoever starts it again finds everything.
            refused += 1
            assert "the disk is full" in project.logs()
            project.start()
            assert _waits_or_ends(project) is None
        runs = project.runs()
        assert Counter(run.job_name for run in runs) == whole
        ended = {(run.job_name, run.state) for run in runs if run.job_name != "replacing"}
        assert ended == {(name, "succeeded") for name in ("first", "flaky", "follower")} | {
            (name, "skipped") for name in ("late", "after-late")
        }
        assert [run.state for run in runs if run.job_name == "replacing"][-1] == "succeeded"
        assert set(project.executed().values()) == {1}
        assert set(mails.received().values()) == {1}
        assert {one.state for one in project.deliveries()} == {"sent"}
    assert commits > 12
    assert refused <= 4


def _waits_or_ends(project):
    """Until the last service has nothing left to do, which is None, or has ended, with its exit code."""
    deadline = time.monotonic() + 25
    service = project.started[-1]
    while not service.ended():
        if len(project.runs()) == 9 and project.at_rest():
            service.kill()
        assert time.monotonic() < deadline, service.log()
        time.sleep(0.05)
    return None if service.code == -9 else service.code


def _jobs_of_all_kinds(project):
    project.faults["jitter"] = 0.0
    project.job("first")
    project.job("flaky", "retry: {limit: 1, backoff_seconds: 1}", to="a@example.com, b@example.com")
    project.job("follower", schedule="after: [first]")
    project.job("late", "on_missed: skip", schedule='schedule_time: "57 11 * * *"')
    project.job("after-late", schedule="after: [late]")
    project.job("replacing", "on_missed: run_all", "concurrency_policy: replace")


@pytest.mark.long
def test_runs_that_were_queued_before_the_disk_was_full_begin_later(disk, make_project, wait_for):
    project = make_project(state=disk.folder / "data")
    project.env["MAX_CONCURRENT_RUNS"] = "1"
    project.job("plain")
    project.job("slow")
    project.hand_clock(-SECOND)
    service = project.start(jitter=0.0, outbox_seconds=0.1)
    assert service.readiness()[0] == 200
    project.set_clock(SECOND)
    wait_for(lambda: len(project.runs()) == 2 and project.executed(), 10, service.log)
    disk.fill(service)
    (project.folder / "go-on").touch()
    assert wait_for(lambda: service.readiness()[0] == 503, 10, service.log)
    time.sleep(0.3)
    disk.make_room(service)
    # Mails are kept as files here: those that did not fit on the disk are put off.
    project.set_clock(40 * SECOND)
    wait_for(project.at_rest, 20, service.log)
    assert [run.state for run in project.runs()] == ["succeeded"] * 2
    assert set(project.executed().values()) == {1}


@pytest.mark.long
def test_a_step_that_fills_the_disk_is_on_record(tmpfs, make_project, wait_for):
    """With the real zygote: what the step has written goes before its end is recorded, which needs the room."""
    project = make_project(state=tmpfs("16m") / "data")
    project.job(
        "greedy",
        "processing_script: |",
        "  for number in range(1000):",
        "      with open(str(number), 'wb', buffering=0) as file:",
        "          while file.write(b'x' * 4096): pass",
        "  result = data",
    )
    project.hand_clock(-SECOND)
    service = project.start(quick=False)
    assert service.readiness()[0] == 200
    project.set_clock(SECOND)
    wait_for(lambda: project.runs() and project.at_rest(), 20, service.log)
    (run,) = project.runs()
    assert run.state == "failed"
    assert service.readiness()[0] == 200
    assert "cannot be recorded" not in service.log()


@pytest.mark.long
@pytest.mark.parametrize(
    "step",
    [
        ("processing_script: |", "  result = data.assign(text='x' * 500_000).loc[[0] * 40]"),
        ("processing_script: |", "  result = data.assign(text='x' * 100).loc[[0] * 200_000]"),
        ("processing_query: SELECT *, repeat('x', 100) AS text FROM data, range(200_000)",),
        ("delivery: {attachment: parquet}", "processing_query: SELECT sha256(x::TEXT) FROM range(70_000) t(x)"),
    ],
    ids=["cell by cell", "script", "query", "attachment"],
)
def test_a_result_that_the_disk_has_no_room_for_says_so(tmpfs, make_project, wait_for, step):
    """With the real zygote. It is not the result that is at fault, and its people are told what is."""
    project = make_project(state=tmpfs("8m") / "data")
    project.job("wide", *step)
    project.hand_clock(-SECOND)
    service = project.start(quick=False)
    assert service.readiness()[0] == 200
    project.set_clock(SECOND)
    wait_for(lambda: project.runs() and project.at_rest(), 20, service.log)
    (run,) = project.runs()
    assert run.failure_kind == "disk"
    assert "the disk that holds the folders of runs is full" in run.failure_message
    assert "Free some space on the disk of JOB_STORAGE_PATH" in run.failure_hint
    assert "df -i" in run.failure_hint
    assert service.readiness()[0] == 200


@pytest.mark.long
def test_a_disk_that_can_hold_no_more_files_is_told_as_that(tmpfs, make_project, wait_for):
    """As ext4 can, it has room then, and free space is not what it lacks."""
    folder = tmpfs("8m,nr_inodes=24")
    project = make_project(state=folder / "data")
    project.job("plain")
    project.hand_clock(-SECOND)
    service = project.start(outbox_seconds=0.1)
    assert service.readiness()[0] == 200
    fillers = [folder / f"filler-{number}" for number in range(24)]
    with contextlib.suppress(OSError):
        for filler in fillers:
            filler.touch()
    assert not fillers[-1].exists(), "no other file can be made"
    project.set_clock(SECOND)
    wait_for(lambda: service.readiness()[0] == 503, 10, service.log)
    (reason,) = service.readiness()[1]["reasons"]
    assert f"their folders cannot be made in {project.state / 'runs'}: No space left on device. " in reason
    assert "df -i" in reason
    assert reason in service.log()
    for filler in fillers:
        filler.unlink(missing_ok=True)
    wait_for(lambda: [run.state for run in project.runs()] == ["succeeded"], 20, service.log)
    wait_for(lambda: service.readiness()[0] == 200, 10, service.log)


@pytest.mark.long
def test_no_descriptors(project, mail_server, wait_for):
    """With the real zygote: its children come over descriptors."""
    project.job("again", "retry: {limit: 9, backoff_seconds: 1, max_delay_seconds: 1}")
    project.job("once")
    project.hand_clock(-SECOND)
    service = project.start(quick=False, jitter=1.0)
    assert service.readiness()[0] == 200
    soft, hard = resource.prlimit(service.pid, resource.RLIMIT_NOFILE)
    # What the service holds already is more than that, so it gets no other.
    resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (8, hard))
    assert {str(number) for number in range(8)} <= {one.name for one in Path(f"/proc/{service.pid}/fd").iterdir()}
    project.set_clock(SECOND)
    wait_for(lambda: len(project.runs()) == 2, 10, service.log)
    time.sleep(1.0)
    assert not service.ended()
    resource.prlimit(service.pid, resource.RLIMIT_NOFILE, (soft, hard))
    wait_for(lambda: all(run.finished_at for run in project.runs()), 20, service.log)
    again, once = sorted(project.runs(), key=lambda run: run.job_name)
    assert again.state == "succeeded"
    assert again.attempt > 1
    assert once.state == "failed"
    assert "Too many open files" in once.failure_message
    # A mail that could not leave meanwhile was put off.
    project.set_clock(10 * MINUTE)
    wait_for(project.at_rest, 10, service.log)
    assert service.readiness()[0] == 200
    assert service.stop() == 0
    assert set(mail_server.received().values()) == {1}
    assert any(subject.startswith("Job Failed: once") for subject in mail_server.subjects("owner@example.com"))


@pytest.mark.long
def test_state_folder_removed(project, mail_server, wait_for):
    """What is written to a removed file is forgotten: so nothing begins, until the folder is back."""
    project.job("plain", "on_missed: run_all")
    project.hand_clock(-SECOND)
    service = project.start()
    assert service.readiness()[0] == 200
    away = project.state.with_name("away")
    project.state.rename(away)
    project.set_clock(SECOND)
    wait_for(lambda: _not_ready(service, "was removed or replaced"), 10, service.log)
    project.set_clock(MINUTE + SECOND)
    time.sleep(0.6)
    assert not project.executed()
    assert not mail_server.mails
    shutil.rmtree(project.state, ignore_errors=True)
    away.rename(project.state)
    project.set_clock(MINUTE + 10 * SECOND)
    wait_for(lambda: len(project.runs()) == 2 and project.at_rest(), 15, service.log)
    assert service.readiness()[0] == 200
    assert list(mail_server.received().values()) == [1, 1]
    assert service.stop() == 0
