import contextlib
import email
import email.policy
import logging
import socket
import ssl
import time
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from runner.core.delivery import DeliveryState
from runner.delivery.addresses import sender_address
from runner.delivery.attachment import attach
from runner.delivery.compose import compose
from runner.delivery.smtp import SmtpTransport
from runner.errors import SettingsError
from runner.settings import SmtpSettings

ANNA, BERT = "anna@example.com", "bert@example.org"
PASSWORD = "s3cret-passwörd"
PAST = datetime(2020, 1, 1, tzinfo=UTC)


def states(results):
    return {recipient: result.state.value for recipient, result in results.items()}


def test_a_mail_arrives_byte_for_byte(inbox, make_server, make_transport, make_mail, caplog):
    port, mail = make_server(), make_mail()
    with caplog.at_level(logging.INFO, logger="runner"):
        results = make_transport(port).send(mail, mail.recipients)
    assert states(results) == {ANNA: "sent", BERT: "sent"}
    assert [result.error for result in results.values()] == ["", ""]
    [envelope] = inbox.envelopes
    assert envelope.original_content == mail.message
    assert (envelope.mail_from, envelope.rcpt_tos) == ("runner@example.com", [ANNA, BERT])
    assert f"Mail handed to 127.0.0.1:{port} for 2 recipients" in caplog.text


def test_starttls_and_login(inbox, make_server, make_transport, make_mail, server_tls, ca_file):
    port = make_server(tls_context=server_tls, require_starttls=True, auth=True)
    transport = make_transport(port, use_tls=True, ca_file=ca_file, user="robot", password=PASSWORD)
    assert states(transport.send(make_mail(), [ANNA])) == {ANNA: "sent"}
    assert inbox.sessions[0].ssl is not None
    assert inbox.sessions[0].authenticated


def test_a_login_outside_ascii_where_login_alone_is_offered(
    inbox, make_server, make_transport, make_mail, server_tls, ca_file
):
    port = make_server(tls_context=server_tls, auth=True, auth_exclude_mechanism=["PLAIN"])
    login = {"use_tls": True, "ca_file": ca_file, "user": "robot"}
    assert states(make_transport(port, password=PASSWORD, **login).send(make_mail(), [ANNA])) == {ANNA: "sent"}
    assert inbox.sessions[0].authenticated
    [result] = make_transport(port, password="wröng-password", **login).send(make_mail(), [ANNA]).values()
    assert "refused the login of SMTP_USER: 535" in result.error


def test_an_ascii_password_goes_the_usual_way(inbox, make_server, make_transport, make_mail, server_tls, ca_file):
    port = make_server(tls_context=server_tls, auth=True)
    transport = make_transport(port, use_tls=True, ca_file=ca_file, user="robot", password="wrong-password")
    [result] = transport.send(make_mail(), [ANNA]).values()
    assert result.state is DeliveryState.DEFERRED
    assert "refused the login of SMTP_USER: 535" in result.error


def test_port_465_speaks_tls_from_the_first_byte(
    inbox, make_server, make_transport, make_mail, server_tls, ca_file, monkeypatch
):
    port = make_server(ssl_context=server_tls)
    monkeypatch.setattr("runner.delivery.connection.IMPLICIT_TLS_PORT", port)
    transport = make_transport(port, use_tls=True, ca_file=ca_file)
    assert states(transport.send(make_mail(), [ANNA])) == {ANNA: "sent"}


@pytest.mark.parametrize("implicit", [False, True])
def test_certificates_are_verified(
    inbox, make_server, make_transport, make_mail, server_tls, monkeypatch, implicit
):
    port = make_server(**({"ssl_context": server_tls} if implicit else {"tls_context": server_tls}))
    if implicit:
        monkeypatch.setattr("runner.delivery.connection.IMPLICIT_TLS_PORT", port)
    [result] = make_transport(port, use_tls=True).send(make_mail(), [ANNA]).values()
    assert result.state is DeliveryState.DEFERRED
    assert "is not accepted" in result.error
    assert "SMTP_CA_FILE" in result.error
    assert inbox.envelopes == []


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (lambda ours, _: ours.issue_cert("mail.example.com"), "set SMTP_HOST to a name that it is made for"),
        (lambda ours, _: ours.issue_cert("127.0.0.1", not_after=PAST), "whoever runs the server has to renew it"),
        (lambda _, other: other.issue_cert("127.0.0.1"), "for an authority of your own set SMTP_CA_FILE"),
    ],
    ids=["another-name", "expired", "unknown-authority"],
)
def test_a_wrong_certificate_is_refused_with_its_remedy(
    inbox, make_server, make_transport, make_mail, authority, other_authority, ca_file, certificate, words
):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate(authority, other_authority).configure_cert(context)
    transport = make_transport(make_server(tls_context=context), use_tls=True, ca_file=ca_file)
    [result] = transport.send(make_mail(), [ANNA]).values()
    assert result.state is DeliveryState.DEFERRED
    assert "is not accepted" in result.error
    assert result.error.endswith(words)
    assert transport.check() == result.error
    assert inbox.envelopes == []


