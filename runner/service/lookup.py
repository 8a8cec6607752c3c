"""The jobs of the folder, without a service: as one that is started now would have them."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from types import MappingProxyType
from typing import TYPE_CHECKING

from runner.core.catalog import Catalog, CatalogEntry, advance, restore
from runner.core.diagnostic import Severity
from runner.core.job import Job
from runner.core.names import claimed_name, unnamed_words
from runner.errors import RunnerError, StoreError, UsageError
from runner.jobfiles.emptiness import is_empty_on_purpose
from runner.jobfiles.files import WorkingFiles
from runner.jobfiles.walk import SilentFolderError, require_answer
from runner.service.folder import STUCK_SECONDS, emptied_words, open_folder
from runner.service.reading import Reading
from runner.settings import Settings

if TYPE_CHECKING:
    # To import the database takes as long as all else that a look at the folder does: only what asks it does so.
    from runner.store.reader import StoreReader

_FIRST_JOB = "runner init makes a first one."


def read_catalog(settings: Settings, remembered: Mapping[str, Job] = MappingProxyType({})) -> Catalog:
    """The jobs of the folder as a service started now would load them.

    Args:
        remembered: path → job of those that a service has left in force: a file that is not valid goes on with its
            last good version. Without them, the folder speaks for itself.

    Raises:
        FolderGoneError: there is no folder, or it cannot be listed.
        SilentFolderError: it does not answer.
        ThreadError: no thread can be started for it.
    """
    require_answer(settings.jobs_dir)
    # In a thread: Ctrl-C does not wake who waits for a file system.
    reading = Reading(open_folder(settings).scan)
    reading.wait(STUCK_SECONDS)
    if not reading.ended:
        raise SilentFolderError(settings.jobs_dir, STUCK_SECONDS)
    files = reading.outcome()
    catalog = restore(remembered)
    # A file that is gone has to be missed twice.
    for _ in range(2 if remembered else 1):
        catalog, _change = advance(catalog, files)
    return catalog


def find_job(settings: Settings, job_name: str) -> Job:
    """The valid job of this name.

    Raises:
        UsageError, RunnerError: as `job_of`.
    """
    return job_of(settings, read_catalog(settings), job_name)


def job_of(settings: Settings, catalog: Catalog, job_name: str) -> Job:
    """The valid job of this name, or in the file of this path, among those of the folder.

    Raises:
        UsageError: there is none; the hint names the nearest, and the files that may hold it, or says that the
            folder is empty all at once.
        RunnerError: its file is not valid; the message is its first finding.
    """
    job = catalog.jobs.get(job_name)
    if job is not None:
        return job
    for entry in catalog.entries:
        if job_name == entry.path and entry.job is not None:
            return entry.job
        if job_name in (claimed_name(entry.job_name, entry.path), entry.path):
            found = next(one for one in entry.diagnostics if one.severity is Severity.ERROR)
            raise RunnerError(str(found), hint=found.hint or "runner validate shows every finding.")
    hint = f"{nearest_words(job_name, catalog.jobs)} {_unnamed(catalog.entries)}".rstrip()
    raise UsageError(
        f"there is no job {job_name!r} in {settings.jobs_dir}",
        hint=hint if catalog.entries else empty_words(settings),
    )


def require_known(settings: Settings, job_name: str) -> str:
    """See that a job of this name is there, or was once: in the folder, in the history, or kept by a service.

    Returns:
        Where the folder holds no job file, what that means; else nothing.

    Raises:
        UsageError: there is none; the hint as that of `find_job`.
        StoreError: the history cannot be read.
    """
    from runner.store.reader import StoreReader

    with StoreReader.open_reader(settings.storage_path) as history:
        names = {*history.last_runs(), *(job.job_name for job in history.load_jobs().values())}
    empty = ""
    try:
        entries = read_catalog(settings).entries
    except RunnerError:
        # The history can be looked at where the folder cannot.
        entries = ()
    else:
        empty = "" if entries else empty_words(settings)
    names.update(claimed_name(entry.job_name, entry.path) for entry in entries)
    if job_name not in names:
        raise UsageError(
            f"there is no job {job_name!r} in {settings.jobs_dir}, and none in the history",
            hint=" ".join(filter(None, (nearest_words(job_name, names), _unnamed(entries), empty))),
        )
    return empty


def is_emptied(settings: Settings, history: "StoreReader") -> bool:
    """Whether a folder that holds no job file has lost the jobs that a service goes on with, unless that is meant.

    Raises:
        StoreError: those jobs cannot be read.
    """
    files = WorkingFiles(settings.project_dir)
    return bool(history.load_jobs()) and not is_empty_on_purpose(files, str(settings.jobs_dir))


def no_jobs_words(settings: Settings) -> str:
    """Why no job of the folder is valid, and what to do."""
    if read_catalog(settings).entries:
        return f"No valid jobs in {settings.jobs_dir}. runner validate tells why."
    return empty_words(settings)


def empty_words(settings: Settings) -> str:
    """That the folder holds no job file, what that means, and what to do: one or two sentences."""
    hint = empty_hint(settings)
    return f"No job files in {settings.jobs_dir}. {hint}" if hint == _FIRST_JOB else hint


def empty_hint(settings: Settings) -> str:
    """What it means that the folder holds no job file, and what to do."""
    from runner.store.reader import StoreReader

    with suppress(StoreError), StoreReader.open_reader(settings.storage_path) as history:
        if is_emptied(settings, history):
            words = emptied_words(settings.jobs_dir)
            return f"{words[0].upper()}{words[1:]}."
    return _FIRST_JOB


def _unnamed(entries: Iterable[CatalogEntry]) -> str:
    return unnamed_words((entry.job_name, entry.path) for entry in entries)


def nearest_words(job_name: str, names: Iterable[str]) -> str:
    """Which of `names` may have been meant, and where all of them are."""
    from difflib import get_close_matches

    near = get_close_matches(job_name, sorted(names), n=1)
    return f"Did you mean {near[0]!r}? runner list shows the jobs." if near else "runner list shows the jobs."
