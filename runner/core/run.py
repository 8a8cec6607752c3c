"""A Fire, the Run it starts, and what goes into and comes out of its execution."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from runner.core.bookmark import Bookmark
from runner.core.check import CheckResult
from runner.core.delivery import Delivery, Mail
from runner.core.job import Job
from runner.core.preview import Preview


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def finished(self) -> bool:
        """True for a state that a run never leaves."""
        return self not in {RunState.QUEUED, RunState.RUNNING}

    @property
    def failed(self) -> bool:
        """True for a state that somebody must be told about."""
        return self in {RunState.FAILED, RunState.TIMED_OUT, RunState.LOST}


class Trigger(StrEnum):
    """Why a run was started."""

    SCHEDULE = "schedule"
    MISSED = "missed"
    AFTER = "after"
    MANUAL = "manual"
    BACKFILL = "backfill"

    @property
    def nominal(self) -> bool:
        """True where the run stands for a fire: jobs `after` it follow. A run by hand is nobody's fire."""
        return self is not Trigger.MANUAL

    @property
    def scheduled(self) -> bool:
        """True where no person asked for the run: `concurrency_policy` is about these."""
        return self not in {Trigger.MANUAL, Trigger.BACKFILL}


class FailureKind(StrEnum):
    """Which part of a run failed."""

    FETCH = "fetch"
    SCRIPT = "script"
    QUERY = "query"
    RESULT = "result"
    CHECK = "check"
    ATTACHMENT = "attachment"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    DISK = "disk"
    CPU = "cpu"
    CRASH = "crash"
    CANCELLED = "cancelled"
    LOST = "lost"
    INTERNAL = "internal"


def require_aware(moment: datetime, what: str) -> None:
    """Refuse a datetime without a zone."""
    if moment.tzinfo is None:
        raise ValueError(f"{what} must be an aware datetime, not {moment!r}")


@dataclass(frozen=True, kw_only=True, slots=True, order=True)
class Fire:
    """One due moment of one job.

    `key` is what makes doubling impossible: the nominal local time of a fixed-time expression, the UTC time of a
    wildcard one. Equal keys of one job are the same fire.
    """

    scheduled_time: datetime
    job_name: str
    key: str

    def __post_init__(self) -> None:
        require_aware(self.scheduled_time, "scheduled_time")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFailure:
    """Why a run failed.

    `message` is one sentence, `hint` says what to do now, `traceback` is the script's own (empty where there is
    none). Secrets are masked before this value is made.
    """

    kind: FailureKind
    message: str
    hint: str = ""
    traceback: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One try of a run that failed and was tried again. Times are aware UTC; `number` counts from 1."""

    number: int
    state: RunState
    started_at: datetime | None
    finished_at: datetime
    failure: RunFailure


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """What a Fire, or a person, started. Times are aware UTC; `output` is what the script printed, capped.

    `attempt` counts from 1; `attempts` are those before it, each with its error. `next_attempt_at` is set while a
    queued run waits to be tried again. `mailing` is False for a run that nobody is mailed about. `bookmark` is how
    far the job has got once this run is delivered, None where it does not move. `chart_file` is a name in the
    folder of the run.
    """

    run_id: str
    job_name: str
    trigger: Trigger
    scheduled_time: datetime
    state: RunState
    attempt: int = 1
    attempts: tuple[Attempt, ...] = ()
    next_attempt_at: datetime | None = None
    mailing: bool = True
    fire_key: str | None = None
    queued_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    rows_in: int | None = None
    rows_out: int | None = None
    failure: RunFailure | None = None
    note: str = ""
    output: str = ""
    revision: str = ""
    digest: str = ""
    sandbox: str = ""
    bookmark: Bookmark | None = None
    checks: tuple[CheckResult, ...] = ()
    chart_file: str | None = None
    deliveries: tuple[Delivery, ...] = ()

    def __post_init__(self) -> None:
        require_aware(self.scheduled_time, "scheduled_time")
        require_aware(self.queued_at, "queued_at")

    @property
    def duration_seconds(self) -> float | None:
        """From start to finish; None while it is not finished, or where it never started.

        None too where the clock was set back meanwhile: nobody knows then.
        """
        if self.started_at is None or self.finished_at is None or self.finished_at < self.started_at:
            return None
        return (self.finished_at - self.started_at).total_seconds()


@dataclass(frozen=True, kw_only=True, slots=True)
class FollowingRun:
    """A run of a job that comes `after` others.

    It is recorded when every job that `needs` names has a run of the same `scheduled_time` that succeeded; with no
    needs, at once. `mails` go with it: a run that is skipped, as one before it failed, tells its people so.
    """

    run: Run
    needs: tuple[str, ...] = ()
    mails: tuple[Mail, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOrder:
    """What goes into an execution: here, or on another machine. References in the job are not yet resolved.

    `project_dir` is the folder that relative locations are resolved against; `run_dir` is this run's own folder,
    which exists and is empty. Both are absolute. The run is about the data from `data_interval_start` to its
    scheduled time; None: from nowhere, to all that there is. `bookmark` is how far the job had got. With
    `skip_unchanged` a run whose sources all say that nothing has changed, and that ask for it, is skipped.
    """

    run_id: str
    job: Job
    attempt: int
    scheduled_time: datetime
    project_dir: str
    run_dir: str
    data_interval_start: datetime | None = None
    bookmark: Bookmark = field(default_factory=Bookmark)
    skip_unchanged: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RunOutcome:
    """What comes out of an execution; never an exception.

    `state` is succeeded, failed, timed_out, cancelled, or skipped where `note` says that nothing has changed.
    `result_file` is the CSV, a name inside `run_dir`; None unless the run succeeded, or failed for its
    attachment or its checks alone. `attachment_file` is the result in the form that the job attaches, where that
    is neither CSV nor made of it; `chart_file` a PNG beside them. `bookmark` is how far the job has got with
    this run, None where it does not move. `output` is what the script printed, capped; `sandbox` the level it
    ran at.
    """

    run_id: str
    state: RunState
    started_at: datetime
    finished_at: datetime
    rows_in: int | None = None
    rows_out: int | None = None
    result_file: str | None = None
    result_bytes: int = 0
    attachment_file: str | None = None
    attachment_bytes: int = 0
    preview: Preview = field(default_factory=Preview)
    checks: tuple[CheckResult, ...] = ()
    chart_file: str | None = None
    chart_bytes: int = 0
    bookmark: Bookmark | None = None
    note: str = ""
    output: str = ""
    failure: RunFailure | None = None
    sandbox: str = ""