def test_a_server_without_starttls_gets_nothing(inbox, make_server, make_transport, make_mail):
    [result] = make_transport(make_server(), use_tls=True).send(make_mail(), [ANNA]).values()
    assert result.state is DeliveryState.DEFERRED
    assert "offers no STARTTLS" in result.error
    assert inbox.sessions == []


def test_wrong_credentials_are_deferred_and_never_shown(
    inbox, make_server, make_transport, make_mail, server_tls, ca_file, caplog
):
    port = make_server(tls_context=server_tls, auth=True)
    transport = make_transport(port, use_tls=True, ca_file=ca_file, user="robot", password="wröng-password")
    [result] = transport.send(make_mail(), [ANNA]).values()
    assert result.state is DeliveryState.DEFERRED
    assert "refused the login of SMTP_USER: 535" in result.error
    assert caplog.records[-1].levelno == logging.ERROR
    for text in (result.error, caplog.text, repr(transport), transport.describe()):
        assert "wröng" not in text


def test_an_echoed_password_is_masked(raw_server, make_transport, make_mail):
    def talk(connection, ended):
        connection.sendall(b"220 hi\r\n")
        connection.recv(1000)
        connection.sendall(b"250-hi\r\n250 AUTH PLAIN\r\n")
        line = connection.recv(1000)
        connection.sendall(rb'535 not good: my/password, {"pass": "my\/password"} ' + line)

    transport = make_transport(raw_server(talk), user="robot", password="my/password")
    [result] = transport.send(make_mail(), [ANNA]).values()
    expected = '535 not good: ***, {"pass": "***"} AUTH PLAIN ***; check SMTP_USER and SMTP_PASSWORD'
    assert expected in result.error


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS:UserWarning")
def test_no_password_without_tls_to_another_machine(make_server, make_transport, make_mail, monkeypatch):
    port = make_server(auth=True, auth_require_tls=False)
    transport = make_transport(port, user="robot", password=PASSWORD)
    assert states(transport.send(make_mail(), [ANNA])) == {ANNA: "sent"}
    transport.close()
    monkeypatch.setattr("runner.delivery.connection.Connection._peer_is_this_machine", lambda self: False)
    [result] = transport.send(make_mail(), [ANNA]).values()
    assert "the password is not sent without TLS" in result.error


def test_a_server_that_offers_no_login(make_server, make_transport, make_mail):
    [result] = make_transport(make_server(), user="robot", password="x1234").send(make_mail(), [ANNA]).values()
    assert result.state is DeliveryState.DEFERRED
    assert "offers no way to log in" in result.error


@pytest.mark.parametrize("password", ["x1234", PASSWORD])
def test_a_login_that_is_not_refused_is_not_told_as_wrong(raw_server, make_transport, password):
    answers = {"ehlo": "250-hi\r\n250 AUTH PLAIN LOGIN", "auth": "454 4.7.0 not now"}
    words = make_transport(raw_server(scripted(answers)), user="robot", password=password).check()
    assert words.endswith("refused the login of SMTP_USER: 454 4.7.0 not now")
    answers = {"ehlo": "250-hi\r\n250 AUTH XOAUTH2 GSSAPI"}
    words = make_transport(raw_server(scripted(answers)), user="robot", password=password).check()
    assert "to log in it offers XOAUTH2, GSSAPI alone, and runner knows CRAM-MD5, LOGIN, PLAIN" in words


def test_a_login_that_is_refused_for_good_is_not_tried_for_each_mail(
    raw_server, make_transport, make_mail, monkeypatch
):
    """Servers shut out an address that is refused a few times: then nobody reads that the password is wrong."""
    logins = []
    answers = {"ehlo": "250-hi\r\n250 AUTH PLAIN", "auth": "535 5.7.8 wrong"}
    transport = make_transport(raw_server(scripted(answers, opened=logins)), user="robot", password="x1234")
    for _ in range(3):
        [result] = transport.send(make_mail(), [ANNA]).values()
        assert result.state is DeliveryState.DEFERRED
        assert "535 5.7.8 wrong; check SMTP_USER and SMTP_PASSWORD" in result.error
    assert len(logins) == 1
    rule = "; until one is accepted, a login is tried once in 10 minutes, or once a minute by runner mail retry"
    assert result.error.endswith(rule)
    later = time.monotonic() + 601
    monkeypatch.setattr("runner.delivery.smtp.time", SimpleNamespace(monotonic=lambda: later))
    answers["auth"] = "454 not now"
    for _ in range(2):
        [result] = transport.send(make_mail(), [ANNA]).values()
        assert result.error.endswith("454 not now"), "what passes is tried for each mail"
    assert len(logins) == 3


def test_a_person_who_asks_waits_a_minute_for_the_next_login(raw_server, make_transport, make_mail, monkeypatch):
    logins = []
    answers = {"ehlo": "250-hi\r\n250 AUTH PLAIN", "auth": "535 5.7.8 wrong"}
    transport = make_transport(raw_server(scripted(answers, opened=logins)), user="robot", password="x1234")
    began = time.monotonic()

    def send(after, *, asked):
        monkeypatch.setattr("runner.delivery.smtp.time", SimpleNamespace(monotonic=lambda: began + after))
        return states(transport.send(make_mail(), [ANNA], asked=asked))[ANNA], len(logins)

    assert send(0, asked=True) == ("deferred", 1)
    assert send(59, asked=True) == ("deferred", 1)
    assert send(61, asked=False) == ("deferred", 1)
    assert send(61, asked=True) == ("deferred", 2)
    assert send(61, asked=True) == ("deferred", 2), "one login for all that are asked for together"
    answers["auth"] = "235 welcome"
    assert send(122, asked=True) == ("sent", 3)


