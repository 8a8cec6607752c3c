"""What a job gets for keys that no file sets."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class JobDefaults:
    """From the settings of the service."""

    timezone: str = "UTC"
    timeout_seconds: float = 300.0
