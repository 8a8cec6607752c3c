"""A brute-force oracle of the cron rule: a clock that is watched minute by minute, as Debian's cron watches it.

It knows no croniter and none of `runner.core.cron`. Numeric fields only: no names, no macros.
"""

from datetime import UTC, timedelta

MINUTE = timedelta(minutes=1)
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
LONGEST_SHIFT = timedelta(hours=26)


def watch(zone, after, until):
    """Every real minute in (after, until] and what the clock reads then; some minutes before `after` come first."""
    minute = (after - LONGEST_SHIFT).astimezone(UTC).replace(second=0, microsecond=0)
    ticks = []
    while minute <= until:
        ticks.append((minute, minute.astimezone(zone).replace(tzinfo=None, fold=0)))
        minute += MINUTE
    return ticks


def fires(expression, ticks, after):
    """The fires strictly after `after` among the `ticks` of `watch`."""
    fields = expression.split()
    accepts = make_predicate(fields)
    wildcard = any(field[0] == "*" for field in fields[:2])
    found = []
    newest = ticks[0][1] - MINUTE
    for instant, reading in ticks:
        if wildcard:
            due = accepts(reading)
        else:
            # Everything the clock has passed since it last showed a new time: one minute, or a whole gap, or nothing.
            due = False
            while newest < reading:
                newest += MINUTE
                due = accepts(newest) or due
        if due and instant > after:
            found.append(instant)
    return found


def make_predicate(fields):
    """A function that says whether a naive time matches."""
    allowed = [expand(field, *bounds) for field, bounds in zip(fields, BOUNDS, strict=True)]
    either = not (fields[2].startswith("*") or fields[4].startswith("*"))

    def accepts(reading):
        if reading.minute not in allowed[0] or reading.hour not in allowed[1] or reading.month not in allowed[3]:
            return False
        day = reading.day in allowed[2]
        weekday = not allowed[4].isdisjoint({reading.isoweekday(), reading.isoweekday() % 7})
        return (day or weekday) if either else (day and weekday)

    return accepts


def expand(field, low, high):
    """The set of numbers a field stands for."""
    numbers = set()
    for part in field.split(","):
        body, slash, step = part.partition("/")
        first, dash, last = body.partition("-")
        if first == "*":
            start, stop = low, high
        else:
            start = int(first)
            stop = int(last) if dash else high if slash else start
        numbers |= {number for number in range(start, stop + 1) if (number - start) % int(step or 1) == 0}
    return numbers
