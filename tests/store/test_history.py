"""Attempts, requests, rows of failures, and the runs that follow others."""

import random
import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from runner.core.delivery import MailKind
from runner.core.run import Attempt, FailureKind, FollowingRun, RunFailure, RunState, Trigger
from runner.errors import RunStateError, StoreError
from runner.store import Store

FAILURE = RunFailure(kind=FailureKind.FETCH, message="503", hint="wait", traceback="line 9")


def ended(run, state=RunState.SUCCEEDED, **changes):
    return replace(run, state=state, finished_at=run.queued_at + timedelta(seconds=9), **changes)


def failed_attempt(run):
    return Attempt(
        number=run.attempt,
        state=RunState.FAILED,
        started_at=run.queued_at,
        finished_at=run.queued_at,
        failure=FAILURE,
    )


def again(run, at):
    return replace(
        run,
        state=RunState.QUEUED,
        attempt=run.attempt + 1,
        attempts=(*run.attempts, failed_attempt(run)),
        next_attempt_at=at,
        started_at=None,
        failure=None,
    )


class TestAttempts:
    def test_each_is_kept_with_its_error(self, path, make_run, noon):
        run = make_run(1)
        with Store.open(path) as store:
            store.record_fires([run], [])
            for turn in (1, 2):
                store.mark_running(run.run_id, noon)
                waiting = again(run, noon + timedelta(hours=turn))
                store.retry_run(waiting, failed_attempt(run))
                run = waiting
        with Store.open(path) as store:
            assert store.queued_runs() == (run,)
            assert store.run(run.run_id) == run
            assert [one.number for one in run.attempts] == [1, 2]
            store.mark_running(run.run_id, noon)
            assert store.run(run.run_id).next_attempt_at is None
            done = ended(run, started_at=noon, next_attempt_at=None)
            assert store.finish_run(done, []) == (done, ())
            assert store.run(run.run_id) == done
            (listed,) = store.runs()
            bare = replace(FAILURE, traceback="")
            assert listed == replace(done, attempts=tuple(replace(one, failure=bare) for one in done.attempts))
            store.remove_old(noon + timedelta(days=9), 1)
            with store._reading.transaction() as connection:
                assert connection.exec_driver_sql("SELECT count(*) FROM attempts").scalar() == 0

    def test_a_run_that_has_ended_is_not_tried_again(self, store, make_run, noon):
        run = make_run(1)
        store.record_fires([run], [])
        store.finish_run(ended(run), [])
        with pytest.raises(RunStateError, match="is succeeded, not unfinished"):
            store.retry_run(again(run, noon), failed_attempt(run))
        assert store.run(run.run_id).attempts == ()

    def test_an_attempt_that_is_not_counted_up_is_refused(self, store, make_run, noon):
        run = make_run(1)
        store.record_fires([run], [])
        for wrong in (replace(again(run, noon), attempt=1), replace(again(run, noon), next_attempt_at=None)):
            with pytest.raises(ValueError, match="not to be tried again"):
                store.retry_run(wrong, failed_attempt(run))


