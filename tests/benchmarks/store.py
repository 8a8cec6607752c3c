"""Measure how many runs a second the store records, and what a year of history costs. Run by hand:

.venv/bin/pip install . && .venv/bin/python tests/benchmarks/store.py [FOLDER ON A REAL DISK]
"""

import itertools
import os
import platform
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from runner.core.delivery import DeliveryAttempt, DeliveryState, Mail, MailKind, SendResult
from runner.core.run import Run, RunState, Trigger
from runner.store import Cursor, Store

THREADS = (1, 2, 16, 64)
SECONDS = 2.0
TURNS = 3
BATCH = 50
DUE_AT_ONCE = 10_000
YEAR = 1_000_000
JOBS = 1000
SENT = SendResult(state=DeliveryState.SENT)
START = datetime(2025, 1, 1, tzinfo=UTC)
BODY = os.urandom(3000).hex().encode()[:4000]


def make_runs(numbers: Sequence[int]) -> list[Run]:
    """Queued runs, each a fire of its job."""
    return [
        Run(
            run_id=f"{number:026d}",
            job_name=f"report_{number % JOBS:05d}",
            trigger=Trigger.SCHEDULE,
            scheduled_time=START + timedelta(minutes=number // JOBS),
            state=RunState.QUEUED,
            fire_key=str(number),
            queued_at=START + timedelta(minutes=number // JOBS),
            revision="0123456789abcdef",
            digest="0123456789abcdef" * 4,
        )
        for number in numbers
    ]


def make_mail(run: Run) -> Mail:
    """A results mail of about 4 kB to one recipient."""
    return Mail(
        run_id=run.run_id,
        kind=MailKind.RESULTS,
        message_id=f"<{run.run_id}@example.com>",
        sender="runner@example.com",
        recipients=("analyst@example.com",),
        subject=f"Job Results: {run.job_name} - 2025-01-01 00:00",
        message=BODY,
    )


def record(store: Store, runs: Sequence[Run]) -> None:
    """The whole life of some runs that were due at once: recorded together, then each goes its own way."""
    at = runs[0].scheduled_time
    store.record_fires(runs, [Cursor(job_name=run.job_name, schedule="* * * * * UTC", time=at) for run in runs])
    for run in runs:
        store.mark_running(run.run_id, at)
        ended = replace(run, state=RunState.SUCCEEDED, started_at=at, finished_at=at, rows_in=100, rows_out=10)
        done, _ = store.finish_run(ended, [make_mail(run)])
        delivered = [DeliveryAttempt(delivery_id=one.delivery_id, result=SENT, at=at) for one in done.deliveries]
        store.record_attempts(delivered)


def runs_per_second(folder: Path, threads: int, *, alone: bool) -> tuple[float, float]:
    """Runs recorded a second, and transactions for each. `alone`: a lock lets one thread write at a time."""
    numbers = itertools.count()
    lock = threading.Lock()
    with tempfile.TemporaryDirectory(dir=folder) as name, Store.open(Path(name) / "runner.db") as store:
        commits = count_commits(store)
        if alone:
            write = store._writing.write

            def one_at_a_time(work: Callable[[sqlite3.Connection], object]) -> object:
                with lock:
                    return write(work)

            store._writing.write = one_at_a_time
        deadline = time.perf_counter() + SECONDS
        done = [0] * threads

        def work(thread: int) -> None:
            while time.perf_counter() < deadline:
                first = next(numbers) * BATCH
                record(store, make_runs(range(first, first + BATCH)))
                done[thread] += BATCH

        began = time.perf_counter()
        workers = [threading.Thread(target=work, args=(thread,)) for thread in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        seconds = time.perf_counter() - began
        if len(store.runs(limit=10_000_000)) != sum(done) or store.open_deliveries():
            raise SystemExit("runs are missing")
    return sum(done) / seconds, next(commits) / sum(done)


def count_commits(store: Store) -> Iterator[int]:
    """A counter that every COMMIT moves on."""
    commits = itertools.count()
    store._writing._raw.set_trace_callback(lambda text: next(commits) if text == "COMMIT" else None)
    return commits


def recorded_runs(folder: Path) -> None:
    """The candidates take turns; the best turn of each is shown."""
    print("| recorded runs a second | in shared transactions | transactions a run | one at a time |")
    print("| --- | ---: | ---: | ---: |")
    for threads in THREADS:
        shared = [(0.0, 0.0)]
        alone = [(0.0, 0.0)]
        for _ in range(TURNS):
            shared.append(runs_per_second(folder, threads, alone=False))
            alone.append(runs_per_second(folder, threads, alone=True))
        rate, commits = max(shared)
        print(f"| {threads} threads | {rate:,.0f} | {commits:.2f} | {max(alone)[0]:,.0f} |")


def due_at_once(folder: Path) -> None:
    """Recording 10,000 fires in one call."""
    found = []
    for _ in range(5):
        with tempfile.TemporaryDirectory(dir=folder) as name, Store.open(Path(name) / "runner.db") as store:
            runs = make_runs(range(DUE_AT_ONCE))
            cursors = [
                Cursor(job_name=f"job{n}", schedule="* * * * * UTC", time=START) for n in range(DUE_AT_ONCE)
            ]
            found.append(milliseconds(partial(store.record_fires, runs, cursors)))
    print(f"\n{DUE_AT_ONCE:,} fires and cursors in one call: {min(found):.0f} ms\n")


def a_year(folder: Path) -> None:
    """What the usual calls cost after a year of minutely runs of a thousand jobs is in the history."""
    print(f"| with {YEAR:,} runs of {JOBS:,} jobs | milliseconds |\n| --- | ---: |")
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(dir=folder))
        path = Path(name) / "runner.db"
        store = stack.enter_context(Store.open(path))
        fill(store)
        size = path.stat().st_size / 2**20
        newest = make_runs(range(YEAR, YEAR + 200))
        spent = milliseconds(lambda: record(store, newest)) / len(newest)
        calls: list[tuple[str, Callable[[], object]]] = [
            ("last_runs", store.last_runs),
            ("failure_streak", lambda: store.failure_streak("report_00007")),
            ("failure_streak of a job that always failed", lambda: store.failure_streak("report_00000")),
            ("runs, a page", lambda: store.runs(limit=50)),
            ("runs of a job, a page", lambda: store.runs(job_name="report_00007", limit=50)),
            ("runs_between, a day", lambda: store.runs_between("report_00007", START, START + timedelta(days=1))),
            ("due_deliveries", lambda: store.due_deliveries(START, 20)),
            ("take_requests", store.take_requests),
            ("deliveries, a page", lambda: store.deliveries(limit=50)),
            ("deliveries of a job", lambda: store.deliveries("report_00007", limit=50)),
            ("deliveries that are dead", lambda: store.deliveries(states=[DeliveryState.DEAD], limit=50)),
            ("remove_old, nothing to remove", lambda: store.remove_old(START, 10_000)),
            ("remove_old, the newest 999 of each job kept", lambda: store.remove_old(START, 999)),
        ]
        print(f"| record a run, its whole life | {spent:.2f} |")
        for what, call in calls:
            print(f"| {what} | {milliseconds(call):.2f} |")
        store.close()
        print(f"| open | {milliseconds(lambda: stack.enter_context(Store.open(path))):.0f} |")
        print(f"\nThe file has {size:,.0f} MiB.")


def fill(store: Store) -> None:
    """A year of finished runs, a mail each: written past the store's methods, as only their result matters here."""
    at = int(START.timestamp() * 1_000_000)

    def write(connection: sqlite3.Connection) -> None:
        connection.execute(
            """
            WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
            INSERT INTO runs (
                run_id, job_name, trigger, scheduled_time, state, attempt, fire_key, queued_at, started_at, finished_at,
                rows_in, rows_out, failure_kind, failure_message, failure_hint, failure_traceback, note, output,
                revision, digest, sandbox, next_attempt_at, mailing, requested
            )
            SELECT printf('%026d', i), printf('report_%05d', i % ?), 'schedule',
                ? + i / ? * 60000000, iif(i % ? = 0, 'failed', 'succeeded'), 1, i, ?, ?, ?, 100, 10, NULL, '', '', '',
                '', 'printed', '0123456789abcdef', '0123456789abcdef0123456789abcdef', 'landlock', NULL, 1, 0 FROM n
            """,
            (YEAR, JOBS, at, JOBS, JOBS, at, at, at),
        )
        connection.execute(
            """
            INSERT INTO mails SELECT rowid, run_id, 'results', '<' || run_id || '@example.com>', 'r@example.com',
                'Job Results', NULL, 0, '[]' FROM runs
            """
        )
        connection.execute(
            """
            INSERT INTO deliveries SELECT mail_id, mail_id, 'analyst@example.com', iif(mail_id % 1000 = 0, 'dead', 'sent'),
                1, ?, NULL, ?, '', NULL FROM mails
            """,
            (at, at),
        )

    store._writing.write(write)
    # So that the checkpoint is over before anything is measured.
    store._writing._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    print(f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}, {os.cpu_count()} cores.\n")
    recorded_runs(folder)
    due_at_once(folder)
    a_year(folder)


if __name__ == "__main__":
    main()
