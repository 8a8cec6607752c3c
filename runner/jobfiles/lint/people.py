"""Who gets mail: strict addresses, each once."""

import re
from functools import lru_cache

from runner.jobfiles.document import Path
from runner.jobfiles.inspection import Inspection

CONSUMERS = "consumer_emails"
# As in the schema.
MOST_LISTED = 100
_BETWEEN = re.compile(r"[\s,;<>\"()]+|\bmailto:", re.IGNORECASE)
_LONGEST_ADDRESSES = 2048
_MOST_SHOWN = 5
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
    # The schema takes no more of them, and has told so.
    for index in range(min(len(listed), MOST_LISTED)):
        path = (CONSUMERS, index)
        given = inspection.text(*path)
        if not given:
            continue
        _check_address(inspection, path, given)
        first = seen.setdefault(mailbox(given), index)
        if first != index:
            line = inspection.document.span((CONSUMERS, first)).line
            inspection.report(
                path,
                "duplicate-address",
                f"{given} is listed on line {line} already",
                "Remove one: each address gets one mail.",
            )


def check_owner(inspection: Inspection) -> None:
    """Rule `bad-address`, of the owner."""
    address = inspection.text("owner")
    if address:
        _check_address(inspection, ("owner",), address)


def _check_address(inspection: Inspection, path: Path, address: str) -> None:
    fault = address_fault(address)
    if fault is None:
        return
    hint = _hint_for(address)
    if "${" in address:
        fault, hint = "a reference cannot stand for an address", "Write the address out: it is reviewed in git."
    inspection.report(path, "bad-address", f"{address!r}: {fault}", hint)


def _hint_for(text: str) -> str:
    """How to write what holds whole addresses: several in one item, or one with a name beside it."""
    words = dict.fromkeys(_BETWEEN.split(text[:_LONGEST_ADDRESSES]))
    found = [word for word in words if "@" in word and address_fault(word) is None]
    if len(found) > 1:
        return (
            f"Write one address an item: [{', '.join(found[:_MOST_SHOWN])}{', …' * (len(found) > _MOST_SHOWN)}]."
        )
    return f"Write {found[0]} alone." if found else "Write one address, such as analyst@example.com."


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


def mailbox(address: str) -> str:
    """What is the same for two ways to write one address: capitals, and a domain in letters or as `xn--`."""
    if address.isascii() and "xn--" not in address:
        return address.lower()
    if address_fault(address) is not None:
        return address.lower()
    from email_validator import validate_email

    found = validate_email(address, check_deliverability=False)
    return f"{found.local_part}@{found.ascii_domain}".lower()
