"""When a deferred delivery is tried again."""

from datetime import datetime, timedelta

FIRST_WINDOW = timedelta(minutes=5)
LONGEST_WINDOW = timedelta(hours=1)
SHORTEST_DELAY = timedelta(seconds=15)
GIVE_UP_AFTER = timedelta(days=5)


def next_attempt(*, attempts: int, created_at: datetime, now: datetime, fraction: float) -> datetime | None:
    """The time of the next attempt; None to give up, five days after the mail was made.

    Full jitter: anywhere in a window of 5 minutes that doubles with each attempt up to an hour, but not within 15
    seconds. The last attempt is at the five days themselves.

    Args:
        attempts: how many there have been, 1 or more.
        fraction: a random number, 0 to 1.
    """
    end = created_at + GIVE_UP_AFTER
    if now >= end:
        return None
    doublings = min(max(attempts, 1) - 1, 10)
    window = min(LONGEST_WINDOW, FIRST_WINDOW * (1 << doublings))
    return min(end, now + max(SHORTEST_DELAY, window * fraction))
