from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from runner.core.identity import RisingIds, horizon, is_run_id

moments = st.datetimes(datetime(1970, 1, 1), datetime(2400, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
CROCKFORD = "0123456789abcdefghjkmnpqrstvwxyz"


def decode(run_id):
    number = 0
    for digit in run_id:
        number = number * 32 + CROCKFORD.index(digit)
    return number >> 80, number & ((1 << 80) - 1)


def make_run_id(moment, entropy):
    return RisingIds(lambda _bits: entropy)(moment)


def test_example_of_the_specification():
    # 01ARZ3NDEKTSV4RRFFQ69G5FAV, the example of the ULID specification.
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=1_469_922_850_259)
    assert make_run_id(moment, 0xD6764C61EFB99302BD5B) == "01arz3ndektsv4rrffq69g5fav"


@given(moments, st.integers(0, (1 << 80) - 1))
def test_holds_milliseconds_and_entropy(moment, entropy):
    run_id = make_run_id(moment, entropy)
    milliseconds, rest = decode(run_id)
    assert len(run_id) == 26
    assert rest == entropy
    assert abs(milliseconds - (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1)) <= 1


@given(moments, moments, st.integers(0), st.integers(0))
def test_sorts_by_time_as_text(one, other, entropy, more):
    if one + timedelta(milliseconds=2) < other:
        assert make_run_id(one, entropy) < make_run_id(other, more)


@given(moments, st.integers(0))
def test_the_horizon_is_a_minute_ahead(moment, entropy):
    assert make_run_id(moment + timedelta(seconds=59), entropy) < horizon(moment)
    assert make_run_id(moment + timedelta(seconds=61), entropy) > horizon(moment)


def test_entropy_beyond_eighty_bits_does_not_touch_the_time():
    moment = datetime(2025, 6, 1, tzinfo=UTC)
    assert make_run_id(moment, 1 << 80) == make_run_id(moment, 0)


def test_its_own_form_is_known():
    made = make_run_id(datetime(2025, 6, 1, tzinfo=UTC), 7)
    assert is_run_id(made)
    assert not any(is_run_id(text) for text in ("", made[:-1], made + "0", made.upper(), "backups", "u" * 26))


class TestRisingIds:
    noon = datetime(2025, 6, 1, 12, tzinfo=UTC)

    def test_they_rise_within_a_millisecond_and_over_a_small_step_back(self):
        entropy = iter([9, 5, 7, 3])
        make = RisingIds(lambda _bits: next(entropy))
        moments = [self.noon, self.noon, self.noon - timedelta(seconds=30), self.noon + timedelta(seconds=1)]
        made = [make(moment) for moment in moments]
        assert made == sorted(set(made))
        assert made[3] == make_run_id(moments[3], 3)

    def test_a_clock_that_was_far_ahead_does_not_stay_in_them(self):
        make = RisingIds(lambda _bits: 1)
        make(self.noon + timedelta(days=365))
        assert make(self.noon) == make_run_id(self.noon, 1)