@pytest.mark.parametrize("told", [True, False])
def test_a_name_service_that_is_silent_is_told_apart_from_a_slow_server(
    make_server, make_transport, make_mail, monkeypatch, told
):
    port, look_up = make_server(), socket.getaddrinfo

    def slowly(*args, **options):
        time.sleep(0.4)
        if told:
            return look_up(*args, **options)
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", slowly)
    [result] = make_transport(port, total_timeout=0.3).send(make_mail(), [ANNA]).values()
    why = "the name service took all the time" if told else "Temporary failure in name resolution"
    words = f"the name of 127.0.0.1:{port} cannot be found: {why}; check SMTP_HOST, and the DNS of this machine"
    assert (result.state, result.error) == (DeliveryState.DEFERRED, words)


def test_one_refused_recipient_does_not_hold_the_others(inbox, make_server, make_transport, make_mail, caplog):
    inbox.answers = {BERT: "550 no such user", "cleo@example.com": "451 greylisted"}
    results = make_transport(make_server()).send(make_mail(), [ANNA, BERT, "cleo@example.com"])
    assert states(results) == {ANNA: "sent", BERT: "dead", "cleo@example.com": "deferred"}
    assert results[BERT].error == "550 no such user"
    assert results["cleo@example.com"].error == "451 greylisted"
    assert "refused for good for bert@example.org: 550 no such user" in caplog.text


def test_one_of_three_later_and_one_never(inbox, make_server, make_transport, make_mail):
    inbox.answers = {BERT: "450 mailbox busy", "cleo@example.com": "550 no such user"}
    results = make_transport(make_server()).send(make_mail(), [ANNA, BERT, "cleo@example.com"])
    assert states(results) == {ANNA: "sent", BERT: "deferred", "cleo@example.com": "dead"}
    assert [envelope.rcpt_tos for envelope in inbox.envelopes] == [[ANNA]]


def test_all_recipients_refused(inbox, make_server, make_transport, make_mail):
    inbox.answers = {ANNA: "550 no", BERT: "452 full"}
    results = make_transport(make_server()).send(make_mail(), [ANNA, BERT])
    assert states(results) == {ANNA: "dead", BERT: "deferred"}


def test_no_content_is_sent_to_nobody_and_the_connection_serves_on(raw_server, make_transport, make_mail):
    said, opened = [], []
    port = raw_server(scripted({"rcpt": "550 no"}, opened=opened, said=said))
    transport = make_transport(port)
    for run_id in ("one", "two"):
        assert states(transport.send(make_mail(run_id=run_id), [ANNA, BERT])) == {ANNA: "dead", BERT: "dead"}
    assert said == ["ehlo", *["mail", "rcpt", "rcpt", "rset"] * 2]
    assert len(opened) == 1


@pytest.mark.parametrize(
    ("step", "answer", "anna", "ambiguous"),
    [
        ("data", "451 later", "deferred", False),
        ("data", "554 never", "dead", False),
        ("data", None, "deferred", False),
        ("content", "554 spam", "dead", False),
        ("content", "451 later", "deferred", False),
        ("content", "421 bye", "deferred", False),
        ("content", None, "deferred", True),
    ],
)
def test_a_refused_recipient_keeps_its_own_answer_whatever_becomes_of_the_content(
    raw_server, make_transport, make_mail, step, answer, anna, ambiguous
):
    own = {f"rcpt {BERT}": "550 no such user", "rcpt cleo@example.com": "452 full"}
    talk = scripted(own | ({step: answer} if answer else {}), drop_at=None if answer else step)
    results = make_transport(raw_server(talk)).send(make_mail(), [BERT, ANNA, "cleo@example.com"])
    assert states(results) == {BERT: "dead", ANNA: anna, "cleo@example.com": "deferred"}
    assert {recipient: result.ambiguous for recipient, result in results.items()} == {
        BERT: False,
        ANNA: ambiguous,
        "cleo@example.com": False,
    }
    assert (results[BERT].error, results["cleo@example.com"].error) == ("550 no such user", "452 full")
    assert answer is None or results[ANNA].error == answer


@pytest.mark.parametrize("answer", ["421 going down", None])
def test_a_recipient_that_is_refused_before_the_server_goes_keeps_its_answer(
    raw_server, make_transport, make_mail, answer
):
    going = {f"rcpt {ANNA}": answer} if answer else {}
    talk = scripted({f"rcpt {BERT}": "550 no such user"} | going, drop_at=None if answer else f"rcpt {ANNA}")
    results = make_transport(raw_server(talk)).send(make_mail(), [BERT, ANNA])
    assert states(results) == {BERT: "dead", ANNA: "deferred"}
    assert results[BERT].error == "550 no such user"


