import pytest

from runner.delivery.refusal import Refusal, refusal


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("552 message too large", Refusal.SIZE),
        ("552 5.3.4 Message size exceeds fixed limit", Refusal.SIZE),
        ("552 5.3.4", Refusal.SIZE),
        ("554 5.3.4 too big", Refusal.SIZE),
        ("550 5.2.3 length exceeds the administrative limit", Refusal.SIZE),
        ("552 5.2.2 mailbox full", Refusal.OTHER),
        ("552 5.7.0 this content is blocked", Refusal.OTHER),
        ("550 5.1.1 no such user", Refusal.ADDRESS),
        ("550 5.1.10 null MX", Refusal.ADDRESS),
        ("553 mailbox name not allowed", Refusal.ADDRESS),
        ("551 moved", Refusal.ADDRESS),
        ("553 5.7.1 sender not yours", Refusal.OTHER),
        ("550 5.1.8 bad sender", Refusal.SENDER),
        ("553 5.7.1 <a@b.c>: Sender address rejected: not owned by user d", Refusal.SENDER),
        ("554 5.2.252 SendAsDenied", Refusal.SENDER),
        ("550 5.1.1 <a@b.c>: Recipient address rejected: no such user", Refusal.ADDRESS),
        ("550 5.4.5 Daily user sending limit exceeded. For more information on Gmail", Refusal.QUOTA),
        ("550 5.7.1 Daily SMTP relay limit exceeded for customer", Refusal.QUOTA),
        ("550 5.1.90 you have reached your daily limit for message recipients", Refusal.QUOTA),
        ("554 5.2.0 STOREDRV.Submission.Exception:SubmissionQuotaExceededException", Refusal.QUOTA),
        ("552 Message would take you over your relay quota of 500", Refusal.QUOTA),
        ("554 5.7.1 <a@b.c>: Recipient address rejected: Email Sending Quota Exceeded", Refusal.QUOTA),
        ("552 5.2.2 mailbox over its quota", Refusal.OTHER),
        ("550 5.7.1 relaying denied", Refusal.OTHER),
        ("552 5.3.4 relay message size limit exceeded", Refusal.SIZE),
        ("552 Message size exceeds the sending limit", Refusal.SIZE),
        ("552 Sending refused: message too large, the limit is 10 MB", Refusal.SIZE),
        ("554 5.7.1 Sending blocked: the attachment exceeds the limit", Refusal.OTHER),
        ("550 no such user", Refusal.OTHER),
        ("550 5.1.1.2 version of something", Refusal.OTHER),
        ("given up after 5 days: 452 4.2.2 mailbox full", Refusal.OTHER),
        ("mail.example.com:25 hung up; 552 before", Refusal.OTHER),
        ("", Refusal.OTHER),
    ],
)
def test_codes_tell_what_is_refused(error, kind):
    assert refusal(error) is kind
