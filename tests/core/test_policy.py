from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runner.core.bookmark import Bookmark
from runner.core.check import CheckResult
from runner.core.job import ConcurrencyPolicy, DeliveryOptions, Incremental, OnEmpty, OnMissed, Retry
from runner.core.job_policy import RunBounds
from runner.core.policy import (
    RUN_ALL_LIMIT,
    Mailing,
    Overlap,
    decide_bookmark,
    decide_mailing,
    decide_missed,
    decide_overlap,
    decide_retry,
    is_recovery,
    may_skip,
    tells_of_checks,
)
from runner.core.run import FailureKind, Fire, RunFailure, RunState, Trigger

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


def fires(*seconds_ago):
    moments = [NOW - timedelta(seconds=seconds) for seconds in seconds_ago]
    return tuple(Fire(scheduled_time=moment, job_name="daily", key=f"{moment:%H:%M:%S}") for moment in moments)


class TestDecideMissed:
    def test_a_short_deadline_holds_for_a_single_fire_too(self, make_job):
        decision = decide_missed(make_job(starting_deadline_seconds=10), fires(45), earlier=0, now=NOW)
        assert (decision.run, decision.skipped) == ((), 1)
        assert "starting_deadline_seconds: 10" in decision.note

    @pytest.mark.parametrize("on_missed", list(OnMissed))
    @pytest.mark.parametrize("seconds_ago", [0, 1, 60])
    def test_on_time_runs_whatever_the_policy(self, make_job, on_missed, seconds_ago):
        due = fires(seconds_ago)
        decision = decide_missed(make_job(on_missed=on_missed), due, earlier=0, now=NOW)
        assert decision.run == due
        assert (decision.late, decision.skipped, decision.latest_skipped, decision.note) == (False, 0, None, "")

    def test_skip_lets_a_late_fire_go(self, make_job):
        due = fires(61)
        decision = decide_missed(make_job(on_missed=OnMissed.SKIP), due, earlier=0, now=NOW)
        assert (decision.run, decision.skipped, decision.latest_skipped) == ((), 1, due[0])
        assert decision.note == "1 fire missed and not run (on_missed: skip)"

    def test_skip_still_runs_the_one_that_is_on_time(self, make_job):
        due = fires(7200, 3600, 10)
        decision = decide_missed(make_job(on_missed=OnMissed.SKIP), due, earlier=4, now=NOW)
        assert (decision.run, decision.skipped, decision.latest_skipped) == (due[-1:], 6, None)
        assert decision.note == "6 earlier fires missed and not run"

    def test_run_once_runs_the_latest(self, make_job):
        due = fires(7200, 3600)
        decision = decide_missed(make_job(on_missed=OnMissed.RUN_ONCE), due, earlier=0, now=NOW)
        assert (decision.run, decision.skipped, decision.late) == (due[-1:], 1, True)
        assert decision.note == "1 earlier fire missed and not run"

    def test_run_once_of_a_single_late_fire_has_nothing_to_note(self, make_job):
        decision = decide_missed(make_job(on_missed=OnMissed.RUN_ONCE), fires(3600), earlier=0, now=NOW)
        assert (len(decision.run), decision.skipped, decision.note) == (1, 0, "")

    def test_run_all_runs_each_in_order(self, make_job):
        due = fires(*range(9000, 0, -3000))
        decision = decide_missed(make_job(on_missed=OnMissed.RUN_ALL), due, earlier=0, now=NOW)
        assert (decision.run, decision.skipped) == (due, 0)

    def test_run_all_has_a_limit(self, make_job):
        due = fires(*range(60_000, 0, -60))
        decision = decide_missed(make_job(on_missed=OnMissed.RUN_ALL), due, earlier=7, now=NOW)
        assert decision.run == due[-RUN_ALL_LIMIT:]
        assert decision.skipped == len(due) + 7 - RUN_ALL_LIMIT

    def test_deadline_drops_older_fires_first(self, make_job):
        due = fires(7200, 3600, 1800)
        job = make_job(on_missed=OnMissed.RUN_ALL, starting_deadline_seconds=3600)
        decision = decide_missed(job, due, earlier=0, now=NOW)
        assert (decision.run, decision.skipped) == (due[1:], 1)

    @pytest.mark.parametrize("on_missed", list(OnMissed))
    def test_all_past_the_deadline_says_so(self, make_job, on_missed):
        due = fires(7200, 3600)
        job = make_job(on_missed=on_missed, starting_deadline_seconds=600)
        decision = decide_missed(job, due, earlier=3, now=NOW)
        assert (decision.run, decision.skipped, decision.latest_skipped) == ((), 5, due[-1])
        assert decision.note == "5 fires missed and not run (starting_deadline_seconds: 600)"

    def test_one_kept_may_be_on_time_though_earlier_ones_are_not(self, make_job):
        job = make_job(on_missed=OnMissed.RUN_ONCE)
        on_time = decide_missed(job, fires(10), earlier=2, now=NOW)
        assert (len(on_time.run), on_time.skipped, on_time.late) == (1, 2, False)
        late = decide_missed(job, fires(90), earlier=2, now=NOW)
        assert (len(late.run), late.skipped, late.late) == (1, 2, True)


