"""What the checks of meaning share: the document, the project folder, and the findings so far."""

import os
from dataclasses import dataclass, field
from pathlib import Path as FilePath

from runner.core.diagnostic import Diagnostic, Severity
from runner.jobfiles.lint_query import find_query_fault
from runner.jobfiles.lint_script import FindFault
from runner.jobfiles.parse import Document, Path, Span
from runner.jobfiles.read import FileKey, JobFile, ReadFault, file_key, read_job_file


@dataclass(frozen=True, kw_only=True, slots=True)
class Dependency:
    """A file that a check looked at beside the job file.

    `key` is its state then, None where it was not there. Of a data file only its being there counts: `by_content`
    is False and `key` holds zeros.
    """

    file: str
    key: FileKey | None
    by_content: bool

    def is_current(self) -> bool:
        """True while the file is as it was."""
        return probe(self.file, by_content=self.by_content) == self.key


def probe(file: str, *, by_content: bool) -> FileKey | None:
    """The state of a file, None where there is none."""
    try:
        status = os.stat(file)  # noqa: PTH116 - called for every job at every scan: Path costs as much as the call
    except (OSError, ValueError):
        return None
    return file_key(status) if by_content else (0, 0, 0, 0)


@dataclass(kw_only=True, slots=True)
class Inspection:
    """One job file under inspection. Checks read texts from it and report into `findings`.

    `query_fault` is how a query is looked at: in this process, or in one of its own.
    """

    path: str
    document: Document
    project_dir: FilePath
    findings: list[Diagnostic] = field(default_factory=list)
    dependencies: list[Dependency] = field(default_factory=list)
    step_file: JobFile | None = None
    query_fault: FindFault = find_query_fault

    def text(self, *path: str | int) -> str | None:
        """The text at a path; None where there is none, or one that has been refused already."""
        value = self.document.value(path)
        return value if isinstance(value, str) and path not in self.document.faulty else None

    def report(
        self,
        path: Path,
        rule: str,
        message: str,
        hint: str = "",
        *,
        span: Span | None = None,
        severity: Severity = Severity.ERROR,
    ) -> None:
        """A finding at the value of a path, or at a more precise place."""
        place = span or self.document.span(path)
        self.findings.append(
            Diagnostic(path=self.path, **place._asdict(), severity=severity, rule=rule, message=message, hint=hint)
        )

    def resolve(self, location: str) -> FilePath:
        """Where a location stands in the file system: relative ones are those of the project folder."""
        return self.project_dir / location

    def exists(self, location: str) -> bool:
        """Whether a data file is there; remembered, so that its coming or going is noticed."""
        file = os.fspath(self.resolve(location))
        key = probe(file, by_content=False)
        self.dependencies.append(Dependency(file=file, key=key, by_content=False))
        return key is not None

    def read(self, location: str) -> JobFile | ReadFault:
        """A step's file; remembered, so that a change of it is noticed."""
        file = os.fspath(self.resolve(location))
        # Asked for before it is read: a change in between is seen by the next scan.
        self.dependencies.append(Dependency(file=file, key=probe(file, by_content=True), by_content=True))
        return read_job_file(file, location)
