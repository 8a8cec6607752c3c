import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from runner.core.bookmark import Bookmark
from runner.core.catalog import CatalogEntry, SyncState
from runner.core.check import Check, CheckKind, CheckResult
from runner.core.delivery import Delivery, DeliveryState, MailKind
from runner.core.diagnostic import Diagnostic, Severity
from runner.core.documents import (
    effective_document,
    fires_document,
    job_document,
    run_document,
    runs_document,
    utc_text,
    validation_document,
)
from runner.core.effective import EffectiveValue, Origin
from runner.core.job import Chart, ChartKind, Incremental
from runner.core.preview import Preview
from runner.core.run import FailureKind, RunFailure, RunState

NINE = datetime(2025, 11, 9, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (None, None),
        (NINE, "2025-11-09T09:00:00Z"),
        (NINE.replace(microsecond=250_000), "2025-11-09T09:00:00.250000Z"),
        (datetime(2025, 11, 9, 9, tzinfo=timezone(timedelta(hours=5, minutes=45))), "2025-11-09T03:15:00Z"),
    ],
)
def test_utc_text(moment, text):
    assert utc_text(moment) == text


def test_validation_document_counts_and_lists():
    error = Diagnostic(path="a.yaml", line=2, column=3, rule="cron-syntax", message="m", hint="h")
    warning = Diagnostic(path="a.yaml", severity=Severity.WARNING, rule="unused", message="w")
    document = validation_document(3, iter([error, warning]))
    assert (document["files"], document["errors"], document["warnings"]) == (3, 1, 1)
    assert document["diagnostics"][0] == {
        "path": "a.yaml",
        "line": 2,
        "column": 3,
        "end_line": 2,
        "end_column": 4,
        "severity": "error",
        "rule": "cron-syntax",
        "message": "m",
        "hint": "h",
    }


class TestRunDocument:
    def test_succeeded(self, make_run):
        delivery = Delivery(
            delivery_id=1,
            run_id="r",
            job_name="daily",
            kind=MailKind.RESULTS,
            recipient="team@example.com",
            message_id="<r.1@example.com>",
            state=DeliveryState.SENT,
            attempts=1,
            created_at=NINE,
            sent_at=NINE,
        )
        document = run_document(make_run(deliveries=(delivery,)))
        assert document["scheduled_time"] == "2025-11-09T13:00:00Z"
        assert (document["trigger"], document["state"]) == ("schedule", "succeeded")
        assert document["duration_seconds"] == 2.5
        # Unknown is null, not empty and not missing.
        assert {document[key] for key in ("error", "error_kind", "note", "revision", "digest", "sandbox")} == {
            None
        }
        assert document["deliveries"] == [
            {
                "delivery_id": 1,
                "recipient": "team@example.com",
                "kind": "results",
                "state": "sent",
                "message_id": "<r.1@example.com>",
                "attempts": 1,
                "next_attempt_at": None,
                "sent_at": "2025-11-09T09:00:00Z",
                "error": None,
                "kept_as": None,
            }
        ]

    def test_failed_with_details(self, make_run):
        failure = RunFailure(kind=FailureKind.SCRIPT, message="KeyError: 'x'", hint="Look.", traceback="Trace")
        run = make_run(state=RunState.FAILED, failure=failure, output="printed")
        document = run_document(run, details=True)
        assert (document["error"], document["error_kind"]) == ("KeyError: 'x'", "script")
        assert (document["hint"], document["traceback"], document["output"]) == ("Look.", "Trace", "printed")
        assert not {"hint", "traceback", "output"} & run_document(run).keys()

    def test_what_was_found_of_the_data_is_a_detail(self, make_run):
        rows = Preview(columns=("id", "amount"), numeric=(False, True), rows=(("A", "-1"),), total_rows=1)
        check = CheckResult(
            words="amount is at least 0",
            blocking=False,
            passed=False,
            found="1 row is below 0",
            failed_rows=1,
            rows=rows,
        )
        run = make_run(checks=(check,), chart_file="chart.png", bookmark=Bookmark(cursor=0))
        document = run_document(run, details=True)
        assert document["checks"] == [
            {
                "check": "amount is at least 0",
                "blocking": False,
                "passed": False,
                "found": "1 row is below 0",
                "failed_rows": 1,
                "columns": ["id", "amount"],
                "rows": [["A", "-1"]],
            }
        ]
        assert (document["chart"], document["cursor"]) == (True, 0)
        assert not {"checks", "chart", "cursor"} & run_document(run).keys()

    def test_keys_do_not_depend_on_what_happened(self, make_run):
        queued = make_run(state=RunState.QUEUED, started_at=None, finished_at=None, rows_in=None, rows_out=None)
        for details in (False, True):
            assert run_document(queued, details=details).keys() == run_document(make_run(), details=details).keys()
        assert runs_document([queued, make_run()])["runs"][0] == run_document(queued)