def test_who_was_refused_is_not_asked_again_over_a_fresh_connection(raw_server, make_transport, make_mail):
    said, opened = [], []
    talk = scripted({f"rcpt {BERT}": "550 no such user"}, drop_at=f"rcpt {ANNA}", opened=opened, said=said)
    transport = make_transport(raw_server(talk))
    transport.send(make_mail(run_id="one"), ["cleo@example.com"])
    said.clear()
    assert states(transport.send(make_mail(run_id="two"), [BERT, ANNA])) == {BERT: "dead", ANNA: "deferred"}
    assert (said, len(opened)) == (["mail", "rcpt", "rcpt", "ehlo", "mail", "rcpt"], 2)


def test_recipients_that_are_one_address_share_its_answer(inbox, make_server, make_transport, make_mail):
    inbox.answers = {"anna@xn--mller-kva.example": "550 no"}
    people = ["anna@müller.example", "anna@xn--mller-kva.example"]
    results = make_transport(make_server()).send(make_mail(), people)
    assert states(results) == dict.fromkeys(people, "dead")
    assert inbox.envelopes == []


def test_recipients_after_a_421_are_deferred(inbox, make_server, make_transport, make_mail):
    inbox.answers = {ANNA: "421 going down"}
    results = make_transport(make_server()).send(make_mail(), [ANNA, BERT])
    assert states(results) == {ANNA: "deferred", BERT: "deferred"}
    assert "hung up" in results[BERT].error


@pytest.mark.parametrize(
    ("data_answer", "state"), [("554 spam", "dead"), ("451 later", "deferred"), ("421 bye", "deferred")]
)
def test_the_answer_to_the_content_is_for_all(inbox, make_server, make_transport, make_mail, data_answer, state):
    inbox.data_answer = data_answer
    results = make_transport(make_server()).send(make_mail(), [ANNA, BERT])
    assert states(results) == {ANNA: state, BERT: state}
    assert (results[ANNA].error, results[ANNA].ambiguous) == (data_answer, False)


def test_a_server_that_wants_a_login_is_no_reason_to_give_up(inbox, make_server, make_transport, make_mail):
    inbox.mail_answer = "530 5.7.0 Authentication required"
    assert states(make_transport(make_server()).send(make_mail(), [ANNA])) == {ANNA: "deferred"}


@pytest.mark.parametrize(
    ("answer", "state", "words"),
    [
        ("550 5.7.60 not allowed to send as this sender", "deferred", "; check SMTP_FROM_EMAIL"),
        ("553 sender rejected", "deferred", "; check SMTP_FROM_EMAIL"),
        ("552 too large", "dead", ""),
        ("550 5.3.4 too large", "dead", ""),
        ("530 5.7.0 Authentication required", "deferred", ""),
    ],
)
def test_a_sender_that_is_refused_gives_no_mail_up(
    inbox, make_server, make_transport, make_mail, answer, state, words
):
    inbox.mail_answer = answer
    [result] = make_transport(make_server()).send(make_mail(), [ANNA]).values()
    assert (result.state.value, result.ambiguous) == (state, False)
    assert result.error == answer + words


@pytest.mark.parametrize(
    "answer",
    [
        "553 5.7.1 <runner@example.com>: Sender address rejected: not owned by user robot",
        "504 5.5.2 <runner@localhost>: Sender address rejected: need fully-qualified address",
        "550 5.1.8 the domain of the sender is not known",
    ],
)
def test_a_sender_that_is_refused_in_answer_to_a_recipient_gives_no_mail_up(
    inbox, make_server, make_transport, make_mail, answer
):
    inbox.answers = {ANNA: answer, BERT: "550 5.1.1 no such user"}
    results = make_transport(make_server()).send(make_mail(), [ANNA, BERT])
    assert states(results) == {ANNA: "deferred", BERT: "dead"}
    assert results[ANNA].error == f"{answer}; check SMTP_FROM_EMAIL"
    inbox.answers, inbox.data_answer = {}, "554 5.2.252 SendAsDenied; robot may not send as runner"
    [result] = make_transport(make_server()).send(make_mail(), [ANNA]).values()
    assert (result.state.value, result.error) == ("deferred", f"{inbox.data_answer}; check SMTP_FROM_EMAIL")


@pytest.mark.parametrize(
    "sender", ["Berichte <r@example.org>", "r@faß.example", f"{'A long name ' * 12} <r@example.org>"]
)
def test_a_mail_that_waits_goes_from_the_sender_that_is_set_now(
    inbox, make_server, make_transport, make_mail, sender
):
    mail = make_mail()
    transport = make_transport(make_server(), from_email=sender)
    assert states(transport.send(mail, [ANNA])) == {ANNA: "sent"}
    [envelope] = inbox.envelopes
    address = sender_address(sender)
    assert envelope.mail_from == address != mail.sender
    before, after = (
        email.message_from_bytes(one, policy=email.policy.SMTP)
        for one in (mail.message, envelope.original_content)
    )
    assert [one.addr_spec for one in after["From"].addresses] == [address]
    assert [item for item in after.items() if item[0] != "From"] == [
        item for item in before.items() if item[0] != "From"
    ]
    assert envelope.original_content.partition(b"\r\n\r\n")[2] == mail.message.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize("step", ["mail", "rcpt", "data", "content"])
