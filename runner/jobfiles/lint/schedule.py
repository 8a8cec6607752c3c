"""When the job fires: the cron expression and the time zone."""

from functools import lru_cache
from zoneinfo import ZoneInfo

from runner.core.cron_grammar import CronSyntaxError, parse_cron
from runner.jobfiles.inspection import Inspection

SCHEDULE = ("schedule_time",)
TIMEZONE = ("timezone",)
# In the system's folder of zones, but no zones of the IANA list.
_NO_ZONES = ("posix/", "right/", "posixrules", "localtime", "Factory")


def check_schedule(inspection: Inspection) -> None:
    """Rules `cron-syntax` and `cron-never-fires`."""
    expression = inspection.text(*SCHEDULE)
    if expression:
        fault = cron_fault(expression)
        if fault is not None:
            rule, message, hint, start, end = fault
            span = inspection.document.inside(SCHEDULE, start, end)
            inspection.report(SCHEDULE, rule, message, hint, span=span)


def check_timezone(inspection: Inspection) -> None:
    """Rule `unknown-timezone`."""
    timezone = inspection.text(*TIMEZONE)
    if timezone and not is_zone(timezone):
        from runner.jobfiles.wording.zone_hint import zone_hint  # of use where something is wrong alone

        inspection.report(TIMEZONE, "unknown-timezone", f"{timezone!r} is no time zone", zone_hint(timezone))


@lru_cache(maxsize=16384)
def cron_fault(expression: str) -> tuple[str, str, str, int, int] | None:
    """Rule, message, hint and offsets of what is wrong; None when the expression is good and fires."""
    try:
        schedule = parse_cron(expression)
    except CronSyntaxError as error:
        return "cron-syntax", error.message, error.hint, error.start, error.end
    # Every day of the month is allowed: some day matches. Spares the import of croniter.
    if schedule.days.startswith("* "):
        return None
    from runner.core.cron import never_fires

    if never_fires(schedule):
        hint = "Choose a day that its months have; to hold the job back write suspend: true."
        return "cron-never-fires", f"{expression!r} never fires", hint, 0, len(expression)
    return None


@lru_cache(maxsize=1024)
def is_zone(name: str) -> bool:
    """True for a name of the IANA list, letter for letter."""
    if name.startswith(_NO_ZONES):
        return False
    try:
        return ZoneInfo(name).key == name
    except (OSError, ValueError, KeyError):  # unknown; a path; a folder or another file among the zones
        return False
