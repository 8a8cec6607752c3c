"""How far the schedule of one job has been worked off."""

from dataclasses import dataclass
from datetime import datetime

from runner.core.run import require_aware


@dataclass(frozen=True, kw_only=True, slots=True)
class Cursor:
    """Every fire of `job_name` up to and including `time` has been recorded.

    `schedule` is the canonical expression, a space and the time zone: where it differs from the job's schedule of
    now, the cursor belongs to another schedule.
    """

    job_name: str
    schedule: str
    time: datetime

    def __post_init__(self) -> None:
        require_aware(self.time, "time")
