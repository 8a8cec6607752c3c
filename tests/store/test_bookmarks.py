"""How far a job has got: it moves with what is delivered, and with nothing else."""

import itertools
import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta

import pytest

from runner.core.bookmark import Bookmark, Validator
from runner.core.check import CheckResult
from runner.core.delivery import DeliveryAttempt, DeliveryState, MailKind, SendResult
from runner.core.preview import Preview
from runner.core.run import RunState, Trigger
from runner.store import Store

JOB = "daily_report"
KILLED_BEFORE_THE_COMMIT = """
import os, signal, sys
from datetime import UTC, datetime
from pathlib import Path
from runner.core.delivery import DeliveryAttempt, DeliveryState, SendResult
from runner.store import Store, bookmarks

move = bookmarks.move

def move_and_die(connection, run_id, at):
    move(connection, run_id, at)
    assert connection.execute("SELECT count(*) FROM bookmarks").fetchone() == (1,)
    os.kill(os.getpid(), signal.SIGKILL)

bookmarks.move = move_and_die
store = Store.open(Path(sys.argv[1]))
result = SendResult(state=DeliveryState.SENT)
store.record_attempts([DeliveryAttempt(delivery_id=1, result=result, at=datetime.now(UTC))])
"""


@pytest.fixture
def end(store, make_run, make_mail, noon):
    """A run that has ended, with a cursor; answers its deliveries."""

    def make(
        number,
        cursor,
        *recipients,
        state=RunState.SUCCEEDED,
        kinds=(MailKind.RESULTS,),
        origin="at from 0",
        validators=(),
        **changes,
    ):
        run = make_run(number, **changes)
        store.record_fires([run], [])
        bookmark = Bookmark(cursor=cursor, origin=origin, validators=validators)
        done = replace(run, state=state, finished_at=noon + timedelta(days=1), bookmark=bookmark)
        mails = [make_mail(run, *recipients, kind=kind) for kind in kinds]
        return store.finish_run(done, mails)[0].deliveries

    return make


@pytest.fixture
def attempt(store, noon):
    def make(delivery, state=DeliveryState.SENT, at=None):
        at = at or noon + timedelta(days=1)
        later = at if state is DeliveryState.DEFERRED else None
        result = SendResult(state=state)
        store.record_attempts(
            [DeliveryAttempt(delivery_id=delivery.delivery_id, result=result, at=at, next_attempt_at=later)]
        )

    return make


def test_a_job_that_has_delivered_nothing_is_at_the_beginning(store, path):
    assert store.bookmark("nobody") == Bookmark()
    with Store.open_reader(path.with_name("missing.db")) as reader:
        assert reader.bookmark(JOB) == Bookmark()


def test_it_moves_when_the_first_person_has_got_the_result(store, end, attempt, path):
    first, second = end(1, 10, "a@example.com", "b@example.com")
    assert store.bookmark(JOB) == Bookmark()
    attempt(first)
    assert store.bookmark(JOB) == Bookmark(cursor=10, origin="at from 0")
    attempt(second)
    with Store.open_reader(path) as reader:
        assert reader.bookmark(JOB).cursor == 10


@pytest.mark.parametrize("state", [DeliveryState.DEFERRED, DeliveryState.DEAD, DeliveryState.HELD])
def test_a_result_that_nobody_has_got_moves_nothing_until_it_is_sent(store, end, attempt, noon, state):
    (one,) = end(1, 10)
    attempt(one, state)
    assert store.bookmark(JOB).cursor is None
    store.retry_deliveries([one.delivery_id], noon)
    attempt(one)
    assert store.bookmark(JOB).cursor == 10


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_whatever_is_delivered_late_the_latest_run_counts(store, end, attempt, order):
    made = [end(number, number * 10, "a@example.com", "b@example.com") for number in (1, 2, 3)]
    for number in order:
        attempt(made[number][0])
    for number in order:
        attempt(made[number][1])
    assert store.bookmark(JOB).cursor == 30


def test_of_runs_for_one_time_the_one_that_was_made_last_counts(store, end, attempt, noon):
    (first,), (second,) = (end(number, number, scheduled_time=noon) for number in (1, 2))
    attempt(second)
    attempt(first)
    assert store.bookmark(JOB).cursor == 2


def test_a_run_for_a_time_to_come_does_not_stop_those_after_it(store, end, attempt, noon):
    (ahead,) = end(1, 10, scheduled_time=noon + timedelta(days=365))
    (now,) = end(2, 20)
    attempt(ahead)
    attempt(now)
    assert store.bookmark(JOB).cursor == 20


