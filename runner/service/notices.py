"""Telling people about a mail that came to nothing."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from runner.core.delivery import Delivery, DeliveryState, Mail
from runner.core.job import Job
from runner.service.composer import Composer
from runner.store.reader import StoreReader


class Notices:
    """What the outbox asks for the mail about one that is dead or held. Safe to use from several threads.

    Args:
        jobs: the jobs of now, by name; a mail of one that is gone says itself who is told.
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

    def __call__(self, mail: Mail, ended: Sequence[Delivery]) -> Mail | None:
        """The mail; None where nobody is left to be told.

        Args:
            ended: the deliveries of `mail` that have come to nothing now.

        Raises:
            StoreError: the other deliveries of the run cannot be read.
        """
        run = self._store.run(mail.run_id)
        dead = [one for one in run.deliveries if one.state is DeliveryState.DEAD] if run is not None else []
        return self._composer.of_undelivered(
            mail, ended, job=self._jobs().get(ended[0].job_name), at=self._clock(), failed_before=dead
        )
