"""What every transport keeps to: the folder stands in for the server wherever no server is set."""

import pytest

from runner.core.delivery import DeliveryState
from runner.delivery.folder import MailFolder
from runner.delivery.transport import Transport


@pytest.fixture(params=["folder", "smtp"])
def kept(request, tmp_path, inbox, make_server, make_transport):
    """A transport, and a function that gives the messages it has taken away."""
    if request.param == "folder":
        transport = MailFolder(tmp_path / "mail")
        return transport, lambda: [path.read_bytes() for path in sorted((tmp_path / "mail").glob("*.eml"))]
    transport = make_transport(make_server())
    return transport, lambda: [envelope.original_content for envelope in inbox.envelopes]


def test_takes_the_mail_away_as_it_is(kept, make_mail):
    transport: Transport = kept[0]
    mail = make_mail()
    results = transport.send(mail, mail.recipients)
    assert set(results) == set(mail.recipients)
    assert {result.state for result in results.values()} == {DeliveryState.SENT}
    assert {result.error for result in results.values()} == {""}
    assert kept[1]() == [mail.message]


def test_some_of_the_recipients(kept, make_mail):
    mail = make_mail()
    assert set(kept[0].send(mail, mail.recipients[:1])) == set(mail.recipients[:1])


def test_nobody_is_nothing_to_do(kept, make_mail):
    assert kept[0].send(make_mail(), []) == {}
    assert kept[1]() == []


def test_goes_on_after_close(kept, make_mail):
    transport, messages = kept
    for run_id in ("one", "two"):
        transport.send(make_mail(run_id=run_id), ["anna@example.com"])
        transport.close()
        transport.close()
    assert len(messages()) == 2


def test_says_where_mails_go(kept):
    description = kept[0].describe()
    assert description
    assert "\n" not in description
