"""`runner mail`."""

import json

import pytest

from runner.cli.mail import _STATES
from runner.core.delivery import DeliveryState


def test_the_states_are_those_there_are():
    assert list(_STATES) == [str(state) for state in DeliveryState]


def test_the_ledger_fits_a_terminal(call, history):
    done = call("mail", "list")
    assert done.exit_code == 0
    lines = [line.rstrip() for line in done.stdout.splitlines() if line.strip()]
    assert max(map(len, lines)) <= 80
    assert [line.split()[:4] for line in lines if "@" in line] == [
        ["2", "sales", "b@example.com", "dead"],
        ["1", "sales", "a@example.com", "sent"],
    ]
    assert r"550 \x1b[2Jno such user" in done.stdout
    assert "\x1b" not in done.stdout


def test_mails_are_chosen_by_job_and_state(call, history):
    document = json.loads(call("mail", "list", "--state", "dead", "--state", "held", "--json").stdout)
    assert [(one["delivery_id"], one["state"], one["job_name"]) for one in document["deliveries"]] == [
        (2, "dead", "sales")
    ]
    assert call("mail", "list", "--job", "other").stdout == "No mails of other.\n"
    assert call("mail", "list", "--state", "held").stdout == "No held mails.\n"


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
    assert [line.split()[3] for line in done.stdout.splitlines() if "@" in line] == ["sent"]
    assert [file.suffix for file in history.mail_dir.iterdir()] == [".eml"]
    again = call("mail", "retry", "--all-dead", "--job", "sales")
    assert (again.exit_code, again.stdout) == (0, "No mail of sales is dead: there is nothing to send.\n")
    gone = call("mail", "show", "2", "--raw")
    assert (gone.exit_code, "no longer kept" in gone.stderr) == (1, True)
    assert "no longer kept" in call("mail", "show", "2").stdout


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
