from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from runner.jobfiles.wording.zone_hint import _PLACES, zone_hint

OFFSET = "This is an offset: name a place such as Europe/Berlin, which knows of summer time"
EXAMPLE = "Use an IANA name such as Europe/Berlin, or UTC."


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("europe/berlin", "Did you mean Europe/Berlin?"),
        ("Europe/Berlin ", "Did you mean Europe/Berlin?"),
        ("America/New York", "Did you mean America/New_York?"),
        ("Berlin", "Did you mean Europe/Berlin?"),
        ("Berln", "Did you mean Europe/Berlin?"),
        ("Europe/Z\u00fcrich", "Did you mean Europe/Zurich?"),
        ("UTC+1", f"{OFFSET}, or write Etc/GMT-1, which is 1 h ahead of UTC."),
        ("+01:00", f"{OFFSET}, or write Etc/GMT-1, which is 1 h ahead of UTC."),
        ("gmt - 05", f"{OFFSET}, or write Etc/GMT+5, which is 5 h behind UTC."),
        ("+0530", f"{OFFSET}."),
        ("UTC+15", f"{OFFSET}."),
        ("-13", f"{OFFSET}."),
        ("UTC+0", "Write UTC."),
        ("Z", "Write UTC."),
        ("CEST", "This is an abbreviation: name a place, such as Europe/Berlin."),
        ("PST", "This is an abbreviation: name a place, such as America/Los_Angeles."),
        ("XYZ", "This is an abbreviation: name a place, such as Europe/Berlin."),
        ("W. Europe Standard Time", f"This is a name that Windows uses. {EXAMPLE}"),
        (
            "${env:TZ}",
            "A reference cannot stand here: write the zone, or set TIMEZONE in the environment of the service.",
        ),
        ("Mars/Olympus", EXAMPLE),
        ("", EXAMPLE),
        ("E" * 100_000, EXAMPLE),
    ],
)
def test_what_to_write(given, hint):
    assert zone_hint(given) == hint


@pytest.mark.parametrize(("given", "hours"), [("UTC+14", 14), ("UTC+1", 1), ("UTC-12", -12)])
def test_the_sign_of_a_fixed_zone_is_right(given, hours):
    name = zone_hint(given).partition("write ")[2].partition(",")[0]
    assert datetime(2026, 1, 1, tzinfo=UTC).astimezone(ZoneInfo(name)).utcoffset() == timedelta(hours=hours)


def test_every_place_is_a_zone():
    assert {ZoneInfo(name).key for name in _PLACES.values()} == set(_PLACES.values())
