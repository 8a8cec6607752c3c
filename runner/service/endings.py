"""What is recorded when an attempt has ended: its outcome, its mails, another attempt, the runs that follow."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from runner.core.delivery import Mail
from runner.core.job import Job
from runner.core.policy import (
    Mailing,
    decide_bookmark,
    decide_mailing,
    decide_retry,
    is_recovery,
    tells_of_checks,
    unmailed_words,
)
from runner.core.preview import Preview
from runner.core.report import Report
from runner.core.run import Attempt, FailureKind, FollowingRun, Run, RunFailure, RunOutcome, RunState, Trigger
from runner.core.words import joined
from runner.delivery.addresses import mailbox
from runner.delivery.attachment import SMALL_FILES, Attached, attach, encoded_size
from runner.execution.results import ATTACHMENT_FILES, RESULT_FILE
from runner.service.composer import Composer
from runner.service.followers import Followers
from runner.service.run_folders import kept_chart, pack_result, read_outcome
from runner.settings import Settings
from runner.store.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """What is to be recorded. With an `attempt`, the run is queued again for after `delay`; else it has ended."""

    report: Report
    attempt: Attempt | None = None
    delay: timedelta = timedelta()
    mails: tuple[Mail, ...] = ()
    following: tuple[FollowingRun, ...] = ()

    @property
    def run(self) -> Run:
        """The run as it is to be recorded."""
        return self.report.run

    @property
    def kept_files(self) -> tuple[str, ...]:
        """What stays in the run's folder: its result and its chart, where it has them."""
        result = RESULT_FILE if self.report.kept_at else None
        chart = self.run.chart_file if self.report.chart else None
        return tuple(filter(None, (result, chart)))


