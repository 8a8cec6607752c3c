"""Forks the command line for the tests of this folder, with faults put in; run as a script, never imported.

Reads one JSON request a line from standard input and answers each with a line of JSON. `start` forks a process that
carries out `runner` with some arguments, everything imported already: a service is up in a fifth of a second.
`wait` waits for one. The faults come in from outside, by replacing names of modules in the forked process.
"""

import ctypes
import gc
import json
import mmap
import os
import signal
import sqlite3
import struct
import sys
import time
import traceback
from datetime import datetime, timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import runner.cli.history
import runner.cli.run
import runner.cli.start
import runner.delivery.outbox
import runner.execution.executors
import runner.service.clock
import runner.service.loop
import runner.store.connection
from runner.cli import main as command_line
from runner.core.preview import Preview
from runner.core.run import FailureKind, RunFailure, RunOutcome, RunState
from runner.delivery.smtp import SmtpTransport
from runner.execution.results import RESULT_FILE
from runner.service import wiring

PR_SET_PDEATHSIG = 1
# What a start imports when it needs it: imported once, before the forks.
LATE = (
    "jsonschema_rs",
    "runner.cli.backfill",
    "runner.jobfiles.build",
    "uvicorn.lifespan.off",
    "uvicorn.loops.asyncio",
    "uvicorn.loops.auto",
    "uvicorn.protocols.http.auto",
    "watchdog.observers",
)


class Clock:
    """Stands for `datetime` in the modules that read the wall clock: `now` is what the test wants it to be.

    The time is `base` at the real time `real`, goes `speed` times as fast, and stops at `until`. The file `offset`
    holds a number of seconds, as a double, that are added: writing there sets the clock.
    """

    def __init__(self, *, base, real=None, speed=1.0, until=None, offset=None):
        self.base = datetime.fromisoformat(base)
        self.until = datetime.fromisoformat(until) if until else None
        self.real, self.speed, self.offset = real or time.time(), speed, None
        if offset:
            with Path(offset).open("rb") as file:
                self.offset = mmap.mmap(file.fileno(), 8, prot=mmap.PROT_READ)

    def now(self, _zone):
        moment = self.base + timedelta(seconds=(time.time() - self.real) * self.speed)
        if self.until is not None:
            moment = min(moment, self.until)
        if self.offset is not None:
            moment += timedelta(seconds=struct.unpack("d", self.offset[:])[0])
        return moment


class QuickZygote:
    """In place of the zygote, where processing is not what is tested."""

    level = "none: a test"
    missing = ()

    def __init__(self, **_):
        pass

    def launch(self):
        pass

    start = close = launch


class QuickPipeline:
    """Copies the source to the result, and writes each attempt that it begins into `executed` beside the jobs.

    A job whose name begins with `flaky` fails at its first attempt, one with `failing` always; one with `slow` goes
    on when there is a file `go-on` beside the jobs.
    """

    def __init__(self, *, zygote, environ, fetch_timeout, clock):
        self._clock = clock

    def execute(self, order, cancelled):
        began, project = self._clock(), Path(order.project_dir)
        ledger = os.open(project / "executed", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(ledger, f"{order.run_id} {order.attempt}\n".encode())
        os.close(ledger)
        bad = order.job.job_name.startswith("failing")
        if bad or (order.job.job_name.startswith("flaky") and order.attempt == 1):
            return self._failed(order, began, RunState.FAILED, FailureKind.SCRIPT)
        content = (project / order.job.data_source.location).read_bytes()
        (Path(order.run_dir) / RESULT_FILE).write_bytes(content)
        while order.job.job_name.startswith("slow") and not (project / "go-on").exists():
            if cancelled.wait(0.02):
                return self._failed(order, began, RunState.CANCELLED, FailureKind.CANCELLED)
        header, *rows = (line.split(",") for line in content.decode().splitlines())
        return RunOutcome(
            run_id=order.run_id,
            state=RunState.SUCCEEDED,
            started_at=began,
            finished_at=self._clock(),
            rows_in=len(rows),
            rows_out=len(rows),
            result_file=RESULT_FILE,
            result_bytes=len(content),
            preview=Preview(
                columns=tuple(header),
                numeric=(False,) * len(header),
                rows=tuple(tuple(row) for row in rows[:3]),
                total_rows=len(rows),
                total_columns=len(header),
            ),
        )

    def _failed(self, order, began, state, kind):
        return RunOutcome(
            run_id=order.run_id,
            state=state,
            started_at=began,
            finished_at=self._clock(),
            failure=RunFailure(kind=kind, message="it fails, as the test says"),
        )


def count_commits(*, ledger, when="", number=0):
    """Kill this process before or after its n-th commit, or refuse that one as a full disk does.

    Each commit adds a byte to the file `ledger`.
    """
    file = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    seen = [0]

    class Connection(sqlite3.Connection):
        def execute(self, sql, *values):
            return counted(lambda: super(Connection, self).execute(sql, *values), sql == "COMMIT")

        def commit(self):
            counted(super().commit, self.in_transaction)

    def counted(act, commits):
        if not commits:
            return act()
        seen[0] += 1
        if (when, number) == ("before", seen[0]):
            os.kill(os.getpid(), signal.SIGKILL)
        if (when, number) == ("full", seen[0]):
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorname = "SQLITE_FULL"
            raise full
        answer = act()
        os.write(file, b".")
        if (when, number) == ("after", seen[0]):
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    def connect(database, **options):
        writes = "mode=rw" in database
        return sqlite3.connect(database, factory=Connection if writes else sqlite3.Connection, **options)

    runner.store.connection.sqlite3 = SimpleNamespace(**{**vars(sqlite3), "connect": connect})


def put_in(
    *,
    clock=None,
    commits=None,
    quick=True,
    jitter=None,
    smtp_seconds=None,
    outbox_seconds=None,
    uid=None,
):
    """Replace what the test wants replaced, in this process."""
    if clock is not None:
        runner.service.clock.datetime = runner.execution.executors.datetime = Clock(**clock)
    if quick:
        wiring.make_step_runner, wiring.Pipeline = QuickZygote, QuickPipeline
    if jitter is not None:
        wiring.random = runner.service.loop.random = SimpleNamespace(random=lambda: jitter)
    if smtp_seconds is not None:
        wiring.SmtpTransport = lambda settings: SmtpTransport(settings, total_timeout=smtp_seconds)
    if outbox_seconds is not None:
        runner.delivery.outbox._LONGEST_WAIT_SECONDS = outbox_seconds
    if commits is not None:
        count_commits(**commits)
    if uid is not None:
        os.setgid(uid)
        os.setuid(uid)


def start(*, arguments, folder, env, log, faults):
    """Fork; the process carries out `runner` with these arguments, and writes all it says into the file `log`."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(71)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, 64)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(env)
        put_in(**faults)
        sys.argv[1:] = arguments
        code = command_line() or 0
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:  # noqa: BLE001 - into the log, whatever it is
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def wait(*, pid, seconds):
    """The exit code, negative for a signal; None where it still runs then."""
    deadline = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.005)


def main():
    requests = {"start": start, "wait": wait}
    for name in LATE:
        import_module(name)
    gc.freeze()
    for line in sys.stdin:
        asked = json.loads(line)
        answer = requests[asked.pop("what")](**asked)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