def test_a_quota_that_is_used_up_gives_no_mail_up(raw_server, make_transport, make_mail, step):
    answers = {
        step: "550-5.4.5 Daily user sending limit exceeded. For more\r\n550 5.4.5 go to https://example.com"
    }
    [result] = make_transport(raw_server(scripted(answers))).send(make_mail(), [ANNA]).values()
    assert (result.state, result.ambiguous) == (DeliveryState.DEFERRED, False)
    assert result.error.startswith("550 5.4.5 Daily user sending limit exceeded.")
    assert "SMTP_FROM_EMAIL" not in result.error


def test_a_mail_too_large_for_the_server_is_dead_with_the_reason(make_server, make_transport, make_mail):
    results = make_transport(make_server(data_size_limit=100)).send(make_mail(), [ANNA])
    assert results[ANNA].state is DeliveryState.DEAD
    assert results[ANNA].error.startswith("552")


def test_a_connection_dropped_after_the_content_may_have_arrived(inbox, make_server, make_transport, make_mail):
    inbox.drop_after_data = True
    [result] = make_transport(make_server()).send(make_mail(), [ANNA]).values()
    assert (result.state, result.ambiguous) == (DeliveryState.DEFERRED, True)
    assert result.error.endswith("hung up; the server may have taken the mail")


def test_an_address_that_is_silent_takes_no_time_from_the_next(
    make_server, make_transport, make_mail, monkeypatch, silent
):
    port = make_server()
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in (silent, ("127.0.0.1", port))]
    monkeypatch.setattr("runner.delivery.connection.socket.getaddrinfo", lambda *args, **kwargs: both)
    began = time.monotonic()
    [result] = make_transport(port, total_timeout=20).send(make_mail(), [ANNA]).values()
    assert result.state is DeliveryState.SENT
    assert time.monotonic() - began < 5


def test_no_server_at_all_is_deferred(raw_server, make_transport, make_mail):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    [result] = make_transport(port).send(make_mail(), [ANNA]).values()
    assert (result.state, result.error) == (
        DeliveryState.DEFERRED,
        f"no connection to 127.0.0.1:{port}: Connection refused; check SMTP_HOST and SMTP_PORT",
    )


def test_a_greeting_that_refuses_is_deferred(raw_server, make_transport, make_mail):
    port = raw_server(lambda connection, ended: connection.sendall(b"554 not you\r\n"))
    [result] = make_transport(port).send(make_mail(), [ANNA]).values()
    assert result.state is DeliveryState.DEFERRED
    assert result.error.endswith("does not want to talk: 554 not you")


def test_an_address_that_is_silent_leaves_time_for_the_next(
    inbox, make_server, make_transport, make_mail, monkeypatch
):
    port = make_server()
    with contextlib.ExitStack() as opened:
        # Nobody takes the connections, and there is no room for more to wait: as where a firewall drops them.
        silent = opened.enter_context(socket.create_server(("127.0.0.2", port), backlog=0))
        for _ in range(3):
            waiting = opened.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(silent.getsockname())
        look_up = socket.getaddrinfo
        both = [
            *look_up("127.0.0.2", port, type=socket.SOCK_STREAM),
            *look_up("127.0.0.1", port, type=socket.SOCK_STREAM),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: both)
        results = make_transport(port, total_timeout=3.0).send(make_mail(), [ANNA])
    assert states(results) == {ANNA: "sent"}
    assert len(inbox.envelopes) == 1


@pytest.mark.parametrize("drop", [b"2", b"250-x\r\n", b""], ids=["one-line", "many-lines", "silence"])
def test_a_dribbling_server_ends_at_the_deadline(raw_server, make_transport, make_mail, drop):
    def talk(connection, ended):
        connection.sendall(b"220 hi\r\n")
        while not ended.wait(0.05):
            connection.sendall(drop)

    began = time.monotonic()
    [result] = make_transport(raw_server(talk), total_timeout=0.4).send(make_mail(), [ANNA]).values()
    assert time.monotonic() - began < 1.5
    assert result.state is DeliveryState.DEFERRED
    assert "was not done within 0.4 s" in result.error


def test_a_silent_tls_handshake_ends_at_the_deadline(raw_server, make_transport, make_mail, monkeypatch):
    port = raw_server(lambda connection, ended: ended.wait(5))
    monkeypatch.setattr("runner.delivery.connection.IMPLICIT_TLS_PORT", port)
    began = time.monotonic()
    [result] = make_transport(port, total_timeout=0.4).send(make_mail(), [ANNA]).values()
    assert time.monotonic() - began < 1.5
    assert "was not done within" in result.error


