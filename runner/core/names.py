"""Where the name of a job stands, and what is said when it stands in two files."""

from dataclasses import dataclass

from runner.core.diagnostic import Diagnostic


@dataclass(frozen=True, slots=True)
class NamePlace:
    """Where a job's name stands: the file, line and column from 1."""

    job_name: str
    path: str
    line: int = 1
    column: int = 1


def name_clash(place: NamePlace, other: NamePlace) -> Diagnostic:
    """The finding for a name that another file has as well."""
    return Diagnostic(
        path=place.path,
        line=place.line,
        column=place.column,
        end_line=place.line,
        end_column=place.column + len(place.job_name),
        rule="duplicate-job-name",
        message=f"job_name {place.job_name!r} is taken by {other.path}:{other.line}",
        hint="Give one of the two jobs another name: run history and mails are told apart by it.",
    )
