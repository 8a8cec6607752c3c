"""What is shown holds texts of others: they are shown as they are, and steer nothing."""

import io
import logging
import re
import sys
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from runner.cli.environment import print_json
from runner.cli.render import fire_table, report_panel, run_table
from runner.cli.run import _ShowProgress
from runner.core.check import CheckResult
from runner.core.delivery import Delivery, DeliveryState, MailKind
from runner.core.job import Job
from runner.core.preview import Preview
from runner.core.report import Report
from runner.core.run import FailureKind, Run, RunFailure, RunState, Trigger
from runner.core.source import DataSource, FileType, SourceType
from runner.service.coming import ComingFires

NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)
CURSED = "[/oops] \x1b[2J\x9b31m :smile: \u202e"


def shown(renderable):
    stream = io.StringIO()
    Console(file=stream, force_terminal=True, color_system=None, width=160, highlight=False).print(renderable)
    return stream.getvalue()


def make_report(**changes):
    delivery = Delivery(
        delivery_id=1,
        run_id="r1",
        job_name="sales",
        kind=MailKind.FAILURE,
        recipient="a@example.com",
        message_id="<m>",
        state=DeliveryState.DEAD,
        created_at=NINE,
        error=CURSED,
    )
    run = Run(
        **{
            "run_id": "r1",
            "job_name": "sales",
            "state": RunState.FAILED,
            "trigger": Trigger.MANUAL,
            "scheduled_time": NINE,
            "queued_at": NINE,
            "output": f"one\n\ttwo {CURSED}",
            "deliveries": (delivery,),
            "failure": RunFailure(
                kind=FailureKind.SCRIPT, message=CURSED, traceback=f"line\n{CURSED}", hint=CURSED
            ),
            **changes,
        }
    )
    job = Job(
        job_name="sales",
        path="jobs.d/[bold]sales.yaml",
        description=f"Sales [/EU] {CURSED}",
        schedule_time="@daily",
        data_source=DataSource(source_type=SourceType.FILE, location="a.csv", format=FileType.CSV),
        timezone="UTC",
        consumer_emails=("a@example.com",),
    )
    preview = Preview(columns=(f"c {CURSED}",), numeric=(False,), rows=((CURSED,),), total_rows=1, total_columns=1)
    return Report(run=run, job=job, preview=preview)


@pytest.mark.parametrize("failure", [True, False])
def test_a_report_shows_markup_and_escapes_as_text(failure):
    text = shown(report_panel(make_report() if failure else make_report(state=RunState.SUCCEEDED, failure=None)))
    assert "Sales [/EU] [/oops] \\x1b[2J\\x9b31m :smile: \\u202e" in text
    assert "jobs.d/[bold]sales.yaml" in text
    assert text.count("[/oops]") == 5
    assert not {"\x1b", "\x9b", "\u202e"} & set(text)


PLACE = 'File "jobs.d/sales.yaml", line 8\n    sum(amont)\n        ^^^^^'


@pytest.mark.parametrize(
    ("message", "traceback", "lines"),
    [
        ("Binder Error: no column amont", PLACE, ["Binder Error: no column amont", "", *PLACE.split("\n")]),
        ("no rows", "", ["no rows"]),
        ("KeyError: 'a' (jobs.d/sales.yaml, line 8)", f"{PLACE}\nKeyError: 'a'", [*PLACE.split("\n"), "KeyError: 'a'"]),
        ("the step needs more memory", f"{PLACE}\nMemoryError", ["the step needs more memory", "", *PLACE.split("\n"), "MemoryError"]),
    ],
)  # fmt: skip
def test_a_failure_shows_its_error_once(message, traceback, lines):
    failure = RunFailure(kind=FailureKind.QUERY, message=message, traceback=traceback)
    panel = shown(report_panel(make_report(failure=failure))).split("╭─ query ")[1].splitlines()
    assert [line.strip("│").strip() for line in panel[1:-1]] == [line.strip() for line in lines]


