"""The Plan: what taking over one set of job files in place of another changes, job by job."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from runner.core.catalog import CheckedFile
from runner.core.diagnostic import Diagnostic
from runner.core.job import Job
from runner.core.plan_values import JobValue, KeyChange


class Action(StrEnum):
    """What becomes of a job. `mended`: its file was invalid. `edited`: its file differs, and no value does."""

    ADDED = "added"
    REMOVED = "removed"
    RENAMED = "renamed"
    MOVED = "moved"
    CHANGED = "changed"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    MENDED = "mended"
    EDITED = "edited"


class InvalidState(StrEnum):
    """How an invalid file came about. `gone`: it was invalid before, and is there no more."""

    NEWLY_INVALID = "newly_invalid"
    STILL_INVALID = "still_invalid"
    GONE = "gone"


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanFile:
    """A job file of one side, with the values of its job."""

    file: CheckedFile
    values: tuple[JobValue, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class FireChange:
    """The next fires, aware UTC: at most three before and after; none of a job that is suspended or not there."""

    before: tuple[datetime, ...] = ()
    after: tuple[datetime, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class JobChange:
    """One job that is not as it was. `before` is None of one that is new, `after` of one that is removed.

    `fires` is None where neither schedule nor zone nor suspension differ.
    """

    actions: tuple[Action, ...]
    before: Job | None = None
    after: Job | None = None
    keys: tuple[KeyChange, ...] = ()
    fires: FireChange | None = None
    recipients_gained: tuple[str, ...] = ()
    recipients_lost: tuple[str, ...] = ()

    @property
    def job(self) -> Job:
        """The job as it will be; as it was, where it is removed."""
        job = self.after or self.before
        assert job is not None
        return job

    @property
    def loads_anew(self) -> bool:
        """Whether an incremental load forgets how far it has got, which is kept under the name of the job."""
        before, after = self.before, self.after
        if before is None or after is None or not before.origin or not after.origin:
            return False
        return before.job_name != after.job_name or before.origin != after.origin


@dataclass(frozen=True, kw_only=True, slots=True)
class InvalidFile:
    """A file that makes no job, and its errors.

    `kept` is the job that was in force for it: a service that runs goes on with that one. `changed` is False of a
    file that was as invalid before.
    """

    path: str
    state: InvalidState
    changed: bool
    job_name: str | None = None
    kept: Job | None = None
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class RecipientChange:
    """An address that gains or loses the mails of some jobs, as consumer or owner."""

    address: str
    job_names: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """All that differs: jobs by name, files by path, addresses sorted. `warnings` are those that are new."""

    jobs: tuple[JobChange, ...] = ()
    invalid: tuple[InvalidFile, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    recipients_gained: tuple[RecipientChange, ...] = ()
    recipients_lost: tuple[RecipientChange, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return bool(self.jobs) or any(file.changed for file in self.invalid)

    @property
    def broken(self) -> bool:
        """Whether a file is invalid on the new side."""
        return any(file.state is not InvalidState.GONE for file in self.invalid)


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """What one side was read from: the name as asked for, and the full commit id.

    `merge_base`: the commit is where the name and the other side parted. `working_tree`: the files on disk, which
    may differ from the commit.
    """

    name: str
    commit: str
    merge_base: bool = False
    working_tree: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """A plan, the sides it was made from, and what to know of how they were found."""

    base: Side
    head: Side
    plan: Plan
    notes: tuple[str, ...] = ()
