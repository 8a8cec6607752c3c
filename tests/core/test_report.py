from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runner.core import report as reports
from runner.core.check import CheckResult
from runner.core.delivery import Delivery, MailKind
from runner.core.job import AttachmentFormat, DeliveryOptions, Retry
from runner.core.report import Report
from runner.core.run import RunState, Trigger


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.0124, "12 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.0 s"),
        (3.44, "3.4 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min"),
        (125.4, "2 min 5 s"),
        (3599.6, "1 h"),
        (3780, "1 h 3 min"),
        (90_000, "25 h"),
    ],
)
def test_duration_words(seconds, words):
    assert reports.duration_words(seconds) == words


@pytest.mark.parametrize(
    ("passed", "words"),
    [
        ((), ""),
        ((True,), "1 check passed"),
        ((False,), "1 check failed"),
        ((True, True), "All 2 checks passed"),
        ((False, True), "1 of 2 checks failed"),
    ],
)
def test_checks_words(passed, words):
    checks = [CheckResult(words="a is unique", blocking=True, passed=one) for one in passed]
    assert reports.checks_words(checks) == words


def test_a_list_says_of_a_run_that_its_checks_failed(make_run):
    delivery = Delivery(
        delivery_id=1,
        run_id="r",
        job_name="daily",
        kind=MailKind.CHECKS,
        recipient="owner@example.com",
        message_id="<m>",
        created_at=datetime(2025, 11, 9, tzinfo=UTC),
    )
    assert reports.note_words(make_run(note="late")) == "late"
    assert reports.note_words(make_run(note="late", deliveries=(delivery,))) == "late; checks failed"
    results = replace(delivery, kind=MailKind.RESULTS)
    assert reports.note_words(make_run(deliveries=(results,))) == ""


@pytest.mark.parametrize(("count", "words"), [(None, "–"), (0, "0"), (18204, "18,204"), (1_000_000, "1,000,000")])
def test_count_words(count, words):
    assert reports.count_words(count) == words


@pytest.mark.parametrize(
    ("count", "words"), [(None, "rows in not counted"), (0, "0 rows in"), (18204, "18,204 rows in")]
)
def test_rows_in_words(count, words):
    assert reports.rows_in_words(count) == words


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (3_400_000, "3.4 MB"),
        (5_000_000_000, "5.0 GB"),
    ],
)
def test_size_words(size, words):
    assert reports.size_words(size) == words


@pytest.mark.parametrize(
    ("timezone", "moment", "words"),
    [
        ("UTC", datetime(2025, 11, 9, 13, 0, tzinfo=UTC), "2025-11-09 13:00 UTC"),
        ("Europe/Berlin", datetime(2025, 11, 9, 13, 0, tzinfo=UTC), "2025-11-09 14:00 CET (+01:00)"),
        ("Europe/Berlin", datetime(2025, 7, 9, 13, 0, 7, tzinfo=UTC), "2025-07-09 15:00:07 CEST (+02:00)"),
        ("America/New_York", datetime(2025, 11, 9, 3, tzinfo=UTC), "2025-11-08 22:00 EST (-05:00)"),
        ("America/Sao_Paulo", datetime(2025, 11, 9, 13, 0, tzinfo=UTC), "2025-11-09 10:00 -03:00"),
        ("Asia/Kathmandu", datetime(2025, 11, 9, 13, 0, 7, tzinfo=UTC), "2025-11-09 18:45:07 +05:45"),
    ],
)
def test_local_time(timezone, moment, words):
    assert reports.local_time(moment, timezone) == words


@pytest.mark.parametrize(
    ("revision", "short"),
    [
        ("", ""),
        ("1a2b3c4d5e6f7890", "1a2b3c4d5e6f"),
        ("1a2b3c4d5e6f7890+dirty", "1a2b3c4d5e6f+dirty"),
        ("1a2b+dirty", "1a2b+dirty"),
    ],
)
def test_short_revision(revision, short):
    assert reports.short_revision(revision) == short


def test_every_state_has_words():
    assert [reports.state_words(state) for state in RunState] == [state.replace("_", " ") for state in RunState]


def test_subjects_are_those_of_the_rest_service(make_job, make_run):
    job = make_job(timezone="Europe/Berlin")
    assert reports.subject(Report(run=make_run(), job=job)) == "Job Results: daily - 2025-11-09 14:00:00"
    failed = Report(run=make_run(state=RunState.TIMED_OUT), job=job)
    assert reports.subject(failed) == "Job Failed: daily - 2025-11-09 14:00:00"


@pytest.mark.parametrize("state", [RunState.FAILED, RunState.TIMED_OUT, RunState.LOST])
def test_what_did_not_succeed_is_a_failure(make_job, make_run, state):
    assert reports.mail_kind(Report(run=make_run(state=state), job=make_job())) is MailKind.FAILURE
    assert reports.mail_kind(Report(run=make_run(), job=make_job())) is MailKind.RESULTS


