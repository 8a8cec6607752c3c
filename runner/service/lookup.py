"""The jobs of the folder, without a service: as one that is started now would have them."""

from collections.abc import Iterable

from runner.core.catalog import Catalog, advance
from runner.core.diagnostic import Severity
from runner.core.job import Job
from runner.errors import RunnerError, UsageError
from runner.service.folder import open_folder
from runner.settings import Settings


def read_catalog(settings: Settings) -> Catalog:
    """The jobs of the folder as a service started now would load them."""
    catalog, _ = advance(Catalog(), open_folder(settings).scan())
    return catalog


def find_job(settings: Settings, job_name: str) -> Job:
    """The valid job of this name.

    Raises:
        UsageError: there is none; the hint names the nearest.
        RunnerError: its file is not valid; the message is its first finding.
    """
    catalog = read_catalog(settings)
    job = catalog.jobs.get(job_name)
    if job is not None:
        return job
    for entry in catalog.entries:
        if job_name == entry.path and entry.job is not None:
            return entry.job
        if job_name in (entry.job_name, entry.path):
            found = next(one for one in entry.diagnostics if one.severity is Severity.ERROR)
            raise RunnerError(str(found), hint=found.hint or "runner validate shows every finding.")
    raise UsageError(
        f"there is no job {job_name!r} in {settings.jobs_dir}", hint=nearest_words(job_name, catalog.jobs)
    )


def nearest_words(job_name: str, names: Iterable[str]) -> str:
    """Which of `names` may have been meant, and where all of them are."""
    from difflib import get_close_matches

    near = get_close_matches(job_name, sorted(names), n=1)
    return f"Did you mean {near[0]!r}? runner list shows the jobs." if near else "runner list shows the jobs."
