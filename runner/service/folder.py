"""The folder of jobs as the service sees it: scanned, checked, and advanced into a Catalog."""

import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from runner.core.catalog import Catalog, CatalogChange, CatalogEntry, CheckedFile, SyncState, advance, restore
from runner.core.diagnostic import Severity
from runner.core.job import Job
from runner.core.words import counted
from runner.errors import ThreadError
from runner.jobfiles.defaults import job_defaults
from runner.jobfiles.emptiness import KEEP_FILE
from runner.jobfiles.lint.query import find_query_faults
from runner.jobfiles.lint.query_process import QueryProcess
from runner.jobfiles.lint.step_fault import FindFault
from runner.jobfiles.load import JobFolder
from runner.jobfiles.walk import FolderGoneError
from runner.jobfiles.watch import QUIET_SECONDS, FolderWatcher, RescanClock
from runner.service.reading import Reading
from runner.settings import Settings

log = logging.getLogger(__name__)

# A reading that takes longer is told of: ten thousand files that are all new take a third of it.
STUCK_SECONDS = 30.0
_LAST_WAIT_SECONDS = 2.0
# How often a stop is looked for meanwhile.
_WAIT_SECONDS = 0.1


def open_folder(settings: Settings, query_fault: FindFault = find_query_faults) -> JobFolder:
    """The job folder of these settings, with their defaults for the jobs in it."""
    return JobFolder(
        settings.jobs_dir,
        settings.project_dir,
        job_defaults(settings),
        query_fault=query_fault,
    )


class _Found(NamedTuple):
    """What a folder holds, and how long it took to read: not how long that waited to be taken in. `written` is
    when the newest of the files was that are new or changed: seconds as `monotonic`, as far as clocks agree."""

    files: tuple[CheckedFile, ...]
    seconds: float
    written: float | None


