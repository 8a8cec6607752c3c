"""What a change of the catalog brings with it: other due times, runs that are dropped, jobs to remember."""

from collections.abc import Callable

from runner.service.folder import CatalogKeeper
from runner.service.runs import RunDesk
from runner.service.schedule import Scheduler
from runner.store.store import Store


class CatalogChanges:
    """Carries out what the folder of jobs says now, each part until it is done: the store may be away for a while.

    Args:
        on_change: called when the catalog has changed and the scheduler follows it.
    """

    def __init__(
        self,
        *,
        keeper: CatalogKeeper,
        scheduler: Scheduler,
        desk: RunDesk,
        store: Store,
        on_change: Callable[[], None],
    ) -> None:
        self._keeper = keeper
        self._scheduler = scheduler
        self._desk = desk
        self._store = store
        self._on_change = on_change
        self._saved = False
        # Jobs that were removed or suspended and may have runs that wait.
        self._gone: set[str] = set()

    def follow(self) -> None:
        """Take in what has been read of the folder, and begin to read it where it is time."""
        change = self._keeper.follow()
        if not change:
            return
        self._saved = False
        self._gone.update(change.removed, change.suspended)
        self._scheduler.apply(self._keeper.catalog, change, seconds_ago=self._keeper.seconds_since_change())
        self._on_change()

    def cancel_what_is_gone(self) -> None:
        """Drop the runs of jobs that were removed or suspended.

        Raises:
            StoreError: one cannot be dropped now.
        """
        for name in tuple(self._gone):
            job = self._keeper.catalog.jobs.get(name)
            if job is None or job.suspend:
                self._desk.cancel_queued(name, scheduled_only=job is not None)
            self._gone.discard(name)

    def save_jobs(self) -> None:
        """Remember the jobs in force for the next start, where they are not those remembered already.

        Raises:
            StoreError: they cannot be recorded now.
        """
        if self._saved:
            return
        entries = self._keeper.catalog.entries
        self._store.save_jobs({entry.path: entry.job for entry in entries if entry.job is not None})
        self._saved = True
