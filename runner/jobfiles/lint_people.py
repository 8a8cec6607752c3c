"""Who gets mail: strict addresses, each once."""

import re
from functools import lru_cache

from runner.jobfiles.inspection import Inspection
from runner.jobfiles.parse import Path

CONSUMERS = "consumer_emails"
# A part of what email-validator takes (the tests hold that), so that the common address spares its import.
_LABEL = r"[a-z0-9](?:[a-z0-9]|-(?!-)){0,61}(?<!-)"
_OBVIOUS = re.compile(
    r"(?=.{3,254}\Z)[a-z0-9]+(?:[._+-][a-z0-9]+)*(?<![^@]{65})@(?:LABEL\.)+(?:com|org|net|edu|gov|de|eu|fr|uk|io)".replace(
        "LABEL", _LABEL
    )
)


def check_people(inspection: Inspection) -> None:
    """Rules `bad-address` and `duplicate-address`, of the recipients."""
    listed = inspection.document.value((CONSUMERS,))
    if not isinstance(listed, list):
        return
    seen: dict[str, int] = {}
    for index, given in enumerate(listed):
        path = (CONSUMERS, index)
        _check_address(inspection, path)
        if not isinstance(given, str):
            continue
        same = given.lower()
        if same in seen:
            first = inspection.document.span((CONSUMERS, seen[same]))
            inspection.report(
                path,
                "duplicate-address",
                f"{given} is listed on line {first.line} already",
                "Remove one: each address gets one mail.",
            )
        seen.setdefault(same, index)


def check_owner(inspection: Inspection) -> None:
    """Rule `bad-address`, of the owner."""
    _check_address(inspection, ("owner",))


def _check_address(inspection: Inspection, path: Path) -> None:
    address = inspection.text(*path)
    if not address:
        return
    fault = address_fault(address)
    if fault is None:
        return
    hint = "Write one address, such as analyst@example.com."
    if "${" in address:
        fault, hint = "a reference cannot stand for an address", "Write the address out: it is reviewed in git."
    inspection.report(path, "bad-address", f"{address!r}: {fault}", hint)


@lru_cache(maxsize=16384)
def address_fault(address: str) -> str | None:
    """What is wrong with an address; None when it is good. Nothing is looked up."""
    if _OBVIOUS.fullmatch(address):
        return None
    from email_validator import EmailNotValidError, validate_email

    try:
        validate_email(address, check_deliverability=False)
    except EmailNotValidError as error:
        return str(error)
    return None
