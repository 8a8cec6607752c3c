"""When a deferred delivery is tried again."""

from datetime import datetime, timedelta

FIRST_WINDOW = timedelta(minutes=5)
LONGEST_WINDOW = timedelta(hours=1)
SHORTEST_DELAY = timedelta(seconds=15)
GIVE_UP_AFTER = timedelta(days=5)
FEWEST_ATTEMPTS = 10


def next_attempt(*, attempts: int, created_at: datetime, now: datetime, fraction: float) -> datetime | None:
    """The time of the next attempt; None to give up, five days after the mail was made.

    Full jitter: anywhere in a window of 5 minutes that doubles with each attempt up to an hour, but not within 15
    seconds. The last attempt is at the five days themselves. A mail that had fewer than ten attempts by then goes
    on until it had them: the service was down, or the clock jumped, and a server may refuse every first attempt.

    Args:
        attempts: how many there have been, 1 or more.
        fraction: a random number, 0 to 1.
    """
    end = created_at + GIVE_UP_AFTER
    if now >= end and attempts >= FEWEST_ATTEMPTS:
        return None
    doublings = min(max(attempts, 1) - 1, 10)
    window = min(LONGEST_WINDOW, FIRST_WINDOW * (1 << doublings))
    again = now + max(SHORTEST_DELAY, window * fraction)
    return min(end, again) if now < end else again


def is_out_of_reach(moment: datetime, *, now: datetime) -> bool:
    """Whether a next attempt lies further ahead than any is put: the clock has been set back since."""
    return moment > now + 2 * LONGEST_WINDOW
