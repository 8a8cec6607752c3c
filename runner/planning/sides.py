"""The two sides of a plan: a commit, or the files on disk."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from runner.jobfiles.files import FileSource, WorkingFiles
from runner.jobfiles.git.objects import Entry, ObjectStore
from runner.jobfiles.git.tree import CommitFiles
from runner.jobfiles.walk import Listing, list_job_files


class SideFiles(Protocol):
    """One side: its job files, and how they are read. Locations are relative to the project folder."""

    @property
    def files(self) -> FileSource:
        """What is read from."""

    def list_job_files(self) -> Listing | None:
        """The job files below the folder of jobs; None where there is no such folder."""

    def fetch(self, locations: Sequence[str]) -> None:
        """Make ready what is about to be read."""

    def object_id(self, location: str) -> str | None:
        """What tells contents apart without reading them; None where nothing does."""

    def links(self) -> dict[str, Entry] | None:
        """The links, on which real paths depend; None where they are not known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CommitSide:
    """The files of a commit."""

    files: CommitFiles
    jobs_dir: str

    def list_job_files(self) -> Listing | None:
        """See `SideFiles.list_job_files`."""
        return self.files.list_job_files(self.jobs_dir)

    def fetch(self, locations: Sequence[str]) -> None:
        """See `SideFiles.fetch`."""
        self.files.fetch(locations)

    def object_id(self, location: str) -> str | None:
        """See `SideFiles.object_id`."""
        return self.files.object_id(location)

    def links(self) -> dict[str, Entry] | None:
        """See `SideFiles.links`."""
        return self.files.links


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkingSide:
    """The files on disk."""

    files: WorkingFiles
    jobs_dir: Path

    def list_job_files(self) -> Listing | None:
        """See `SideFiles.list_job_files`.

        Raises:
            FolderGoneError: it, or a folder below it, is there and cannot be listed.
        """
        if not os.path.lexists(self.jobs_dir):
            return None
        listing = list_job_files(os.path.realpath(self.jobs_dir))
        listing.require_readable(self.jobs_dir)
        return listing

    def fetch(self, locations: Sequence[str]) -> None:
        """Nothing to do: files are read when they are looked at."""

    def object_id(self, location: str) -> str | None:  # noqa: ARG002 - the Protocol's signature
        """See `SideFiles.object_id`."""
        return None

    def links(self) -> dict[str, Entry] | None:
        """See `SideFiles.links`."""
        return None


def commit_side(store: ObjectStore, commit_id: str, jobs_dir: Path, project_dir: Path) -> CommitSide:
    """The job files of a commit."""
    files = CommitFiles(store, commit_id, root=store.root, project_dir=os.fspath(project_dir))
    return CommitSide(files=files, jobs_dir=jobs_dir.name)


def working_side(jobs_dir: Path, project_dir: Path) -> WorkingSide:
    """The job files on disk."""
    return WorkingSide(files=WorkingFiles(project_dir), jobs_dir=jobs_dir)
