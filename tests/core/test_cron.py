from bisect import bisect_right
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from runner.core.cron import (
    CronSyntaxError,
    fire_key,
    fires_between,
    in_zone,
    never_fires,
    next_fire,
    parse_cron,
    previous_fire,
)

ZONES = (
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/St_Johns",
    "America/Santiago",
    "America/Havana",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Antarctica/Troll",
)
EXPRESSIONS = (
    "* * * * *",
    "*/5 * * * *",
    "0 * * * *",
    "30 * * * *",
    "*/20 2 * * *",
    "15 */2 * * *",
    "0 0 * * *",
    "30 1 * * *",
    "30 2 * * *",
    "0,45 1-3 * * *",
    "15 0-4/2 * * *",
    "0 3 * * 0",
    "5/10 1,2 */2 * *",
    "10 2 1-7 * 7",
    "0-59 0-23 * * *",
    "45 23 29 3,10 *",
)


def utc(*numbers):
    return datetime(*numbers, tzinfo=UTC)


def fire(expression, timezone, after):
    return next_fire(parse_cron(expression), timezone, after)


def local(moment, timezone):
    return f"{moment.astimezone(ZoneInfo(timezone)):%Y-%m-%d %H:%M%z}"


@cache
def transitions(timezone):
    """Each half-hour of three years at whose end the clock is another one; no day has two."""
    zone = ZoneInfo(timezone)

    def steps(begin, end, step):
        return [begin + number * step for number in range((end - begin) // step)]

    def changes(begin, step):
        return begin.astimezone(zone).utcoffset() != (begin + step).astimezone(zone).utcoffset()

    day, half_hour = timedelta(days=1), timedelta(minutes=30)
    return [
        begin + half_hour
        for midnight in steps(utc(2025, 1, 1), utc(2028, 1, 1), day)
        if changes(midnight, day)
        for begin in steps(midnight, midnight + day, half_hour)
        if changes(begin, half_hour)
    ]


def assert_follows_oracle(oracle, expression, timezone, moment, hours):
    """next_fire, asked every 5 minutes around `moment` and just before, answers what the oracle saw."""
    zone = ZoneInfo(timezone)
    begin, end = moment - timedelta(hours=hours), moment + timedelta(hours=hours)
    ticks = oracle_ticks(oracle, zone, begin, end + timedelta(hours=30))
    expected = oracle.fires(expression, ticks, begin - timedelta(minutes=1))
    schedule = parse_cron(expression)
    for number in range(24 * hours + 1):
        restart = begin + timedelta(minutes=5 * number)
        for after in (restart, restart - timedelta(microseconds=1), restart + timedelta(seconds=number % 60)):
            place = bisect_right(expected, after)
            answer = next_fire(schedule, timezone, after)
            if place < len(expected):
                assert answer == expected[place], (expression, timezone, after)
            else:
                assert answer > ticks[-1][0], (expression, timezone, after)
    between, earlier = fires_between(schedule, timezone, begin - timedelta(minutes=1), ticks[-1][0], limit=10_000)
    assert (list(between), earlier) == (expected, 0), (expression, timezone)


_ticks = {}


def oracle_ticks(oracle, zone, begin, end):
    key = (zone.key, begin, end)
    if key not in _ticks:
        _ticks.clear()
        _ticks[key] = oracle.watch(zone, begin, end)
    return _ticks[key]


class TestAgainstTheOracle:
    @pytest.mark.long
    @pytest.mark.parametrize("timezone", ZONES)
    def test_every_transition_of_three_years(self, oracle, timezone):
        moments = transitions(timezone)
        assert len(moments) >= 6
        for moment in moments:
            for expression in EXPRESSIONS:
                assert_follows_oracle(oracle, expression, timezone, moment, hours=6)

    @pytest.mark.long
    @pytest.mark.parametrize(
        ("timezone", "moment"),
        [
            ("Pacific/Apia", utc(2011, 12, 30, 10)),  # a whole day is skipped
            ("America/Caracas", utc(2016, 5, 1, 7)),  # half an hour, for good
            ("Asia/Pyongyang", utc(2015, 8, 14, 15)),  # half an hour back, at midnight
            ("Asia/Kathmandu", utc(2026, 3, 29, 1)),  # +05:45, never moved
            ("America/Sao_Paulo", utc(2018, 11, 4, 3)),  # midnight itself is skipped
        ],
    )
    def test_odd_transitions(self, oracle, timezone, moment):
        for expression in (*EXPRESSIONS, "0 12 30 12 *", "30 0 30,31 12 5", "*/10 12 30 * *"):
            assert_follows_oracle(oracle, expression, timezone, moment, hours=28)

    @pytest.mark.long
    def test_the_two_oracles_agree(self, oracle, shared_oracle):
        for timezone in ZONES:
            zone = ZoneInfo(timezone)
            for moment in transitions(timezone):
                begin, end = moment - timedelta(hours=8), moment + timedelta(hours=8)
                ticks = oracle_ticks(oracle, zone, begin, end)
                for expression in EXPRESSIONS:
                    ours = oracle.fires(expression, ticks, begin)
                    assert ours == shared_oracle.fires(expression, zone, begin, end), (
                        expression,
                        timezone,
                        moment,
                    )

    @pytest.mark.long
    @pytest.mark.parametrize(
        "expression",
        [
            "0 12 13 * 5",
            "0 12 */2 * 1-5",
            "0 12 1-31 * 1",
            "0 12 * * 1-7",
            "0 12 1,15 * *",
            "0 12 13 * */3",
            "0 12 */10 2 1",
            "0 12 31 2 1",
            "0 12 29-31 2,4 *",
            "0 12 */2 * */2",
            "0 12 1 * 5/2",
            "0 12 10 * 6-7",
            "0 12 * 1-12 0-6",
        ],
    )
    def test_days_of_month_and_of_week(self, oracle, expression):
        accepts = oracle.make_predicate(expression.split())
        days = [utc(2023, 12, 31, 12) + timedelta(days=number) for number in range(1, 1500)]
        expected = [day for day in days if accepts(day)]
        fires, _ = fires_between(parse_cron(expression), "UTC", utc(2023, 12, 31, 12), days[-1], limit=2000)
        assert list(fires) == expected


class TestPreviousFire:
    @given(
        expression=st.sampled_from(EXPRESSIONS),
        timezone=st.sampled_from((*ZONES, "Pacific/Apia", "UTC")),
        before=st.datetimes(
            min_value=datetime(2008, 1, 1), max_value=datetime(2040, 1, 1), timezones=st.just(UTC)
        ),
    )
    @example(expression="30 1 * * *", timezone="Pacific/Apia", before=utc(2011, 12, 31, 0, 0))
    def test_it_is_the_last_one_before(self, expression, timezone, before):
        assert_is_the_last_before(parse_cron(expression), timezone, before)

    @pytest.mark.parametrize("timezone", ZONES)
    def test_around_transitions(self, timezone):
        for moment in transitions(timezone)[:2]:
            for expression in EXPRESSIONS[:12:2] + EXPRESSIONS[1:12:3]:
                schedule = parse_cron(expression)
                for minutes in range(-180, 181, 60):
                    assert_is_the_last_before(schedule, timezone, moment + timedelta(minutes=minutes))

    def test_a_day_that_was_left_out_fired_when_it_would_have_begun(self):
        # In Apia 29 December 2011 was followed by the 31st.
        at = previous_fire(parse_cron("0 12 30 12 *"), "Pacific/Apia", utc(2012, 1, 5))
        assert at == utc(2011, 12, 30, 10)

    def test_strictly_before_and_in_utc(self):
        at = datetime(2025, 6, 1, 6, tzinfo=ZoneInfo("Asia/Tokyo"))
        schedule = parse_cron("0 6 * * *")
        assert previous_fire(schedule, "Asia/Tokyo", at).isoformat() == "2025-05-30T21:00:00+00:00"
        assert previous_fire(schedule, "Asia/Tokyo", at + timedelta(microseconds=1)) == at
        with pytest.raises(ValueError, match="aware"):
            previous_fire(schedule, "Asia/Tokyo", datetime(2025, 6, 1))

    def test_far_away_or_nowhere(self):
        assert previous_fire(parse_cron("0 0 29 2 */7"), "UTC", utc(2128, 2, 29)) == utc(2088, 2, 29)
        assert previous_fire(parse_cron("0 0 31 2 *"), "UTC", utc(2025, 1, 1)) is None
        assert previous_fire(parse_cron("0 0 1 1 *"), "UTC", utc(1, 1, 1)) is None


def assert_is_the_last_before(schedule, timezone, before):
    found = previous_fire(schedule, timezone, before)
    assert found < before
    assert next_fire(schedule, timezone, found - timedelta(microseconds=1)) == found, "it is a fire"
    assert next_fire(schedule, timezone, found) >= before, "and none is between"


class TestNextFire:
    def test_skipped_time_fires_after_the_gap_and_once(self):
        before = utc(2025, 3, 30, 0, 59, 59)
        first = fire("0,30 2 * * *", "Europe/Berlin", before)
        assert local(first, "Europe/Berlin") == "2025-03-30 03:00+0200"
        second = fire("0,30 2 * * *", "Europe/Berlin", first)
        assert local(second, "Europe/Berlin") == "2025-03-31 02:00+0200"

    def test_repeated_time_fires_the_first_time_only(self):
        first = fire("30 2 * * *", "Europe/Berlin", utc(2025, 10, 25, 12))
        assert local(first, "Europe/Berlin") == "2025-10-26 02:30+0200"
        assert local(fire("30 2 * * *", "Europe/Berlin", first), "Europe/Berlin") == "2025-10-27 02:30+0100"

    def test_wildcard_fires_in_both_passes(self):
        first = fire("30 * * * *", "Europe/Berlin", utc(2025, 10, 26, 0))
        second = fire("30 * * * *", "Europe/Berlin", first)
        assert (first, second) == (utc(2025, 10, 26, 0, 30), utc(2025, 10, 26, 1, 30))

    def test_wildcard_sees_the_first_pass_from_far_away(self):
        # Asked in winter, at an offset that reads 02:00 only in the second pass.
        found = fire("*/40 2 26 10 *", "Europe/Berlin", utc(2025, 1, 10))
        assert local(found, "Europe/Berlin") == "2025-10-26 02:00+0200"

    def test_wildcard_is_silent_in_a_gap(self):
        found = fire("* 2 30 3 *", "Europe/Berlin", utc(2025, 3, 1))
        assert local(found, "Europe/Berlin") == "2026-03-30 02:00+0200"

    def test_strictly_after(self):
        at = utc(2025, 6, 1, 12)
        assert fire("0 12 * * *", "UTC", at) == utc(2025, 6, 2, 12)
        assert fire("0 12 * * *", "UTC", at - timedelta(microseconds=1)) == at
        assert fire("* * * * *", "UTC", at + timedelta(seconds=59, microseconds=999_999)) == utc(2025, 6, 1, 12, 1)

    def test_answer_is_utc_whatever_the_zone_of_the_question(self):
        asked = datetime(2025, 6, 1, 12, tzinfo=ZoneInfo("Asia/Tokyo"))
        assert fire("0 6 * * *", "Asia/Tokyo", asked).isoformat() == "2025-06-01T21:00:00+00:00"

    def test_rarest_day_of_all(self):
        # From 29 February 2088, a Sunday, the next is 40 years away: 2100 is no leap year.
        assert fire("0 0 29 2 */7", "UTC", utc(2088, 3, 1)) == utc(2128, 2, 29)

    @pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "Pacific/Apia"])
    @pytest.mark.parametrize("expression", ["0 0 31 2 *", "* * 30 2 *", "5 * 31 4,6,9,11 *"])
    def test_never(self, expression, timezone):
        assert never_fires(parse_cron(expression))
        assert fire(expression, timezone, utc(2025, 1, 1)) is None
        assert fires_between(parse_cron(expression), timezone, utc(2025, 1, 1), utc(2030, 1, 1), limit=5) == (
            (),
            0,
        )

    @pytest.mark.parametrize("expression", ["0 0 29 2 *", "0 0 31 2 1", "0 0 29 2 */7", "@yearly", "0 0 31 * *"])
    def test_seldom_is_not_never(self, expression):
        assert not never_fires(parse_cron(expression))
        assert fire(expression, "UTC", utc(2025, 1, 1)) is not None

    def test_end_of_the_calendar(self):
        for expression in ("0 0 1 1 *", "* * * * *"):
            assert fire(expression, "Europe/Berlin", utc(9999, 12, 31, 23, 59, 59)) is None

    def test_naive_datetime_is_refused(self):
        schedule = parse_cron("@daily")
        with pytest.raises(ValueError, match="aware"):
            next_fire(schedule, "UTC", datetime(2025, 1, 1))
        with pytest.raises(ValueError, match="aware"):
            fires_between(schedule, "UTC", datetime(2025, 1, 1), utc(2025, 1, 2), limit=1)
        with pytest.raises(ValueError, match="aware"):
            fire_key(schedule, "UTC", datetime(2025, 1, 1))

    def test_cheap_enough_for_many_jobs(self, lines_run):
        schedules = [parse_cron(f"{number % 60} {number % 24} * * {number % 7}") for number in range(1000)]
        moment = utc(2025, 6, 1)
        _, lines = lines_run(lambda: [next_fire(schedule, "Europe/Berlin", moment) for schedule in schedules])
        assert lines < 100 * len(schedules)


