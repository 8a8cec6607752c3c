"""How a failed run is tried again: waits that contradict each other, and waits before no attempt."""

from runner.core.diagnostic import Severity
from runner.core.job import Retry
from runner.jobfiles.inspection import Inspection

RETRY = "retry"
LIMIT = (RETRY, "limit")
BACKOFF = (RETRY, "backoff_seconds")
LONGEST = (RETRY, "max_delay_seconds")


def check_retry(inspection: Inspection) -> None:
    """Rules `retry-without-limit` and `retry-waits`."""
    refused = any(path[0] == RETRY for path in inspection.refused if path)
    if inspection.effective(RETRY) is None or refused:
        return
    own = inspection.document.value((RETRY,))
    if isinstance(own, dict) and own and inspection.effective(*LIMIT) is None:
        message = "this job is never tried again: retry has no limit, and is 0 then"
        hint = "Add limit: with the number of further attempts, such as limit: 3."
        inspection.report((RETRY,), "retry-without-limit", message, hint, severity=Severity.WARNING)
    usual = Retry()
    backoff, longest = inspection.effective(*BACKOFF), inspection.effective(*LONGEST)
    first = usual.backoff_seconds if backoff is None else backoff
    most = usual.max_delay_seconds if longest is None else longest
    if not (_is_number(first) and _is_number(most)) or most >= first:
        return
    message = f"max_delay_seconds is {most:g}, less than backoff_seconds, which is {first:g}: the waits never grow"
    given = [place for place in (LONGEST, BACKOFF) if inspection.document.value(place) is not None]
    place = given[0] if given else BACKOFF if longest is None else LONGEST
    hint = f"Set max_delay_seconds to at least {first:g}, or lower backoff_seconds."
    inspection.report(place, "retry-waits", message, hint, severity=Severity.WARNING)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
