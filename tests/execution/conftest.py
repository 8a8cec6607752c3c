import threading
from datetime import UTC, datetime

import pytest

from runner.core.job import Step, StepKind
from runner.core.references import run_facts
from runner.core.source import FileType
from runner.execution.orders import StepInput, StepOrder
from runner.execution.results import RESULT_FILE
from runner.execution.zygote import Zygote

SALES = "category,amount\na,1\nb,2\na,3\n"
MOMENT = datetime(2025, 11, 9, 13, 0, tzinfo=UTC)
FIRST_LINE = 10
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
            job_name="sales", run_id="r1", attempt=2, scheduled_time=MOMENT, timezone="Europe/Berlin"
        )
        return StepOrder(
            run_id="r1",
            step=Step(kind=kind, text=text, path=JOB_PATH, first_line=first_line),
            inputs=(StepInput(paths=(str(path),), format=kind_of_file, records_path=records_path),),
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


@pytest.fixture(scope="session")
def zygote():
    zygote = Zygote(sandbox_mode="best-effort")
    zygote.start()
    yield zygote
    zygote.close()


@pytest.fixture
def bench(zygote, tmp_path):
    return Bench(zygote, tmp_path)


@pytest.fixture
def bench_of(tmp_path):
    """A bench around another zygote."""
    return lambda zygote: Bench(zygote, tmp_path)
