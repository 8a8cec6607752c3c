"""The folder of jobs, and the git repository around it."""

import os
from typing import NamedTuple

from runner.core.catalog import Catalog, SyncState
from runner.core.health import Finding
from runner.core.words import counted
from runner.errors import RunnerError
from runner.jobfiles.git.repository import GitError, clean_environment, find_root, run_git
from runner.jobfiles.walk import SilentFolderError
from runner.service.doctor.findings import problem, warning
from runner.service.lookup import empty_hint, read_catalog
from runner.settings import Settings

JOBS, GIT = "jobs", "git"


class JobsRead(NamedTuple):
    """The jobs of the folder; with a finding where it cannot be read, and whether it answers at all."""

    catalog: Catalog
    unreadable: Finding | None = None
    answers: bool = True


def read_jobs(settings: Settings) -> JobsRead:
    """The jobs of the folder, as far as it can be read."""
    try:
        return JobsRead(read_catalog(settings))
    except RunnerError as error:
        answers = not isinstance(error, SilentFolderError)
        return JobsRead(Catalog(), problem(JOBS, error.message, error.hint), answers)


def check_jobs(settings: Settings, catalog: Catalog) -> Finding:
    """How many files there are, and whether they are valid."""
    invalid = [entry.path for entry in catalog.entries if entry.sync is not SyncState.IN_FORCE]
    if not catalog.entries:
        return warning(JOBS, f"no job files in {settings.jobs_dir}", empty_hint(settings))
    suspended = sum(job.suspend for job in catalog.jobs.values())
    words = f"{len(catalog.jobs)} valid in {settings.jobs_dir}"
    if suspended:
        words += f", {suspended} of them suspended"
    if invalid:
        named = ", ".join(invalid[:3]) + (f" and {len(invalid) - 3} more" if len(invalid) > 3 else "")
        return problem(JOBS, f"{words}; {len(invalid)} invalid: {named}", "runner validate shows every finding.")
    return Finding(subject=JOBS, message=words)


def check_git(settings: Settings, *, answers: bool = True) -> Finding:
    """Whether revisions can be told: git is there, the folder is in a repository, and git will read it. Where the
    folder does not answer, git is not asked: it would wait there."""
    if not answers:
        return warning(GIT, "git is not asked of a folder that does not answer")
    environ = clean_environment(os.environ)
    project = settings.project_dir.resolve()
    try:
        told = run_git("/", "--version", environ=environ)
    except GitError as error:
        return warning(
            GIT,
            f"{error.message}: runs are recorded without their revision",
            "Install git; runner plan needs it too.",
        )
    version = told.stdout.decode(errors="replace").strip()
    root = find_root(project)
    if root is None:
        return warning(
            GIT,
            f"{version}; {project} is in no repository: runs are recorded without a revision",
            "git init, and commit the job files: every change of a job can then be seen and taken back.",
        )
    try:
        return _check_repository(settings, version, str(root), environ)
    except GitError as error:
        return warning(GIT, error.message, error.hint)


def _check_repository(settings: Settings, version: str, root: str, environ: dict[str, str]) -> Finding:
    folder = settings.project_dir
    answer = run_git(str(folder), "rev-parse", "--verify", "HEAD", environ=environ)
    if answer.returncode:
        complaint = answer.stderr.decode(errors="replace").strip()
        if "dubious ownership" in complaint:
            return problem(
                GIT,
                f"{version}; git refuses {root}: it belongs to another user",
                f"As the user of the service: git config --global --add safe.directory {root}",
            )
        return warning(GIT, f"{version}; {root} has no commit yet", "git add, and git commit.")
    commit = answer.stdout.decode(errors="replace").strip()[:12]
    status = run_git(
        str(folder), "status", "--porcelain", "-z", "--no-renames", "--", str(settings.jobs_dir), environ=environ
    )
    changed = len([entry for entry in status.stdout.split(b"\0") if entry])
    if status.returncode or not changed:
        return Finding(subject=GIT, message=f"{version}; {root} at {commit}")
    files = counted(changed, "file")
    return warning(
        GIT,
        f"{version}; {root} at {commit}, but {files} of {settings.jobs_dir.name} "
        f"{'is' if changed == 1 else 'are'} not as committed",
        "Commit them: their runs are recorded as +dirty, and nobody can see what ran.",
    )
