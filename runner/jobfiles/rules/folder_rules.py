"""Rules on files beside each other: names, defaults and policy."""

from runner.core.diagnostic import Severity
from runner.jobfiles.rules.rule import Rule, files, job

_WEEKLY = job(name="job_name: weekly_sales\n", schedule='schedule_time: "0 9 * * 1"\n')

FOLDER_RULES = (
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
