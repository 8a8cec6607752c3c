"""Jobs and their tests → a report: several tests at a time, one zygote for all."""

import threading
import time
from collections.abc import Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from runner.core.job import Job
from runner.core.source import SourceType
from runner.execution.orders import StepOutcome
from runner.fetch.patterns import find_matches, has_pattern
from runner.jobfiles.lint.job_tests import expected_file_hint
from runner.jobtests.bench import Bench, StepRun, open_bench
from runner.jobtests.inputs import InputError, read_expected, real_place, write_expected
from runner.jobtests.judge import fits_file, judge_failure, judge_result, not_judged
from runner.jobtests.load import Selection
from runner.jobtests.values import JobTest, JobTestOutcome, JobTestReport, JobTestResult
from runner.settings import Settings


def run_tests(selection: Selection, settings: Settings, *, update: bool = False) -> JobTestReport:
    """Run the tests of jobs. What is wrong with a job, a test or a file is a result.

    Args:
        update: write the expected files that are not there, or that a result does not fit.

    Raises:
        RunnerError: no step can be run at all.
    """
    started = time.perf_counter()
    work = [(job.job, test) for job in selection.jobs for test in job.tests]
    results: Sequence[JobTestResult] = ()
    if work:
        files = ExpectedFiles(settings.project_dir, update=update)
        workers = min(settings.max_concurrent_runs, len(work))
        with open_bench(settings, workers=workers) as bench:
            tasks = [partial(_run, bench, files, job, test) for job, test in work]
            results = bench.in_parallel(tasks, workers=workers)
    return JobTestReport(
        results=tuple(sorted((*selection.broken, *results), key=lambda result: (result.path, result.line))),
        untested=tuple(job.job.job_name for job in selection.jobs if not job.tests),
        seconds=time.perf_counter() - started,
    )


class ExpectedFiles:
    """The expected files of a project: read, and, where that is asked for, written. Thread-safe."""

    def __init__(self, project_dir: Path, *, update: bool) -> None:
        self._project_dir = project_dir
        self._update = update
        self._lock = threading.Lock()
        self._written: set[str] = set()

    def content(self, job: Job, test: JobTest, result: bytes) -> tuple[bytes | None, bool]:
        """What stands in the file that a test expects, None where it expects none, and whether it is new.

        Raises:
            InputError: it cannot be read or written, it is data, or another test has just written something else.
        """
        expect = test.expect
        if expect.file is None:  # as of every test that expects an error
            return None, False
        if not self._update:
            try:
                return read_expected(self._project_dir, expect.file), False
            except InputError as error:
                raise InputError(error.message, hint=error.hint or expected_file_hint(expect.file)) from None
        with self._lock:
            before = self._before(expect.file)
            if before is not None and fits_file(expect, result, before):
                return before, False
            if expect.file in self._written:
                raise InputError(
                    f"{expect.file} was just written from another test, with another result",
                    hint="Let each test have a file of its own.",
                )
            if self._is_data(expect.file, job, test):
                raise InputError(
                    f"{expect.file} is not written: it is the data that the job or its test reads",
                    hint="Name another file under expect.",
                )
            write_expected(self._project_dir, expect.file, result)
            self._written.add(expect.file)
            return result, True

    def _is_data(self, location: str, job: Job, test: JobTest) -> bool:
        named = [one.location for one in job.data_sources if one.source_type is SourceType.FILE]
        named += [one.file for one in test.given if one.file is not None]
        named_at = [self._project_dir / one for one in named]
        patterns = (one for one in named_at if has_pattern(str(one)))
        found = (
            match
            for pattern in patterns
            for match in find_matches(pattern, check=_without_end, unread=_without_a_word)
        )
        place = real_place(self._project_dir / location)
        return any(real_place(one) == place for one in chain(named_at, found))

    def _before(self, location: str) -> bytes | None:
        try:
            return read_expected(self._project_dir, location)
        except InputError:
            return None


def _without_end() -> None:
    """A search that its author waits for, and ends by hand."""


def _without_a_word(_error: OSError) -> None:
    """What cannot be read here is not written to either."""


def _run(bench: Bench, files: ExpectedFiles, job: Job, test: JobTest) -> JobTestResult:
    started = time.perf_counter()
    run = StepRun(outcome=StepOutcome())
    updated = ""
    try:
        run = bench.run(job, test)
        if run.outcome.failure is not None:
            judgement = judge_failure(test.expect, run.outcome.failure)
        else:
            result = run.result or b""
            expected, is_new = files.content(job, test, result)
            updated = test.expect.file or "" if is_new else ""
            judgement = judge_result(test.expect, result, expected)
    except InputError as error:
        judgement = not_judged(error.message, error.hint)
    failure = run.outcome.failure
    passed = judgement.outcome is JobTestOutcome.PASSED
    return JobTestResult(
        job_name=job.job_name,
        path=job.path,
        line=test.line,
        name=test.name,
        outcome=judgement.outcome,
        seconds=time.perf_counter() - started,
        message=judgement.message,
        hint=judgement.hint,
        differences=judgement.differences,
        traceback="" if passed or failure is None else failure.traceback,
        output="" if passed else run.outcome.output,
        updated=updated,
    )
