"""The clock: plausible, kept by a time service, and not jumping while it is looked at."""

import ctypes
import os
import time
from datetime import UTC, datetime
from pathlib import Path

from runner.core.health import Finding
from runner.service.clock import utc_now
from runner.service.doctor.findings import problem, warning

CLOCK = "clock"
_JUMP_SECONDS = 0.5
_LAST_YEAR = 2100
_SYNCHRONIZED = Path("/run/systemd/timesync/synchronized")
# linux/timex.h: what adjtimex answers, and in which word of its structure the status stands.
_TIME_ERROR = 5
_STA_UNSYNC = 0x40
_TIMEX_BYTES = 1024
_KEEP_HINT = "Schedules follow this clock: run systemd-timesyncd, chrony or ntpd on the machine."


def check_clock(wall: datetime, steady: float) -> Finding:
    """Args are the wall clock and the monotonic one as they were some time ago."""
    now, passed = utc_now(), time.monotonic() - steady
    jump = (now - wall).total_seconds() - passed
    if abs(jump) > _JUMP_SECONDS:
        return warning(CLOCK, f"it moved by {jump:+.1f} s while it was looked at", _KEEP_HINT)
    made = _made_at()
    if now < made or now.year >= _LAST_YEAR:
        return problem(
            CLOCK, f"it says {now:%Y-%m-%d %H:%M} UTC, which cannot be", "Set the clock of the machine."
        )
    words = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    kept = is_synchronized()
    if kept is None:
        return Finding(subject=CLOCK, message=f"{words}; whether a time service keeps it cannot be told")
    if not kept:
        return warning(CLOCK, f"{words}; no time service keeps it", _KEEP_HINT)
    return Finding(subject=CLOCK, message=f"{words}, kept by a time service")


def is_synchronized() -> bool | None:
    """What systemd or the kernel says; None where neither does. Nothing is set."""
    if _SYNCHRONIZED.exists():
        return True
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    # All zero: modes 0 changes nothing. More room than the structure needs on any machine.
    timex = ctypes.create_string_buffer(_TIMEX_BYTES)
    answer = adjtimex(ctypes.byref(timex))
    if answer < 0:
        return None
    # modes, offset, freq, maxerror, esterror, status: an int, four longs, an int.
    longs = ctypes.sizeof(ctypes.c_long)
    status = ctypes.c_int.from_buffer(timex, 5 * longs).value
    return answer != _TIME_ERROR and not status & _STA_UNSYNC


def _made_at() -> datetime:
    """When this file was installed: no moment before it is now."""
    return datetime.fromtimestamp(os.stat(__file__).st_mtime, UTC)  # noqa: PTH116 - `__file__` is text
