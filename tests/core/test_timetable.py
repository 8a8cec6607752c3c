from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from runner.core.cron import fire_key, next_fire, parse_cron
from runner.core.run import Fire
from runner.core.timetable import DUE_LIMIT, Timetable


def utc(*numbers):
    return datetime(*numbers, tzinfo=UTC)


NOON = utc(2025, 6, 1, 12)


@pytest.fixture
def timetable():
    return Timetable()


def put(timetable, job_name, expression="*/5 * * * *", after=NOON, timezone="UTC"):
    timetable.put(job_name, schedule=parse_cron(expression), timezone=timezone, after=after)


def times(due):
    return {name: [f"{moment:%H:%M}" for moment in one.times] for one in due for name in one.job_names}


class TestTimetable:
    def test_empty(self, timetable):
        assert len(timetable) == 0
        assert timetable.next_time() is None
        assert timetable.pop_due(NOON) == ()
        assert timetable.next_fire("nobody") is None
        timetable.discard("nobody")

    def test_due_at_its_moment_and_not_before(self, timetable):
        put(timetable, "a")
        assert "a" in timetable
        assert timetable.next_time() == timetable.next_fire("a") == utc(2025, 6, 1, 12, 5)
        assert timetable.pop_due(utc(2025, 6, 1, 12, 4, 59)) == ()
        assert times(timetable.pop_due(utc(2025, 6, 1, 12, 5))) == {"a": ["12:05"]}
        assert timetable.pop_due(utc(2025, 6, 1, 12, 5)) == ()
        assert timetable.next_time() == utc(2025, 6, 1, 12, 10)

    def test_fire_carries_its_key(self, timetable):
        put(timetable, "a", "30 8 * * *", timezone="Asia/Tokyo")
        (due,) = timetable.pop_due(utc(2025, 6, 1, 23, 31))
        assert due.of("a") == (
            Fire(scheduled_time=utc(2025, 6, 1, 23, 30), job_name="a", key="2025-06-02T08:30 Asia/Tokyo"),
        )

    def test_jobs_are_in_order_of_time(self, timetable):
        put(timetable, "late", "20 12 * * *")
        put(timetable, "early", "10 12 * * *")
        assert [one.job_names for one in timetable.pop_due(utc(2025, 6, 1, 13))] == [("early",), ("late",)]

    def test_same_schedule_with_another_past_each_gets_its_own(self, timetable):
        put(timetable, "fresh", after=NOON)
        put(timetable, "behind", after=NOON - timedelta(minutes=12))
        assert timetable.next_time() == utc(2025, 6, 1, 11, 50)
        assert times(timetable.pop_due(utc(2025, 6, 1, 12, 5))) == {
            "behind": ["11:50", "11:55", "12:00", "12:05"],
            "fresh": ["12:05"],
        }
        assert times(timetable.pop_due(utc(2025, 6, 1, 12, 10))) == {"behind": ["12:10"], "fresh": ["12:10"]}

    def test_equal_expressions_in_other_words_are_one_group(self, timetable):
        put(timetable, "a", "0 6 * * SUN")
        put(timetable, "b", "00 06 * * 7")
        (due,) = timetable.pop_due(utc(2025, 6, 8, 6))
        assert times((due,)) == {"a": ["06:00"], "b": ["06:00"]}

    def test_same_expression_in_two_zones(self, timetable):
        put(timetable, "tokyo", "0 6 * * *", timezone="Asia/Tokyo")
        put(timetable, "berlin", "0 6 * * *", timezone="Europe/Berlin")
        assert timetable.next_fire("tokyo") == utc(2025, 6, 1, 21)
        assert timetable.next_fire("berlin") == utc(2025, 6, 2, 4)

    def test_put_again_replaces(self, timetable):
        put(timetable, "a", "*/5 * * * *")
        put(timetable, "a", "0 18 * * *")
        assert len(timetable) == 1
        assert timetable.next_time() == utc(2025, 6, 1, 18)
        assert times(timetable.pop_due(utc(2025, 6, 1, 19))) == {"a": ["18:00"]}

    def test_discard_leaves_the_others(self, timetable):
        put(timetable, "a")
        put(timetable, "b")
        timetable.discard("a")
        assert "a" not in timetable
        assert times(timetable.pop_due(utc(2025, 6, 1, 12, 5))) == {"b": ["12:05"]}
        timetable.discard("b")
        assert timetable.next_time() is None

    def test_job_that_never_fires_is_kept(self, timetable):
        put(timetable, "never", "0 0 31 2 *")
        assert "never" in timetable
        assert timetable.next_time() is None
        assert timetable.pop_due(utc(2099, 1, 1)) == ()
        timetable.discard("never")
        assert len(timetable) == 0

    def test_clock_that_jumps_back_gives_nothing_twice(self, timetable):
        put(timetable, "a")
        assert times(timetable.pop_due(utc(2025, 6, 1, 12, 11))) == {"a": ["12:05", "12:10"]}
        assert timetable.pop_due(utc(2025, 6, 1, 11)) == ()
        assert timetable.pop_due(utc(2025, 6, 1, 12, 10)) == ()
        assert times(timetable.pop_due(utc(2025, 6, 1, 12, 15))) == {"a": ["12:15"]}

    def test_long_stop_gives_the_latest_and_counts_the_rest(self, timetable):
        put(timetable, "a", "* * * * *", after=NOON - timedelta(days=7))
        (due,) = timetable.pop_due(NOON)
        assert len(due.times) == DUE_LIMIT
        assert due.times[-1] == NOON
        assert due.earlier == 7 * 1440 - DUE_LIMIT

    def test_now_in_another_zone(self, timetable):
        put(timetable, "a")
        now = datetime(2025, 6, 1, 14, 5, tzinfo=datetime.strptime("+0200", "%z").tzinfo)
        assert times(timetable.pop_due(now)) == {"a": ["12:05"]}

    def test_naive_datetimes_are_refused(self, timetable):
        with pytest.raises(ValueError, match="aware"):
            put(timetable, "a", after=datetime(2025, 6, 1))
        with pytest.raises(ValueError, match="aware"):
            timetable.pop_due(datetime(2025, 6, 1))
        assert len(timetable) == 0

    def test_changes_without_end_do_not_fill_the_heap(self, timetable):
        put(timetable, "first", "* * * * *")
        for number in range(5000):
            put(timetable, "a", f"{number % 60} {number % 24} 1 1 *")
        assert len(timetable._heap) < 200

    def test_every_change_is_seen(self, timetable):
        for number in range(500):
            put(timetable, "a", f"{number % 60} {number % 24} 1 1 *")
            assert timetable.next_time() == timetable.next_fire("a")

    def test_ten_thousand_jobs_due_at_one_minute(self, timetable):
        for number in range(10_000):
            put(timetable, f"job{number}", "0 * * * *", timezone="Europe/Berlin")
        (due,) = timetable.pop_due(utc(2025, 6, 1, 13))
        assert due.job_names == tuple(f"job{number}" for number in range(10_000))
        assert timetable.next_fire("job9999") == utc(2025, 6, 1, 14)


