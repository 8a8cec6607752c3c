"""Telling the owner of a job about a mail that came to nothing."""

from collections.abc import Callable, Mapping
from datetime import datetime

from runner.core.delivery import Delivery, Mail, SendResult
from runner.core.job import Job
from runner.service.composer import Composer
from runner.store.reader import StoreReader


class Notices:
    """What the outbox asks for the mail about a delivery that is dead or held. Safe to use from several threads.

    Args:
        jobs: the jobs of now, by name; a job that is gone has nobody who is told.
    """

    def __init__(
        self,
        *,
        store: StoreReader,
        composer: Composer,
        jobs: Callable[[], Mapping[str, Job]],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._composer = composer
        self._jobs = jobs
        self._clock = clock

    def __call__(self, delivery: Delivery, result: SendResult) -> Mail | None:
        """The mail; None where nobody is left to be told.

        Raises:
            StoreError: the mail that came to nothing cannot be read.
        """
        job = self._jobs().get(delivery.job_name)
        found = self._store.delivery_mail(delivery.delivery_id)
        if job is None or found is None:
            return None
        return self._composer.of_undelivered(
            delivery, subject=found[1].subject, error=result.error, job=job, at=self._clock()
        )
