from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runner.delivery.retry import GIVE_UP_AFTER, is_out_of_reach, next_attempt

MADE = datetime(2025, 11, 9, 13, 0, tzinfo=UTC)


def test_the_window_doubles_from_five_minutes_to_an_hour():
    delays = [
        next_attempt(attempts=attempts, created_at=MADE, now=MADE, fraction=1.0) - MADE for attempts in range(1, 8)
    ]
    assert [delay / timedelta(minutes=1) for delay in delays] == [5, 10, 20, 40, 60, 60, 60]


def test_gives_up_after_five_days_and_tries_at_their_end():
    end = MADE + timedelta(days=5)
    before = end - timedelta(minutes=1)
    assert next_attempt(attempts=99, created_at=MADE, now=before, fraction=1.0) == end
    assert next_attempt(attempts=99, created_at=MADE, now=end, fraction=0.0) is None


def test_a_mail_of_few_attempts_outlives_the_five_days():
    now = MADE + timedelta(days=365)
    delays = [next_attempt(attempts=n, created_at=MADE, now=now, fraction=1.0) for n in (1, 2, 9)]
    assert [delay - now for delay in delays] == [timedelta(minutes=5), timedelta(minutes=10), timedelta(hours=1)]
    assert next_attempt(attempts=10, created_at=MADE, now=now, fraction=1.0) is None


@given(
    attempts=st.integers(1, 30),
    age=st.timedeltas(timedelta(days=-400), timedelta(days=400)),
    fraction=st.floats(0, 1),
)
def test_the_next_attempt_is_always_ahead_and_within_the_hour(attempts, age, fraction):
    now = MADE + age
    moment = next_attempt(attempts=attempts, created_at=MADE, now=now, fraction=fraction)
    if moment is None:
        assert age >= GIVE_UP_AFTER
        assert attempts >= 10
    else:
        assert now < moment <= now + timedelta(hours=1)
        assert age >= GIVE_UP_AFTER or moment <= MADE + GIVE_UP_AFTER
        assert not is_out_of_reach(moment, now=now)
        assert is_out_of_reach(moment, now=now - timedelta(days=1))