class TestFiresBetween:
    def test_year_of_minutes_is_counted_not_walked(self, lines_run):
        schedule = parse_cron("* * * * *")
        (fires, earlier), lines = lines_run(
            lambda: fires_between(schedule, "Europe/Berlin", utc(2025, 1, 1), utc(2026, 1, 1), limit=10)
        )
        assert lines < 365 * 1440 / 3
        assert fires == tuple(utc(2025, 12, 31, 23, 51) + timedelta(minutes=number) for number in range(10))
        assert earlier == 365 * 1440 - 10

    def test_bounds(self):
        schedule = parse_cron("0 * * * *")
        fires = fires_between(schedule, "UTC", utc(2025, 1, 1, 5), utc(2025, 1, 1, 7), limit=9)
        assert fires == ((utc(2025, 1, 1, 6), utc(2025, 1, 1, 7)), 0)

    @pytest.mark.parametrize("limit", [0, 1, 2, 3, 4])
    def test_limit_keeps_the_latest(self, limit):
        fires, earlier = fires_between(parse_cron("@daily"), "UTC", utc(2025, 1, 1), utc(2025, 1, 4), limit=limit)
        assert fires == (utc(2025, 1, 2), utc(2025, 1, 3), utc(2025, 1, 4))[max(0, 3 - limit) :]
        assert earlier == max(0, 3 - limit)

    def test_empty_and_backward_ranges(self):
        for until in (utc(2025, 1, 1), utc(2024, 1, 1)):
            assert fires_between(parse_cron("* * * * *"), "UTC", utc(2025, 1, 1), until, limit=5) == ((), 0)

    @pytest.mark.long
    @settings(max_examples=150)
    @given(
        expression=st.sampled_from(EXPRESSIONS),
        timezone=st.sampled_from((*ZONES, "Pacific/Apia", "Asia/Kathmandu", "UTC")),
        start=st.datetimes(datetime(2011, 1, 1), datetime(2028, 1, 1)),
        seconds=st.integers(0, 3 * 86400),
        limit=st.integers(0, 50),
    )
    @example(  # begins shortly after a gap, whose fire is past
        expression="30 2 * * *", timezone="Europe/Berlin", start=datetime(2025, 3, 30, 2), seconds=90_000, limit=9
    )
    @example(
        expression="30 2 * * *", timezone="Pacific/Apia", start=datetime(2011, 12, 29), seconds=250_000, limit=9
    )
    @example(
        expression="30 2 * * *",
        timezone="Europe/Berlin",
        start=datetime(2025, 10, 26, 1, 10),
        seconds=90_000,
        limit=9,
    )
    def test_equals_iteration(self, expression, timezone, start, seconds, limit):
        schedule = parse_cron(expression)
        after = start.replace(tzinfo=UTC)
        until = after + timedelta(seconds=seconds)
        steps = []
        moment = next_fire(schedule, timezone, after)
        while moment is not None and moment <= until:
            assert not steps or moment > steps[-1]
            steps.append(moment)
            moment = next_fire(schedule, timezone, moment)
        kept = steps[len(steps) - min(limit, len(steps)) :]
        assert fires_between(schedule, timezone, after, until, limit=limit) == (
            tuple(kept),
            len(steps) - len(kept),
        )


