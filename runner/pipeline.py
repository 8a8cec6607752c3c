"""RunOrder → fetch → process → check → RunOutcome: what an executor calls, here or on another machine."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from runner.core.job import OnEmpty
from runner.core.references import mask, run_facts
from runner.core.report import short_revision
from runner.core.run import FailureKind, RunFailure, RunOrder, RunOutcome, RunState
from runner.errors import FetchError
from runner.execution.orders import StepInput, StepOrder, StepOutcome
from runner.execution.zygote import Zygote
from runner.fetch.context import FetchContext, Fetched
from runner.fetch.fetching import fetch
from runner.logs import run_context

log = logging.getLogger(__name__)

_STATES = {FailureKind.TIMEOUT: RunState.TIMED_OUT, FailureKind.CANCELLED: RunState.CANCELLED}


class Pipeline:
    """Carries out run orders. Thread-safe: each worker thread calls `execute`.

    Args:
        zygote: gives the sandboxed children.
        environ: what `${env:…}` references read; never given to a child.
        fetch_timeout: seconds that one fetch may take in all.
        clock: the time now, aware.
    """

    def __init__(
        self, *, zygote: Zygote, environ: Mapping[str, str], fetch_timeout: float, clock: Callable[[], datetime]
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
            facts = run_facts(
                job_name=order.job.job_name,
                run_id=order.run_id,
                attempt=order.attempt,
                scheduled_time=order.scheduled_time,
                timezone=order.job.timezone,
            )
            try:
                fetched = self._fetch(order, facts, cancelled)
                step = _masked(self._process(order, fetched, facts, cancelled), fetched.secrets)
            except FetchError as error:
                kind = FailureKind.CANCELLED if cancelled.is_set() else FailureKind.FETCH
                step = StepOutcome(failure=RunFailure(kind=kind, message=error.message, hint=error.hint))
            return self._outcome(order, started, _check(order, step))

    def _fetch(self, order: RunOrder, facts: Mapping[str, str], cancelled: threading.Event) -> Fetched:
        fetched = fetch(
            order.job.data_source,
            FetchContext(
                project_dir=Path(order.project_dir),
                run_dir=Path(order.run_dir),
                environ=self._environ,
                facts=facts,
                timeout_seconds=self._fetch_timeout,
                cancelled=cancelled,
            ),
        )
        log.info("Fetched %s", fetched.description)
        return fetched

    def _process(
        self, order: RunOrder, fetched: Fetched, facts: Mapping[str, str], cancelled: threading.Event
    ) -> StepOutcome:
        job = order.job
        return self._zygote.run_step(
            StepOrder(
                run_id=order.run_id,
                step=job.step,
                inputs=(
                    StepInput(
                        name=job.data_source.name,
                        paths=tuple(map(str, fetched.paths)),
                        format=fetched.format,
                        records_path=fetched.records_path,
                        table=job.data_source.table,
                    ),
                ),
                facts=tuple(facts.items()),
                timezone=job.timezone,
                run_dir=order.run_dir,
                preview_rows=job.delivery.preview_rows,
                attachment=job.delivery.attachment,
                defuse_formulas=job.delivery.defuse_formulas,
                memory_mb=job.resources.memory_mb,
                cpu_seconds=job.resources.cpu_seconds,
                timeout_seconds=job.timeout_seconds,
            ),
            cancelled=cancelled,
        )

    def _outcome(self, order: RunOrder, started: datetime, step: StepOutcome) -> RunOutcome:
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
            output=step.output,
            failure=failure,
            sandbox=step.sandbox,
        )


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
    rows = tuple(tuple(mask(cell, secrets) for cell in row) for row in step.preview.rows)
    return replace(
        step, failure=failure, output=mask(step.output, secrets), preview=replace(step.preview, rows=rows)
    )


def _check(order: RunOrder, step: StepOutcome) -> StepOutcome:
    """Refuse a result that the job itself calls a failure."""
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
