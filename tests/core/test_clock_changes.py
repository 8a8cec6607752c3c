from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.clock_changes import (
    clock_changes,
    matching_days,
    most_fires_an_hour,
    sets_day_and_weekday,
    touched_fires,
)
from runner.core.cron import fires_between, next_fire
from runner.core.cron_grammar import CronSyntaxError, parse_cron

DAY = date(2026, 11, 23)
ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Cairo",
    "Asia/Tokyo",
    "UTC",
    "America/Santiago",
]
FIELD = {
    "minute": st.sampled_from(["0", "30", "*", "*/15", "0,59", "10-20", "5/20"]),
    "hour": st.sampled_from(["2", "1-3", "*/2", "*", "0", "0-23", "23", "0,2"]),
    "day": st.sampled_from(["*", "1", "28-31", "*/2", "5/7"]),
    "month": st.sampled_from(["*", "3", "10,11", "*/3"]),
    "weekday": st.sampled_from(["*", "0", "SUN", "7", "1-5", "5-7", "*/2"]),
}
EXPRESSIONS = st.builds("{} {} {} {} {}".format, *FIELD.values())


def words(expression, zone, day=DAY):
    return [
        (touched.change.is_gap, [f"{time:%Y-%m-%d %H:%M}" for time in touched.times])
        for touched in touched_fires(parse_cron(expression), zone, day)
    ]


def test_the_changes_of_a_year():
    gap, repetition = clock_changes("Europe/Berlin", DAY)
    assert (gap.is_gap, gap.left, gap.reached) == (True, datetime(2027, 3, 28, 2), datetime(2027, 3, 28, 3))
    assert (repetition.left, repetition.reached) == (datetime(2027, 10, 31, 3), datetime(2027, 10, 31, 2))
    assert clock_changes("UTC", DAY) == clock_changes("Asia/Tokyo", DAY) == ()


@pytest.mark.parametrize(
    ("expression", "zone", "found"),
    [
        ("30 2 * * *", "Europe/Berlin", [(True, ["2027-03-28 02:30"])]),
        ("30 2 * * 1-5", "Europe/Berlin", []),
        ("30 3 * * *", "Europe/Berlin", []),
        ("0 2 * * *", "Europe/Berlin", [(True, ["2027-03-28 02:00"])]),
        ("*/30 2 * * *", "Europe/Berlin", [(True, ["2027-03-28 02:00", "2027-03-28 02:30"]), (False, ["2027-10-31 02:00", "2027-10-31 02:30"])]),
        ("0 */2 * * *", "Europe/Berlin", [(True, ["2027-03-28 02:00"]), (False, ["2027-10-31 02:00"])]),
        ("*/5 * * * *", "Europe/Berlin", []),
        ("0 0-23 * * *", "Europe/Berlin", []),
        ("0 0 * * *", "Africa/Cairo", [(True, ["2027-04-30 00:00"])]),
        ("15 2 * * *", "Australia/Lord_Howe", [(True, ["2027-10-03 02:15"])]),
        ("30 2 * * *", "UTC", []),
    ],
)  # fmt: skip
def test_the_fires_that_a_change_touches(expression, zone, found):
    assert words(expression, zone) == found


@settings(max_examples=60)
@given(EXPRESSIONS, st.sampled_from(ZONES))
def test_it_is_what_the_schedule_does(expression, zone):
    """By the fires themselves: a time that is missing is not shown by any of them, and one that comes twice is
    shown by two."""
    schedule = parse_cron(expression)
    touched = touched_fires(schedule, zone, DAY)
    told = {(change.change.is_gap, time) for change in touched for time in change.times}
    every_hour = len({minute // 60 for minute in schedule.minutes}) == 24
    for change in clock_changes(zone, DAY):
        around = datetime.combine(change.left.date(), datetime.min.time(), tzinfo=UTC)
        fires, earlier = fires_between(
            schedule, zone, around - timedelta(days=2), around + timedelta(days=3), limit=9000
        )
        assert earlier == 0
        walls = [fire.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0) for fire in fires]
        twice = {wall for wall in walls if walls.count(wall) > 1}
        if not change.is_gap and not every_hour:
            assert {
                time for gap, time in told if not gap and time.date() in {wall.date() for wall in twice}
            } == twice
        assert all(time not in walls for gap, time in told if gap)


@given(EXPRESSIONS)
def test_the_days_are_those_of_the_schedule(expression):
    schedule = parse_cron(expression)
    day = matching_days(schedule, DAY, 1)
    fire = next_fire(schedule, "UTC", datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC))
    assert [fire.date()] == list(day)


@given(EXPRESSIONS)
def test_the_most_fires_in_an_hour(expression):
    schedule = parse_cron(expression)
    first = next_fire(schedule, "UTC", datetime(2026, 1, 1, tzinfo=UTC)).replace(minute=0)
    fires, _ = fires_between(
        schedule, "UTC", first - timedelta(seconds=1), first + timedelta(minutes=59), limit=99
    )
    assert most_fires_an_hour(schedule) == len(fires)


@given(st.from_regex(r"[0-9*/,-]{1,5}( [0-9*/,-]{1,5}){4}", fullmatch=True))
def test_any_expression_can_be_asked(expression):
    try:
        schedule = parse_cron(expression)
    except CronSyntaxError:
        return
    assert most_fires_an_hour(schedule) >= 1
    touched_fires(schedule, "Europe/Berlin", DAY)
    _, _, day, _, weekday = expression.split()
    assert sets_day_and_weekday(schedule) == (not day.startswith("*") and not weekday.startswith("*"))