def scripted(answers, *, drop_at=None, opened=None, said=None):
    """A server that answers each command as told; it hangs up at `drop_at`, in place of an answer.

    A step is the name of a command, or for one recipient `rcpt {address}`; `said` collects the names.
    """

    def talk(connection, ended):
        if opened is not None:
            opened.append(connection)
        given = {"greeting": "220 hi", "ehlo": "250 hi", "data": "354 go on", "content": "250 taken", **answers}
        reader = connection.makefile("rb")
        step = own = "greeting"
        while drop_at not in {step, own}:
            answer = given.get(own) or given.get(step, "250 OK")
            connection.sendall(f"{answer}\r\n".encode())
            if answer.startswith("421"):
                return
            line = reader.readline()
            if not line:
                return
            if step == "data" and answer.startswith("354"):
                if drop_at == "half":
                    return
                while line not in {b".\r\n", b""}:
                    line = reader.readline()
                step = own = "content"
            else:
                step = line.decode().split()[0].split(":")[0].lower()
                own = f"{step} {line.decode().partition('<')[2].partition('>')[0]}"
                if said is not None:
                    said.append(step)

    return talk


@pytest.mark.parametrize("step", ["greeting", "ehlo", "mail", "rcpt", "data", "content"])
def test_a_421_at_any_step_is_deferred_and_clear(raw_server, make_transport, make_mail, step):
    answers = {step: "421 going down"}
    [result] = make_transport(raw_server(scripted(answers))).send(make_mail(), [ANNA]).values()
    assert (result.state, result.ambiguous) == (DeliveryState.DEFERRED, False)
    assert "421 going down" in result.error


@pytest.mark.parametrize(
    ("step", "ambiguous"),
    [("greeting", False), ("ehlo", False), ("mail", False), ("rcpt", False), ("data", False), ("content", True)],
)
def test_a_drop_leaves_doubt_only_after_the_content(raw_server, make_transport, make_mail, step, ambiguous):
    port = raw_server(scripted({}, drop_at=step))
    [result] = make_transport(port).send(make_mail(), [ANNA]).values()
    assert (result.state, result.ambiguous) == (DeliveryState.DEFERRED, ambiguous)
    assert ("may have taken the mail" in result.error) == ambiguous


def test_a_drop_amid_the_content_leaves_no_doubt(raw_server, make_transport, make_report):
    report = make_report(result=b"1,2\n" * 2_000_000)
    mail = compose(
        report, attached=attach(report, kept_at=None), sender="r@example.com", message_domain="example.com"
    )
    large = replace(mail, message=mail.message + b"x" * 30_000_000)
    [result] = make_transport(raw_server(scripted({}, drop_at="half"))).send(large, [ANNA]).values()
    assert (result.state, result.ambiguous) == (DeliveryState.DEFERRED, False)


def test_an_answer_to_the_content_that_is_none_leaves_doubt(raw_server, make_transport, make_mail):
    for answer in ("what?", "199 hm", "250"):
        port = raw_server(scripted({"content": answer}))
        [result] = make_transport(port).send(make_mail(), [ANNA]).values()
        taken = answer == "250"
        assert (result.state is DeliveryState.SENT, result.ambiguous) == (taken, not taken)


@pytest.mark.parametrize("step", ["greeting", "mail", "rcpt", "data", "content"])
@pytest.mark.parametrize("code", ["250", "450", "550"])
def test_an_answer_of_any_length_counts_by_its_code(raw_server, make_transport, make_mail, step, code):
    usual = {"greeting": "220", "data": "354"}.get(step, "250") if code == "250" else code
    sent = []
    for words in ("hm", "x" * 8187, "x" * 8188, "x" * 8189, "x" * 20_000, f"a\r\n{usual}-b" * 10_000):
        answer = f"{usual}-{words}\r\n{usual} that is all"
        transport = make_transport(raw_server(scripted({step: answer})))
        [result] = transport.send(make_mail(), [ANNA]).values()
        sent.append((result.state, result.ambiguous, len(result.error) < 400))
    dead = code == "550" and step in {"rcpt", "data", "content"}
    state = DeliveryState.SENT if code == "250" else DeliveryState.DEAD if dead else DeliveryState.DEFERRED
    assert sent == [(state, False, True)] * 6


def test_what_is_no_answer_in_smtp_is_told_as_it_was_said(raw_server, make_transport, make_mail):
    for said, shown in (("SSH-2.0-OpenSSH_9.6", "SSH-2.0-OpenSSH_9.6"), ("", "an empty line"), ("25", "25")):
        words = make_transport(raw_server(scripted({"greeting": said}))).check()
        assert f"does not speak SMTP, it said: {shown}; check SMTP_HOST and SMTP_PORT" in words
        [result] = make_transport(raw_server(scripted({"rcpt": said}))).send(make_mail(), [ANNA]).values()
        assert (result.state, result.ambiguous) == (DeliveryState.DEFERRED, False)
        assert result.error.endswith(f"gave no answer in SMTP, it said: {shown}")


def test_a_silence_after_the_content_ends_at_the_deadline_in_doubt(raw_server, make_transport, make_mail):
    def talk(connection, ended):
        for answer in (b"220 hi", b"250 hi", b"250 OK", b"250 OK", b"354 go on"):
            connection.sendall(answer + b"\r\n")
            connection.recv(100_000)
        ended.wait(5)

    [result] = make_transport(raw_server(talk), total_timeout=0.3).send(make_mail(), [ANNA]).values()
    assert (result.state, result.ambiguous) == (DeliveryState.DEFERRED, True)
    assert result.error.endswith("was not done within 0.3 s; the server may have taken the mail")


