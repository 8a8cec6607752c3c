"""Whether schedules have a moment in common."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.core import meetings
from runner.core.cron import fires_between, parse_cron
from runner.core.meetings import MeetingFinder

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("times", "meet"),
    [
        ([], True),
        ([("0 9 * * *", "UTC")], True),
        ([("0 9 * * *", "UTC"), ("0 9 * * 1", "UTC")], True),
        ([("0 9 * * *", "UTC"), ("0 10 * * *", "UTC")], False),
        ([("0 9 * * *", "Europe/Berlin"), ("0 8 * * *", "UTC")], True),
        ([("0 9 * * *", "Europe/Berlin"), ("0 7 * * *", "UTC")], True),
        ([("0 9 * * *", "Europe/Berlin"), ("0 9 * * *", "UTC")], False),
        ([("30 14 * * *", "Asia/Kolkata"), ("0 9 * * *", "UTC")], True),
        ([("30 1 * * *", "Asia/Kolkata"), ("0 20 * * *", "UTC"), ("* * * * *", "America/New_York")], True),
        ([("*/2 * * * *", "UTC"), ("1-59/2 * * * *", "UTC")], False),
        # In steps from fire to fire this one would take too long to find.
        ([("*/2 * * * *", "UTC"), ("1-59/2,30 6-23 * * *", "UTC"), ("30 23 31 8 *", "UTC")], True),
        # A Friday the 13th there is; 29 February comes after more than a year.
        ([("0 9 13 * *", "UTC"), ("0 9 * * 5", "UTC")], True),
        ([("0 9 29 2 *", "UTC"), ("0 9 * * *", "UTC")], False),
        ([("0 9 1 1 *", "UTC"), ("0 9 1 2 *", "UTC")], False),
    ],
)
def test_whether_schedules_meet(times, meet):
    finder = MeetingFinder(NOW)
    assert finder.meet(times) is meet
    assert finder.meet(reversed(times)) is meet


def test_once_the_budget_is_used_up_nothing_is_known():
    never = [("0 9 * * *", "UTC"), ("0 10 * * *", "UTC")]
    finder = MeetingFinder(NOW, budget=100)
    assert finder.meet(never) is True
    assert finder.meet([("0 9 * * *", "UTC"), ("0 11 * * *", "UTC")]) is True
    assert MeetingFinder(NOW).meet(never) is False


EXPRESSIONS = st.builds(
    "{} {} {} * {}".format,
    st.sampled_from(["0", "30", "*/20", "59", "5-50/5"]),
    st.sampled_from(["2", "*", "*/7", "1-3", "23"]),
    st.sampled_from(["*", "1", "*/9"]),
    st.sampled_from(["*", "0", "1-5"]),
)
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata", "Australia/Lord_Howe"])


@pytest.mark.long
@given(st.lists(st.tuples(EXPRESSIONS, ZONES), min_size=2, max_size=3, unique=True))
def test_it_is_so_by_all_their_fires(times):
    ahead = timedelta(days=40)
    fires = [
        set(fires_between(parse_cron(expression), zone, NOW, NOW + ahead, limit=100_000)[0])
        for expression, zone in times
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(meetings, "AHEAD", ahead)
        assert MeetingFinder(NOW).meet(times) is bool(set.intersection(*fires))
