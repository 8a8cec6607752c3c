from dataclasses import replace

import pytest

from runner.core.delivery import DeliveryAttempt, DeliveryState, Mail, MailKind, SendResult
from runner.core.run import RunState, Trigger
from runner.service.composer import Composer
from runner.service.notices import Notices

PEOPLE = ("a@example.com", "b@example.com", "c@example.com")
DEAD = SendResult(state=DeliveryState.DEAD, error="550 no such user")


@pytest.fixture
def make_notices(store, clock):
    return lambda *jobs: Notices(
        store=store,
        composer=Composer("r@example.com"),
        jobs=lambda: {job.job_name: job for job in jobs},
        clock=clock,
    )


@pytest.fixture
def come_to_nothing(desk, store, make_job, clock):
    """A mail to three people with the deliveries that are dead, as many as wanted."""

    def make(count, **changes):
        run = desk.new_run(make_job(), trigger=Trigger.MANUAL, scheduled_time=clock.now)
        store.record_fires([run], [])
        store.mark_running(run.run_id, clock.now)
        mail = Mail(
            run_id=run.run_id,
            kind=MailKind.RESULTS,
            message_id="<one@example.com>",
            sender="r@example.com",
            recipients=PEOPLE,
            subject="Job Results",
            message=b"MIME",
            **changes,
        )
        ended, _ = store.finish_run(replace(run, state=RunState.SUCCEEDED, finished_at=clock.now), (mail,))
        return mail, store.record_attempts(
            [
                DeliveryAttempt(delivery_id=one.delivery_id, result=DEAD, at=clock.now)
                for one in ended.deliveries[:count]
            ]
        )

    return make


def test_a_mail_of_a_job_that_was_removed_is_told_of(make_notices, come_to_nothing):
    notice = make_notices()(*come_to_nothing(1, notify=("owner@example.com",)))
    assert notice.recipients == ("owner@example.com",)
    assert notice.subject == "Mail Undelivered: report - 2026-03-02 12:00:00"


def test_a_job_that_is_there_lends_its_path_and_its_zone(make_notices, come_to_nothing, make_job):
    job = make_job(timezone="Asia/Tokyo")
    notice = make_notices(job)(*come_to_nothing(1, notify=("owner@example.com",)))
    assert notice.subject == "Mail Undelivered: report - 2026-03-02 21:00:00"
    assert b"jobs.d/report.yaml" in notice.message


def test_addresses_that_are_dead_already_are_not_told(make_notices, come_to_nothing):
    mail, dead = come_to_nothing(2, notify=PEOPLE)
    assert make_notices()(mail, dead[1:]).recipients == ("c@example.com",)