@pytest.mark.long
@pytest.mark.parametrize("reads", [True, False])
def test_a_large_mail_has_time_for_a_slow_line(raw_server, make_transport, small_mail, monkeypatch, reads):
    def talk(connection, ended):
        for answer in (b"220 hi", b"250 hi", b"250 OK", b"250 OK", b"354 go on"):
            connection.sendall(answer + b"\r\n")
            line = connection.recv(1000)
        if not reads:
            ended.wait(5)
            return
        time.sleep(1.5)
        while not line.endswith(b"\r\n.\r\n"):
            line = line[-10:] + connection.recv(1_000_000)
        connection.sendall(b"250 taken\r\n")

    large = replace(small_mail, message=small_mail.message + b"x" * 12_000_000)
    monkeypatch.setattr("runner.delivery.connection._SLOWEST_LINE", 1_000_000 if reads else 12_000_000)
    began = time.monotonic()
    [result] = make_transport(raw_server(talk), total_timeout=1.2).send(large, [ANNA]).values()
    assert (result.state is DeliveryState.SENT, result.ambiguous) == (reads, False)
    assert reads or result.error.endswith("was not done within 2.2 s")
    assert time.monotonic() - began < 5


@pytest.mark.long
def test_a_server_that_takes_its_time_to_answer_gets_a_mail_few_times(
    inbox, make_server, make_transport, make_mail
):
    inbox.answers_after = 1.5
    transport = make_transport(make_server(), total_timeout=0.5)
    attempts = [transport.send(make_mail(), [ANNA])[ANNA] for _ in range(3)]
    assert [one.state.value for one in attempts] == ["deferred", "deferred", "sent"]
    assert [one.ambiguous for one in attempts] == [True, True, False]
    assert attempts[1].error.endswith("was not done within 1 s; the server may have taken the mail")


@pytest.mark.parametrize("answer", ["454 not now", "554 never"])
def test_a_refused_starttls_gives_no_mail_up(raw_server, make_transport, make_mail, answer):
    port = raw_server(scripted({"ehlo": "250-hi\r\n250 STARTTLS", "starttls": answer}))
    [result] = make_transport(port, use_tls=True).send(make_mail(), [ANNA]).values()
    assert result.state is DeliveryState.DEFERRED
    assert result.error.endswith(f"does not want to talk: {answer}")


def test_lines_that_begin_with_a_dot_arrive_as_they_are(inbox, make_server, make_transport, small_mail):
    message = small_mail.message + b".\r\n..\r\n.end"
    make_transport(make_server()).send(replace(small_mail, message=message), [ANNA])
    assert inbox.envelopes[0].original_content == message + b"\r\n"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("reports.example.com", "reports.example.com"),
        ("reports", "[127.0.0.1]"),
        ("my_app.example.com", "[127.0.0.1]"),
        ("büro.example.com", "[127.0.0.1]"),
        ("-a.example.com", "[127.0.0.1]"),
        ("example.com.", "[127.0.0.1]"),
    ],
)
def test_the_server_is_greeted_by_a_name_that_it_can_take(
    inbox, make_server, make_transport, make_mail, monkeypatch, name, told
):
    port = make_server()
    monkeypatch.setattr("runner.delivery.connection.socket.gethostname", lambda: name)
    make_transport(port).send(make_mail(), [ANNA])
    assert inbox.sessions[0].host_name == told


@pytest.mark.long
def test_a_burst_of_mails_uses_one_connection(inbox, make_server, make_transport, make_mail):
    transport = make_transport(make_server())
    inbox.answers = {BERT: "550 no such user"}
    for number in range(30):
        transport.send(make_mail(run_id=f"run{number}"), [ANNA, BERT])
    # Else the end of each content would wait 40 ms for the acknowledgement of the rest.
    assert transport._connection.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert len({id(session) for session in inbox.sessions}) == 1
    transport.close()
    transport.send(make_mail(run_id="later"), [ANNA])
    assert len({id(session) for session in inbox.sessions}) == 2
    assert len(inbox.envelopes) == 31


@pytest.mark.long
def test_an_idle_connection_that_the_server_closed_is_opened_again(inbox, make_server, make_transport, make_mail):
    transport = make_transport(make_server(timeout=0.2))
    transport.send(make_mail(run_id="one"), [ANNA])
    time.sleep(0.5)
    assert states(transport.send(make_mail(run_id="two"), [ANNA])) == {ANNA: "sent"}
    assert len(inbox.envelopes) == 2


def test_addresses_outside_ascii(inbox, make_server, make_transport, make_mail):
    recipients = ["jürgen@example.com", "anna@müller.example"]
    results = make_transport(make_server(enable_SMTPUTF8=True)).send(make_mail(), recipients)
    assert states(results) == dict.fromkeys(recipients, "sent")
    assert inbox.envelopes[0].rcpt_tos == ["jürgen@example.com", "anna@xn--mller-kva.example"]


