"""Runs the step of a job on what a test gives: the real step, sandboxed, in a folder that is gone afterwards."""

import logging
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from runner.core.check import CheckKind
from runner.core.cron import parse_cron, previous_fire
from runner.core.job import Job, StepKind
from runner.core.references import run_facts
from runner.core.run import FailureKind, RunFailure
from runner.core.source import DataSource
from runner.errors import ExecutionError
from runner.execution.orders import StepInput, StepOrder, StepOutcome
from runner.execution.results import read_result
from runner.execution.step_runner import StepRunner, make_step_runner
from runner.execution.trees import remove_tree
from runner.jobtests.inputs import LARGEST_TABLE, InputError, step_input
from runner.jobtests.left_out import with_left_out
from runner.jobtests.values import Given, JobTest
from runner.settings import Settings

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

# Nothing is recorded, so that there is no run to name: the same in every test, for what is made of it.
_RUN_ID = "0" * 26


@dataclass(frozen=True, kw_only=True, slots=True)
class StepRun:
    """What a step did: its outcome, and the CSV it wrote, None where it failed."""

    outcome: StepOutcome
    result: bytes | None = None


class Bench:
    """Runs steps, several at a time. Thread-safe.

    Args:
        zygote: started; gives the sandboxed children.
        project_dir: what the locations of files are relative to.
        folder: where each run gets a folder for its time.
    """

    def __init__(self, *, zygote: StepRunner, project_dir: Path, folder: Path) -> None:
        self._zygote = zygote
        self._project_dir = project_dir
        self._folder = folder
        self.cancelled = threading.Event()

    def run(
        self, job: Job, test: JobTest, *, first_rows: int | None = None, project_dir: Path | None = None
    ) -> StepRun:
        """Run the step of a job on what a test gives. What the step does wrong is in the outcome.

        Args:
            first_rows: give the step no more rows than this.
            project_dir: where this job's files are, when not where the others are.

        Raises:
            InputError: what the test gives cannot be read.
        """
        given = given_sources(job, test)
        try:
            run_dir = Path(tempfile.mkdtemp(dir=self._folder))
        except OSError as error:
            raise InputError(f"{self._folder} cannot be written: {error.strerror}") from error
        try:
            inputs = tuple(
                step_input(
                    one,
                    source,
                    is_query=job.step.kind is StepKind.QUERY,
                    project_dir=project_dir or self._project_dir,
                    run_dir=run_dir,
                    first_rows=first_rows,
                )
                for source, one in given
            )
            order = _order(job, test, inputs, run_dir)
            outcome = self._zygote.run_step(order, cancelled=self.cancelled)
            if outcome.failure is not None:
                outcome = replace(outcome, failure=with_left_out(outcome.failure, test.given))
            return _with_result(run_dir, outcome)
        finally:
            _remove(run_dir)

    def in_parallel(self, tasks: Sequence[Callable[[], Answer]], *, workers: int) -> list[Answer]:
        """What each task answers, in their order. Where one raises, or Ctrl-C is pressed, the others are ended."""
        with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="test") as pool:
            waiting = [pool.submit(task) for task in tasks]
            try:
                for future in as_completed(waiting):
                    future.result()
            except BaseException:
                self.cancelled.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
            return [future.result() for future in waiting]


@contextmanager
def open_bench(settings: Settings, *, workers: int) -> Iterator[Bench]:
    """A bench with a zygote of its own, ended afterwards with all that ran on it.

    Raises:
        RunnerError: the zygote cannot be started, or has not the sandbox that is asked for.
    """
    zygote = make_step_runner(sandbox_mode=settings.sandbox, waiting=min(2, workers))
    folder = Path(tempfile.mkdtemp(prefix="runner-test-"))
    bench = Bench(zygote=zygote, project_dir=settings.project_dir, folder=folder)
    try:
        zygote.start()
        yield bench
    finally:
        bench.cancelled.set()
        zygote.close()
        _remove(folder)


def given_sources(job: Job, test: JobTest) -> list[tuple[DataSource, Given]]:
    """Each source of a job with what a test gives for it, in the order of the job.

    Raises:
        InputError: nothing is given for one, or something for one that the job has not.
    """
    given = {one.source: one for one in test.given}
    names = [source.name for source in job.data_sources]
    for name in given:
        if name not in names:
            raise InputError(f"the job has no source {name!r}", hint=f"Its sources are {', '.join(names)}.")
    for name in names:
        if name not in given:
            raise InputError(f"the test gives nothing for {name}", hint=f"Add {name} under given.")
    return [(source, given[source.name]) for source in job.data_sources]


def _order(job: Job, test: JobTest, inputs: tuple[StepInput, ...], run_dir: Path) -> StepOrder:
    """As a run orders the step, the first time that it is run; nothing is drawn or attached. A few rows that stand
    for many say nothing about how many there are: checks of that are left out."""
    cursor = job.incremental.initial_value if job.incremental else None
    facts = run_facts(
        job_name=job.job_name,
        run_id=_RUN_ID,
        attempt=1,
        scheduled_time=test.scheduled_time,
        timezone=job.timezone,
        data_interval_start=_fire_before(job, test.scheduled_time),
        cursor=cursor,
    )
    return StepOrder(
        run_id=_RUN_ID,
        step=job.step,
        inputs=inputs,
        facts=tuple(facts.items()),
        timezone=job.timezone,
        run_dir=str(run_dir),
        preview_rows=job.delivery.preview_rows,
        # A test expects what the step returned.
        defuse_formulas=False,
        checks=tuple(check for check in job.checks if check.kind is not CheckKind.ROW_COUNT),
        cursor_column=job.incremental.cursor if job.incremental else None,
        cursor=cursor,
        # What a test gives for a file is JSON too, even where such a file would name its columns.
        always_run=any(source.format.names_columns_always for source in job.data_sources),
        allowed_imports=job.bounds.allowed_imports,
        memory_mb=job.resources.memory_mb,
        cpu_seconds=job.resources.cpu_seconds,
        timeout_seconds=job.timeout_seconds,
    )


def _fire_before(job: Job, moment: datetime) -> datetime | None:
    """Where the data of a run begins: at the fire before; None for a job that comes after others."""
    if job.schedule_time is None:
        return None
    return previous_fire(parse_cron(job.schedule_time), job.timezone, moment)


def _remove(folder: Path) -> None:
    try:
        remove_tree(folder)
    except OSError as error:
        log.warning("%s cannot be removed: %s", folder, error)


def _with_result(run_dir: Path, outcome: StepOutcome) -> StepRun:
    if outcome.failure is not None:
        return StepRun(outcome=outcome)
    try:
        return StepRun(outcome=outcome, result=read_result(run_dir, max_bytes=LARGEST_TABLE))
    except ExecutionError as error:
        failure = RunFailure(kind=FailureKind.RESULT, message=error.message, hint=error.hint)
        return StepRun(
            outcome=StepOutcome(
                rows_in=outcome.rows_in, output=outcome.output, sandbox=outcome.sandbox, failure=failure
            )
        )
