"""What a schedule that is good cron may mean without its author knowing: too often, on either day, at no time."""

import re
from datetime import date, timedelta
from functools import lru_cache

from runner.core.clock_changes import (
    TouchedFires,
    matching_days,
    most_fires_an_hour,
    sets_day_and_weekday,
    touched_fires,
)
from runner.core.cron_grammar import CronSchedule, parse_cron
from runner.core.diagnostic import Severity
from runner.jobfiles.inspection import Inspection
from runner.jobfiles.layers import POLICY_FILE
from runner.jobfiles.lint.schedule import SCHEDULE, TIMEZONE, cron_fault, is_zone

USUAL_MOST_FIRES_AN_HOUR = 12
_WORD = re.compile(r"[^ \t]+")
_MINUTE, _DAY, _WEEKDAY = 0, 2, 4


def check_fires(inspection: Inspection) -> None:
    """Rules `cron-too-often`, `cron-day-or-weekday` and `cron-clock-change`, of a schedule without faults."""
    expression = inspection.text(*SCHEDULE)
    if not expression or cron_fault(expression) is not None:
        return
    schedule = parse_cron(expression)
    _check_rate(inspection, schedule)
    today = inspection.context.now.date()
    if sets_day_and_weekday(schedule):
        _report_either_day(inspection, schedule, today)
    timezone = inspection.effective(*TIMEZONE) or inspection.context.defaults.timezone
    if isinstance(timezone, str) and is_zone(timezone):
        for message, hint in _clock_words(expression, timezone, today):
            inspection.report(SCHEDULE, "cron-clock-change", message, hint, severity=Severity.WARNING)


def _check_rate(inspection: Inspection, schedule: CronSchedule) -> None:
    most = most_fires_an_hour(schedule)
    bound = inspection.context.layers.policy.max_runs_per_hour
    if most <= (USUAL_MOST_FIRES_AN_HOUR if bound is None else bound):
        return
    message = f"the job fires {most} times within an hour"
    hint = f"Fetch more in each run, or set max_runs_per_hour in {POLICY_FILE} to at least {most}."
    if bound is not None:
        message += f", and the policy allows {bound}"
        layer = inspection.context.layers.policy_layer
        hint = f"Fetch more in each run, or raise max_runs_per_hour in {layer.path if layer else POLICY_FILE}."
    elif schedule.canonical.startswith("* "):
        hint = f"* is every minute: write 0 for once an hour. {hint}"
    _report_at(
        inspection,
        schedule,
        (_MINUTE, _MINUTE),
        ("cron-too-often", message, hint),
        Severity.WARNING if bound is None else Severity.ERROR,
    )


def _report_either_day(inspection: Inspection, schedule: CronSchedule, today: date) -> None:
    days = matching_days(schedule, today + timedelta(days=1), 3)
    shown = ", ".join(f"{day:%a} {day.isoformat()}" for day in days)
    message = f"the job fires when the day of the month or the weekday matches: next on {shown}"
    hint = (
        "Set one of the two to *. Cron cannot ask for both: test the other in the script,"
        " such as run.scheduled_date.weekday()."
    )
    _report_at(inspection, schedule, (_DAY, _WEEKDAY), ("cron-day-or-weekday", message, hint), Severity.WARNING)


def _report_at(
    inspection: Inspection,
    schedule: CronSchedule,
    fields: tuple[int, int],
    finding: tuple[str, str, str],
    severity: Severity,
) -> None:
    """A finding (rule, message, hint) at the first to the last of some fields of the expression."""
    words = list(_WORD.finditer(schedule.expression))
    span = None
    if len(words) > fields[1]:
        span = inspection.document.inside(SCHEDULE, words[fields[0]].start(), words[fields[1]].end())
    inspection.report(SCHEDULE, *finding, span=span, severity=severity)


@lru_cache(maxsize=16384)
def _clock_words(expression: str, timezone: str, day: date) -> tuple[tuple[str, str], ...]:
    """Message and hint for each change of the clock that touches a fire."""
    schedule = parse_cron(expression)
    return tuple(
        (_message(touched, schedule, timezone), _hint(touched))
        for touched in touched_fires(schedule, timezone, day)
    )


def _message(touched: TouchedFires, schedule: CronSchedule, timezone: str) -> str:
    change, times = touched.change, touched.times
    when = f"on {times[0].date().isoformat()} in {timezone}"
    several = len(times) > 1
    shown = f"{times[0]:%H:%M}" + (f" to {times[-1]:%H:%M}" if several else "")
    if not change.is_gap:
        return f"{shown} {'come' if several else 'comes'} twice {when}: the job fires twice"
    missing = f"{shown} {'do' if several else 'does'} not exist {when}"
    if schedule.fixed_time:
        return f"{missing}: the job fires at {change.reached:%H:%M} instead"
    return f"{missing}: {f'{len(times)} fires are' if several else 'that fire is'} skipped"


def _hint(touched: TouchedFires) -> str:
    low, high = sorted((touched.change.left, touched.change.reached))
    return f"Choose a time outside {low:%H:%M} to {high:%H:%M}, or write timezone: UTC, where every day is alike."
