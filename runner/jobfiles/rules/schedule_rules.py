"""Rules on when a job fires, and when a failed run is tried again."""

from runner.core.diagnostic import Severity
from runner.jobfiles.rules.rule import Rule, job

SCHEDULE_RULES = (
    Rule(
        name="cron-clock-change",
        severity=Severity.WARNING,
        summary="A change of the clock skips or repeats a fire within the next 12 months.",
        reason=(
            "When summer time begins an hour is missing, and when it ends an hour comes twice. A job due in"
            " that hour runs at another time or at an unexpected one. Choose an hour that every day has once,"
            " or UTC."
        ),
        bad=job("timezone: Europe/Berlin\n", schedule='schedule_time: "30 2 * * *"\n'),
        good=job("timezone: Europe/Berlin\n", schedule='schedule_time: "30 4 * * *"\n'),
    ),
    Rule(
        name="cron-day-or-weekday",
        severity=Severity.WARNING,
        summary="Day of month and day of week are both set: the job fires on either.",
        reason=(
            "Cron joins these two fields by OR, all others by AND. `0 9 1 * 1` is not the first if it is a"
            " Monday: it is every Monday, and every first. Where both must hold, set one and test the other in"
            " the script."
        ),
        bad=job(schedule='schedule_time: "0 9 1 * 1"\n'),
        good=job(schedule='schedule_time: "0 9 * * 1"\n'),
    ),
    Rule(
        name="cron-never-fires",
        summary="The schedule never comes due.",
        reason=(
            "There is no 31st of February. Such a job would be in force and never run, and nobody would be"
            " told. A job that is to wait says suspend: true."
        ),
        bad=job(schedule='schedule_time: "0 9 31 2 *"\n'),
        good=job(schedule='schedule_time: "0 9 28 2 *"\n'),
    ),
    Rule(
        name="cron-syntax",
        summary="The schedule is not a cron expression of five fields.",
        reason=(
            "Cron has many dialects, and the same text fires at different times in them. Only what all of"
            " them read in one way is taken: minute, hour, day of month, month, day of week."
        ),
        bad=job(schedule='schedule_time: "0 0 9 * * 1-5"\n'),
        good=job(schedule='schedule_time: "0 9 * * 1-5"\n'),
    ),
    Rule(
        name="cron-too-often",
        severity=Severity.WARNING,
        summary="The job fires more often within an hour than a report should.",
        reason=(
            "Each run fetches data and mails people. More than 12 runs an hour is most often a slip, such as"
            " * for the minute instead of 0. It is an error above the max_runs_per_hour of _policy.yaml."
        ),
        bad=job(schedule='schedule_time: "* 9 * * 1-5"\n'),
        good=job(schedule='schedule_time: "0 9 * * 1-5"\n'),
    ),
    Rule(
        name="retry-waits",
        severity=Severity.WARNING,
        summary="The longest wait between attempts is shorter than the first one.",
        reason=(
            "The wait before an attempt begins at backoff_seconds (60 unless set) and doubles up to"
            " max_delay_seconds (3600 unless set). With the bound below the start every wait is cut to it, and"
            " backoff_seconds means nothing."
        ),
        bad=job("retry:\n  limit: 3\n  backoff_seconds: 120\n  max_delay_seconds: 60\n"),
        good=job("retry:\n  limit: 3\n  backoff_seconds: 60\n  max_delay_seconds: 120\n"),
    ),
    Rule(
        name="retry-without-limit",
        severity=Severity.WARNING,
        summary="A job says how it is tried again, but not how often.",
        reason=(
            "Without a limit, here or in a _defaults.yaml, a run has one attempt, and the waits that are set mean"
            " nothing. Write limit: 0 where that is meant."
        ),
        bad=job("retry:\n  backoff_seconds: 30\n"),
        good=job("retry:\n  limit: 3\n  backoff_seconds: 30\n"),
    ),
    Rule(
        name="unknown-timezone",
        summary="The time zone is not a name of the IANA list.",
        reason=(
            "The zone says what the hour of the schedule means, and when summer time begins. A city alone or"
            " an abbreviation such as IST stands for several zones; a misspelt name would fall back to another"
            " hour."
        ),
        bad=job("timezone: Berlin\n"),
        good=job("timezone: Europe/Berlin\n"),
    ),
)