class TestFireKey:
    def test_fixed_time_is_local(self):
        key = fire_key(parse_cron("30 2 * * *"), "Europe/Berlin", utc(2025, 10, 26, 0, 30))
        assert key == "2025-10-26T02:30 Europe/Berlin"

    def test_moved_by_a_gap_is_the_time_it_fires_at(self):
        schedule = parse_cron("30 2 * * *")
        assert fire_key(schedule, "Europe/Berlin", utc(2025, 3, 30, 1)) == "2025-03-30T03:00 Europe/Berlin"

    def test_wildcard_is_utc_and_differs_between_the_passes(self):
        schedule = parse_cron("30 * * * *")
        keys = [fire_key(schedule, "Europe/Berlin", utc(2025, 10, 26, hour, 30)) for hour in (0, 1)]
        assert keys == ["2025-10-26T00:30Z", "2025-10-26T01:30Z"]

    def test_key_is_one_to_one_over_a_transition(self):
        for expression in EXPRESSIONS:
            schedule = parse_cron(expression)
            fires, _ = fires_between(schedule, "Europe/Berlin", utc(2025, 10, 24), utc(2025, 10, 28), limit=10_000)
            assert len({fire_key(schedule, "Europe/Berlin", moment) for moment in fires}) == len(fires)


class TestGrammar:
    @pytest.mark.parametrize(
        ("expression", "canonical"),
        [
            ("0 6 * * *", "0 6 * * *"),
            ("05 06 01 01 *", "5 6 1 1 *"),
            ("0 \t 6  * * *", "0 6 * * *"),
            ("0 6 * jan,DEC mon-Fri", "0 6 * 1,12 1-5"),
            ("0 6 * * 7", "0 6 * * 0"),
            ("0 6 * * 7,SUN", "0 6 * * 0"),
            ("0 6 * * FRI-7", "0 6 * * 5-7"),
            ("0 6 * * SUN-SAT", "0 6 * * 0-6"),
            ("30,0 6 * * *", "0,30 6 * * *"),
            ("*/1 1-5/1 * * *", "* 1-5 * * *"),
            ("5/15 0 * * *", "5/15 0 * * *"),
            ("*/59 */23 */30 */11 */7", "*/59 */23 */30 */11 */7"),
            ("@hourly", "0 * * * *"),
            ("@daily", "0 0 * * *"),
            ("@weekly", "0 0 * * 0"),
            ("@monthly", "0 0 1 * *"),
            ("@yearly", "0 0 1 1 *"),
        ],
    )
    def test_accepted(self, expression, canonical):
        schedule = parse_cron(expression)
        assert (schedule.expression, schedule.canonical) == (expression, canonical)

    @pytest.mark.parametrize(
        ("expression", "message", "hint", "wrong"),
        [
            ("", "empty", "minute hour", ""),
            ("  ", "empty", "minute hour", "  "),
            ("0 6 * *", "4 fields", "minute hour", "0 6 * *"),
            ("0", "1 field,", "minute hour", "0"),
            ("0 0 6 * * *", "6 fields", "without the first field this is 0 6 * * *.", "0 0 6 * * *"),
            ("* 0 6 * * *", "6 fields", "no seconds and no years", "* 0 6 * * *"),
            ("0 0 6 * * * 2025", "7 fields", "no years", "0 0 6 * * * 2025"),
            ("0 6 * * *\n", "no blank", "none after the last", "\n"),
            ("0 6\u00a0* * *", "no blank", "one blank", "\u00a0"),
            ("0 6 * * *\x00", "the character U+0000 has no meaning", "Remove it.", "\x00"),
            ("0 6 * * * ", "blanks around", "'0 6 * * *'", " "),
            ("\t0 6 * * *", "blanks around", "'0 6 * * *'", "\t"),
            ("0 ٦ * * *", "'٦' (U+0666) has no meaning", "Write 0 6 * * *.", "٦"),
            ("0 6 * * 1\u20135", "'\u2013' (U+2013) has no meaning", "Write 0 6 * * 1-5.", "\u2013"),
            ("\u201c0 6 * * *\u201d", "U+201C", "Write 0 6 * * *.", "\u201c"),
            ("0 6 * * ж", "'ж' (U+0436) has no meaning", "minute hour", "ж"),
            ("09:30", "':' has no meaning", "For 09:30 every day write 30 9 * * *.", ":"),
            ("24:30", "':' has no meaning", "minute hour", ":"),
            ("${env:CRON}", "'$' has no meaning", "holds no references", "$"),
            ("0 6 * * %", "no meaning", "minute hour", "%"),
            ("R 6 * * *", "`H` and `R`", "number", "R"),
            ("0 H/3 * * *", "`H` and `R`", "number", "H/3"),
            ("0 6 ? * *", "`?`", "Write *", "?"),
            ("0 6 L * *", "`L`", "first day", "L"),
            ("0 6 * * 5L", "`L`", "first day", "5L"),
            ("0 6 15W * *", "`W`", "MON-FRI", "15W"),
            ("0 6 * * MON#2", "`#`", "days of the month", "MON#2"),
            ("*,30 6 * * *", "cannot stand in a list", "alone", "*"),
            ("0 6 1,*/2 * *", "cannot stand in a list", "from 1 to 31", "*/2"),
            ("0 9-5 * * *", "backwards", "9-23,0-5", "9-5"),
            ("0 6 * * FRI-SUN", "backwards", "5-7", "FRI-SUN"),
            ("0 6 * * SAT-MON", "backwards", "6,0-1", "SAT-MON"),
            ("0 6 * NOV-JAN *", "backwards", "11-12,1", "NOV-JAN"),
            ("1-1 * * * *", "single minute", "Write 1", "1-1"),
            ("*/0 * * * *", "step of 0", "from 1 to 59", "*/0"),
            ("*/60 * * * *", "step of 60", "from 1 to 59", "*/60"),
            ("0 */24 * * *", "step of 24", "from 1 to 23", "*/24"),
            ("10-20/11 * * * *", "step of 11", "from 1 to 10", "10-20/11"),
            ("59/5 * * * *", "step of 5", "Write 59 alone", "59/5"),
            ("0 0 0 * *", "out of range", "from 1 to 31", "0"),
            ("5,60 * * * *", "out of range", "from 0 to 59", "60"),
            ("0 24 * * *", "out of range", "from 0 to 23", "24"),
            ("0 0 * 13 *", "out of range", "from 1 to 12", "13"),
            ("0 0 * * 8", "out of range", "from 0 to 7", "8"),
            ("000 0 * * *", "out of range", "two digits", "000"),
            ("0 0 * * MONDAY", "cannot be read", "Write MON.", "MONDAY"),
            ("0 0 * * workday", "cannot be read", "SUN to SAT", "workday"),
            ("0 0 * MON *", "cannot be read", "JAN to DEC", "MON"),
            ("1,,2 0 * * *", "empty place", "number", ","),
            ("-1 0 * * *", "cannot be read", "number", "-1"),
            ("*-5 0 * * *", "cannot be read", "number", "*-5"),
            ("1-2-3 0 * * *", "cannot be read", "number", "1-2-3"),
            ("*/ 0 * * *", "cannot be read", "step", "*/"),
            ("@Daily", "no known macro", "@daily", "@Daily"),
            ("@dayly", "no known macro", "Write @daily.", "@dayly"),
            ("@midnight", "no known macro", "@daily", "@midnight"),
            ("@annually", "no known macro", "@yearly", "@annually"),
            ("@reboot", "no known macro", "when the job is due", "@reboot"),
            ("@every 5m", "no known macro", "*/15", "@every 5m"),
            ("@fortnightly", "no known macro", "@weekly", "@fortnightly"),
        ],
    )
    def test_refused_with_what_to_write(self, expression, message, hint, wrong):
        with pytest.raises(CronSyntaxError) as caught:
            parse_cron(expression)
        assert message in caught.value.message
        assert hint in caught.value.hint
        assert expression[caught.value.start : caught.value.end] == wrong

    def test_range_points_at_the_second_of_two_equal_words(self):
        with pytest.raises(CronSyntaxError) as caught:
            parse_cron("1,2,1-1 * * * *")
        assert (caught.value.start, caught.value.end) == (4, 7)

    def test_hundred_characters(self):
        expression = ",".join(["10"] * 31) + " * * * *"
        assert len(expression) == 100
        assert parse_cron(expression).canonical == "10 * * * *"
        with pytest.raises(CronSyntaxError, match="longer than 100"):
            parse_cron("0" + expression)

    @pytest.mark.parametrize(
        ("expression", "fixed"),
        [
            ("0 6 * * *", True),
            ("0-59 0-23 * * *", True),
            ("*/5 6 * * *", False),
            ("0 */2 * * *", False),
            ("@hourly", False),
            ("@daily", True),
        ],
    )
    def test_kind(self, expression, fixed):
        assert parse_cron(expression).fixed_time is fixed

    @pytest.mark.parametrize(
        "hint_of",
        ["0 9-5 * * *", "0 6 * * SAT-MON", "0 6 * NOV-JAN *", "0 6 29-2 * *", "0 6 * * 7-2", "0 6 * * 6-2"],
    )
    def test_hint_for_a_backward_range_can_be_written(self, hint_of):
        with pytest.raises(CronSyntaxError) as caught:
            parse_cron(hint_of)
        proposal = caught.value.hint.rpartition(" ")[2].rstrip(".")
        wrong = hint_of[caught.value.start : caught.value.end]
        assert parse_cron(hint_of.replace(wrong, proposal))

    @pytest.mark.long
    @settings(max_examples=500)
    @given(st.text(st.sampled_from(list("0123456789*/,-@? \t\nLWHR#MONJAFEB٣\u00a0")), max_size=110) | st.text())
    def test_any_text_is_parsed_or_refused(self, text):
        try:
            schedule = parse_cron(text)
        except CronSyntaxError as error:
            refused = error
        else:
            assert schedule.expression == text
            return
        assert refused.message
        assert refused.hint
        assert 0 <= refused.start <= refused.end <= len(text)


