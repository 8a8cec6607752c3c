"""Settings → what a job gets for keys that no file sets: the same for every verb and for the service."""

from runner.core.job_defaults import JobDefaults
from runner.settings import Settings


def job_defaults(settings: Settings) -> JobDefaults:
    """The defaults of these settings."""
    return JobDefaults(timezone=settings.timezone, timeout_seconds=settings.script_timeout)
