"""The outbox with the store and the server it has in the service."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from runner.core.run import RunState
from runner.delivery.compose import compose
from runner.delivery.outbox import Outbox
from runner.store import Store

NOON = datetime(2025, 11, 9, 13, 0, tzinfo=UTC)


def test_what_is_not_delivered_before_a_restart_is_delivered_after_it(
    tmp_path, make_report, inbox, make_server, make_transport
):
    report = make_report()
    transport = make_transport(make_server())
    inbox.answers = {"bert@example.org": "451 later"}
    now = NOON + timedelta(minutes=1)
    for expected in (["sent", "deferred"], ["sent", "sent"]):
        store = Store.open(tmp_path / "runner.db")
        try:
            if not inbox.envelopes:
                store.add_run(replace(report.run, state=RunState.QUEUED, started_at=None, finished_at=None))
                store.mark_running(report.run.run_id, NOON)
                mail = compose(report, sender="runner@example.com", message_domain="example.com")
                store.finish_run(report.run, (mail,))
            Outbox(store, transport, clock=lambda moment=now: moment, random=lambda: 0.5).drain_once()
            deliveries = store.run(report.run.run_id).deliveries
        finally:
            store.close()
        assert [delivery.state.value for delivery in deliveries] == expected
        inbox.answers = {}
        now += timedelta(hours=1)
    assert [envelope.rcpt_tos for envelope in inbox.envelopes] == [["anna@example.com"], ["bert@example.org"]]
    assert inbox.envelopes[0].original_content == inbox.envelopes[1].original_content == mail.message
