"""What the store promises to the service: nothing doubled, nothing half-written, nothing forgotten."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from runner.core.delivery import DeliveryAttempt, DeliveryState, MailKind, SendResult
from runner.core.job import Job, Step, StepKind
from runner.core.run import FailureKind, RunFailure, RunState
from runner.core.source import DataSource, FileType, SourceType
from runner.errors import StoreError
from runner.store import Cursor, Store

SENT = SendResult(state=DeliveryState.SENT)
DEFERRED = SendResult(state=DeliveryState.DEFERRED, error="451 try later")
HELD = SendResult(state=DeliveryState.HELD, error="no answer")
DEAD = SendResult(state=DeliveryState.DEAD, error="550 no such user")


def finished(run, at, state=RunState.SUCCEEDED, **changes):
    return replace(run, state=state, started_at=run.queued_at, finished_at=at, **changes)


def attempt(delivery_id, result, at, next_attempt_at=None, notice=None):
    return DeliveryAttempt(
        delivery_id=delivery_id, result=result, at=at, next_attempt_at=next_attempt_at, notice=notice
    )


def job(name="daily_report", **changes):
    source = DataSource(source_type=SourceType.FILE, location="a.csv", format=FileType.CSV)
    values = {
        "job_name": name,
        "schedule_time": "0 9 * * *",
        "timezone": "Europe/Berlin",
        "data_source": source,
        "consumer_emails": ("ann@example.com",),
        "step": Step(kind=StepKind.SCRIPT, text="result = data", path=f"jobs.d/{name}.yaml", first_line=7),
        "tags": ("sales", "daily"),
    }
    return Job(**{**values, **changes})


class TestFires:
    def test_runs_and_cursors_survive_a_restart(self, path, make_run, noon):
        run = make_run(1, fire_key="2025-11-09T12:01")
        cursor = Cursor(job_name="daily_report", schedule="1 12 * * * UTC", time=noon + timedelta(microseconds=7))
        with Store.open(path) as store:
            assert store.record_fires([run], [cursor]) == (run,)
        with Store.open(path) as store:
            assert store.run(run.run_id) == run
            assert store.cursors() == {"daily_report": cursor}

    def test_a_fire_known_already_is_left_out_and_the_cursor_advances(self, store, make_run, noon):
        first = make_run(1, fire_key="k1")
        store.record_fires([first], [])
        again = make_run(2, fire_key="k1")
        other_job = make_run(3, fire_key="k1", job_name="other")
        later = make_run(4, fire_key="k2")
        cursor = Cursor(job_name="daily_report", schedule="s", time=noon)
        assert store.record_fires([again, other_job, later], [cursor]) == (other_job, later)
        assert store.run(again.run_id) is None
        assert store.cursors()["daily_report"] == cursor

    def test_one_fire_twice_in_one_call_makes_one_run(self, store, make_run):
        twins = [make_run(1, fire_key="k"), make_run(2, fire_key="k")]
        assert store.record_fires(twins, []) == (twins[0],)

    def test_manual_runs_have_no_fire_and_never_clash(self, store, make_run):
        for number in (1, 2):
            store.record_fires([make_run(number)], [])
        assert [run.run_id for run in store.runs()] == ["run00002", "run00001"]

    def test_a_run_id_taken_is_an_error_and_leaves_the_cursor(self, store, make_run, noon):
        store.record_fires([make_run(1)], [])
        cursor = Cursor(job_name="daily_report", schedule="s", time=noon)
        with pytest.raises(StoreError):
            store.record_fires([make_run(2, fire_key="a"), make_run(1, fire_key="b")], [cursor])
        assert store.cursors() == {}
        assert store.run("run00002") is None

    @pytest.mark.long
    def test_thousands_at_once(self, store, make_run, noon):
        runs = [make_run(n, job_name=f"job{n}", fire_key="same") for n in range(5000)]
        cursors = [Cursor(job_name=run.job_name, schedule="s", time=noon) for run in runs]
        assert store.record_fires(runs, cursors) == tuple(runs)
        assert store.record_fires([replace(run, run_id=f"x{run.run_id}") for run in runs], cursors) == ()
        assert len(store.last_runs()) == len(store.cursors()) == 5000

    def test_cursors_are_set_moved_and_dropped(self, store, noon):
        one = Cursor(job_name="one", schedule="s UTC", time=noon)
        store.set_cursors([one, replace(one, job_name="two")])
        moved = replace(one, schedule="t UTC", time=noon + timedelta(hours=1))
        store.set_cursors([moved])
        store.drop_cursors(["two", "never there"])
        store.drop_cursors([])
        assert store.cursors() == {"one": moved}


class TestRuns:
    def test_a_run_comes_back_as_it_was_finished(self, store, make_run, noon):
        store.record_fires([make_run(1)], [])
        store.mark_running("run00001", noon)
        failure = RunFailure(kind=FailureKind.SCRIPT, message="KeyError: 'ä'", hint="h", traceback="line 3")
        done = finished(
            make_run(1),
            noon,
            RunState.FAILED,
            failure=failure,
            rows_in=3,
            output="printed\n",
            note="n",
            revision="abc+dirty",
            digest="d",
            sandbox="landlock",
            attempt=2,
        )
        assert store.finish_run(done, []) == (done, ())
        assert store.run("run00001") == done
        listed = replace(done, output="", failure=replace(failure, traceback=""))
        assert store.runs() == (listed,)
        assert store.last_runs() == {"daily_report": listed}

    def test_starting_is_recorded_once(self, store, make_run, noon):
        store.record_fires([make_run(1)], [])
        store.mark_running("run00001", noon)
        assert store.run("run00001").state is RunState.RUNNING
        with pytest.raises(StoreError, match="is running, not queued"):
            store.mark_running("run00001", noon)
        with pytest.raises(StoreError, match="no run absent"):
            store.mark_running("absent", noon)

    def test_a_finished_run_is_not_finished_again(self, store, make_run, make_mail, noon):
        run = make_run(1)
        store.record_fires([run], [])
        first, _ = store.finish_run(finished(run, noon), [make_mail(run)])
        with pytest.raises(StoreError, match="is succeeded, not unfinished"):
            store.finish_run(finished(run, noon, RunState.FAILED), [make_mail(run, kind=MailKind.FAILURE)])
        assert store.run(run.run_id) == first
        assert len(store.due_deliveries(noon, 10)) == 1

    def test_an_unfinished_outcome_is_refused(self, store, make_run):
        store.record_fires([make_run(1)], [])
        with pytest.raises(ValueError, match="not an outcome"):
            store.finish_run(make_run(1), [])

    def test_after_a_restart_running_and_queued_runs_are_told_apart(self, path, make_run, noon):
        with Store.open(path) as store:
            for number in (1, 2, 3):
                store.record_fires([make_run(number)], [])
            store.mark_running("run00002", noon)
            store.finish_run(finished(make_run(3), noon), [])
        with Store.open(path) as store:
            (left,) = store.running_runs()
            assert left == make_run(2, state=RunState.RUNNING, started_at=noon)
            store.finish_run(finished(left, noon, RunState.LOST), [])
            assert store.running_runs() == ()
            assert store.queued_runs() == (make_run(1),)

    def test_a_started_run_goes_back_to_the_queue(self, store, make_run, noon):
        store.record_fires([make_run(1)], [])
        store.mark_running("run00001", noon)
        store.mark_queued("run00001")
        assert store.queued_runs() == (make_run(1),)
        store.finish_run(finished(make_run(1), noon), [])
        assert store.queued_runs() == ()
        with pytest.raises(StoreError, match="is succeeded, not unfinished"):
            store.mark_queued("run00001")

    def test_listing_by_job_and_page(self, store, make_run):
        for number in range(1, 8):
            store.record_fires([make_run(number, job_name="odd" if number % 2 else "even")], [])
        assert [run.run_id for run in store.runs(limit=3)] == ["run00007", "run00006", "run00005"]
        assert [run.run_id for run in store.runs(job_name="odd", limit=2, before="run00007")] == [
            "run00005",
            "run00003",
        ]
        assert store.runs(job_name="never") == ()
        assert store.run("never") is None
        assert {name: run.run_id for name, run in store.last_runs().items()} == {
            "odd": "run00007",
            "even": "run00006",
        }

    def test_the_last_run_of_a_job_is_an_earlier_one_where_there_is_any(self, store, make_run):
        for number in range(1, 5):
            store.record_fires([make_run(number, job_name="odd" if number % 2 else "even")], [])
        assert {name: run.run_id for name, run in store.last_runs("run00002").items()} == {
            "odd": "run00001",
            "even": "run00004",
        }

    def test_last_runs_of_nothing(self, store):
        assert store.last_runs() == {}


class TestOutbox:
    @pytest.fixture
    def run(self, store, make_run):
        store.record_fires([make_run(1)], [])
        return make_run(1)

    def test_one_delivery_per_recipient(self, store, run, make_mail, noon):
        mail = make_mail(run, "ann@example.com", "bob@example.com", "ann@example.com")
        done, _ = store.finish_run(finished(run, noon), [mail])
        assert [(d.recipient, d.state, d.created_at) for d in done.deliveries] == [
            ("ann@example.com", DeliveryState.PENDING, noon),
            ("bob@example.com", DeliveryState.PENDING, noon),
        ]
        due = store.due_deliveries(noon, 10)
        assert [delivery for delivery, _ in due] == list(done.deliveries)
        assert due[0][1] == replace(mail, recipients=("ann@example.com", "bob@example.com"))
        assert store.runs() == (done,)

    def test_deferred_sent_dead(self, store, run, make_mail, noon):
        mail = make_mail(run, "ann@example.com", "bob@example.com", "cy@example.com")
        ann, bob, cy = (d.delivery_id for d in store.finish_run(finished(run, noon), [mail])[0].deliveries)
        later = noon + timedelta(minutes=5)
        store.record_attempts([attempt(ann, SENT, noon)])
        store.record_attempts([attempt(bob, DEFERRED, noon, later)])
        store.record_attempts([attempt(cy, DEAD, noon)])
        assert store.due_deliveries(noon, 10) == []
        assert store.next_delivery_time() == later
        ((delivery, same_mail),) = store.due_deliveries(later, 10)
        assert (delivery.recipient, delivery.attempts, delivery.error) == ("bob@example.com", 1, "451 try later")
        assert same_mail.message_id == mail.message_id
        store.record_attempts([attempt(bob, SENT, later)])
        assert store.next_delivery_time() is None
        states = [(d.state, d.attempts, d.sent_at, d.error) for d in store.run(run.run_id).deliveries]
        assert states == [
            (DeliveryState.SENT, 1, noon, ""),
            (DeliveryState.SENT, 2, later, ""),
            (DeliveryState.DEAD, 1, None, "550 no such user"),
        ]

    @pytest.mark.parametrize(("last", "kept"), [(SENT, False), (DEAD, True)])
    def test_bytes_are_let_go_when_all_is_sent(self, store, run, make_mail, noon, path, last, kept):
        mail = make_mail(run, "ann@example.com", "bob@example.com", message=b"SECRET-FIGURES" * 9000)
        ann, bob = (d.delivery_id for d in store.finish_run(finished(run, noon), [mail])[0].deliveries)
        store.record_attempts([attempt(ann, SENT, noon)])
        assert store.due_deliveries(noon, 10)[0][1].message == mail.message
        store.record_attempts([attempt(bob, last, noon)])
        with store._reading.transaction() as connection:
            (message,) = connection.exec_driver_sql("SELECT message FROM mails").one()
        assert (message == mail.message) is kept

    def test_a_closed_delivery_takes_no_further_attempt(self, store, run, make_mail, noon):
        (delivery,) = store.finish_run(finished(run, noon), [make_mail(run)])[0].deliveries
        store.record_attempts([attempt(delivery.delivery_id, SENT, noon)])
        with pytest.raises(StoreError, match="is not open"):
            store.record_attempts([attempt(delivery.delivery_id, DEAD, noon)])
        assert store.run(run.run_id).deliveries[0].state is DeliveryState.SENT

    def test_a_deferred_attempt_needs_its_next_time(self, store, noon):
        with pytest.raises(ValueError, match="next_attempt_at"):
            store.record_attempts([attempt(1, DEFERRED, noon)])

    def test_the_longest_waiting_come_first_and_the_limit_holds(self, store, make_run, make_mail, noon):
        for number in (3, 2, 1):
            run = make_run(number)
            store.record_fires([run], [])
            store.finish_run(finished(run, run.queued_at), [make_mail(run)])
        due = store.due_deliveries(noon + timedelta(hours=1), 2)
        assert [mail.run_id for _, mail in due] == ["run00001", "run00002"]
        assert store.next_delivery_time() == noon + timedelta(minutes=1)


class TestJobs:
    def test_the_last_good_version_survives_a_restart(self, path):
        jobs = {"jobs.d/a.yaml": job("a"), "jobs.d/b.yaml": job("b", timezone="UTC")}
        with Store.open(path) as store:
            store.save_jobs(jobs)
        with Store.open(path) as store:
            assert store.load_jobs() == jobs
            changed = {"jobs.d/b.yaml": job("b", description="new"), "jobs.d/c.yaml": job("c")}
            store.save_jobs(changed)
            assert store.load_jobs() == changed
            store.save_jobs({})
            assert store.load_jobs() == {}

    def test_a_job_of_another_version_is_left_out_with_a_warning(self, store, caplog):
        store.save_jobs({"jobs.d/a.yaml": job("a"), "jobs.d/b.yaml": job("b")})
        with store._writing.transaction() as connection:
            connection.exec_driver_sql(
                "UPDATE jobs SET job = CAST('{\"job_name\": 3}' AS BLOB) WHERE path LIKE '%/a.%'"
            )
        assert list(store.load_jobs()) == ["jobs.d/b.yaml"]
        assert "jobs.d/a.yaml cannot be read" in caplog.text


class TestRetention:
    def test_old_finished_runs_go_with_their_mails(self, store, make_run, make_mail, noon):
        hour = noon + timedelta(hours=1)
        for number in (1, 2, 3):
            store.record_fires([make_run(number)], [])
        store.record_fires([make_run(4, state=RunState.SKIPPED)], [])
        (sent,) = store.finish_run(finished(make_run(1), noon), [make_mail(make_run(1))])[0].deliveries
        store.record_attempts([attempt(sent.delivery_id, DEAD, noon)])
        store.finish_run(finished(make_run(2), noon), [make_mail(make_run(2))])
        assert store.remove_old(noon, 100) == ()
        assert store.remove_old(hour, 100) == ("run00001", "run00004")
        assert {run.run_id for run in store.runs()} == {"run00002", "run00003"}, "undelivered, unfinished: kept"
        with store._reading.transaction() as connection:
            left = connection.exec_driver_sql("SELECT run_id FROM mails").scalars().all()
        assert left == ["run00002"]

    def test_a_long_run_counts_from_its_end(self, store, make_run, noon):
        store.record_fires([make_run(1)], [])
        store.finish_run(finished(make_run(1), noon + timedelta(hours=9)), [])
        assert store.remove_old(noon + timedelta(hours=5), 100) == ()
        assert store.remove_old(noon + timedelta(hours=10), 100) == ("run00001",)

    def test_more_than_a_batch(self, store, make_run, noon):
        store.record_fires([make_run(n, state=RunState.SKIPPED) for n in range(701)], [])
        assert len(store.remove_old(noon + timedelta(days=9), 1000)) == 701
        assert store.runs() == ()


class TestRetentionByCount:
    def test_the_newest_finished_runs_of_each_job_stay(self, store, make_run, noon):
        for number in range(1, 9):
            store.record_fires(
                [make_run(number, job_name="odd" if number % 2 else "even", state=RunState.SUCCEEDED)], []
            )
        assert sorted(store.remove_old(noon, 2)) == ["run00001", "run00002", "run00003", "run00004"]
        assert store.remove_old(noon, 2) == ()
        assert len(store.runs()) == 4

    def test_unfinished_runs_neither_count_nor_go(self, store, make_run, noon):
        states = [RunState.QUEUED, *[RunState.SUCCEEDED] * 4, RunState.RUNNING]
        for number, state in enumerate(states):
            store.record_fires([make_run(number, state=state)], [])
        assert store.remove_old(noon, 2) == ("run00001", "run00002")
        assert [run.run_id[-1] for run in store.runs()] == ["5", "4", "3", "0"]

    def test_mails_that_wait_keep_their_run(self, store, make_run, make_mail, noon):
        for number, result in ((1, None), (2, DEFERRED), (3, HELD), (4, DEAD), (5, SENT), (6, SENT)):
            run = make_run(number)
            store.record_fires([run], [])
            (delivery,) = store.finish_run(finished(run, noon), [make_mail(run)])[0].deliveries
            if result is not None:
                later = noon if result is DEFERRED else None
                store.record_attempts([attempt(delivery.delivery_id, result, noon, later)])
        assert store.remove_old(noon, 1) == ("run00004", "run00005")
        assert store.remove_old(noon + timedelta(days=900), 1) == ("run00006",)

    def test_more_than_a_batch(self, store, make_run, noon):
        store.record_fires([make_run(n, state=RunState.SKIPPED) for n in range(700)], [])
        assert store.remove_old(noon, 100) == tuple(f"run{n:05d}" for n in range(600))


@pytest.mark.long
def test_threads_write_and_read_together(store, make_run, make_mail, noon):
    faults = []

    def work(worker):
        try:
            for number in range(worker * 100, worker * 100 + 25):
                run = make_run(number, job_name=f"job{worker}", fire_key=str(number))
                assert store.record_fires([run], []) == (run,)
                store.mark_running(run.run_id, noon)
                store.finish_run(finished(run, noon), [make_mail(run)])
                assert store.run(run.run_id).state is RunState.SUCCEEDED
                store.runs(job_name=run.job_name)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            faults.append(error)

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(store.due_deliveries(noon, 1000)) == 100


def test_a_full_disk_is_named_and_changes_nothing(store, make_run, noon):
    store.record_fires([make_run(1)], [])
    store._writing._raw.execute("PRAGMA max_page_count = 30")
    with pytest.raises(StoreError, match="disk is full") as caught:
        store.finish_run(finished(make_run(1), noon, output="x" * 1_000_000), [])
    assert "RUN_RETENTION_DAYS" in caught.value.hint
    assert caught.value.__cause__ is not None
    assert store.run("run00001").state is RunState.QUEUED
    done, _ = store.finish_run(finished(make_run(1), noon), [])
    assert store.run("run00001") == done


def test_errors_do_not_quote_what_was_stored(store, make_run):
    store.record_fires([make_run(1)], [])
    with pytest.raises(StoreError) as caught:
        store.record_fires([make_run(1, fire_key="another", note="SECRET-FIGURES")], [])
    assert "SECRET-FIGURES" not in f"{caught.value}{caught.value.__cause__}"


def test_using_a_closed_store_is_a_store_error(path, make_run):
    store = Store.open(path)
    store.close()
    store.close()
    with pytest.raises(StoreError):
        store.record_fires([make_run(1)], [])