def fields(low, high, names=()):
    number = st.integers(low, high)
    ordered = st.tuples(number, number).filter(lambda pair: pair[0] < pair[1])

    def spell(value):
        spellings = [str(value), f"{value:02d}"]
        if names and value - low < len(names):
            spellings += [names[value - low], names[value - low].lower()]
        return st.sampled_from(spellings)

    single = number.flatmap(spell)
    span = ordered.flatmap(lambda pair: st.tuples(st.just(pair), spell(pair[0]), spell(pair[1]))).filter(
        lambda part: not (low == 0 and high == 7 and part[0][1] == 0)
    )
    plain = span.map(lambda part: f"{part[1]}-{part[2]}")
    stepped = span.flatmap(
        lambda part: st.integers(1, part[0][1] - part[0][0]).map(lambda step: f"{part[1]}-{part[2]}/{step}")
    )
    started = st.integers(low, high - 1).flatmap(
        lambda start: st.integers(1, high - start).map(lambda step: f"{start}/{step}")
    )
    every = st.just("*") | st.integers(1, high - low).map(lambda step: f"*/{step}")
    listed = st.lists(single | plain | stepped | started, min_size=1, max_size=3).map(",".join)
    return every | listed


MONTH_NAMES = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAY_NAMES = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
expressions = (
    st.tuples(fields(0, 59), fields(0, 23), fields(1, 31), fields(1, 12, MONTH_NAMES), fields(0, 7, WEEKDAY_NAMES))
    .map(" ".join)
    .filter(lambda text: len(text) <= 100)
)