class Endings:
    """Judges attempts that have ended. Changes nothing; safe to use from several threads.

    Args:
        random: a number from 0 to 1, for the jitter of retries.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        random: Callable[[], float],
        composer: Composer,
        followers: Followers,
    ) -> None:
        self._settings = settings
        self._store = store
        self._random = random
        self._composer = composer
        self._followers = followers

    def of_outcome(self, run: Run, job: Job, outcome: RunOutcome, *, cancelled: str | None = None) -> Ending:
        """The ending of an attempt that was executed.

        Args:
            cancelled: why the run was asked to stop, which who carried it out does not know; None where it was
                not. No attempt comes after such a one.

        Raises:
            StoreError: the history of the job cannot be read.
        """
        if cancelled and outcome.state is RunState.CANCELLED:
            outcome = replace(outcome, failure=RunFailure(kind=FailureKind.CANCELLED, message=cancelled))
        outcome, result = read_outcome(self._run_dir(run), outcome)
        ended = replace(
            run,
            state=outcome.state,
            started_at=run.started_at or outcome.started_at,
            finished_at=outcome.finished_at,
            rows_in=outcome.rows_in,
            rows_out=outcome.rows_out,
            failure=outcome.failure,
            note=joined(run.note, outcome.note),
            output=outcome.output,
            sandbox=outcome.sandbox,
            checks=outcome.checks,
            chart_file=outcome.chart_file,
        )
        ended = replace(ended, bookmark=decide_bookmark(ended, job, outcome.bookmark))
        report = Report(
            run=ended,
            job=job,
            preview=outcome.preview,
            result=result,
            result_bytes=outcome.attachment_bytes if outcome.attachment_file else outcome.result_bytes,
            kept_at=self._kept_at(run, outcome),
            chart=kept_chart(self._run_dir(run), ended),
        )
        return self._judge(report, final=cancelled is not None)

    def of_lost(self, run: Run, job: Job, at: datetime, *, in_force: bool = True) -> Ending:
        """The ending of a run that an earlier service left behind. One of a job that is not in force any more is
        not tried again.

        Raises:
            StoreError: the history of the job cannot be read.
        """
        return self._judge(Report(run=lost(run, at, in_force=in_force), job=job))

    def of_dropped(self, run: Run, job: Job, note: str) -> Ending:
        """The ending of a run that has failed before and is not tried again: it ended as its last attempt did.

        Raises:
            StoreError: the history of the job cannot be read.
        """
        last = run.attempts[-1]
        failed = replace(
            run,
            state=last.state,
            attempt=last.number,
            attempts=run.attempts[:-1],
            next_attempt_at=None,
            started_at=last.started_at,
            finished_at=last.finished_at,
            failure=last.failure,
            note=joined(run.note, note),
        )
        return self._judge(Report(run=failed, job=job), final=True)

    def of_error(self, run: Run, job: Job, outcome: RunOutcome, error: Exception) -> Ending:
        """The ending of a run whose outcome could not be handled, by a fault of ours: with the plainest mail.

        Its result stays in its folder: there is no other copy of it.
        """
        at = outcome.finished_at
        failure = RunFailure(
            kind=FailureKind.INTERNAL,
            message=f"the runner failed to handle the result: {type(error).__name__}: {error}",
            hint="This is not the script's fault. The service's log has the details.",
        )
        failed = replace(
            run, state=RunState.FAILED, started_at=run.started_at or at, finished_at=at, failure=failure
        )
        report = Report(run=failed, job=job, kept_at=self._kept_at(run, outcome))
        mails = (self._composer.of_run(report),) if run.mailing else ()
        return Ending(report=report, mails=mails, following=self._followers.of(failed))

    def may_begin(self, run: Run) -> bool:
        """Whether another attempt of this run may begin: its job may have been removed or suspended meanwhile."""
        job = self._followers.job(run.job_name)
        return job is not None and not (job.suspend and run.trigger.scheduled)

    def _judge(self, report: Report, *, final: bool = False) -> Ending:
        run, job = report.run, report.job
        if run.mailing and run.trigger.scheduled:
            before = self._store.failure_streak(run.job_name, before=run.run_id)
            report = replace(report, failures_before=before)
        attached = None
        if self._mailing(report) is Mailing.RESULTS:
            report, attached = self._attach(report)
        delay = decide_retry(job.retry, report.run, fraction=self._random())
        if delay is not None and not final and self.may_begin(report.run):
            return _again(report, delay)
        return Ending(
            report=report,
            mails=self._mails(report, attached),
            following=self._followers.of(report.run, failures_before=report.failures_before),
        )

    def _attach(self, report: Report) -> tuple[Report, Attached]:
        """What goes with the results; the report is of a failure where they cannot go with a mail."""
        run, job = report.run, report.job
        note = joined(run.note, unmailed_words(job))
        report = replace(report, run=replace(run, note=note))
        if report.result is None and job.delivery.attachment not in ATTACHMENT_FILES:
            report = replace(report, packed=pack_result(self._run_dir(run)))
        attached = attach(report, kept_at=report.kept_at, beside=self._beside_files(report))
        if attached.attachment is None:
            report = _not_attached(report, attached)
            log.error("Run %s: %s", report.run.state, attached.sentence)
        return report, attached

    def _beside_files(self, report: Report) -> int:
        """How many bytes the mail takes without its files, where that may decide whether they go with it."""
        files = len(report.result or report.packed or b"") + len(report.chart or b"")
        return self._composer.words_size(report) if encoded_size(files) > SMALL_FILES else 0

    def _mailing(self, report: Report) -> Mailing:
        if report.run.state is RunState.LOST and report.run.trigger is Trigger.MANUAL:
            # The person who started it has seen it end.
            return Mailing.NONE
        return decide_mailing(report.run, report.job, failures_before=report.failures_before)

    def _mails(self, report: Report, attached: Attached | None) -> tuple[Mail, ...]:
        run, job = report.run, report.job
        mails = []
        mailing = self._mailing(report)
        if mailing is not Mailing.NONE:
            mails.append(self._composer.of_run(report, attached if mailing is Mailing.RESULTS else None))
        # Those who get the result read in it that the job works again.
        reading = {mailbox(recipient) for mail in mails for recipient in mail.recipients}
        if tells_of_checks(run, job):
            mails.append(self._composer.of_checks(report, job.check_recipients()))
        if is_recovery(run, job, failures_before=report.failures_before):
            others = tuple(one for one in job.failure_recipients() if mailbox(one) not in reading)
            if others:
                mails.append(self._composer.of_recovery(report, others))
        return tuple(mails)

    def _run_dir(self, run: Run) -> Path:
        return self._settings.runs_dir / run.run_id

    def _kept_at(self, run: Run, outcome: RunOutcome) -> str | None:
        return str(self._run_dir(run) / RESULT_FILE) if outcome.result_file else None


def lost(run: Run, at: datetime, *, in_force: bool = True) -> Run:
    """A run that was under way when the service ended.

    Args:
        in_force: its job is, so that it can be run again.
    """
    again = f"run it again with: runner run {run.job_name}" if in_force else "its job is not in force any more"
    failure = RunFailure(
        kind=FailureKind.LOST,
        message="The service stopped while it was running",
        hint=f"Look at the service's log for why it stopped; {again}",
    )
    return replace(run, state=RunState.LOST, finished_at=at, failure=failure)


def _not_attached(report: Report, attached: Attached) -> Report:
    """A result that cannot go with its mail is a failure: nobody may take the silence for a result."""
    failure = RunFailure(kind=FailureKind.ATTACHMENT, message=attached.sentence, hint=attached.hint)
    return replace(report, run=replace(report.run, state=RunState.FAILED, failure=failure, bookmark=None))


def _again(report: Report, delay: timedelta) -> Ending:
    run = report.run
    assert run.finished_at is not None
    attempt = Attempt(
        number=run.attempt,
        state=run.state,
        started_at=run.started_at,
        finished_at=run.finished_at,
        failure=run.failure or RunFailure(kind=FailureKind.INTERNAL, message="no reason was recorded"),
    )
    queued = replace(
        run,
        state=RunState.QUEUED,
        attempt=run.attempt + 1,
        attempts=(*run.attempts, attempt),
        next_attempt_at=run.finished_at + delay,
        started_at=None,
        finished_at=None,
        rows_in=None,
        rows_out=None,
        failure=None,
        output="",
        checks=(),
        chart_file=None,
    )
    # What is kept of a result stays until the next attempt begins: the failure may speak of it.
    nothing = replace(report, run=queued, preview=Preview(), result=None, chart=None)
    return Ending(report=nothing, attempt=attempt, delay=delay)