class TestFollowing:
    @pytest.fixture
    def follower(self, make_run, noon):
        def make(number=90, needs=("a", "b"), **changes):
            values = {"job_name": "c", "trigger": Trigger.AFTER, "fire_key": "after noon", "scheduled_time": noon}
            return FollowingRun(run=make_run(number, **{**values, **changes}), needs=needs)

        return make

    @pytest.fixture
    def fire(self, store, make_run, noon):
        def make(number, job_name, **changes):
            run = make_run(number, job_name=job_name, **{"scheduled_time": noon, **changes})
            store.record_fires([run], [])
            return run

        return make

    def test_the_last_success_of_the_set_records_it_once(self, store, fire, follower):
        first, second = fire(1, "a"), fire(2, "b")
        assert store.finish_run(ended(first), [], [follower()])[1] == ()
        assert store.finish_run(ended(second), [], [follower()])[1] == (follower().run,)
        assert store.queued_runs() == (follower().run,)
        again = fire(3, "b", fire_key="once more")
        assert store.finish_run(ended(again), [], [follower(91)])[1] == ()
        assert store.run(follower(91).run.run_id) is None

    @pytest.mark.parametrize(
        "changes",
        [
            {"scheduled_time": None},
            {"state": RunState.FAILED},
            {"state": RunState.RUNNING},
            {"trigger": Trigger.MANUAL},
            {"mailing": False},
        ],
    )
    def test_what_does_not_meet_a_need(self, store, fire, follower, noon, changes):
        if "scheduled_time" in changes:
            changes = {"scheduled_time": noon + timedelta(minutes=1)}
        fire(1, "a", **{"state": RunState.SUCCEEDED, **changes})
        assert store.finish_run(ended(fire(2, "b")), [], [follower()])[1] == ()
        assert store.queued_runs() == ()

    def test_without_needs_at_once_with_its_mails(self, store, fire, follower, make_mail, noon):
        run = fire(1, "a")
        skipped = follower(needs=(), state=RunState.SKIPPED, note="a failed")
        skipped = replace(skipped, mails=(make_mail(skipped.run, "cy@example.com", kind=MailKind.FAILURE),))
        done, (recorded,) = store.finish_run(ended(run, RunState.FAILED), [make_mail(run)], [skipped])
        assert [d.recipient for d in done.deliveries] == ["ann@example.com"]
        assert [(d.recipient, d.job_name, d.kind) for d in recorded.deliveries] == [
            ("cy@example.com", "c", MailKind.FAILURE)
        ]
        assert store.run(recorded.run_id) == recorded
        assert {mail.run_id for _, mail in store.due_deliveries(noon + timedelta(hours=1), 9)} == {
            run.run_id,
            recorded.run_id,
        }

    def test_two_that_end_at_the_same_time_record_one(self, store, fire, follower, noon):
        for turn in range(10):
            moment = {"scheduled_time": noon + timedelta(hours=turn)}
            runs = [fire(10 * turn + 1, "a", **moment), fire(10 * turn + 2, "b", **moment)]
            recorded = []

            def finish(run, number, turn=turn, recorded=recorded, moment=moment):
                following = follower(number, fire_key=f"after {turn}", **moment)
                recorded.extend(store.finish_run(ended(run), [], [following])[1])

            threads = [
                threading.Thread(target=finish, args=(run, 500 + 10 * turn + place))
                for place, run in enumerate(runs)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(recorded) == 1

    def test_nothing_follows_what_could_not_be_recorded(self, store, fire, follower):
        run = fire(1, "a")
        store.finish_run(ended(run, RunState.CANCELLED), [])
        with pytest.raises(RunStateError):
            store.finish_run(ended(run), [], [follower(needs=())])
        assert store.queued_runs() == ()


class TestRequests:
    def test_are_taken_once_by_the_service_beside_the_one_who_asks(self, store, path, make_run):
        with Store.open(path, beside_service=True) as other:
            asked = [
                make_run(n, trigger=Trigger.BACKFILL, fire_key=f"backfill {n}", mailing=n > 1) for n in (1, 2)
            ]
            assert other.add_requests(asked) == tuple(asked)
            assert other.add_requests([replace(asked[0], run_id="twin"), make_run(3)]) == (make_run(3),)
        assert store.queued_runs() == (), "what is asked for is taken as a request, not twice"
        assert store.take_requests() == (*asked, make_run(3))
        assert store.take_requests() == ()
        assert store.queued_runs() == (*asked, make_run(3))

    def test_one_that_is_cancelled_before_is_not_taken(self, store, make_run):
        store.add_requests([make_run(1)])
        store.finish_run(ended(make_run(1), RunState.CANCELLED), [])
        assert store.take_requests() == ()
        with store._reading.transaction() as connection:
            assert connection.exec_driver_sql("SELECT sum(requested) FROM runs").scalar() == 0

    def test_looking_for_none_writes_nothing(self, store, path):
        version = sqlite3.connect(path)
        (before,) = version.execute("PRAGMA data_version").fetchone()
        store.take_requests()
        assert version.execute("PRAGMA data_version").fetchone() == (before,)
        version.close()

    def test_a_run_that_has_begun_is_no_request(self, store, make_run, noon):
        with pytest.raises(ValueError, match="has begun"):
            store.add_requests([make_run(1, started_at=noon)])
        with pytest.raises(ValueError, match="has begun"):
            store.record_fires([make_run(1, output="printed")], [])
        assert store.runs() == ()


class TestFailureStreak:
    def test_counts_back_to_the_last_success(self, store, make_run):
        states = [
            "succeeded",
            "failed",
            "skipped",
            "timed_out",
            "cancelled",
            "lost",
            "queued",
            "running",
            "failed",
        ]
        for number, state in enumerate(states):
            store.record_fires([make_run(number, state=RunState(state))], [])
        store.record_fires([make_run(20, state=RunState.SUCCEEDED, mailing=False)], [])
        store.record_fires([make_run(21, state=RunState.FAILED, mailing=False)], [])
        store.record_fires([make_run(22, job_name="other", state=RunState.SUCCEEDED)], [])
        assert store.failure_streak("daily_report") == 4
        assert store.failure_streak("daily_report", before="run00008") == 3
        assert store.failure_streak("daily_report", before="run00002") == 1
        assert store.failure_streak("daily_report", before="run00001") == 0
        assert store.failure_streak("other") == store.failure_streak("never") == 0


def test_runs_between_are_those_of_the_span_oldest_first(store, make_run, noon):
    for number in (5, 3, 4, 1, 2):
        moment = noon + timedelta(minutes=number)
        run = make_run(10 - number, scheduled_time=moment)
        store.record_fires([run], [])
        store.finish_run(replace(run, state=RunState.SUCCEEDED, finished_at=moment, output="x"), [])
    store.record_fires([make_run(30, job_name="other", scheduled_time=noon + timedelta(minutes=3))], [])
    found = store.runs_between("daily_report", noon + timedelta(minutes=2), noon + timedelta(minutes=4))
    assert [run.scheduled_time.minute for run in found] == [2, 3, 4]
    assert {run.output for run in found} == {""}


@pytest.mark.long
def test_thousands_of_runs_are_found_by_their_ids_in_few_sizes_of_statement(store, make_run):
    store.record_fires([make_run(number) for number in range(2500)], [])
    looked_up: list[str] = []
    store._reading._raw.set_trace_callback(looked_up.append)
    for asked in (2500, 2499, 2498):
        ids = [f"run{number:05d}" for number in range(asked)]
        assert [run.run_id for run in store.runs_of(random.Random(1).sample(ids, asked))] == ids
    sizes = {len(words) for words in looked_up if "WHERE runs.run_id IN" in words}
    # One for every whole thousand, one for each rest: the driver keeps the statement of each size.
    assert len(sizes) == 4


def test_unknown_runs_and_wrong_states_are_told_apart_from_a_broken_store(store, noon):
    for change in (lambda: store.mark_running("x", noon), lambda: store.mark_queued("x")):
        with pytest.raises(RunStateError, match="no run x"):
            change()
    store._writing._raw.execute("DROP TABLE attempts")
    store._writing._raw.execute("ALTER TABLE runs RENAME TO gone")
    with pytest.raises(StoreError) as caught:
        store.mark_running("x", noon)
    assert not isinstance(caught.value, RunStateError)
