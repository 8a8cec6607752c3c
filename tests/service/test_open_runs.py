import sys
import threading

import pytest

from runner.core.run import Run, RunState, Trigger
from runner.service.open_runs import OpenRuns


@pytest.fixture
def quick_switches():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("quick_switches")
def test_a_run_that_is_put_off_is_there_all_the_time(clock, make_job):
    """Whoever waits for the runs to end would take it for ended, and a cancellation would miss it."""
    job = make_job()
    open_runs = OpenRuns(1, lambda: 0.0)
    run = Run(
        run_id="run00001",
        job_name=job.job_name,
        trigger=Trigger.SCHEDULE,
        state=RunState.QUEUED,
        scheduled_time=clock.now,
        queued_at=clock.now,
    )
    open_runs.add(run, job)
    missed, over = [], threading.Event()

    def look():
        while not over.is_set():
            if not open_runs.count():
                missed.append(True)

    looking = threading.Thread(target=look)
    looking.start()
    for _ in range(2000):
        open_runs.put_off(run, job, 1.0)
    over.set()
    looking.join()
    assert not missed
