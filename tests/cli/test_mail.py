"""`runner mail`."""

import json
from datetime import UTC, datetime

import pytest
from rich.console import Console

from runner.cli.mail import _STATES
from runner.cli.render_mail import delivery_table
from runner.core.delivery import Delivery, DeliveryState, MailKind

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def test_the_states_are_those_there_are():
    assert list(_STATES) == [str(state) for state in DeliveryState]


def test_the_ledger_fits_a_terminal(call, history):
    done = call("mail", "list")
    assert done.exit_code == 0
    lines = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
    assert [line.strip() for line in lines[2:]] == [
        "2   dead    Job Failed: sales",
        "to b@example.com",
        r"550 \x1b[2Jno such user",
        "1 attempt, due since 2026-03-02 12:00:03 UTC",
        "1   sent    Job Failed: sales",
        "to a@example.com, 2026-03-02 12:00 UTC",
    ]


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_long_subject_keeps_its_time(columns):
    subject = f"Job Results: {'sales_' * 9} - 2026-03-02 13:00:00"
    delivery = Delivery(
        delivery_id=123_456,
        run_id="r1",
        job_name="sales",
        kind=MailKind.RESULTS,
        recipient="a@example.com",
        message_id="<one@example.com>",
        subject=subject,
        state=DeliveryState.DEFERRED,
        created_at=NOON,
        next_attempt_at=NOON,
    )
    console = Console(width=columns)
    with console.capture() as shown:
        console.print(delivery_table([delivery], "UTC"))
    lines = shown.get().splitlines()
    assert max(map(len, lines)) <= columns
    words = "".join(line[20:].strip() for line in lines[3:])
    assert subject.replace(" ", "") in words.replace(" ", "")


def test_a_mail_that_was_kept_as_a_file_is_shown_with_it():
    delivery = Delivery(
        delivery_id=1,
        run_id="r1",
        job_name="sales",
        kind=MailKind.RESULTS,
        recipient="a@example.com",
        message_id="<one@example.com>",
        subject="Job Results: sales",
        state=DeliveryState.SENT,
        created_at=NOON,
        sent_at=NOON,
        kept_as="/data/mail/a.eml",
    )
    console = Console(width=80)
    with console.capture() as shown:
        console.print(delivery_table([delivery], "UTC"))
    assert [line.strip() for line in shown.get().splitlines()[3:6]] == [
        "1   kept    Job Results: sales",
        "to a@example.com, 2026-03-02 12:00 UTC",
        "as /data/mail/a.eml",
    ]


def test_mails_are_chosen_by_job_and_state(call, history):
    document = json.loads(call("mail", "list", "--state", "dead", "--state", "held", "--json").stdout)
    keys = ("delivery_id", "state", "job_name", "run_id", "subject", "scheduled_time")
    assert [tuple(one[key] for key in keys) for one in document["deliveries"]] == [
        (2, "dead", "sales", "001", "Job Failed: sales", "2026-03-02T12:00:00Z")
    ]
    assert call("mail", "list", "--state", "held").stdout == "No held mails.\n"
    assert call("mail", "list", "--state", "held", "--job", "sales").stdout == "No held mails of sales.\n"


@pytest.mark.parametrize("verb", [("list",), ("retry", "--all-dead")])
def test_a_job_that_nobody_knows_is_told(call, history, project, verb):
    done = call("mail", *verb, "--job", "sale")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr == (
        f"error: there is no job 'sale' in {project}/jobs.d, and none in the history\n"
        "  hint: Did you mean 'sales'? runner list shows the jobs.\n"
    )


def test_a_mail_is_shown_harmless(call, history, message):
    done = call("mail", "show", "2")
    assert done.exit_code == 0
    for told in ("failure of sales", "b@example.com", "Job Failed: sales", "<one@example.com>", "dead"):
        assert told in done.stdout
    assert r"The result \x1b[31m has 1 row." in done.stdout
    assert "\x1b" not in done.stdout
    raw = call("mail", "show", "2", "--raw")
    assert raw.stdout_bytes == message
    document = json.loads(call("mail", "show", "2", "--json").stdout)
    assert (document["kept"], document["recipients"]) == (True, ["a@example.com", "b@example.com"])


def test_a_retry_sends_and_says_so(call, history):
    done = call("mail", "retry", "1", "2")
    assert done.exit_code == 1, "one of them was sent already"
    assert "1: left as it is, it was sent already" in done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines() if "Job Failed" in line] == [["2", "kept"]]
    assert [file.suffix for file in history.mail_dir.iterdir()] == [".eml"]
    again = call("mail", "retry", "--all-dead", "--job", "sales")
    assert (again.exit_code, again.stdout) == (0, "No mail of sales is dead: there is nothing to send.\n")
    gone = call("mail", "show", "2", "--raw")
    assert (gone.exit_code, "mail 2 is the file" in gone.stderr) == (1, True)
    assert "nobody was sent it" in call("mail", "show", "2").stdout
    gone = call("mail", "show", "1", "--raw")
    assert (gone.exit_code, "no longer kept" in gone.stderr) == (1, True)
    shown = call("mail", "show", "1").stdout
    assert ("no longer kept" in shown, "runner run" in shown) == (True, False), "no run makes that failure anew"


def test_what_cannot_be_held_says_why(call, history):
    done = call("mail", "hold", "2")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "2: left as it is, it was given up and is not sent again unasked\n"
    document = json.loads(call("mail", "hold", "2", "--json").stdout)
    assert document == {
        "changed": [],
        "left_out": [{"delivery_id": 2, "reason": "it was given up and is not sent again unasked"}],
        "sent_by": "nobody",
    }


@pytest.mark.parametrize("verb", ["show", "retry", "hold"])
def test_an_id_that_no_mail_has_is_told_in_plain_words(call, history, verb):
    far = "9" * 20
    done = call("mail", verb, far)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: there is no delivery {far}\n")
    for text in ("abc", "1.5", "²", "9" * 5000):
        done = call("mail", verb, text)
        assert done.exit_code == 2
        assert f"{text!r} is no ID of a mail. runner mail list shows them" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("retry",),
        ("retry", "1", "--all-dead"),
        ("retry", "1", "--job", "sales"),
        ("retry", "99"),
        ("hold",),
        ("show", "99"),
        ("show", "1", "--raw", "--json"),
        ("list", "--state", "lost"),
    ],
)
def test_wrong_usage_ends_with_two(call, history, arguments):
    done = call("mail", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr


def test_its_verbs_are_called_so(call):
    told = call("mail", "lst").stderr
    assert "There is no verb 'lst'. Did you mean list?" in told
    listed = call("mail", "--help").stdout
    assert "Verbs:" in listed
    assert "retry  Send mails again, the very same." in listed