@pytest.mark.parametrize(
    ("policy", "unfinished", "expected"),
    [
        (ConcurrencyPolicy.FORBID, 0, Overlap.START),
        (ConcurrencyPolicy.FORBID, 1, Overlap.SKIP),
        (ConcurrencyPolicy.ALLOW, 3, Overlap.START),
        (ConcurrencyPolicy.REPLACE, 0, Overlap.START),
        (ConcurrencyPolicy.REPLACE, 2, Overlap.REPLACE),
    ],
)
def test_decide_overlap(policy, unfinished, expected):
    assert decide_overlap(policy, unfinished) is expected


@pytest.mark.parametrize(
    ("state", "rows_out", "on_empty", "expected"),
    [
        (RunState.SUCCEEDED, 5, OnEmpty.SKIP, Mailing.RESULTS),
        (RunState.SUCCEEDED, 0, OnEmpty.SEND, Mailing.RESULTS),
        (RunState.SUCCEEDED, 0, OnEmpty.SKIP, Mailing.NONE),
        (RunState.SUCCEEDED, None, OnEmpty.SKIP, Mailing.RESULTS),
        (RunState.FAILED, None, OnEmpty.SKIP, Mailing.FAILURE),
        (RunState.FAILED, 0, OnEmpty.SKIP, Mailing.FAILURE),
        (RunState.TIMED_OUT, None, OnEmpty.SEND, Mailing.FAILURE),
        (RunState.LOST, None, OnEmpty.SEND, Mailing.FAILURE),
        (RunState.SKIPPED, None, OnEmpty.SEND, Mailing.NONE),
        (RunState.CANCELLED, None, OnEmpty.SEND, Mailing.NONE),
    ],
)
def test_decide_mailing(make_job, make_run, state, rows_out, on_empty, expected):
    job = make_job(delivery=DeliveryOptions(on_empty=on_empty))
    run = make_run(state=state, rows_out=rows_out)
    assert decide_mailing(run, job, failures_before=0) is expected
    assert decide_mailing(replace(run, mailing=False), job, failures_before=5) is Mailing.NONE


def test_failures_are_told_from_the_nth_on_and_so_is_the_recovery(make_job, make_run):
    job = make_job(delivery=DeliveryOptions(notify_after=3))
    failed, good = make_run(state=RunState.FAILED), make_run(state=RunState.SUCCEEDED)
    told = [decide_mailing(failed, job, failures_before=before) for before in range(4)]
    assert told == [Mailing.NONE, Mailing.NONE, Mailing.FAILURE, Mailing.FAILURE]
    assert [is_recovery(good, job, failures_before=before) for before in range(5)] == [False] * 3 + [True] * 2
    assert not is_recovery(failed, job, failures_before=9)
    assert not is_recovery(good, make_job(), failures_before=0)


def test_what_people_asked_for_and_what_no_mail_can_carry_is_told_at_once(make_job, make_run):
    job = make_job(delivery=DeliveryOptions(notify_after=3))
    for changes in (
        {"trigger": Trigger.MANUAL},
        {"trigger": Trigger.BACKFILL},
        {"failure": RunFailure(kind=FailureKind.ATTACHMENT, message="too large")},
    ):
        failed = make_run(state=RunState.FAILED, **changes)
        assert decide_mailing(failed, job, failures_before=0) is Mailing.FAILURE
    backfilled = make_run(state=RunState.SUCCEEDED, trigger=Trigger.BACKFILL)
    assert not is_recovery(backfilled, job, failures_before=9), "an old day says nothing of today"


