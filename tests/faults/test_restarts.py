"""What is due while the service is down, beside what the last service has left of the same job."""

import signal
from datetime import timedelta

import pytest

SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.mark.long
@pytest.mark.parametrize(
    "missed", ["2 earlier fires missed and not run", ""], ids=["the last of three", "the only one"]
)
@pytest.mark.parametrize("after", [SECOND, HOUR], ids=["just due", "late"])
@pytest.mark.parametrize("ending", ["handed back", "lost"])
def test_what_the_last_service_has_left_keeps_no_missed_fire_from_running(
    project, mail_server, wait_for, ending, after, missed
):
    """A run is under way at the end of a service. Days later both it and the last fire are due."""
    project.job("slow", "retry: {limit: 1, backoff_seconds: 1}", schedule='schedule_time: "0 12 * * *"')
    project.hand_clock(-SECOND)
    service = project.start(jitter=0.0)
    assert service.readiness()[0] == 200
    project.set_clock(SECOND)
    wait_for(project.executed, 10, service.log)
    if ending == "lost":
        service.kill()
    else:
        service.send(signal.SIGTERM)
        wait_for(lambda: "Stopping" in service.log(), 10, service.log)
        service.send(signal.SIGTERM)
        assert service.wait(30) == 0
    project.set_clock((3 if missed else 1) * DAY + after)
    service = project.start(jitter=0.0)
    assert service.readiness()[0] == 200
    wait_for(lambda: len(project.runs()) == 2, 10, service.log)
    (project.folder / "go-on").touch()
    wait_for(project.at_rest, 10, service.log)
    assert [(run.state, run.note) for run in project.runs()] == [("succeeded", ""), ("succeeded", missed)]
    assert len(mail_server.mails) == 2
    assert service.stop() == 0
