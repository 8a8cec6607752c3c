import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from runner.core.check import Check
from runner.core.job import Step, StepKind
from runner.core.references import run_facts
from runner.core.source import FileType, TableOptions
from runner.execution.orders import StepInput, StepOrder
from runner.execution.results import RESULT_FILE
from runner.execution.steps.checks import evaluate
from runner.execution.steps.content import FrameContent, QueryContent
from runner.execution.steps.query_columns import describe

SALES = "category,amount\na,1\nb,2\na,3\n"
MOMENT = datetime(2025, 11, 9, 13, 0, tzinfo=UTC)
FIRST_LINE = 10
PLAIN = TableOptions()
JOB_PATH = "jobs.d/sales.yaml"


class Bench:
    """Runs steps in real children, each in a folder of its own."""

    def __init__(self, zygote, folder):
        self.zygote = zygote
        self.folder = folder
        self.count = 0

    def order(
        self,
        text,
        *,
        kind=StepKind.SCRIPT,
        source=SALES,
        kind_of_file=FileType.CSV,
        records_path=None,
        table=PLAIN,
        inputs=None,
        interval_start=None,
        first_line=FIRST_LINE,
        **more,
    ):
        self.count += 1
        run_dir = self.folder / f"run-{self.count}"
        run_dir.mkdir()
        path = source
        if not hasattr(source, "read_bytes"):
            path = self.folder / f"input-{self.count}.{kind_of_file}"
            path.write_bytes(source if isinstance(source, bytes) else source.encode())
        facts = run_facts(
            job_name="sales",
            run_id="r1",
            attempt=2,
            scheduled_time=MOMENT,
            timezone="Europe/Berlin",
            data_interval_start=interval_start,
        )
        return StepOrder(
            run_id="r1",
            step=Step(kind=kind, text=text, path=JOB_PATH, first_line=first_line),
            inputs=inputs
            or (StepInput(paths=(str(path),), format=kind_of_file, records_path=records_path, table=table),),
            facts=tuple(facts.items()),
            timezone="Europe/Berlin",
            run_dir=str(run_dir),
            **{"timeout_seconds": 30.0, **more},
        )

    def run(self, text="", *, cancelled=None, **more):
        order = self.order(text, **more)
        return self.zygote.run_step(order, cancelled=cancelled or threading.Event())

    def csv(self, text="", **more):
        outcome = self.run(text, **more)
        assert outcome.failure is None, f"{outcome.failure}\n{outcome.output}"
        assert outcome.result_file == RESULT_FILE
        written = (self.folder / f"run-{self.count}" / RESULT_FILE).read_bytes()
        assert outcome.result_bytes == len(written)
        return written.decode()

    def failure(self, text="", **more):
        outcome = self.run(text, **more)
        assert outcome.failure is not None
        assert outcome.result_file is None
        return outcome.failure


@pytest.fixture
def bench(zygote, tmp_path):
    return Bench(zygote, tmp_path)


@pytest.fixture
def bench_of(tmp_path):
    """A bench around another zygote."""
    return lambda zygote: Bench(zygote, tmp_path)


@pytest.fixture
def gone():
    """Whether a process ends within some seconds; one that only waits to be reaped has ended."""

    def going(pid, seconds=1.0):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            except (FileNotFoundError, ProcessLookupError):
                return True
            if state in "ZX":
                return True
            time.sleep(0.02)
        return False

    return going


@pytest.fixture(scope="session")
def table_connection():
    with duckdb.connect(config={"threads": 1}) as connection:
        yield connection


@pytest.fixture(scope="session")
def of_frame(table_connection):
    """The checks of a script's table."""

    def checked(frame, *checks):
        return evaluate(
            FrameContent(frame=frame).as_query(lambda: table_connection, timezone="Europe/Berlin"), checks
        )

    return checked


@pytest.fixture(scope="session")
def of_query(table_connection):
    """The one check of a query's rows."""

    def checked(query, **check):
        table_connection.execute("SET TimeZone = 'Europe/Berlin'")
        columns = describe(table_connection, query, {})
        keys = ", ".join(column.key for column in columns)
        source = f"({query}) AS whole({keys})"
        table = QueryContent(connection=table_connection, columns=columns, source=source, total_rows=0)
        (found,) = evaluate(table, [Check(**check)])
        return found

    return checked