class CatalogKeeper:
    """Keeps the Catalog in step with the folder. For one thread, but for `trouble` and `catalog`.

    Args:
        on_hint: called from the watcher's thread when something in the folder may have changed.
        on_read: called from another thread when `follow` has something to take in.
        monotonic: seconds; only differences count.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        on_hint: Callable[[], None],
        on_read: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queries = QueryProcess()
        self._folder = open_folder(settings, self._queries.find_faults)
        self._jobs_dir = settings.jobs_dir
        self._watcher = FolderWatcher(settings.jobs_dir, on_hint)
        self._on_read = on_read
        self._rescan = RescanClock()
        self._monotonic = monotonic
        self._reading: Reading[_Found] | None = None
        self._reading_since = 0.0
        # Since when there may be something that no reading has looked at, and that which the last one has.
        self._noticed: float | None = None
        self._looked_at = monotonic()
        # When the last reading began that has been taken in: what is new since is younger than that.
        self._known_since = self._looked_at
        # That it does not answer is told once.
        self._told = False
        # Readings are counted: the one that was asked for, those that have begun, and those that have ended.
        self._asked = self._begun = self._ended = 0
        self._unread: FolderGoneError | ThreadError | None = None
        self._emptied = False
        self._started = False
        self._files: tuple[CheckedFile, ...] | None = None
        self._pending = False
        self.catalog = Catalog()

    @property
    def trouble(self) -> str:
        """Why edits do not come into force: the folder does not answer, is gone, cannot be read now, or holds no
        job file all at once; empty while they do."""
        if self._stuck:
            return (
                f"the folder {self._jobs_dir} does not answer, or where a script or query of a job lies: jobs run "
                "as they were, and no edit is in force"
            )
        if self._unread is not None:
            gone = isinstance(self._unread, FolderGoneError)
            return f"the folder {self._jobs_dir} {'is gone' if gone else f'is not read: {self._unread.message}'}"
        return emptied_words(self._jobs_dir) if self._emptied else ""

    @property
    def _stuck(self) -> bool:
        reading = self._reading
        under_way = reading is not None and not reading.ended
        return under_way and self._monotonic() - self._reading_since > STUCK_SECONDS

    def begin(self, remembered: Mapping[str, Job]) -> None:
        """Go on from the jobs (path → job) that an earlier service left, and begin to read the folder."""
        self.catalog = restore(remembered)
        self.ask()
        self.follow()

    def take_in(self, stop_asked: Callable[[], bool] = lambda: False) -> None:
        """Wait for what `begin` reads, and move the catalog on by it.

        A folder that is gone, mounted late say, leaves the jobs of the earlier service in force, and so does one
        that does not answer; with that one, or when a stop is asked for, nobody waits for long.

        Raises:
            FolderGoneError: there is no folder, and no job to go on with.
            ThreadError: it cannot be read now, and there is no job to go on with.
        """
        change = self._await(stop_asked)
        if self._unread is not None and not self.catalog.jobs:
            raise self._unread
        self._started = True
        if self._pending:
            # Looked at twice before anything runs, so that a job removed while no service ran does not run again.
            time.sleep(QUIET_SECONDS)
            change = self.rescan(stop_asked) or change
        if not change:
            log.info("%s in force, as the last service left them", counted(len(self.catalog.jobs), "job"))

    def stop(self) -> None:
        """Stop watching."""
        if self._reading is not None:
            self._reading.wait(_LAST_WAIT_SECONDS)
        self._watcher.stop()

    def hint(self) -> None:
        """Something may have changed: rescan when it is quiet."""
        now = self._monotonic()
        if self._noticed is None:
            self._noticed = now
        self._rescan.hint(now)

    def ask(self) -> int:
        """Rescan at once; one that is under way may have passed what is meant. The number of the rescan, for
        `answered`."""
        # Where this one fails, the next is due soon.
        self.hint()
        self._asked = self._begun + 1
        return self._asked

    def answered(self, number: int) -> bool:
        """Whether the rescan of this number, which was asked for, need not be waited for: it has ended, or the
        folder does not answer."""
        return self._ended >= number or self._stuck

    def seconds_since_change(self) -> float:
        """How long ago what `follow` has taken in last was written, as far as anybody knows: when something was
        noticed, or, as where no event tells of it, when the file says; not before the reading before."""
        return self._monotonic() - self._looked_at

    def seconds_to_rescan(self) -> float:
        """How long until `follow` has something to do; while the folder is read, whoever reads it says so."""
        if self._reading is not None:
            return 0.0 if self._reading.ended else math.inf
        now = self._monotonic()
        return 0.0 if self._asked > self._begun else max(0.0, self._rescan.next_time(now) - now)

    def follow(self) -> CatalogChange:
        """Begin to read the folder when a hint has settled, or it is time; once it has been read, move the
        catalog on. Waits for no file system: what is due goes on meanwhile.
        """
        reading = self._reading
        if reading is None:
            now = self._monotonic()
            if self._asked > self._begun or self._rescan.due(now):
                # First since when: other threads ask whether it is stuck.
                self._reading_since = now
                self._looked_at, self._noticed = now if self._noticed is None else self._noticed, None
                self._reading = Reading(self._read, on_end=self._on_read)
                self._begun += 1
            return CatalogChange()
        if not reading.ended:
            if self._stuck and not self._told:
                self._told = True
                log.error("%s", self.trouble)
            return CatalogChange()
        if self._told:
            self._told = False
            log.info("The folder %s answers again", self._jobs_dir)
        self._reading, self._ended = None, self._begun
        change = self._settle(reading.outcome, self._reading_since)
        if self._folder.unsettled and self._unread is None:
            # Nothing was looked at: whoever waits, waits for the next one, which is due soon.
            self._ended -= 1
        return change

    def rescan(self, stop_asked: Callable[[], bool] = lambda: False) -> CatalogChange:
        """Read the folder and move the catalog on, now. A folder that is gone keeps everything; with one that does
        not answer, or when a stop is asked for, it is left to `follow`."""
        self.ask()
        self.follow()
        return self._await(stop_asked)

    def _await(self, stop_asked: Callable[[], bool]) -> CatalogChange:
        """Wait for the reading that is under way, and take it in."""
        while self._reading is not None and not (self._reading.ended or self._stuck or stop_asked()):
            self._reading.wait(_WAIT_SECONDS)
        return self.follow()

    def _read(self) -> _Found:
        began = self._monotonic()
        self._watcher.ensure(began)
        try:
            files = self._folder.scan()
        finally:
            self._queries.close()
        ended, ago = self._monotonic(), self._folder.newest_change
        written = None if ago is None else ended - ago
        return _Found(files, ended - began, written)

    def _settle(self, read: Callable[[], _Found], started: float) -> CatalogChange:
        try:
            files, seconds, written = read()
        except (FolderGoneError, ThreadError) as error:
            # At a start without any job it is the caller of `take_in` who says so.
            if not self._unread and (self.catalog.jobs or self._started):
                log.error("%s; every job keeps running as it was. %s", error.message, error.hint)
            self._unread = error
            self._rescan.done(started)
            return CatalogChange()
        if self._unread:
            log.info("The folder %s is read again", self._jobs_dir)
            self._unread = None
        if self._folder.unsettled:
            # Nothing was looked at: what was missed once is not missed twice by this.
            self._noticed = self._looked_at
            self._rescan.done(started)
            self._rescan.hint(self._monotonic())
            return CatalogChange()
        if written is not None:
            self._looked_at = min(self._looked_at, max(written, self._known_since))
        self._known_since = started
        if self._keeps_all(files):
            self._rescan.done(started)
            return CatalogChange()
        if files is self._files and not self._pending:
            self._rescan.done(started, cost=seconds)
            return CatalogChange()
        self._files = files
        self.catalog, change = advance(self.catalog, files)
        self._rescan.done(started)
        self._pending = any(entry.sync is SyncState.REMOVED_PENDING for entry in self.catalog.entries)
        if self._pending:
            # A deletion must be seen twice: look again soon.
            self._rescan.hint(self._monotonic())
        if change:
            log_change(self.catalog, change, seconds=seconds)
        return change

    def _keeps_all(self, files: tuple[CheckedFile, ...]) -> bool:
        """Whether every job goes on as it was, because the folder holds none of them and does not say that this is
        meant."""
        before = self._emptied
        self._emptied = not files and bool(self.catalog.jobs) and not self._folder.empty_on_purpose
        if self._emptied and not before:
            log.error("%s", emptied_words(self._jobs_dir))
        elif before and files:
            log.info("The folder %s holds job files again", self._jobs_dir)
        return self._emptied


def emptied_words(jobs_dir: Path) -> str:
    """That a folder holds no job file all at once, and what to do."""
    return (
        f"the folder {jobs_dir} holds no job file any more: every job stays in force as it was. "
        f"Where it is a mount, see whether it is there; if there is to be no job, put a file {KEEP_FILE} into it"
    )


def log_change(catalog: Catalog, change: CatalogChange, *, seconds: float) -> None:
    """Say what a rescan changed, one line each, at most twenty of a kind."""
    log.info(
        "Catalog generation %d: %s in force, loaded in %.0f ms",
        catalog.generation,
        counted(len(catalog.jobs), "job"),
        seconds * 1000,
    )
    for word, names in (
        ("added", change.added),
        ("changed", change.changed),
        ("removed", change.removed),
        ("suspended", change.suspended),
        ("resumed", change.resumed),
    ):
        _log_names(catalog, word, names)
    entries = {entry.path: entry for entry in catalog.entries}
    for path in change.broken[:20]:
        _log_broken(entries[path])
    if len(change.broken) > 20:
        log.error("… and %d more invalid files: runner validate lists them", len(change.broken) - 20)
    for path in change.mended[:20]:
        log.info("%s is valid again", path)


def _log_names(catalog: Catalog, word: str, names: tuple[str, ...]) -> None:
    for name in names[:20]:
        job = catalog.jobs.get(name)
        detail = f": {job.schedule_words} {job.timezone}, from {job.path}" if job else ""
        suspended = " (suspended)" if job and job.suspend and word == "added" else ""
        log.info("Job %s %s%s%s", name, word, detail, suspended)
    if len(names) > 20:
        log.info("… and %d more jobs %s", len(names) - 20, word)


def _log_broken(entry: CatalogEntry) -> None:
    kept = "its last good version keeps running" if entry.job else "the file has no good version to run"
    log.error("%s is invalid; %s", entry.path, kept)
    for found in entry.diagnostics[:5]:
        if found.severity is Severity.ERROR:
            log.error("%s%s", found, f" ({found.hint})" if found.hint else "")