class TestJobDocument:
    def entry(self, job, **changes):
        values = {"path": "jobs.d/daily.yaml", "sync": SyncState.IN_FORCE, "digest": "new", "job_name": "daily"}
        return CatalogEntry(job=job, **{**values, **changes})

    def test_in_force(self, make_job, make_run):
        job = make_job(tags=("sales",), owner="owner@example.com", timezone="Europe/Berlin")
        document = job_document(self.entry(job), next_fire=NINE, last_run=make_run())
        assert (document["job_name"], document["sync"], document["suspended"]) == ("daily", "in_force", False)
        assert (document["schedule_time"], document["timezone"]) == ("0 6 * * *", "Europe/Berlin")
        assert document["next_fire"] == "2025-11-09T09:00:00Z"
        assert document["last_run"]["state"] == "succeeded"
        assert (document["digest"], document["file_digest"]) == ("digest of daily", "new")
        assert (document["tags"], document["owner"]) == (["sales"], "owner@example.com")

    def test_invalid_without_a_job_has_the_same_keys(self, make_job):
        finding = Diagnostic(path="jobs.d/daily.yaml", rule="yaml-syntax", message="m")
        entry = self.entry(None, sync=SyncState.INVALID, diagnostics=(finding,), job_name=None)
        document = job_document(entry, next_fire=None, last_run=None)
        assert document.keys() == job_document(self.entry(make_job()), next_fire=None, last_run=None).keys()
        assert (document["job_name"], document["schedule_time"], document["last_run"]) == (None, None, None)
        assert document["sync"] == "invalid"
        assert document["diagnostics"][0]["rule"] == "yaml-syntax"

    def test_details_show_references_as_written(self, make_job):
        job = make_job()
        document = job_document(self.entry(job), next_fire=None, last_run=None, details=True)
        assert document["data_source"]["location"] == "data/sales.csv"
        assert document["step"]["kind"] == "pass_through"

    def test_credentials_in_a_location_are_masked_and_references_are_not(self, make_job):
        source = make_job().data_source
        job = make_job(
            data_source=replace(source, location="postgresql://reader:hunter2@db.example.com/shop"),
            more_sources=(replace(source, name="stock", location="${env:DB_URL}"),),
        )
        document = job_document(self.entry(job), next_fire=None, last_run=None, details=True)
        assert [(one["name"], one["location"]) for one in document["data_sources"]] == [
            ("data", "postgresql://***@db.example.com/shop"),
            ("stock", "${env:DB_URL}"),
        ]
        assert "hunter2" not in json.dumps(document)

    def test_what_an_incremental_job_keeps(self, make_job):
        job = make_job(
            incremental=Incremental(cursor="updated_at", initial_value=0),
            checks=(Check(kind=CheckKind.UNIQUE, columns=("id",)),),
            chart=Chart(kind=ChartKind.LINE, x="day", y=("revenue",)),
        )
        document = job_document(self.entry(job), next_fire=None, last_run=None, details=True, cursor=17)
        assert document["incremental"] == {"cursor": "updated_at", "initial_value": 0, "value": 17}
        assert document["checks"] == [{"check": "id is unique", "blocking": True}]
        assert document["chart"] == {"kind": "line", "x": "day", "y": ["revenue"], "title": None}

    def test_is_plain_data(self, make_job, make_run):
        document = job_document(self.entry(make_job()), next_fire=NINE, last_run=make_run(), details=True)
        assert json.loads(json.dumps(document)) == document


def test_shown_values_are_masked(make_job):
    values = [
        EffectiveValue(path=("data_source", "auth"), value={"type": "bearer", "token": "abc"}, origin=Origin.FILE),
        EffectiveValue(
            path=("data_sources",),
            value={"shop": {"location": "mysql://u:pw@h/x", "headers": {"X-Api-Key": "abc"}, "retries": 3}},
            origin=Origin.FILE,
        ),
        EffectiveValue(path=("data_source", "location"), value="${env:DB_URL}", origin=Origin.FILE),
    ]
    document = effective_document(make_job(), values, cursor="2025-11-09")
    assert document["cursor"] == "2025-11-09"
    assert [one["value"] for one in document["values"]] == [
        {"type": "bearer", "token": "***"},
        {"shop": {"location": "mysql://***@h/x", "headers": {"X-Api-Key": "***"}, "retries": 3}},
        "${env:DB_URL}",
    ]


def test_fires_document():
    assert fires_document("daily", "Europe/Berlin", [NINE]) == {
        "job_name": "daily",
        "timezone": "Europe/Berlin",
        "fires": ["2025-11-09T09:00:00Z"],
    }
