"""Rules on files beside each other: names, jobs that come after others, defaults and policy."""

from runner.core.diagnostic import Severity
from runner.jobfiles.rules.rule import Rule, files, job

_WEEKLY = job(name="job_name: weekly_sales\n", schedule='schedule_time: "0 9 * * 1"\n')
_NINE = 'schedule_time: "0 9 * * *"\n'
_TEN = 'schedule_time: "0 10 * * *"\n'
_AFTER_BOTH = "after:\n  - load_orders\n  - load_stock\n"


def _jobs(**when: str) -> str:
    """An example of several jobs: name → the lines that say when it runs."""
    return files(
        {f"jobs.d/{name}.yaml": job(name=f"job_name: {name}\n", schedule=lines) for name, lines in when.items()}
    )


FOLDER_RULES = (
    Rule(
        name="after-cycle",
        summary="A job comes after itself, directly or by way of others.",
        reason=(
            "Each of these jobs would wait for the runs of the next, and none would ever begin. The message names"
            " the whole way; a finding stands in every file on it, for any of them may be the one to mend."
        ),
        bad=_jobs(load_orders="after: [load_stock]\n", load_stock="after: [load_orders]\n"),
        good=_jobs(load_orders="after: [load_stock]\n", load_stock=_NINE),
    ),
    Rule(
        name="after-never-meets",
        severity=Severity.WARNING,
        summary="The jobs that a job comes after are never due at the same moment.",
        reason=(
            "A job after several others runs once all of them have succeeded for the same scheduled time. Where"
            " their schedules share no moment in the next 12 months, it never runs, and nobody is told."
        ),
        bad=_jobs(load_orders=_NINE, load_stock=_TEN, report=_AFTER_BOTH),
        good=_jobs(load_orders=_NINE, load_stock=_NINE, report=_AFTER_BOTH),
    ),
    Rule(
        name="after-suspended-job",
        severity=Severity.WARNING,
        summary="A job comes after one that is suspended.",
        reason=(
            "A suspended job has no runs, so that the jobs after it have none either. That may be meant; it is"
            " easily forgotten."
        ),
        bad=_jobs(load_orders=f"{_NINE}suspend: true\n", report="after: [load_orders]\n"),
        good=_jobs(load_orders=_NINE, report="after: [load_orders]\n"),
    ),
    Rule(
        name="after-unknown-job",
        summary="A job comes after one that is not there.",
        reason=(
            "Names are those of the job files below the same folder of jobs. A job that waits for one that was"
            " removed, renamed or misspelt would never run; a running service keeps such a job as it was before."
        ),
        bad=_jobs(load_orders=_NINE, report="after: [load_order]\n"),
        good=_jobs(load_orders=_NINE, report="after: [load_orders]\n"),
    ),
    Rule(
        name="duplicate-job-name",
        summary="Two job files have the same job_name.",
        reason=(
            "Run history, missed runs and mails are told apart by the name. Neither file is put in force,"
            " unless one of them already is: that one goes on."
        ),
        bad=files({"jobs.d/daily.yaml": job(), "jobs.d/weekly.yaml": job()}),
        good=files({"jobs.d/daily.yaml": job(), "jobs.d/weekly.yaml": _WEEKLY}),
    ),
    Rule(
        name="job-file-name",
        severity=Severity.WARNING,
        summary="A file would be a job's, but its name ends in capitals.",
        reason=(
            "The names of job files end in .yaml or .yml, in small letters. What stands in Sales.YAML was meant"
            " to run, and does not."
        ),
        bad=files({"jobs.d/daily.YAML": job()}),
        good=files({"jobs.d/daily.yaml": job()}),
    ),
    Rule(
        name="policy-misplaced",
        summary="A _policy.yaml stands below the top of the folder of jobs.",
        reason=(
            "The policy bounds every job, so there is one, at the top of the folder of jobs. One further down"
            " would look as if it held for its folder, and hold for nothing."
        ),
        bad=files({"jobs.d/team/_policy.yaml": "max_timeout_seconds: 900\n", "jobs.d/team/daily.yaml": job()}),
        good=files({"jobs.d/_policy.yaml": "max_timeout_seconds: 900\n", "jobs.d/team/daily.yaml": job()}),
    ),
    Rule(
        name="same-but-for-case",
        summary="Two names differ only in capital letters.",
        reason=(
            "On macOS and Windows Sales.yaml and sales.yaml are one file: a clone there has only one of the"
            " jobs. HTTP does not tell the case of header names apart either, so that only one of two would be"
            " sent."
        ),
        bad=files({"jobs.d/Sales.yaml": job(), "jobs.d/sales.yaml": _WEEKLY}),
        good=files({"jobs.d/daily_sales.yaml": job(), "jobs.d/weekly_sales.yaml": _WEEKLY}),
    ),
    Rule(
        name="settings-file-name",
        severity=Severity.WARNING,
        summary="A file looks like defaults or a policy, but is not read.",
        reason=(
            "Only _defaults.yaml and _policy.yaml are read, by these very names. What stands in _defaults.yml"
            " was meant to count, and does not."
        ),
        bad=files({"jobs.d/_defaults.yml": "timezone: Europe/Berlin\n", "jobs.d/daily.yaml": job()}),
        good=files({"jobs.d/_defaults.yaml": "timezone: Europe/Berlin\n", "jobs.d/daily.yaml": job()}),
    ),
)