class TestGrammarProperties:
    @given(expressions)
    def test_canonical_is_its_own_canonical_and_means_the_same(self, expression):
        schedule = parse_cron(expression)
        again = parse_cron(schedule.canonical)
        assert again.canonical == schedule.canonical
        assert (again.fixed_time, again.minutes, again.days) == (
            schedule.fixed_time,
            schedule.minutes,
            schedule.days,
        )

    @pytest.mark.long
    @settings(max_examples=60)
    @given(expressions, st.sampled_from(ZONES), st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 28)))
    def test_any_expression_follows_the_oracle_over_half_a_day(self, oracle, expression, timezone, start):
        schedule = parse_cron(expression)
        after = start.replace(tzinfo=UTC)
        ticks = oracle.watch(ZoneInfo(timezone), after, after + timedelta(hours=12))
        expected = oracle.fires(schedule.canonical, ticks, after)
        fires, _ = fires_between(schedule, timezone, after, ticks[-1][0], limit=10_000)
        assert list(fires) == expected
        found = next_fire(schedule, timezone, after)
        assert found == expected[0] if expected else found is None or found > ticks[-1][0]

    @pytest.mark.long
    @settings(max_examples=60)
    @given(expressions, st.sampled_from(ZONES), st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31)))
    def test_fires_rise(self, expression, timezone, start):
        schedule = parse_cron(expression)
        moment = start.replace(tzinfo=UTC)
        for _ in range(20):
            following = next_fire(schedule, timezone, moment)
            if following is None:
                assert never_fires(schedule)
                return
            assert following > moment
            assert following.second == following.microsecond == 0
            moment = following


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-29T01:59:59", "2026-03-29T00:59:59+00:00"),
        # The clock never reads it: a job at 02:30 fires at 03:00, and so is its time what a person calls 02:30.
        ("2026-03-29T02:30:00", "2026-03-29T01:00:00+00:00"),
        ("2026-03-29T03:00:00", "2026-03-29T01:00:00+00:00"),
        ("2025-10-26T02:30:00", "2025-10-26T00:30:00+00:00"),
        ("2025-10-26T02:30:00+01:00", "2025-10-26T01:30:00+00:00"),
        ("2025-07-01T12:00:00.000001", "2025-07-01T10:00:00.000001+00:00"),
    ],
)
def test_a_time_as_a_person_gives_it(text, moment):
    assert in_zone(datetime.fromisoformat(text), "Europe/Berlin").isoformat() == moment
