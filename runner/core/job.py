"""A Job: one validated job file with its defaults applied."""

from dataclasses import dataclass, field
from enum import StrEnum

from runner.core.bookmark import CursorValue
from runner.core.check import Check
from runner.core.job_policy import RunBounds
from runner.core.source import DataSource


class StepKind(StrEnum):
    """How `data` becomes `result`."""

    SCRIPT = "script"
    QUERY = "query"
    PASS_THROUGH = "pass_through"  # noqa: S105 - no password


class OnMissed(StrEnum):
    """What happens to fires that were due while the service was down."""

    SKIP = "skip"
    RUN_ONCE = "run_once"
    RUN_ALL = "run_all"


class ConcurrencyPolicy(StrEnum):
    """What happens to a fire that is due while a run of the same job is unfinished."""

    FORBID = "forbid"
    ALLOW = "allow"
    REPLACE = "replace"


class OnEmpty(StrEnum):
    """What happens when the result has no rows."""

    SEND = "send"
    SKIP = "skip"
    FAIL = "fail"


class NotifyFailures(StrEnum):
    """Who hears of a failed run. The owner of a job that names none is its consumers."""

    CONSUMERS = "consumers"
    OWNER = "owner"
    BOTH = "both"


class AttachmentFormat(StrEnum):
    """The form in which a result is attached to its mail."""

    CSV = "csv"
    CSV_GZ = "csv.gz"
    XLSX = "xlsx"
    PARQUET = "parquet"


class OnAmbiguous(StrEnum):
    """What happens to a mail of which nobody knows whether the server took it: the service was killed, or the
    connection broke, between the content and the server's answer."""

    RESEND = "resend"
    HOLD = "hold"


class ChartKind(StrEnum):
    """How a chart is drawn."""

    LINE = "line"
    BAR = "bar"


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A picture of the result: the columns `y` over the column `x`."""

    kind: ChartKind
    x: str
    y: tuple[str, ...]
    title: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Incremental:
    """A load of what is new: `cursor` is a column of the first source that only grows, `initial_value` where it
    starts."""

    cursor: str
    initial_value: CursorValue

    @property
    def origin(self) -> str:
        """Of which load a cursor is: whoever changes column or start in the job file begins anew."""
        return f"{self.cursor} from {self.initial_value!r}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """The processing step.

    `path` and `first_line` say where the text stands, so that a traceback can name the user's own file and line:
    line 1 of `text` is line `first_line` of `path`.
    """

    kind: StepKind = StepKind.PASS_THROUGH
    text: str = ""
    path: str = ""
    first_line: int = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """Bounds of one run's child process. `cpu_seconds` of None: bounded by the time-out alone."""

    memory_mb: int = 2048
    cpu_seconds: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Retry:
    """How often a failed run is tried again, and when: full jitter in a window that doubles with each attempt.

    `limit` counts the attempts after the first.
    """

    limit: int = 0
    backoff_seconds: float = 60.0
    max_delay_seconds: float = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class DeliveryOptions:
    """How the result is mailed, and who hears of a failure.

    `defuse_formulas` puts a `'` before texts that a spreadsheet would take for a formula. `notify_after` is the
    number of consecutive failures from which on people are told.
    """

    on_empty: OnEmpty = OnEmpty.SEND
    preview_rows: int = 20
    attachment: AttachmentFormat = AttachmentFormat.CSV
    defuse_formulas: bool = True
    notify_failures: NotifyFailures = NotifyFailures.CONSUMERS
    notify_after: int = 1
    on_ambiguous: OnAmbiguous = OnAmbiguous.RESEND


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One validated job file with its defaults applied.

    `data_source` is the first source, `more_sources` are the others; each has its own name. `bounds` are those of
    the folder's policy.

    A job has a `schedule_time`, or else `after`: the names of the jobs whose runs it follows.

    `path` is relative to the project folder (the one that holds `jobs.d`), with `/`. `digest` is the SHA-256 of
    the file, and of the script or query file it names after it. `revision` is the git commit, `+dirty` after it
    where the file differs from that commit, empty outside git.
    """

    job_name: str
    schedule_time: str | None = None
    timezone: str
    data_source: DataSource
    more_sources: tuple[DataSource, ...] = ()
    incremental: Incremental | None = None
    consumer_emails: tuple[str, ...]
    step: Step = Step()
    description: str = ""
    owner: str | None = None
    tags: tuple[str, ...] = ()
    suspend: bool = False
    after: tuple[str, ...] = ()
    timeout_seconds: float = 300.0
    retry: Retry = Retry()
    resources: Resources = Resources()
    on_missed: OnMissed = OnMissed.RUN_ONCE
    starting_deadline_seconds: int | None = None
    concurrency_policy: ConcurrencyPolicy = ConcurrencyPolicy.FORBID
    checks: tuple[Check, ...] = ()
    chart: Chart | None = None
    delivery: DeliveryOptions = DeliveryOptions()
    bounds: RunBounds = field(default_factory=RunBounds)
    path: str = ""
    digest: str = ""
    revision: str = ""

    @property
    def data_sources(self) -> tuple[DataSource, ...]:
        """All sources, in the order of the job file."""
        return (self.data_source, *self.more_sources)

    @property
    def schedule_words(self) -> str:
        """When it runs, as people read it: the expression, or `after orders, stock`."""
        return self.schedule_time or f"after {', '.join(self.after)}"

    @property
    def origin(self) -> str:
        """`Incremental.origin`; empty for a job that loads everything each time."""
        return self.incremental.origin if self.incremental else ""

    @property
    def skips_unchanged(self) -> bool:
        """Whether a run can be left out as nothing has changed: one source that cannot tell may have new data."""
        return all(source.tells_unchanged for source in self.data_sources)

    @property
    def keeps_bookmark(self) -> bool:
        """Whether it is of use to a run how far those before it have got."""
        return self.incremental is not None or self.skips_unchanged

    def check_recipients(self) -> tuple[str, ...]:
        """Who is told what is wrong with the data: the owner, as consumers cannot mend it; never nobody."""
        return (self.owner,) if self.owner else self.failure_recipients()

    def failure_recipients(self) -> tuple[str, ...]:
        """Who is told when a run fails: never nobody."""
        owner = (self.owner,) if self.owner else self.consumer_emails
        chosen = {
            NotifyFailures.CONSUMERS: self.consumer_emails,
            NotifyFailures.OWNER: owner,
            NotifyFailures.BOTH: (*self.consumer_emails, *owner),
        }[self.delivery.notify_failures]
        # DESIGN: an owner gets failures beside the consumers' policy.
        return tuple(dict.fromkeys((*chosen, *((self.owner,) if self.owner else ()))))
