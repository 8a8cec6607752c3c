"""RunOrder → fetch → process → check → RunOutcome: what an executor calls, here or on another machine."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from runner.core.bookmark import Bookmark, CursorValue, Validator
from runner.core.job import OnEmpty
from runner.core.masking import mask
from runner.core.preview import Preview
from runner.core.references import run_facts
from runner.core.report import short_revision
from runner.core.run import FailureKind, RunFailure, RunOrder, RunOutcome, RunState
from runner.core.source import DataSource, TableOptions
from runner.core.words import joined
from runner.errors import FetchError, ThreadError
from runner.execution.orders import StepInput, StepOrder, StepOutcome
from runner.execution.step_runner import StepRunner
from runner.fetch.answering import wait_for_answer
from runner.fetch.checked_file import CheckedFile
from runner.fetch.context import FetchContext, Fetched
from runner.fetch.deadline import Deadline
from runner.fetch.fetching import fetch
from runner.fetch.words import one_line
from runner.logs import run_context

log = logging.getLogger(__name__)

UNCHANGED_NOTE = "nothing has changed since the run that was delivered last (on_unchanged: skip)"
_FILES_SHOWN = 3
_STATES = {FailureKind.TIMEOUT: RunState.TIMED_OUT, FailureKind.CANCELLED: RunState.CANCELLED}


class Pipeline:
    """Carries out run orders. Thread-safe: each worker thread calls `execute`.

    Args:
        zygote: gives a sandboxed child to each step.
        environ: what `${env:…}` references read; never given to a child.
        fetch_timeout: seconds that one fetch may take in all.
        clock: the time now, aware.
    """

    def __init__(
        self,
        *,
        zygote: StepRunner,
        environ: Mapping[str, str],
        fetch_timeout: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._zygote = zygote
        self._environ = environ
        self._fetch_timeout = fetch_timeout
        self._clock = clock

    def execute(self, order: RunOrder, cancelled: threading.Event) -> RunOutcome:
        """Carry out one order. Whatever goes wrong with the job is in the outcome, not raised."""
        with run_context(order.job.job_name, order.run_id):
            started = self._clock()
            log.info("Starting run %s, attempt %d, revision %s", order.run_id, order.attempt, _revision(order))
            try:
                sources = self._fetch_all(order, cancelled)
                if sources is None:
                    return self._unchanged(order, started)
                step = self._process(order, sources, cancelled)
                step = _with_writing_told(order, sources, _with_fetch_told(sources, step), cancelled)
                step = _masked(step, _secrets(sources))
                bookmark = _bookmark(order, sources, step)
            except FetchError as error:
                kind = FailureKind.CANCELLED if cancelled.is_set() else FailureKind.FETCH
                step = StepOutcome(failure=RunFailure(kind=kind, message=error.message, hint=error.hint))
                bookmark = None
            return self._outcome(order, started, _check(order, step), bookmark)

    def _fetch_all(self, order: RunOrder, cancelled: threading.Event) -> dict[str, Fetched] | None:
        """The data of every source, by its name; None where the run is to be skipped, as nothing has changed.

        Where a run cannot be skipped no API is asked whether its data has changed: it would answer without it.
        """
        sources = order.job.data_sources
        fetched: dict[str, Fetched] = {}
        if order.skip_unchanged and order.job.skips_unchanged:
            for source in sources:
                fetched[source.name] = self._fetch(order, source, cancelled, _known(order, source))
            if all(one.unchanged for one in fetched.values()):
                return None
            if order.job.incremental is not None and fetched[sources[0].name].unchanged:
                # It tells how far the load has got: what was read before it may lack rows that are below its mark.
                fetched.clear()
        for source in sources:
            if source.name not in fetched or fetched[source.name].unchanged:
                fetched[source.name] = self._fetch(order, source, cancelled, None)
        return fetched

    def _fetch(
        self, order: RunOrder, source: DataSource, cancelled: threading.Event, validator: Validator | None
    ) -> Fetched:
        fetched = fetch(
            source,
            FetchContext(
                project_dir=Path(order.project_dir),
                run_dir=Path(order.run_dir),
                environ=self._environ,
                facts=_facts(order),
                timeout_seconds=self._fetch_timeout,
                cancelled=cancelled,
                bounds=order.job.bounds,
                validator=validator,
                cursor=_cursor(order),
                cursor_column=_cursor_column(order) if source.name == order.job.data_sources[0].name else None,
            ),
        )
        log.info("Fetched %s", fetched.description)
        if fetched.note:
            log.warning("%s", fetched.note)
        return fetched

    def _process(self, order: RunOrder, sources: Mapping[str, Fetched], cancelled: threading.Event) -> StepOutcome:
        job = order.job
        return self._zygote.run_step(
            StepOrder(
                run_id=order.run_id,
                step=job.step,
                inputs=tuple(_step_input(source, sources[source.name]) for source in job.data_sources),
                facts=tuple(_facts(order).items()),
                timezone=job.timezone,
                run_dir=order.run_dir,
                preview_rows=job.delivery.preview_rows,
                attachment=job.delivery.attachment,
                defuse_formulas=job.delivery.defuse_formulas,
                checks=job.checks,
                chart=job.chart,
                cursor_column=_cursor_column(order),
                cursor=_cursor(order),
                allowed_imports=job.bounds.allowed_imports,
                memory_mb=job.resources.memory_mb,
                cpu_seconds=job.resources.cpu_seconds,
                timeout_seconds=job.timeout_seconds,
            ),
            cancelled=cancelled,
        )

    def _unchanged(self, order: RunOrder, started: datetime) -> RunOutcome:
        log.info("Nothing has changed since the run that was delivered last: no step is run")
        return RunOutcome(
            run_id=order.run_id,
            state=RunState.SKIPPED,
            started_at=started,
            finished_at=self._clock(),
            note=UNCHANGED_NOTE,
        )

    def _outcome(
        self, order: RunOrder, started: datetime, step: StepOutcome, bookmark: Bookmark | None
    ) -> RunOutcome:
        failure = step.failure
        state = RunState.SUCCEEDED if failure is None else _STATES.get(failure.kind, RunState.FAILED)
        if failure is not None:
            log.error("Run %s: %s", state, failure.message)
        return RunOutcome(
            run_id=order.run_id,
            state=state,
            started_at=started,
            finished_at=self._clock(),
            rows_in=step.rows_in,
            rows_out=step.rows_out,
            result_file=step.result_file,
            result_bytes=step.result_bytes,
            attachment_file=step.attachment_file,
            attachment_bytes=step.attachment_bytes,
            preview=step.preview,
            checks=step.checks,
            chart_file=step.chart_file,
            chart_bytes=step.chart_bytes,
            bookmark=bookmark if failure is None else None,
            note=step.note,
            output=step.output,
            failure=failure,
            sandbox=step.sandbox,
        )


def _facts(order: RunOrder) -> Mapping[str, str]:
    return run_facts(
        job_name=order.job.job_name,
        run_id=order.run_id,
        attempt=order.attempt,
        scheduled_time=order.scheduled_time,
        timezone=order.job.timezone,
        data_interval_start=order.data_interval_start,
        cursor=_cursor(order),
    )


def _cursor(order: RunOrder) -> CursorValue | None:
    """How far an incremental job has got; None for one that is none."""
    if order.job.incremental is None:
        return None
    known = order.bookmark.cursor
    return order.job.incremental.initial_value if known is None else known


def _cursor_column(order: RunOrder) -> str | None:
    """The column of its first source that tells how far an incremental job gets; None for one that is none."""
    return order.job.incremental.cursor if order.job.incremental else None


def _step_input(source: DataSource, fetched: Fetched) -> StepInput:
    return StepInput(
        name=source.name,
        paths=tuple(map(str, fetched.paths)),
        format=fetched.format,
        records_path=fetched.records_path,
        # The options are those of the format that the job names.
        table=source.table if fetched.format is source.format else TableOptions(),
    )


def _known(order: RunOrder, source: DataSource) -> Validator | None:
    """What the last delivered run had of a source, as the fetch made it; None where the job was another one."""
    known = order.bookmark.validator(source.name)
    if known is None:
        return None
    digest, _, request = known.request.partition(":")
    return replace(known, request=request) if digest == order.job.digest else None


def _bookmark(order: RunOrder, sources: Mapping[str, Fetched], step: StepOutcome) -> Bookmark | None:
    """How far the job has got with this run; None where it keeps no account of that.

    A changed job is another question to the same data: its digest stands with the request.
    """
    validators = tuple(
        replace(fetched.validator, request=f"{order.job.digest}:{fetched.validator.request}")
        for fetched in sources.values()
        if fetched.validator is not None
    )
    if order.job.incremental is None and not validators:
        return None
    return Bookmark(cursor=step.cursor, validators=validators)


def _with_fetch_told(sources: Mapping[str, Fetched], step: StepOutcome) -> StepOutcome:
    """The outcome of a step, with what people should know of the data that it was given."""
    return replace(step, note=joined(*(fetched.note for fetched in sources.values()), step.note))


def _with_writing_told(
    order: RunOrder, sources: Mapping[str, Fetched], step: StepOutcome, cancelled: threading.Event
) -> StepOutcome:
    """The outcome of a step, whose files may have been written to meanwhile: it has seen a part of them then.

    Where more than new rows at the end was written, or nobody knows, the cursor stays where it is: there may be
    rows below the largest one that was seen.

    Raises:
        FetchError: the run was cancelled meanwhile.
    """
    if step.failure is not None and step.failure.kind in _STATES:
        # It was broken off, maybe as it hung where a file lies: to look there now would hang too.
        return step
    files = [file for fetched in sources.values() for file in fetched.in_place]
    if not files:
        return step
    asks_end = order.job.incremental is not None
    try:
        written, rewritten = wait_for_answer(
            files[0].path,
            lambda deadline: _written(files, deadline, asks_end=asks_end),
            cancelled=cancelled,
            where=_shown_names(files),
        )
    except (FetchError, ThreadError) as error:
        if cancelled.is_set():
            raise
        rewritten = asks_end
        told = f"whether somebody wrote to the data while the run read it is not known: {error.message}"
    else:
        if not written:
            return step
        told = f"somebody wrote to {_shown_names(written)} while the run read it: rows may be missing"
    if rewritten:
        told += ", and the next run loads them all again"
    log.warning("%s", mask(told, _secrets(sources)))
    return replace(step, cursor=None if rewritten else step.cursor, note=joined(step.note, told))


def _written(
    files: Sequence[CheckedFile], deadline: Deadline, *, asks_end: bool
) -> tuple[Sequence[CheckedFile], bool]:
    """Those that were written to, and whether, where that `asks_end`, more than new rows at the end of one was."""
    written = []
    for file in files:
        # Ten thousand files that answer slowly do answer.
        deadline.renew()
        if file.was_written_to():
            written.append(file)
    return written, asks_end and any(file.was_rewritten() for file in written)


def _shown_names(files: Sequence[CheckedFile]) -> str:
    names = ", ".join(one_line(file.path.name) for file in files[:_FILES_SHOWN])
    return names + (", …" if len(files) > _FILES_SHOWN else "")


def _secrets(sources: Mapping[str, Fetched]) -> frozenset[str]:
    return frozenset().union(*(fetched.secrets for fetched in sources.values()))


def _masked(step: StepOutcome, secrets: frozenset[str]) -> StepOutcome:
    """What people are shown, without secrets: an API may have echoed one into the data."""
    if not secrets:
        return step
    failure = step.failure and replace(
        step.failure,
        message=mask(step.failure.message, secrets),
        hint=mask(step.failure.hint, secrets),
        traceback=mask(step.failure.traceback, secrets),
    )
    return replace(
        step,
        failure=failure,
        note=mask(step.note, secrets),
        output=mask(step.output, secrets),
        preview=_masked_preview(step.preview, secrets),
        checks=tuple(
            replace(check, found=mask(check.found, secrets), rows=_masked_preview(check.rows, secrets))
            for check in step.checks
        ),
    )


def _masked_preview(preview: Preview, secrets: frozenset[str]) -> Preview:
    return replace(preview, rows=tuple(tuple(mask(cell, secrets) for cell in row) for row in preview.rows))


def _check(order: RunOrder, step: StepOutcome) -> StepOutcome:
    """Refuse a result that the job itself calls a failure; one that is refused already is told where it lies."""
    if step.failure is not None and step.failure.kind is FailureKind.CHECK and step.result_file is not None:
        kept = f"The result was not sent to the consumers; as CSV it is kept at {order.run_dir}/{step.result_file}"
        return replace(step, failure=replace(step.failure, hint=f"{step.failure.hint} {kept}"))
    if step.failure is None and step.rows_out == 0 and order.job.delivery.on_empty is OnEmpty.FAIL:
        failure = RunFailure(
            kind=FailureKind.RESULT,
            message="the result has no rows, and the job says `delivery.on_empty: fail`",
            hint="Look at the source: it may have had no data. To mail an empty table, use `on_empty: send`.",
        )
        return replace(step, failure=failure, result_file=None, attachment_file=None)
    return step


def _revision(order: RunOrder) -> str:
    return short_revision(order.job.revision) or "not in git"
