"""The wall clock, which everything else is given."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """The time now, aware."""
    return datetime.now(UTC)