@pytest.mark.parametrize(
    ("domain", "on_the_wire"), [("faß.example", "xn--fa-hia.example"), ("βόλος.example", "xn--nxasmm1c.example")]
)
def test_a_domain_is_never_turned_into_another_one(
    inbox, make_server, make_transport, make_mail, domain, on_the_wire
):
    recipient = f"anna@{domain}"
    results = make_transport(make_server()).send(make_mail(consumer_emails=(recipient,)), [recipient])
    assert states(results) == {recipient: "sent"}
    assert inbox.envelopes[0].rcpt_tos == [f"anna@{on_the_wire}"]
    assert f"To: anna@{on_the_wire}".encode() in inbox.envelopes[0].original_content


def test_without_smtputf8_only_such_an_address_is_dead(inbox, make_server, make_transport, make_mail):
    port = make_server(enable_SMTPUTF8=False)
    results = make_transport(port).send(make_mail(), ["jürgen@example.com", ANNA, "anna@müller.example"])
    assert states(results) == {"jürgen@example.com": "dead", ANNA: "sent", "anna@müller.example": "sent"}
    assert "SMTPUTF8" in results["jürgen@example.com"].error


def test_an_authority_file_that_cannot_be_used_stops_the_start(tmp_path):
    (tmp_path / "bad.pem").write_text("no certificate")
    for name in ("absent.pem", "bad.pem"):
        with pytest.raises(SettingsError, match="SMTP_CA_FILE"):
            SmtpTransport(SmtpSettings(host="mail.example.com", ca_file=tmp_path / name))


def test_describes_where_mails_go():
    assert (
        SmtpTransport(SmtpSettings(host="mail.example.com")).describe()
        == "sent by mail.example.com:587 (STARTTLS)"
    )
    assert SmtpTransport(SmtpSettings(host="m", port=465)).describe() == "sent by m:465 (TLS)"
    assert (
        SmtpTransport(SmtpSettings(host="m", port=25, use_tls=False)).describe() == "sent by m:25 (no encryption)"
    )


def test_the_check_of_a_good_server_sends_nothing(inbox, make_server, make_transport, server_tls, ca_file):
    port = make_server(tls_context=server_tls, require_starttls=True, auth=True)
    transport = make_transport(port, use_tls=True, ca_file=ca_file, user="robot", password=PASSWORD)
    assert transport.check() == ""
    assert inbox.sessions == []


@pytest.mark.long
def test_the_check_tells_what_is_wrong_and_what_to_do(
    make_server, make_transport, server_tls, ca_file, raw_server, monkeypatch
):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        closed = listening.getsockname()[1]
    plain, secure = make_server(), make_server(tls_context=server_tls, auth=True)
    login = {"ca_file": ca_file, "user": "robot"}
    found = {
        "refused": make_transport(closed).check(),
        "name": make_transport(587, host="no such host").check(),
        "bad name": make_transport(587, host="mail..example").check(),
        "stripped": make_transport(plain, use_tls=True).check(),
        "login": make_transport(secure, use_tls=True, password="wröng-password", **login).check(),
        "no login": make_transport(plain, user="robot", password="x1234").check(),
        "mute": make_transport(raw_server(lambda _, ended: ended.wait(5)), total_timeout=0.2).check(),
        "drop": make_transport(raw_server(lambda *_: None)).check(),
        "never": make_transport(raw_server(scripted({"greeting": "554 not you"}))).check(),
    }
    monkeypatch.setattr("runner.delivery.connection.IMPLICIT_TLS_PORT", plain)
    found["no tls"] = make_transport(plain, use_tls=True).check()
    monkeypatch.setattr("runner.delivery.connection.Connection._peer_is_this_machine", lambda self: False)
    found["open login"] = make_transport(secure, password=PASSWORD, **login).check()
    for case, words in {
        "refused": f"no connection to 127.0.0.1:{closed}: Connection refused; check SMTP_HOST and SMTP_PORT",
        "name": "the name of no such host:587 cannot be found",
        "bad name": "mail..example:587",
        "stripped": "the server offers no STARTTLS, and the mail is not sent in the clear; use a port with TLS",
        "login": "check SMTP_USER and SMTP_PASSWORD",
        "no login": "it offers no way to log in; set no SMTP_USER if it needs none",
        "mute": "was not done within 0.2 s; check SMTP_HOST and SMTP_PORT",
        "drop": "hung up before it was ready for a mail; check SMTP_HOST and SMTP_PORT",
        "never": "does not want to talk: 554 not you",
        "no tls": "does not speak TLS as it should: WRONG_VERSION_NUMBER; check SMTP_PORT",
        "open login": "the password is not sent without TLS; set SMTP_USE_TLS=true, or no SMTP_USER",
    }.items():
        assert words in found[case], case
        assert "\n" not in found[case]
        assert "wröng" not in found[case]


def test_a_fault_of_ours_defers_the_mail_and_spoils_no_other(
    inbox, make_server, make_transport, small_mail, caplog
):
    transport = make_transport(make_server())
    [result] = transport.send(replace(small_mail, message=None), [ANNA]).values()
    assert (result.state, result.ambiguous) == (DeliveryState.DEFERRED, False)
    assert "met something unforeseen" in caplog.text
    assert states(transport.send(small_mail, [ANNA])) == {ANNA: "sent"}
    assert inbox.envelopes[0].original_content == small_mail.message
