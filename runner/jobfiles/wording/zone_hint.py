"""What to write for a text that names no time zone."""

import difflib
import re
from zoneinfo import available_timezones

_EXAMPLE = "Use an IANA name such as Europe/Berlin, or UTC."
_LONGEST = 64
_OFFSET = re.compile(r"(?:UTC|GMT|Z)? *(?P<sign>[+-]) *(?P<hours>\d{1,2})(?::?(?P<minutes>\d\d))?", re.IGNORECASE)
_ABBREVIATION = re.compile(r"[A-Z]{2,5}")
# Short names, which mean other zones in other countries, by a place that uses them.
_PLACES = {
    "CEST": "Europe/Berlin",
    "MESZ": "Europe/Berlin",
    "MEZ": "Europe/Berlin",
    "BST": "Europe/London",
    "IST": "Asia/Kolkata",
    "WEST": "Europe/Lisbon",
    "EEST": "Europe/Athens",
    "MSK": "Europe/Moscow",
    "EDT": "America/New_York",
    "ET": "America/New_York",
    "CDT": "America/Chicago",
    "CST": "America/Chicago",
    "CT": "America/Chicago",
    "MDT": "America/Denver",
    "PST": "America/Los_Angeles",
    "PDT": "America/Los_Angeles",
    "PT": "America/Los_Angeles",
    "BRT": "America/Sao_Paulo",
    "JST": "Asia/Tokyo",
    "KST": "Asia/Seoul",
    "SGT": "Asia/Singapore",
    "HKT": "Asia/Hong_Kong",
    "AEST": "Australia/Sydney",
    "AEDT": "Australia/Sydney",
    "NZST": "Pacific/Auckland",
    "NZDT": "Pacific/Auckland",
}


def zone_hint(given: str) -> str:
    """The hint for a text that names no zone of the IANA list."""
    text = given.strip()
    if len(text) > _LONGEST:
        return _EXAMPLE
    if "${" in text:
        return "A reference cannot stand here: write the zone, or set TIMEZONE in the environment of the service."
    offset = _OFFSET.fullmatch(text)
    if offset is not None:
        return _for_offset(offset["sign"], int(offset["hours"]), int(offset["minutes"] or 0))
    if text == "Z":
        return "Write UTC."
    return _by_name(text)


def _for_offset(sign: str, hours: int, minutes: int) -> str:
    """An offset is the same in summer and winter: most mean a place."""
    place = "This is an offset: name a place such as Europe/Berlin, which knows of summer time"
    if hours == minutes == 0:
        return "Write UTC."
    if minutes or hours > (14 if sign == "+" else 12):
        return f"{place}."
    # POSIX counts from west to east: https://data.iana.org/time-zones/tzdb/etcetera
    turned = "-" if sign == "+" else "+"
    side = "ahead of" if sign == "+" else "behind"
    return f"{place}, or write Etc/GMT{turned}{hours}, which is {hours} h {side} UTC."


def _by_name(text: str) -> str:
    known = {name.lower(): name for name in available_timezones()}
    wanted = text.lower().replace(" ", "_")
    if wanted in known:
        return f"Did you mean {known[wanted]}?"
    cities = {name.rpartition("/")[2]: name for name in sorted(known)}
    if wanted in cities:
        return f"Did you mean {known[cities[wanted]]}?"
    if _ABBREVIATION.fullmatch(text):
        return f"This is an abbreviation: name a place, such as {_PLACES.get(text, 'Europe/Berlin')}."
    if wanted.endswith("standard_time"):
        return f"This is a name that Windows uses. {_EXAMPLE}"
    matches = difflib.get_close_matches(wanted, sorted(known), n=1, cutoff=0.75)
    matches = matches or [cities[city] for city in difflib.get_close_matches(wanted, cities, n=1, cutoff=0.8)]
    return f"Did you mean {known[matches[0]]}?" if matches else _EXAMPLE