class NaiveTimetable:
    """Each job alone, walked fire by fire."""

    def __init__(self):
        self.jobs = {}

    def put(self, job_name, schedule, timezone, after):
        self.jobs[job_name] = (schedule, timezone, next_fire(schedule, timezone, after))

    def pop_due(self, now):
        answer = {}
        for job_name, (schedule, timezone, next_time) in self.jobs.items():
            when, fires = next_time, []
            while when is not None and when <= now:
                fires.append(Fire(scheduled_time=when, job_name=job_name, key=fire_key(schedule, timezone, when)))
                when = next_fire(schedule, timezone, when)
            self.jobs[job_name] = (schedule, timezone, when)
            if fires:
                answer[job_name] = (tuple(fires[-DUE_LIMIT:]), max(0, len(fires) - DUE_LIMIT))
        return answer

    def next_time(self):
        return min((when for _, _, when in self.jobs.values() if when is not None), default=None)


class TimetableMachine(RuleBasedStateMachine):
    """Any order of operations on a Timetable and on the naive one gives the same answers."""

    names = st.sampled_from([f"job{number}" for number in range(8)])

    @initialize()
    def begin(self):
        self.now = utc(2025, 10, 26, 0, 10)
        self.timetable = Timetable()
        self.naive = NaiveTimetable()

    @rule(
        job_name=names,
        expression=st.sampled_from(
            ["*/7 * * * *", "*/5 * * * *", "0,30 2 * * *", "15 * * * *", "0 0 31 2 *", "10-20 1-3 * * SUN"]
        ),
        timezone=st.sampled_from(["UTC", "Europe/Berlin"]),
        back=st.integers(-60, 120),
    )
    def put(self, job_name, expression, timezone, back):
        schedule, after = parse_cron(expression), self.now - timedelta(minutes=back)
        self.timetable.put(job_name, schedule=schedule, timezone=timezone, after=after)
        self.naive.put(job_name, schedule, timezone, after)

    @rule(job_name=names)
    def discard(self, job_name):
        self.timetable.discard(job_name)
        self.naive.jobs.pop(job_name, None)

    @rule(seconds=st.integers(-3600, 3 * 3600))
    def pop(self, seconds):
        self.now += timedelta(seconds=seconds)
        due = self.timetable.pop_due(self.now)
        given = {name: (one.of(name), one.earlier) for one in due for name in one.job_names}
        assert given == self.naive.pop_due(self.now)
        assert len(given) == sum(len(one.job_names) for one in due), "a job stands in the answer once"
        assert [one.times[0] for one in due] == sorted(one.times[0] for one in due)

    @invariant()
    def same_view(self):
        assert self.timetable.next_time() == self.naive.next_time()
        assert len(self.timetable) == len(self.naive.jobs)
        for job_name, (_, _, when) in self.naive.jobs.items():
            assert job_name in self.timetable
            assert self.timetable.next_fire(job_name) == when


TestTimetableProperties = TimetableMachine.TestCase
TestTimetableProperties.settings = settings(max_examples=80, stateful_step_count=30)
