from dataclasses import replace

import pytest

from runner.core.diagnostic import Severity
from runner.core.job_policy import JobPolicy
from runner.jobfiles.check import inspect_file
from runner.jobfiles.layers import Layers
from runner.jobfiles.read import read_job_file

WARNING, ERROR = Severity.WARNING, Severity.ERROR


@pytest.fixture
def found(check, minimal):
    """`found(expression, extra)` → (rule, severity, what is pointed at, message) of each finding."""

    def call(expression, extra=""):
        text = minimal.replace("0 9 * * 1-5", expression) + extra
        lines = text.split("\n")
        return [
            (one.rule, one.severity, lines[one.line - 1][one.column - 1 : one.end_column - 1], one.message)
            for one in check(text=text).diagnostics
        ]

    return call


def test_day_and_weekday_are_a_warning_with_the_next_days(found):
    (finding,) = found("0 9 1 * 1")
    assert finding[:3] == ("cron-day-or-weekday", WARNING, "1 * 1")
    assert finding[3].endswith("next on Mon 2026-11-30, Tue 2026-12-01, Mon 2026-12-07")


@pytest.mark.parametrize(
    "expression", ["0 9 */2 * 1", "0 9 1 * *", "0 9 * * 1", "@monthly", "*/5 * * * *", "0,30 * * * *"]
)
def test_a_usual_schedule_is_not_warned_of(found, expression):
    assert found(expression) == []


def test_a_clock_change_is_told_with_its_date_and_zone(found):
    (finding,) = found("30 2 * * *", "timezone: Europe/Berlin\n")
    assert finding == (
        "cron-clock-change",
        WARNING,
        '"30 2 * * *"',
        "02:30 does not exist on 2027-03-28 in Europe/Berlin: the job fires at 03:00 instead",
    )
    assert [one[3] for one in found("*/30 2 * * *", "timezone: Europe/Berlin\n")] == [
        "02:00 to 02:30 come twice on 2027-10-31 in Europe/Berlin: the job fires twice",
        "02:00 to 02:30 do not exist on 2027-03-28 in Europe/Berlin: 2 fires are skipped",
    ]
    assert found("30 2 * * *") == []


def test_a_faulty_zone_or_schedule_is_told_alone(found):
    assert [one[0] for one in found("30 2 * * *", "timezone: Moon\n")] == ["unknown-timezone"]
    assert [one[0] for one in found("61 2 * * *", "timezone: Europe/Berlin\n")] == ["cron-syntax"]


def test_too_many_runs_an_hour_are_a_warning(found):
    (finding,) = found("* 9 * * 1-5")
    assert finding == ("cron-too-often", WARNING, "*", "the job fires 60 times within an hour")
    assert [one[:3] for one in found("0-12 * * * *")] == [("cron-too-often", WARNING, "0-12")]


@pytest.mark.parametrize(
    ("expression", "bound", "found"),
    [("*/10 * * * *", 6, []), ("*/10 * * * *", 5, [ERROR]), ("* * * * *", 60, []), ("0,30 9 * * *", 1, [ERROR])],
)
def test_a_policy_bounds_the_runs_of_an_hour(context, write, minimal, expression, bound, found):
    job = read_job_file(
        write("jobs.d/sales.yaml", minimal.replace("0 9 * * 1-5", expression)), "jobs.d/sales.yaml"
    )
    bounded = replace(context, layers=Layers(policy=JobPolicy(max_runs_per_hour=bound)))
    diagnostics = inspect_file(job, bounded).verdict.diagnostics
    assert [one.severity for one in diagnostics] == found
    assert all(one.rule == "cron-too-often" and f"allows {bound}" in one.message for one in diagnostics)


def test_a_policy_adds_imports(context, write, minimal):
    text = minimal + "processing_script: |\n  import polars\n  result = data\n"
    job = read_job_file(write("jobs.d/sales.yaml", text), "jobs.d/sales.yaml")
    assert [one.rule for one in inspect_file(job, context).verdict.diagnostics] == ["import-not-allowed"]
    allowing = replace(context, layers=Layers(policy=JobPolicy(allowed_imports=("polars",))))
    assert inspect_file(job, allowing).verdict.diagnostics == ()
