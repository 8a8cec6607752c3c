"""What a server's refusal of a mail is about, as far as its codes tell."""

import re
from enum import Enum, auto

# How the error begins of a delivery that no server has refused, but the policy of the folder of jobs.
FORBIDDEN = "not sent, as the policy allows no mail to"
# `550 5.1.1 no such user`: the reply code (RFC 5321, section 4.2), and an enhanced one (RFC 3463).
_CODES = re.compile(r"(5\d\d)(?:[ -]+(5\.\d{1,3}\.\d{1,3})(?!\S))?")
_ADDRESS_CODES = frozenset({"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.6", "5.1.10"})
_SIZE_CODES = frozenset({"5.2.3", "5.3.4"})
# The last two are Exchange's. Postfix has all kinds of codes, in answer to a recipient, and always the same words.
_SENDER_CODES = frozenset({"5.1.7", "5.1.8", "5.2.252", "5.7.60"})
_SENDER_WORDS = re.compile(r"(?i)\bsender address rejected\b")
# Gmail and Exchange say with a 5xx that a day's mails are sent: tomorrow they take this one. RFC 3463 has 5.4.5, a
# mail system that is congested, for what passes alone.
_QUOTA_CODES = frozenset({"5.4.5", "5.1.90"})
_QUOTA_WORDS = re.compile(
    r"(?i)\b(?:daily|hourly|sending|relay)\b.{0,30}\b(?:limit|quota)\b|SubmissionQuotaExceeded"
)
# A limit of one mail, which is the same tomorrow.
_SIZE_WORDS = re.compile(r"(?i)\b(?:size|large|big|attachments?)\b")
_ADDRESS_REPLIES = frozenset({"551", "553"})
_SIZE_REPLIES = frozenset({"552"})


class Refusal(Enum):
    """What is refused: this address, a mail of this size, its sender, any mail for now, or something else; or the
    policy, and no server, refuses the address."""

    ADDRESS = auto()
    SIZE = auto()
    SENDER = auto()
    QUOTA = auto()
    POLICY = auto()
    OTHER = auto()


def refusal(error: str) -> Refusal:
    """What an error of a delivery is about; it begins with the server's answer, or with `FORBIDDEN`.

    The enhanced code is trusted before the reply code, which has less to say: 552 may be a mailbox that is full,
    and 550 anything.
    """
    if error.startswith(FORBIDDEN):
        return Refusal.POLICY
    found = _CODES.match(error)
    if found is None:
        return Refusal.OTHER
    reply, enhanced = found.groups()
    told = enhanced in _SIZE_CODES or enhanced in _ADDRESS_CODES or _SIZE_WORDS.search(error)
    if enhanced in _QUOTA_CODES or (not told and _QUOTA_WORDS.search(error)):
        return Refusal.QUOTA
    if enhanced in _SENDER_CODES or _SENDER_WORDS.search(error):
        return Refusal.SENDER
    if enhanced in _SIZE_CODES or (enhanced is None and reply in _SIZE_REPLIES):
        return Refusal.SIZE
    if enhanced in _ADDRESS_CODES or (enhanced is None and reply in _ADDRESS_REPLIES):
        return Refusal.ADDRESS
    return Refusal.OTHER
