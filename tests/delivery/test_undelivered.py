"""The mail that tells of another one which came to nothing."""

import email
import email.policy
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from runner.core.delivery import Delivery, DeliveryState, MailKind
from runner.core.job_policy import RunBounds
from runner.delivery.compose import compose_undelivered

NOON = datetime(2025, 11, 9, 13, 0, tzinfo=UTC)
FROM = {"sender": "Reports <runner@example.com>", "message_domain": "example.com"}
DEAD, HELD = DeliveryState.DEAD, DeliveryState.HELD
ANNA, BERT, CLEO, OLGA = "anna@example.com", "bert@example.org", "cleo@example.com", "olga@example.com"


@pytest.fixture
def undelivered(make_mail, make_report):
    """The notice of a mail to Anna, Bert and Cleo; `ends` are (recipient, state, error)."""

    def make(*ends, job=None, job_is_there=True, before=(), attempts=2, **changes):
        values = {"consumer_emails": (ANNA, BERT, CLEO), **(job or {})}
        mail = replace(make_mail(run_id="r1", **values), **changes)

        def delivery(number, recipient, state, error):
            return Delivery(
                delivery_id=17 + number,
                run_id="r1",
                job_name="daily_sales",
                kind=mail.kind,
                recipient=recipient,
                message_id=mail.message_id,
                state=state,
                attempts=attempts,
                created_at=NOON,
                error=error,
            )

        return compose_undelivered(
            mail,
            [delivery(number, *end) for number, end in enumerate(ends)],
            job=make_report(job=values).job if job_is_there else None,
            at=NOON + timedelta(days=5),
            failed_before=[delivery(100, *end) for end in before],
            **FROM,
        )

    return make


def texts(mail):
    """What it says as text and as HTML, each on one line."""
    parsed = email.message_from_bytes(mail.message, policy=email.policy.default)
    return [" ".join(parsed.get_body((kind,)).get_content().split()) for kind in ("plain", "html")]


def assert_says(mail, *sentences):
    for part in texts(mail):
        for sentence in sentences:
            assert sentence in part


def test_a_domain_that_is_alike_is_not_the_one_that_failed(undelivered):
    job = {"consumer_emails": ("a@faß.example", "a@fass.example"), "owner": "a@fass.example"}
    assert undelivered(("a@faß.example", DEAD, "550 no such user"), job=job).recipients == ("a@fass.example",)


def test_one_dead_recipient_is_told_with_what_to_do(undelivered):
    mail = undelivered((BERT, DEAD, "550 no such user"), job={"owner": OLGA})
    assert (mail.kind, mail.run_id, mail.recipients) == (MailKind.UNDELIVERED, "r1", (OLGA,))
    assert mail.subject == "Mail Undelivered: daily_sales - 2025-11-14 14:00:00"
    assert mail.message_id == "<r1.undelivered-17-2@example.com>"
    parsed = email.message_from_bytes(mail.message, policy=email.policy.default)
    assert parsed["Date"] == "Fri, 14 Nov 2025 13:00:00 +0000"
    assert parsed["References"] == "<daily_sales.job@example.com>"
    # One that is held could not be told of.
    assert (mail.hold_ambiguous, mail.notify) == (False, ())
    assert_says(
        mail,
        f"A mail to {BERT} could not be delivered, and is not tried again.",
        "The reason: 550 no such user",
        "Job Results: daily_sales - 2025-11-09 14:00:00",
        "correct it in jobs.d/daily_sales.yaml",
        "`runner mail retry 17` sends the very mail to it again",
        "Due since",
        "2025-11-09 14:00 CET",
    )
    assert mail == undelivered((BERT, DEAD, "550 no such user"), job={"owner": OLGA})


def test_one_that_the_policy_forbids_by_now_is_told_with_what_to_do(undelivered):
    error = f"not sent, as the policy allows no mail to {BERT}: it is not in recipient_domains of _policy.yaml"
    mail = undelivered((BERT, DEAD, error), job={"owner": OLGA})
    assert mail.recipients == (OLGA,)
    assert_says(
        mail,
        f"A mail to {BERT} could not be delivered, and is not tried again.",
        f"The reason: {error}",
        f"Take {BERT} out of jobs.d/daily_sales.yaml for the runs to come.",
        "add the domain to recipient_domains in _policy.yaml: `runner mail retry 17` then sends the very mail to it.",
    )
    assert "If the address" not in texts(mail)[0]


def test_each_end_of_a_delivery_has_an_identifier_of_its_own(undelivered):
    end = (BERT, DEAD, "550 no")
    assert len({undelivered(end, attempts=count).message_id for count in range(1, 5)}) == 4


def test_a_held_mail_asks_for_a_word(undelivered):
    mail = undelivered((BERT, HELD, "hung up"))
    assert_says(
        mail,
        f"Nobody knows whether a mail to {BERT} has arrived, so it is held.",
        f"Ask {BERT} whether it came. If it did not, `runner mail retry 17` sends the very mail again.",
    )
    assert "Mail held" in texts(mail)[1]


