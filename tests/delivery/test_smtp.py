import logging
import time

import pytest

from runner.core.delivery import DeliveryState
from runner.delivery.smtp import SmtpTransport
from runner.errors import SettingsError
from runner.settings import SmtpSettings

ANNA, BERT = "anna@example.com", "bert@example.org"
PASSWORD = "s3cret-passwörd"


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


def test_a_certificate_for_another_name_is_refused(
    inbox, make_server, make_transport, make_mail, authority, ca_file
):
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("mail.example.com").configure_cert(context)
    port = make_server(tls_context=context)
    [result] = make_transport(port, use_tls=True, ca_file=ca_file).send(make_mail(), [ANNA]).values()
    assert "is not accepted" in result.error
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
        connection.sendall(b"535 not good: my-password " + line)

    transport = make_transport(raw_server(talk), user="robot", password="my-password")
    [result] = transport.send(make_mail(), [ANNA]).values()
    assert result.error.endswith("535 not good: *** AUTH PLAIN ***")


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


def test_one_refused_recipient_does_not_hold_the_others(inbox, make_server, make_transport, make_mail, caplog):
    inbox.answers = {BERT: "550 no such user", "cleo@example.com": "451 greylisted"}
    results = make_transport(make_server()).send(make_mail(), [ANNA, BERT, "cleo@example.com"])
    assert states(results) == {ANNA: "sent", BERT: "dead", "cleo@example.com": "deferred"}
    assert results[BERT].error == "550 no such user"
    assert results["cleo@example.com"].error == "451 greylisted"
    assert "refused for good for bert@example.org: 550 no such user" in caplog.text


def test_all_recipients_refused(inbox, make_server, make_transport, make_mail):
    inbox.answers = {ANNA: "550 no", BERT: "452 full"}
    results = make_transport(make_server()).send(make_mail(), [ANNA, BERT])
    assert states(results) == {ANNA: "dead", BERT: "deferred"}


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
    assert results[ANNA].error == data_answer


def test_a_server_that_wants_a_login_is_no_reason_to_give_up(inbox, make_server, make_transport, make_mail):
    inbox.mail_answer = "530 5.7.0 Authentication required"
    assert states(make_transport(make_server()).send(make_mail(), [ANNA])) == {ANNA: "deferred"}


def test_a_mail_too_large_for_the_server_is_dead_with_the_reason(make_server, make_transport, make_mail):
    results = make_transport(make_server(data_size_limit=100)).send(make_mail(), [ANNA])
    assert results[ANNA].state is DeliveryState.DEAD
    assert results[ANNA].error.startswith("552")


def test_a_connection_dropped_after_the_content_may_have_arrived(inbox, make_server, make_transport, make_mail):
    inbox.drop_after_data = True
    [result] = make_transport(make_server()).send(make_mail(), [ANNA]).values()
    assert result.state is DeliveryState.DEFERRED
    assert "the server may have taken the mail" in result.error


def test_no_server_at_all_is_deferred(raw_server, make_transport, make_mail):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    [result] = make_transport(port).send(make_mail(), [ANNA]).values()
    assert (result.state, result.error) == (
        DeliveryState.DEFERRED,
        f"no connection to 127.0.0.1:{port}: Connection refused",
    )


def test_a_greeting_that_refuses_is_deferred(raw_server, make_transport, make_mail):
    port = raw_server(lambda connection, ended: connection.sendall(b"554 not you\r\n"))
    [result] = make_transport(port).send(make_mail(), [ANNA]).values()
    assert result.state is DeliveryState.DEFERRED
    assert result.error.endswith("does not want to talk: 554 not you")


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


def test_a_burst_of_mails_uses_one_connection(inbox, make_server, make_transport, make_mail):
    transport = make_transport(make_server())
    for number in range(3):
        transport.send(make_mail(run_id=f"run{number}"), [ANNA])
    assert len({id(session) for session in inbox.sessions}) == 1
    transport.close()
    transport.send(make_mail(run_id="later"), [ANNA])
    assert len({id(session) for session in inbox.sessions}) == 2
    assert len(inbox.envelopes) == 4


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