def test_file_is_named_after_the_local_day(make_job, make_run):
    run = make_run(scheduled_time=datetime(2025, 12, 31, 23, 30, tzinfo=UTC))
    assert reports.result_file_name(Report(run=run, job=make_job())) == "daily_2025-12-31.csv"
    berlin = Report(run=run, job=make_job(timezone="Europe/Berlin"))
    assert reports.result_file_name(berlin) == "daily_2026-01-01.csv"


@pytest.mark.parametrize("form", list(AttachmentFormat))
def test_file_is_named_after_its_form(make_job, make_run, form):
    job = make_job(delivery=DeliveryOptions(attachment=form))
    assert reports.result_file_name(Report(run=make_run(), job=job)) == f"daily_2025-11-09.{form.value}"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (MailKind.RESULTS, "Job Results"),
        (MailKind.FAILURE, "Job Failed"),
        (MailKind.RECOVERY, "Job Recovered"),
        (MailKind.UNDELIVERED, "Mail Undelivered"),
    ],
)
def test_every_kind_of_mail_has_a_subject(kind, words):
    moment = datetime(2025, 11, 9, 13, tzinfo=UTC)
    assert reports.mail_subject(kind, "daily", moment, "Europe/Berlin") == f"{words}: daily - 2025-11-09 14:00:00"


@pytest.mark.parametrize(
    ("timezone", "moment", "stamp"),
    [
        ("Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25 02:30:00 CEST"),
        ("Europe/Berlin", "2026-10-25T01:30:00Z", "2026-10-25 02:30:00 CET"),
        ("Europe/Berlin", "2026-10-24T23:59:59Z", "2026-10-25 01:59:59"),
        ("Europe/Berlin", "2026-10-25T02:00:00Z", "2026-10-25 03:00:00"),
        ("Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29 03:00:00"),
        ("America/Nuuk", "2026-10-25T00:30:00Z", "2026-10-24 23:30:00 -01:00"),
        ("America/Nuuk", "2026-10-25T01:30:00Z", "2026-10-24 23:30:00 -02:00"),
    ],
)
def test_the_subject_of_an_hour_that_comes_twice_tells_which_it_is(timezone, moment, stamp):
    subject = reports.mail_subject(MailKind.RESULTS, "hourly", datetime.fromisoformat(moment), timezone)
    assert subject == f"Job Results: hourly - {stamp}"


@pytest.mark.parametrize(
    ("attempt", "limit", "words"), [(1, 0, ""), (1, 2, ""), (2, 2, "2 of 3"), (3, 2, "3 of 3"), (3, 0, "3 of 3")]
)
def test_attempts_are_told_from_the_second_on(make_job, make_run, attempt, limit, words):
    report = Report(run=make_run(attempt=attempt), job=make_job(retry=Retry(limit=limit)))
    assert reports.attempt_words(report) == words
    assert dict(reports.facts(report)).get("Attempt", "") == words


def test_facts_are_in_order_and_leave_out_what_is_unknown(make_job, make_run):
    job = make_job(timezone="Europe/Berlin", description="Sales of the day")
    run = make_run(trigger=Trigger.MISSED, rows_out=0, revision="1a2b3c4d5e6f7890")
    assert reports.facts(Report(run=run, job=job)) == (
        ("Job", "daily"),
        ("Description", "Sales of the day"),
        ("State", "succeeded"),
        ("Scheduled", "2025-11-09 14:00 CET (+01:00)"),
        ("Started", "2025-11-09 14:00:01 CET (+01:00)"),
        ("Duration", "2.5 s"),
        ("Rows in", "18,204"),
        ("Rows out", "0"),
        ("Trigger", "missed"),
        ("Job file", "jobs.d/daily.yaml"),
        ("Revision", "1a2b3c4d5e6f"),
        ("Run", "01jc8r1v9k0000000000000000"),
    )


def test_facts_of_a_run_that_never_started(make_job, make_run):
    run = make_run(state=RunState.LOST, started_at=None, finished_at=None, rows_in=None, rows_out=None)
    labels = [label for label, _ in reports.facts(Report(run=run, job=make_job()))]
    assert not {"Started", "Duration", "Rows in", "Rows out", "Note", "Owner", "Revision"} & set(labels)


def test_duration_of_a_run_whose_clock_went_on(make_run):
    run = make_run()
    assert run.duration_seconds == 2.5
    assert make_run(finished_at=None).duration_seconds is None
    assert make_run(finished_at=run.started_at + timedelta(hours=1)).duration_seconds == 3600
    assert make_run(finished_at=run.started_at - timedelta(hours=1)).duration_seconds is None
