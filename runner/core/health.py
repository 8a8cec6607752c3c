"""What `runner doctor` finds, and what `runner status` shows: values, and when they ask for attention."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from runner.core.delivery import DeliveryState
from runner.core.run import Run


class Health(StrEnum):
    """How a part is. A warning works, but not as most would want it."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What was found of one part: one line, and what to do where it is not well."""

    subject: str
    health: Health = Health.OK
    message: str
    hint: str = ""


def has_problem(findings: Iterable[Finding]) -> bool:
    """Whether one of them keeps the service from its work."""
    return any(one.health is Health.PROBLEM for one in findings)


@dataclass(frozen=True, kw_only=True, slots=True)
class ServiceStanding:
    """The service on a state folder. `ready` is None where it does not run, or does not say.

    `holder` is what it says of itself: `a service, process 123`. `address` is empty where it does not run, or took
    any free port and cannot be asked. `reasons` tell why it is not ready.
    """

    running: bool
    holder: str = ""
    address: str = ""
    ready: bool | None = None
    reasons: tuple[str, ...] = ()

    @property
    def silent(self) -> bool:
        """Whether it runs and gives no answer where it could be asked: it hangs, or listens elsewhere."""
        return self.running and bool(self.address) and self.ready is None


@dataclass(frozen=True, kw_only=True, slots=True)
class FailingJob:
    """A job whose newest runs failed: how many in a row, and the last of them."""

    job_name: str
    failures: int
    run: Run


@dataclass(frozen=True, kw_only=True, slots=True)
class NextFire:
    """One coming fire, aware UTC, with the zone of its job."""

    job_name: str
    scheduled_time: datetime
    timezone: str


@dataclass(frozen=True, kw_only=True, slots=True)
class DiskSpace:
    """The disk of the state folder, in bytes."""

    path: str
    free_bytes: int
    total_bytes: int

    @property
    def short(self) -> bool:
        """Whether it is nearly full: a few large results, and nothing can be recorded any more."""
        return self.free_bytes < SHORT_OF_SPACE


# A result may be a gigabyte.
SHORT_OF_SPACE = 1_000_000_000
# A server that lets everybody come again, or is started anew, takes a mail sooner.
LONG_WAIT = timedelta(hours=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where everything stands at one moment.

    `in_force` counts jobs, `kept` those of them that are the last good versions of files that are not valid now.
    `invalid` are the paths of files that are not in force as they stand now; `deliveries` the states in which
    deliveries are stuck or wait, with their number, `waiting_since` when the mail was made that waits longest.
    """

    at: datetime
    service: ServiceStanding
    in_force: int
    suspended: int
    invalid: tuple[str, ...] = ()
    kept: int = 0
    folder_error: str = ""
    running: tuple[Run, ...] = ()
    queued: tuple[Run, ...] = ()
    failing: tuple[FailingJob, ...] = ()
    deliveries: tuple[tuple[DeliveryState, int], ...] = ()
    waiting_since: datetime | None = None
    next_fires: tuple[NextFire, ...] = ()
    disk: DiskSpace | None = None

    @property
    def mails_wait_long(self) -> bool:
        """Whether a mail has waited for so long that its server, or a setting, has to be mended."""
        return self.waiting_since is not None and self.at - self.waiting_since > LONG_WAIT

    @property
    def needs_attention(self) -> bool:
        """Whether somebody should look. Runs that wait, and mails that do so for less than an hour, are the normal
        course."""
        stuck = any(state in {DeliveryState.DEAD, DeliveryState.HELD} for state, count in self.deliveries if count)
        return bool(
            not self.service.running
            or self.service.ready is False
            or self.service.silent
            or self.folder_error
            or self.invalid
            or self.failing
            or stuck
            or self.mails_wait_long
            or (self.disk is not None and self.disk.short)
        )