def test_the_counts_below_a_narrow_table_are_one_line():
    preview = Preview(columns=("n",), numeric=(True,), rows=(("1",),), total_rows=60_000, total_columns=1)
    report = replace(make_report(state=RunState.SUCCEEDED, failure=None), preview=preview)
    assert shown(report_panel(report)).splitlines()[-1].strip() == "1 of 60,000 rows, 1 of 1 columns"
    whole = replace(report, preview=replace(preview, total_rows=1))
    assert "1 of 1" not in shown(report_panel(whole))


def test_lines_of_output_stay_lines():
    lines = [line.strip(" │") for line in shown(report_panel(make_report())).splitlines()]
    assert "one" in lines
    assert any(line.startswith("two [/oops]") for line in lines)


def test_a_report_names_its_checks_and_where_its_chart_lies():
    checks = (
        CheckResult(words="id is unique", blocking=True, passed=True),
        CheckResult(words=f"amount {CURSED}", blocking=True, passed=False, found=f"found {CURSED}"),
        CheckResult(words="there are 3 rows", blocking=False, passed=False),
    )
    report = replace(make_report(checks=checks, chart_file="chart.png"), kept_at="/data/runs/r1/result.csv")
    text = shown(report_panel(report))
    assert "2 of 3 checks failed" in text
    assert re.search(r"id is unique +passed", text)
    assert re.search(r"amount \[/oops\].* failed +found \[/oops\]", text)
    assert re.search(r"there are 3 rows +failed, not blocking", text)
    assert "/data/runs/r1/chart.png" in text
    assert "\x1b" not in text


def test_the_rows_that_break_a_check_are_shown():
    rows = Preview(
        columns=("id", "name"),
        numeric=(True, False),
        rows=tuple((str(number), f"name{number} {CURSED}") for number in range(15)),
        total_rows=15,
        total_columns=2,
    )
    check = CheckResult(words="id is unique", blocking=True, passed=False, failed_rows=341, rows=rows)
    text = shown(report_panel(make_report(checks=(check,))))
    assert "name9 [/oops]" in text
    assert "name10" not in text
    assert "10 of 341 rows" in text
    assert "\x1b" not in text


def test_the_error_of_a_past_run_is_text():
    text = shown(run_table([make_report().run], "UTC"))
    assert "[/oops] \\x1b[2J" in text
    assert "\x1b" not in text


def test_a_list_of_runs_shows_a_very_long_error_in_part():
    failure = RunFailure(kind=FailureKind.SCRIPT, message=f"ValueError: {'x ' * 1000}(jobs.d/a.yaml, line 8)")
    text = shown(run_table([replace(make_report().run, failure=failure)] * 2, "UTC"))
    assert text.count("line 8)") == 2
    assert len(text.splitlines()) < 30


def test_why_a_job_does_not_fire():
    rows = [
        ComingFires(job_name="at_rest", timezone="UTC", suspended=True, comes_after=(), fires=()),
        ComingFires(job_name="spent", timezone="UTC", suspended=False, comes_after=(), fires=()),
        ComingFires(job_name="daily", timezone="UTC", suspended=False, comes_after=(), fires=(NINE,)),
    ]
    lines = {line.split()[0]: line for line in shown(fire_table(rows)).splitlines() if line.strip()}
    assert "suspended" in lines["at_rest"]
    assert "never again" in lines["spent"]
    assert "suspended" not in lines["spent"]
    assert "2026-01-05 09:00 UTC" in lines["daily"]


def test_progress_shows_any_message_and_survives_a_broken_one(monkeypatch):
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, color_system=None, width=100)
    log = logging.getLogger("tests.progress")
    monkeypatch.setattr(log, "propagate", False)
    with console.status("Running") as status:
        handler = _ShowProgress(status)
        log.addHandler(handler)
        try:
            log.warning("first\nsecond [/oops] \x1b[2J")
            console.print(status.renderable)
            log.warning("%d", "no number")
        finally:
            log.removeHandler(handler)
    assert "first second [/oops] \\x1b[2J" in stream.getvalue()
    # A live display takes standard error in.
    assert "Logging error" in stream.getvalue()


def test_json_holds_nothing_that_a_terminal_obeys(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    monkeypatch.setattr(sys, "stdout", stream)
    print_json({"text": "ü \x1b \x9b \u202e \udc80"})
    stream.seek(0)
    assert stream.read() == '{\n  "text": "ü \\u001b \\u009b \\u202e \\udc80"\n}\n'