RETRY = Retry(limit=3, backoff_seconds=10, max_delay_seconds=25)


@pytest.mark.parametrize(("attempt", "longest"), [(1, 10), (2, 20), (3, 25), (4, None)])
def test_a_retry_waits_anywhere_in_a_window_that_doubles(make_run, attempt, longest):
    failed = make_run(state=RunState.FAILED, attempt=attempt)
    waits = [decide_retry(RETRY, failed, fraction=fraction) for fraction in (0.0, 0.5, 1.0)]
    expected = [longest and timedelta(seconds=longest * fraction) for fraction in (0.0, 0.5, 1.0)]
    assert waits == (expected if longest else [None] * 3)


def test_what_is_not_tried_again(make_run):
    assert decide_retry(RETRY, make_run(state=RunState.SUCCEEDED), fraction=0) is None
    assert decide_retry(RETRY, make_run(state=RunState.CANCELLED), fraction=0) is None
    assert decide_retry(RETRY, make_run(state=RunState.FAILED, trigger=Trigger.MANUAL), fraction=0) is None
    too_large = RunFailure(kind=FailureKind.ATTACHMENT, message="20 MB are too many for a mail")
    assert decide_retry(RETRY, make_run(state=RunState.FAILED, failure=too_large), fraction=0) is None
    assert decide_retry(Retry(), make_run(state=RunState.FAILED), fraction=0) is None
    assert decide_retry(RETRY, make_run(state=RunState.LOST), fraction=0) == timedelta()


LOAD = Incremental(cursor="at", initial_value=0)


@pytest.mark.parametrize(
    ("changes", "moves"),
    [
        ({}, True),
        ({"trigger": Trigger.MANUAL}, True),
        ({"trigger": Trigger.MISSED}, True),
        ({"trigger": Trigger.AFTER}, True),
        ({"trigger": Trigger.BACKFILL}, False),
        ({"mailing": False}, False),
        ({"state": RunState.FAILED}, False),
        ({"state": RunState.SKIPPED}, False),
    ],
)
def test_a_bookmark_moves_with_what_is_delivered_of_now(make_job, make_run, changes, moves):
    moved = decide_bookmark(make_run(**changes), make_job(incremental=LOAD), Bookmark(cursor=9))
    assert moved == (Bookmark(cursor=9, origin=LOAD.origin) if moves else None)


def test_a_run_whose_consumers_may_get_no_mail_is_delivered_to_nobody(make_job, make_run):
    for domain, moves in (("example.com", True), ("example.org", False)):
        bounds = RunBounds(recipient_domains=(domain,))
        job = make_job(incremental=LOAD, consumer_emails=("ann@example.com",), bounds=bounds)
        assert (decide_bookmark(make_run(), job, Bookmark(cursor=9)) is not None) is moves


def test_a_job_that_always_loads_everything_keeps_no_bookmark(make_job, make_run):
    assert decide_bookmark(make_run(), make_job(), Bookmark(cursor=9)) is None
    assert decide_bookmark(make_run(), make_job(incremental=LOAD), None) is None


@pytest.mark.parametrize("trigger", list(Trigger))
def test_only_what_nobody_asked_for_is_skipped_where_nothing_is_new(make_run, trigger):
    assert may_skip(make_run(trigger=trigger)) == (trigger not in {Trigger.MANUAL, Trigger.BACKFILL})
    assert not may_skip(make_run(trigger=trigger, mailing=False))


def test_the_owner_is_told_of_checks_that_do_not_block(make_job, make_run):
    good, bad = (CheckResult(words="a has no gaps", blocking=False, passed=passed) for passed in (True, False))
    owned = make_job(owner="owner@example.com")
    assert tells_of_checks(make_run(checks=(good, bad)), owned)
    assert owned.check_recipients() == ("owner@example.com",)
    assert not tells_of_checks(make_run(checks=(good,)), owned)
    assert not tells_of_checks(make_run(checks=(bad,), mailing=False), owned)
    assert not tells_of_checks(make_run(checks=(bad,), state=RunState.FAILED), owned), "the failure says so"
    assert not tells_of_checks(make_run(checks=(bad,)), make_job())
    assert make_job().check_recipients() == ("team@example.com",)