def test_several_recipients_are_listed_with_their_answers(undelivered):
    mail = undelivered((ANNA, DEAD, "550 no such user"), (BERT, DEAD, "554 spam"), job={"owner": OLGA})
    assert_says(
        mail,
        "A mail could not be delivered to 2 of its 3 recipients, and is not tried again for these.",
        f"{ANNA}: 550 no such user",
        f"{BERT}: 554 spam",
        "`runner mail retry 17 18`",
    )
    mail = undelivered((ANNA, HELD, "hung up"), (BERT, HELD, "hung up"), job={"owner": OLGA})
    assert_says(mail, "has arrived at 2 of its 3 recipients, so it is held for these", "`runner mail retry 17 18`")
    mail = undelivered((ANNA, HELD, "hung up"), (BERT, DEAD, "554 spam"), job={"owner": OLGA})
    assert_says(
        mail,
        "could not be delivered to 1 of its 3 recipients, and is not tried again for this one. For 1 more it is held.",
        f"{ANNA}: hung up",
        "`runner mail retry 17` sends",
        "`runner mail retry 18` sends",
    )


def test_the_advice_fits_the_answer(undelivered):
    too_large, wrong = "552 5.3.4 message too big", "550 5.1.1 unknown"
    mail = undelivered((BERT, DEAD, too_large))
    size_words = "attach csv.gz or parquet (`attachment` under `delivery` in jobs.d/daily_sales.yaml)"
    assert_says(mail, "takes no mail of this size", size_words, "Sending it again will be refused again.")
    assert "runner mail retry" not in texts(mail)[0]
    mail = undelivered((BERT, DEAD, wrong))
    assert_says(mail, f"correct {BERT} in jobs.d/daily_sales.yaml for the runs to come.")
    assert "takes mails" not in texts(mail)[0]
    both = undelivered((ANNA, DEAD, too_large), (BERT, DEAD, wrong), job={"owner": OLGA})
    assert_says(both, f"takes no mail of this size (for {ANNA})", f"correct {BERT} in")
    # What has no attachment cannot be made smaller.
    mail = undelivered((BERT, DEAD, too_large), kind=MailKind.FAILURE)
    assert_says(mail, "`runner mail retry 17`")
    assert "parquet" not in texts(mail)[0]
    assert_says(undelivered((BERT, DEAD, "550 5.1.8 bad sender")), "`runner mail retry 17`")


def test_a_job_that_is_gone_leaves_those_whom_the_mail_names(undelivered):
    mail = undelivered((BERT, DEAD, "550 no"), job={"owner": OLGA}, job_is_there=False)
    assert mail.recipients == (OLGA,)
    assert mail.subject == "Mail Undelivered: daily_sales - 2025-11-14 13:00:00"
    assert_says(mail, "2025-11-09 13:00 UTC", "correct it in the job file")
    assert "Job file" not in texts(mail)[0]
    # Mails of the first version name nobody.
    assert undelivered((BERT, DEAD, "550 no"), job={"owner": OLGA}, notify=()).recipients == (OLGA,)
    assert undelivered((BERT, DEAD, "550 no"), job_is_there=False, notify=()) is None


@pytest.mark.parametrize(
    ("failed", "job", "before", "told"),
    [
        ([BERT], {}, [], (ANNA, CLEO)),
        ([BERT, ANNA], {}, [], (CLEO,)),
        ([BERT], {}, [ANNA], (CLEO,)),
        ([OLGA], {"owner": OLGA}, [], (ANNA, BERT, CLEO)),
        ([BERT], {"owner": OLGA}, [OLGA], (ANNA, CLEO)),
        (["Olga@Example.com"], {"owner": OLGA, "consumer_emails": (OLGA,)}, [], None),
        ([ANNA], {"consumer_emails": (ANNA,)}, [], None),
    ],
)
def test_the_addresses_that_failed_are_not_told(undelivered, failed, job, before, told):
    mail = undelivered(
        *((one, DEAD, "550 no") for one in failed), job=job, before=[(one, DEAD, "550 no") for one in before]
    )
    assert (mail and mail.recipients) == told


def test_whom_the_policy_of_today_allows_no_mail_is_not_told(undelivered):
    end = (ANNA, DEAD, "550 no such user")
    job = {"owner": OLGA, "bounds": RunBounds(recipient_domains=("example.org",))}
    assert undelivered(end, job=job, notify=(OLGA,)).recipients == (BERT,)


def test_an_address_that_only_takes_no_large_mail_is_told(undelivered):
    mail = undelivered((ANNA, DEAD, "552 too large"), job={"consumer_emails": (ANNA,)})
    assert mail.recipients == (ANNA,)


@pytest.mark.parametrize(
    ("job", "kind", "told"),
    [
        ({"owner": OLGA}, MailKind.RESULTS, (OLGA, BERT)),
        ({"owner": "Bert@Example.org"}, MailKind.RESULTS, ("Bert@Example.org",)),
        ({}, MailKind.RESULTS, (ANNA, BERT)),
        ({"owner": OLGA}, MailKind.FAILURE, (OLGA,)),
        ({"owner": OLGA, "bounds": RunBounds(recipient_domains=("example.com",))}, MailKind.RESULTS, (OLGA,)),
    ],
)
def test_who_waits_for_a_result_that_is_too_large_for_the_server_is_told(undelivered, job, kind, told):
    mail = undelivered((BERT, DEAD, "552 too large"), (CLEO, DEAD, "550 no such user"), job=job, kind=kind)
    assert mail.recipients == told
    assert "The result is kept with the run, r1." in texts(mail)[0] or kind is MailKind.FAILURE
