"""The step of a job on what its first test gives, before anything runs for real: does it fail?"""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from pathlib import Path

from runner.core.cron import in_zone
from runner.core.diagnostic import Diagnostic, sort_diagnostics
from runner.core.report import Report
from runner.core.run import FailureKind, Run, RunFailure, RunState, Trigger
from runner.errors import UsageError
from runner.jobtests.bench import Bench, open_bench
from runner.jobtests.inputs import InputError
from runner.jobtests.load import check_folder, find_job, load_tests
from runner.jobtests.values import JobTest, JobWithTests
from runner.settings import Settings

RULE = "sample-run-failed"
_FRAME = re.compile(r'^[\s|+-]*File "(?P<path>.*)", line (?P<line>[0-9]+)', re.MULTILINE)
_STATES = {FailureKind.TIMEOUT: RunState.TIMED_OUT, FailureKind.CANCELLED: RunState.CANCELLED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    """What sample runs found: an error for each job whose step failed, and the texts these point into, by path."""

    diagnostics: tuple[Diagnostic, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sample:
    """One job to try: the folder of its project, and the path by which its file is shown."""

    job: JobWithTests
    test: JobTest
    project_dir: Path
    shown: str


def run_samples(paths: Iterable[str], settings: Settings, *, folder: Path) -> Samples:
    """Run the step of each job on what the first test gives that expects no error.

    Jobs that are not valid, or have no such test, are passed over.

    Args:
        paths: job files as `validate` shows them: relative to `folder` where they are in it.

    Raises:
        RunnerError: no step can be run at all.
    """
    samples = list(_samples(paths, settings, folder))
    if not samples:
        return Samples()
    workers = min(settings.max_concurrent_runs, len(samples))
    with open_bench(settings, workers=workers) as bench:
        found = bench.in_parallel([partial(_try, bench, sample) for sample in samples], workers=workers)
    failed = [(sample, one) for sample, one in zip(samples, found, strict=True) if one is not None]
    texts = {}
    for sample, one in failed:
        step = sample.job.job.step
        texts[one.path] = sample.job.text if one.path == sample.shown else step.text
    return Samples(diagnostics=sort_diagnostics(one for _, one in failed), texts=texts)


def _samples(paths: Iterable[str], settings: Settings, folder: Path) -> Iterable[_Sample]:
    shown = {os.path.normpath(folder / path): path for path in paths}
    roots = {_root(Path(file), settings.jobs_dir.name, folder) for file in shown}
    for root, project_dir in sorted(roots):
        for file in check_folder(root, project_dir, settings):
            place = os.path.normpath(project_dir / file.path)
            job = load_tests(file, project_dir) if place in shown else None
            if not isinstance(job, JobWithTests):
                continue
            test = next((test for test in job.tests if test.expect.error is None), None)
            if test is not None:
                yield _Sample(job=job, test=test, project_dir=project_dir, shown=shown[place])


def _root(file: Path, jobs_dir_name: str, folder: Path) -> tuple[Path, Path]:
    """The folder of jobs that a file is in, and that of its project: as `validate` takes them."""
    root = next((place for place in file.parents if place.name == jobs_dir_name), None)
    return (root, root.parent) if root is not None else (file.parent, folder)


def _try(bench: Bench, sample: _Sample) -> Diagnostic | None:
    try:
        run = bench.run(sample.job.job, sample.test, project_dir=sample.project_dir)
        failure = run.outcome.failure
    except InputError as error:
        failure = RunFailure(kind=FailureKind.FETCH, message=error.message, hint=error.hint)
    return None if failure is None else _diagnostic(sample, failure)


def _diagnostic(sample: _Sample, failure: RunFailure) -> Diagnostic:
    step = sample.job.job.step
    line = _line_of(failure, step.path)
    in_job_file = step.path == sample.job.job.path or not step.path
    if line is None and (failure.kind in {FailureKind.FETCH, FailureKind.INTERNAL} or not step.path):
        # It is not the step that failed: what it was given could not be read.
        path, text, line = sample.shown, sample.job.text, sample.test.line
    else:
        path = sample.shown if in_job_file else step.path
        text = sample.job.text if in_job_file else step.text
    line = line or step.first_line
    column, end_column = _extent(text, line)
    message = failure.message.splitlines()[0] if failure.message else str(failure.kind)
    return Diagnostic(
        path=path,
        line=line,
        column=column,
        end_line=line,
        end_column=end_column,
        rule=RULE,
        message=message.removesuffix(f" ({step.path}, line {line})"),
        hint=f"Seen on what the test {sample.test.name!r} gives. "
        + (failure.hint or f"runner test {sample.job.job.job_name} shows more."),
    )


def _line_of(failure: RunFailure, path: str) -> int | None:
    """The line of the user's own file that failed: the message names it; else it is that of the last frame."""
    named = re.search(rf"\({re.escape(path)}, line ([0-9]+)\)\Z", failure.message)
    if named is not None:
        return int(named[1])
    lines = [int(frame["line"]) for frame in _FRAME.finditer(failure.traceback) if frame["path"] == path]
    return lines[-1] if lines else None


def _extent(text: str, line: int) -> tuple[int, int]:
    """The columns from the first to the last character of a line that is no blank."""
    lines = text.split("\n")
    shown = lines[line - 1].rstrip() if 0 < line <= len(lines) else ""
    start = len(shown) - len(shown.lstrip()) + 1
    return start, max(len(shown) + 1, start + 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleRequest:
    """What `runner run JOB --sample N` asks for."""

    job_name: str
    rows: int
    scheduled_time: datetime | None = None


def run_sample(
    settings: Settings, request: SampleRequest, *, folder: Path, clock: Callable[[], datetime]
) -> Report:
    """Run the step of a job on the first rows that its first test gives. Nothing is fetched, mailed or recorded.

    Raises:
        UsageError: there is no such job, or it has no tests.
        RunnerError: it could not be run at all. A step that failed is a Report.
    """
    found = find_job(settings, request.job_name, folder=folder)
    if not found.tests:
        raise UsageError(
            f"{found.job.job_name} has no tests, so there are no rows to try",
            hint=f"Add tests to {found.job.path}, with the rows that the first one gives.",
        )
    test = found.tests[0]
    started = clock()
    if request.scheduled_time is not None:
        test = replace(test, scheduled_time=in_zone(request.scheduled_time, found.job.timezone))
    with open_bench(settings, workers=1) as bench:
        outcome = bench.run(found.job, test, first_rows=request.rows).outcome
    failure = outcome.failure
    run = Run(
        run_id="",
        job_name=found.job.job_name,
        trigger=Trigger.MANUAL,
        scheduled_time=test.scheduled_time,
        state=RunState.SUCCEEDED if failure is None else _STATES.get(failure.kind, RunState.FAILED),
        queued_at=started,
        started_at=started,
        finished_at=clock(),
        rows_in=outcome.rows_in,
        rows_out=outcome.rows_out,
        failure=failure,
        note=_note(test, request.rows),
        output=outcome.output,
        revision=found.job.revision,
        digest=found.job.digest,
        sandbox=outcome.sandbox,
    )
    return Report(run=run, job=found.job, preview=outcome.preview)


def _note(test: JobTest, rows: int) -> str:
    first = "first row" if rows == 1 else f"first {rows:,} rows"
    given = f"that the test {test.name!r} gives of each source"
    return f"a sample: at most the {first} {given}; nothing was mailed or recorded"
