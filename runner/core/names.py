"""Where the name of a job stands, and what is said when it stands in two files."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from runner.core.diagnostic import Diagnostic, Severity

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class NamePlace:
    """Where a job's name stands: the file, line and column from 1."""

    job_name: str
    path: str
    line: int = 1
    column: int = 1


class LinkedJob(NamedTuple):
    """What one job file says of when its job runs, as far as other jobs have to do with it.

    `after` are the names of the jobs it comes after, each with its place in the file. A tuple: it is made for
    every file of a folder in which one job comes after another.
    """

    path: str
    job_name: str
    schedule_time: str | None = None
    timezone: str = "UTC"
    suspend: bool = False
    after: tuple[NamePlace, ...] = ()


def claimed_name(job_name: str | None, path: str) -> str:
    """The name that a file claims; where it cannot be read, the one that its path suggests.

    Such a file is broken, and the jobs after it are not to be told that it is not there.
    """
    return job_name or path.rpartition("/")[2].rpartition(".")[0]


def unnamed_words(files: Iterable[tuple[str | None, str]]) -> str:
    """In which files, pairs of name and path, no name of a job can be read; empty where all have one."""
    paths = [path for job_name, path in files if not job_name]
    if not paths:
        return ""
    more = f" and {len(paths) - _SHOWN:,} more" if len(paths) > _SHOWN else ""
    return f"No job's name can be read in {', '.join(paths[:_SHOWN])}{more}: runner validate tells why."


def finding_at(
    place: NamePlace, *, rule: str, message: str, hint: str, severity: Severity = Severity.ERROR
) -> Diagnostic:
    """A finding that points at a name."""
    return Diagnostic(
        path=place.path,
        line=place.line,
        column=place.column,
        end_line=place.line,
        end_column=place.column + len(place.job_name),
        severity=severity,
        rule=rule,
        message=message,
        hint=hint,
    )


def name_clash(place: NamePlace, other: NamePlace) -> Diagnostic:
    """The finding for a name that another file has as well."""
    return finding_at(
        place,
        rule="duplicate-job-name",
        message=f"job_name {place.job_name!r} is taken by {other.path}:{other.line}",
        hint="Give one of the two jobs another name: run history and mails are told apart by it.",
    )
