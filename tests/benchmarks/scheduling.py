"""Measure what time costs: due jobs handed over, a service with many jobs, long downtimes. Run by hand:

.venv/bin/pip install '.[bench]' && .venv/bin/python tests/benchmarks/scheduling.py
"""

import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import Empty, SimpleQueue
from types import MappingProxyType

from runner.core.catalog import Catalog
from runner.core.cron import parse_cron
from runner.core.job import Job, OnMissed
from runner.core.policy import decide_missed
from runner.core.source import DataSource, FileType, SourceType
from runner.core.timetable import Timetable

MANY = 10_000
ROUNDS = 5
IDLE_SECONDS = 60
NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


def main() -> None:
    if sys.argv[1:]:
        print(*{"runner": hand_over, "apscheduler": hand_over_of_apscheduler}[sys.argv[1]]())
        return
    print(f"Python {platform.python_version()}, {os.cpu_count()} cores; {ROUNDS} rounds, taking turns.\n")
    hand_over_table()
    timetable_table()
    service_table()


def hand_over_table() -> None:
    """From the due instant until a job is handed over, for 10,000 jobs that are due in the same second."""
    found = {name: [] for name in ("runner", "apscheduler")}
    for _ in range(ROUNDS):
        for name, rounds in found.items():
            done = subprocess.run(
                [sys.executable, __file__, name], capture_output=True, text=True, check=True, timeout=300
            )
            rounds.append(tuple(float(word) for word in done.stdout.split()))
    median = {
        name: [statistics.median(values) for values in zip(*rounds, strict=True)] for name, rounds in found.items()
    }
    print(f"| {MANY:,} jobs due in the same second | p50 | p99 | earliest |")
    print("| --- | ---: | ---: | ---: |")
    ours, theirs = median["runner"], median["apscheduler"]
    print(f"| runner: in the queue | {ours[0]:.2f} ms | {ours[1]:.2f} ms | {ours[2]:.2f} ms |")
    print(f"| runner: on record, run begun or in line | {ours[3]:,.0f} ms | {ours[4]:,.0f} ms | |")
    print(
        f"| APScheduler 3, memory store: handed to its executor | {theirs[0]:,.0f} ms | {theirs[1]:,.0f} ms"
        f" | {theirs[2]:.2f} ms |"
    )
    print(f"\nAt p99 {theirs[1] / ours[1]:,.0f} times as fast to the queue.\n")


def make_job(number: int, **changes: object) -> Job:
    values = {
        "schedule_time": "0 * * * *",
        "timezone": "Europe/Berlin",
        "data_source": DataSource(source_type=SourceType.FILE, location="a.csv", format=FileType.CSV),
        "consumer_emails": ("analyst@example.com",),
        "path": f"jobs.d/report_{number}.yaml",
    }
    return Job(job_name=f"report_{number:05d}", **{**values, **changes})


class IdleExecutor:
    """Takes orders and never ends one."""

    def submit(self, order: object) -> Future:
        return Future()

    def cancel(self, run_id: str) -> bool:
        return False