def test_no_rows_leave_the_cursor_and_the_state_of_apis_is_that_of_the_last_run(store, end, attempt):
    one, two = (Validator(source="data", request="r", etag=etag) for etag in ("one", "two"))
    for number, cursor, validators in ((1, "2025-01-01", (one,)), (2, None, (two,)), (3, None, ())):
        attempt(*end(number, cursor, validators=validators))
        assert store.bookmark(JOB) == Bookmark(cursor="2025-01-01", validators=validators, origin="at from 0")


def test_another_load_begins_anew(store, end, attempt):
    attempt(*end(1, 10))
    attempt(*end(2, None, origin="id from 0"))
    assert store.bookmark(JOB) == Bookmark(origin="id from 0")


@pytest.mark.parametrize(
    ("changes", "cursor"),
    [
        ({}, 10),
        ({"mailing": False}, None),
        ({"state": RunState.FAILED}, None),
        ({"state": RunState.FAILED, "kinds": (MailKind.FAILURE,)}, None),
        ({"kinds": (MailKind.CHECKS, MailKind.RECOVERY)}, 10),
    ],
)
def test_a_run_that_has_no_result_to_send_has_done_its_work_when_it_succeeds(store, end, changes, cursor):
    end(1, 10, **{"kinds": (), **changes})
    assert store.bookmark(JOB).cursor == cursor


def test_other_mails_than_results_move_nothing(store, end, attempt):
    _, checks = end(1, 10, kinds=(MailKind.RESULTS, MailKind.CHECKS))
    attempt(checks)
    assert store.bookmark(JOB).cursor is None


def test_it_outlives_the_runs(store, end, attempt, noon):
    attempt(*end(1, 10))
    assert store.remove_old(noon + timedelta(days=9), keep_per_job=1) == ("run00001",)
    assert store.bookmark(JOB).cursor == 10


def test_one_that_cannot_be_read_counts_as_none(store, end, attempt, path, caplog):
    attempt(*end(1, 10))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE bookmarks SET bookmark = '{\"cursor\": []}'")
        connection.execute("UPDATE runs SET bookmark = '{', checks = '[{}]'")
    connection.close()
    assert store.bookmark(JOB) == Bookmark()
    run = store.run("run00001")
    assert (run.bookmark, run.checks) == (None, ())
    assert "cannot be read and counts as nothing" in caplog.text


@pytest.mark.long
def test_a_kill_before_the_commit_leaves_delivery_and_bookmark_as_they_were(store, end, path):
    end(1, 10)
    store.close()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_BEFORE_THE_COMMIT, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    with Store.open_reader(path) as reader:
        assert reader.bookmark(JOB) == Bookmark()
        assert [one.state for one in reader.deliveries()] == [DeliveryState.PENDING]


def test_a_run_keeps_what_was_found_of_its_data(store, make_run, noon):
    rows = Preview(columns=("a",), numeric=(True,), rows=(("-1",),), total_rows=1, total_columns=1)
    checks = (
        CheckResult(words="a is at least 0", blocking=True, passed=False, found="1 row", failed_rows=1, rows=rows),
        CheckResult(words="there is at least 1 row", blocking=False, passed=True),
    )
    run = make_run(1)
    store.record_fires([run], [])
    done = replace(
        run,
        state=RunState.SUCCEEDED,
        finished_at=noon,
        checks=checks,
        chart_file="chart.png",
        bookmark=Bookmark(cursor=1.5),
    )
    store.finish_run(done, [])
    assert store.run("run00001") == done
    assert store.runs() == (replace(done, checks=(), bookmark=None),), "a listing is lean"


def test_the_time_before_is_of_runs_that_stand_for_a_fire(store, make_run, noon):
    for number, trigger, state in (
        (1, "after", RunState.SUCCEEDED),
        (2, "after", RunState.SKIPPED),
        (3, "manual", RunState.SUCCEEDED),
        (4, "after", RunState.QUEUED),
    ):
        store.record_fires([make_run(number, trigger=Trigger(trigger), state=state)], [])
    at = [noon + timedelta(minutes=number) for number in range(6)]
    assert [store.time_before(JOB, moment) for moment in at] == [None, None, at[1], at[2], at[2], at[4]]
    assert store.time_before("other", at[5]) is None