def hand_over() -> tuple[float, ...]:
    """p50, p99 and earliest to the queue, then p50 and p99 until on record, in ms."""
    import gc
    import logging

    from runner.service.runs import RunDesk
    from runner.service.schedule import Scheduler
    from runner.settings import load_settings
    from runner.store.store import Store

    logging.disable()
    with tempfile.TemporaryDirectory(dir=Path(__file__).parent) as name:
        settings = load_settings({}, folder=Path(name))
        # The wall clock, set so that a full hour is two seconds away once everything is loaded.
        shift = timedelta()

        def clock() -> datetime:
            return datetime.now(UTC) + shift

        with Store.open(settings.storage_path) as store:
            desk = RunDesk(
                settings=settings,
                store=store,
                executor=IdleExecutor(),
                clock=clock,
                monotonic=time.monotonic,
                entropy=lambda bits: int.from_bytes(os.urandom(bits // 8)),
                random=lambda: 0.5,
                on_change=lambda run: None,
            )
            scheduler = Scheduler(store=store, desk=desk, clock=clock)
            jobs = {job.job_name: job for job in map(make_job, range(MANY))}
            scheduler.start(Catalog(jobs=MappingProxyType(jobs)))
            due = scheduler.next_time()
            shift = due - timedelta(seconds=2) - datetime.now(UTC)
            gc.collect()
            gc.freeze()
            # Waits as the service's loop does.
            events = SimpleQueue()
            while (now := clock()) < due:
                try:
                    events.get(timeout=(due - now).total_seconds())
                except Empty:
                    continue
            scheduler.hand_over(now)
            queued = (clock() - due).total_seconds() * 1000
            recorded, latencies = 0, []
            while recorded < MANY:
                taken = scheduler.tick(clock())
                recorded += taken
                latencies.extend([(clock() - due).total_seconds() * 1000] * taken)
    latencies.sort()
    return queued, queued, queued, latencies[MANY // 2], latencies[MANY * 99 // 100]


def hand_over_of_apscheduler() -> tuple[float, ...]:
    """p50, p99 and earliest of APScheduler 3 with its memory store, in ms."""
    from apscheduler.executors.base import BaseExecutor
    from apscheduler.schedulers.background import BackgroundScheduler
    from apscheduler.triggers.cron import CronTrigger

    moments: list[float] = []
    done = threading.Event()

    class Recording(BaseExecutor):
        def _do_submit_job(self, job: object, run_times: list) -> None:
            moments.append((datetime.now(UTC) - run_times[0]).total_seconds() * 1000)
            if len(moments) == MANY:
                done.set()

    scheduler = BackgroundScheduler(executors={"default": Recording()}, timezone="UTC")
    # Far enough away for ten thousand jobs to be added.
    at = datetime.now(UTC) + timedelta(seconds=12)
    for number in range(MANY):
        trigger = CronTrigger(minute=at.minute, second=at.second, timezone="UTC")
        scheduler.add_job(print, trigger, id=str(number))
    scheduler.start()
    if not done.wait(120):
        raise SystemExit("not all jobs were handed over")
    scheduler.shutdown(wait=False)
    moments.sort()
    return moments[MANY // 2], moments[MANY * 99 // 100], moments[0]


def timetable_table() -> None:
    """The time-table alone: a hundred thousand jobs, and a year of missed fires."""
    rows = [*hundred_thousand(), *missed_year()]
    print("| the time-table alone | |\n| --- | ---: |")
    for what, figure in rows:
        print(f"| {what} | {figure} |")
    print()


def hundred_thousand():
    table, began = Timetable(), time.perf_counter()
    for number in range(100_000):
        expression = f"{number % 60} {number // 60 % 24} * * *"
        table.put(f"job{number}", schedule=parse_cron(expression), timezone="Europe/Berlin", after=NOON)
    yield "100,000 jobs, 1,440 schedules: loaded", f"{time.perf_counter() - began:.2f} s"
    spent = []
    for _ in range(2 * 1440):
        moment = table.next_time()
        began = time.perf_counter()
        table.pop_due(moment)
        spent.append((time.perf_counter() - began) * 1000)
    spent.sort()
    yield "… one due instant of it, p99", f"{spent[len(spent) * 99 // 100]:.2f} ms"
    table = Timetable()
    for number in range(100_000):
        table.put(f"job{number}", schedule=parse_cron("0 9 * * *"), timezone="Europe/Berlin", after=NOON)
    spent = []
    for _ in range(100):
        moment = table.next_time()
        began = time.perf_counter()
        table.pop_due(moment)
        spent.append((time.perf_counter() - began) * 1000)
    spent.sort()
    yield "100,000 jobs due at one instant, p99 of 100", f"{spent[98]:.2f} ms"


def missed_year():
    for on_missed in OnMissed:
        spent = []
        for _ in range(20):
            table = Timetable()
            job = make_job(0, schedule_time="* * * * *", on_missed=on_missed)
            table.put(job.job_name, schedule=parse_cron("* * * * *"), timezone=job.timezone, after=NOON)
            now = NOON + timedelta(days=365)
            began = time.perf_counter()
            (due,) = table.pop_due(now)
            decision = decide_missed(job, due.of(job.job_name), earlier=due.earlier, now=now)
            spent.append((time.perf_counter() - began) * 1000)
            assert decision.skipped + len(decision.run) == 365 * 1440
        yield f"a year of missed minutely fires, on_missed: {on_missed}", f"{statistics.median(spent):.1f} ms"


def service_table() -> None:
    """`runner start` with 10,000 jobs: until its first tick, at rest, and its memory."""
    from measure import make_jobs

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_jobs(folder, MANY)
        for path in (folder / "jobs.d").iterdir():
            # Not due while this measures: at rest is at rest.
            path.write_text(path.read_text().replace("* * 1-5", "1 1 *"))
        started, rest, memory = zip(*(serve(folder) for _ in range(3)), strict=True)
    print(f"| runner start with {MANY:,} jobs | |\n| --- | ---: |")
    print(f"| until the first tick, first time | {started[0]:.2f} s |")
    print(f"| until the first tick, again | {statistics.median(started[1:]):.2f} s |")
    print(f"| processor at rest, whole service, {IDLE_SECONDS} s | {statistics.median(rest):.2f} % |")
    print(f"| memory of the main process | {max(memory):.0f} MiB |")


def serve(folder: Path) -> tuple[float, float, float]:
    """Seconds to the first tick, percent of one core at rest, MiB of the main process."""
    environ = {**os.environ, "STATUS_PORT": "18412", "SMTP_HOST": "", "NO_COLOR": "1"}
    began = time.monotonic()
    process = subprocess.Popen(
        [Path(sys.executable).parent / "runner", "start"],
        cwd=folder,
        env=environ,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    for line in process.stderr:
        if "Ready in" in line:
            break
    ready = time.monotonic() - began
    threading.Thread(target=process.stderr.read, daemon=True).start()
    time.sleep(5)
    before = processor_seconds(process.pid)
    time.sleep(IDLE_SECONDS)
    rest = (processor_seconds(process.pid) - before) / IDLE_SECONDS * 100
    status = Path(f"/proc/{process.pid}/status").read_text()
    memory = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024
    process.send_signal(signal.SIGTERM)
    process.wait(30)
    return ready, rest, memory


def processor_seconds(pid: int) -> float:
    """Of a process and all below it, threads and processes that have ended too: otherwise theirs would be given back."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    # utime, stime, cutime and cstime: 14 to 17 in proc(5), of which two stand before the bracket.
    spent = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    tasks = Path(f"/proc/{pid}/task").iterdir()
    children = [child for task in tasks for child in (task / "children").read_text().split()]
    return spent + sum(processor_seconds(int(child)) for child in children)


if __name__ == "__main__":
    main()
